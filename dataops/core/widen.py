"""Does one column hold every value of another, exactly? Types only, no data. Pure.

Both flavors' spellings are understood: `int(11)` and `int`, MariaDB's JSON (a checked LONGTEXT) and MySQL's own. What
a type text leaves open, such as the character set of a column that is only declared, is taken as fitting.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from dataops.core.schema import Column
from dataops.errors import SchemaMismatch

NARROW, OTHER = "too narrow", "of another type"

_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_BYTES = {
    "tinytext": 2**8 - 1, "text": 2**16 - 1, "mediumtext": 2**24 - 1, "longtext": 2**32 - 1, "json": 2**32 - 1,
    "tinyblob": 2**8 - 1, "blob": 2**16 - 1, "mediumblob": 2**24 - 1, "longblob": 2**32 - 1,
}  # fmt: skip
_WORDS = {"uuid": 36, "inet4": 15, "inet6": 39}
"""MariaDB's types that are read as ASCII texts, with the most characters of each."""

_UNICODE = {"utf8mb4", "utf16", "utf16le", "utf32"}
_BASIC = {"utf8mb3", "ucs2"}
"""Character sets that hold U+0000 to U+FFFF; only `_UNICODE` and gb18030 have more."""
_WIDTHS = {
    **dict.fromkeys(("utf8mb4", "utf16", "utf16le", "utf32", "gb18030"), 4),
    **dict.fromkeys(("utf8mb3", "ujis", "eucjpms"), 3),
    **dict.fromkeys(("ucs2", "sjis", "cp932", "gbk", "gb2312", "big5", "euckr"), 2),
}
"""The most bytes of a character, where it is not one."""


def misfit(column: Column, into: Column) -> str | None:
    """Why `into` cannot hold every value that the type of `column` allows, or None when it holds them all exactly.

    A NULL is not looked at: it is a row's matter. Raises SchemaMismatch when the type of `column` is not supported.
    """
    kind = column.kind
    try:
        held = into.kind
    except SchemaMismatch:
        return OTHER
    if kind in ("integer", "decimal") and held in ("integer", "decimal"):
        return _number(column, into)
    if kind in ("float", "double") and held in ("float", "double"):
        return _float(column, into)
    if (kind, held) in (("text", "text"), ("json", "json"), ("json", "text")):
        return _text(column, into)
    return _SAME[kind](column, into) if kind == held and kind in _SAME else OTHER


def most_bytes(column: Column) -> int:
    """The most bytes of a text (as UTF-8), binary, JSON or geometry; 0 for the types that are always small."""
    kind = column.kind
    if kind == "text":
        return _text_size(column, _members(column), _charset_name(column), "utf8mb4")[1]
    if kind == "binary":
        return _binary_size(column)
    return _BYTES["longblob"] if kind in ("json", "geometry") else 0


def _arguments(column: Column) -> tuple[int, ...]:
    """The numbers in the parentheses that follow the type's name."""
    found = re.match(r"[a-z0-9]+(?: precision)?\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", column.column_type)
    return tuple(int(number) for number in found.groups() if number) if found else ()


def _first(column: Column, default: int) -> int:
    return _arguments(column)[0] if _arguments(column) else default


def _unsigned(column: Column) -> bool:
    return bool(re.search(r"\b(unsigned|zerofill)\b", re.sub(r"'(?:[^']|'')*'", "", column.column_type)))


class _Range(NamedTuple):
    """Smallest and largest number, and digits after the point."""

    low: Decimal
    high: Decimal
    scale: int


