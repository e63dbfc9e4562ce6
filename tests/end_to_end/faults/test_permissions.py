"""Each function's role allows exactly the calls that its code makes, as the emulators have seen them."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import msgspec
import pytest

from dataops.core.control import Control
from dataops.workbook.preflight import preflight
from dataops.workbook.stack import deploy_to_stack
from tests.deploy.calls import allowed_by_role, calls_of_functions, refused_calls
from tests.end_to_end.faults.test_dynamodb_faults import data_of, poison
from tests.end_to_end.steps import execution_of

pytestmark = pytest.mark.one_server

BY_KIND = [{"name": "by-kind", "partition_key": "kind"}]
SUCCEEDING = (
    {"dynamodb__indexes": BY_KIND, "target__read": {"index": "by-kind"}},
    {"dynamodb__indexes": [{**BY_KIND[0], "projection": "KEYS_ONLY"}], "target__read": {"index": "by-kind"}},
    {"dynamodb__write": "update"},
    {"dynamodb__partition_key": "kind", "dynamodb__sort_key": "id", "target__mode": "upsert",
     "target__read": {"query": {"partition_key": "a"}}},
)  # fmt: skip
BY_LAMBDA_ITSELF = {"logs:CreateLogStream", "logs:PutLogEvents"}
"""What Lambda does with a function's role; its code does not."""


@pytest.fixture
def made(stack, tmp_path, case):
    """Makes a case of three rows, numbered after all others of the session."""
    cases = []

    def make(**changes):
        one = type(case)(stack, tmp_path)
        cases.append(one)
        one.changes = changes
        one.source("CREATE TABLE {t} (id INT PRIMARY KEY, kind VARCHAR(9) NOT NULL, v VARCHAR(20))")
        one.source("INSERT INTO {t} VALUES (%s, %s, %s)", (1, "a", "{}"), (2, "b", "[1]"), (3, "a", None))
        return one

    yield make
    for one in cases:
        one.close()


def invoke(state, fails=False, **event):
    """Call a state's function; its reply."""
    reply = boto3.client("lambda").invoke(FunctionName=f"dataops-{state}", Payload=json.dumps(event))
    payload = json.loads(reply["Payload"].read())
    assert ("FunctionError" in reply) == fails, payload
    return payload


def snapshot_again(case):
    """A run whose rows change before its snapshot, state by state, and rolled back."""
    batch, run = case.batch(source__consistency="snapshot", on_reject="continue"), f"{case.name}-snapshot"
    deploy_to_stack(batch)
    declared = {"batch": msgspec.to_builtins(batch), "workers": 1, "create_target": True}
    named = {"run": run, "execution": execution_of(run)}
    invoke("plan", **named, started="2026-11-26T00:00:00Z", input=declared)
    assert invoke("rds-to-dynamodb", run=run, chunk=0) == {"done": True}
    case.source("UPDATE {t} SET v = '[2]' WHERE id = 1")
    invoke("take-snapshot", run=run)
    assert [chunk.attempt for chunk in Control(run).chunks()] == [1]
    invoke("roll-back", **named, error={"Error": "Permanent", "Cause": "told to"})


def run_flows(shop):
    """A flow that succeeds and one that fails; then a run that takes over from a flow."""
    succeeded = shop.run()
    assert succeeded.status == "succeeded", succeeded.record.cause
    good, shop.customers.changes = shop.customers.changes, {"dynamodb__partition_key": "missing"}
    assert shop.run().status == "failed"
    shop.customers.changes = good
    Control("").take_lease(shop.customers.name, execution_of("forgotten").replace("-batch:", "-flow-x:"))
    alone = shop.customers.run()
    assert alone.status == "succeeded", alone.record.cause
    return [case.batch() for case in shop.cases]


def make_every_call(made, dynamodb, shop):
    """Runs that between them make every call that a handler can make; gives their batches."""
    batches = run_flows(shop)
    for changes in SUCCEEDING:
        case = made(**changes)
        batches.append(case.batch())
        result = case.run()
        assert result.status == "succeeded", result.record.cause
        case.source("DELETE FROM {t} WHERE id = 1")
        Control("").take_lease(case.name, execution_of("forgotten"))
        assert case.run().record.stale_deleted == 1
    case = made(normalize__columns={"v": {"as": "document"}})
    case.source("UPDATE {t} SET v = 'no document' WHERE id = 2")
    failed = case.run()
    assert failed.status == "failed"
    case.source("UPDATE {t} SET v = NULL WHERE id = 2")
    resumed = case.run(resume=failed.record.run)
    assert resumed.status == "succeeded"
    invoke("dynamodb-vs-staging", fails=True, run=resumed.record.run)  # whatever fails keeps its cause
    batches.append(case.batch())
    snapshots = [made(), made(dynamodb__write="update"), made()]
    for case in snapshots:
        if case is snapshots[-1]:
            dynamodb.add(poison(2), data_of(case, "BatchWriteItem", "PutItem"))
        snapshot_again(case)
    preflight(batches[0])
    return [*batches, *(case.batch() for case in snapshots)]


def test_a_role_allows_the_calls_that_its_function_makes_and_no_others(stack, made, dynamodb, shop):
    batches = make_every_call(made, dynamodb, shop)
    allowed, trail = allowed_by_role(batches), calls_of_functions(Path(stack.info.folder))
    assert refused_calls(trail, batches) == []
    unused = [
        (function, one.action, one.resources[0])
        for function, listed in allowed.items()
        for one in listed
        if one.action not in BY_LAMBDA_ITSELF
        and not any(one.allows(*call[1:]) for call in trail if call.function == function)
    ]
    assert unused == []
