"""What becomes of each column's values under a batch, told before a row is read.

The facts are those of the codec itself: its converters say what they lose and refuse, and what becomes of `''` is
found by sending one through.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from dataops.batch import Batch, Key, KeyTemplate, key_columns
from dataops.core.item import MAX_ITEM_BYTES, MAX_KEY_BYTES
from dataops.core.mysql import exactness
from dataops.core.normalize import Codec, Field, Reject
from dataops.core.schema import Column, Table
from dataops.core.widen import most_bytes

LARGE = 2**16 - 1
"""Bytes of the smallest of the types that can make an item too large."""

_NEVER_EMPTY = ("uuid", "inet4", "inet6", "binary")


class Policy(msgspec.Struct, frozen=True):
    """One column's policy: `empty` is what becomes of `''`, `lost` what a round trip changes, `refused` the reasons
    for which a row is a rejection. What a target forbids is not among them."""

    column: Column
    stored: str
    empty: str = ""
    lost: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def column_policies(batch: Batch, source: Table) -> tuple[Policy, ...]:
    """The policies of all stored columns, in order. Raises SchemaMismatch for an `as` that does not fit its column."""
    codec = Codec(batch, source, None, None)
    sizes = {name: most_bytes(field.column) for name, field in codec.fields.items()}
    too_large = sum(sizes.values()) > MAX_ITEM_BYTES
    policies = []
    for name, field in codec.fields.items():
        empty, *why = _empty(batch, field)
        lost = [field.converter.lost] if field.converter.lost else []
        lost += ["'' returns as NULL"] if empty in ("NULL", "left out") else []
        inexact = exactness(field.column)
        refused = [
            *why,
            *field.converter.refused,
            *([inexact[1]] if inexact else []),
            *_key_faults(batch, field, sizes),
        ]
        refused += [f"the item is larger than {MAX_ITEM_BYTES:,} bytes"] if too_large and sizes[name] >= LARGE else []
        policies.append(Policy(field.column, field.converter.form, empty, tuple(lost), tuple(refused)))
    return tuple(policies)


def _empty(batch: Batch, field: Field) -> tuple[str, ...]:
    """What becomes of `''` (nothing where the column never holds it), and why where it is a rejection."""
    column = field.column
    if column.kind not in ("text", "binary") or column.data_type in _NEVER_EMPTY:
        return ("",)
    if any(field.name in key_columns(key) for key in batch.dynamodb.keys):
        return "rejected", "is empty, and keys the item"
    try:
        attribute = field.store("" if column.kind == "text" else b"", [])
    except Reject as reject:
        return "rejected", f"'': {reject.reason}"
    indexed = any(field.name == key for index in batch.dynamodb.indexes for key in index.keys)
    if indexed and not field.restores_empty and attribute in ({"S": ""}, {"B": b""}):
        return "rejected", "is empty, and keys an index"
    kept = "NULL" if attribute and "NULL" in attribute else "kept"
    stored = "left out" if indexed or attribute is None else kept
    return (f"{stored}, returns as ''" if field.restores_empty and stored != "kept" else stored,)


def _key_faults(batch: Batch, field: Field, sizes: dict[str, int]) -> Iterator[str]:
    """The reasons for which a value cannot be a key of the table or of an index."""
    parts = [
        (key, limit)
        for keyed in (batch.dynamodb, *batch.dynamodb.indexes)
        for key, limit in zip(keyed.keys, MAX_KEY_BYTES, strict=False)
        if field.name in key_columns(key)
    ]
    limits = [limit for key, limit in parts if sizes[field.name] and _key_bytes(key, sizes) > limit]
    if limits:
        yield f"the key is over {min(limits):,} bytes"
    if (
        field.column.kind in ("float", "double")
        and field.converter.key_type == "N"
        and any(key == field.name for key, _ in parts)
    ):
        yield "the key is a number that DynamoDB does not hold (-0, 1e126)"


def _key_bytes(key: Key, sizes: dict[str, int]) -> int:
    """The most bytes of a key; a template may escape each byte of its columns as three."""
    if not isinstance(key, KeyTemplate):
        return sizes[key]
    return len(key.template.encode()) + sum(3 * sizes[name] for name in key.columns)
