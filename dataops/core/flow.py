"""A flow's own states: Claim Flow, Publish Flow, Close Flow, Roll Back Flow; and Hold Run, which ends its batches' runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dataops.batch import Batch, parse_batch
from dataops.core.close import end_run
from dataops.core.connection import open_connection
from dataops.core.control import Control
from dataops.core.flow_control import FlowControl
from dataops.core.lease import name_of, require_running
from dataops.core.mysql import errors_located, execute
from dataops.core.publish import (
    IN_PLACE,
    notify,
    record_published,
    require_accounted,
    summarize,
    undo,
)
from dataops.core.records import FlowRecord, Plan, Record
from dataops.core.references import Reference, is_whole, list_references, require_references
from dataops.core.staging import drop_old, is_published, only_publisher, swap
from dataops.core.task import Task
from dataops.core.telemetry import count_run
from dataops.errors import BatchFileError, Permanent, Unaccounted
from dataops.flow import Flow, parse_flow, require_together

if TYPE_CHECKING:
    from pymysql.connections import Connection


class FlowRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The flow execution's input and names: the flow with its steps, and each of its batches."""

    run: str
    execution: str
    started: str
    flow: Any
    batches: dict[str, Any]
    create_target: bool = False
    scheduled: str | None = None

    @classmethod
    def parse(cls, event: dict[str, Any]) -> FlowRequest:
        """The request in an event; the execution's own names win over what its input says."""
        given = event["input"] if isinstance(event["input"], dict) else {}
        try:
            return msgspec.convert({**given, **{name: of for name, of in event.items() if name != "input"}}, cls)
        except msgspec.ValidationError as error:
            raise BatchFileError(f"the execution's input: {str(error).replace('`', '')}") from None


class Member(NamedTuple):
    """One batch's run in a flow; without a plan where it has not come so far."""

    control: Control
    record: Record
    plan: Plan | None


def claim_flow(request: FlowRequest) -> dict[str, Any] | None:
    """What the flow's steps go by: the name of each batch's run; None when another execution has this instant.

    May be repeated: the names follow from the execution's own.
    """
    control = FlowControl(request.run)
    control.require_wanted()
    flow = parse_flow(request.flow, "the execution's input: flow")
    batches = {name: parse_batch(declared, name) for name, declared in request.batches.items()}
    _require_complete(flow, batches)
    runs = {name: _name_run(name, request) for name in flow.names}
    record = control.record_of_flow() or FlowRecord(
        request.run, flow.flow, execution=request.execution, started=request.started, publish=flow.publish,
        references=flow.references, runs=runs,
    )  # fmt: skip
    if request.scheduled and not control.claim_instant(flow.flow, request.scheduled, "flow"):
        record.status = "skipped"
        control.save_flow(record)
        return None
    control.save_flow(record)
    return {"runs": runs, "workers": flow.workers, "create_target": request.create_target}


def hold_run(task: Task, execution: str) -> None:
    """Prove that the staging table is whole, and hand the batch's lease to the flow, which publishes it later.

    Raises Unaccounted when rows do not add up, LeaseHeld when the flow has ended, Cancelled when somebody asked for
    the run to stop. May be repeated.
    """
    plan, control = task.plan, task.control
    for of in (control, Control(name_of(plan.flow))):
        of.require_wanted()
    record = summarize(task)
    if record.status != "running":
        return
    with errors_located(f"target {plan.target.name}: counting staging"):
        require_accounted(record, task.target_connection, plan)
    require_running(plan.flow)
    control.take_over(plan.batch.batch, plan.flow, execution)
    now = control.record()
    if now and now.status == "running":  # one that was taken for dead has not come after the flow's end
        record.status = "verified"
        control.save_record(record)


def publish_flow(run: str, execution: str) -> None:
    """Put the new tables of all the flow's batches in place in one RENAME.

    Raises Unaccounted before anything changes when one of them is not held, its rows do not add up or refer to rows that
    are not there; Cancelled when somebody asked for the flow to stop before. May be repeated.
    """
    control, flow = FlowControl(run), _flow_record(run)
    if flow.publish == "each":
        return
    members = [_require_held(member, execution) for member in list_members(flow)]
    plans = [plan for _, _, plan in members]
    with _publishing(plans) as connection:
        if not any(record.published or is_published(connection, plan) for _, record, plan in members):
            _require_apart(connection, plans)
            for _, record, plan in members:
                require_accounted(record, connection, plan)
            require_references(connection, _checked_references(flow, members))
            control.save_flow(flow)
            for of in (control, *(member for member, _, _ in members)):
                of.require_wanted()
            swap(connection, plans)
        for _, record, plan in members:
            if not record.published and not is_published(connection, plan):
                raise Permanent(
                    f"target {plan.target.name}: the server put only some of the flow's tables in place, this one not: its "
                    "RENAME of several tables does not survive a crash; run the flow again"
                )
        for member, record, plan in members:
            if not record.published:
                record_published(member, record, connection, plan)
        flow.published, flow.status = True, "published"
        control.save_flow(flow)
        for plan in plans:
            drop_old(connection, plan)


def _require_apart(connection: Connection, plans: Sequence[Plan]) -> None:
    """Raises Permanent where two batches have one target, now that each one's database is known."""
    folds = execute(connection, "SELECT @@lower_case_table_names")[0][0] != "0"
    names = Counter((plan.target.database, plan.target.name) for plan in plans)
    if folds:
        names = Counter((database.casefold(), name.casefold()) for database, name in names.elements())
    for (_, name), times in names.items():
        if times > 1:
            raise Permanent(f"target {name}: is the target of {times} batches of the flow; nothing was published")


