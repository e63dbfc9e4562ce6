"""Tables made for looking: aligned, escaped, NULL told from the empty string, the same HTML every time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any, Self
from unicodedata import east_asian_width

if TYPE_CHECKING:
    import pandas

SHOWN, TITLE = 60, 2000
"""Characters of a text that are shown, and those that the cell's title holds (the whole text, unless it is huge)."""

_TABLE = "border-collapse:collapse;font:13px system-ui,sans-serif;margin:4px 0"
_HEAD = "text-align:{align};vertical-align:bottom;padding:4px 8px;border-bottom:2px solid #8a93a0;font-weight:600"
_CELL = "text-align:{align};padding:3px 8px;border-bottom:1px solid rgba(138,147,160,.35);white-space:{space}"
_WRAP = "pre-wrap;overflow-wrap:anywhere;min-width:12em;max-width:28em"
_MARK = '<span style="opacity:.7;font-style:italic">{}</span>'
_BADGE = "color:#fff;border-radius:3px;padding:1px 6px"
_CONTROLS = {code: chr(0x2400 + code) for code in range(32)} | {code: f"\\x{code:02x}" for code in range(128, 160)}
_CONTROLS |= {ord("\n"): "⏎", ord("\t"): "⇥", 127: "␡"}


class Badge(str):
    """A text that HTML shows in white on `colour`, which must be dark enough for it: so it is seen in either theme."""

    __slots__ = ("colour",)
    colour: str

    def __new__(cls, text: str, colour: str) -> Self:
        """A text with its colour."""
        badge = super().__new__(cls, text)
        badge.colour = colour
        return badge


class Table:
    """Rows under column names; shows itself in a notebook, and as plain text elsewhere.

    Columns of numbers stand on the right, and so do those named in `right`, whose values may be texts.
    The texts of those named in `wrapped` are shown whole, over several lines where they are long.
    """

    def __init__(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        caption: str = "",
        *,
        right: Collection[str] = (),
        wrapped: Collection[str] = (),
    ) -> None:
        self.columns, self.rows, self.caption = tuple(columns), [tuple(row) for row in rows], caption
        self._wrapped = [name in wrapped for name in self.columns]
        self._right = [name in right or self._is_number(place) for place, name in enumerate(self.columns)]

    def _repr_html_(self) -> str:
        align = ["right" if right else "left" for right in self._right]
        head = "".join(
            f'<th style="{_HEAD.format(align=of)}">{escape(name)}</th>'
            for name, of in zip(self.columns, align, strict=True)
        )
        body = "".join(f"<tr>{''.join(map(_cell, row, align, self._wrapped))}</tr>\n" for row in self.rows)
        none = f'<tr><td colspan="{len(self.columns)}" style="{_CELL.format(align="left", space="pre")}">{_MARK.format("no rows")}</td></tr>\n'
        caption = f'<caption style="text-align:left;padding:4px 0;white-space:nowrap">{escape(self.caption)}</caption>'
        return (
            f'<div style="overflow-x:auto"><table style="{_TABLE}">{caption if self.caption else ""}'
            f"<thead><tr>{head}</tr></thead>\n<tbody>{body or none}</tbody></table></div>"
        )

    def __repr__(self) -> str:
        return self.text(SHOWN)

    def text(self, shown: int | None = None) -> str:
        """The table as plain text; a value of more than `shown` characters is cut (None: every value is whole)."""
        texts = [tuple(one_line(name) for name in self.columns)]
        limits = [None if wrapped else shown for wrapped in self._wrapped]
        texts += [tuple(map(_cut, map(_plain, row), limits)) for row in self.rows]
        widths = [max(_width(row[place]) for row in texts) for place in range(len(self.columns))]
        if self._right and not self._right[-1]:
            widths[-1] = 0
        lines = [self.caption] if self.caption else []
        for row in texts:
            cells = [_pad(text, width, right) for text, width, right in zip(row, widths, self._right, strict=True)]
            lines.append("  ".join(cells))
        return "\n".join(lines)

    def frame(self) -> pandas.DataFrame:
        """The table as a pandas DataFrame; every value stays the object that it is (nothing becomes a float or NaN)."""
        import pandas

        return pandas.DataFrame(self.rows, columns=list(self.columns), dtype=object)

    def _is_number(self, place: int) -> bool:
        values = [row[place] for row in self.rows if row[place] is not None]
        return bool(values) and all(
            isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in values
        )


class Tables:
    """Several tables, one under the other."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = tuple(tables)

    def _repr_html_(self) -> str:
        return "\n".join(table._repr_html_() for table in self.tables)

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self.tables))


def _cell(value: Any, align: str, wrapped: bool) -> str:
    text = _plain(value)
    limit = None if wrapped else SHOWN
    shown = (
        _MARK.format("NULL" if value is None else "empty")
        if value is None or value == ""
        else escape(_cut(text, limit))
    )
    if isinstance(value, Badge):
        shown = f'<span style="{_BADGE};background:{value.colour}">{shown}</span>'
    title = f' title="{escape(text[:TITLE])}{"…" if len(text) > TITLE else ""}"' if limit and len(text) > limit else ""
    return f'<td style="{_CELL.format(align=align, space=_WRAP if wrapped else "pre")}"{title}>{shown}</td>'


def _plain(value: Any) -> str:
    """A value as text; the empty string as the two quotes that SQL writes."""
    if value is None:
        return "NULL"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    return str(value) or "''"


def one_line(text: str) -> str:
    """A text on one line: line breaks and control characters stay visible, and no terminal obeys them."""
    return text.translate(_CONTROLS)


def _cut(text: str, shown: int | None) -> str:
    """At most `shown` characters on one line."""
    return one_line(text if shown is None or len(text) <= shown else text[: shown - 1] + "…")


def _width(text: str) -> int:
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _pad(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space
