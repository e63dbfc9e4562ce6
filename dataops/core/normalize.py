"""Row <-> item: the normalization rules, compiled once per table from its schema. Pure.

The seed rules: `''` becomes an explicit NULL, dates and times become ISO-8601 strings, every value has one exact
form. On the way back a NULL is `''` again where the source column is NOT NULL text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from dataops.batch import Batch, Key, KeyTemplate, key_columns, key_name
from dataops.core.convert import Converter, Inexact, Raw, Value, converter_of, is_natural
from dataops.core.item import MAX_ITEM_BYTES, MAX_KEY_BYTES, Attribute, Item, Unstorable, item_size
from dataops.core.keys import compile_template
from dataops.core.records import Rejection
from dataops.core.schema import Column, Table, declared_column
from dataops.errors import SchemaMismatch

Row: TypeAlias = tuple[Raw, ...]
TransformFunction: TypeAlias = Callable[[dict[str, Value]], Mapping[str, Value] | None]

NULL: Attribute = {"NULL": True}
STAMP_RESERVE = len("_gen_") + 40 + 21
"""Bytes kept free for the stamp: its longest name and a number of up to 38 digits."""


class Reject(Exception):
    """A value has no place in the item: its column, and why."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column, self.reason = column, reason


class Codec:
    """The two ways of one batch: `encode` a source row into an item, `decode` an item into a target row.

    `columns` are the source columns in the order of the rows that `encode` takes; `attributes` are the names of the
    attributes that the batch owns; `outputs` are the columns of the rows that `decode` gives; `fields` are the ways of
    the single columns, by name.
    """

    def __init__(self, batch: Batch, source: Table, target: Table | None, transform: TransformFunction | None) -> None:
        self.columns = selected_columns(batch, source)
        added = tuple(declared_column(name, of) for name, of in batch.added_columns.items())
        self.outputs = output_columns(batch, source, target)
        self._stored = (*self.columns, *added)
        self._transform = transform
        self.batch = batch
        self._key = key_of_rows(batch, source)
        keyed = (name for key in batch.dynamodb.keys for name in key_columns(key) if name not in batch.added_columns)
        self._fixed = tuple(dict.fromkeys((*self._key, *keyed)))
        self.fields = {column.name: Field(column, batch, target) for column in self._stored}
        self._keys = [
            _KeyField(key, "key", self.fields, limit)
            for key, limit in zip(batch.dynamodb.keys, MAX_KEY_BYTES, strict=False)
        ]
        self._index_keys = [
            _KeyField(key, index.name, self.fields, limit)
            for index in batch.dynamodb.indexes
            for key, limit in zip(index.keys, MAX_KEY_BYTES, strict=False)
        ]
        names = {column.name: None for column in self._stored} | {
            key.name: None for key in (*self._keys, *self._index_keys)
        }
        self.attributes = tuple(names)

    def encode(self, row: Row, emptied: Counter[str] | None = None) -> Item | Rejection | None:
        """The item for a source row, the reason it has none, or None when the transform drops the row.

        `emptied` counts, by column, `''` cells that come back as NULL.
        """
        raws = dict(zip(self.fields, row, strict=False))
        try:
            if self._transform:
                transformed = self._apply_transform(raws)
                if transformed is None:
                    return None
                raws = transformed
            return self._build(raws, Counter() if emptied is None else emptied)
        except Reject as reject:
            return Rejection(self.key_of(row), reject.column, reject.reason)

    def key_of(self, row: Row) -> dict[str, str | None]:
        """What names a source row to a person: its key columns' texts, bytes as hexadecimal."""
        raws = dict(zip(self.fields, row, strict=False))
        return {name: key_text(raws[name]) for name in self._key}

    def decode(self, item: Item) -> Row:
        """The target row in an item, as texts that MySQL takes. Raises SchemaMismatch for a foreign item."""
        return tuple(self.fields[column.name].load(item) for column in self.outputs)

    def key_type(self, key: Key) -> str:
        """The scalar type (S, N or B) of a key attribute."""
        return _KeyField(key, "key", self.fields, 0).type

    def _build(self, raws: dict[str, Raw], emptied: Counter[str]) -> Item:
        item: Item = {}
        lost: list[str] = []
        for name, field in self.fields.items():
            attribute = field.store(raws[name], lost)
            if attribute is not None:
                item[name] = attribute
        for key in self._keys:
            item[key.name] = key.required(raws, item)
        for key in self._index_keys:
            attribute = key.optional(raws, item)
            if attribute is None:
                item.pop(key.name, None)
            else:
                item[key.name] = attribute
        if item_size(item) + STAMP_RESERVE > MAX_ITEM_BYTES:
            raise Reject("", f"the item is larger than {MAX_ITEM_BYTES:,} bytes")
        emptied.update(lost)
        return item

    def _apply_transform(self, raws: dict[str, Raw]) -> dict[str, Raw] | None:
        assert self._transform is not None
        values = {name: field.to_transform(raws[name]) for name, field in self.fields.items() if name in raws}
        try:
            result = self._transform(dict(values))
        except Exception as error:  # a row that the user's code cannot take is a bad row, not a broken run
            raise Reject("", f"the transform raised {type(error).__name__}") from None
        if result is None:
            return None
        if set(result) != set(self.fields):
            raise SchemaMismatch(_transform_columns(self.batch, set(result), set(self.fields)))
        for name in self._fixed:
            if result[name] != values[name]:
                raise Reject(name, "the transform changed a key column")
        return {name: field.from_transform(result[name]) for name, field in self.fields.items()}


