"""Charts as PNG pictures on no ground of their own, readable on a light and a dark one, without network or script."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, LINE, PANEL = "#6d7885", "#8a93a055", "none"
BLUE, GREEN, RED, AMBER, GREY = "#4279c4", "#4c9a5b", "#cf4b4b", "#c99a2e", "#9aa4b0"
DPI = 160
FONTS = ("Noto Sans CJK JP", "IPAexGothic", "IPAGothic", "Hiragino Sans", "Yu Gothic")
"""Fonts that hold Japanese, for names and values in labels; those that are installed are used."""


class Picture:
    """A PNG picture. Its bytes may differ from run to run: notebooks' regression tests do not compare them."""

    def __init__(self, png: bytes, width: int, title: str) -> None:
        self.png, self.width, self.title = png, width, title

    def __repr__(self) -> str:
        return f"<{self.title}>"

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        return self.png, {"width": self.width, "alt": self.title}


class Bars(NamedTuple):
    """One small chart of a grid: its title, the bars' heights, and what stands below the first and last of them."""

    title: str
    heights: Sequence[float]
    first: str
    last: str


def draw_bars(grid: Sequence[Bars], title: str, columns: int = 4) -> Picture:
    """Small bar charts side by side, each with a scale of its own."""
    rows = max(1, -(-len(grid) // columns))
    with _figure(11, 0.5 + 1.75 * rows, title) as (figure, pictures):
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, bars in zip(axes, grid, strict=False):
            one = len(bars.heights) == 1
            ax.bar(range(len(bars.heights)), list(bars.heights), width=0.3 if one else 0.92, color=BLUE)
            ax.set_title(bars.title, fontsize=9, color=INK, loc="left", pad=4)
            ax.set_xlim(-0.6, len(bars.heights) - 0.4)
            ax.set_xticks([])
            for x, side, text in (
                ((0.5, "center", bars.last),) if one else ((0, "left", bars.first), (1, "right", bars.last))
            ):
                ax.text(x, -0.04, _short(text), transform=ax.transAxes, ha=side, va="top", fontsize=8, color=INK)
            _plain(ax, counts=True)
        for ax in axes[len(grid) :]:
            ax.set_axis_off()
    return pictures[0]


def draw_histogram(heights: Sequence[tuple[float, float]], title: str, unit: str, mark: tuple[float, str]) -> Picture:
    """One histogram: (lower edge, height) of equally wide bars; `mark` is a labelled place on its axis."""
    width = heights[1][0] - heights[0][0] if len(heights) > 1 else 1.0
    with _figure(9, 2.6, title) as (figure, pictures):
        ax = figure.subplots()
        ax.bar(
            [edge for edge, _ in heights],
            [height for _, height in heights],
            width=width * 0.94,
            align="edge",
            color=BLUE,
        )
        ax.set_xlabel(unit, fontsize=9, color=INK)
        if heights and heights[0][0] <= mark[0] <= heights[-1][0] + width:
            ax.axvline(mark[0], color=RED, linewidth=1, linestyle="--")
            ax.annotate(mark[1], (mark[0], 1), (4, -10), xycoords=("data", "axes fraction"), textcoords="offset points",
                        fontsize=8, color=RED)  # fmt: skip
        _plain(ax, counts=True)
    return pictures[0]


def draw_compared(
    rows: Sequence[tuple[str, float, float, str]], title: str, names: tuple[str, str], name: str
) -> Picture:
    """Two bars a row: (label, first, second, note at the second's end); each row has a scale of its own."""
    with _figure(9, 0.75 + 0.62 * len(rows), title, name) as (figure, pictures):
        ax = figure.subplots()
        for place, (_, first, second, note) in enumerate(rows):
            most = max(first, second, 1e-9)
            ax.barh(place - 0.19, first / most, height=0.34, color=GREY, label=names[0] if not place else None)
            ax.barh(place + 0.19, second / most, height=0.34, color=BLUE, label=names[1] if not place else None)
            ax.text(first / most + 0.01, place - 0.19, f"{first:,.0f}", va="center", fontsize=8, color=INK)
            ax.text(second / most + 0.01, place + 0.19, f"{second:,.0f}  {note}", va="center", fontsize=8, color=INK)
        ax.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=9)
        ax.set_xlim(0, 1.5)
        ax.set_xticks([])
        ax.invert_yaxis()
        ax.legend(loc="lower right", fontsize=8, frameon=False, labelcolor=INK)
        _plain(ax)
        ax.spines["bottom"].set_visible(False)
    return pictures[0]


def draw_costs(rows: Sequence[tuple[str, float, str]], title: str, marked: str) -> Picture:
    """A bar a row on one logarithmic scale: (label, cost, note at its end); labels with `marked` have another colour."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    with _figure(9, 0.75 + 0.34 * len(rows), title) as (figure, pictures):
        ax = figure.subplots()
        for place, (label, cost, note) in enumerate(rows):
            ax.barh(place, cost, height=0.62, color=BLUE if marked in label else GREY)
            ax.annotate(
                f"{cost:,.1f}  ({note})", (cost, place), (4, 0), textcoords="offset points", va="center", fontsize=8,
                color=INK,
            )  # fmt: skip
        ax.set_xscale("log")
        ax.set_xlim(1, 4 * max(cost for _, cost, _ in rows))
        ax.set_yticks(range(len(rows)), [label for label, _, _ in rows], fontsize=9)
        ax.invert_yaxis()
        _plain(ax)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.tick_params(which="minor", length=0)
    return pictures[0]


class Curves(NamedTuple):
    """One chart of several: its title, and the values of each curve."""

    title: str
    values: dict[str, list[float]]


def draw_curves(charts: Sequence[Curves], at: Sequence[float], title: str) -> Picture:
    """Charts side by side of values over one logarithmic scale; each has a scale of its own that begins at nothing."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    with _figure(11, 3.2, title) as (figure, pictures):
        for ax, chart in zip(figure.subplots(1, len(charts), squeeze=False)[0], charts, strict=True):
            for (name, values), color in zip(chart.values.items(), (BLUE, AMBER, GREEN), strict=False):
                ax.plot(at, values, color=color, marker="o", markersize=4, linewidth=1.6, label=name)
            ax.set_title(chart.title, fontsize=9, color=INK, loc="left", pad=4)
            ax.set_xscale("log")
            ax.set_ylim(0, 1.25 * max(map(max, chart.values.values())))
            _plain(ax)
            ax.set_xticks(list(at))
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.tick_params(which="minor", length=0)
            ax.grid(axis="y", color=LINE, linewidth=0.6)
            if len(chart.values) > 1:
                ax.legend(loc="lower right", fontsize=8, frameon=False, labelcolor=INK)
    return pictures[0]


class Span(NamedTuple):
    """Something that took time: from `began` to `ended`, in seconds since the chart's start."""

    name: str
    began: float
    ended: float
    color: str
    note: str = ""


def draw_spans(lanes: Sequence[tuple[str, Sequence[Span]]], title: str, name: str) -> Picture:
    """A timeline: a lane for each name, with what happened in it."""
    height = 0.9 + 0.27 * len(lanes) + 0.17 * title.count("\n")
    with _figure(11, height, title, name) as (figure, pictures):
        ax = figure.subplots()
        end = max((span.ended for _, spans in lanes for span in spans), default=1.0)
        for place, (_, spans) in enumerate(lanes):
            for span in spans:
                ax.barh(place, max(span.ended - span.began, end / 500), left=span.began, height=0.62, color=span.color)
            if spans and spans[-1].note:
                ax.text(spans[-1].ended + end / 150, place, spans[-1].note, va="center", fontsize=8, color=INK)
        ax.set_yticks(range(len(lanes)), [name for name, _ in lanes], fontsize=8.5)
        ax.set_ylim(len(lanes) - 0.4, -0.6)
        ax.set_xlim(0, end * 1.16)
        ax.set_xlabel("seconds since the start", fontsize=9, color=INK)
        ax.grid(axis="x", color=LINE, linewidth=0.6)
        ax.set_axisbelow(True)
        _plain(ax)
    return pictures[0]


@contextmanager
def _figure(width: float, height: float, title: str, name: str = "") -> Iterator[tuple[Figure, list[Picture]]]:
    """A figure of so many inches; the list holds its picture afterwards, called `name` where its title varies.

    matplotlib would tell the notebook's reader of its font cache and of letters that no font has.
    """
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.font_manager import fontManager

    known = {font.name for font in fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in FONTS if name in known)]
    pictures: list[Picture] = []
    with matplotlib.rc_context({"font.family": families, "text.parse_math": False}), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(width, height), layout="constrained", facecolor=PANEL)
        figure.suptitle(title, fontsize=10.5, fontweight="bold", color=INK, x=0.008, ha="left")
        yield figure, pictures
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    pictures.append(Picture(buffer.getvalue(), round(width * 90), name or title))


def _plain(ax: Axes, counts: bool = False) -> None:
    """Thin lines and quiet numbers; `counts` says that the vertical axis counts."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.set_facecolor(PANEL)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(GREY)
    ax.tick_params(length=0, labelsize=8, labelcolor=INK)
    if counts:
        ax.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        ax.grid(axis="y", color=LINE, linewidth=0.6)
        ax.set_axisbelow(True)


def _short(text: str) -> str:
    return text if len(text) <= 20 else f"{text[:19]}…"
