"""Rds To Dynamodb: copy one chunk, page by page, from its cursor on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from dataops.batch import key_name
from dataops.core.digest import add_digest, canonical_item
from dataops.core.item import Item
from dataops.core.normalize import Rejection, Row
from dataops.core.records import Chunk, pack_key, unpack_key
from dataops.core.task import Task, pack_cursor
from dataops.core.telemetry import count
from dataops.errors import Permanent, Unaccounted, Unprocessed


def copy_chunk(task: Task, number: int, until: Callable[[], bool]) -> bool:
    """Copy a chunk's rows into DynamoDB until it is done (True) or `until` says that time runs short (False).

    After each page the chunk's record is overwritten with cursor, counts and digest so far: a repeated call goes on
    from there and repeats at most one page.
    """
    chunk = task.control.chunk(number)
    if chunk.drifted:
        chunk = chunk.begin_again()
    reader, limit = task.source_reader(), task.page_rows
    chunk.began = chunk.began or time.time()
    while not chunk.done:
        task.control.require_wanted()
        page = reader.read(unpack_key(chunk.cursor or chunk.lower), unpack_key(chunk.upper), limit)
        _copy_page(task, chunk, page)
        chunk.done = not page
        if page:
            chunk.cursor = pack_key(reader.key_of(page[-1]))
        chunk.ended = time.time()
        task.control.save_chunk(chunk)
        if until():
            break
    return chunk.done


def _copy_page(task: Task, chunk: Chunk, page: list[Row]) -> None:
    codec, emptied = task.codec, Counter(chunk.emptied)
    results = [codec.encode(row, emptied) for row in page]
    stamped = [(row, result) for row, result in zip(page, results, strict=True) if isinstance(result, dict)]
    stamp = {task.plan.batch.stamp: {"N": str(task.plan.stamp_of(chunk.id, chunk.attempt))}}
    before = replace(task.shared_dynamodb.used)
    try:
        refused = {fault.place: fault.reason for fault in task.writer.write([item | stamp for _, item in stamped])}
    except Unprocessed as error:
        task.control.save_unprocessed(chunk, [codec.key_of(stamped[place][0]) for place in error.places])
        raise
    rejections = [result for result in results if isinstance(result, Rejection)]
    rejections += [Rejection(codec.key_of(stamped[place][0]), "", reason) for place, reason in refused.items()]
    task.control.save_rejections(chunk, chunk.rejected, rejections)
    used = task.shared_dynamodb.used.since(before)
    chunk.write_units, chunk.throttles = chunk.write_units + used.write_units, chunk.throttles + used.throttles
    chunk.retries += used.retries
    dropped = sum(result is None for result in results)
    chunk.rows += len(page)
    chunk.rejected += len(rejections)
    chunk.dropped += dropped
    count(rows=len(page), items=len(stamped) - len(refused), rejected=len(rejections), dropped=dropped)
    chunk.emptied = dict(emptied)
    _count_items(task, chunk, [item for place, (_, item) in enumerate(stamped) if place not in refused])
    _count_refused(task, chunk, [stamped[place][1] for place in refused])


def _count_refused(task: Task, chunk: Chunk, items: list[Item]) -> None:
    chunk.refused += len(items)
    chunk.refused_digest = add_digest(
        chunk.refused_digest, (canonical_item(item, task.codec.attributes) for item in items)
    )


def _count_items(task: Task, chunk: Chunk, items: list[Item]) -> None:
    chunk.items += len(items)
    chunk.digest = add_digest(chunk.digest, (canonical_item(item, task.codec.attributes) for item in items))
    index = task.plan.batch.read_index
    if index or task.query_value:
        name = key_name(index.partition_key) if index else task.key_names[0]
        partitions = Counter(chunk.partitions)
        partitions.update(
            pack_cursor({name: item[name]}) or "" for item in items if index or item[name] == task.query_value
        )
        chunk.partitions = dict(partitions)
        task.require_few(partitions)


def account_rows(task: Task) -> None:
    """Check that every row that was read became an item, a rejection or was dropped.

    Raises Unaccounted when they do not add up in every chunk, Permanent when rows were rejected and the batch says
    `on_reject: fail`: nothing has been published yet.
    """
    chunks = task.control.chunks()
    rejected = sum(chunk.rejected for chunk in chunks)
    if not all(chunk.done for chunk in chunks):
        raise Permanent("some chunks were never copied to their end; run again")
    for chunk in chunks:
        if chunk.rows != chunk.items + chunk.rejected + chunk.dropped:
            raise Unaccounted(
                f"source {task.plan.source.name}: chunk {chunk.id}: {chunk.rows:,} rows read, but {chunk.items:,} items "
                f"+ {chunk.rejected:,} rejected + {chunk.dropped:,} dropped"
            )
    if rejected and task.plan.batch.on_reject == "fail":
        faults = Counter((fault.column, fault.reason) for fault in task.control.rejections(limit=1000))
        (column, reason), _ = faults.most_common(1)[0]
        what = f"{column} {reason}" if column else reason
        raise Permanent(
            f"source {task.plan.source.name}: {rejected:,} rows were rejected, most often because {what}; the report "
            "lists them; correct them, or say on_reject: continue"
        )
