"""DynamoDB throttles, fails, drops, gives back and refuses: what a run makes of it."""

import itertools
import json
import time

import pytest

from dataops.core import aws, copy
from dataops.core.control import Control
from dataops.core.copy import copy_chunk
from dataops.core.dynamodb import Access, dynamodb_client, get_item
from dataops.core.pace import ATTEMPTS, Patience
from dataops.core.writers import BATCH_ITEMS
from dataops.deploy import machine
from dataops.errors import Unprocessed
from tests.end_to_end.conftest import Case
from tests.end_to_end.faults.conftest import assert_failed, assert_survived, fill
from tests.end_to_end.faults.dynamodb_proxy import DynamoDBProxy, Reply, drop_after, drop_before, error
from tests.end_to_end.steps import never, planned

pytestmark = pytest.mark.one_server

THROTTLES = [
    error("ProvisionedThroughputExceededException"), error("ThrottlingException"), error("RequestLimitExceeded"),
]  # fmt: skip
OUTAGES = [error("InternalServerError", 500), error("ServiceUnavailable", 503)]
CONTROL = "dataops-control"


@pytest.fixture
def few(case: Case) -> Case:
    """A case of some hundred rows, whose target holds other rows from before."""
    columns = "(id INT PRIMARY KEY, v VARCHAR(60), d DATETIME(3), n DECIMAL(12,4))"
    case.source(f"CREATE TABLE {{t}} {columns}")
    fill(case.source, 1, 600)
    case.target(f"CREATE TABLE {{t}} {columns}")
    case.target("INSERT INTO {t} VALUES (0, 'old', NULL, 1), (1, 'old', NULL, 2)")
    return case


def data_of(case, *operations):
    """Picks the calls that read or write the case's items."""
    return lambda call: (
        case.name in call.tables
        and call.operation != "DescribeTable"
        and (not operations or call.operation in operations)
    )


def in_turn(rules):
    """One rule after the other."""
    numbers = itertools.count()
    return lambda call: rules[next(numbers) % len(rules)](call)


def slow(call):
    time.sleep(0.3)
    return call.forward()


def give_back(share):
    """Takes the first part of a batch of items or keys, and gives this share of it back unprocessed."""

    def rule(call):
        ((table, asked),) = call.body["RequestItems"].items()
        keys = call.operation == "BatchGetItem"
        parts = asked["Keys"] if keys else asked
        taken = parts[: len(parts) - max(1, int(len(parts) * share))]
        back = parts[len(taken) :]
        whole = (lambda some: asked | {"Keys": some}) if keys else (lambda some: some)
        nothing = Reply(200, {"Responses": {}} if keys else {})
        reply = call.forward(call.body | {"RequestItems": {table: whole(taken)}}) if taken else nothing
        return reply._replace(body=reply.body | {f"Unprocessed{'Keys' if keys else 'Items'}": {table: whole(back)}})

    return rule


@pytest.fixture
def hasty(monkeypatch, tmp_path):
    """A state machine that retries a state once only: a fault that lasts for ever fails the run soon."""
    text = machine.DEFINITION.read_text()
    path = tmp_path / "hasty.asl.json"
    path.write_text(text.replace('"MaxAttempts": 5', '"MaxAttempts": 1'))
    monkeypatch.setattr(machine.definition, "__defaults__", (path,))


@pytest.mark.parametrize(
    "fault",
    [in_turn(THROTTLES), in_turn(OUTAGES), drop_before, drop_after, slow],
    ids=["throttled", "5xx", "dropped", "reply lost", "slow"],
)
def test_a_run_survives_what_happens_to_every_third_call(few, dynamodb, fault):
    done = dynamodb.add(fault, data_of(few), times=range(0, 3000, 3))
    assert_survived(few, few.run())
    assert len(done) > 8


def test_connections_are_refused_for_a_while(few, stack, monkeypatch):
    few.dynamodb.put_item(TableName=CONTROL, Item={"pk": {"S": few.name}, "sk": {"S": "here"}})
    proxy, waits = DynamoDBProxy(stack.info.variables["AWS_ENDPOINT_URL"], listens=False), []
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", proxy.url)

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            proxy.listen()

    access = Access(dynamodb_client(attempts=1), patience=lambda: Patience(sleep=sleep))
    assert get_item(access, CONTROL, {"pk": {"S": few.name}, "sk": {"S": "here"}}) is not None
    assert len(waits) == 3
    proxy.close()


