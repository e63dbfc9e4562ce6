"""One column's value in its three forms: the server's text, a Python value, a DynamoDB attribute.

    raw        str | bytes | None     what MySQL's text protocol sends and what is loaded back (or Inexact: it could not)
    value      int | Decimal | float | str | bytes | None      what a transform sees
    attribute  {"S": ...}             what DynamoDB stores

`converter_of` picks the `Converter` for a column. It is pure, and exact: raw -> attribute -> raw gives the same
MySQL value, or `Unstorable` says why it cannot. What a way loses or refuses stands beside it, for previews.
"""

from __future__ import annotations

import math
import operator
import re
from calendar import monthrange
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from dataops.batch import ColumnRule
from dataops.core import document
from dataops.core.item import MAX_DIGITS, Attribute, Unstorable, fits_number
from dataops.core.schema import Column
from dataops.errors import SchemaMismatch


class Inexact(NamedTuple):
    """A value that the server could not send exactly as text; `reason` says why. Its row is a rejection."""

    reason: str


Raw: TypeAlias = str | bytes | Inexact | None
Value: TypeAlias = int | Decimal | float | str | bytes | None

SMALLEST, LARGEST = 1e-130, 9.99e125

_NOT_BOOL, _NOT_NUMBER, _EMPTY_SET = "is neither 0 nor 1", "is not a number", "DynamoDB has no empty set"
_RESPELT = "a number would not keep this text exactly"

_PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DATETIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z?")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Way(NamedTuple):
    """From raw to attribute and back. `form` names the attribute to a person, `key_type` to DynamoDB.

    `lost` is what does not come back, `refused` the reasons for which a value is a rejection.
    """

    store: Callable[[Any], Attribute]
    load: Callable[[Attribute], Any]
    key_type: str
    form: str
    lost: str = ""
    refused: tuple[str, ...] = ()


class Converter(NamedTuple):
    """The four ways between a column's forms, none of which ever sees NULL, and what `Way` says of them."""

    parse: Callable[[Any], Value]
    format: Callable[[Any], Any]
    store: Callable[[Any], Attribute]
    load: Callable[[Attribute], Any]
    key_type: str
    form: str
    lost: str
    refused: tuple[str, ...]


def converter_of(column: Column, rule: ColumnRule | None = None) -> Converter:
    """The converter for a column under its rule. Raises SchemaMismatch where `as` does not fit the type."""
    kind = column.kind
    wanted = rule.as_ if rule else None
    parse, unparse = _values(column)
    too_long = kind == "decimal" and column.precision > MAX_DIGITS
    if too_long and wanted == "N":
        raise SchemaMismatch(
            f"normalize.columns.{column.name}.as: {column.column_type} has up to {column.precision} digits, and a "
            f"DynamoDB number holds {MAX_DIGITS}; leave `as` out or say S, which keeps them all"
        )
    if not is_natural(column, rule):
        assert wanted
        way = _proven(_stored_as(wanted, column), column)
    elif too_long:
        way = Way(_store_text, _load_text, "S", f"S (over {MAX_DIGITS} digits)")
    else:
        way = _natural_way(column)
    return Converter(parse, unparse, *way)


def is_natural(column: Column, rule: ColumnRule | None) -> bool:
    """Whether a column is stored as its type is, without a rule that says otherwise."""
    return not rule or not rule.as_ or rule.as_ == _NATURAL[column.kind]


def _proven(way: Way, column: Column) -> Way:
    """The way, refusing what it would not bring back. A document says itself what is the same to its server."""
    if way.form == _DOCUMENT:
        return way
    read = int if way.form == _BOOL and column.kind == "integer" else lambda raw: raw

    def store(raw: Any) -> Attribute:
        attribute = way.store(raw)
        if read(way.load(attribute)) != read(raw):
            raise Unstorable("would not come back as it is")
        return attribute

    return way._replace(store=store)


_NATURAL = {"integer": "N", "bit": "N", "decimal": "N", "float": "N", "double": "N", "text": "S", "json": "S",
            "temporal": "S", "binary": "B", "geometry": "B"}  # fmt: skip


