"""The main job, once, end to end: a stack, sample data, every sample batch, a changed source, every batch again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
from rich.console import Console

from dataops.batch import Batch
from dataops.core.mysql import execute, quote_name
from dataops.errors import Permanent
from dataops.local.mysqld import Flavor
from dataops.local.sample import change_sample, write_sample
from dataops.local.servers import ServerInfo
from dataops.local.stack import start
from dataops.workbook.progress import ConsoleProgress
from dataops.workbook.result import COUNTS, RunResult
from dataops.workbook.run import list_batches, run_batch, runs_folder
from dataops.workbook.table import Table

if TYPE_CHECKING:
    from pymysql.connections import Connection


def run_demo(console: Console, folder: Path | None = None, flavor: Flavor | None = None) -> list[RunResult]:
    """Run the demo, on servers of that flavor, and show it; gives all runs. Raises Permanent when a run fails or the stores do not agree."""
    console.print("Starting two MySQL servers, emulated AWS and the Lambda sandbox ...")
    folder = folder or runs_folder()
    stack = start(f"demo-{os.getpid()}", detach=False, flavor=flavor)
    try:
        os.environ.update(stack.info.variables)
        with open_server(stack.info.source) as source, open_server(stack.info.target) as target:
            rows = write_sample(source)
            console.print("Sample shop: " + ", ".join(f"{count:,} {table}" for table, count in rows.items()))
            results = _run_all(console, "First run", folder)
            gone = _order_numbers(source)
            changes = change_sample(source)
            console.print(
                f"\nThe next day: {changes.added:,} rows added, {changes.changed:,} changed, {changes.deleted:,} deleted"
            )
            results += _run_all(console, "Second run", folder)
            gone -= _order_numbers(source)
            _show_verdict(console, source, target, results[len(results) // 2 :], gone)
        console.print(
            f"Reports: one for each run in {_shown(folder)}; the last: {_shown(results[-1].folder)}/report.html"
        )
    finally:
        stack.stop()
    return results


def _shown(path: Path | None) -> str:
    """A path as a person would type it from here."""
    assert path is not None
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def open_server(info: ServerInfo, database: str | None = None) -> Connection:
    """A connection to one of the stack's servers (default: its own database)."""
    return pymysql.connect(
        host=info.host, port=info.port, user=info.user, password=info.password,
        database=database or info.database, charset="utf8mb4", local_infile=True, ssl_disabled=True,
    )  # fmt: skip


def _run_all(console: Console, title: str, folder: Path) -> list[RunResult]:
    results = []
    for batch in list_batches():
        with ConsoleProgress() as progress:
            result = run_batch(batch, create_target=True, progress=progress, folder=folder)
        if result.exit_status:
            raise Permanent(f"{batch.batch}: {result.status}: {result.record.cause}")
        results.append(result)
    rows = [
        (result.record.batch, *result.counts.values(), f"{result.seconds:.1f}", result.status) for result in results
    ]
    _print_table(console, Table(("batch", *COUNTS, "seconds", "status"), rows, title, right=("seconds",)))
    return results


def _print_table(console: Console, table: Table) -> None:
    console.print(f"\n{table.text()}", highlight=False)


def _show_verdict(
    console: Console, source: Connection, target: Connection, results: list[RunResult], gone: set[int]
) -> None:
    """What the stores themselves say, by their own counts."""
    import boto3

    rows = []
    batches = {batch.batch: batch for batch in list_batches()}
    for result in results:
        batch: Batch = batches[result.record.batch]
        counts = _count(source, batch.source.table), _count(target, batch.target.table)
        items = _count_items(boto3.client("dynamodb"), batch)
        dropped = result.record.dropped
        rows.append((batch.target.table, counts[0], dropped, items, counts[1]))
    left = len(gone & _order_numbers(target))
    heads = ("table", "source", "- dropped", "DynamoDB", "target")
    _print_table(console, Table(heads, rows, "What the three stores hold now"))
    agree = all(read - dropped == items == published for _, read, dropped, items, published in rows)
    if not agree or left or not gone:
        raise Permanent(f"the stores do not agree, or {left} of {len(gone)} deleted orders are still in the target")
    console.print(f"All three stores agree, and the {len(gone)} orders deleted at the source are gone from the target.")


def _count(connection: Connection, table: str) -> int:
    connection.commit()
    return int(execute(connection, f"SELECT COUNT(*) FROM {quote_name(table)}")[0][0])


def _count_items(client: Any, batch: Batch) -> int:
    pages = client.get_paginator("scan").paginate(TableName=batch.dynamodb.table, Select="COUNT", ConsistentRead=True)
    return sum(page["Count"] for page in pages)


def _order_numbers(connection: Connection) -> set[int]:
    with connection.cursor() as cursor:
        connection.commit()
        cursor.execute("SELECT order_id FROM orders")
        return {int(row[0]) for row in cursor.fetchall()}
