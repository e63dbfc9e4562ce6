"""Publish, Close Run and Roll Back: how a run ends."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from dataops.core.aws import aws_client
from dataops.core.connection import open_connection
from dataops.core.control import Control
from dataops.core.mysql import errors_located, execute, quote_table
from dataops.core.records import Plan, Record
from dataops.core.staging import (
    count_published,
    count_rows,
    count_staging,
    draft_name,
    drop_leftovers,
    drop_old,
    exists,
    is_published,
    merge,
    only_publisher,
    swap,
)
from dataops.core.stopwatch import sum_spent
from dataops.core.telemetry import count, label, log
from dataops.errors import DataOpsError, StillPublishing, Unaccounted

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from dataops.core.task import Task

IN_PLACE = "the new rows are in place, only what follows failed"


def publish(task: Task) -> None:
    """Make the verified staging table the target, atomically, and record how many rows it has.

    Raises Unaccounted before anything changes when rows do not add up, Cancelled when somebody asked for the run to
    stop before the target had changed. May be repeated.
    """
    plan, connection = task.plan, task.target_connection
    record = summarize(task)
    with errors_located(f"target {plan.target.name}: publishing"), only_publisher(connection, plan):
        if not record.published:
            _publish_once(task, record)
        drop_old(connection, plan)


def _publish_once(task: Task, record: Record) -> None:
    plan, connection = task.plan, task.target_connection
    if not is_published(connection, plan):
        require_accounted(record, connection, plan)
        task.control.require_wanted()
        _publish(task)
    record_published(task.control, record, connection, plan)


def _publish(task: Task) -> None:
    plan = task.plan
    if plan.batch.target.mode == "swap":
        swap(task.target_connection, [plan])
    else:
        merge(task.target_connection, plan, task.target_columns(), task.in_partition("t."))


def record_published(control: Control, record: Record, connection: Connection, plan: Plan) -> None:
    """Keep that the new rows are in place, before what shows it beside the target is dropped."""
    record.status, record.published, record.target_rows = "published", True, count_published(connection, plan)
    control.save_record(record)


def roll_back(run: str, execution: str, error: str, cause: str) -> Record:
    """Undo what an unfinished run left: staging dropped, lease released, the reason recorded and notified.

    The old target was never touched, unless it is Publish itself that was cut short after its swap or merge: then the
    record says that the new rows are in place. What cannot be reached is left for the next run, which drops it; a run
    whose lease another has taken over leaves everything to that one. Raises StillPublishing while the server may yet
    complete what a killed Publish had asked of it.
    """
    control = Control(run)
    plan = control.find_plan()
    record = control.record() or Record(run, "", execution=execution)
    control.ask_to_stop()
    why = control.trouble() or cause or error
    if plan and control.lease_holder(plan.batch.batch) == execution:
        why += undo(control, record, plan)
    if plan and record.published:
        why = f"target {plan.target.name}: {IN_PLACE}: {why}"
    record.status, record.cause = "failed", why
    control.save_record(record)
    if record.batch:
        control.release_lease(record.batch, execution)
        label(batch=record.batch)
    count(runs_failed=1)
    notify(f"batch {record.batch or '?'}", run, record.cause)
    return record


def undo(control: Control, record: Record, plan: Plan) -> str:
    """Put the counts into the record and drop what the run has made; says what is left to the next run, if anything.

    Raises StillPublishing while the server may yet complete what a killed Publish had asked of it.
    """
    summarize_into(record, control, plan)
    try:
        clean_up(control, record, plan)
    except StillPublishing:
        raise
    except DataOpsError as trouble:
        return f" (and staging is left for the next run to drop: {trouble})"
    return ""


def summarize(task: Task) -> Record:
    """The run's record with the counts of all chunks in it."""
    record = task.control.record()
    assert record is not None
    return summarize_into(record, task.control, task.plan)


def summarize_into(record: Record, control: Control, plan: Plan) -> Record:
    """`record` with the counts of all chunks of the plan in it."""
    chunks = control.chunks()
    record.source_rows = sum(chunk.rows for chunk in chunks)
    record.items = sum(chunk.items for chunk in chunks)
    record.rejected = sum(chunk.rejected for chunk in chunks)
    record.dropped = sum(chunk.dropped for chunk in chunks)
    emptied: Counter[str] = Counter()
    for chunk in chunks:
        emptied.update(chunk.emptied)
    record.emptied = dict(sorted(emptied.items()))
    if plan.batch.read_query:
        record.outside = record.items - sum(sum(chunk.partitions.values()) for chunk in chunks)
    segments = control.segments()
    record.write_units = sum(chunk.write_units for chunk in chunks)
    record.read_units = sum(segment.read_units for segment in segments)
    record.throttles = sum(part.throttles for of in (chunks, segments) for part in of)
    record.retries = sum(part.retries for of in (chunks, segments) for part in of)
    left = [part.milliseconds_left for of in (chunks, segments) for part in of if part.milliseconds_left is not None]
    record.milliseconds_left = min(left, default=None)
    plain = [Counter(part.plain) for of in (chunks, segments) for part in of]
    record.plain = dict(sum(plain, Counter()))
    record.copying, record.loading = (sum_spent(part.spent for part in of) for of in (chunks, segments))
    record.stale_deleted = control.sweep().deleted
    record.created_target, record.left_out = plan.created_target, list(plan.left_out)
    return record


def require_accounted(record: Record, connection: Connection, plan: Plan) -> None:
    """Count the rows that are ready to be published. Raises Unaccounted when they do not add up."""
    record.target_rows = count_staging(connection, plan)
    if not record.adds_up:
        raise Unaccounted(
            f"run {record.run}: {record.source_rows:,} source rows, but {record.target_rows:,} in staging + "
            f"{record.rejected:,} rejected + {record.dropped:,} dropped + {record.outside:,} outside the partition read"
        )


def clean_up(control: Control, record: Record, plan: Plan) -> None:
    """Drop what the run has made, but never rows that were published; learns from the target whether they were."""
    where = f"target {plan.target.name}: rolling back"
    with (
        open_connection(plan.batch.target.secret) as connection,
        errors_located(where),
        only_publisher(connection, plan),
    ):
        if not record.published and is_published(connection, plan):
            record_published(control, record, connection, plan)
        database, name = plan.target.database, plan.target.name
        ours = plan.created_target and not exists(connection, database, draft_name(plan.batch, plan.run))
        drop_leftovers(connection, plan)
        if ours and not record.published and exists(connection, database, name):
            target = quote_table(database, name)
            if not count_rows(connection, target):
                execute(connection, f"DROP TABLE {target}")


def notify(what: str, run: str, cause: str) -> None:
    """Tell the topic, if there is one, what has failed; what is rolled back stays so when it cannot be told."""
    topic = os.environ.get("DATAOPS_TOPIC_ARN")
    if not topic:
        return
    from botocore.exceptions import BotoCoreError, ClientError

    subject = f"dataops: {what} failed"
    try:
        aws_client("sns").publish(TopicArn=topic, Subject=subject[:100], Message=f"{run}: {cause}")
    except (BotoCoreError, ClientError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        log("WARNING", f"the notification was not sent: {code}", run=run)
