"""What may hurt on the way: conditions in SQL, told with what becomes of the rows that meet them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dataops.batch import Batch, Index, Key, KeyTemplate, key_columns
from dataops.core.item import MAX_DIGITS, MAX_ITEM_BYTES, MAX_KEY_BYTES
from dataops.core.mysql import exactness, quote_name
from dataops.core.schema import Column

ROOM = 1024
"""Bytes of an item that are kept for names, numbers and the stamp when rows near 400 KB are looked for."""


class Hazard(NamedTuple):
    """Rows for which `sql` is true hold something that hurts; `rejects` says that the run will not take them."""

    name: str
    column: str
    sql: str
    becomes: str
    rejects: bool = False


def hazards_of(batch: Batch, columns: Sequence[Column]) -> Iterator[Hazard]:
    """Everything that is looked for in a batch's source, column by column, then in its keys and whole rows."""
    for column in columns:
        yield from _of_values(batch, column)
    named = {column.name: column for column in columns}
    for key, limit in zip(batch.dynamodb.keys, MAX_KEY_BYTES, strict=False):
        yield from _of_key(key, named, limit)
    for index in batch.dynamodb.indexes:
        yield from _of_index(batch, index, named)
    large = [column for column in columns if column.kind in ("text", "json", "binary", "geometry")]
    if large:
        size = " + ".join(f"COALESCE({_bytes(column)}, 0)" for column in large)
        what = f"a row of more than {MAX_ITEM_BYTES // 1024} KB"
        yield Hazard(what, "", f"{size} > {MAX_ITEM_BYTES - ROOM}", "rejected", True)


def _of_values(batch: Batch, column: Column) -> Iterator[Hazard]:
    name = quote_name(column.name)
    if column.data_type in ("date", "datetime", "timestamp"):
        text = f"CAST({name} AS CHAR)"
        over = f"DAYOFMONTH({name}) > DAYOFMONTH(LAST_DAY(DATE_FORMAT({name}, '%%Y-%%m-01')))"
        bad = f"{text} LIKE '%%-00%%' OR {text} LIKE '0000%%' OR {over}"
        yield Hazard("a zero, partial or invalid date", column.name, bad, "stays as MySQL writes it, not ISO-8601")
    if column.kind == "decimal" and column.precision > MAX_DIGITS:
        digits = f"CHAR_LENGTH(TRIM(BOTH '0' FROM REPLACE(CAST(ABS({name}) AS CHAR), '.', '')))"
        becomes = f"the column is stored as S, since its type has up to {column.precision} digits"
        yield Hazard(f"more than {MAX_DIGITS} digits", column.name, f"{digits} > {MAX_DIGITS}", becomes)
    if column.kind == "double":
        outside = f"{name} <> 0 AND (ABS({name}) > 9.99e125 OR ABS({name}) < 1e-130)"
        yield Hazard("a number that DynamoDB does not hold", column.name, outside, "stored as S")
    check = exactness(column)
    if check:
        yield Hazard(f"a value that {check[1]}", column.name, f"NOT ({check[0]})", "rejected", True)
    if column.kind == "text" and column.data_type not in ("enum", "set", "uuid", "inet4", "inet6"):
        damaged = f"INSTR(CONVERT({name} USING utf8mb4), _utf8mb4 X'EFBFBD') > 0"
        yield Hazard("U+FFFD, left by an earlier wrong conversion", column.name, damaged, "copied as it is")
        if column.nullable and batch.normalize.empty_string_of(column.name) != "keep":
            yield Hazard("'' in a nullable column", column.name, f"OCTET_LENGTH({name}) = 0", "returns as NULL")


def _of_key(key: Key, named: dict[str, Column], limit: int) -> Iterator[Hazard]:
    columns = [named[name] for name in key_columns(key) if name in named]
    for column in columns:
        if column.kind in ("text", "binary"):
            empty = f"OCTET_LENGTH({quote_name(column.name)}) = 0"
            yield Hazard("an empty key", column.name, empty, "rejected", True)
    yield from _of_size(key, columns, limit)


def _of_size(key: Key, columns: Sequence[Column], limit: int) -> Iterator[Hazard]:
    sized = [_bytes(column) for column in columns if column.kind in ("text", "binary")]
    if sized:
        literal = len(key.template.encode()) if isinstance(key, KeyTemplate) else 0
        size = f"{' + '.join(sized)} + {literal} > {limit}"
        yield Hazard(f"a key of more than {limit:,} bytes", ", ".join(key_columns(key)), size, "rejected", True)


def _of_index(batch: Batch, index: Index, named: dict[str, Column]) -> Iterator[Hazard]:
    for key, limit in zip(index.keys, MAX_KEY_BYTES, strict=False):
        columns = [named[name] for name in key_columns(key) if name in named]
        yield from _of_size(key, columns, limit)
        for column in columns:
            name, keeps = quote_name(column.name), batch.normalize.empty_string_of(column.name) == "keep"
            absent = f"not in index {index.name}"
            if column.nullable:
                yield Hazard("NULL in an index key", column.name, f"{name} IS NULL", absent)
            if column.kind in ("text", "binary"):
                rejects = column.kind == "binary" or (keeps and column.nullable)
                becomes = "rejected" if rejects else absent
                yield Hazard("an empty index key", column.name, f"OCTET_LENGTH({name}) = 0", becomes, rejects)


def _bytes(column: Column) -> str:
    """SQL for the bytes that a value takes in DynamoDB."""
    name = quote_name(column.name)
    return (
        f"OCTET_LENGTH(CONVERT({name} USING utf8mb4))" if column.kind in ("text", "json") else f"OCTET_LENGTH({name})"
    )
