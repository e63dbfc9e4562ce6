"""Items in DynamoDB JSON: their size as DynamoDB bills it, and one text for each, to write and to compare them by."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from json.encoder import encode_basestring
from typing import Any, TypeAlias

Attribute: TypeAlias = dict[str, Any]
Item: TypeAlias = dict[str, Attribute]

MAX_ITEM_BYTES = 400 * 1024
MAX_KEY_BYTES = (2048, 1024)
MAX_DEPTH = 32
MAX_DIGITS = 38
WRITE_UNIT_BYTES = 1024
_PLAIN_DIGITS = 40

_EXACT = Context(prec=200, Emax=999_999, Emin=-999_999)


class Unstorable(ValueError):
    """A value has no exact place in DynamoDB; the text is the reason, without the value."""


def fits_number(number: Decimal) -> bool:
    """Whether a DynamoDB number holds it exactly: 38 digits, 1E-130 to 9.99...E+125.

    Source: AWS, "Supported data types and naming rules in Amazon DynamoDB".
    """
    exact = number.is_finite() and len(number.as_tuple().digits) <= MAX_DIGITS
    return exact and (not number or -130 <= number.adjusted() <= 125)


def item_size(item: Item) -> int:
    """Bytes that DynamoDB counts for an item: UTF-8 names and values.

    Source: AWS, "DynamoDB item sizes and formats", which is exact but for numbers ("approximately"). Those count as
    published measurements have it: one byte, one more for each pair of digits (pairs as they stand about the decimal
    point, without leading and trailing zeros), and one more when negative. Bytes may be `bytes` or base64 text.
    """
    return sum(len(name.encode()) + _attribute_size(attribute) for name, attribute in item.items())


def write_units(item: Item) -> int:
    """Write units of one standard write of the item to its table (1 KB each, rounded up)."""
    return max(1, -(-item_size(item) // WRITE_UNIT_BYTES))


def canonical_number(text: str) -> str:
    """One text for every spelling of a number: `1.50`, `1.5` and `15E-1` give `1.5`; plain up to 40 digits."""
    if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= _PLAIN_DIGITS:
        return text
    number = Decimal(text).normalize(_EXACT)
    if not number:
        return "0"
    return format(number, "f") if abs(number.adjusted()) < _PLAIN_DIGITS else str(number)


def attribute_text(attribute: Attribute) -> str:
    """An attribute as DynamoDB JSON: one text for every spelling of its value, with sets and maps sorted."""
    ((kind, value),) = attribute.items()
    return f'{{"{kind}":{_TEXTS[kind](value)}}}'


def item_text(item: Item, attributes: Sequence[str]) -> str:
    """The item's `attributes` in this order as DynamoDB JSON, `"name":{...},` each; what it lacks is left out.

    Two items hold the same in `attributes` exactly when their texts are equal. Within braces, and with one attribute
    more at its end, it is the item of a PutRequest.
    """
    return "".join(f"{encode_basestring(name)}:{attribute_text(item[name])}," for name in attributes if name in item)


def parse_item(text: bytes) -> Item:
    """The item that `item_text` wrote, with bytes as `bytes`."""
    return parse_values(json.loads(b"{" + text.rstrip(b",") + b"}"))


def parse_values(item: Item) -> Item:
    """An item out of DynamoDB's JSON, with bytes as `bytes`."""
    return {name: _parsed(attribute) for name, attribute in item.items()}


def canonical_attribute(attribute: Attribute | None) -> bytes:
    """Bytes that are equal exactly when two attributes hold the same value, whatever their spelling."""
    return b"" if attribute is None else attribute_text(attribute).encode("utf-8", "surrogatepass")


def depth(attribute: Attribute) -> int:
    """Levels of an attribute as DynamoDB counts them: its own, and one more for what each list or map holds."""
    ((kind, value),) = attribute.items()
    if kind == "M":
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + (max(map(depth, value), default=0) if kind == "L" else 0)


def _attribute_size(attribute: Attribute) -> int:
    ((kind, value),) = attribute.items()
    if kind == "S":
        return len(value.encode())
    if kind == "N":
        return _number_size(value)
    if kind == "B":
        return len(b64decode(value) if isinstance(value, str) else value)
    if kind in ("NULL", "BOOL"):
        return 1
    if kind == "M":
        return 3 + len(value) + item_size(value)
    if kind == "L":
        return 3 + len(value) + sum(map(_attribute_size, value))
    return sum(_attribute_size({kind[0]: element}) for element in value)


def _number_size(text: str) -> int:
    number = Decimal(text).normalize(_EXACT)
    if not number:
        return 1
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    return 1 + (exponent + len(digits) - 1) // 2 - exponent // 2 + 1 + sign


def _parsed(attribute: Attribute) -> Attribute:
    ((kind, value),) = attribute.items()
    if kind == "M":
        return {kind: parse_values(value)}
    if kind == "L":
        return {kind: [_parsed(inner) for inner in value]}
    if kind == "BS":
        return {kind: [b64decode(element) for element in value]}
    return {kind: b64decode(value)} if kind == "B" else attribute


def _map_text(value: Item) -> str:
    return "{" + item_text(value, sorted(value))[:-1] + "}"


def _list_text(value: Sequence[Attribute]) -> str:
    return f"[{','.join(map(attribute_text, value))}]"


def _set_text(kind: str) -> Callable[[Sequence[Any]], str]:
    return lambda value: f"[{','.join(sorted(map(_TEXTS[kind], value)))}]"


def _bytes_text(value: Any) -> str:
    return f'"{b64encode(bytes(value)).decode()}"'


_TEXTS: dict[str, Callable[[Any], str]] = {
    "S": encode_basestring, "N": lambda value: f'"{canonical_number(value)}"', "B": _bytes_text,
    "NULL": lambda _: "true", "BOOL": lambda value: "true" if value else "false",
    "SS": _set_text("S"), "NS": _set_text("N"), "BS": _set_text("B"), "L": _list_text, "M": _map_text,
}  # fmt: skip
