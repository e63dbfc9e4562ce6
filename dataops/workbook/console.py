"""What a run looks like in a terminal: a bar where there is one, plain lines elsewhere, tables at the end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from dataops.workbook.report import counts_table
from dataops.workbook.result import RunResult, Snapshot
from dataops.workbook.table import Table, one_line


class ConsoleProgress:
    """Shows snapshots of a run on standard error; use it as a context manager and call it with each snapshot."""

    def __init__(self, batch: str) -> None:
        self.batch = batch
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[rows]}", markup=False),
            )
            self._bar = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(batch, total=None, rows="")
        self._shown, self._began = "", time.monotonic()

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, snapshot: Snapshot) -> None:
        """Show how far the run has come."""
        rows = f"{snapshot.rows_copied:,} rows copied, {snapshot.rows_loaded:,} loaded"
        if self._bar:
            self._bar.update(
                self._task, description=f"{self.batch}: {snapshot.state}", rows=rows,
                total=snapshot.chunks or None, completed=snapshot.chunks_done,
            )  # fmt: skip
            return
        line = f"{snapshot.state}: {snapshot.chunks_done}/{snapshot.chunks} chunks, {rows}"
        if line != self._shown and snapshot.chunks:
            self._shown = line
            print(f"{self.batch} {time.monotonic() - self._began:5.1f} s  {line}", file=sys.stderr, flush=True)


def print_result(result: RunResult, console: Console) -> None:
    """The run's counts and the seconds of its states, as tables; what was rejected or left out below them."""
    title = Text.assemble((one_line(result.record.batch), "bold"), f"  {result.status}  ({result.seconds:.1f} s)")
    tables = [counts_table(result).text()]
    if result.timed_states:
        states = [(state.name, f"{state.seconds:.2f}") for state in result.timed_states]
        tables.append(Table(("state", "seconds"), states, right=("seconds",)).text())
    console.print(title, *map(Text, (*tables, *map(one_line, _notes(result)))), sep="\n", soft_wrap=True)


def _notes(result: RunResult) -> Iterator[str]:
    for fault in result.rejections[:10]:
        key = ", ".join(f"{name}={value}" for name, value in fault.key.items())
        yield f"  rejected {key}: {fault.column} {fault.reason}"
    if result.record.rejected > 10:
        yield f"  ... all {result.record.rejected:,} are in {result.folder}/rejections.jsonl"
    if result.record.left_out:
        yield f"  left out of the created target: {', '.join(result.record.left_out)}"
    if result.record.resumable:
        yield f"  to go on from what is copied: dataops run --resume {result.record.run}"
    if result.folder:
        yield f"  report: {os.path.relpath(result.folder / 'report.html')}"
