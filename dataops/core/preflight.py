"""Preflight: everything that a run of a batch needs, tried from inside the function's own network, in one call.

It goes on after a failure wherever later checks do not depend on it, opens at most one connection to each server, and
writes nothing anywhere. What it does not try: whether keys are unique, which takes a look at every row (Plan proves it).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dataops.batch import Batch, parse_batch
from dataops.core.aws import aws_client
from dataops.core.checks import Check, Side
from dataops.core.control import Control
from dataops.core.describe import describe_table
from dataops.core.dynamodb import calls_located
from dataops.core.fit import require_dynamodb_table, require_fit
from dataops.core.grants import READ, WRITE, missing, privileges, show_grants, wider
from dataops.core.mysql import execute
from dataops.core.normalize import Codec
from dataops.core.probe import SERVER_CHECKS, answers, check_session, check_writable, open_side
from dataops.core.schema import Table
from dataops.core.staging import exists
from dataops.core.task import load_transform
from dataops.core.telemetry import label
from dataops.errors import SchemaMismatch

if TYPE_CHECKING:
    from pymysql.connections import Connection

SOURCE_CHECKS = (*SERVER_CHECKS, "grants", "table")
TARGET_CHECKS = (*SERVER_CHECKS, "writable", "max_allowed_packet", "grants", "table")
DYNAMODB_CHECKS = ("control table", "clock", "table", "keys and indexes")
QUOTA_CHECKS = ("write units",)
SERVICE_CHECKS = ("Step Functions", "SNS")
SKEW_SECONDS, SHOWN = 60.0, 7


def run_preflight(declared: Any, time_is_short: Callable[[], bool]) -> list[Check]:
    """All checks of a batch (a batch file's content as a mapping). Raises BatchFileError when it is none.

    Sides that are left when the time runs short are told as not tried.
    """
    batch = parse_batch(declared, "batch")
    label(batch=batch.batch)
    sides = {
        name: Side(name, checks)
        for name, checks in {
            "source": SOURCE_CHECKS, "target": TARGET_CHECKS, "dynamodb": DYNAMODB_CHECKS, "quota": QUOTA_CHECKS,
            "services": SERVICE_CHECKS,
        }.items()
    }  # fmt: skip
    source = _check_source(sides["source"], batch, time_is_short)
    if not time_is_short():
        _check_target(sides["target"], batch, source, time_is_short)
    if not time_is_short():
        _check_dynamodb(sides["dynamodb"], sides["quota"], batch, source)
    if not time_is_short():
        _check_services(sides["services"])
    return [check for side in sides.values() for check in side.checks()]


def client_of(service: str) -> Any:
    """A client that waits a few seconds only, and tries once: a preflight can be repeated."""
    from botocore.config import Config

    return aws_client(service, config=Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1}))


def _check_source(side: Side, batch: Batch, time_is_short: Callable[[], bool]) -> Table | None:
    with ExitStack() as stack:
        connection = open_side(side, batch.source.secret, client_of("secretsmanager"), time_is_short)
        if connection is None:
            return None
        stack.callback(connection.close)
        check_session(side, connection)
        database = _database(side, connection, batch.source.database)
        if database is None:
            return None
        _check_read_grants(side, connection, database, batch.source.table)
        with side.trying("table", "correct the batch file, or the source table"):
            source = describe_table(connection, batch.source.table, database)
            require_fit(batch, source, None)
            load_transform(batch)
            side.add("table", "ok", f"{source.name}: {len(source.columns)} columns, as the batch needs them")
            return source
    return None


def _check_target(side: Side, batch: Batch, source: Table | None, time_is_short: Callable[[], bool]) -> None:
    with ExitStack() as stack:
        connection = open_side(side, batch.target.secret, client_of("secretsmanager"), time_is_short)
        if connection is None:
            return
        stack.callback(connection.close)
        settings = check_session(side, connection)
        if settings:
            check_writable(side, settings)
        database = _database(side, connection, batch.target.database)
        if database is None:
            return
        _check_write_grants(side, connection, database, batch)
        with side.trying("table", "correct the batch file, or the target table"):
            if not exists(connection, database, batch.target.table):
                side.add(
                    "table", "warning", f"{batch.target.table} is not there", "create it, or run with --create-target"
                )
            elif source:
                require_fit(batch, source, describe_table(connection, batch.target.table, database))
                side.add("table", "ok", f"{batch.target.table} takes every column, and mode {batch.target.mode}")


def _check_read_grants(side: Side, connection: Connection, database: str, table: str) -> None:
    with side.trying("grants", "the user's grants cannot be read"):
        held = privileges(show_grants(connection), database, table)
        extra = wider(held)
        if lacking := missing(held, READ):
            side.add(
                "grants",
                "failed",
                f"the user lacks {', '.join(lacking)}",
                f"GRANT SELECT ON {database}.{table} TO the user",
            )
        elif extra:
            side.add(
                "grants",
                "warning",
                f"wider than needed: {', '.join(extra[:SHOWN])}{', ...' if len(extra) > SHOWN else ''}",
                "a source's user needs SELECT only; reading never goes wrong with it",
            )
        else:
            side.add("grants", "ok", "SELECT, and nothing that changes data")


def _check_write_grants(side: Side, connection: Connection, database: str, batch: Batch) -> None:
    with side.trying("grants", "the user's grants cannot be read"):
        there = exists(connection, database, batch.target.table)
        needed = WRITE[batch.target.mode] | (frozenset() if there else {"ALTER"})
        held = privileges(show_grants(connection), database)
        if lacking := missing(held, needed):
            remedy = f"GRANT {', '.join(lacking)} ON {database}.* TO the user: staging tables stand beside the target"
            side.add("grants", "failed", f"the user lacks {', '.join(lacking)}", remedy)
        elif missing(held, frozenset({"TRIGGER"})):
            remedy = f"GRANT TRIGGER ON {database}.* TO the user, or see to it that the target has no triggers"
            side.add("grants", "warning", "without TRIGGER, triggers of the target cannot be seen", remedy)
        else:
            side.add("grants", "ok", ", ".join(sorted(needed)))


def _check_dynamodb(side: Side, quota: Side, batch: Batch, source: Table | None) -> None:
    client, name = client_of("dynamodb"), batch.dynamodb.table
    endpoint = "without an answer: the subnet needs DynamoDB's gateway endpoint; refused: the function's role lacks it; else create it"
    with side.trying("control table", endpoint), calls_located("the control table"):
        control = Control("", client)
        skew = abs(control.now() - time.time())
        side.add("control table", "ok", f"{control.table} can be read")
        side.add(
            "clock",
            "ok" if skew < SKEW_SECONDS else "warning",
            "the function's clock is the service's" if skew < SKEW_SECONDS else f"{skew:.0f} seconds apart",
            "requests are refused at five minutes",
        )
    found: Any = None
    with side.trying("table", endpoint), calls_located(name):
        found = client.describe_table(TableName=name)["Table"]
        building = [
            of["IndexName"]
            for of in found.get("GlobalSecondaryIndexes", [])
            if of.get("IndexStatus", "ACTIVE") != "ACTIVE"
        ]
        waiting = [name] * (found["TableStatus"] not in ("ACTIVE", "UPDATING")) + building
        side.add(
            "table",
            "failed" if waiting else "ok",
            f"not ACTIVE: {', '.join(waiting)}" if waiting else f"{name} is ACTIVE",
            "wait until it is built",
        )
    if found and source:
        with side.trying("keys and indexes", "make the table anew as the batch declares it, or correct the batch file"):
            require_dynamodb_table(client, batch, Codec(batch, source, None, load_transform(batch)))
            side.add("keys and indexes", "ok", "as the batch declares them")
    if found:
        _check_quota(quota, client, batch, found)


def _check_quota(side: Side, client: Any, batch: Batch, table: Any) -> None:
    """Whether `max_write_units` lies below what the table, or the account, gives."""
    from botocore.exceptions import BotoCoreError, ClientError

    wanted = batch.dynamodb.max_write_units
    on_demand = table.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST"
    provisioned = 0 if on_demand else table.get("ProvisionedThroughput", {}).get("WriteCapacityUnits", 0)
    most, whose = provisioned, "the table's provisioned capacity"
    if not provisioned:
        try:
            most, whose = client.describe_limits()["TableMaxWriteCapacityUnits"], "the account's limit of a table"
        except (ClientError, BotoCoreError):
            side.add(
                "write units",
                "not tried",
                "DescribeLimits did not answer",
                "the function's role must allow dynamodb:DescribeLimits",
            )
            return
    told = f"{whose}: {most:,} a second; max_write_units: {f'{wanted:,}' if wanted else 'not set'}"
    remedy = f"set dynamodb.max_write_units below {whose}, or raise that: what is beyond it is throttled"
    side.add("write units", "warning" if wanted and wanted > most else "ok", told, remedy)


def _check_services(side: Side) -> None:
    """Step Functions is asked when a lease is taken over, SNS told when a run fails: a connection is enough to see."""
    for name, service in {"Step Functions": "stepfunctions", "SNS": "sns"}.items():
        url = urlsplit(client_of(service).meta.endpoint_url)
        answers(side, name, str(url.hostname), url.port or (443 if url.scheme == "https" else 80))


def _database(side: Side, connection: Connection, named: str | None) -> str | None:
    """The database that is meant: the batch's, or the secret's."""
    with side.trying("table", "name a database in the batch file, or as dbname in the secret"):
        database: str | None = named or execute(connection, "SELECT DATABASE()")[0][0]
        if database is None:
            raise SchemaMismatch("neither the batch nor the secret names a database")
        return database
    return None
