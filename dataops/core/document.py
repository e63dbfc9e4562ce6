"""JSON texts as DynamoDB documents: maps, lists and scalars, and back. Pure.

Every value comes back: a number that DynamoDB would spell otherwise (1.0 as 1) is refused where the server keeps its
spelling. Spaces, escapes and the order of names do not; MySQL's JSON keeps none of these itself, and sorts names
as `document_text` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

from dataops.core.item import MAX_DEPTH, MAX_DIGITS, Attribute, Unstorable, depth, fits_number

LOST = "spaces, escapes and the order of names"
REFUSED = (
    f"holds a number of more than {MAX_DIGITS} digits",
    "holds a number out of DynamoDB's range",
    "holds a number that DynamoDB would spell otherwise (1.0)",
    f"is nested deeper than {MAX_DEPTH} levels",
    "is JSON null, which as a document could not be told from NULL",
)
_LONG, _VAST, _RESPELT, _DEEP, _NULL = REFUSED
TEXT_REFUSED = ("is not JSON", "holds an object with one name twice", "holds a text that UTF-8 cannot hold")
_INVALID, _DOUBLED, _HALVED = TEXT_REFUSED

_SURROGATE = re.compile("[\ud800-\udfff]")
_EXACT = Context(prec=300, Emax=999_999, Emin=-999_999)


class _Number(str):
    """A number as the JSON text spells it."""


def store_document(raw: str, same: Callable[[str, str], bool]) -> Attribute:
    """The attribute for a JSON text. Raises Unstorable for what a document cannot hold exactly.

    `same` says whether the server prints a number's text and the text that comes back alike.
    """
    try:
        value = json.loads(
            raw, parse_float=_Number, parse_int=_Number, parse_constant=_refuse, object_pairs_hook=_members
        )
        attribute = _attribute(value, same)
        deep = depth(attribute) > MAX_DEPTH
    except Unstorable:
        raise
    except RecursionError:
        deep = True
    except (ValueError, ArithmeticError):
        raise Unstorable(_INVALID) from None
    if deep:
        raise Unstorable(_DEEP)
    if "NULL" in attribute:
        raise Unstorable(_NULL)
    return attribute


def document_text(attribute: Attribute) -> str:
    """The JSON text of a document: one for each value, whatever order DynamoDB gives names in."""
    ((kind, value),) = attribute.items()
    if kind == "M":
        names = sorted(value, key=lambda name: (len(name.encode()), name.encode()))
        return "{" + ", ".join(f"{_quoted(name)}: {document_text(value[name])}" for name in names) + "}"
    if kind == "L":
        return "[" + ", ".join(map(document_text, value)) + "]"
    if kind == "N":
        return _plain(Decimal(value))
    return "null" if kind == "NULL" else _quoted(value)


def same_number(text: str, back: str) -> bool:
    """Whether MySQL's JSON prints both alike: an integer of 64 bits as such, every other number as its double."""
    if text == back:
        return True
    return not _is_integer(text) and not _is_integer(back) and float(text) == float(back)


def _is_integer(text: str) -> bool:
    return not set(text) & set(".eE") and -(2**63) <= int(text) < 2**64


def _plain(number: Decimal) -> str:
    """A number without exponent, and without zeros or a sign that say nothing."""
    return format(number.normalize(_EXACT), "f") if number else "0"


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _refuse(_: str) -> Any:
    raise Unstorable(_INVALID)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise Unstorable(_DOUBLED)
    return members


def _attribute(value: Any, same: Callable[[str, str], bool]) -> Attribute:
    match value:
        case _Number():
            return {"N": _number(value, same)}
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": _text(value)}
        case dict():
            return {"M": {_text(name): _attribute(of, same) for name, of in value.items()}}
        case list():
            return {"L": [_attribute(of, same) for of in value]}
    raise TypeError(type(value).__name__)


def _number(text: str, same: Callable[[str, str], bool]) -> str:
    number = Decimal(text)
    if len(number.as_tuple().digits) > MAX_DIGITS:
        raise Unstorable(_LONG)
    if not fits_number(number):
        raise Unstorable(_VAST)
    plain = _plain(number)
    if not same(text, plain):
        raise Unstorable(_RESPELT)
    return plain


def _text(value: str) -> str:
    if _SURROGATE.search(value):
        raise Unstorable(_HALVED)
    return value
