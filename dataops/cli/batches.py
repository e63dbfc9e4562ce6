"""Batch files and their runs: draft, run, package, list, and notebooks unattended."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import click

from dataops.cli.options import as_json


@click.command()
@click.argument("table", required=False)
@click.option("--all", "all_", is_flag=True, help="Every table of the database, one file each.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file, or with --all the folder, to write.")
@click.option("--database", help="The source's database (default: the secret's).")
@click.option("--source", "source_secret", default="dataops/source", show_default=True, help="The source's secret.")
@click.option("--target", "target_secret", default="dataops/target", show_default=True, help="The target's secret.")
@click.option(
    "--empty-string", type=click.Choice(["to_null", "keep", "omit"]), default="to_null", show_default=True,
    help="What becomes of ''.",
)  # fmt: skip
def infer(
    table: str | None,
    all_: bool,
    output: Path | None,
    database: str | None,
    source_secret: str,
    target_secret: str,
    empty_string: str,
) -> int:
    """Draft the batch file of TABLE from the source's schema and what the target allows."""
    from dataops.workbook.infer import draft_batches, write_drafts
    from dataops.workbook.stack import attach

    if (table is None) != all_ or (all_ and output is None):
        raise click.UsageError("name one TABLE, or give --all with -o FOLDER")
    attach()
    drafts = draft_batches(
        [table] if table else None, database=database, empty_string=empty_string, secrets=(source_secret, target_secret)
    )
    for path in write_drafts(drafts, output, many=all_):
        click.echo(str(path), err=True)
    if output is None:
        click.echo(drafts[0][1], nl=False)
    return 0


@click.command()
@click.argument("batch", required=False)
@click.option("--resume", metavar="RUN", help="Go on from what the failed RUN has copied.")
@click.option("--workers", type=click.IntRange(1, 1000), help="Chunks copied at once (default: 4, or the flow's own).")
@click.option("--serial", is_flag=True, help="One chunk after another (the same as --workers 1).")
@click.option("--create-target", is_flag=True, help="Make a missing target table from the source's definition.")
@click.option(
    "--scheduled", metavar="INSTANT", help="The scheduled instant; of several runs for it only the first runs."
)
@as_json
def run(
    batch: str | None,
    resume: str | None,
    workers: int | None,
    serial: bool,
    create_target: bool,
    scheduled: str | None,
    json_: bool,
) -> int:
    """Run BATCH or a flow (a name in stepfunctions/batches or flows, or a file) through its state machine to its end.

    With --resume, BATCH is that run's own unless it is given.
    """
    import msgspec
    from rich.console import Console

    from dataops.flow import FlowFile
    from dataops.workbook.console import print_flow, print_result
    from dataops.workbook.flow import find_batch_or_flow, run_flow
    from dataops.workbook.progress import ConsoleProgress
    from dataops.workbook.result import FlowResult, RunResult
    from dataops.workbook.run import batch_of_run, run_batch

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what stops it rolls it back, too
    if batch is None and resume is None:
        raise click.UsageError("name a BATCH, or give --resume RUN")
    declared = find_batch_or_flow(batch) if batch else batch_of_run(str(resume))
    workers = 1 if serial else workers
    result: RunResult | FlowResult
    with ConsoleProgress() as progress:
        if isinstance(declared, FlowFile):
            if resume:
                raise click.UsageError("--resume goes on with the run of a batch, not with a flow")
            flow = msgspec.structs.replace(declared.flow, workers=workers) if workers else declared.flow
            result = run_flow(
                flow, declared.batches, create_target=create_target, scheduled=scheduled or "", progress=progress
            )
        else:
            result = run_batch(
                declared, workers=workers or 4, create_target=create_target, resume=resume, scheduled=scheduled or "",
                progress=progress,
            )  # fmt: skip
    if json_:
        click.echo(json.dumps(result.to_json(), ensure_ascii=False))
    elif isinstance(result, FlowResult):
        print_flow(result, Console())
    else:
        print_result(result, Console())
    if result.status == "failed":
        name = declared.flow.flow if isinstance(declared, FlowFile) else declared.batch
        click.echo(f"dataops: {name}: {result.record.cause}", err=True)
    return result.exit_status


@click.command()
@click.argument("batch")
def code(batch: str) -> int:
    """Print the functions that turn rows of BATCH into items, and back, made for its tables as they are now.

    In place of one that it does not have stands the reason.
    """
    from dataops.workbook.rowcode import row_code_of
    from dataops.workbook.run import find_batch

    click.echo(row_code_of(find_batch(batch)), nl=False)
    return 0


