"""Tables made for looking: aligned, escaped, NULL told from the empty string, the same HTML every time."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from typing import Any

SHOWN = 60
"""Characters of a text that are shown; the whole text is in the cell's title."""

_TABLE = "border-collapse:collapse;font:13px system-ui,sans-serif;margin:4px 0"
_HEAD = "text-align:{align};padding:4px 12px;border-bottom:2px solid #8a93a0;font-weight:600"
_CELL = "text-align:{align};padding:3px 12px;border-bottom:1px solid rgba(138,147,160,.35);white-space:nowrap"
_MARK = '<span style="color:#8a93a0;font-style:italic">{}</span>'


class Table:
    """Rows under column names; shows itself in a notebook, and as plain text elsewhere."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> None:
        self.columns, self.rows, self.caption = tuple(columns), [tuple(row) for row in rows], caption

    def _repr_html_(self) -> str:
        align = ["right" if self._is_number(place) else "left" for place in range(len(self.columns))]
        head = "".join(
            f'<th style="{_HEAD.format(align=of)}">{escape(name)}</th>'
            for name, of in zip(self.columns, align, strict=True)
        )
        body = "".join(
            f"<tr>{''.join(_cell(value, of) for value, of in zip(row, align, strict=True))}</tr>\n" for row in self.rows
        )
        caption = f'<caption style="text-align:left;padding:4px 0">{escape(self.caption)}</caption>'
        return (
            f'<table style="{_TABLE}">{caption if self.caption else ""}'
            f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"
        )

    def __repr__(self) -> str:
        texts = [self.columns, *(tuple(map(_plain, row)) for row in self.rows)]
        widths = [max(len(row[place]) for row in texts) for place in range(len(self.columns))]
        lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in texts)
        return "\n".join(line.rstrip() for line in lines)

    def _is_number(self, place: int) -> bool:
        values = [row[place] for row in self.rows if row[place] is not None]
        return bool(values) and all(
            isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in values
        )


def _cell(value: Any, align: str) -> str:
    text = _plain(value)
    if value is None:
        shown = _MARK.format("NULL")
    elif text == "":
        shown = _MARK.format("empty")
    else:
        shown = escape(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")
    title = f' title="{escape(text)}"' if len(text) > SHOWN else ""
    return f'<td style="{_CELL.format(align=align)}"{title}>{shown}</td>'


def _plain(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    return str(value)
