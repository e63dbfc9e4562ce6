"""Leases: one execution at a time writes for a batch, and who has ended loses its own only when nothing can come any more."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

from dataops.core.aws import aws_client
from dataops.core.control import Control
from dataops.core.flow_control import FlowControl
from dataops.errors import LeaseHeld, Retryable

SLACK_SECONDS = 30
REPAIR, REPAIR_SECONDS = "repair", 900
"""What the lease of a repair begins with, `repair:<epoch>:<name>`, and how long it holds without being renewed."""


def take_lease(control: Control, batch: str, execution: str, function_seconds: int) -> None:
    """Take the batch's lease for this execution, from an ended one if need be. Raises LeaseHeld.

    `function_seconds` is the longest that a function may run: so long after its end an execution may still write.
    """
    holder = control.take_lease(batch, execution)
    if holder is None:
        return
    run = name_of(holder) if holder.startswith(f"{REPAIR}:") else control.leased_run(batch) or name_of(holder)
    waited = _seconds_since_end(holder)
    if waited is None:
        why = f"run {run} is running" if run == name_of(holder) else f"flow {name_of(holder)} is to publish run {run}"
        raise LeaseHeld(f"batch {batch}: {why}; wait for its end, or stop it")
    left = function_seconds + SLACK_SECONDS - waited
    if left > 0:
        raise LeaseHeld(
            f"batch {batch}: run {run} was cut off, and its last function may still write for {left:.0f} "
            "seconds; run again after that"
        )
    _mark_cut_off(run, holder)
    control.take_over(batch, execution, holder)


def require_running(flow: str) -> None:
    """Raises LeaseHeld when the execution that is to be handed a lease has ended."""
    if _seconds_since_end(flow) is not None:
        raise LeaseHeld(f"flow {name_of(flow)}: its execution has ended, so nobody would publish this run")


def name_of(execution: str) -> str:
    """The name of an execution (ARN) or repair."""
    return execution.rpartition(":")[2]


def _mark_cut_off(run: str, holder: str) -> None:
    """Say in the record of a run that has ended without a word that it was cut off; and in its flow's, if that held it.

    Asked to stop, it writes nothing more should somebody redrive its execution.
    """
    control, flow = Control(run), FlowControl(name_of(holder))
    control.ask_to_stop()
    if (whole := flow.record_of_flow()) and whole.status in ("running", "published"):
        whole.status, whole.cause = "cut off", "its execution ended without a word"
        flow.save_flow(whole)
    record = control.record()
    if record is None or record.status not in ("running", "verified", "published"):
        return
    record.status = "cut off"
    what = "was closed; the new rows are in place" if record.published else "rolled back or recorded that it published"
    record.cause = f"its execution ended before the run {what}"
    control.save_record(record)


def _seconds_since_end(execution: str) -> float | None:
    """Seconds since an execution's stop by Step Functions' own clock; None while it, or a repair, runs."""
    if execution.startswith(f"{REPAIR}:"):
        return None if Control("").now() - float(execution.split(":")[1]) < REPAIR_SECONDS else float("inf")
    from botocore.exceptions import BotoCoreError, ClientError

    reply: Any
    try:
        reply = aws_client("stepfunctions").describe_execution(executionArn=execution)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
            return float("inf")
        raise Retryable(f"Step Functions: {error.response['Error']['Code']}") from error
    except BotoCoreError as error:
        raise Retryable(f"Step Functions: no answer ({type(error).__name__})") from error
    if reply["status"] in ("RUNNING", "PENDING_REDRIVE"):
        return None
    now = parsedate_to_datetime(reply["ResponseMetadata"]["HTTPHeaders"]["date"])
    return float((now - reply["stopDate"]).total_seconds())
