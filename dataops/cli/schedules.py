"""Schedule expressions: when they fire, and what a UTC rule has to say for a local time."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from dataops.cli.options import as_json
from dataops.errors import BatchFileError

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
    except BatchFileError as error:
        return _refuse(error, json_)
    if json_:
        click.echo(json.dumps({"valid": True, "firings": [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in firings]}))
        return 0
    locals_ = [at.astimezone(zone if timezone else None) for at in firings]
    rows = [(f"{at:%Y-%m-%d %H:%M:%S}", f"{of:%Y-%m-%d %H:%M:%S %a}") for at, of in zip(firings, locals_, strict=True)]
    here = timezone or f"here ({datetime.now().astimezone():%Z})"
    click.echo(Table(("UTC", here), rows).text() if rows else "it never fires again")
    for hint in list_hints(expression, timezone):
        click.echo(f"note: {hint}", err=True)
    return 0


@schedule.command()
@expression_of
@click.option(
    "--timezone", required=True, metavar="ZONE", help="The IANA name of the zone that EXPRESSION is meant in."
)
@as_json
def convert(expression: str, timezone: str, json_: bool) -> int:
    """The UTC rule that fires as EXPRESSION does in a time zone. Exit status 1 where no single rule can."""
    from dataops.deploy.utc_rule import convert_to_utc

    try:
        rule = convert_to_utc(expression, timezone)
    except BatchFileError as error:
        return _refuse(error, json_)
    scheduler = {"expression": expression.strip(), "timezone": timezone}
    if json_:
        found = {"expression": rule.expression} if rule.expression else {"expression": None, "reason": rule.reason}
        click.echo(json.dumps({"valid": True, **found, "scheduler": scheduler}))
    elif rule.expression:
        click.echo(rule.expression)
    else:
        click.echo(f"no single UTC rule can: {rule.reason}", err=True)
        click.echo(
            f"EventBridge Scheduler takes it as it is, with the time zone: schedule: {_flow(scheduler)}", err=True
        )
    return 0 if rule.expression else 1


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
