"""Writes that come too late, from functions that are gone or from somebody else, and events that come twice."""

import boto3
import pytest

from dataops.core.control import Control
from tests.end_to_end.faults.conftest import ROWS, assert_failed, assert_survived, is_old
from tests.end_to_end.faults.mysql_proxy import begins

pytestmark = pytest.mark.one_server

FOREIGN = {"N": "9" * 12}
"""A stamp newer than any of these runs."""


def stamp_of(case):
    return case.batch().stamp


def about(case, operation):
    return lambda call: call.operation == operation and case.name in call.tables


def test_the_sweep_leaves_an_item_that_was_written_after_it_was_seen(rows, dynamodb):
    """The item that overtook the sweep is another's: it is found, and nothing is published."""
    rows.run()
    rows.source("DELETE FROM {t} WHERE id = 5")
    rows.target("DELETE FROM {t} WHERE id > 2")
    before = list(rows.target("SELECT * FROM {t}"))
    replies = []

    def overtake(call):
        rows.dynamodb.put_item(TableName=rows.name, Item=call.body["Key"] | {stamp_of(rows): FOREIGN})
        replies.append(call.forward())
        return replies[0]

    dynamodb.add(overtake, about(rows, "DeleteItem"), [0])
    result = rows.run()
    assert "expected only items of this run, found one that another wrote meanwhile" in result.record.cause
    assert "ConditionalCheckFailed" in replies[0].body["__type"]
    assert {"id": {"N": "5"}, stamp_of(rows): FOREIGN} in rows.items()
    assert list(rows.target("SELECT * FROM {t}")) == before
    assert_survived(rows, rows.run())


@pytest.fixture
def deliver_late(rows, dynamodb, proxied):
    """Kills a function with a write on its way, after `meanwhile`, and delivers that write when all has been copied."""

    def arrange(meanwhile):
        late = []

        def kill_and_keep(call):
            late.append(call.forward)
            meanwhile()
            call.kill_caller()

        def deliver(_):
            assert late[0]().status == 200
            return True

        dynamodb.add(kill_and_keep, about(rows, "BatchWriteItem"), [2])
        return proxied("target").add(deliver, begins("CREATE TABLE"), [0])

    return arrange


def test_a_late_write_of_a_killed_function_is_found_and_not_published(rows, deliver_late):
    """The rows change while the write is on its way, and are copied again before the old ones arrive."""
    delivered = deliver_late(lambda: rows.source("UPDATE {t} SET v = 'newer'"))
    assert_failed(rows, rows.run(), "expected the 3,000 items that were copied, found 3,000 items of other content")
    assert delivered


def test_a_late_write_that_says_the_same_changes_nothing(rows, deliver_late):
    delivered = deliver_late(lambda: None)
    assert_survived(rows, rows.run())
    assert delivered


def test_an_event_that_comes_twice_at_the_same_time_is_done_once(rows, dynamodb):
    """While a function works on a chunk, another is given the same event."""
    replies = []

    def again(call):
        event = f'{{"run": "{run_of(rows)}", "chunk": 0}}'
        replies.append(boto3.client("lambda").invoke(FunctionName="dataops-rds-to-dynamodb", Payload=event))
        return call.forward()

    dynamodb.add(again, about(rows, "BatchWriteItem"), [1])
    assert_survived(rows, rows.run())
    assert "FunctionError" not in replies[0]


def run_of(case):
    """The name of the batch's running run."""
    return Control("").lease_holder(case.name).rpartition(":")[2]


def test_a_failing_chunk_fails_the_run_and_the_others_work_is_not_lost(rows, dynamodb):
    """Chunks end in any order; the one that fails is named, and a resumed run copies that one only."""
    broken = dynamodb.add(
        lambda call: call.forward()._replace(status=400, body={"__type": "x#AccessDeniedException"}),
        lambda call: about(rows, "BatchWriteItem")(call) and "2500" in str(call.body),
    )
    failed = rows.run()
    assert (failed.status, is_old(rows), rows.leftovers()) == ("failed", True, [])
    assert "rds_to_dynamodb, chunk 2: " in failed.record.cause
    assert broken
    dynamodb.clear()
    written = dynamodb.add(lambda call: call.forward(), about(rows, "BatchWriteItem"))
    assert_survived(rows, rows.run(resume=failed.record.run))
    assert len(written) <= ROWS // 3 // 25 + 1
