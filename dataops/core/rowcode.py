"""The row function: Python code, made for one table, that turns rows as the server sends them into item texts.

A row is a packet: three bytes of length, a number, then the length and the text of each column. The function takes what
is usual and stops at what is not (a rejection, a row of 64 KiB, a zero date, the packet at the end): the plain codec
goes on from there, so the rules have one place. Bytes are read as latin-1, a character each: slices then cost little,
and encoding gives the very UTF-8 back. `docs/fast-path.md` shows such a function.
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html
"""

from __future__ import annotations

from binascii import b2a_base64
from calendar import monthrange
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring
from typing import Any, NamedTuple, TypeAlias

import msgspec

from dataops.batch import PLACEHOLDER, KeyTemplate
from dataops.core.convert import trim_zeros
from dataops.core.item import MAX_KEY_BYTES, item_text
from dataops.core.keys import compile_template
from dataops.core.normalize import Codec, Field, Reject
from dataops.core.widen import most_bytes

RowFunction: TypeAlias = Callable[[bytes, str, int, int, list[bytes], list[tuple[int, str]]], tuple[int, int]]
"""Takes packets (as bytes and as latin-1), where they begin and end, and two lists: item texts go into the first, the
number of an item with the column of a `''` that comes back as NULL into the second. Gives where it stopped, and where
the last row that it took began or -1."""

SHORT = 250
"""Bytes of the longest text whose length is told in one byte; 251 is NULL, 252 begins a length of two bytes."""
MAX_NAME_BYTES = 100_000
"""Bytes of all names in an item: with a row of less than 64 KiB it is then never too large."""

LONG = 50
"""Bytes of a text from which on `quote_long` is the quicker. A length in two bytes, told by 252, is over it, too."""
STEPS = tuple(range(1, SHORT + 2))
"""Bytes of a short text with its length, by that length."""

_HEAD = """def read_rows(raw, text, at, stop, items, emptied, steps=steps):
    last = -1
    try:
        while True:
            p = at + 4
            end = p + raw[at] + (raw[at + 1] << 8)
            if end > stop:
                break"""
_TAIL = """            if p != end:
                break
            items.append(%s.encode("latin-1"))
            last, at = at, end
    except (LookupError, ValueError):  # the end, or a length or a value that is not usual
        pass
    return at, last
"""
_CHECK = ['if text[p:p + 2] != "\\x011":  # a text that does not say all', "    break", "p += 2"]
_NUMBER, _TEXT = '{"N":"%"}', '{"S":"%"}'


def why_plain(codec: Codec) -> str | None:
    """Why rows of this batch have no function of their own and go the plain way; None where they have."""
    batch = codec.batch
    keys = [key for of in (batch.dynamodb, *batch.dynamodb.indexes) for key in of.keys]
    if batch.function:
        return "a transform"
    if not all(_is_ascii(key) and key.name not in codec.fields for key in _templates(codec)):
        return "a key template that is not ASCII"
    if any(not codec.fields[key].natural for key in keys if isinstance(key, str)):
        return "a key that is stored otherwise (as)"
    if sum(len(name.encode()) for name in codec.attributes) > MAX_NAME_BYTES:
        return "too many columns"
    return None


def compile_rows(codec: Codec, checks: int) -> RowFunction:
    """The row function of a batch whose rows end with so many columns of checks (`mysql.exactness`)."""
    names: dict[str, Any] = {
        "quote": encode_basestring, "quote_long": quote_long, "encode": _encode,
        "number": msgspec.json.Decoder(float).decode, "base64": _base64,
        "steps": STEPS, "days": Days(), "trim_zeros": trim_zeros,
        "stored": {name: _stored(field) for name, field in codec.fields.items()},
        "keys": {key.name: compile_template(key) for key in _templates(codec)},
    }  # fmt: skip
    exec(compile(row_code(codec, checks), f"<rows of {codec.batch.batch}>", "exec"), names)  # noqa: S102 - our own code; names in it are literals
    function: RowFunction = names["read_rows"]
    return function


def row_code(codec: Codec, checks: int) -> str:
    """The row function's code."""
    columns = [_ColumnCode(place, field, codec) for place, field in enumerate(codec.fields.values())]
    templates = [_TemplateCode(place, key, codec) for place, key in enumerate(_templates(codec))]
    lines = [line for column in columns for line in column.lines()] + _CHECK * checks
    lines += [line for template in templates for line in template.lines()]
    item = "".join([*(column.part for column in columns), *(template.part for template in templates)])
    return "\n".join([_HEAD, *_indented(lines, 12), _TAIL % f"f'{item}'"])


_encode = msgspec.json.Encoder().encode
_ESCAPED = b'"\\' + bytes(range(32))


def quote_long(text: str) -> str:
    """What `encode_basestring` gives for a text in the latin-1 view of its UTF-8."""
    if text.isascii():
        return _encode(text).decode()
    raw = text.encode("latin-1")
    return f'"{text}"' if len(raw.translate(None, _ESCAPED)) == len(raw) else encode_basestring(text)


