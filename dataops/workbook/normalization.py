"""Preview a batch's normalization: every rule that fires, cell by cell, and what it costs over the whole table."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter
from typing import Any, NamedTuple

import msgspec

from dataops.batch import Batch, EmptyString
from dataops.core.convert import Raw
from dataops.core.digest import canonical_row
from dataops.core.item import Attribute, Item, item_size
from dataops.core.normalize import Codec, Field, Row, key_text
from dataops.core.records import Rejection
from dataops.errors import BatchFileError, SchemaMismatch
from dataops.workbook.table import Table
from dataops.workbook.walk import SourceWalk

SHOWN_KEYS = 3
POLICIES: tuple[EmptyString, ...] = ("to_null", "keep", "omit")
AS_IT_IS = "as it is"


class _Cell(NamedTuple):
    """One cell on its way: before, after and back; `rule` says in words what happened to it."""

    key: str
    before: Raw
    after: Attribute | None
    back: Raw
    rule: str
    lost: bool


class NormalizationPreview:
    """What normalization does to a batch's rows, and what another policy for `''` would do, learnt in one walk.

    Kept are counts, one cell for each column and rule, and the keys of the first rejected rows: memory does not grow.
    """

    def __init__(self, batch: Batch, rows: int = 0, empty_string: str = "") -> None:
        empty_string = empty_string or ("keep" if batch.normalize.empty_string != "keep" else "to_null")
        if empty_string not in POLICIES:
            raise BatchFileError(f"empty_string: expected {', '.join(POLICIES)}; found another text")
        self.batch, self.other = batch, empty_string
        self._walk = SourceWalk(batch, rows)
        self.items = self.dropped = self.rejected = 0
        self.emptied: Counter[str] = Counter()
        self._cells: dict[tuple[str, str], _Cell] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lost: Counter[tuple[str, str]] = Counter()
        self._rejections: dict[tuple[str, str], list[str]] = {}
        self._rejected: Counter[tuple[str, str]] = Counter()
        self._versus = _Versus(self._walk.codec_of(_with_policy(batch, empty_string)))
        for row in self._walk.rows():
            self._look_at(row)

    def _look_at(self, row: Row) -> None:
        codec = self._walk.codec
        emptied: Counter[str] = Counter()
        result = codec.encode(row, emptied)
        self.emptied.update(emptied)
        self._versus.look_at(row, result, emptied)
        if result is None:
            self.dropped += 1
        elif isinstance(result, Rejection):
            self.rejected += 1
            self._rejected[result.column, result.reason] += 1
            keys = self._rejections.setdefault((result.column, result.reason), [])
            if len(keys) < SHOWN_KEYS:
                keys.append(_spell_key(result.key))
        else:
            self.items += 1
            self._look_at_cells(row, result)

    def _look_at_cells(self, row: Row, item: Item) -> None:
        codec = self._walk.codec
        raws = dict(zip((column.name for column in codec.columns), row, strict=True))
        for name, field in codec.fields.items():
            rule, back = _rule_of(field, name in raws, raws.get(name), item)
            lost = name in raws and raws[name] != back and not _same(field, raws[name], back)
            self._counts[name, rule] += 1
            self._lost[name, rule] += lost
            if (name, rule) not in self._cells:
                key = _spell_key(codec.key_of(row))
                self._cells[name, rule] = _Cell(key, raws.get(name), item.get(name), back, rule, lost)

    # --- what is shown -------------------------------------------------------------------------------------------

    def cells(self) -> Table:
        """One cell for each column and rule: as MySQL has it, as DynamoDB stores it, and as it comes back."""
        rows = [
            (name, cell.rule, _spell(cell.before), _type_of(cell.after), spell_attribute(cell.after),
             _spell(cell.back) if cell.lost else "the same", cell.key)
            for name, cell in self._in_order()
        ]  # fmt: skip
        heads = ("column", "rule", "in MySQL", "type", "in DynamoDB", "comes back as", "key")
        return Table(heads, rows, f"{self._walk.table.name}: a cell for each rule that fires in {self._walk.what}")

    def counts(self) -> Table:
        """How many cells of each column meet each rule, and how many of them do not come back as they were."""
        rows = [
            (name, cell.rule, self._counts[name, cell.rule], self._lost[name, cell.rule])
            for name, cell in self._in_order()
            if cell.rule != AS_IT_IS
        ]
        caption = (
            f"{self._walk.table.name}: {self._walk.what} give {self.items:,} items; {self.dropped:,} dropped by the "
            f"transform, {self.rejected:,} rejected"
        )
        return Table(("column", "rule", "cells", "lost"), rows, caption)

    def rejections(self) -> Table:
        """Why rows are rejected, how many, and the keys of the first of them."""
        rows = [
            (column or "-", reason, count, "; ".join(self._rejections[column, reason]))
            for (column, reason), count in sorted(self._rejected.items(), key=lambda entry: (-entry[1], entry[0]))
        ]
        heads = ("column", "reason", "rows", "keys of the first")
        return Table(heads, rows, f"{self._walk.table.name}: {self.rejected:,} rows rejected", wrapped=heads[1:])

    def difference(self) -> Table:
        """What the other policy for `''` would change, column by column."""
        mine, other, versus = self.batch.normalize.empty_string, self.other, self._versus
        names = [name for name in self._walk.codec.fields if versus.differing[name]]
        rows = [(name, versus.differing[name], self.emptied[name], versus.emptied[name]) for name in names]
        heads = ("column", "cells stored differently", f"lost under {mine}", f"lost under {other}")
        caption = (
            f"{mine}: {versus.mine_bytes:,} bytes of items, {self.rejected:,} rows rejected; "
            f"{other}: {versus.bytes:,} bytes, {versus.rejected:,} rows rejected"
        )
        return Table(heads, rows, caption)

    def verdict(self) -> str:
        """One line of counts."""
        lost = sum(self.emptied.values())
        cells = "no cell is lost" if not lost else f"{lost:,} cells of '' return as NULL"
        return (
            f"{self.batch.batch}: {self._walk.what} give {self.items:,} items, {self.dropped:,} dropped, "
            f"{self.rejected:,} rejected; {cells}."
        )

    def _in_order(self) -> list[tuple[str, _Cell]]:
        places = {name: place for place, name in enumerate(self._walk.codec.fields)}
        found = sorted(self._cells.items(), key=lambda entry: (places[entry[0][0]], entry[0][1]))
        return [(name, cell) for (name, _), cell in found]


class _Versus:
    """What the codec of another policy makes of the same rows."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.differing: Counter[str] = Counter()
        self.emptied: Counter[str] = Counter()
        self.rejected = self.bytes = self.mine_bytes = 0

    def look_at(self, row: Row, mine: Item | Rejection | None, emptied: Counter[str]) -> None:
        other = self.codec.encode(row, self.emptied)
        self.rejected += isinstance(other, Rejection)
        self.bytes += item_size(other) if isinstance(other, dict) else 0
        self.mine_bytes += item_size(mine) if isinstance(mine, dict) else 0
        if isinstance(mine, dict) and isinstance(other, dict):
            self.differing.update(name for name in self.codec.attributes if mine.get(name) != other.get(name))