class Field:
    """One column's way into an item and back."""

    def __init__(self, column: Column, batch: Batch, target: Table | None) -> None:
        self.column, self.name = column, column.name
        rule = batch.normalize.columns.get(column.name)
        self.converter: Converter = converter_of(column, rule)
        self.natural = is_natural(column, rule)
        self.policy = batch.normalize.empty_string_of(column.name)
        self.empties = column.kind == "text"
        self.restores_empty = self.empties and not column.nullable
        indexed = (key_name(key) for index in batch.dynamodb.indexes for key in index.keys)
        self.may_be_absent = self.policy == "omit" or column.name in indexed
        into = target.column(column.name) if target and target.has(column.name) else None
        self.required = into is not None and not into.nullable and not into.generated

    def to_transform(self, raw: Raw) -> Value:
        """What a transform sees. Raises Reject."""
        if isinstance(raw, Inexact):
            raise Reject(self.name, raw.reason)
        return None if raw is None else self.converter.parse(raw)

    def from_transform(self, value: Value) -> Raw:
        """What a transform gave, as MySQL writes it. Raises Reject."""
        if value is None:
            if self.required or not self.column.nullable:
                raise Reject(self.name, "the transform gave NULL for a column that is NOT NULL")
            return None
        try:
            raw: Raw = self.converter.format(value)
        except (Unstorable, ValueError, OverflowError) as error:
            raise Reject(
                self.name,
                str(error) if isinstance(error, Unstorable) else "the transform gave a value out of range",
            ) from None
        return raw

    def store(self, raw: Raw, lost: list[str]) -> Attribute | None:
        """The attribute, None where there is none; a `''` that comes back as NULL is added to `lost`. Raises Reject."""
        if raw == "" and self.empties and self.policy != "keep":
            if not self.restores_empty:
                self._require_nullable()
                lost.append(self.name)
            return None if self.policy == "omit" else NULL
        if raw is None:
            self._require_nullable()
            return NULL
        if isinstance(raw, Inexact):
            raise Reject(self.name, raw.reason)
        try:
            return self.converter.store(raw)
        except Unstorable as error:
            if raw == "" and self.restores_empty:
                return NULL
            raise Reject(self.name, str(error)) from None

    def load(self, item: Item) -> Raw:
        """The column's value in an item. Raises SchemaMismatch for a foreign one."""
        attribute = item.get(self.name, NULL if self.may_be_absent else None)
        if attribute is None:
            raise SchemaMismatch(f"an item lacks attribute {self.name}, which this batch always writes")
        if "NULL" in attribute:
            return "" if self.restores_empty else None
        try:
            raw: Raw = self.converter.load(attribute)
        except (KeyError, ValueError) as error:
            raise SchemaMismatch(
                f"attribute {self.name} is not as this batch writes it ({self.column.column_type})"
            ) from error
        return raw

    def _require_nullable(self) -> None:
        if self.required:
            raise Reject(self.name, "is NULL, but the target column is NOT NULL")