class Days(dict[bytes, str]):
    """`2026-02-28T` for `2026-02-28`, KeyError for a day that no calendar has; each is worked out once."""

    def __missing__(self, day: bytes) -> str:
        year, month, number = int(day[:4]), int(day[5:7]), int(day[8:])
        if len(self) > 10_000:
            self.clear()
        if not (year and 1 <= month <= 12 and 1 <= number <= monthrange(year, month)[1]):
            raise KeyError(day)
        self[day] = f"{day.decode()}T"
        return self[day]


class _Form(NamedTuple):
    """How a value is written: as an expression, mended by some lines, and set for `%` in an attribute with the `rest`."""

    value: str
    attribute: str
    mend: tuple[str, ...] = ()
    rest: str = ""


class _ColumnCode:
    """The code that reads one column into the variable `v`, and `part`, what the item's f-string says of it."""

    def __init__(self, place: int, field: Field, codec: Codec) -> None:
        self._v = v = f"v{place}"
        self._field, self._form = field, _form(v, field)
        table, indexes = codec.batch.dynamodb, codec.batch.dynamodb.indexes
        self._told = f"t{place}" if any(field.name in key.columns for key in _templates(codec)) else ""
        self._keys_table = field.name in table.keys
        self._keys_index = any(field.name in index.keys for index in indexes)
        self._bytes = most_bytes(field.column)
        limits = [MAX_KEY_BYTES[of.keys.index(field.name)] for of in (table, *indexes) if field.name in of.keys]
        self._limit = min(limits, default=self._bytes)
        self._instead = {test: body for test, body in (("n == 251", self._null()), ("not n", self._empty())) if body}
        self._varies = self._form.attribute == "%" or any(body != _BREAK for body in self._instead.values())
        self.part = f"{{{v}}}" if self._varies else self._whole(v, self._form.rest and f"{v}r")

    def lines(self) -> list[str]:
        """Code that begins with `p` at the column's length and ends with it behind the column, or breaks off."""
        column = self._field.column
        code = [f"a = p + 1  # {column.name!r} {column.column_type!r}"]
        code += ["n = raw[p]"] if self._instead or self._bytes > SHORT else []
        for place, (test, body) in enumerate(self._instead.items()):
            code += [f"{'elif' if place else 'if'} {test}:", *_indented(body)]
        return code + (["else:", *_indented(self._usual())] if self._instead else self._usual())

    def _usual(self) -> list[str]:
        code = list(_TWO_BYTES) if self._bytes > SHORT else [f"p += steps[{'n' if self._instead else 'raw[p]'}]"]
        code += [f"if p - a > {self._limit}:", *_indented(_BREAK)] if self._bytes > self._limit else []
        if self._told:
            code.append(f"{self._told} = {'raw[a:p].hex()' if _is_binary(self._field) else 'text[a:p]'}")
        v, (value, attribute, mend, rest) = self._v, self._form
        whole = self._varies and attribute != "%"
        if whole and not mend:
            return [*code, f"{v} = f'{self._whole(value, rest)}'"]
        code += [f"{v} = {value}", *mend, *([f"{v}r = {rest}"] if rest else [])]
        return [*code, f"{v} = f'{self._whole(v)}'"] if whole else code

    def _whole(self, value: str, rest: str = "") -> str:
        """The attribute with its name, in an f-string."""
        set_value = f"{{{value}}}" + (f"{{{rest}}}" if rest else "")
        attribute = self._form.attribute.replace("{", "{{").replace("}", "}}").replace("%", set_value)
        return f"{_in_code(_literal(self._field.name))}:{attribute},"

    def _null(self) -> list[str]:
        """What is done for NULL; nothing where it is not usual: what no column could be so long ends there too."""
        if self._keys_table or self._told or not self._field.column.nullable:
            return []
        try:
            attribute = self._field.store(None, [])
        except Reject:
            return []
        return self._set("" if self._keys_index or attribute is None else item_text({"": attribute}, [""])[2:])

    def _empty(self) -> list[str]:
        """What is done for `''`; nothing where it is stored as any other text."""
        field, lost = self._field, list[str]()
        if field.column.kind in ("text", "binary") and (self._keys_table or self._keys_index or self._told):
            return _BREAK
        if not field.empties or field.policy == "keep" or not field.natural:
            return []
        try:
            attribute = field.store("", lost)
        except Reject:
            return _BREAK
        counted = [f"emptied.append((len(items), {_quoted(field.name)}))"] if lost else []
        return self._set("" if attribute is None else item_text({"": attribute}, [""])[2:]) + counted

    def _set(self, attribute: str) -> list[str]:
        return ["p = a", f"{self._v} = {_literal(self._field.name) + attribute if attribute else ''!r}"]


