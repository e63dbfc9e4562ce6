"""What an operator asks before a run."""

from __future__ import annotations

import json

import click

from dataops.cli.options import as_json

COLORS = {"ok": "green", "warning": "yellow", "failed": "red", "not tried": "bright_black"}


@click.command()
@click.argument("batch")
@click.option("--workers", type=click.IntRange(1, 1000), default=4, show_default=True, help="As for `dataops run`.")
@as_json
def preflight(batch: str, workers: int, json_: bool) -> int:
    """Try all that a run of BATCH needs from inside the functions' own network; each line says what to do.

    DNS, TCP, TLS, login, grants, settings, DynamoDB tables and indexes, quotas. Nothing is written. Exit status 1 when
    something failed; warnings alone give 0.
    """
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    from dataops.workbook.preflight import MARKS
    from dataops.workbook.preflight import preflight as ask
    from dataops.workbook.run import find_batch
    from dataops.workbook.table import one_line

    found = ask(find_batch(batch), workers)
    if json_:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False))
        return found.exit_status
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for name in ("side", "check", "status", "found and what to do"):
        grid.add_column(name, overflow="fold", no_wrap=name != "found and what to do")
    for check in found.checks:
        told = one_line(check.found) + (f"\n-> {one_line(check.remedy)}" if check.remedy else "")
        mark = Text(MARKS[check.status], COLORS[check.status].replace("bright_black", "dim"))
        grid.add_row(check.side, check.check, mark, Text(told.strip()))
    console = Console()
    console.print(grid)
    console.print(Text(found.summary()))
    return found.exit_status