def _natural_way(column: Column) -> Way:
    kind, data_type = column.kind, column.data_type
    if data_type == "year":
        return Way(lambda raw: {"N": str(int(raw))}, lambda attribute: f"{int(attribute['N']):04d}", "N", "N")
    if kind == "integer":
        return Way(lambda raw: {"N": str(int(raw))}, lambda attribute: str(int(attribute["N"])), "N", "N")
    if kind == "bit":
        width = (column.precision + 7) // 8
        return Way(_store_bits, lambda attribute: int(attribute["N"]).to_bytes(width, "big"), "N", "N")
    if kind == "decimal":
        return Way(lambda raw: {"N": trim_zeros(raw)}, _load_number, "N", "N")
    if kind in ("float", "double"):
        return Way(_store_double, _load_double, "N", "N (S out of its range)")
    if data_type in ("datetime", "timestamp"):
        zone = "Z" if data_type == "timestamp" else ""
        form = "S (ISO-8601 UTC)" if zone else "S (ISO-8601)"
        return Way(lambda raw: {"S": iso_datetime(raw, zone)}, _load_datetime, "S", form)
    if kind in ("binary", "geometry"):
        return Way(lambda raw: {"B": raw}, lambda attribute: bytes(attribute["B"]), "B", "B")
    forms = {"json": "S (JSON text)", "date": "S (ISO-8601)", "time": "S (HHH:MM:SS)"}
    return Way(_store_text, _load_text, "S", forms.get("json" if kind == "json" else data_type, "S"))


def iso_datetime(raw: str, zone: str = "") -> str:
    """ISO-8601 for a real date and time; a zero, partial or invalid one stays as MySQL writes it."""
    year, month, day = int(raw[:4]), int(raw[5:7]), int(raw[8:10])
    real = year and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]
    return f"{raw[:10]}T{raw[11:]}{zone}" if real else raw


