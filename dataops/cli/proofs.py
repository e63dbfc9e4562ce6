"""What shows on this machine that the tool does what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dataops.cli.options import as_json

if TYPE_CHECKING:
    from dataops.local.mysqld import Flavor


@click.command()
@click.option(
    "--server", "servers", type=click.Choice(["mariadb", "mysql"]), multiple=True, default=("mariadb", "mysql"),
    show_default=True, help="The kind of servers; repeatable.",
)  # fmt: skip
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write a Markdown page too.")
@as_json
def roundtrip(servers: tuple[Flavor, ...], output: Path | None, json_: bool) -> int:
    """Send every MySQL type's edge values through a run, and let both servers say what came back.

    Exit status 1 when a value came back different.
    """
    from dataops.workbook.roundtrip import NAMES, outcomes_page, outcomes_table, run_roundtrip
    from dataops.workbook.run import runs_folder

    outcomes = run_roundtrip(servers, runs_folder(), lambda text: click.echo(text, err=True))
    if output:
        output.write_text(outcomes_page(outcomes), "utf-8")
    counts = {}
    for server, found in outcomes.items():
        tried, rejected, different = (
            sum(map(len, of)) for of in zip(*((o.tried, o.rejected, o.different) for o in found), strict=True)
        )
        counts[server] = {
            "tried": tried,
            "exact": tried - rejected - different,
            "rejected": rejected,
            "different": different,
        }
        if not json_:
            click.echo(outcomes_table(found, f"\n{NAMES[server]}").text())
            click.echo(", ".join(f"{count:,} {name}" for name, count in counts[server].items()))
    if json_:
        click.echo(json.dumps(counts))
    return 1 if any(count["different"] for count in counts.values()) else 0
