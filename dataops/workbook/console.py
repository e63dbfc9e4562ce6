"""What a run looks like in a terminal: a bar where there is one, plain lines elsewhere, a table at the end."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from dataops.workbook.result import RunResult, Snapshot


class ConsoleProgress:
    """Shows snapshots of a run on standard error; use it as a context manager and call it with each snapshot."""

    def __init__(self, batch: str) -> None:
        self.batch = batch
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[rows]}"),
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
    """The run's counts and the seconds of its states, as a table; what was rejected or left out below it."""
    record = result.record
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, count in (
        ("rows read", record.source_rows), ("items", record.items), ("rejected", record.rejected),
        ("dropped", record.dropped), ("stale deleted", record.stale_deleted), ("rows published", record.target_rows),
    ):  # fmt: skip
        table.add_row(name, f"{count:,}")
    for column, cells in record.emptied.items():
        table.add_row(f"'' became NULL in {column}", f"{cells:,}")
    for state in result.states:
        if state.visits and state.seconds >= 0.005:
            table.add_row(f"[dim]{state.name}[/dim]", f"[dim]{state.seconds:.2f} s[/dim]")
    console.print(f"[bold]{record.batch}[/bold]  {result.status}  ({result.seconds:.1f} s)", highlight=False)
    console.print(table, highlight=False)
    for fault in result.rejections[:10]:
        key = ", ".join(f"{name}={value}" for name, value in fault.key.items())
        console.print(f"  rejected {key}: {fault.column} {fault.reason}", markup=False, highlight=False)
    if record.rejected > 10:
        console.print(f"  ... all {record.rejected:,} are in {result.folder}/rejections.jsonl", markup=False)
    if record.left_out:
        console.print(f"  left out of the created target: {', '.join(record.left_out)}", markup=False, highlight=False)
    if result.folder:
        console.print(
            f"  report: {os.path.relpath(result.folder / 'report.html')}", markup=False, highlight=False, soft_wrap=True
        )
