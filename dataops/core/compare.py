"""Compare: what source, DynamoDB and target hold now, key by key and column by column, outside any run.

The source is walked in key order; each row is encoded into the item, and decoded into the target row, that should be
there, and these are fetched by key. Items and target rows without a source row are found by walking the two other
stores. What differs is looked at once more before it is told. Nothing is written; a page of each store is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from dataops.batch import Batch, KeyTemplate, key_columns
from dataops.core.connection import open_connection
from dataops.core.control import Control
from dataops.core.convert import Raw
from dataops.core.describe import describe_table, require_condition
from dataops.core.difference import STORES, Difference, Store, Tally
from dataops.core.digest import canonical_row
from dataops.core.dynamodb import get_items, key_of, scan_keys
from dataops.core.fit import require_dynamodb_table, require_fit, require_unique_key
from dataops.core.item import Item, canonical_attribute
from dataops.core.keys import read_template
from dataops.core.mysql import PlainReader, execute, quote_table
from dataops.core.normalize import Row, key_of_rows, key_text
from dataops.core.records import Plan
from dataops.core.schema import Column, Table
from dataops.core.staging import exists
from dataops.core.task import Task
from dataops.errors import SchemaMismatch


class _Expected(NamedTuple):
    key: dict[str, str | None]
    row: Row
    item: Item


class Comparison:
    """One comparison of a batch's three stores; `absent` are the stores that are not there at all."""

    def __init__(self, task: Task, absent: tuple[Store, ...]) -> None:
        self.task, self.absent, self.tally = task, absent, Tally()
        batch, source, target = task.plan.batch, task.plan.source, task.plan.target
        self._source = task.source_reader()
        keyed = dict.fromkeys(name for key in batch.dynamodb.keys for name in key_columns(key))
        self._item_columns = [source.column(name) for name in keyed]
        self._by_item_key = self._source_by(self._item_columns)
        self._columns = task.target_columns()
        if "target" not in absent:
            self.target_key = _matching_key(task, self._columns)
            table = quote_table(target.database, target.name)
            self._target = PlainReader(task.target_connection, table, self._columns, self.target_key, None)
            named = [column for column in self._columns if column in self.target_key or column.name in task.plan.key]
            self._walked = tuple(named)
            self._walker = PlainReader(task.target_connection, table, named, self.target_key, self._partition())

    def differences(self) -> Iterator[Difference]:
        """All differences, counted in `tally` as they are given: what is extra, then the source's rows in order."""
        found: list[Callable[[], Iterator[Difference]]] = []
        found += [] if "dynamodb" in self.absent else [self._extra_items]
        found += [] if "target" in self.absent else [self._extra_rows]
        for part in (*found, self._unlike):
            for difference in part():
                self.tally.counts[difference.store][difference.kind] += 1
                yield difference

    # --- the source's rows ---------------------------------------------------------------------------------------

    def _unlike(self) -> Iterator[Difference]:
        after, limit = None, self.task.plan.page_rows
        while page := self._source.read(after, None, limit):
            expected = self._expect(page, self.tally)
            self._count(page, expected)
            suspects = {id(of.row): of.row for of, _ in self._differ(expected)}
            if suspects:
                again = self._source.find([self._source.key_of(row) for row in suspects.values()])
                yield from (difference for _, difference in self._differ(self._expect(row for _, row in again)))
            after = self._source.key_of(page[-1])

    def _expect(self, rows: Iterable[Row], tally: Tally | None = None) -> list[_Expected]:
        """What should be there for source rows; nothing for those that are dropped or rejected, which `tally` counts."""
        codec, expected = self.task.codec, []
        for row in rows:
            item = codec.encode(row)
            if isinstance(item, dict):
                expected.append(_Expected(codec.key_of(row), row, item))
            elif tally:
                tally.rejected += item is not None
                tally.dropped += item is None
        return expected

    def _count(self, page: Sequence[Row], expected: Sequence[_Expected]) -> None:
        inside = sum(self.task.in_scope(of.item) for of in expected)
        self.tally.source_rows += len(page)
        self.tally.outside += len(expected) - inside
        self.tally.expected["dynamodb"] += len(expected)
        self.tally.expected["target"] += inside
        if "dynamodb" in self.absent:
            self.tally.counts["dynamodb"]["missing"] += len(expected)
        if "target" in self.absent:
            self.tally.counts["target"]["missing"] += inside

    def _differ(self, expected: Sequence[_Expected]) -> Iterator[tuple[_Expected, Difference]]:
        if "dynamodb" not in self.absent:
            yield from self._items_differ(expected)
        if "target" not in self.absent:
            yield from self._rows_differ([of for of in expected if self.task.in_scope(of.item)])

    def _items_differ(self, expected: Sequence[_Expected]) -> Iterator[tuple[_Expected, Difference]]:
        found = {self._item_key(item): item for item in self._get_items(of.item for of in expected)}
        for of in expected:
            item = found.get(self._item_key(of.item))
            if item is None:
                yield of, Difference("dynamodb", "missing", of.key, expected=of.item)
            elif columns := self._unlike_attributes(of.item, item):
                cells = tuple((of.item.get(name), item.get(name)) for name in columns)
                yield of, Difference("dynamodb", "different", of.key, columns, of.item, item, cells)

    def _unlike_attributes(self, expected: Item, found: Item) -> tuple[str, ...]:
        """The batch's own attributes that differ; the stamp and what others have added are none of them."""
        return tuple(
            name
            for name in self.task.codec.attributes
            if canonical_attribute(expected.get(name)) != canonical_attribute(found.get(name))
        )

    def _rows_differ(self, expected: Sequence[_Expected]) -> Iterator[tuple[_Expected, Difference]]:
        rows = [self.task.codec.decode(of.item) for of in expected]
        found = dict(self._target.find([self._target_key_of(row) for row in rows]))
        for place, (of, row) in enumerate(zip(expected, rows, strict=True)):
            there = found.get(place)
            if there is None:
                yield of, Difference("target", "missing", of.key, expected=row)
                continue
            pairs = zip(self._columns, zip(row, there, strict=True), strict=True)
            if cells := {column.name: two for column, two in pairs if not _same(column, *two)}:
                key = self._target_key_of(there)
                yield of, Difference("target", "different", of.key, tuple(cells), row, key, tuple(cells.values()))

    # --- items without a source row ------------------------------------------------------------------------------

    def _extra_items(self) -> Iterator[Difference]:
        task, cursor = self.task, None
        names, limit = (*task.key_names, *task.plan.key), task.plan.page_rows
        while True:
            page = scan_keys(task.dynamodb, task.plan.batch.dynamodb.table, names, cursor)
            self.tally.dynamodb_items += len(page.items)
            for start in range(0, len(page.items), limit):
                if suspects := self._unsourced_items(page.items[start : start + limit]):
                    whole = list(self._get_items(suspects))
                    ours = [item for item in whole if not self._is_anothers(item)]
                    self.tally.dynamodb_items -= len(whole) - len(ours)
                    for item in self._unsourced_items(ours):
                        key = {name: key_text(*item[name].values()) for name in task.key_names}
                        yield Difference("dynamodb", "extra", key, found=item)
            if page.cursor is None:
                return
            cursor = page.cursor

    def _unsourced_items(self, items: list[Item]) -> list[Item]:
        """Those for which no source row stands: looked up by the row's key as the item tells it, then by the item's."""
        for reader, keys in ((self._source, self._row_key_in), (self._by_item_key, self._item_key_in)):
            told = [key for key in map(keys, items) if key is not None]
            known = {self._item_key(of.item) for of in self._expect(row for _, row in reader.find(told))}
            items = [item for item in items if self._item_key(item) not in known]
        return items

    def _row_key_in(self, item: Item) -> Row | None:
        try:
            return tuple(self.task.codec.fields[name].load(item) for name in self.task.plan.key)
        except SchemaMismatch:
            return None

    def _item_key_in(self, item: Item) -> Row | None:
        raws: dict[str, Raw] = {}
        try:
            for key in self.task.plan.batch.dynamodb.keys:
                if isinstance(key, KeyTemplate):
                    texts = read_template(key, item[key.name]["S"]) or {}
                    raws |= {name: _raw_of(self.task.plan.source.column(name), text) for name, text in texts.items()}
                else:
                    raws[key] = self.task.codec.fields[key].load(item)
            return tuple(raws[column.name] for column in self._item_columns)
        except (SchemaMismatch, KeyError, ValueError):
            return None

    def _is_anothers(self, item: Item) -> bool:
        batch = self.task.plan.batch
        prefix = batch.stamp.removesuffix(batch.batch)
        return batch.stamp not in item and any(name.startswith(prefix) for name in item)

    # --- target rows without a source row ------------------------------------------------------------------------

    def _extra_rows(self) -> Iterator[Difference]:
        after, limit = None, self.task.plan.page_rows
        while page := self._walker.read(after, None, limit):
            self.tally.target_rows += len(page)
            if suspects := self._unsourced_rows(page):
                again = self._walker.find([self._walker.key_of(row) for row in suspects])
                for row in self._unsourced_rows([row for _, row in again]):
                    values = self._walker.key_of(row)
                    key = {column.name: key_text(raw) for column, raw in zip(self.target_key, values, strict=True)}
                    yield Difference("target", "extra", key, found=values)
            after = self._walker.key_of(page[-1])

    def _unsourced_rows(self, rows: list[Row]) -> list[Row]:
        """Those for which no source row stands; which row a key means is the target's word in the end."""
        places = {column.name: place for place, column in enumerate(self._walked)}
        ours = {column.name for column in self.task.codec.columns}
        for names in dict.fromkeys((self.task.plan.key, tuple(column.name for column in self.target_key))):
            if not rows or not (set(names) <= places.keys() and set(names) <= ours):
                continue
            reader = self._source_by([self.task.plan.source.column(name) for name in names])
            found = reader.find([tuple(row[places[name]] for name in names) for row in rows])
            expected = [of.item for of in self._expect(row for _, row in found) if self.task.in_scope(of.item)]
            keys = [self._target_key_of(self.task.codec.decode(item)) for item in expected]
            rows = self._but(rows, keys)
            if rows and keys:
                rows = self._but(rows, [self._target_key_of(row) for _, row in self._target.find(keys)])
        return rows

    def _but(self, rows: list[Row], keys: Sequence[Row]) -> list[Row]:
        """The rows of the walk that have none of the target keys."""
        known = {canonical_row(key, self.target_key) for key in keys}
        return [row for row in rows if canonical_row(self._walker.key_of(row), self.target_key) not in known]

    # --- keys ----------------------------------------------------------------------------------------------------

    def _item_key(self, item: Item) -> tuple[bytes, ...]:
        return tuple(canonical_attribute(item[name]) for name in self.task.key_names)

    def _get_items(self, items: Iterable[Item]) -> Iterator[Item]:
        keys = {self._item_key(item): key_of(item, self.task.key_names) for item in items}
        return get_items(self.task.dynamodb, self.task.plan.batch.dynamodb.table, list(keys.values()))

    def _target_key_of(self, row: Row) -> Row:
        places = {column.name: place for place, column in enumerate(self._columns)}
        return tuple(row[places[column.name]] for column in self.target_key)

    def _source_by(self, key: Sequence[Column]) -> PlainReader:
        source, batch = self.task.plan.source, self.task.plan.batch
        table = quote_table(source.database, source.name)
        return PlainReader(self.task.source_connection, table, self.task.codec.columns, key, batch.source.where)

    def _partition(self) -> str | None:
        """SQL for the one partition that the target reads, if it reads one."""
        sql, arguments = self.task.in_partition()
        return sql % tuple(map(self.task.target_connection.escape, arguments)) or None