def trim_zeros(text: str) -> str:
    """A plain decimal number as DynamoDB gives it back: no leading zeros, no trailing zeros, no negative zero."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, _, fraction = digits.partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    number = f"{whole}.{fraction}" if fraction else whole
    return number if number == "0" else sign + number


def _values(column: Column) -> tuple[Callable[[Any], Value], Callable[[Value], Raw]]:
    """raw -> value and value -> raw, for the values that a transform sees and returns."""
    kind = column.kind
    if column.data_type == "year":
        return int, lambda value: f"{_expect(value, int):04d}"
    if kind == "integer":
        return int, lambda value: str(_expect(value, int))
    if kind == "bit":
        width = (column.precision + 7) // 8
        return lambda raw: int.from_bytes(raw, "big"), lambda value: _expect(value, int).to_bytes(width, "big")
    if kind == "decimal":
        return Decimal, lambda value: format(_finite(_expect(value, Decimal, int)), "f")
    if kind in ("float", "double"):
        return float, lambda value: repr(_finite(float(_expect(value, float, int))))
    if kind in ("binary", "geometry"):
        return bytes, lambda value: _expect(value, bytes)
    if column.data_type in ("datetime", "timestamp"):
        zone = "Z" if column.data_type == "timestamp" else ""
        return lambda raw: iso_datetime(raw, zone), lambda value: _raw_datetime(_expect(value, str))
    return str, lambda value: _expect(value, str)


def _expect(value: Any, *types: type) -> Any:
    if isinstance(value, bool) or not isinstance(value, types):
        raise Unstorable(f"the transform gave {type(value).__name__}, expected {types[0].__name__}")
    if isinstance(value, str) and _SURROGATE.search(value):
        raise Unstorable("the transform gave a text that UTF-8 cannot hold")
    return value


def _finite(number: Any) -> Any:
    if not math.isfinite(number):
        raise Unstorable("the transform gave a number that MySQL does not have")
    return number


_DOCUMENT, _BOOL = "document (M, L, ...)", "BOOL"


def _stored_as(wanted: str, column: Column) -> Way:
    kind = column.kind
    if wanted == "S" and kind not in ("bit", "binary", "geometry"):
        return Way(_store_text, _load_text, "S", "S")
    if wanted == "N" and kind == "text":
        return Way(_store_number, _load_number, "N", "N", refused=(_NOT_NUMBER, f"{_RESPELT} (01, 1e5, 1.50)"))
    if wanted == "B" and kind == "text":
        return Way(lambda raw: {"B": raw.encode()}, lambda attribute: bytes(attribute["B"]).decode(), "B", "B (UTF-8)")
    if wanted == "document" and kind in ("json", "text"):
        return _document_way(column)
    if wanted == "set" and column.data_type == "set":
        return Way(_store_set, _load_set(column), "", "SS")
    if wanted == "bool" and kind in ("integer", "bit"):
        return Way(_store_bool(column), _load_bool(column), "", _BOOL, refused=(_NOT_BOOL,))
    raise SchemaMismatch(f"normalize.columns.{column.name}.as: {column.column_type} cannot be stored as {wanted}")


def _document_way(column: Column) -> Way:
    """MySQL's JSON prints values its own way, so nothing is lost; every other text, MariaDB's JSON too, as it is."""
    store, load = document.store_document, document.document_text
    if column.data_type == "json":
        return Way(partial(store, same=document.same_number), load, "", _DOCUMENT, refused=document.REFUSED)
    refused = (*document.TEXT_REFUSED[column.is_json :], *document.REFUSED)
    return Way(partial(store, same=operator.eq), load, "", _DOCUMENT, document.LOST, refused)


def _store_text(raw: str) -> Attribute:
    return {"S": raw}


def _load_text(attribute: Attribute) -> str:
    return str(attribute["S"])


def _store_bits(raw: bytes) -> Attribute:
    return {"N": str(int.from_bytes(raw, "big"))}


def _load_number(attribute: Attribute) -> str:
    return format(Decimal(attribute["N"]), "f")


def _store_double(raw: str) -> Attribute:
    number = float(raw)
    size = abs(number)
    if (number == 0 and math.copysign(1, number) < 0) or (size and not SMALLEST <= size <= LARGEST):
        return {"S": repr(number)}
    return {"N": trim_zeros(repr(number)) if "e" not in repr(number) else repr(number)}


def _load_double(attribute: Attribute) -> str:
    ((_, text),) = attribute.items()
    return repr(float(text))


def _load_datetime(attribute: Attribute) -> str:
    return _raw_datetime(str(attribute["S"]))


def _raw_datetime(text: str) -> str:
    if not _DATETIME.fullmatch(text):
        raise Unstorable("is not a date and time")
    return text.removesuffix("Z").replace("T", " ")


def _store_number(raw: str) -> Attribute:
    try:
        number = Decimal(raw)
    except InvalidOperation:
        raise Unstorable(_NOT_NUMBER) from None
    if not _PLAIN_NUMBER.fullmatch(raw) or trim_zeros(raw) != raw or not fits_number(number):
        raise Unstorable(_RESPELT)
    return {"N": raw}


def _store_set(raw: str) -> Attribute:
    if not raw:
        raise Unstorable(_EMPTY_SET)
    members = raw.split(",")
    if len(set(members)) < len(members):
        raise Unstorable("names a member twice")
    return {"SS": members}


def _load_set(column: Column) -> Callable[[Attribute], str]:
    """The members in the order of the column's definition, as MySQL writes them."""
    places = {name: place for place, name in enumerate(column.members)}
    return lambda attribute: ",".join(sorted(attribute["SS"], key=lambda name: (places.get(name, len(places)), name)))


def _store_bool(column: Column) -> Callable[[Any], Attribute]:
    parse, _ = _values(column)

    def store(raw: Any) -> Attribute:
        number = parse(raw)
        if number not in (0, 1):
            raise Unstorable(_NOT_BOOL)
        return {"BOOL": bool(number)}

    return store


def _load_bool(column: Column) -> Callable[[Attribute], Any]:
    _, unparse = _values(column)
    return lambda attribute: unparse(int(attribute["BOOL"]))