def test_connections_are_reset_time_and_again(few, dynamodb):
    done = dynamodb.add(drop_before, data_of(few), times=range(3, 9))
    assert_survived(few, few.run())
    assert len(done) == 6
    assert dynamodb.seen.count(f"BatchWriteItem {few.name}") == 24 + 6


@pytest.mark.parametrize("share", [0.5, 1.0], ids=["half", "all"])
def test_unprocessed_items_are_sent_again(few, dynamodb, share):
    done = dynamodb.add(give_back(share), data_of(few, "BatchWriteItem"), times=range(0, 3000, 3))
    assert_survived(few, few.run())
    assert len(done) > 8


def test_items_that_stay_unprocessed_fail_the_run_and_are_listed(few, dynamodb, hasty):
    stuck, held = [{"id": {"N": "30"}}, {"id": {"N": "26"}}], []

    def keep_back(call):
        ((table, requests),) = call.body["RequestItems"].items()
        back = [request for request in requests if {"id": request["PutRequest"]["Item"]["id"]} in stuck]
        rest = [request for request in requests if request not in back]
        if rest:
            call.forward({"RequestItems": {table: rest}})
        if back:
            held.append(back)
        return Reply(200, {"UnprocessedItems": {table: back} if back else {}})

    dynamodb.add(keep_back, data_of(few, "BatchWriteItem"))
    result = few.run()
    listed = [json.loads(line) for line in (result.folder / "unprocessed.jsonl").read_text().splitlines()]
    assert sorted(of["key"]["id"] for of in listed) == ["26", "30"]
    assert {(of["column"], of["reason"]) for of in listed} == {("", "stayed unprocessed in DynamoDB")}
    assert len(held) == 2 * ATTEMPTS
    dynamodb.clear()
    assert_failed(few, result, f"2 items stayed unprocessed in {ATTEMPTS} attempts", "unprocessed.jsonl")


