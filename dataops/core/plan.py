"""Plan: claim, lease, check, cut into chunks, open a generation; nothing of source or target is changed before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from dataops.batch import Batch, parse_batch
from dataops.core.connection import open_connection
from dataops.core.control import Control
from dataops.core.describe import describe_table, require_condition
from dataops.core.draft import draft_target, place_target
from dataops.core.fit import require_dynamodb_table, require_fit, require_unique_key
from dataops.core.lease import name_of, take_lease
from dataops.core.mysql import (
    condition,
    errors_located,
    execute,
    key_after,
    key_order,
    quote_table,
    select_list,
)
from dataops.core.normalize import Codec, key_of_rows, reading_key
from dataops.core.records import Chunk, Plan, Record, pack_key
from dataops.core.resume import inherit_chunks, mark_resumed, resumable_plan
from dataops.core.schema import Column, Table
from dataops.core.staging import exists
from dataops.core.task import load_transform
from dataops.core.telemetry import label
from dataops.errors import BatchFileError, SchemaMismatch

if TYPE_CHECKING:
    from pymysql.connections import Connection

MAX_CHUNKS = 1000
CHUNK_ROWS, CHUNK_BYTES = (1_000, 10_000), 64 * 1024 * 1024

STARTED_BY = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"


class PlanRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The execution's input and names.

    With `publish: defer` the run ends when its staging table is verified, and hands its lease to `flow`, the execution
    (ARN) that started this one and publishes the rows. Step Functions itself knows that field, by its own name.
    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-nested-workflows.html
    """

    run: str
    execution: str
    started: str
    batch: Any
    workers: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4
    create_target: bool = False
    scheduled: str | None = None
    resume: str | None = None
    publish: Literal["now", "defer"] = "now"
    flow: str = msgspec.field(default="", name=STARTED_BY)
    function_seconds: int = 900

    @classmethod
    def parse(cls, event: dict[str, Any]) -> PlanRequest:
        """The request in an event; the execution's own names win over what its input says."""
        given = event["input"] if isinstance(event["input"], dict) else {}
        names = {name: value for name, value in event.items() if name != "input"}
        seconds = int(os.environ.get("DATAOPS_FUNCTION_SECONDS", "900"))
        try:
            return msgspec.convert({**given, **names, "function_seconds": seconds}, cls)
        except msgspec.ValidationError as error:
            raise BatchFileError(f"the execution's input: {str(error).replace('`', '')}") from None


def plan_run(request: PlanRequest) -> dict[str, Any] | None:
    """The plan of a run, as names and numbers for the state machine; None when another run has this instant.

    May be repeated: a plan once written is given again. A missing target is put in place last of all.
    """
    control = Control(request.run)
    label(batch=_name_of(request.batch))
    batch = parse_batch(request.batch, _name_of(request.batch))
    if control.record() is None:
        flow = name_of(request.flow)
        begun = Record(request.run, batch.batch, execution=request.execution, started=request.started, flow=flow)
        control.save_record(begun)
    if request.publish == "defer":
        require_deferrable(batch, request)
    if request.scheduled and not control.claim_instant(batch.batch, request.scheduled):
        control.save_record(Record(request.run, batch.batch, "skipped", request.execution, request.started))
        return None
    take_lease(control, batch.batch, request.execution, request.function_seconds)
    control.require_wanted()
    plan = control.find_plan() or _make_plan(control, batch, request)
    if plan.created_target:
        place_target(plan)
    numbers = {"chunks": list(range(plan.chunks)), "workers": plan.workers}
    return {"run": plan.run, "batch": batch.batch, **numbers, "publish": request.publish}


def require_deferrable(batch: Batch, request: PlanRequest) -> None:
    """Raises BatchFileError unless a flow can publish the batch's rows."""
    if not request.flow:
        raise BatchFileError(f"the execution's input: publish: defer is for flows, expected {STARTED_BY} beside it")
    if batch.target.mode != "swap":
        raise BatchFileError(f"batch {batch.batch}: target.mode: only a swap can be left to a flow, found upsert")


