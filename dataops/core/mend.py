"""Mend: put right exactly the keys under which a comparison found DynamoDB or the target different."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import msgspec

from dataops.core.connection import open_connection
from dataops.core.control import Control
from dataops.core.difference import Difference
from dataops.core.dynamodb import key_of, remove_stale
from dataops.core.fit import require_fit
from dataops.core.item import Attribute, Item
from dataops.core.lease import REPAIR, take_lease
from dataops.core.mysql import SQL_MODE, errors_located, execute, key_value, quote_name, quote_table
from dataops.core.schema import Column
from dataops.core.staging import TRUNCATED
from dataops.core.task import Task
from dataops.errors import Permanent

if TYPE_CHECKING:
    from types import TracebackType

    from pymysql.connections import Connection

GROUP, RENEW_SECONDS = 100, 60


class Mended(msgspec.Struct):
    """How many items and target rows were put right, and how many items were left as they are.

    Left are extra items without this batch's stamp, which somebody else wrote, and what DynamoDB refused.
    """

    items: int = 0
    rows: int = 0
    left: int = 0


class RepairLease:
    """The batch's lease, held by a repair and renewed while it works. Raises LeaseHeld where a run has it."""

    def __init__(self, control: Control, task: Task) -> None:
        self._control, self._batch = control, task.plan.batch
        self._name, self._renewed = f"{REPAIR}-{secrets.token_hex(4)}", time.monotonic()
        self._holder = self._spell()

    def __enter__(self) -> Self:
        seconds = int(os.environ.get("DATAOPS_FUNCTION_SECONDS", "900"))
        take_lease(self._control, self._batch.batch, self._holder, seconds)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._control.release_lease(self._batch.batch, self._holder)

    def renew(self, after: float = RENEW_SECONDS) -> None:
        """Say that the repair still works, where it last did so `after` seconds ago. Raises LeaseHeld when lost."""
        if time.monotonic() - self._renewed < after:
            return
        self._renewed = time.monotonic()
        renewed = self._spell()
        self._control.take_over(self._batch.batch, renewed, self._holder)
        self._holder = renewed

    def _spell(self) -> str:
        return f"{REPAIR}:{self._control.now():.0f}:{self._name}"


def require_mendable(task: Task, absent: Sequence[str]) -> None:
    """Raises Permanent where only a run can help: no run has written yet, a store is not there, tables do not fit."""
    if not task.plan.generation or absent:
        raise Permanent(f"batch {task.plan.batch.batch}: there is nothing yet to repair; run the batch first")
    require_fit(task.plan.batch, task.plan.source, task.plan.target)


def mend(task: Task, key: Sequence[Column], differences: Iterable[Difference], lease: RepairLease) -> Mended:
    """Write the items and the target's rows (by the columns of `key`) that differ, and no others.

    The target changes in one transaction, at the end; any error there leaves it as it was.
    """
    mended = Mended()
    with open_connection(task.plan.batch.target.secret) as connection:
        connection.begin()
        try:
            for group in _groups(differences):
                lease.renew()
                _mend_items(task, [of for of in group if of.store == "dynamodb"], mended)
                _mend_rows(connection, task, key, [of for of in group if of.store == "target"], mended)
            lease.renew(after=0)
        except BaseException:
            connection.rollback()
            raise
        with errors_located(f"target {task.plan.target.name}: repairing"):
            connection.commit()
    return mended


def _mend_items(task: Task, differences: Sequence[Difference], mended: Mended) -> None:
    batch, table = task.plan.batch, task.plan.batch.dynamodb.table
    items = [_stamped(task, of) for of in differences if of.kind != "extra"]
    refused = task.writer.write(items)
    mended.items += len(items) - len(refused)
    mended.left += len(refused)
    owned = task.owned if batch.dynamodb.write == "update" else None
    for item in (of.found for of in differences if of.kind == "extra"):
        assert isinstance(item, dict)
        seen = item.get(batch.stamp)
        gone = seen is not None and remove_stale(
            task.dynamodb, table, key_of(item, task.key_names), batch.stamp, seen, owned
        )
        mended.items += gone
        mended.left += not gone


def _stamped(task: Task, difference: Difference) -> Item:
    """The expected item, with the stamp that is there, else the newest generation's."""
    expected, found = difference.expected, difference.found
    assert isinstance(expected, dict)
    newest: Attribute = {"N": str(task.plan.stamp_of(0, 0))}
    there = found.get(task.plan.batch.stamp) if isinstance(found, dict) else None
    return expected | {task.plan.batch.stamp: there or newest}


def _mend_rows(
    connection: Connection, task: Task, key: Sequence[Column], differences: Sequence[Difference], mended: Mended
) -> None:
    """Delete what is extra, set the columns that differ, insert what is missing: never a row of another key."""
    table, columns = quote_table(task.plan.target.database, task.plan.target.name), task.target_columns()
    same = " AND ".join(f"{quote_name(column.name)} = %s" for column in key)
    names, marks = ", ".join(quote_name(column.name) for column in columns), ", ".join(["%s"] * len(columns))
    with errors_located(f"target {task.plan.target.name}: repairing"):
        for of in differences:
            at = [key_value(*pair) for pair in zip(key, of.found or (), strict=True)] if of.kind != "missing" else []
            row = dict(zip(columns, of.expected or (), strict=True)) if of.kind != "extra" else {}
            if of.kind == "extra":
                _write(connection, f"DELETE FROM {table} WHERE {same}", at, row)
            elif of.kind == "different":
                changed = {column: raw for column, raw in row.items() if column.name in of.columns}
                sets = ", ".join(f"{quote_name(column.name)} = %s" for column in changed)
                _write(connection, f"UPDATE {table} SET {sets} WHERE {same}", [*changed.values(), *at], changed)
            else:
                _write(connection, f"INSERT INTO {table} ({names}) VALUES ({marks})", [*row.values()], row)
            mended.rows += 1


def _write(connection: Connection, sql: str, arguments: Sequence[Any], row: dict[Column, Any]) -> None:
    """One statement; a warning is an error. ENUM's index 0 is written without strict mode, as into staging."""
    zeros = any(column.data_type == "enum" and "" not in column.members and raw == "" for column, raw in row.items())
    if zeros:
        execute(connection, "SET sql_mode = %s", (SQL_MODE.replace("STRICT_ALL_TABLES,", ""),))
    execute(connection, sql, arguments)
    warnings = [code for _, code, _ in execute(connection, "SHOW WARNINGS") if not (zeros and code == TRUNCATED)]
    if zeros:
        execute(connection, "SET sql_mode = %s", (SQL_MODE,))
    if warnings:
        raise Permanent(f"target: repairing: {len(warnings)} warnings, first MySQL {warnings[0]}; nothing was changed")


def _groups(differences: Iterable[Difference]) -> Iterator[list[Difference]]:
    group: list[Difference] = []
    for difference in differences:
        group.append(difference)
        if len(group) == GROUP:
            yield group
            group = []
    yield group