def open_comparison(batch: Batch) -> Comparison:
    """The comparison of a batch's stores as they are now; `comparison.task` holds its connections.

    Raises SchemaMismatch where the batch does not fit what is there.
    """
    control = Control("")
    with open_connection(batch.source.secret) as connection:
        source = describe_table(connection, batch.source.table, batch.source.database)
        require_fit(batch, source, None)
        require_condition(connection, batch, source)
        require_unique_key(connection, batch, source)
    target = find_target(batch)
    generation = control.newest_generation(batch.batch) or 0
    plan = Plan("", batch, source, target or source, generation, key_of_rows(batch, source), chunks=0, workers=1)
    task = Task(control, plan)
    has_items = _has_table(task)
    if has_items:
        bare = msgspec.structs.replace(batch, dynamodb=msgspec.structs.replace(batch.dynamodb, indexes=()))
        require_dynamodb_table(task.control.client, bare, task.codec)
    there: dict[Store, bool] = {"dynamodb": has_items, "target": target is not None}
    return Comparison(task, tuple(store for store in STORES if not there[store]))


def _has_table(task: Task) -> bool:
    try:
        task.control.client.describe_table(TableName=task.plan.batch.dynamodb.table)
    except task.control.client.exceptions.ResourceNotFoundException:
        return False
    return True