def _make_plan(control: Control, batch: Batch, request: PlanRequest) -> Plan:
    failed = Control(request.resume) if request.resume else None
    before = resumable_plan(batch, failed, request.run) if failed else None
    with open_connection(batch.source.secret) as connection:
        source = _located("source.table", connection, batch.source.table, batch.source.database)
        require_fit(batch, source, None)
        require_condition(connection, batch, source)
        require_dynamodb_table(control.client, batch, Codec(batch, source, None, load_transform(batch)))
        require_unique_key(connection, batch, source, control.save_offenders)
        itself = (connection.host, connection.port, source.database, source.name)
        may_be_missing = request.create_target or bool(before and before.created_target)
        database, target = _find_target(batch, source, may_be_missing, itself)
        if failed and before:
            chunks = inherit_chunks(control, batch, failed, before, source)
        else:
            chunks = list(cut_chunks(connection, batch, source, request.workers))
        left_out: tuple[str, ...] = ()
        missing = target is None
        if target is None:
            target, left_out = draft_target(batch, source, connection, run=request.run, database=database)
    for chunk in chunks:
        control.save_chunk(chunk)
    plan = Plan(
        request.run, batch, source, target, before.generation if before else control.open_generation(batch.batch),
        key_of_rows(batch, source),
        len(chunks), request.workers, created_target=missing, left_out=left_out,
        flow=request.flow if request.publish == "defer" else "",
    )  # fmt: skip
    if failed:
        mark_resumed(failed, request.run)
    control.save_plan(plan)
    return plan


def cut_chunks(connection: Connection, batch: Batch, source: Table, workers: int) -> Iterator[Chunk]:
    """Key ranges of about equal row counts that together hold every key, at most 1,000; about 64 MiB each or less.

    The server walks the key and compares under its own collations; the first range has no lower bound and the last
    no upper one, so rows that appear meanwhile belong to a chunk as well.
    """
    table = quote_table(source.database, source.name)
    key = reading_key(batch, source)
    where = condition(batch.source.where)
    with errors_located(f"source {source.name}: cutting chunks"):
        filtered = f" WHERE {where[0]}" if where else ""
        total = int(execute(connection, f"SELECT COUNT(*) FROM {table}{filtered}")[0][0])
        found = execute(connection, _ROW_BYTES, (source.database, source.name))
        fitting = max(1, CHUNK_BYTES // max(1, int(found[0][0] or 0) if found else 0))
        smallest, largest = CHUNK_ROWS
        rows = max(-(-total // MAX_CHUNKS), min(fitting, largest, max(smallest, -(-total // (2 * workers)))))
        lower: list[str] | None = None
        number = 0
        for bound in _bounds(connection, table, key, where, rows):
            yield Chunk(number, lower, bound)
            lower, number = bound, number + 1
            if number == MAX_CHUNKS - 1:
                break
        yield Chunk(number, lower, None)


_ROW_BYTES = "SELECT AVG_ROW_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"


def _bounds(
    connection: Connection, table: str, key: Sequence[Column], where: list[str], rows: int
) -> Iterator[list[str]]:
    """Every `rows`-th key, but none after which no row follows."""
    bound: tuple[Any, ...] | None = None
    while True:
        after, arguments = key_after(key, bound) if bound else ("", [])
        conditions = [*where, *([after] if after else [])]
        filtered = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        sql = f"SELECT {select_list(key)} FROM {table}{filtered} ORDER BY {key_order(key)} LIMIT 2 OFFSET {rows - 1}"
        found = execute(connection, sql, arguments)
        if len(found) < 2:
            return
        bound = found[0]
        yield pack_key(found[0])


def _find_target(
    batch: Batch, source: Table, may_be_missing: bool, itself: tuple[Any, ...]
) -> tuple[str, Table | None]:
    """The target's database and the target; None where it is missing and may be. `itself` is where the source is."""
    with open_connection(batch.target.secret) as connection, errors_located("target.table"):
        database = batch.target.database or execute(connection, "SELECT DATABASE()")[0][0]
        if database is None:
            raise SchemaMismatch("target.database: neither the batch nor the secret names a database")
        if may_be_missing and not exists(connection, database, batch.target.table):
            return database, None
        try:
            target = _located("target.table", connection, batch.target.table, database)
        except SchemaMismatch as error:
            raise SchemaMismatch(f"{error}; create it, or run with --create-target") from error
        if (connection.host, connection.port, target.database, target.name) == itself:
            raise SchemaMismatch("target.table: is the source's own table, whose other rows would be lost")
        if batch.target.mode == "upsert":
            _require_transactions(connection, target)
    require_fit(batch, source, target)
    return database, target


def _require_transactions(connection: Connection, target: Table) -> None:
    """An upsert that fails is to leave the target as it was."""
    sql = "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
    for (engine,) in execute(connection, sql, (target.database, target.name)):
        if engine != "InnoDB":
            raise SchemaMismatch(
                f"target.mode: an upsert into {target.name} needs InnoDB's transactions, found {engine}"
            )


def _located(place: str, connection: Connection, table: str, database: str | None) -> Table:
    try:
        with errors_located(place):
            return describe_table(connection, table, database)
    except SchemaMismatch as error:
        raise SchemaMismatch(f"{place}: {error}") from error


def _name_of(declared: Any) -> str:
    name = declared.get("batch") if isinstance(declared, dict) else None
    if not isinstance(name, str):
        raise BatchFileError("input: expected {batch: {batch: NAME, ...}}, found no batch name")
    return name[:40]
