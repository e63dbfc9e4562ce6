"""How far a run has come, while it runs: in a terminal, and in a notebook."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from html import escape
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from dataops.workbook.result import Snapshot

ENDED = "The run has ended; its record and report are under runs/."


class ConsoleProgress:
    """Shows snapshots of runs on standard error; use it as a context manager and call it with each snapshot."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        if sys.stderr.isatty():
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[rows]}", markup=False),
            )
            self._bars = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
        self._tasks: dict[str, TaskID] = {}
        self._shown: dict[str, str] = {}
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bars:
            self._bars.stop()

    def __call__(self, snapshot: Snapshot) -> None:
        """Show how far a run has come."""
        rows, name = _rows(snapshot), snapshot.batch
        if self._bars:
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(name, total=None, rows="")
            self._bars.update(
                self._tasks[name], description=f"{name}: {snapshot.state}", rows=rows,
                total=snapshot.chunks or None, completed=snapshot.chunks_done,
            )  # fmt: skip
            return
        line = f"{snapshot.state}: {snapshot.chunks_done}/{snapshot.chunks} chunks, {rows}"
        if line != self._shown.get(name) and snapshot.chunks:
            self._shown[name] = line
            print(f"{name} {time.monotonic() - self._began:5.1f} s  {line}", file=sys.stderr, flush=True)


class NotebookProgress:
    """Draws snapshots of a run in place below a notebook's cell; a context manager like ConsoleProgress.

    When the run has ended the same line stands there each time, so that an executed notebook does not vary.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._output: Any = None

    def __enter__(self) -> Self:
        from IPython.display import display

        draw: Callable[..., Any] = display
        self._output = draw(_Line("Starting ..."), display_id=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._show(_Line(f"Stopped by {kind.__name__}." if kind else ENDED))

    def __call__(self, snapshot: Snapshot) -> None:
        """Show how far the run has come."""
        chunks = f"{snapshot.chunks_done:,} of {snapshot.chunks:,} chunks; " if snapshot.chunks else ""
        share = snapshot.chunks_done / snapshot.chunks if snapshot.chunks else 0.0
        line = f"{snapshot.state}: {chunks}{_rows(snapshot)}; {time.monotonic() - self._began:.0f} s"
        self._show(_Line(line, share))

    def _show(self, line: _Line) -> None:
        if self._output is not None:  # outside a notebook there is no place to draw in
            self._output.update(line)


class _Line:
    """A line of text, and a bar for the share that is done."""

    def __init__(self, text: str, share: float | None = None) -> None:
        self._text, self._share = text, share

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        bar = "" if self._share is None else _BAR.format(f"{self._share:.0%}")
        return f'<div style="font:13px system-ui,sans-serif;max-width:40em">{escape(self._text)}{bar}</div>'


_BAR = (
    '<div style="height:6px;margin-top:4px;border-radius:3px;background:rgba(138,147,160,.35)">'
    '<div style="height:6px;border-radius:3px;background:#3b6fb6;width:{}"></div></div>'
)


def _rows(snapshot: Snapshot) -> str:
    return f"{snapshot.rows_copied:,} rows copied, {snapshot.rows_loaded:,} loaded"