def find_target(batch: Batch) -> Table | None:
    """The batch's target table as it is now; None where it is missing."""
    with open_connection(batch.target.secret) as connection:
        database = batch.target.database or execute(connection, "SELECT DATABASE()")[0][0]
        if database is None or not exists(connection, database, batch.target.table):
            return None
        return describe_table(connection, batch.target.table, database)


def _matching_key(task: Task, columns: Sequence[Column]) -> list[Column]:
    """The target's key that rows are matched by. Raises SchemaMismatch where it has none, or lacks a column."""
    target, written = task.plan.target, {column.name for column in columns}
    for column in task.codec.columns:
        if not column.generated and not target.has(column.name):
            raise SchemaMismatch(f"target.table: column '{column.name}' is not in {target.name}, so nothing compares")
    sound = [
        key.columns
        for key in target.keys
        if set(key.columns) <= written and not any(target.column(name).nullable for name in key.columns)
    ]
    if not sound:
        raise SchemaMismatch(f"target.table: {target.name} has no primary or unique key among the columns of the batch")
    names = next((key for key in sound if set(key) == set(task.plan.key)), sound[0])
    return [target.column(name) for name in names]


def _same(column: Column, expected: Raw, found: Raw) -> bool:
    return canonical_row((expected,), (column,)) == canonical_row((found,), (column,))


def _raw_of(column: Column, text: str) -> Raw:
    """The inverse of `key_text`."""
    return bytes.fromhex(text) if column.kind in ("binary", "bit") else text
