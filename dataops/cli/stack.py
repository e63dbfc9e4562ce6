"""The embedded stack: the demo on it, up and down, its databases, JupyterLab."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataops.cli.options import as_json, server_flavor, stack_name
from dataops.errors import StackError

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from dataops.local.mysqld import Flavor
    from dataops.local.stack import Stack


@click.command()
@server_flavor
def demo(server: Flavor | None) -> int:
    """Everything once, end to end, on sample data: the main job."""
    from rich.console import Console

    from dataops.workbook.demo import run_demo

    run_demo(Console(markup=False, emoji=False, soft_wrap=True), flavor=server)
    return 0


@click.command()
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


@click.command()
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


@click.command()
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


@click.command()
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


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, exists=True, path_type=Path), required=False)
@stack_name
@click.option("--port", type=int, default=0, help="The port (default: a free one).")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@server_flavor
def lab(folder: Path | None, name: str, port: int, no_browser: bool, server: Flavor | None) -> int:
    """JupyterLab on the workbook, or on a FOLDER of your own notebooks, with the stack up.

    When this starts the stack it loads the sample shop, and stops the stack at the end. Notebooks are saved when you
    save them (Ctrl-S), so that a look changes no file.
    """
    from dataops.local.sample import write_sample
    from dataops.local.stack import find, start
    from dataops.workbook.demo import open_server
    from dataops.workbook.lab import NOTEBOOKS, serve_lab

    running = find(name)
    if running and server not in (None, running.info.source.flavor):
        raise StackError(f"stack {name}: is up on {running.info.source.flavor}; stop it with `dataops down`")
    stack = running or start(name, detach=False, flavor=server)
    try:
        if running is None:
            with open_server(stack.info.source) as connection:
                write_sample(connection)
        environment = {**os.environ, **stack.info.variables}
        return serve_lab(environment, port=port, browser=not no_browser, folder=(folder or NOTEBOOKS).resolve())
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
    click.echo(f"# logs of the functions: {info.folder}/lambda")


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
