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
from dataops.core.normalize import Codec, Rejection
from dataops.core.records import Chunk, Verification, pack_key, unpack_key
from dataops.core.staging import staging_name
from dataops.core.task import Task, pack_cursor, unpack_cursor
from dataops.errors import Unaccounted

MAX_ATTEMPTS = 3
"""Times that a chunk is copied while its source keeps changing, before the run gives up."""


def verify_source(task: Task, until: Callable[[], bool]) -> list[int] | None:
    """Read every chunk of the source again and compare it with what its copy recorded.

    Gives the chunks that have drifted since they were copied, or None when the time ran short before the end.
    Raises Unaccounted when a chunk has drifted too often.
    """
    drifted = []
    reader, codec = task.source_reader(), task.codec
    for chunk in task.control.chunks():
        if chunk.verified:
            continue
        if until():
            return None
        if not chunk.drifted:
            chunk.drifted = not _still_the_same(task, chunk, reader, codec)
            chunk.drifts += chunk.drifted
            chunk.verified = not chunk.drifted
            task.control.save_chunk(chunk)
        if chunk.drifted:
            drifted.append(chunk.id)
            if chunk.drifts >= MAX_ATTEMPTS:
                raise Unaccounted(
                    f"source {task.plan.source.name}: chunk {chunk.id} changed each of the {MAX_ATTEMPTS} times it was "
                    "copied; run when the table is quieter, or read from a replica"
                )
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


def _still_the_same(task: Task, chunk: Chunk, reader: PlainReader, codec: Codec) -> bool:
    """Whether the chunk reads as it did. What DynamoDB itself refused counts as an item here: it had been offered."""
    again = Chunk(chunk.id)
    after, upto, limit = unpack_key(chunk.lower), unpack_key(chunk.upper), task.plan.page_rows
    page = reader.read(after, upto, limit)
    while page:
        results = [codec.encode(row) for row in page]
        items = [result for result in results if isinstance(result, dict)]
        again.rows += len(page)
        again.items += len(items)
        again.rejected += sum(isinstance(result, Rejection) for result in results)
        again.digest = add_digest(again.digest, (canonical_item(item, codec.attributes) for item in items))
        page = reader.read(reader.key_of(page[-1]), upto, limit)
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
