"""What a run that has ended looks like in a terminal: its tables, and what to do next."""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec
from rich.console import Console
from rich.text import Text

from dataops.workbook.report import counts_table, describe_limits, describe_publication, members_table
from dataops.workbook.result import FlowResult, RunResult
from dataops.workbook.table import Table, one_line


def print_result(result: RunResult, console: Console) -> None:
    """The run's counts and the seconds of its states, as tables; below them what limited it, was rejected or left out."""
    title = Text.assemble((one_line(result.record.batch), "bold"), f"  {result.status}  ({result.seconds:.1f} s)")
    tables = [counts_table(result).text()]
    if result.timed_states:
        states = [(state.name, f"{state.seconds:.2f}") for state in result.timed_states]
        tables.append(Table(("state", "seconds"), states, right=("seconds",)).text())
    notes = [f"  {line}" for line in describe_limits(result.record)] + list(_notes(result))
    console.print(title, *map(Text, (*tables, *map(one_line, notes))), sep="\n", soft_wrap=True)


def print_flow(result: FlowResult, console: Console) -> None:
    """What became of a flow and of each of its batches, as tables."""
    title = Text.assemble((one_line(result.record.flow), "bold"), f"  {result.status}  ({result.seconds:.1f} s)")
    notes = [f"  {line}" for line in (describe_publication(result), *result.record.unchecked)]
    notes += [note for run in result.runs for note in _notes(msgspec.structs.replace(run, folder=None))]
    if result.folder:
        notes.append(f"  report: {os.path.relpath(result.folder / 'report.html')}")
    states = [(state.name, f"{state.seconds:.2f}") for state in result.timed_states]
    tables = [members_table(result).text(), Table(("state", "seconds"), states, right=("seconds",)).text()]
    console.print(title, *map(Text, (*tables, *map(one_line, notes))), sep="\n", soft_wrap=True)


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
