"""Reconcile: source, DynamoDB and staging hold the same rows, or the run is not published.

The copy records a digest of every chunk as it writes it. One half reads the source again, by the plain reader and
through the same transform, and compares chunk by chunk; the other sums all items in DynamoDB against the same
digests, and what they decode to against the rows in staging.
"""

from __future__ import annotations

from collections.abc import Callable

from dataops.core.digest import add_digest, canonical_item, canonical_row, sum_digests
from dataops.core.dynamodb import scan_page
from dataops.core.mysql import PlainReader, quote_table
from dataops.core.records import Chunk, Rejection, Verification, pack_key, unpack_key
from dataops.core.staging import staging_name
from dataops.core.task import Task, pack_cursor, unpack_cursor
from dataops.errors import Permanent, Unaccounted

MAX_ATTEMPTS = 3
"""Times that a chunk is copied while its source keeps changing, before the run gives up."""


def take_snapshot(task: Task, until: Callable[[], bool]) -> None:
    """For `consistency: snapshot`, make every chunk's items those of one instant of the source.

    In one snapshot every chunk is read, and those that have changed since they were copied are copied again from it.
    Interrupted, it begins anew. Raises Permanent when it is not done before the time runs short.
    """
    chunks = task.control.chunks()
    if task.plan.batch.source.consistency != "snapshot" or all(chunk.verified for chunk in chunks):
        return
    with task.source_snapshot() as instant:
        record = task.control.record()
        assert record is not None
        record.as_of = instant
        task.control.save_record(record)
        for chunk in chunks:
            _copy_changed(task, chunk, until)


def _copy_changed(task: Task, chunk: Chunk, until: Callable[[], bool]) -> None:
    """Copy a chunk again unless it still reads as it did when it was copied."""
    from dataops.core.copy import copy_chunk  # only a snapshot copies

    source, reader = task.plan.source.name, task.source_reader()
    for _ in range(MAX_ATTEMPTS):
        if chunk.done and _verify_chunk(task, chunk, reader, until):
            return
        if until() or not copy_chunk(task, chunk.id, until):
            raise Permanent(
                f"source {source}: is too large to be read in one snapshot within a function's time-out; read from a "
                "replica while its replication is stopped"
            )
        chunk = task.control.chunk(chunk.id)
    raise Permanent(f"source {source}: changes within a snapshot; expected an engine that has them (InnoDB)")


def verify_source(task: Task, until: Callable[[], bool]) -> list[int] | None:
    """Read every chunk of the source again, each in a snapshot, and compare it with what its copy recorded.

    Gives the chunks that have drifted since they were copied, or None when the time ran short before the end.
    Raises Unaccounted when a chunk has drifted too often.
    """
    drifted = []
    reader = task.source_reader()
    for chunk in task.control.chunks():
        if chunk.verified:
            continue
        if not chunk.drifted:
            with task.source_snapshot():
                _verify_chunk(task, chunk, reader, until)
        if chunk.drifted:
            drifted.append(chunk.id)
            if chunk.drifts >= MAX_ATTEMPTS:
                raise Unaccounted(
                    f"source {task.plan.source.name}: chunk {chunk.id} changed each of the {MAX_ATTEMPTS} times it was "
                    "copied; run when the table is quieter, or with source.consistency: snapshot"
                )
        elif not chunk.verified:
            return None
    return drifted


def verify_staging(task: Task, until: Callable[[], bool]) -> bool:
    """Compare the items in DynamoDB with what the copy recorded, and with the staging table's rows.

    True when they agree, False when the time ran short. Raises Unaccounted when they differ.
    """
    progress = task.control.verification()
    if not _sum_items(task, progress, until) or not _sum_staging(task, progress, until):
        task.control.save_verification(progress)
        return False
    chunks = task.control.chunks()
    copied, digest = sum(chunk.items for chunk in chunks), sum_digests(chunk.digest for chunk in chunks)
    if (progress.items, progress.items_digest) != (copied, digest):
        raise Unaccounted(
            f"DynamoDB table {task.plan.batch.dynamodb.table}: expected the {copied:,} items that were copied, found "
            f"{progress.items:,} items{' of other content' if progress.items == copied else ''}"
        )
    if (progress.staging_rows, progress.staging_digest) != (progress.in_scope, progress.rows_digest):
        raise Unaccounted(
            f"staging table of {task.plan.target.name}: expected {progress.in_scope:,} rows as in DynamoDB, found "
            f"{progress.staging_rows:,}{' of other content' if progress.staging_rows == progress.in_scope else ''}"
        )
    return True