class _KeyField:
    """One key attribute of the table or of an index."""

    def __init__(self, key: Key, owner: str, fields: Mapping[str, Field], limit: int) -> None:
        self.name, self.columns, self.owner, self.limit = key_name(key), key_columns(key), owner, limit
        self._fill = compile_template(key) if isinstance(key, KeyTemplate) else None
        self.type = "S" if self._fill else fields[self.columns[0]].converter.key_type
        if not self.type:
            raise SchemaMismatch(f"column {self.columns[0]} keys {owner}, so it cannot be a document, set or bool")
        self.comes_back = bool(self._fill) or fields[self.columns[0]].restores_empty

    def required(self, raws: dict[str, Raw], item: Item) -> Attribute:
        attribute = self._attribute(raws, item)
        if attribute is None:
            raise Reject(self.columns[0], "is NULL or empty, and keys the item")
        return attribute

    def optional(self, raws: dict[str, Raw], item: Item) -> Attribute | None:
        attribute = self._attribute(raws, item)
        if attribute is None and not self.comes_back and item.get(self.name) in ({"S": ""}, {"B": b""}):
            raise Reject(self.name, f"is empty, and an attribute that keys index {self.owner} cannot be")
        return attribute

    def _attribute(self, raws: dict[str, Raw], item: Item) -> Attribute | None:
        if any(raws[column] in (None, "", b"") for column in self.columns):
            return None
        if self._fill is None:
            attribute = item[self.name]
        else:
            attribute = {"S": self._fill({column: key_text(raws[column]) or "" for column in self.columns})}
        self._check(attribute)
        return attribute

    def _check(self, attribute: Attribute) -> None:
        ((kind, value),) = attribute.items()
        if kind != self.type:
            raise Reject(self.columns[0], f"keys {self.owner} as {self.type}, but this value must be stored as {kind}")
        size = len(value if isinstance(value, bytes) else value.encode())
        if kind != "N" and size > self.limit:
            raise Reject(self.columns[0], f"the key is {size:,} bytes, DynamoDB takes {self.limit:,}")


def selected_columns(batch: Batch, source: Table) -> tuple[Column, ...]:
    """The source columns that the batch reads, in the table's order. Raises SchemaMismatch for an unknown one."""
    if batch.source.columns is None:
        return source.columns
    wanted = {source.column(name).name for name in batch.source.columns}
    return tuple(column for column in source.columns if column.name in wanted)


def output_columns(batch: Batch, source: Table, target: Table | None) -> tuple[Column, ...]:
    """The columns that are written to the target: everything stored but what the target generates itself."""
    added = tuple(declared_column(name, of) for name, of in batch.added_columns.items())
    stored = (*selected_columns(batch, source), *added)
    if target is None:
        return tuple(column for column in stored if not column.generated)
    return tuple(column for column in stored if target.has(column.name) and not target.column(column.name).generated)


def key_of_rows(batch: Batch, source: Table) -> tuple[str, ...]:
    """The columns that name a row to a person: the source's own key, else the columns of the DynamoDB key."""
    if source.row_key and all(
        name in {column.name for column in selected_columns(batch, source)} for name in source.row_key.columns
    ):
        return source.row_key.columns
    return tuple(dict.fromkeys(column for key in batch.dynamodb.keys for column in key_columns(key)))


def reading_key(batch: Batch, source: Table) -> tuple[Column, ...]:
    """The columns that rows are read in order of; by their bytes where the server may take two rows' for equal."""
    names = key_of_rows(batch, source)
    by_bytes = not source.tells_apart(names)
    return tuple(msgspec.structs.replace(source.column(name), by_bytes=by_bytes) for name in names)


def key_text(raw: Raw) -> str | None:
    """A key value as a person reads it: bytes as hexadecimal."""
    if isinstance(raw, Inexact):
        return "?"
    return raw.hex() if isinstance(raw, bytes) else raw


def _transform_columns(batch: Batch, found: set[str], expected: set[str]) -> str:
    extra, missing = sorted(found - expected), sorted(expected - found)
    wrong = (
        f"returned undeclared column {extra[0]}; declare its type under transform.adds"
        if extra
        else f"left out column {missing[0]}"
    )
    return f"transform {batch.function}: {wrong}"