def preview_normalization(batch: Batch, rows: int = 0, empty_string: str = "") -> NormalizationPreview:
    """Preview all rows of a batch, or the first `rows` of them, beside the policy `empty_string` for `''`.

    Without one the batch is shown beside `keep`, or beside `to_null` where it keeps them itself.

    Raises BatchFileError for a policy that there is not, SchemaMismatch where the batch does not fit its source.
    """
    return NormalizationPreview(batch, rows, empty_string)


def require_storable(preview: NormalizationPreview) -> str:
    """The verdict on a preview. Raises SchemaMismatch when rows are rejected and the batch says `on_reject: fail`."""
    if preview.rejected and preview.batch.on_reject == "fail":
        raise SchemaMismatch(
            f"{preview.batch.batch}: {preview.rejected:,} rows would be rejected, and on_reject is fail: correct them, "
            "or say on_reject: continue"
        )
    return preview.verdict()


def _with_policy(batch: Batch, empty_string: str) -> Batch:
    normalize = msgspec.structs.replace(batch.normalize, empty_string=empty_string)
    return msgspec.structs.replace(batch, normalize=normalize)


def _rule_of(field: Field, read: bool, raw: Raw, item: Item) -> tuple[str, Raw]:
    """What happened to a cell, in words, and what comes back of it."""
    attribute, back = item.get(field.name), field.load(item)
    if not read:
        return "added by the transform", back
    if attribute is None:
        return "left out, since it keys an index" if field.policy != "omit" else "left out", back
    if "NULL" in attribute:
        if raw is None:
            return "NULL is stored as NULL", back
        return (
            "'' becomes NULL, and returns as ''" if back == "" else "'' becomes NULL"
        ) if raw == "" else _CHANGED, back
    if raw is None or field.store(raw, []) != attribute:
        return _CHANGED, back
    return _form_of(field, raw, attribute), back


_CHANGED = "changed by the transform"


def _form_of(field: Field, raw: Any, attribute: Attribute) -> str:
    """What storing did to a value that neither the policy for `''` nor the transform touched."""
    ((kind, value),) = attribute.items()
    column = field.column
    if column.kind == "bit":
        return "bits become a number" if kind == "N" else "a bit becomes true or false"
    if kind in ("M", "L", "SS", "BOOL") or (kind == "B" and isinstance(raw, str)):
        return {"M": "a document", "L": "a document", "SS": "a set", "BOOL": "true or false"}.get(kind, "text as bytes")
    if column.kind in ("float", "double") and kind == "S":
        return "a number outside DynamoDB's range becomes text"
    if value == raw:
        zero = column.data_type in ("datetime", "timestamp")
        return "no real date: stays as MySQL writes it" if zero else AS_IT_IS
    return "becomes ISO-8601" if column.kind == "temporal" else "the same number without needless zeros"


def _same(field: Field, raw: Raw, back: Raw) -> bool:
    return canonical_row((raw,), (field.column,)) == canonical_row((back,), (field.column,))


def _spell_key(key: dict[str, str | None]) -> str:
    return ", ".join(str(value) for value in key.values())


def _spell(raw: Raw) -> str | None:
    return key_text(raw) if not isinstance(raw, bytes) else f"0x{raw.hex()}"


def _type_of(attribute: Attribute | None) -> str:
    return next(iter(attribute)) if attribute else "-"


def spell_attribute(attribute: Attribute | None) -> str | None:
    """An attribute's value as DynamoDB's console would show it."""
    if attribute is None:
        return "-"
    ((kind, value),) = attribute.items()
    if kind == "NULL":
        return None
    if kind == "B":
        return f"0x{bytes(value).hex()}"
    return str(value) if kind in ("S", "N") else json.dumps(value, ensure_ascii=False, default=_spell_bytes)


def spell_cell(cell: Attribute | Raw) -> str | None:
    """A cell of a store, as text: an attribute with its type, or what MySQL wrote."""
    if isinstance(cell, dict):
        text = spell_attribute(cell)
        return text if text is None else f"{_type_of(cell)} {text}"
    return _spell(cell)


def _spell_bytes(value: Any) -> str:
    return b64encode(bytes(value)).decode()