def _range(column: Column) -> _Range:
    """The numbers of an integer or DECIMAL type; the width in `int(11)` is for display only."""
    unsigned = _unsigned(column)
    if column.data_type == "decimal":
        precision, scale = (*_arguments(column), 0)[:2] if _arguments(column) else (10, 0)
        high = Decimal((0, (9,) * precision, -scale))
        return _Range(Decimal(0) if unsigned else high.copy_negate(), high, scale)
    size: int = 1 << _BITS[column.data_type]
    return _Range(Decimal(0 if unsigned else -size // 2), Decimal((size if unsigned else size // 2) - 1), 0)


def _number(column: Column, into: Column) -> str | None:
    """A YEAR fits nothing but a YEAR: its 0000 would return from a number's `0` as 2000."""
    if "year" in (column.data_type, into.data_type):
        return None if column.data_type == into.data_type else OTHER
    wanted, held = _range(column), _range(into)
    fits = held.low <= wanted.low and wanted.high <= held.high and wanted.scale <= held.scale
    return None if fits else NARROW


def _float(column: Column, into: Column) -> str | None:
    """FLOAT(M,D) rounds to D digits, so only the same type with fewer of them goes into it unchanged."""
    (of, shape), (held, room) = _float_shape(column), _float_shape(into)
    if (of == "double" and held == "float") or (_unsigned(into) and not _unsigned(column)):
        return NARROW
    if not room:
        return None
    if of != held or not shape:
        return f"rounded to {room[1]} digits"
    fits = shape[1] <= room[1] and shape[0] - shape[1] <= room[0] - room[1]
    return None if fits else NARROW


def _float_shape(column: Column) -> tuple[str, tuple[int, ...]]:
    """`float` or `double`, and its (M,D) if it has them; FLOAT(p) over 24 bits is a double."""
    numbers = _arguments(column)
    if len(numbers) == 2:
        return column.data_type, numbers
    return "double" if numbers and numbers[0] > 24 else column.data_type, ()


def _text(column: Column, into: Column) -> str | None:
    if into.data_type in _WORDS:
        return None if column.data_type == into.data_type else OTHER
    if into.data_type == "json":
        return None
    members = _members(column)
    if into.data_type in ("enum", "set"):
        return _choice(column.data_type, members, into)
    if into.data_type == "char" and column.data_type not in ("char", "enum", "set", *_WORDS):
        return "trailing spaces would be lost"
    charset = _charset(column, members)
    if not _holds(charset, _charset_name(into)):
        return f"its character set {into.charset} cannot hold {charset}"
    characters, size = _text_size(column, members, charset or _charset_name(into), _charset_name(into))
    needed, room = (size, _BYTES[into.data_type]) if into.data_type in _BYTES else (characters, _length(into))
    return None if needed <= room else NARROW


def _members(column: Column) -> list[str]:
    """The members of an ENUM or SET, in order."""
    if column.data_type not in ("enum", "set"):
        return []
    return [name.replace("''", "'") for name in re.findall(r"'((?:[^']|'')*)'", column.column_type)]


def _choice(data_type: str, members: list[str], into: Column) -> str | None:
    """A SET prints its members in the order of its own definition, so that order has to be the same."""
    if data_type != into.data_type and (data_type, into.data_type) != ("enum", "set"):
        return OTHER
    held = _members(into)
    missing = next((name for name in members if name not in held), None)
    if missing is not None:
        return f"without the member '{missing}'"
    if data_type == "set" and [name for name in held if name in members] != members:
        return "its members stand in another order"
    return None


def _length(column: Column) -> int:
    return column.length if column.length is not None else _first(column, 1)


def _text_size(column: Column, members: list[str], charset: str | None, held: str | None) -> tuple[int, int]:
    """The most characters of a value, and the most bytes that it takes in the character set `held`."""
    data_type = column.data_type
    if members:
        texts = [",".join(members)] if data_type == "set" else members
        characters = max(map(len, texts))
    elif data_type in _BYTES and not _arguments(column):
        return _BYTES[data_type], _BYTES[data_type] * _growth(charset, held)
    else:
        characters = _WORDS.get(data_type) or _length(column)
    return characters, characters * _width(charset, held)


def _width(charset: str | None, held: str | None) -> int:
    """The most bytes in `held` of a character of `charset`."""
    if charset == "ascii":
        return _WIDTHS.get(held or "utf8mb4", 1) if held in ("ucs2", "utf16", "utf16le", "utf32") else 1
    widest = _WIDTHS.get(held or "utf8mb4", 1)
    basic = charset is not None and charset not in (*_UNICODE, "gb18030")
    return min(widest, 3) if basic and held == "utf8mb4" else widest


def _growth(charset: str | None, held: str | None) -> int:
    """How many times longer a text in bytes can become; MySQL's CONVERT TO makes a TEXT a MEDIUMTEXT for it."""
    if charset == held or (charset, held) == ("utf8mb3", "utf8mb4"):
        return 1
    return _width(charset, held)


def _charset_name(column: Column) -> str | None:
    return "utf8mb3" if column.charset == "utf8" else column.charset


def _charset(column: Column, members: list[str]) -> str | None:
    if column.data_type in _WORDS or (members and all(name.isascii() for name in members)):
        return "ascii"
    return "utf8mb4" if column.data_type == "json" else _charset_name(column)


def _holds(charset: str | None, held: str | None) -> bool:
    if charset is None or held is None or charset == held or held in _UNICODE:
        return True
    if held in _BASIC:
        return charset not in (*_UNICODE, "gb18030")
    return charset == "ascii" and held != "swe7"


def _bit(column: Column, into: Column) -> str | None:
    return None if _first(column, 1) <= _first(into, 1) else NARROW


def _temporal(column: Column, into: Column) -> str | None:
    if column.data_type != into.data_type:
        return OTHER
    return None if _first(column, 0) <= _first(into, 0) else NARROW


def _binary(column: Column, into: Column) -> str | None:
    needed, room = _binary_size(column), _binary_size(into)
    if into.data_type == "binary" and (column.data_type != "binary" or needed < room):
        return "zero bytes would be added"
    return None if needed <= room else NARROW


def _binary_size(column: Column) -> int:
    default = _BYTES.get(column.data_type, 1)
    return column.length if column.length is not None else _first(column, default)


def _geometry(column: Column, into: Column) -> str | None:
    of, held = (of.data_type.replace("geometrycollection", "geomcollection") for of in (column, into))
    return None if held in (of, "geometry") else OTHER


_SAME: dict[str, Callable[[Column, Column], str | None]] = {
    "bit": _bit, "temporal": _temporal, "binary": _binary, "geometry": _geometry,
}  # fmt: skip
