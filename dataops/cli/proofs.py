"""What shows on this machine that the tool does what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dataops.cli.options import as_json, server_flavor

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


@click.command()
@click.option("--quick", is_flag=True, help="Fewer rows and rounds: under a minute, for correctness more than figures.")
@click.option(
    "--scale",
    is_flag=False,
    flag_value=10_000_000,
    type=click.IntRange(10_000),
    metavar="[ROWS]",
    help="Our way only, for 10,000 rows, ten times as many, and so on, up to ROWS (10,000,000): CPU, memory, planning.",
)
@click.option(
    "--latency",
    type=click.IntRange(0, 1000),
    default=0,
    metavar="MS",
    help="A DynamoDB that answers so many milliseconds late: our way and batch_writer only, for rows a second.",
)
@click.option("--cold", is_flag=True, help="What cold starts of the functions take instead.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The plot. [default: runs/bench.png]"
)
@server_flavor
@as_json
def bench(
    quick: bool,
    scale: int | None,
    latency: int,
    cold: bool,
    output: Path | None,
    server: Flavor | None,
    json_: bool,
) -> int:
    """Measure what a row costs, beside what people write: CPU of the client, against a DynamoDB that keeps nothing.

    Every row that a method moves is checked; pymysql's bare fetchall moves none. Exit status 1 when one differs.
    """
    from dataops.workbook.bench import FULL, QUICK, Benchmark, run_benchmark
    from dataops.workbook.coldstart import measure_cold_starts
    from dataops.workbook.run import runs_folder
    from dataops.workbook.scale import Scale, measure_scale, sizes_up_to

    def tell(text: str) -> None:
        click.echo(text, err=True)

    if cold:
        starts = measure_cold_starts(tell, server)
        click.echo(json.dumps(starts.to_json()) if json_ else starts.table().text())
        return 0
    found: Benchmark | Scale
    if scale:
        found = measure_scale(sizes_up_to(scale), tell, server)
    else:
        found = run_benchmark(QUICK if quick else FULL, tell, server, latency)
    path = output or runs_folder() / "bench.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(found.draw().png)
    if json_:
        click.echo(json.dumps(found.to_json()))
    else:
        click.echo(found.table().text())
        click.echo(f"Plot: {path}")
    return 1 if found.differences else 0