def _verify_chunk(task: Task, chunk: Chunk, reader: PlainReader, until: Callable[[], bool]) -> bool:
    """Whether the chunk reads as it did: recorded as verified or drifted, unless the time ran short."""
    same = _reads_the_same(task, chunk, reader, until)
    if same is not None:
        chunk.verified, chunk.drifted = same, not same
        chunk.drifts += chunk.drifted
        task.control.save_chunk(chunk)
    return bool(same)


def _reads_the_same(task: Task, chunk: Chunk, reader: PlainReader, until: Callable[[], bool]) -> bool | None:
    """What DynamoDB itself refused counts as an item here: it had been offered. None when the time ran short."""
    again, codec = Chunk(chunk.id), task.codec
    upto, limit = unpack_key(chunk.upper), task.plan.page_rows
    after = unpack_key(chunk.lower)
    while not until():
        page = reader.read(after, upto, limit)
        if not page:
            break
        results = [codec.encode(row) for row in page]
        items = [result for result in results if isinstance(result, dict)]
        again.rows += len(page)
        again.items += len(items)
        again.rejected += sum(isinstance(result, Rejection) for result in results)
        again.digest = add_digest(again.digest, (canonical_item(item, codec.attributes) for item in items))
        after = reader.key_of(page[-1])
    else:
        return None
    offered = sum_digests([chunk.digest, chunk.refused_digest])
    expected = (chunk.rows, chunk.items + chunk.refused, chunk.rejected - chunk.refused, offered)
    return (again.rows, again.items, again.rejected, again.digest) == expected


def _sum_items(task: Task, progress: Verification, until: Callable[[], bool]) -> bool:
    codec, table, stamp = task.codec, task.plan.batch.dynamodb.table, task.plan.batch.stamp
    current = task.current_stamps()
    while not progress.scanned:
        if until():
            return False
        page = scan_page(task.dynamodb, table, stamp, unpack_cursor(progress.cursor))
        for item in page.items:
            task.require_current(item, current)
        inside = [item for item in page.items if task.in_scope(item)]
        progress.items += len(page.items)
        progress.items_digest = add_digest(
            progress.items_digest, (canonical_item(item, codec.attributes) for item in page.items)
        )
        progress.in_scope += len(inside)
        columns = task.target_columns()
        progress.rows_digest = add_digest(
            progress.rows_digest, (canonical_row(codec.decode(item), columns) for item in inside)
        )
        progress.cursor, progress.scanned = pack_cursor(page.cursor), page.cursor is None
    return True


def _sum_staging(task: Task, progress: Verification, until: Callable[[], bool]) -> bool:
    columns, target, limit = task.target_columns(), task.plan.target, task.plan.page_rows
    assert target.row_key is not None
    key = [target.column(name) for name in target.row_key.columns]
    read = (*columns, *(column for column in key if column not in columns))
    table = quote_table(target.database, staging_name(task.plan))
    reader = PlainReader(task.target_connection, table, read, key, None)
    while True:
        if until():
            return False
        page = reader.read(unpack_key(progress.staging_cursor), None, limit)
        progress.staging_rows += len(page)
        progress.staging_digest = add_digest(
            progress.staging_digest, (canonical_row(row[: len(columns)], columns) for row in page)
        )
        if page:
            progress.staging_cursor = pack_key(reader.key_of(page[-1]))
        else:
            return True
