"""Run a batch through the state machine, on the embedded stack or in AWS, and say how it went."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from dataops.batch import Batch, did_you_mean, read_batch
from dataops.core.control import Control
from dataops.core.normalize import Rejection
from dataops.core.records import Record
from dataops.errors import BatchFileError, Permanent
from dataops.workbook.report import write_report
from dataops.workbook.result import RunResult, Snapshot, Work, first_failure, list_visits, state_times
from dataops.workbook.stack import attach, deploy_to_stack

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
    machine = _machine_arn()
    run = f"{batch.batch}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"
    order = {"batch": msgspec.to_builtins(batch), "workers": workers, "create_target": create_target, "resume": resume}
    order |= {"scheduled": require_instant(scheduled)} if scheduled else {}
    execution = sfn.start_execution(stateMachineArn=machine, name=run, input=json.dumps(order))["executionArn"]
    control = Control(run)
    try:
        _watch(sfn, execution, control, progress)
    except KeyboardInterrupt:
        stop_run(sfn, execution, control)
    result = _result(sfn, execution, control, batch, time.monotonic() - started)
    return _write(result, (folder or runs_folder()) / run)


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


def stop_run(sfn: SFNClient, execution: str, control: Control) -> None:
    """Ask a run to stop and wait until it has rolled back; cut it off when it does not within a minute.

    After a cut-off the lease stays until the functions' longest time-out has passed; the next run then takes over.
    """
    control.ask_to_stop()
    deadline = time.monotonic() + STOP_SECONDS
    while sfn.describe_execution(executionArn=execution)["status"] == "RUNNING":
        if time.monotonic() > deadline:
            sfn.stop_execution(executionArn=execution, error="Stopped", cause="stopped by hand")
            return
        time.sleep(0.2)


def _watch(sfn: SFNClient, execution: str, control: Control, progress: Progress | None) -> None:
    pause = 0.1
    while sfn.describe_execution(executionArn=execution)["status"] == "RUNNING":
        if progress:
            progress(_snapshot(sfn, execution, control))
        time.sleep(pause)
        pause = min(1.0, pause * 1.2)


def _snapshot(sfn: SFNClient, execution: str, control: Control) -> Snapshot:
    newest = sfn.get_execution_history(executionArn=execution, reverseOrder=True, maxResults=1000)["events"]
    newest.sort(key=lambda event: event["id"], reverse=True)  # the embedded interpreter overlooks reverseOrder
    names = [event["stateEnteredEventDetails"]["name"] for event in newest if "stateEnteredEventDetails" in event]
    chunks = control.chunks()
    return Snapshot(
        names[0] if names else "Plan",
        len(chunks),
        sum(chunk.done for chunk in chunks),
        sum(chunk.rows for chunk in chunks),
        sum(segment.rows for segment in control.segments()),
    )


def _result(sfn: SFNClient, execution: str, control: Control, batch: Batch, seconds: float) -> RunResult:
    described = sfn.describe_execution(executionArn=execution)
    pages = sfn.get_paginator("get_execution_history").paginate(executionArn=execution)
    events = [event for page in pages for event in page["events"]]
    definition = sfn.describe_state_machine_for_execution(executionArn=execution)["definition"]
    record = control.record() or Record(control.run, batch.batch, "failed", execution)
    status = record.status
    if described["status"] != "SUCCEEDED":
        status = "failed"
        ended = described.get("cause") or f"the execution ended as {described['status']}"
        record.cause = record.cause or "; ".join(filter(None, [first_failure(events), ended]))
    elif status not in ("skipped", "succeeded", "succeeded with rejections"):
        status, record.cause = "failed", f"the execution succeeded, but the record says {record.status}"
    return RunResult(
        record, status, seconds, state_times(events, definition, described["status"]),
        tuple(control.rejections(SHOWN_REJECTIONS)), None, definition, list_visits(events),
        tuple(Work(f"chunk {of.id}", of.rows, of.began, of.ended) for of in control.chunks()),
        tuple(Work(f"segment {of.id}", of.rows, of.began, of.ended) for of in control.segments()),
    )  # fmt: skip


def _write(result: RunResult, folder: Path) -> RunResult:
    """Write the run's folder: record.json, report.html, and all of rejections.jsonl and unprocessed.jsonl, if any."""
    folder.mkdir(parents=True, exist_ok=True)
    result = msgspec.structs.replace(result, folder=folder)
    (folder / "record.json").write_text(json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    control = Control(result.record.run)
    if result.rejections:
        _write_lines(folder / "rejections.jsonl", control.walk_rejections())
    if result.status == "failed" and (unprocessed := control.unprocessed()):
        _write_lines(folder / "unprocessed.jsonl", unprocessed)
    write_report(result, folder)
    return result


def _write_lines(path: Path, rejections: Iterable[Rejection]) -> None:
    with path.open("wb") as file:
        file.writelines(msgspec.json.encode(rejection) + b"\n" for rejection in rejections)


def _machine_arn() -> str:
    arn = os.environ.get("DATAOPS_STATE_MACHINE_ARN")
    if not arn:
        raise Permanent("DATAOPS_STATE_MACHINE_ARN: expected the state machine's ARN, found nothing")
    return arn
