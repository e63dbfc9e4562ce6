"""The page function: types and Python code, made for one table, that turn a scan's JSON into the text of its rows.

msgspec decodes a page into structs that know the table's attributes and no others' types; what does not fit them (an
attribute that is missing, or of another type) is left to the plain codec, which goes by the same rules with words for
each. A text is what LOAD DATA takes: fields and rows end with control characters that JSON must escape, so that a page
without such an escape has none of them in a value, and nothing need be escaped in turn.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from dataops.core.item import Attribute, Item
from dataops.core.normalize import Codec, Field
from dataops.core.schema import Column
from dataops.errors import DataOpsError

HEX, ESCAPE, ROW, FIELD = "\x1c", "\x1d", "\x1e", "\x1f"
"""What stands before bytes in hexadecimal, before the N of a NULL, and at the end of a row and of a field but the last."""
NULL = f"{ESCAPE}N"
_ESCAPED = b"\\u001"
"""How JSON begins the escape of any of these."""


LONG = 25
"""Letters of a number that is spelt anew before the server reads it as a double; Python spells none with more."""


class Unusual(Exception):
    """A value that the page function does not take."""


class _Known(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    pass


class _N(_Known):
    N: str


class _S(_Known):
    S: str


class _B(_Known):
    B: bytes


class _NullableN(_Known):
    N: str | None = None
    NULL: bool = False


class _NullableS(_Known):
    S: str | None = None
    NULL: bool = False


class _NullableB(_Known):
    B: bytes | None = None
    NULL: bool = False


class _Double(_Known):
    N: str | None = None
    S: str | None = None
    NULL: bool = False


class _Used(msgspec.Struct):
    CapacityUnits: float = 0.0


_TYPES: dict[tuple[str, bool], type[msgspec.Struct]] = {
    ("N", False): _N, ("S", False): _S, ("B", False): _B,
    ("N", True): _NullableN, ("S", True): _NullableS, ("B", True): _NullableB,
}  # fmt: skip


class RowTexts(NamedTuple):
    """Rows as text in UTF-8, and how many they are."""

    text: bytes
    rows: int


class TextPage(NamedTuple):
    """The rows of one page of a scan, where the next page begins, and the units it took."""

    texts: RowTexts
    cursor: Item | None
    units: float


class PlainPage(NamedTuple):
    """The items of one page of a scan, where the next page begins, and the units it took."""

    items: list[Item]
    cursor: Item | None
    units: float


def join_texts(parts: Sequence[RowTexts]) -> RowTexts:
    """All of them, one after another."""
    return RowTexts(b"".join([part.text for part in parts]), sum(part.rows for part in parts))


def why_items(codec: Codec) -> str | None:
    """Why items of this batch go back by the plain way; None where they have a page function."""
    if codec.batch.read_index or codec.batch.read_query:
        return "the target does not read by scan"
    for column in codec.outputs:
        if column.kind == "text" and codec.fields[column.name].converter.key_type == "B":
            return "a text that is stored as bytes"
        if any(letter in '"\\' or letter < " " for letter in column.name):
            return "a column's name that JSON escapes"
    return None


class PageFunction:
    """Turns the pages of one table, whose items carry `stamp`; `hexed` are the places of the fields that are bytes in hexadecimal."""

    def __init__(self, codec: Codec, columns: Sequence[Column], stamp: str) -> None:
        fields = [codec.fields[column.name] for column in codec.outputs]
        self.hexed = [place for place, field in enumerate(fields) if field.column.kind in ("bit", "binary", "geometry")]
        code = page_code(codec, columns)
        names: dict[str, Any] = {
            "null": _null, "Unusual": Unusual, "number": _number, "fields": fields, "attribute_of": _attribute_of,
        }  # fmt: skip
        exec(compile(code, f"<items of {codec.outputs[0].name}, ...>", "exec"), names)  # noqa: S102 - our own code; names in it are literals
        self._rows: Callable[[list[Any], Collection[str]], list[bytes]] = names["row_texts"]
        self._decoder = msgspec.json.Decoder(_page_type(fields, stamp))

    def read(self, body: bytes, stamps: Collection[str]) -> TextPage | None:
        """The rows in a scan's reply; None where the plain way has to say what it is.

        That is so for a value of another type than this batch writes, a missing attribute, a stamp that is none of
        `stamps`, a control character in a value, and an ENUM's index 0.
        """
        if _ESCAPED in body:
            return None
        try:
            page = self._decoder.decode(body)
            rows = self._rows(page.Items, stamps)
        except (msgspec.MsgspecError, DataOpsError, Unusual, ValueError, ArithmeticError):
            return None
        texts = RowTexts(b"".join(rows), len(rows))
        return TextPage(texts, restored(page.LastEvaluatedKey), page.ConsumedCapacity.CapacityUnits)


def page_code(codec: Codec, columns: Sequence[Column]) -> str:
    """The code of the function that gives the rows' texts, for the target's `columns`, of decoded items."""
    fields = [codec.fields[column.name] for column in codec.outputs]
    enums = [column.data_type == "enum" and "" not in column.members for column in columns]
    lines = ["def row_texts(items, stamps):", "    rows = []", "    for item in items:"]
    body = ["if item.stamp.N not in stamps:", "    raise Unusual"]
    for place, (field, enum) in enumerate(zip(fields, enums, strict=True)):
        body += _field_code(place, field)
        body += [f"if not v{place}:", "    raise Unusual"] if enum else []
    shown = FIELD.join(f"{{v{place}}}" for place in range(len(fields))) + ROW
    body.append(f"rows.append(f{_quoted(shown)}.encode())")
    return "\n".join([*lines, *(f"        {line}" for line in body), "    return rows", ""])


def _field_code(place: int, field: Field) -> list[str]:
    """The lines that put the text of one field into its variable."""
    value, attribute, kind = f"v{place}", f"item.c{place}", field.converter.key_type
    if not kind:
        lines = [f"{value} = fields[{place}].load(attribute_of({field.name!r}, {attribute}))"]
        text = f"{_quoted(HEX)} + {value}.hex()" if field.column.kind == "bit" else value
        return [*lines, f"{value} = {_quoted(NULL)} if {value} is None else {text}"]
    lines = [f"{value} = {attribute}.{kind}"]
    if _is_double(field):
        lines += [f"if {value} is None:", f"    {value} = {attribute}.S"]
    text = _text_code(value, field)
    if not _may_be_null(field):
        return lines + ([f"{value} = {text}"] if text != value else [])
    empty = _quoted("" if field.restores_empty else NULL)
    null = f"null({attribute}, {empty})"
    lines += [f"if {value} is None:", f"    {value} = {null}"]
    lines += ["else:", f"    {value} = {text}"] if text != value else []
    if field.may_be_absent:
        return [f"if {attribute} is None:", f"    {value} = {empty}", "else:", *(f"    {line}" for line in lines)]
    return lines


def _text_code(value: str, field: Field) -> str:
    """An expression for the field's text: what `Field.load` gives, or what the server reads as the same.

    That is so for the `T` between date and time, and for a double in another spelling; bytes are in hexadecimal.
    """
    column, kind = field.column, field.converter.key_type
    if kind == "B":
        return f"{_quoted(HEX)} + {value}.hex()"
    if kind == "S":
        return f'{value}.rstrip("Z")' if column.data_type == "timestamp" else value
    if column.data_type == "year":
        return f"{value}.zfill(4)"
    if column.kind == "bit":
        return f'{_quoted(HEX)} + int({value}).to_bytes({(column.precision + 7) // 8}, "big").hex()'
    if column.kind in ("float", "double"):
        return f"{value} if len({value}) < {LONG} else repr(float({value}))"
    return value if column.kind == "integer" else f'number({value}) if "E" in {value} else {value}'


def _quoted(text: str) -> str:
    """A text as a literal of Python."""
    return json.dumps(text)


def _is_double(field: Field) -> bool:
    return field.column.kind in ("float", "double") and field.converter.key_type == "N"


def _may_be_null(field: Field) -> bool:
    return field.column.nullable or field.restores_empty or field.may_be_absent or _is_double(field)


def _page_type(fields: Sequence[Field], stamp: str) -> Any:
    """The struct of a scan's reply."""
    columns: list[Any] = [("stamp", _N, msgspec.field(name=stamp))]
    for place, field in enumerate(fields):
        of: Any = (
            _Double if _is_double(field) else _TYPES.get((field.converter.key_type, _may_be_null(field)), Attribute)
        )
        absent = {"default": None} if field.may_be_absent else {}
        columns.append((f"c{place}", of | None if absent else of, msgspec.field(name=field.name, **absent)))
    columns.sort(key=lambda column: len(column) > 2 and column[2].default is None)
    item = msgspec.defstruct("Item", columns, gc=False)
    return msgspec.defstruct(
        "Page",
        [
            ("Items", list[item]),  # type: ignore[valid-type]  # a type that is made here
            ("LastEvaluatedKey", dict[str, Attribute] | None, None),
            ("ConsumedCapacity", _Used, msgspec.field(default_factory=_Used)),
        ],
    )


def _null(attribute: Any, text: str) -> str:
    """The text of a NULL, for an attribute that says so."""
    if attribute.NULL is not True:
        raise Unusual
    return text


def _number(text: str) -> str:
    return format(Decimal(text), "f")


def _attribute_of(name: str, attribute: Attribute | None) -> Item:
    return {} if attribute is None else {name: attribute}


def plain_page(body: bytes) -> PlainPage:
    """A scan's reply as boto3 gives it."""
    reply = json.loads(body)
    units = float((reply.get("ConsumedCapacity") or {}).get("CapacityUnits", 0))
    return PlainPage(restored(reply["Items"]), restored(reply.get("LastEvaluatedKey")), units)


def restored(value: Any) -> Any:
    """A JSON value of DynamoDB's as boto3 gives it: with bytes for base64."""
    if isinstance(value, list):
        return [restored(element) for element in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items() if len(value) == 1 else ((None, None),)
    if kind == "B" and isinstance(inner, str):
        return {kind: b64decode(inner)}
    if kind == "BS" and isinstance(inner, list):
        return {kind: [b64decode(element) for element in inner]}
    return {name: restored(element) for name, element in value.items()}
