"""Items in DynamoDB JSON: their size as DynamoDB bills it, and a canonical form to compare them by."""

from __future__ import annotations

import json
from base64 import b64decode
from decimal import Context, Decimal
from typing import Any, TypeAlias

Attribute: TypeAlias = dict[str, Any]
Item: TypeAlias = dict[str, Attribute]

MAX_ITEM_BYTES = 400 * 1024
MAX_KEY_BYTES = (2048, 1024)
MAX_DEPTH = 32
MAX_DIGITS = 38
WRITE_UNIT_BYTES = 1024

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
    """One text for every spelling of a number: `1.50`, `1.5` and `15E-1` give `15E-1`."""
    if text.isascii() and text.isdigit() and text[0] != "0" and text[-1] != "0":
        return text
    number = Decimal(text).normalize(_EXACT)
    return str(number) if number else "0"


def canonical_attribute(attribute: Attribute | None) -> bytes:
    """Bytes that are equal exactly when two attributes hold the same value, whatever their spelling."""
    if attribute is None:
        return b"-"
    ((kind, value),) = attribute.items()
    if kind == "S":
        return b"S:" + str(value).encode("utf-8", "surrogatepass")
    if kind == "N":
        return b"N:" + canonical_number(value).encode()
    if kind == "B":
        return b"B:" + bytes(value)
    return f"{kind}:".encode() + json.dumps(_canonical_value(kind, value), sort_keys=True).encode()


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


def _canonical_value(kind: str, value: Any) -> Any:
    if kind == "M":
        return {name: _canonical_text(attribute) for name, attribute in value.items()}
    if kind == "L":
        return [_canonical_text(attribute) for attribute in value]
    if kind in ("SS", "NS", "BS"):
        return sorted(_canonical_text({kind[0]: element}) for element in value)
    return value


def _canonical_text(attribute: Attribute) -> str:
    return canonical_attribute(attribute).decode("latin-1")
