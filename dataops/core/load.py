"""Dynamodb To Rds: read one segment of the items back and load it into staging."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from dataops.batch import Index, key_name
from dataops.core.dynamodb import GET_KEYS, Page, Used, get_items, key_of, query_page, scan_page
from dataops.core.infile import TextLoader
from dataops.core.item import Item, canonical_attribute
from dataops.core.itemcode import PageFunction, PlainPage, RowTexts, join_texts, plain_page, why_items
from dataops.core.records import Segment, Verification
from dataops.core.scan import RawScan
from dataops.core.staging import create_staging, load_rows
from dataops.core.stopwatch import Stopwatch, Wait
from dataops.core.task import Task, pack_cursor, unpack_cursor
from dataops.core.telemetry import count
from dataops.errors import Retryable

UNUSUAL = "a page holds an unusual value"
GROUP_PAGES, GROUP_SECONDS = 4, 1.0
"""Pages of a scan that are loaded together, and for how long they are gathered."""
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

    After each page, or group of them, the segment's record is overwritten; a repeated call loads at most that again,
    which is harmless.
    """
    stopwatch, segment, loader = Stopwatch(), task.control.segment(number), Loader(task)
    segment.began, before = segment.began or time.time(), Used()
    for page in () if segment.done else _pages(task, segment, loader):
        task.control.require_wanted()
        rows = loader.load(page, segment)
        segment.rows += rows
        count(loaded=rows)
        used, before = task.shared_dynamodb.used.since(before), replace(task.shared_dynamodb.used)
        segment.read_units, segment.throttles = segment.read_units + used.read_units, segment.throttles + used.throttles
        segment.retries += used.retries
        segment.ended, segment.spent = time.time(), stopwatch.add_to(segment.spent)
        task.control.save_segment(segment)
        if until():
            break
    return segment.done


class Loader:
    """Writes pages of one task into staging: texts the fast way, items the plain way.

    `why_plain` says why all pages are items, None where pages of a scan become texts.
    """

    def __init__(self, task: Task) -> None:
        self._task, self._columns, self.stamps = task, task.target_columns(), task.current_stamps()
        self.why_plain = why_items(task.codec)
        if self.why_plain is None:
            self.function = PageFunction(task.codec, self._columns, task.plan.batch.stamp)
            self._texts = TextLoader(task.loading_connection, task.plan, self._columns, self.function.hexed)

    def load(self, page: list[Item] | RowTexts, segment: Segment) -> int:
        """Write a page; gives how many rows it has. The segment counts rows that go another way than the fastest."""
        if isinstance(page, RowTexts):
            self._texts.load(page.text)
            _count_plain(segment, self._texts.forbidden, page.rows)
            return page.rows
        for item in page:
            self._task.require_current(item, self.stamps)
        rows = [self._task.codec.decode(item) for item in page]
        load_rows(self._task.loading_connection, self._task.plan, self._columns, rows)
        _count_plain(segment, self.why_plain or UNUSUAL, len(rows))
        return len(rows)


def _count_plain(segment: Segment, why: str | None, rows: int) -> None:
    if why and rows:
        segment.plain = {**segment.plain, why: segment.plain.get(why, 0) + rows}


def _pages(task: Task, segment: Segment, loader: Loader) -> Iterator[list[Item] | RowTexts]:
    """The segment's items from its cursor on; the cursor is moved, and `done` set, before each page is given."""
    index = task.plan.batch.read_index
    if index:
        yield from _index_pages(task, segment, index)
    elif task.query_value:
        yield from _query_pages(task, segment)
    elif loader.why_plain:
        yield from _scan_pages(task, segment)
    else:
        yield from _text_pages(task, segment, loader)


def _scan_pages(task: Task, segment: Segment) -> Iterator[list[Item]]:
    batch, segments = task.plan.batch, len(task.control.segments())
    while not segment.done:
        cursor = unpack_cursor(segment.cursor)
        page = scan_page(
            task.shared_dynamodb, batch.dynamodb.table, batch.stamp, cursor, segment=segment.id, segments=segments
        )
        segment.cursor, segment.done = pack_cursor(page.cursor), page.cursor is None
        yield page.items


def _text_pages(task: Task, segment: Segment, loader: Loader) -> Iterator[list[Item] | RowTexts]:
    """The same pages as texts, several as one where DynamoDB gives them quickly.

    A page that holds something that the page function does not take comes as items.
    """
    batch, segments, access = task.plan.batch, len(task.control.segments()), task.shared_dynamodb
    scan, group, began = RawScan(access), list[RowTexts](), time.monotonic()
    while not segment.done:
        cursor = unpack_cursor(segment.cursor)
        body, limited = scan.read(batch.dynamodb.table, batch.stamp, cursor, segment.id, segments)
        found = loader.function.read(body, loader.stamps) or plain_page(body)
        del body
        access.spend_read(found.units, limited=limited)
        if group and isinstance(found, PlainPage):
            yield join_texts(group)
            group = []
        segment.cursor, segment.done = pack_cursor(found.cursor), found.cursor is None
        if isinstance(found, PlainPage):
            yield found.items
            continue
        group.append(found.texts)
        if segment.done or len(group) == GROUP_PAGES or time.monotonic() - began > GROUP_SECONDS:
            yield join_texts(group)
            group, began = [], time.monotonic()


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
    with Wait("dynamodb"):
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
