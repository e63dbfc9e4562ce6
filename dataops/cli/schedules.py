"""Schedule expressions: when they fire, and what a UTC rule has to say for a local time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from dataops.cli.options import as_json
from dataops.errors import BatchFileError

if TYPE_CHECKING:
    from dataops.workbook.scheduler import Policy

expression_of = click.argument("expression")


@click.group()
def schedule() -> None:
    """Schedule expressions of EventBridge: cron(...), rate(...), at(...)."""


@schedule.command("next")
@expression_of
@click.option(
    "--timezone", default="", metavar="ZONE", help="An IANA name: Scheduler's local time (default: a UTC rule)."
)
@click.option("--from", "since", metavar="INSTANT", help="Firings after this instant (default: now).")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many firings.")
@as_json
def next_firings(expression: str, timezone: str, since: str | None, count: int, json_: bool) -> int:
    """When EXPRESSION fires next, in UTC and in local time; or which of its fields is wrong, and why."""
    from dataops.deploy.schedule import find_zone, list_firings, list_hints, parse_schedule
    from dataops.workbook.table import Table

    try:
        zone = find_zone(timezone)
        start = _instant(since, timezone) if since else datetime.now(UTC)
        firings = list_firings(parse_schedule(expression, timezone), start, timezone, count)
        hints = list_hints(expression, timezone)
    except BatchFileError as error:
        return _refuse(error, json_)
    if json_:
        instants = [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in firings]
        click.echo(json.dumps({"valid": True, "firings": instants, "hints": hints}))
        return 0
    locals_ = [at.astimezone(zone if timezone else None) for at in firings]
    rows = [(f"{at:%Y-%m-%d %H:%M:%S}", f"{of:%Y-%m-%d %H:%M:%S %a}") for at, of in zip(firings, locals_, strict=True)]
    here = timezone or f"here ({datetime.now().astimezone():%Z})"
    click.echo(Table(("UTC", here), rows).text() if rows else "it never fires again")
    _tell(hints)
    return 0


@schedule.command()
@expression_of
@click.option(
    "--timezone", required=True, metavar="ZONE", help="The IANA name of the zone that EXPRESSION is meant in."
)
@as_json
def convert(expression: str, timezone: str, json_: bool) -> int:
    """The UTC rule that fires as EXPRESSION does in a time zone. Exit status 1 where no single rule can."""
    from dataops.deploy.schedule import list_hints
    from dataops.deploy.utc_rule import convert_to_utc

    try:
        rule, hints = convert_to_utc(expression, timezone), list_hints(expression, timezone)
    except BatchFileError as error:
        return _refuse(error, json_)
    scheduler = {"expression": expression.strip(), "timezone": timezone}
    if json_:
        found = {"expression": rule.expression} if rule.expression else {"expression": None, "reason": rule.reason}
        click.echo(json.dumps({"valid": True, **found, "scheduler": scheduler, "hints": hints}))
        return 0 if rule.expression else 1
    if rule.expression:
        click.echo(rule.expression)
    else:
        click.echo(f"no single UTC rule can: {rule.reason}", err=True)
        click.echo(
            f"EventBridge Scheduler takes it as it is, with the time zone: schedule: {_flow(scheduler)}", err=True
        )
    _tell(hints)
    return 0 if rule.expression else 1


@schedule.command()
@click.argument("batches", nargs=-1)
@click.option("--notebook", default="run-batch", show_default=True, help="The notebook that a firing runs.")
@click.option(
    "--late", type=click.Choice(["skip", "once", "queue"]), default="once", show_default=True,
    help="Firings missed, or due while the batch runs: run none, the newest, or all in order.",
)  # fmt: skip
@click.option("--notify", default="", metavar="COMMAND|ARN", help="Run after a firing that failed or was skipped; it finds "
              "DATAOPS_BATCH, DATAOPS_INSTANT, DATAOPS_STATUS and DATAOPS_CAUSE in its environment. An SNS topic's ARN: "
              "publish them there.")  # fmt: skip
def serve(batches: tuple[str, ...], notebook: str, late: Policy, notify: str) -> int:
    """Run BATCHES and flows (names or files; default: all) on their own schedules, in the foreground, until stopped.

    The first Ctrl-C or SIGTERM starts nothing more and waits for what runs; the second asks that to stop as well.
    """
    import signal
    import threading

    from dataops.workbook.flow import list_flows
    from dataops.workbook.notebook import find_notebook
    from dataops.workbook.run import list_batches, runs_folder
    from dataops.workbook.scheduler import TOPIC, Scheduler, find_scheduled, start_notebook

    if notify.startswith("arn:") and not TOPIC.fullmatch(notify):
        raise click.BadParameter("expected a command, or the ARN of an SNS topic", param_hint="--notify")
    all_ = [*(batch.batch for batch in list_batches()), *(of.flow.flow for of in list_flows())]
    found = find_scheduled(batches or all_)
    start = start_notebook(str(find_notebook(notebook)))
    scheduler, stop = Scheduler(found, runs_folder() / "schedule", start, late=late, notify=notify), threading.Event()

    def ask(_number: int, _frame: object) -> None:
        if stop.is_set():
            scheduler.terminate()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    click.echo(f"serving {', '.join(of.name for of in found)}; late firings: {late}", err=True)
    scheduler.serve(stop)
    return 0


@schedule.command()
@click.option("-n", "count", type=click.IntRange(1), default=20, show_default=True, help="How many firings.")
@as_json
def log(count: int, json_: bool) -> int:
    """What `serve` has run, the newest first; one line for each firing."""
    import msgspec

    from dataops.workbook.run import runs_folder
    from dataops.workbook.scheduler import list_recorded
    from dataops.workbook.table import Table

    found = list_recorded(runs_folder() / "schedule")[:count]
    if json_:
        click.echo(json.dumps([msgspec.to_builtins(firing) for firing in found]))
        return 0
    rows = [(of.instant, of.batch, of.status, of.started or "-", of.ended or "-", of.cause or "-") for of in found]
    click.echo(Table(("instant", "batch", "status", "started", "ended", "cause"), rows, wrapped=["cause"]).text())
    return 0


def _tell(hints: list[str]) -> None:
    for hint in hints:
        click.echo(f"note: {hint}", err=True)


def _flow(values: dict[str, str]) -> str:
    """As a batch file writes it."""
    return f'{{expression: "{values["expression"]}", timezone: {values["timezone"]}}}'


def _instant(text: str, timezone: str) -> datetime:
    """An ISO-8601 instant; without an offset it is in the schedule's time zone."""
    from dataops.deploy.schedule import find_zone

    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BatchFileError("--from: expected an instant such as 2026-11-24T00:00:00Z, found another text") from error
    return at if at.tzinfo else at.replace(tzinfo=find_zone(timezone))


def _refuse(error: BatchFileError, json_: bool) -> int:
    if not json_:
        raise error
    click.echo(json.dumps({"valid": False, "error": str(error)}))
    return 2