@click.command()
@click.argument("batch")
@click.option("--limit", type=click.IntRange(0), default=100, show_default=True, help="Differences that are listed.")
@click.option("--repair", is_flag=True, help="Mend exactly the keys that differ, and compare again.")
@as_json
def reconcile(batch: str, limit: int, repair: bool, json_: bool) -> int:
    """Compare source, DynamoDB and target of BATCH as they are now, down to key and column.

    Exit status 1 when they differ. Without --repair nothing is written anywhere.
    """
    from dataops.workbook.reconcile import reconcile_batch
    from dataops.workbook.run import find_batch

    found = reconcile_batch(find_batch(batch), repair=repair, limit=limit)
    if json_:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False))
        return found.exit_status
    if found.mended:
        done = found.mended
        click.echo(f"repaired {done.items:,} items and {done.rows:,} target rows, left {done.left:,} items as they are")
    if found.listed:
        click.echo(found.table().text())
    for line in (*found.notes, found.summary()):
        click.echo(line)
    return found.exit_status


@click.command()
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("dist"), show_default=True
)
@click.argument("batches", nargs=-1)
@as_json
def package(output: Path, batches: tuple[str, ...], json_: bool) -> int:
    """Build the deployment zip of BATCHES (default: all in stepfunctions/batches): same inputs, same bytes."""
    from hashlib import sha256

    from dataops.deploy.package import build_zip, zip_name
    from dataops.workbook.run import find_batch, list_batches

    content = build_zip([find_batch(name) for name in batches] or list_batches())
    output.mkdir(parents=True, exist_ok=True)
    path = output / zip_name(content)
    path.write_bytes(content)
    digest = sha256(content).hexdigest()
    if json_:
        click.echo(json.dumps({"path": str(path), "sha256": digest, "bytes": len(content)}))
    else:
        click.echo(f"{path}  {len(content):,} bytes  sha256 {digest}")
    return 0


@click.command()
@click.option("-n", "count", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@as_json
def runs(count: int, json_: bool) -> int:
    """What ran, when, with what result; the newest first. Flows, and notebooks that ran unattended from here, follow."""
    import msgspec

    from dataops.core.control import Control
    from dataops.core.flow_control import FlowControl
    from dataops.workbook.notebook import list_outcomes
    from dataops.workbook.report import flows_table, notebooks_table, runs_table
    from dataops.workbook.run import runs_folder
    from dataops.workbook.stack import attach

    attach()
    records, flows = Control("").records(count), FlowControl("").flows(count)
    outcomes = list_outcomes(runs_folder(), count)
    if json_:
        listed = [{"folder": folder, **msgspec.to_builtins(outcome)} for folder, outcome in outcomes]
        shown = {"runs": msgspec.to_builtins(records), "flows": msgspec.to_builtins(flows), "notebooks": listed}
        click.echo(json.dumps(shown, ensure_ascii=False))
        return 0
    click.echo(runs_table(records).text())
    if flows:
        click.echo(f"\n{flows_table(flows).text()}")
    if outcomes:
        click.echo(f"\n{notebooks_table(outcomes).text()}")
    return 0


@click.command()
@click.argument("name")
@click.option("-p", "parameters", type=(str, str), multiple=True, metavar="KEY VALUE", help="A parameter; repeatable.")
@click.option("--scheduled", metavar="INSTANT", help="The scheduled instant, such as 2026-11-24T00:00:00Z.")
@click.option(
    "--timeout", type=click.IntRange(1), default=14400, show_default=True, help="Seconds that a cell may take."
)
@as_json
def notebook(
    name: str, parameters: tuple[tuple[str, str], ...], scheduled: str | None, timeout: int, json_: bool
) -> int:
    """Run notebook NAME unattended, its parameters checked first; output and a page to read go under runs/."""
    from dataops.workbook.notebook import run_notebook
    from dataops.workbook.run import require_instant, runs_folder
    from dataops.workbook.stack import attach

    given = {**dict(parameters), **({"scheduled": require_instant(scheduled)} if scheduled else {})}
    attach()
    done = run_notebook(name, given, runs_folder(), timeout)
    shown = {"notebook": done.notebook, "status": done.status, "output": str(done.output), "page": str(done.page)}
    if json_:
        click.echo(json.dumps({**shown, "seconds": round(done.seconds, 3), "cause": done.cause}))
    else:
        click.echo(
            f"{done.notebook}: {done.status} ({done.seconds:.1f} s)  {os.path.relpath(done.page or done.output)}"
        )
    if done.cause:
        click.echo(f"dataops: {done.notebook}: {done.cause}", err=True)
    return 1 if done.cause else 0
