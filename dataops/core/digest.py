"""Digests of rows and items that do not depend on order.

A digest is the sum, modulo 2**256, of the SHA-256 hashes of all rows: the same rows in any order give the same sum,
parts can be added up, and no row can hide another. Processors of today, those of Lambda among them, have instructions
for SHA-256.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

from dataops.core.convert import Inexact, Raw
from dataops.core.item import Item, canonical_number, item_text
from dataops.core.schema import Column

MODULUS = 1 << 256


def add_digest(digest: str, parts: Iterable[bytes]) -> str:
    """The digest (hexadecimal) with one more hash for each of `parts`."""
    hashes = [sha256(part).digest() for part in parts]
    return f"{(int(digest, 16) + sum(map(int.from_bytes, hashes))) % MODULUS:x}"


def sum_digests(digests: Iterable[str], less: str = "0") -> str:
    """The digest of all the parts together, without those of the digest `less`."""
    return f"{(sum(int(digest, 16) for digest in digests) - int(less, 16)) % MODULUS:x}"


def canonical_item(item: Item, attributes: Sequence[str]) -> bytes:
    """Bytes that are equal exactly when two items hold the same in `attributes`: its text, as it may be written."""
    return item_text(item, attributes).encode("utf-8", "surrogatepass")


def canonical_row(row: Sequence[Raw], columns: Sequence[Column]) -> bytes:
    """Bytes that are equal exactly when two rows of `columns` hold the same values."""
    return b"".join(_framed(_canonical_value(raw, column)) for raw, column in zip(row, columns, strict=True))


def _framed(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part


def _canonical_value(raw: Raw, column: Column) -> bytes:
    if raw is None:
        return b"-"
    if isinstance(raw, Inexact):
        return b"?"
    if isinstance(raw, bytes):
        return b"B" + (raw.lstrip(b"\0") if column.kind == "bit" else raw)
    if column.kind in ("integer", "decimal"):
        return b"N" + canonical_number(raw).encode()
    if column.kind in ("float", "double"):
        return b"F" + repr(float(raw)).encode()
    if column.kind == "temporal" and "." in raw:
        raw = raw.rstrip("0").rstrip(".")
    return b"S" + (_canonical_json(raw) if column.kind == "json" else raw).encode()


def _canonical_json(text: str) -> str:
    """One text for every spelling of a JSON value: a number is `{"#": ...}`, an object `{"=": [[name, value], ...]}`."""

    def number(digits: str) -> Any:
        return {"#": canonical_number(digits)}

    def members(pairs: list[tuple[str, Any]]) -> Any:
        return {"=": sorted(pairs, key=lambda pair: pair[0])}

    try:
        return json.dumps(json.loads(text, parse_float=number, parse_int=number, object_pairs_hook=members))
    except (ValueError, ArithmeticError, RecursionError):
        return text
