"""Values of rows are hunted through what runs leave behind whose functions, source or DynamoDB go wrong meanwhile."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.faults import dynamodb_proxy, mysql_proxy
from tests.end_to_end.faults.test_dynamodb_faults import data_of, give_back, hasty  # noqa: F401 - a fixture
from tests.end_to_end.test_canaries import OTHER, TEXT, birds, hunted, left_by  # noqa: F401 - a fixture

pytestmark = pytest.mark.one_server
PAGE = "SELECT `id`, `v`"


def change_source(case):
    """A rule that changes a row of the source, to another canary, before a call goes through."""

    def rule(call):
        case.source("UPDATE {t} SET v = IF(v = %s, %s, %s) WHERE id = 1", (TEXT, OTHER, TEXT))
        return call.forward()

    return rule


def drift(case, dynamodb, proxied):
    return dynamodb.add(change_source(case), data_of(case, "BatchWriteItem"), [0])


def drift_on(case, dynamodb, proxied):
    return dynamodb.add(change_source(case), data_of(case, "BatchWriteItem"))


def give_some_back(case, dynamodb, proxied):
    return dynamodb.add(give_back(0.5), data_of(case, "BatchWriteItem"), [0])


def give_all_back(case, dynamodb, proxied):
    return dynamodb.add(give_back(1.0), data_of(case, "BatchWriteItem"))


def kill_at_items(case, dynamodb, proxied):
    return dynamodb.add(dynamodb_proxy.kill_after, data_of(case, "BatchWriteItem", "Scan"), [0, 2])


def kill_at_staging(case, dynamodb, proxied):
    return proxied("target").add(mysql_proxy.kill_after, mysql_proxy.begins("REPLACE INTO", "LOAD DATA"), [0])


def cut_the_source(case, dynamodb, proxied):
    return proxied("source").add(mysql_proxy.cut_reply(120), mysql_proxy.begins(PAGE), [0])


FAULTS = {
    drift: "", drift_on: "changed", give_some_back: "", give_all_back: "stayed unprocessed", kill_at_items: "",
    kill_at_staging: "", cut_the_source: "",
}  # fmt: skip
"""What goes wrong, and what the run says of it where it fails."""


def log_lines(case):
    """What each function has printed so far."""
    logs = (Path(case.stack.info.folder) / "lambda").glob("dataops-*.log")
    return {log.name: log.read_text().splitlines() for log in logs}


@pytest.mark.parametrize(("fault", "told"), FAULTS.items(), ids=lambda of: getattr(of, "__name__", ""))
def test_no_value_of_a_row_is_left_where_it_may_not_be(birds, dynamodb, proxied, hasty, fault, told):  # noqa: F811
    done, before = fault(birds, dynamodb, proxied), log_lines(birds)
    result = birds.run()
    assert (result.status == "succeeded") == (not told), result.record.cause
    assert told in result.record.cause
    assert done
    for log, lines in log_lines(birds).items():
        assert [line for line in lines[len(before.get(log, [])) :] if not isinstance(json.loads(line), dict)] == []
    places = left_by(birds, result, birds.batch())
    assert {"history", "control record", "dataops-rds-to-dynamodb.log", "calls-aws.jsonl"} <= places.keys()
    assert hunted(places) == []