def close_flow(run: str, execution: str) -> FlowRecord:
    """Close the runs that were published together, give their leases back, and write the flow's record."""
    control, flow = FlowControl(run), _flow_record(run)
    rejected = 0
    for member in list_members(flow):
        rejected += member.record.rejected
        if member.control.lease_holder(member.record.batch) == execution:
            end_run(member.control, member.record, execution)
            count_run(member.record.batch, runs_succeeded=1)
    flow.status = "succeeded with rejections" if rejected else "succeeded"
    control.save_flow(flow)
    return flow


def roll_back_flow(run: str, execution: str, started: str, machine: str, cause: str) -> FlowRecord:
    """Undo what held runs have left: their staging tables dropped, their leases released, the reason told once.

    The old targets were never touched, unless it is Publish Flow that was cut short after its RENAME: then the records say
    that the new rows are in place. Raises StillPublishing while the server may yet complete what a killed one asked for.
    """
    control = FlowControl(run)
    flow = control.record_of_flow() or FlowRecord(
        run, machine.rpartition("-flow-")[2], execution=execution, started=started
    )
    for of in (control, *map(Control, flow.runs.values())):
        of.ask_to_stop()
    members = list_members(flow)
    why = flow.cause or _first_failure(members) or control.trouble() or cause
    flow.published |= any(of.record.published for of in members)
    flow.status, flow.cause = "failed", why
    control.save_flow(flow)
    for member in members:
        if member.plan and member.control.lease_holder(member.record.batch) == execution:
            flow.published |= _roll_back_member(member, execution, f"flow {flow.flow}, run {run}: {why}")
    if flow.published and not why.startswith(IN_PLACE):
        flow.cause = f"{IN_PLACE}: {why}"
    control.save_flow(flow)
    notify(f"flow {flow.flow or '?'}", run, flow.cause)
    return flow


def list_members(flow: FlowRecord) -> list[Member]:
    """The runs of a flow, in order of its steps; those that have not begun have an empty record."""
    controls = [(batch, Control(run)) for batch, run in flow.runs.items()]
    return [Member(of, of.record() or Record(of.run, batch, ""), of.find_plan()) for batch, of in controls]


def _roll_back_member(member: Member, execution: str, why: str) -> bool:
    """Whether it was found published."""
    control, record, plan = member
    assert plan is not None
    control.ask_to_stop()
    why += undo(control, record, plan)
    record.status, record.cause = "failed", f"target {plan.target.name}: {IN_PLACE}: {why}" if record.published else why
    control.save_record(record)
    control.release_lease(record.batch, execution)
    count_run(record.batch, runs_failed=1)
    return record.published


def _first_failure(members: Sequence[Member]) -> str | None:
    failed = next((of.record for of in members if of.record.status == "failed"), None)
    return f"batch {failed.batch}, run {failed.run}: {failed.cause}" if failed else None


def _flow_record(run: str) -> FlowRecord:
    record = FlowControl(run).record_of_flow()
    if record is None:
        raise Permanent(f"flow run {run}: has no record in the control table")
    return record


def _require_held(member: Member, execution: str) -> tuple[Control, Record, Plan]:
    control, record, plan = member
    if (
        plan is None
        or record.status not in ("verified", "published")
        or control.lease_holder(record.batch) != execution
    ):
        raise Unaccounted(
            f"batch {record.batch}: expected run {record.run} verified and held for the flow, found it "
            f"'{record.status or 'not begun'}'; nothing was published"
        )
    return control, record, plan


@contextmanager
def _publishing(plans: Sequence[Plan]) -> Iterator[Connection]:
    """The target's connection while no other session publishes or rolls back any of these batches."""
    with open_connection(plans[0].batch.target.secret) as connection, ExitStack() as locks:
        locks.enter_context(errors_located("target: publishing together"))
        for plan in sorted(plans, key=lambda plan: plan.batch.batch):
            locks.enter_context(only_publisher(connection, plan))
        yield connection


def _checked_references(flow: FlowRecord, members: Sequence[tuple[Control, Record, Plan]]) -> list[Reference]:
    """The references to check; those to a table that leaves out rows by its batch's own rules are noted instead."""
    if flow.references == "ignore":
        return []
    whole = {plan.run for _, record, plan in members if is_whole(record, plan)}
    found = list(list_references([plan for _, _, plan in members]))
    flow.unchecked = [
        f"{of.child.target.name}.{of.named} is not checked: {of.parent.target.name} leaves out rows by its batch's own rules"
        for of in found
        if of.parent.run not in whole
    ]
    return [of for of in found if of.parent.run in whole]


def _require_complete(flow: Flow, batches: dict[str, Batch]) -> None:
    if not flow.steps or set(flow.names) != set(batches):
        raise BatchFileError("the execution's input: expected flow.steps, and each of their batches in batches")
    require_together(flow, batches, "the execution's input")


def _name_run(batch: str, request: FlowRequest) -> str:
    """A name of at most 66 characters that follows from the flow's own run, so that a step that is repeated starts none
    twice."""
    instant = "".join(letter for letter in request.started[:19] if letter.isalnum())
    return f"{batch}-{instant}Z-{sha256(request.run.encode()).hexdigest()[:8]}"
