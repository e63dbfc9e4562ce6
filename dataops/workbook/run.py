"""Run a batch through the state machine, on the embedded stack or in AWS, and say how it went."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from dataops.batch import Batch, did_you_mean, read_batch
from dataops.core.control import Control
from dataops.core.records import Record, Rejection, Usage
from dataops.errors import BatchFileError, Permanent
from dataops.workbook.report import write_report
from dataops.workbook.result import RunResult, Snapshot, Work, first_failure, list_visits, state_times
from dataops.workbook.stack import attach, deploy_to_stack
from dataops.workbook.usage import measure_usage, read_history

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

CHECKOUT = Path(__file__).parent.parent.parent
BATCHES = CHECKOUT / "stepfunctions" / "batches"
SHOWN_REJECTIONS = 100
STOP_SECONDS = 60


Progress: TypeAlias = Callable[[Snapshot], None]


def find_batch(name: str) -> Batch:
    """The batch of that name in stepfunctions/batches, or in the file at that path. Raises BatchFileError."""
    path = Path(name)
    if path.suffix in (".yml", ".yaml"):
        return read_batch(path)
    known = {file.stem: file for file in sorted(BATCHES.glob("*.yml"))}
    if name in known:
        return read_batch(known[name])
    raise BatchFileError(f"batch '{name}': is not in stepfunctions/batches{did_you_mean(name, list(known))}")


def batch_of_run(run: str) -> Batch:
    """The batch that a run was started with. Raises Permanent when the run is not known."""
    attach()
    plan = Control(run).find_plan()
    if plan is None:
        raise Permanent(f"run {run}: is not known, or failed before it had a plan; see `dataops runs`")
    return plan.batch


def list_batches() -> list[Batch]:
    """All batches in stepfunctions/batches, in order of name."""
    return [read_batch(path) for path in sorted(BATCHES.glob("*.yml"))]


def runs_folder() -> Path:
    """Where runs are written: `runs/` of this checkout when we are inside it, else of the current folder."""
    here = Path.cwd()
    return (CHECKOUT if here.is_relative_to(CHECKOUT) else here) / "runs"


def run_batch(
    batch: Batch,
    *,
    workers: int = 4,
    create_target: bool = False,
    resume: str | None = None,
    scheduled: str = "",
    progress: Progress | None = None,
    folder: Path | None = None,
) -> RunResult:
    """Start the state machine on a batch, wait for its end, and write `runs/<run>/`.

    With `resume` (a failed run's name) the new run goes on from the chunks that the failed one has copied. `scheduled` is
    the instant (ISO-8601, UTC) that a schedule means: of several runs for one instant only the first is not skipped.
    On KeyboardInterrupt the run is asked to stop, rolls back, and is given as failed.
    """
    import boto3

    started = time.monotonic()
    if attach():
        deploy_to_stack(batch, list_batches())
    sfn = boto3.client("stepfunctions")
    machine = machine_arn()
    run = name_execution(batch.batch)
    order = {"batch": msgspec.to_builtins(batch), "workers": workers, "create_target": create_target, "resume": resume}
    order |= {"scheduled": require_instant(scheduled)} if scheduled else {}
    execution = sfn.start_execution(stateMachineArn=machine, name=run, input=json.dumps(order))["executionArn"]
    control = Control(run)
    try:
        _watch(sfn, execution, control, batch.batch, progress)
    except KeyboardInterrupt:
        stop_run(sfn, execution, [control])
    result = describe_run(sfn, execution, control, batch, time.monotonic() - started)
    return write_run(result, (folder or runs_folder()) / run)


def name_execution(name: str) -> str:
    """A name for an execution that is begun now, of a batch or a flow."""
    return f"{name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"


def require_instant(text: str) -> str:
    """The instant in a text, as `2026-11-24T00:00:00Z`: one spelling, so that it can be claimed once.

    Raises BatchFileError for what is no date and time, or names no time zone.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise BatchFileError("scheduled: expected an instant such as 2026-11-24T00:00:00Z, found another text")
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stop_run(sfn: SFNClient, execution: str, controls: Sequence[Control]) -> None:
    """Ask a run (or all those of a flow) to stop and wait until it has rolled back; cut it off when it does not in time.

    After a cut-off the lease stays until the functions' longest time-out has passed; the next run then takes over.
    """
    for control in controls:
        control.ask_to_stop()
    deadline = time.monotonic() + STOP_SECONDS
    while sfn.describe_execution(executionArn=execution)["status"] == "RUNNING":
        if time.monotonic() > deadline:
            sfn.stop_execution(executionArn=execution, error="Stopped", cause="stopped by hand")
            return
        time.sleep(0.2)


def _watch(sfn: SFNClient, execution: str, control: Control, batch: str, progress: Progress | None) -> None:
    pause = 0.1
    while sfn.describe_execution(executionArn=execution)["status"] == "RUNNING":
        if progress:
            progress(look_at_run(sfn, execution, control, batch))
        time.sleep(pause)
        pause = min(1.0, pause * 1.2)


def look_at_run(sfn: SFNClient, execution: str, control: Control, batch: str) -> Snapshot:
    """How far a run's execution has come."""
    newest = sfn.get_execution_history(executionArn=execution, reverseOrder=True, maxResults=1000)["events"]
    newest.sort(key=lambda event: event["id"], reverse=True)  # the embedded interpreter overlooks reverseOrder
    names = [event["stateEnteredEventDetails"]["name"] for event in newest if "stateEnteredEventDetails" in event]
    chunks = control.chunks()
    return Snapshot(
        batch,
        names[0] if names else "Plan",
        len(chunks),
        sum(chunk.done for chunk in chunks),
        sum(chunk.rows for chunk in chunks),
        sum(segment.rows for segment in control.segments()),
    )


def describe_run(sfn: SFNClient, execution: str, control: Control, batch: Batch, seconds: float) -> RunResult:
    """What became of a run whose execution has ended."""
    described = sfn.describe_execution(executionArn=execution)
    events = read_history(sfn, execution)
    definition = sfn.describe_state_machine_for_execution(executionArn=execution)["definition"]
    record = control.record() or Record(control.run, batch.batch, "failed", execution)
    status = record.status
    if described["status"] != "SUCCEEDED":
        status = "failed"
        ended = described.get("cause") or f"the execution ended as {described['status']}"
        record.cause = record.cause or "; ".join(filter(None, [first_failure(events), ended]))
    elif status not in ("skipped", "succeeded", "succeeded with rejections"):
        status = "failed"
        record.cause = record.cause or f"the execution succeeded, but the record says {record.status}"
    chunks, segments = control.chunks(), control.segments()
    record.usage = _keep_usage(control, measure_usage(sfn, execution, events, chunks, segments))
    return RunResult(
        record, status, seconds, state_times(events, definition, described["status"]),
        tuple(control.rejections(SHOWN_REJECTIONS)), None, definition, list_visits(events),
        tuple(Work(f"chunk {of.id}", of.rows, of.began, of.ended) for of in chunks),
        tuple(Work(f"segment {of.id}", of.rows, of.began, of.ended) for of in segments),
    )  # fmt: skip


def _keep_usage(control: Control, usage: Usage | None) -> Usage | None:
    """Put the usage into the run's record, read anew: another run may have written that it goes on from this one.

    It stays out where who started the run may not write there.
    """
    from botocore.exceptions import ClientError

    record = control.record()
    if record and usage:
        record.usage = usage
        with suppress(ClientError):
            control.save_record(record)
    return usage


def write_run(result: RunResult, folder: Path) -> RunResult:
    """Write the run's folder: record.json, report.html, and all of rejections.jsonl and unprocessed.jsonl, if any."""
    folder.mkdir(parents=True, exist_ok=True)
    result = msgspec.structs.replace(result, folder=folder)
    write_json(folder / "record.json", result.to_json())
    control = Control(result.record.run)
    if result.rejections:
        _write_lines(folder / "rejections.jsonl", control.walk_rejections())
    if result.status == "failed" and (unprocessed := control.unprocessed()):
        _write_lines(folder / "unprocessed.jsonl", unprocessed)
    write_report(result, folder)
    return result


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON that a person can read."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _write_lines(path: Path, rejections: Iterable[Rejection]) -> None:
    with path.open("wb") as file:
        file.writelines(msgspec.json.encode(rejection) + b"\n" for rejection in rejections)


def machine_arn() -> str:
    """The batch machine's ARN, by the environment. Raises Permanent without one."""
    arn = os.environ.get("DATAOPS_STATE_MACHINE_ARN")
    if not arn:
        raise Permanent("DATAOPS_STATE_MACHINE_ARN: expected the state machine's ARN, found nothing")
    return arn
