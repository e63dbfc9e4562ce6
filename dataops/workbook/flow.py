"""Find flows, and run them through their state machine, on the embedded stack or in AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dataops.batch import Batch, did_you_mean
from dataops.core.control import Control
from dataops.core.flow_control import FlowControl
from dataops.core.lease import name_of
from dataops.core.records import FlowRecord
from dataops.deploy.flow import resolve_flow
from dataops.deploy.starts import flow_input
from dataops.errors import BatchFileError
from dataops.flow import Flow, FlowFile, is_flow, read_flow_file, require_together
from dataops.workbook.report import write_flow_report
from dataops.workbook.result import FlowResult, RunResult, first_failure, state_times
from dataops.workbook.run import (
    BATCHES,
    Progress,
    describe_run,
    find_batch,
    list_batches,
    look_at_run,
    machine_arn,
    name_execution,
    require_instant,
    runs_folder,
    stop_run,
    write_json,
    write_run,
)
from dataops.workbook.stack import attach, deploy_to_stack, flow_arn
from dataops.workbook.usage import measure_usage, read_history

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

FLOWS = BATCHES.with_name("flows")


def find_batch_or_flow(name: str) -> Batch | FlowFile:
    """What has that name in stepfunctions/batches or flows, or stands in the file at that path. Raises BatchFileError."""
    path = Path(name)
    if path.suffix in (".yml", ".yaml"):
        return read_flow_file(path) if is_flow(path) else find_batch(name)
    flows = {file.stem: file for file in sorted(FLOWS.glob("*.yml"))}
    batches = [file.stem for file in sorted(BATCHES.glob("*.yml"))]
    if name in batches:
        return find_batch(name)
    if name in flows:
        return read_flow_file(flows[name])
    near = did_you_mean(name, [*batches, *flows])
    raise BatchFileError(f"'{name}': is neither in stepfunctions/batches nor in stepfunctions/flows{near}")


def list_flows() -> list[FlowFile]:
    """All flows in stepfunctions/flows, in order of name."""
    return [read_flow_file(path) for path in sorted(FLOWS.glob("*.yml"))]


def run_flow(
    flow: Flow,
    batches: Mapping[str, Batch],
    *,
    create_target: bool = False,
    scheduled: str = "",
    progress: Progress | None = None,
    folder: Path | None = None,
) -> FlowResult:
    """Start the flow's machine, wait for its end, and write `runs/<run>/` for it and for each of its batches' runs.

    The order is worked out from the sources' foreign keys unless the flow gives it. `scheduled` is as in `run_batch`. On
    KeyboardInterrupt all runs are asked to stop, roll back, and the flow is given as failed.
    """
    import boto3

    began = time.monotonic()
    embedded = attach()
    require_together(flow, batches, f"flow {flow.flow}")
    flow = resolve_flow(flow, batches)
    if embedded:
        others = [*list_batches(), *batches.values()]
        for name in flow.names:
            deploy_to_stack(batches[name], others, flow)
    sfn = boto3.client("stepfunctions")
    order = json.loads(flow_input(flow, batches, require_instant(scheduled) if scheduled else ""))
    order["create_target"] = create_target
    run = name_execution(flow.flow)
    machine = flow_arn(machine_arn(), flow.flow)
    execution = sfn.start_execution(stateMachineArn=machine, name=run, input=json.dumps(order))["executionArn"]
    try:
        _watch(sfn, execution, progress)
    except KeyboardInterrupt:
        runs = _record(run).runs.values()
        stop_run(sfn, execution, [Control(run), *map(Control, runs)])
    return _write(_describe(sfn, execution, batches, time.monotonic() - began), folder or runs_folder())


def _watch(sfn: SFNClient, execution: str, progress: Progress | None) -> None:
    pause = 0.1
    while sfn.describe_execution(executionArn=execution)["status"] == "RUNNING":
        for batch, control in _begun(_record(name_of(execution))) if progress else ():
            record = control.record()
            if progress and record and record.status == "running":
                progress(look_at_run(sfn, record.execution, control, batch))
        time.sleep(pause)
        pause = min(1.0, pause * 1.2)


def _record(run: str) -> FlowRecord:
    return FlowControl(run).record_of_flow() or FlowRecord(run, "", "failed")


def _begun(record: FlowRecord) -> Iterator[tuple[str, Control]]:
    for batch, run in record.runs.items():
        control = Control(run)
        if control.record():
            yield batch, control


def _describe(sfn: SFNClient, execution: str, batches: Mapping[str, Batch], seconds: float) -> FlowResult:
    described = sfn.describe_execution(executionArn=execution)
    events = read_history(sfn, execution)
    definition = sfn.describe_state_machine_for_execution(executionArn=execution)["definition"]
    record = _record(name_of(execution))
    status = record.status
    if described["status"] != "SUCCEEDED":
        status = "failed"
        ended = described.get("cause") or f"the execution ended as {described['status']}"
        record.cause = record.cause or "; ".join(filter(None, [first_failure(events), ended]))
    return FlowResult(
        record, status, seconds, state_times(events, definition, described["status"]), definition,
        tuple(_describe_member(sfn, control, batches[batch]) for batch, control in _begun(record)),
        usage=measure_usage(sfn, execution, events),
    )  # fmt: skip


def _describe_member(sfn: SFNClient, control: Control, batch: Batch) -> RunResult:
    record = control.record()
    assert record is not None
    execution = sfn.describe_execution(executionArn=record.execution)
    ended = execution.get("stopDate") or execution["startDate"]
    return describe_run(sfn, record.execution, control, batch, (ended - execution["startDate"]).total_seconds())


def _write(result: FlowResult, folder: Path) -> FlowResult:
    """Write the folder of each batch's run, and the flow's own with record.json and report.html."""
    runs = tuple(write_run(run, folder / run.record.run) for run in result.runs)
    own = folder / result.record.run
    own.mkdir(parents=True, exist_ok=True)
    result = msgspec.structs.replace(result, runs=runs, folder=own)
    write_json(own / "record.json", result.to_json())
    write_flow_report(result, own)
    return result


def resolve_flows(flows: Sequence[FlowFile]) -> tuple[list[Flow], list[str]]:
    """The flows with their steps, and why each of the others cannot be worked out from here."""
    resolved, notes = [], []
    for flow, batches in flows:
        try:
            resolved.append(resolve_flow(flow, batches))
        except BatchFileError as error:
            notes.append(str(error))
    return resolved, notes
