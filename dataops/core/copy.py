"""Rds To Dynamodb: copy one chunk, page by page, from its cursor on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace

from dataops.batch import key_name
from dataops.core.digest import add_digest, sum_digests
from dataops.core.pace import PageSize
from dataops.core.page import EncodedPage
from dataops.core.records import Chunk, Rejection, pack_key, unpack_key
from dataops.core.rowcode import why_plain
from dataops.core.stopwatch import Stopwatch
from dataops.core.task import Task, pack_cursor
from dataops.core.telemetry import count
from dataops.errors import Unprocessed

TELL_SECONDS = 1.0
"""How often at most a copy tells how far it is, and asks whether its run is still wanted."""


def copy_chunk(task: Task, number: int, until: Callable[[], bool]) -> bool:
    """Copy a chunk's rows into DynamoDB until it is done (True) or `until` says that time runs short (False).

    Between pages, once a second at most, and at the end the chunk's record is overwritten with cursor, counts and
    digest so far: a repeated call goes on from there and repeats no more than what came after it.
    """
    stopwatch, chunk = Stopwatch(), task.control.chunk(number)
    if chunk.drifted:
        chunk = chunk.begin_again()
    source = task.source_pages()
    size = PageSize(task.page_rows, source.most_rows if task.shared_dynamodb.writes.most is None else 0)
    chunk.began, told, short = chunk.began or time.time(), -TELL_SECONDS, False
    while not (chunk.done or short):
        began = time.monotonic()
        if began - told >= TELL_SECONDS:
            task.control.require_wanted()
            told = began
        page = source.read(unpack_key(chunk.cursor or chunk.lower), unpack_key(chunk.upper), size.rows)
        _copy_page(task, chunk, page)
        size.learn(time.monotonic() - began)
        chunk.done = page.key is None
        if page.key:
            chunk.cursor = pack_key(page.key)
        del page  # the next one takes its memory
        short = until()
        if chunk.done or short or time.monotonic() - told >= TELL_SECONDS:
            chunk.ended, chunk.spent = time.time(), stopwatch.add_to(chunk.spent)
            task.control.save_chunk(chunk)
    return chunk.done


def _copy_page(task: Task, chunk: Chunk, page: EncodedPage) -> None:
    before = replace(task.shared_dynamodb.used)
    refused = _write_page(task, chunk, page)
    rejections = page.rejections + [
        Rejection(task.codec.key_of(page.row_of(place)), "", reason) for place, reason in refused.items()
    ]
    task.control.save_rejections(chunk, chunk.rejected, rejections)
    used = task.shared_dynamodb.used.since(before)
    chunk.write_units, chunk.throttles = chunk.write_units + used.write_units, chunk.throttles + used.throttles
    chunk.retries += used.retries
    chunk.rows += page.rows
    chunk.rejected += len(rejections)
    chunk.dropped += page.dropped
    items = len(page.texts) - len(refused)
    count(rows=page.rows, items=items, rejected=len(rejections), dropped=page.dropped)
    chunk.emptied = dict(Counter(chunk.emptied) + page.emptied)
    chunk.items += items
    chunk.refused += len(refused)
    turned_away = add_digest("0", [page.texts[place] for place in refused])
    chunk.refused_digest = sum_digests([chunk.refused_digest, turned_away])
    chunk.digest = sum_digests([chunk.digest, page.digest], less=turned_away)
    chunk.plain = dict(Counter(chunk.plain) + _plain_rows(task, page))
    _count_partitions(task, chunk, page, refused)


def _plain_rows(task: Task, page: EncodedPage) -> Counter[str]:
    """The page's rows that did not go the fast way, by the reason."""
    reading, writing = why_plain(task.codec), task.why_written_plainly
    rows = Counter(
        {f"read one by one: {reading}": page.rows} if reading else {"read one by one: an unusual row": page.unusual}
    )
    return rows + Counter({f"written by boto3: {writing}": len(page.texts)} if writing else {})


def _write_page(task: Task, chunk: Chunk, page: EncodedPage) -> dict[int, str]:
    """Write the items with their stamp; gives the places of those that DynamoDB refused, with its reason."""
    stamp = {task.plan.batch.stamp: {"N": str(task.plan.stamp_of(chunk.id, chunk.attempt))}}
    try:
        if task.sender:
            return dict(task.sender.write(page.texts, stamp))
        return dict(task.writer.write([item | stamp for item in page.all_items()]))
    except Unprocessed as error:
        task.control.save_chunk(chunk)  # the rows are of the page that begins here
        task.control.save_unprocessed(chunk, [task.codec.key_of(page.row_of(place)) for place in error.places])
        raise


def _count_partitions(task: Task, chunk: Chunk, page: EncodedPage, refused: Collection[int]) -> None:
    """Where the target reads by query or index, count the items written by partition."""
    index = task.plan.batch.read_index
    if index or task.query_value:
        name = key_name(index.partition_key) if index else task.key_names[0]
        partitions = Counter(chunk.partitions)
        items = (item for place, item in enumerate(page.all_items()) if place not in refused)
        partitions.update(
            pack_cursor({name: item[name]}) or "" for item in items if index or item[name] == task.query_value
        )
        chunk.partitions = dict(partitions)
        task.require_few(partitions)
