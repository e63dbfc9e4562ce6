"""JSON texts as DynamoDB documents: maps, lists and scalars, and back. Pure, and exact: a number stays its own text."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from dataops.core.item import MAX_DEPTH, MAX_DIGITS, Attribute, Unstorable, depth, fits_number

_SURROGATE = re.compile("[\ud800-\udfff]")


def store_document(raw: str) -> Attribute:
    """The attribute for a JSON text. Raises Unstorable for what a document cannot hold exactly."""
    try:
        value = json.loads(raw, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_members)
        attribute = _attribute(value)
        deep = depth(attribute) > MAX_DEPTH
    except Unstorable:
        raise
    except RecursionError:
        deep = True
    except (ValueError, ArithmeticError):
        raise Unstorable("is not JSON") from None
    if deep:
        raise Unstorable(f"is nested deeper than {MAX_DEPTH} levels")
    if "NULL" in attribute:
        raise Unstorable("is JSON null, which as a document could not be told from NULL")
    return attribute


def document_text(attribute: Attribute) -> str:
    """The JSON text of a document, numbers as DynamoDB holds them."""
    ((kind, value),) = attribute.items()
    if kind == "M":
        return "{" + ", ".join(f"{_quoted(name)}: {document_text(of)}" for name, of in value.items()) + "}"
    if kind == "L":
        return "[" + ", ".join(map(document_text, value)) + "]"
    if kind == "N":
        return str(value)
    return "null" if kind == "NULL" else _quoted(value)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _refuse(_: str) -> Any:
    raise Unstorable("is not JSON")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise Unstorable("holds an object with one name twice")
    return members


def _attribute(value: Any) -> Attribute:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": _text(value)}
        case dict():
            return {"M": {_text(name): _attribute(of) for name, of in value.items()}}
        case list():
            return {"L": [_attribute(of) for of in value]}
    number = Decimal(value)
    if len(number.as_tuple().digits) > MAX_DIGITS:
        raise Unstorable(f"holds a number of more than {MAX_DIGITS} digits")
    if not fits_number(number):
        raise Unstorable("holds a number out of DynamoDB's range")
    return {"N": str(value)}


def _text(value: str) -> str:
    if _SURROGATE.search(value):
        raise Unstorable("holds a text that UTF-8 cannot hold")
    return value
