"""Flows: batches one after another and side by side, whose tables change for readers all at once or not at all."""

import threading
import uuid

import boto3
import msgspec
import pytest

from dataops.core.control import Control
from dataops.core.flow import hold_run, publish_flow
from dataops.core.flow_control import FlowControl
from dataops.core.records import FlowRecord
from dataops.core.references import list_references
from dataops.errors import BatchFileError, Cancelled, LeaseHeld, Unaccounted
from dataops.flow import parse_flow
from dataops.workbook.flow import run_flow
from tests.end_to_end.faults.conftest import put_secret
from tests.end_to_end.steps import copy_all, execution_of, load_all, planned


def watch(shop, stop):
    """What a reader sees from now on until `stop` is set, without repetitions."""
    seen = [shop.days()]
    while not stop.is_set():
        if (now := shop.days()) != seen[-1]:
            seen.append(now)
    return seen


def days_seen(shop, flow):
    """What a reader sees while a flow with the next day's rows runs."""
    stop, seen = threading.Event(), []
    reader = threading.Thread(target=lambda: seen.extend(watch(shop, stop)))
    reader.start()
    try:
        result = shop.run(flow)
    finally:
        stop.set()
        reader.join()
    return result, seen


def test_readers_see_all_tables_change_at_once(shop):
    shop.assert_survived(shop.run())
    day = shop.next_day()
    result, seen = days_seen(shop, shop.flow())
    shop.assert_survived(result)
    assert seen == [(day - 1,) * 4 + (0,), (day,) * 4 + (0,)]


@pytest.mark.one_server
def test_readers_see_one_table_after_another_where_each_publishes_by_itself(shop):
    assert shop.run(shop.flow(publish="each")).status == "succeeded"
    day = shop.next_day()
    result, seen = days_seen(shop, shop.flow(publish="each"))
    assert result.status == "succeeded"
    assert seen == [(0, 0, 0, 0, 0), (day, day, 0, 0, 0), (day, day, day, day, 0)]
    assert [case.leftovers() for case in shop.cases] == [[], []]


@pytest.mark.one_server
def test_batches_side_by_side_wait_for_each_other_and_a_failure_publishes_nothing(shop):
    beside = shop.flow(steps=[[shop.customers.name, shop.orders.name]])
    shop.assert_survived(shop.run(beside))
    shop.next_day()
    shop.customers.changes = {"dynamodb__partition_key": "missing"}
    result = shop.run(beside)
    assert (result.status, result.exit_status, result.record.published) == ("failed", 1, False)
    assert f"batch {shop.customers.name}, run {shop.customers.name}-" in result.record.cause
    assert "missing" in result.record.cause
    assert shop.is_all_of(0)
    assert [of.status for of in result.runs] == ["failed", "failed"]
    assert f"flow {beside.flow}, run {result.record.run}: batch {shop.customers.name}" in result.runs[1].record.cause
    assert [case.leftovers() for case in shop.cases] == [[], []]
    shop.customers.changes = {}
    shop.assert_survived(shop.run(beside))


@pytest.mark.one_server
def test_what_failed_together_can_be_resumed_alone(shop):
    shop.run()
    shop.next_day()
    shop.customers.changes = {"dynamodb__partition_key": "missing"}
    held = next(of for of in shop.run().runs if of.record.batch == shop.orders.name)
    assert held.record.resumable
    assert shop.orders.run(resume=held.record.run).status == "succeeded"


@pytest.mark.one_server
def test_rows_that_refer_to_rows_that_are_not_there_are_not_published(shop):
    shop.run()
    shop.next_day()
    shop.customers.source("SET SESSION foreign_key_checks = 0")
    shop.customers.source("DELETE FROM {t} WHERE id <= 7")
    result = shop.run()
    assert result.status == "failed"
    assert (
        f"target {shop.orders.name}: 7 rows refer by customer to rows of {shop.customers.name} that are not there"
        in (result.record.cause)
    )
    assert shop.is_all_of(0)
    assert shop.run(shop.flow(references="ignore")).status == "succeeded"
    assert shop.days() == (1, 1, 1, 1, 7)