def test_what_stays_unprocessed_is_listed_where_the_chunk_stands(rows, dynamodb, monkeypatch):
    """The second page fails before the first was recorded."""
    monkeypatch.setattr(copy, "TELL_SECONDS", 600)
    monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.12")  # the proxy's rules are for functions
    monkeypatch.setattr(aws, "_made", [])  # a session knows for ever where it was made
    task = planned(rows, "run-1")
    dynamodb.add(give_back(1.0), data_of(rows, "BatchWriteItem"), times=range(1000 // BATCH_ITEMS, 1000))
    with task, pytest.raises(Unprocessed):
        copy_chunk(task, 0, never)
    assert task.control.chunk(0).rows == 1000
    assert [int(row.key["id"]) for row in task.control.unprocessed()] == list(range(1001, 1001 + BATCH_ITEMS))


def test_items_that_a_later_attempt_has_written_are_not_listed(few, dynamodb, hasty):
    given_back = dynamodb.add(give_back(1.0), data_of(few, "BatchWriteItem"), times=range(ATTEMPTS))
    refused = dynamodb.add(error("AccessDeniedException"), data_of(few, "Scan"))
    result = few.run()
    assert (len(given_back), len(refused)) == (ATTEMPTS, 1)
    assert len(Control(result.record.run)._list("stuck#", dict).__next__()["rows"]) == 25
    assert not (result.folder / "unprocessed.jsonl").exists()
    dynamodb.clear()
    assert_failed(few, result, "sweep_stale: DynamoDB table", "AccessDeniedException")


def test_unprocessed_keys_are_read_again(few, dynamodb):
    index = {"name": "by-v", "partition_key": "v", "sort_key": "id", "projection": "KEYS_ONLY"}
    few.source("UPDATE {t} SET v = 'one'")
    for execute in (few.source, few.target):
        execute("ALTER TABLE {t} MODIFY v VARCHAR(60) NOT NULL")
    rule = in_turn([give_back(0.5), give_back(1.0)])
    done = dynamodb.add(rule, data_of(few, "BatchGetItem"), times=[0, 1, 2, 5, 8])
    assert_survived(few, few.run(few.batch(dynamodb__indexes=[index], target__read={"index": "by-v"})))
    assert done == [0, 1, 2, 5, 8]
    assert dynamodb.seen.count(f"BatchGetItem {few.name}") == 6 + len(done)


def test_a_permanent_error_is_raised_at_once(few, dynamodb):
    done = dynamodb.add(error("AccessDeniedException"), data_of(few))
    result = few.run()
    assert len(done) == 1
    dynamodb.clear()
    assert_failed(few, result, f"rds_to_dynamodb, chunk 0: DynamoDB table {few.name}: AccessDeniedException")


def poison(number):
    """Refuses whatever holds the item of this number."""

    def rule(call):
        if f'"id": {{"N": "{number}"}}' in json.dumps(call.body):
            return error("ValidationException")(call)
        return call.forward()

    return rule


def test_one_poison_item_never_takes_the_others_with_it(few, dynamodb):
    dynamodb.add(poison(77), data_of(few, "BatchWriteItem", "PutItem"))
    throttled = dynamodb.add(in_turn(THROTTLES), data_of(few, "Scan"), times=[0])
    result = few.run(few.batch(on_reject="continue"))
    assert (result.status, result.exit_status) == ("succeeded with rejections", 3)
    assert [(one.key, one.column) for one in result.rejections] == [({"id": "77"}, "")]
    assert "ValidationException" in result.rejections[0].reason
    assert few.target("SELECT * FROM {t} ORDER BY id") == few.source("SELECT * FROM {t} WHERE id <> 77 ORDER BY id")
    assert result.record.adds_up
    assert throttled == [0]


def test_throttled_single_puts_are_sent_again(few, dynamodb):
    throttled = dynamodb.add(in_turn(THROTTLES), data_of(few, "PutItem"), times=[0, 1, 5, 9])
    dynamodb.add(poison(77), data_of(few, "BatchWriteItem", "PutItem"))
    result = few.run()
    assert [one.key for one in result.rejections] == [{"id": "77"}]
    assert throttled == [0, 1, 5, 9]
    assert (result.record.throttles, result.record.retries) == (4, 4)
    assert dynamodb.seen.count(f"PutItem {few.name}") == 25 + 4
    dynamodb.clear()
    assert_failed(few, result, "1 rows were rejected, most often because DynamoDB refused it (ValidationException)")


def test_a_run_survives_what_happens_to_the_control_table(few, dynamodb):
    faults = [*THROTTLES, *OUTAGES, drop_before, drop_after]
    done = dynamodb.add(in_turn(faults), lambda call: call.tables == {CONTROL}, times=range(2, 1000, 7))
    assert_survived(few, few.run())
    assert len(done) > len(faults)


def test_lost_replies_to_claims_break_nothing(few, dynamodb):
    done = dynamodb.add(drop_after, is_claim, times=range(0, 100, 2))
    claimed = []
    dynamodb.add(lambda call: claimed.append(call.operation) or call.forward(), is_claim)
    assert_survived(few, few.run())
    assert claimed == ["PutItem", "UpdateItem", "DeleteItem"]
    assert len(done) == len(claimed)


def is_claim(call):
    """Picks the control table's calls that are not the same when repeated: lease, generation."""
    return call.tables == {CONTROL} and any("Expression" in name for name in call.body) and call.operation != "Query"


def test_the_sweep_counts_each_stale_item_once(few, dynamodb):
    batch = few.batch()
    assert few.run(batch).status == "succeeded"
    few.source("DELETE FROM {t} WHERE id > 560")
    rule = in_turn([drop_after, *OUTAGES, drop_before])
    done = dynamodb.add(rule, data_of(few, "DeleteItem"), times=range(0, 100, 3))
    result = few.run(batch)
    assert_survived(few, result)
    assert result.record.stale_deleted == 40
    assert len(done) > 13
    assert len(few.items()) == 560
