"""What a terminal shows of a run: every value as it is, nothing taken for markup."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from dataops.core.records import Record, Rejection
from dataops.deploy.machine import DEFINITION
from dataops.workbook.console import print_result
from dataops.workbook.result import RunResult, StateTime


def printed(name: str, width: int = 40) -> str:
    """What is printed of a run in which everything is called `name`."""
    record = Record("r-1", name, source_rows=1234, rejected=11, outside=5, emptied={name: 3}, left_out=[name])
    states = (StateTime("Plan", "succeeded", "", 1.5, 1), StateTime(name, "succeeded", "", 0.5, 1))
    fault = Rejection({name: name}, name, name)
    result = RunResult(record, "failed", 2.0, states, (fault,), Path(name), DEFINITION.read_text())
    told = io.StringIO()
    terminal = Console(file=told, width=width, force_terminal=True, color_system=None)
    print_result(result, terminal)
    return told.getvalue()


@pytest.mark.parametrize("name", ["[/b]", "[red]", "[link=x]y", ":smile:", "注文", "x" * 90])
def test_a_name_is_shown_as_it_is_wherever_it_stands(name):
    lines = printed(name).splitlines()
    assert lines[0] == f"{name}  failed  (2.0 s)"
    assert f"'' became NULL in {name}" in "\n".join(lines)
    assert any(line.split() == [name, "0.50"] for line in lines)
    assert f"  rejected {name}={name}: {name} {name}" in lines
    assert f"  left out of the created target: {name}" in lines


def test_no_value_reaches_the_terminal_as_a_command():
    assert "\x1b" not in printed("\x1b]0;title\x07")


def test_the_counts_carry_the_names_that_the_report_gives_them():
    shown = [line.split("  ")[0] for line in printed("n").splitlines()]
    names = ["rows read", "items", "dropped", "outside the partition read", "rejected", "stale deleted"]
    assert shown[2:9] == [*names, "rows published"]