@pytest.mark.one_server
def test_references_to_a_table_that_leaves_out_rows_by_its_own_rules_are_noted(shop):
    shop.customers.changes = {"source__where": "id > 7"}
    result = shop.run()
    assert result.status == "succeeded"
    assert result.record.unchecked == [
        f"{shop.orders.name}.customer is not checked: {shop.customers.name} leaves out rows by its batch's own rules"
    ]


def test_a_user_who_may_only_read_sees_what_refers_to_what(shop, stack):
    shop.customers.source("DROP USER IF EXISTS reader")
    shop.customers.source("CREATE USER reader IDENTIFIED BY 'a-Reader-1'")
    shop.customers.source("GRANT SELECT ON source.* TO reader")
    server = msgspec.structs.replace(stack.info.source, user="reader", password="a-Reader-1")
    put_secret(shop.customers, "source", server, server.port)
    shop.orders.changes = dict(shop.customers.changes)
    tasks = [planned(case, "reads") for case in shop.cases]
    found = [(of.child.target.name, of.columns) for of in list_references([task.plan for task in tasks])]
    assert found == [(shop.orders.name, (("customer", "id"),))]


@pytest.mark.one_server
def test_of_several_executions_for_one_instant_only_the_first_runs(shop):
    first, second = (shop.run(scheduled="2026-11-24T00:00:00Z") for _ in range(2))
    assert (first.status, second.status, second.exit_status) == ("succeeded", "skipped", 0)
    assert second.runs == ()


@pytest.mark.one_server
def test_a_flow_that_is_asked_to_stop_publishes_nothing(shop):
    shop.run()
    shop.next_day()

    def interrupt(snapshot):
        if snapshot.batch == shop.customers.name:
            raise KeyboardInterrupt

    result = shop.run(progress=interrupt)
    assert result.status == "failed"
    assert "was asked to stop" in result.record.cause
    assert shop.is_all_of(0)
    assert [case.leftovers() for case in shop.cases] == [[], []]


@pytest.mark.one_server
def test_a_flow_fails_before_anything_runs_where_its_input_is_wrong(shop):
    shop.run()
    sfn = boto3.client("stepfunctions")
    machines = sfn.list_state_machines()["stateMachines"]
    machine = next(of["stateMachineArn"] for of in machines if of["name"].endswith(shop.flow().flow))
    begun = sfn.start_execution(stateMachineArn=machine, name=f"{shop.orders.name}-wrong", input="{}")
    while (found := sfn.describe_execution(executionArn=begun["executionArn"]))["status"] == "RUNNING":
        pass
    assert (found["status"], found["error"]) == ("FAILED", "FlowFailed")
    assert "claim_flow: the execution's input: " in found["cause"]


@pytest.mark.one_server
def test_two_batches_with_one_target_publish_nothing(shop):
    name, other = shop.customers.name, f"{shop.customers.name}_2"
    shop.customers.target("CREATE TABLE {t} (id INT PRIMARY KEY, day INT NOT NULL)")
    batches = {
        name: shop.customers.batch(),
        other: shop.customers.batch(batch=other, dynamodb__table=other, target__database="target"),
    }
    result = run_flow(parse_flow({"flow": "twice", "steps": [name, other]}), batches, folder=shop.orders.folder)
    assert f"target {name}: is the target of 2 batches of the flow; nothing was published" in result.record.cause
    assert shop.customers.target("SELECT COUNT(*) FROM {t}")[0][0] == 0


@pytest.mark.one_server
def test_a_run_that_was_asked_to_stop_is_not_held(numbers, waiting):
    with planned(numbers, "run-1", publish="defer", flow=waiting) as task:
        copy_all(task)
        load_all(task)
        Control(waiting.rpartition(":")[2]).ask_to_stop()
        with pytest.raises(Cancelled):
            hold_run(task, execution_of(task.plan.run))
    assert Control("").lease_holder(numbers.name) == execution_of(task.plan.run)


