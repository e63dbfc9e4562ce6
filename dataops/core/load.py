"""Dynamodb To Rds: read one segment of the items back and load it into staging."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from dataops.batch import Index, key_name
from dataops.core.dynamodb import GET_KEYS, Page, Used, get_items, key_of, query_page, scan_page
from dataops.core.item import Item, canonical_attribute
from dataops.core.records import Segment, Verification
from dataops.core.staging import create_staging, load_rows
from dataops.core.task import Task, pack_cursor, unpack_cursor
from dataops.core.telemetry import count
from dataops.errors import Retryable

INDEX_POLLS = 30
"""Times that an index is read again until it shows all items that were written; it is eventually consistent."""


def prepare_staging(task: Task) -> list[int]:
    """An empty staging table and the segments to load it by; gives the segments' numbers."""
    create_staging(task.target_connection, task.plan)
    task.control.save_verification(Verification())
    by_partition = task.plan.batch.read_index or task.query_value
    partitions = sorted(_expected(task)) if by_partition else []
    count = max(1, min(task.plan.workers, len(partitions)) if by_partition else task.plan.workers)
    for number in range(count):
        task.require_few(partitions[number::count])
        task.control.save_segment(Segment(number, partitions[number::count]))
    return list(range(count))


def load_segment(task: Task, number: int, until: Callable[[], bool]) -> bool:
    """Load a segment into staging until it is done (True) or the time runs short (False).

    After each page the segment's record is overwritten; a repeated call loads at most one page again, which is
    harmless.
    """
    segment, columns = task.control.segment(number), task.target_columns()
    current, codec, connection = task.current_stamps(), task.codec, task.target_connection
    segment.began, before = segment.began or time.time(), Used()
    for items in () if segment.done else _pages(task, segment):
        task.control.require_wanted()
        for item in items:
            task.require_current(item, current)
        load_rows(connection, task.plan, columns, [codec.decode(item) for item in items])
        segment.rows += len(items)
        count(loaded=len(items))
        used, before = task.shared_dynamodb.used.since(before), replace(task.shared_dynamodb.used)
        segment.read_units, segment.throttles = segment.read_units + used.read_units, segment.throttles + used.throttles
        segment.retries += used.retries
        segment.ended = time.time()
        task.control.save_segment(segment)
        if until():
            break
    return segment.done


def _pages(task: Task, segment: Segment) -> Iterator[list[Item]]:
    """The segment's items from its cursor on; the cursor is moved, and `done` set, before each page is given."""
    index = task.plan.batch.read_index
    if index:
        yield from _index_pages(task, segment, index)
    elif task.query_value:
        yield from _query_pages(task, segment)
    else:
        yield from _scan_pages(task, segment)


def _scan_pages(task: Task, segment: Segment) -> Iterator[list[Item]]:
    batch, segments = task.plan.batch, len(task.control.segments())
    while not segment.done:
        cursor = unpack_cursor(segment.cursor)
        page = scan_page(
            task.shared_dynamodb, batch.dynamodb.table, batch.stamp, cursor, segment=segment.id, segments=segments
        )
        segment.cursor, segment.done = pack_cursor(page.cursor), page.cursor is None
        yield page.items


def _query_pages(task: Task, segment: Segment) -> Iterator[list[Item]]:
    batch = task.plan.batch
    assert task.query_value is not None
    while not segment.done:
        cursor = unpack_cursor(segment.cursor)
        page = query_page(task.shared_dynamodb, batch.dynamodb.table, task.key_names[0], task.query_value, cursor)
        segment.cursor, segment.done = pack_cursor(page.cursor), page.cursor is None
        yield [item for item in page.items if batch.stamp in item]


def _index_pages(task: Task, segment: Segment, index: Index) -> Iterator[list[Item]]:
    """The current items of one partition after the other; each is read again until it shows as many as were written.

    What a reading that came too early has found is given, too: it is loaded again by the next.
    """
    expected, current, polls = _expected(task), task.current_stamps(), 0
    segment.done = not segment.partitions
    while not segment.done:
        partition = segment.partitions[segment.place]
        page = _index_page(task, index, partition, unpack_cursor(segment.cursor))
        items = [item for item in page.items if _stamp(task, item) in current]
        segment.cursor, segment.found = pack_cursor(page.cursor), segment.found + len(items)
        if page.cursor is None and segment.found == expected[partition]:
            segment.place, segment.found, polls = segment.place + 1, 0, 0
            segment.done = segment.place == len(segment.partitions)
        elif page.cursor is None:
            polls += 1
            _wait_for_index(index, expected[partition], segment.found, polls)
            segment.rows, segment.found = segment.rows - segment.found, 0
        yield items


def _wait_for_index(index: Index, expected: int, found: int, polls: int) -> None:
    if polls == INDEX_POLLS:
        raise Retryable(
            f"index {index.name}: expected {expected:,} items in a partition, found {found:,} "
            f"after {INDEX_POLLS} readings"
        )
    time.sleep(random.uniform(0, min(5.0, 0.1 * 2**polls)))  # noqa: S311 - jitter, not a secret


def _index_page(task: Task, index: Index, partition: str, cursor: Item | None) -> Page:
    """One page of a partition of an index: whole items, which are read by key where the index does not hold them.

    An item that the index still shows here, but that has moved to another partition since, is none of them.
    """
    table, name = task.plan.batch.dynamodb.table, key_name(index.partition_key)
    value = (unpack_cursor(partition) or {})[name]
    if index.projection == "ALL":
        return query_page(task.shared_dynamodb, table, name, value, cursor, index=index.name)
    page = query_page(task.shared_dynamodb, table, name, value, cursor, index=index.name, limit=GET_KEYS)
    keys, here = [key_of(item, task.key_names) for item in page.items], canonical_attribute(value)
    items = get_items(task.shared_dynamodb, table, keys)
    return Page([item for item in items if name in item and canonical_attribute(item[name]) == here], page.cursor)


def _stamp(task: Task, item: Item) -> str | None:
    stamp = item.get(task.plan.batch.stamp)
    return None if stamp is None else stamp.get("N")


def _expected(task: Task) -> Counter[str]:
    """How many items were written into each partition that is read."""
    total: Counter[str] = Counter()
    for chunk in task.control.chunks():
        total.update(chunk.partitions)
    return total
