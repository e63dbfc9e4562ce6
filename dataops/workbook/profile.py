"""What the columns of a table hold, as SQL: aggregates for one pass that counts and one that draws histograms. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from dataops.core.mysql import quote_name, select_list
from dataops.core.schema import Column

BARS = 12
UNORDERED = ("json", "binary", "geometry")
"""Kinds of columns whose least and greatest value say nothing."""
SPARKS = "▁▂▃▄▅▆▇█"


class Counted(NamedTuple):
    """One column's aggregates as the server writes them: `low` and `high` are its measure's (see `measure`)."""

    null: str | None
    empty: str | None
    distinct: str | None
    least: Any
    greatest: Any
    low: str | None
    high: str | None


def count_terms(column: Column) -> list[str]:
    """SQL for the fields of `Counted`. A text is empty when it has no bytes: `=` would take spaces for nothing."""
    name = quote_name(column.name)
    empty = f"SUM(OCTET_LENGTH({name}) = 0)" if column.kind == "text" else "0"
    terms = [f"SUM({name} IS NULL)", empty, f"COUNT(DISTINCT {name})"]
    if column.kind in UNORDERED:
        ends = ["NULL", "NULL"]
    else:
        value = f"{name} + 0" if column.kind == "bit" else select_list([column])
        ends = [f"MIN({value})", f"MAX({value})"]
    return [*terms, *ends, f"MIN({measure(column)})", f"MAX({measure(column)})"]


def measure(column: Column) -> str:
    """SQL for the number that a column's histogram is drawn by: the value, its seconds, or a text's length."""
    name = quote_name(column.name)
    if column.kind in ("integer", "decimal", "float", "double"):
        return f"({name} * 1e0)"
    if column.kind == "bit":
        return f"(({name} + 0) * 1e0)"
    if column.kind == "temporal":
        return f"TIME_TO_SEC({name})" if column.data_type == "time" else f"TO_SECONDS({name})"
    return f"CHAR_LENGTH({name})" if column.kind in ("text", "json") else f"OCTET_LENGTH({name})"


def measures_length(column: Column) -> bool:
    """Whether `measure` is a length, in characters or bytes."""
    return column.kind in ("text", "json", "binary", "geometry")


def bar_terms(column: Column, counted: Counted) -> list[str]:
    """SQL that counts the rows of each bar, all equally wide; none where the column holds nothing to draw."""
    if counted.low is None or counted.high is None:
        return []
    low, high = float(counted.low), float(counted.high)
    width = (high - low) / BARS
    if not math.isfinite(width):
        return []
    if not width:
        return [f"COUNT({measure(column)})"]
    bar = f"LEAST({BARS - 1}, FLOOR(({measure(column)} - {low!r}) / {width!r}))"
    return [f"COALESCE(SUM({bar} = {number}), 0)" for number in range(BARS)]


def lengths(column: Column, counted: Counted) -> str:
    """The shortest and longest value, such as `0 to 12`; nothing for columns that are no texts or bytes."""
    if not measures_length(column) or counted.low is None or counted.high is None:
        return ""
    low, high = int(float(counted.low)), int(float(counted.high))
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def ends(column: Column, counted: Counted) -> tuple[str, str]:
    """What stands under a histogram's first and last bar."""
    if measures_length(column):
        unit = "characters" if column.kind in ("text", "json") else "bytes"
        return f"{int(float(counted.low or 0)):,}", f"{int(float(counted.high or 0)):,} {unit}"
    if column.kind in ("decimal", "float", "double"):
        return f"{float(counted.low or 0):.6g}", f"{float(counted.high or 0):.6g}"
    shown = 10 if column.kind == "temporal" else None
    return str(counted.least or "")[:shown], str(counted.greatest or "")[:shown]


def spark(heights: Sequence[int]) -> str:
    """The bars in one line of text; a bar that is not empty shows, however low it is."""
    most = max(heights, default=0)
    return "".join(" " if not height else SPARKS[-(-8 * height // most) - 1] for height in heights)