@pytest.mark.one_server
def test_a_lease_that_nobody_holds_is_not_taken_over(numbers):
    with pytest.raises(LeaseHeld):
        Control("late").take_over(numbers.name, "arn:late", "arn:gone")


@pytest.mark.one_server
def test_a_takeover_says_of_the_flow_too_that_it_was_cut_off(numbers, waiting):
    with held(numbers, waiting) as task:
        flow = FlowControl(waiting.rpartition(":")[2])
        flow.save_flow(FlowRecord(flow.run, "f", started="2026", runs={numbers.name: task.plan.run}))
    boto3.client("stepfunctions").stop_execution(executionArn=waiting)
    with planned(numbers, "run-2", function_seconds=-(10**6)):
        assert flow.record_of_flow().status == "cut off"


@pytest.fixture
def waiting(stack):
    """The execution of a machine that waits, in the place of a flow's."""
    sfn = boto3.client("stepfunctions")
    definition = '{"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": true}}}'
    machine = sfn.create_state_machine(
        name="waiting", definition=definition, roleArn="arn:aws:iam::123456789012:role/dataops"
    )
    execution = sfn.start_execution(stateMachineArn=machine["stateMachineArn"], name=uuid.uuid4().hex)["executionArn"]
    yield execution
    sfn.stop_execution(executionArn=execution)


def held(case, flow):
    """The task of a run that is held for that flow."""
    task = planned(case, "run-1", publish="defer", flow=flow)
    copy_all(task)
    load_all(task)
    for _ in range(2):
        hold_run(task, execution_of(task.plan.run))
    return task


@pytest.mark.one_server
def test_a_held_run_keeps_others_out_until_its_flow_has_ended(numbers, waiting):
    with held(numbers, waiting) as task:
        assert (task.control.record().status, task.control.lease_holder(numbers.name)) == ("verified", waiting)
        with pytest.raises(LeaseHeld, match=rf"flow .* is to publish run {task.plan.run}; wait for its end"):
            planned(numbers, "run-2")
    boto3.client("stepfunctions").stop_execution(executionArn=waiting)
    with pytest.raises(LeaseHeld, match=rf"run {task.plan.run} was cut off, and its last function may still write"):
        planned(numbers, "run-2")
    with planned(numbers, "run-2", function_seconds=-(10**6)):
        assert task.control.record().status == "cut off"
        assert "rolled back or recorded that it published" in task.control.record().cause


@pytest.mark.one_server
def test_a_run_is_not_held_for_a_flow_that_has_ended(numbers, waiting):
    boto3.client("stepfunctions").stop_execution(executionArn=waiting)
    with pytest.raises(LeaseHeld, match="its execution has ended, so nobody would publish this run"):
        held(numbers, waiting)
    assert Control("").lease_holder(numbers.name) == execution_of(f"{numbers.name}-run-1")


@pytest.mark.one_server
@pytest.mark.parametrize(
    ("changes", "options", "error"),
    [
        ({}, {}, "publish: defer is for flows"),
        ({"target__mode": "upsert"}, {"flow": "arn"}, "only a swap can be left to a flow, found upsert"),
    ],
)
def test_a_run_that_no_flow_can_publish_is_refused(numbers, changes, options, error):
    with pytest.raises(BatchFileError, match=error):
        planned(numbers, "run-1", numbers.batch(**changes), publish="defer", **options)


@pytest.mark.one_server
def test_a_flow_whose_batch_another_run_has_taken_over_publishes_nothing(shop):
    result = shop.run()
    shop.next_day()
    before = result.record
    with pytest.raises(
        Unaccounted, match="verified and held for the flow, found it 'succeeded'; nothing was published"
    ):
        publish_flow(before.run, before.execution)
    assert shop.is_all_of(0)