class _TemplateCode:
    """The code that fills one key template, and its part of the item's f-string."""

    def __init__(self, place: int, key: KeyTemplate, codec: Codec) -> None:
        self._v, self._key = f"k{place}", key
        self._told = {name: f"t{list(codec.fields).index(name)}" for name in key.columns}
        keyed = (codec.batch.dynamodb, *codec.batch.dynamodb.indexes)
        self._limit = min(MAX_KEY_BYTES[of.keys.index(key)] for of in keyed if key in of.keys)
        self.part = f'{_in_code(_literal(key.name))}:{{{{"S":{{quote({self._v})}}}}}},'

    def lines(self) -> list[str]:
        """Code for when all columns have been read."""
        told = ", ".join(f"{name!r}: {variable}" for name, variable in self._told.items())
        return [f"{self._v} = keys[{self._key.name!r}]({{{told}}})", f"if len({self._v}) > {self._limit}:", "    break"]


_BREAK = ["break"]
_TWO_BYTES = [
    "if n == 252:",
    "    a = p + 3",
    "    p = a + raw[p + 1] + (raw[p + 2] << 8)",
    "else:",
    "    p += steps[n]",
]
_DOUBLE = (
    "if 1e-4 <= % < 1e16 or -1e16 < % <= -1e-4:  # Python writes others with an exponent",
    "    % = encode(%).decode()",
    '    if %[-1] == "0" and %[-2] == ".":',
    "        % = %[:-2]",
    'elif raw[a:p] == b"0":',
    '    % = "0"',
    "else:",
    "    break",
)


def _form(v: str, field: Field) -> _Form:
    """How the values of a column are written, as its converter does."""
    kind, data_type = field.column.kind, field.column.data_type
    if not field.natural:
        return _Form(f"stored[{field.name!r}](raw[a:p])", "%", (f"if {v} is None:", "    break"))
    if kind == "integer":
        plain = data_type != "year" and "zerofill" not in field.column.column_type
        return _Form("text[a:p]" if plain else "int(text[a:p])", _NUMBER)
    if kind == "decimal" and field.converter.key_type == "N":
        filled = f' or {v}[0] == "0"' if "zerofill" in field.column.column_type else ""
        return _Form("text[a:p]", _NUMBER, (f'if {v}[-1] == "0"{filled}:', f"    {v} = trim_zeros({v})"))
    if kind in ("float", "double"):
        return _Form("number(raw[a:p])", _NUMBER, tuple(line.replace("%", v) for line in _DOUBLE))
    if data_type in ("datetime", "timestamp"):
        attribute = _TEXT.replace("%", "%Z") if data_type == "timestamp" else _TEXT
        return _Form("days[raw[a:a + 10]]", attribute, rest="text[a + 11:p]")
    if kind in ("decimal", "temporal"):
        return _Form("text[a:p]", _TEXT)
    if kind == "bit":
        return _Form('int.from_bytes(raw[a:p], "big")', _NUMBER)
    if kind in ("binary", "geometry"):
        return _Form("base64(raw[a:p])", '{"B":"%"}')
    long = f"quote_long(text[a:p]) if n > {LONG} else "
    return _Form(f"{long if most_bytes(field.column) > SHORT else ''}quote(text[a:p])", '{"S":%}')


def _stored(field: Field) -> Callable[[bytes], str | None]:
    """The whole attribute for a value, by the plain converter; None for what the plain codec has to take."""
    binary = _is_binary(field)

    def text(raw: bytes) -> str | None:
        lost: list[str] = []
        try:
            attribute = field.store(raw if binary else raw.decode(), lost)
        except Reject:
            return None
        item = {} if attribute is None else {field.name: attribute}
        return None if lost else item_text(item, [field.name]).encode().decode("latin-1")

    return text


def _templates(codec: Codec) -> list[KeyTemplate]:
    """The templates among the keys of table and indexes, in the order of their attributes."""
    return [key for key in codec.batch.dynamodb.all_keys if isinstance(key, KeyTemplate)]


def _is_ascii(key: KeyTemplate) -> bool:
    """Whether a template is the same text in the latin-1 view of its UTF-8, but for the names of its columns."""
    return "".join(PLACEHOLDER.split(key.template)[::2]).isascii()


def _is_binary(field: Field) -> bool:
    """Whether a value is bytes to the plain codec, not a text."""
    return field.column.kind in ("bit", "binary", "geometry")


def _base64(raw: bytes) -> str:
    return b2a_base64(raw, newline=False).decode("ascii")


def _literal(name: str) -> str:
    """A name in JSON, as the latin-1 view of its UTF-8."""
    return encode_basestring(name).encode().decode("latin-1")


def _quoted(name: str) -> str:
    """A name as a Python literal, in double quotes where that takes no thought."""
    return f'"{name}"' if name.isidentifier() else repr(name)


def _in_code(text: str) -> str:
    """A text that holds a double quote, as it stands in an f-string in single quotes."""
    return repr(text)[1:-1].replace("{", "{{").replace("}", "}}")


def _indented(lines: Iterable[str], by: int = 4) -> list[str]:
    return [" " * by + line for line in lines]
