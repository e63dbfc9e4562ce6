"""The command line. Exit status: 0 succeeded, 1 failed, 2 wrong use or wrong input, 3 succeeded with rejections."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataops.errors import BatchFileError, DataOpsError, StackError

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from dataops.local.mysqld import Flavor
    from dataops.local.stack import Stack

as_json = click.option("--json", "json_", is_flag=True, help="Print the result as JSON, on the last line.")
stack_name = click.option("--name", default="default", show_default=True, help="The stack's name.")
server_flavor = click.option(
    "--server", type=click.Choice(["mariadb", "mysql"]), help="The kind of database servers (default: what there is)."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="dataops")
def cli(debug: bool) -> None:
    """Move MySQL tables through DynamoDB into another MySQL, and look at every step."""


def main() -> None:
    """Run the command line; an error of ours is one line on standard error."""
    try:
        status = cli(standalone_mode=False)
    except click.exceptions.Abort:
        status = _fail("stopped", 1)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except BatchFileError as error:
        status = _fail(error, 2)
    except (DataOpsError, OSError) as error:
        status = _fail(error, 1)
    except KeyboardInterrupt:
        status = _fail("stopped", 1)
    except Exception as error:
        status = _fail_unexpected(error)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(error: object, status: int) -> int:
    if "--debug" in sys.argv and isinstance(error, BaseException):
        raise error
    click.echo(f"dataops: {error}", err=True)
    return status


def _fail_unexpected(error: Exception) -> int:
    """AWS's and the driver's errors are told by kind, never with what they carry; the rest is a fault of ours."""
    import pymysql
    from botocore.exceptions import BotoCoreError, ClientError

    if "--debug" in sys.argv:
        raise error
    if isinstance(error, ClientError):
        return _fail(f"AWS refused {error.operation_name}: {error.response['Error']['Code']}", 1)
    if isinstance(error, BotoCoreError):
        return _fail(
            f"AWS could not be reached ({type(error).__name__}); is the endpoint up, are there credentials?", 1
        )
    if isinstance(error, pymysql.MySQLError):
        from dataops.core.mysql import located_error

        return _fail(located_error("MySQL", error), 1)
    return _fail(f"unexpected {type(error).__name__}; run again with --debug, and please report it", 1)


@cli.command()
@server_flavor
def demo(server: Flavor | None) -> int:
    """Everything once, end to end, on sample data: the main job."""
    from rich.console import Console

    from dataops.workbook.demo import run_demo

    run_demo(Console(markup=False, emoji=False, soft_wrap=True), flavor=server)
    return 0


@cli.command()
@stack_name
@click.option("--sample", is_flag=True, help="Load the sample shop into the source.")
@server_flavor
@as_json
def up(name: str, sample: bool, server: Flavor | None, json_: bool) -> int:
    """Start the embedded stack for a working session, and print the variables to export."""
    from dataops.local.sample import write_sample
    from dataops.local.stack import start
    from dataops.workbook.demo import open_server

    stack = start(name, detach=True, flavor=server)
    if sample:
        with open_server(stack.info.source) as connection:
            write_sample(connection)
    _print_stack(stack, json_)
    return 0


@cli.command()
@stack_name
def down(name: str) -> int:
    """Stop the embedded stack; nothing of it is left."""
    from dataops.local.stack import find

    stack = find(name)
    if stack is None:
        raise StackError(f"stack {name}: is not up")
    stack.stop()
    click.echo(f"stack {name} is down", err=True)
    return 0


@cli.command()
@stack_name
@as_json
def status(name: str, json_: bool) -> int:
    """Addresses, credentials and variables of the embedded stack. Exit status 1 when it is not up."""
    from dataops.local.stack import find

    stack = find(name)
    if stack is None:
        if json_:
            click.echo(json.dumps({"name": name, "up": False}))
            return 1
        raise StackError(f"stack {name}: is not up; start it with `dataops up`")
    _print_stack(stack, json_)
    return 0


@cli.command()
@click.argument("side", type=click.Choice(["source", "target"]))
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), required=False)
@stack_name
def sql(side: str, file: str | None, name: str) -> int:
    """Run SQL against an embedded database: a dump FILE (`-`: standard input), or a prompt."""
    from dataops.local.sqlfile import prompt, read_script, run_script

    with _open_side(side, name) as connection:
        if file is None and sys.stdin.isatty():
            prompt(connection, input, _show_rows)
            return 0
        source = file or "-"
        text = sys.stdin.read() if source == "-" else read_script(Path(source))
        done = run_script(connection, text, Path(source).name)
        for result in done.results:
            _show_rows(*result)
        click.echo(f"{side}: {done.statements:,} statements, {done.rows:,} rows changed", err=True)
    return 0


@cli.command()
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


@cli.command()
@click.argument("batch")
@click.option("--workers", type=click.IntRange(1, 1000), default=4, show_default=True, help="Chunks copied at once.")
@click.option("--serial", is_flag=True, help="One chunk after another (the same as --workers 1).")
@click.option("--create-target", is_flag=True, help="Make a missing target table from the source's definition.")
@as_json
def run(batch: str, workers: int, serial: bool, create_target: bool, json_: bool) -> int:
    """Run BATCH (a name in stepfunctions/batches, or a file) through the state machine, and wait for its end."""
    from rich.console import Console

    from dataops.workbook.console import ConsoleProgress, print_result
    from dataops.workbook.run import find_batch, run_batch

    declared = find_batch(batch)
    with ConsoleProgress(declared.batch) as progress:
        result = run_batch(declared, workers=1 if serial else workers, create_target=create_target, progress=progress)
    if json_:
        click.echo(json.dumps(result.to_json(), ensure_ascii=False))
    else:
        print_result(result, Console())
    if result.status == "failed":
        click.echo(f"dataops: {declared.batch}: {result.record.cause}", err=True)
    return result.exit_status


@cli.command()
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


@cli.command()
@click.option("-n", "count", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@as_json
def runs(count: int, json_: bool) -> int:
    """What ran, when, with what result; the newest first."""
    import msgspec

    from dataops.core.control import Control
    from dataops.workbook.report import runs_table
    from dataops.workbook.stack import attach

    attach()
    records = Control("").records(count)
    if json_:
        click.echo(json.dumps([msgspec.to_builtins(record) for record in records], ensure_ascii=False))
    else:
        click.echo(runs_table(records).text())
    return 0


@cli.command()
@click.argument("name")
@click.option("-p", "parameters", type=(str, str), multiple=True, metavar="KEY VALUE", help="A parameter; repeatable.")
@as_json
def notebook(name: str, parameters: tuple[tuple[str, str], ...], json_: bool) -> int:
    """Run notebook NAME unattended, its parameters checked first; output and a page to read go under runs/."""
    from dataops.workbook.notebook import run_notebook
    from dataops.workbook.run import runs_folder
    from dataops.workbook.stack import attach

    attach()
    done = run_notebook(name, dict(parameters), runs_folder())
    shown = {"notebook": done.notebook, "status": done.status, "output": str(done.output), "page": str(done.page)}
    if json_:
        click.echo(json.dumps({**shown, "seconds": round(done.seconds, 3), "cause": done.cause}))
    else:
        click.echo(
            f"{done.notebook}: {done.status} ({done.seconds:.1f} s)  {os.path.relpath(done.page or done.output)}"
        )
    return _fail(f"{done.notebook}: {done.cause}", 1) if done.cause else 0


@cli.command()
@stack_name
@click.option("--port", type=int, default=0, help="The port (default: a free one).")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@server_flavor
def lab(name: str, port: int, no_browser: bool, server: Flavor | None) -> int:
    """JupyterLab on the workbook, with the stack up (and the sample loaded, when this starts it)."""
    from dataops.local.sample import write_sample
    from dataops.local.stack import find, start
    from dataops.workbook.demo import open_server
    from dataops.workbook.lab import serve_lab

    running = find(name)
    if running and server not in (None, running.info.source.flavor):
        raise StackError(f"stack {name}: is up on {running.info.source.flavor}; stop it with `dataops down`")
    stack = running or start(name, detach=False, flavor=server)
    try:
        if running is None:
            with open_server(stack.info.source) as connection:
                write_sample(connection)
        return serve_lab({**os.environ, **stack.info.variables}, port=port, browser=not no_browser)
    finally:
        if running is None:
            stack.stop()


def _print_stack(stack: Stack, json_: bool) -> None:
    import msgspec

    info = stack.info
    if json_:
        click.echo(json.dumps({"up": True, **msgspec.to_builtins(info)}))
        return
    for name, value in info.variables.items():
        click.echo(f"export {name}={value}")
    for side, server in (("source", info.source), ("target", info.target)):
        where = f"mysql://{server.user}:{server.password}@{server.host}:{server.port}/{server.database}"
        click.echo(f"# {side}: {where} ({server.flavor} {server.version})")


def _open_side(side: str, name: str) -> Connection:
    from dataops.local.stack import find
    from dataops.workbook.demo import open_server

    stack = find(os.environ.get("DATAOPS_STACK", name) if name == "default" else name)
    if stack is None:
        raise StackError(f"stack {name}: is not up; start it with `dataops up`")
    connection = open_server(stack.info.source if side == "source" else stack.info.target)
    connection.decoders = {}  # values as the server writes them: Python's own types would respell times and numbers
    return connection


def _show_rows(columns: list[str], rows: list[Any]) -> None:
    from dataops.workbook.table import Table

    click.echo(Table(columns, rows).text())


if __name__ == "__main__":
    main()
