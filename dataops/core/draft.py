"""The target table that a run makes where there is none: drafted under a name of its own, put in place by one RENAME.

Killed at any point it leaves a draft, which the next run of the batch drops, and never half a target.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from dataops.core.connection import open_connection
from dataops.core.describe import describe_table
from dataops.core.fit import require_fit
from dataops.core.mysql import errors_located, execute, quote_name, quote_table
from dataops.core.staging import draft_name, exists
from dataops.errors import DataOpsError

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from dataops.batch import Batch
    from dataops.core.records import Plan
    from dataops.core.schema import Table


def draft_target(
    batch: Batch, source: Table, source_connection: Connection, *, run: str, database: str
) -> tuple[Table, tuple[str, ...]]:
    """Make the draft from the source's definition; gives the target that it will be, and by name what it leaves out.

    Raises SchemaMismatch, and leaves no draft, when the batch does not fit the target.
    """
    draft = quote_table(database, draft_name(batch, run))
    with open_connection(batch.target.secret) as connection:
        try:
            with errors_located(f"target {batch.target.table}: creating it from {source.name}"):
                left_out = _create(batch, source, source_connection, connection, draft)
                drafted = describe_table(connection, draft_name(batch, run), database)
            target = msgspec.structs.replace(drafted, name=batch.target.table)
            require_fit(batch, source, target)
        except DataOpsError:
            with errors_located(f"target {batch.target.table}: dropping its draft"):
                execute(connection, f"DROP TABLE IF EXISTS {draft}")
            raise
    return target, tuple(left_out)


def place_target(plan: Plan) -> None:
    """Put the draft in the target's place; a repeated call does no harm. Raises Permanent when a table is there."""
    target, draft = plan.target, draft_name(plan.batch, plan.run)
    where = f"target {target.name}: putting the new table in place"
    with open_connection(plan.batch.target.secret) as connection, errors_located(where):
        if exists(connection, target.database, draft):
            names = quote_table(target.database, draft), quote_table(target.database, target.name)
            execute(connection, f"RENAME TABLE {names[0]} TO {names[1]}")


def _create(
    batch: Batch, source: Table, source_connection: Connection, connection: Connection, draft: str
) -> list[str]:
    shown = execute(source_connection, f"SHOW CREATE TABLE {quote_table(source.database, source.name)}")[0][1]
    body, left_out = without_foreign_keys(shown)
    execute(connection, f"DROP TABLE IF EXISTS {draft}")
    execute(connection, f"CREATE TABLE {draft} {body.replace('%', '%%')}")
    for name, mysql_type in batch.added_columns.items():
        execute(connection, f"ALTER TABLE {draft} ADD COLUMN {quote_name(name)} {mysql_type.replace('%', '%%')}")
    for column in source.columns:
        if batch.source.columns is not None and column.name not in batch.source.columns:
            execute(connection, f"ALTER TABLE {draft} DROP COLUMN {quote_name(column.name)}")
            left_out.append(f"column {column.name}")
    return left_out + [f"trigger {name}" for name in source.triggers]


def without_foreign_keys(shown: str) -> tuple[str, list[str]]:
    """The body of a SHOW CREATE TABLE text without its foreign keys, and their names."""
    lines = shown[shown.index("(\n") :].split("\n")
    constraint = re.compile(r"\s*CONSTRAINT `((?:[^`]|``)*)` FOREIGN KEY ")
    left_out = [f"foreign key {found[1]}" for line in lines if (found := constraint.match(line))]
    kept = [line for line in lines if not constraint.match(line)]
    end = next(place for place in range(len(kept) - 1, -1, -1) if kept[place].startswith(")"))
    kept[end - 1] = kept[end - 1].rstrip(",")
    return "\n".join(kept), left_out
