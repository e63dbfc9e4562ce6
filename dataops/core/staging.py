"""The target side: a keyed staging table, the atomic swap, and the merge for `mode: upsert`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dataops.batch import Batch
from dataops.core.mysql import SQL_MODE, errors_located, execute, quote_name, quote_table
from dataops.core.records import Plan
from dataops.errors import Permanent, StillPublishing, Unaccounted

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from dataops.core.normalize import Row
    from dataops.core.schema import Column

STATEMENT_ROWS, STATEMENT_BYTES = 500, 4 * 1024 * 1024
ESCAPED = 2
"""A statement is at most so many times as long as the values in it, `QUOTES` bytes added to each."""
QUOTES = 12
PUBLISHER_SECONDS = 30
"""How long the session that may publish is waited for: longer than it may wait for a lock itself."""
TRUNCATED = "1265"
"""The code of MySQL's warning that a value became ENUM index 0."""


def staging_name(plan: Plan) -> str:
    """The staging table's name: one for each run, at most 48 characters whatever the names in it."""
    return f"{_prefix(plan.batch)}{_hash(plan.run)}_new"


def old_name(plan: Plan) -> str:
    """The name that the old target has between the swap and its removal."""
    return f"{_prefix(plan.batch)}{_hash(plan.run)}_old"


def marker_name(plan: Plan) -> str:
    """The name of the table that the merge leaves a row in."""
    return f"{_prefix(plan.batch)}{_hash(plan.run)}_done"


def draft_name(batch: Batch, run: str) -> str:
    """The name under which a run makes a missing target, before it is put in place."""
    return f"{_prefix(batch)}{_hash(run)}_draft"


@contextmanager
def only_publisher(connection: Connection, plan: Plan) -> Iterator[None]:
    """Within it no other session publishes or rolls back this batch, not even one whose function was killed.

    A killed function's statement goes on until the server misses its client; a named lock (GET_LOCK) ends with the
    session. Raises StillPublishing.
    """
    name = f"{_prefix(plan.batch)}publisher"
    if execute(connection, "SELECT GET_LOCK(%s, %s)", (name, PUBLISHER_SECONDS))[0][0] != "1":
        raise StillPublishing(f"target {plan.target.name}: a session of this batch is still at work on the server")
    yield
    execute(connection, "DO RELEASE_LOCK(%s)", (name,))


def create_staging(connection: Connection, plan: Plan) -> None:
    """An empty table like the target; what earlier runs of this batch left behind is dropped first."""
    database = plan.target.database
    staging, target = quote_table(database, staging_name(plan)), quote_table(database, plan.target.name)
    with errors_located(f"target {plan.target.name}: creating the staging table"):
        drop_leftovers(connection, plan)
        execute(connection, f"CREATE TABLE {staging} LIKE {target}")


def drop_leftovers(connection: Connection, plan: Plan) -> None:
    """Drop every table of this batch beside its target; the lease makes sure that nobody uses them."""
    pattern = _prefix(plan.batch).replace("_", "\\_") + "%"
    tables = execute(
        connection,
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME LIKE %s",
        (plan.target.database, pattern),
    )
    for (name,) in tables:
        execute(connection, f"DROP TABLE IF EXISTS {quote_table(plan.target.database, name)}")


def load_rows(connection: Connection, plan: Plan, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Write rows into staging; loading the same rows again is harmless. A warning is an error.

    The plain way, by multi-row REPLACE: it needs no `local_infile` and is the oracle of anything faster. ENUM's index
    0 is an error under strict mode, whoever writes it: rows that hold one are written without it, and what was
    written is compared like every other row.
    """
    zeros = [place for place, column in enumerate(columns) if column.data_type == "enum" and "" not in column.members]
    plain = [row for row in rows if all(row[place] != "" for place in zeros)]
    _replace(connection, plan, columns, plain)
    if len(plain) < len(rows):
        with_zeros = [row for row in rows if any(row[place] == "" for place in zeros)]
        execute(connection, "SET sql_mode = %s", (SQL_MODE.replace("STRICT_ALL_TABLES,", ""),))
        _replace(connection, plan, columns, with_zeros, allowed=TRUNCATED)
        execute(connection, "SET sql_mode = %s", (SQL_MODE,))


def _replace(
    connection: Connection, plan: Plan, columns: Sequence[Column], rows: Sequence[Row], allowed: str | None = None
) -> None:
    table = quote_table(plan.target.database, staging_name(plan))
    names = ", ".join(quote_name(column.name) for column in columns)
    packet = int(execute(connection, "SELECT @@max_allowed_packet")[0][0])
    one = f"({', '.join(['%s'] * len(columns))})"
    for group in _groups(rows, min(STATEMENT_BYTES, packet // ESCAPED)):
        if len(group) == 1 and _size(group[0]) > packet // ESCAPED:
            raise Permanent(
                f"target {plan.target.name}: a row of {_size(group[0]):,} bytes needs a server whose max_allowed_packet "
                f"is {ESCAPED} times as large, found {packet:,}"
            )
        with errors_located(f"target {plan.target.name}: loading staging"):
            sql = f"REPLACE INTO {table} ({names}) VALUES {', '.join([one] * len(group))}"
            execute(connection, sql, [value for row in group for value in row])
            warnings = [code for _, code, _ in execute(connection, "SHOW WARNINGS") if code != allowed]
        if warnings:
            raise Permanent(
                f"target {plan.target.name}: loading staging: {len(warnings)} warnings, first MySQL {warnings[0]}"
            )


def count_rows(connection: Connection, table: str, where: str = "", arguments: Sequence[Any] = ()) -> int:
    """How many rows a table (qualified, quoted) has, by the server's own count."""
    return int(execute(connection, f"SELECT COUNT(*) FROM {table}{where}", arguments)[0][0])


def exists(connection: Connection, database: str, table: str) -> bool:
    """Whether the table is there."""
    sql = "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
    return bool(execute(connection, sql, (database, table)))


def is_published(connection: Connection, plan: Plan) -> bool:
    """Whether this run's rows are the target's: read off what swap or merge leave beside it until `drop_old`."""
    database = plan.target.database
    if plan.batch.target.mode == "swap":
        return exists(connection, database, old_name(plan)) and not exists(connection, database, staging_name(plan))
    marker = quote_table(database, marker_name(plan))
    return exists(connection, database, marker_name(plan)) and count_rows(connection, marker) > 0


def count_published(connection: Connection, plan: Plan) -> int:
    """How many rows the swap or the merge has put in place."""
    name = plan.target.name if plan.batch.target.mode == "swap" else staging_name(plan)
    return count_rows(connection, quote_table(plan.target.database, name))


def count_staging(connection: Connection, plan: Plan) -> int:
    """How many rows are ready to be published. Raises Permanent when there is no staging table."""
    if not exists(connection, plan.target.database, staging_name(plan)):
        raise Permanent(f"target {plan.target.name}: expected the staging table, found none; run again")
    return count_rows(connection, quote_table(plan.target.database, staging_name(plan)))


def swap(connection: Connection, plans: Sequence[Plan]) -> None:
    """Put each staging table in its target's place, all in one atomic RENAME.

    The old tables stay beside the targets until `drop_old`.
    """
    with errors_located(f"target {', '.join(plan.target.name for plan in plans)}: swapping"):
        for plan in plans:
            _keep_auto_increment(connection, plan)
        execute(connection, f"RENAME TABLE {', '.join(map(_renames, plans))}")


def _renames(plan: Plan) -> str:
    database = plan.target.database
    target, old = quote_table(database, plan.target.name), quote_table(database, old_name(plan))
    return f"{target} TO {old}, {quote_table(database, staging_name(plan))} TO {target}"


def drop_old(connection: Connection, plan: Plan) -> None:
    """Drop what the swap replaced, or what the merge used."""
    with errors_located(f"target {plan.target.name}: dropping the old table"):
        drop_leftovers(connection, plan)


def merge(
    connection: Connection, plan: Plan, columns: Sequence[Column], partition: tuple[str, Sequence[Any]] = ("", ())
) -> None:
    """Make the target equal to staging in one transaction, which leaves a row in the marker table as well.

    Vanished rows are deleted, changed ones updated, new ones inserted; where `partition` is given (SQL about `t`, with
    its arguments), only rows of that partition are deleted and counted. Any error, or a count that does not fit, leaves
    the target as it was.
    """
    key = plan.target.key_within({column.name for column in columns})
    assert key is not None
    database = plan.target.database
    target, staging = quote_table(database, plan.target.name), quote_table(database, staging_name(plan))
    same = " AND ".join(f"t.{quote_name(name)} = s.{quote_name(name)}" for name in key.columns)
    sets = ", ".join(f"t.{quote_name(c.name)} = s.{quote_name(c.name)}" for c in columns)
    names = ", ".join(quote_name(column.name) for column in columns)
    picked = ", ".join(f"s.{quote_name(column.name)}" for column in columns)
    first = quote_name(key.columns[0])  # where there is no row it is NULL; `IS NULL` is true for a zero date, too
    where, arguments = partition
    scope = f" AND {where}" if where else ""
    marker = quote_table(database, marker_name(plan))
    with errors_located(f"target {plan.target.name}: merging"):
        execute(connection, f"CREATE TABLE IF NOT EXISTS {marker} (done INT PRIMARY KEY) ENGINE = InnoDB")
        connection.begin()
        try:
            execute(
                connection,
                f"DELETE t FROM {target} t LEFT JOIN {staging} s ON {same} WHERE s.{first} <=> NULL{scope}",
                arguments,
            )
            execute(connection, f"UPDATE {target} t JOIN {staging} s ON {same} SET {sets}")
            execute(
                connection,
                f"INSERT INTO {target} ({names}) SELECT {picked} FROM {staging} s LEFT JOIN {target} t ON {same} "
                f"WHERE t.{first} <=> NULL",
            )
            found = count_rows(connection, f"{target} t", f" WHERE {where}" if where else "", arguments)
            expected = count_rows(connection, staging)
            if found != expected:
                raise Unaccounted(
                    f"target {plan.target.name}: expected {expected:,} rows after the merge, found {found:,}"
                )
            execute(connection, f"REPLACE INTO {marker} VALUES (1)")
        except BaseException:
            connection.rollback()
            raise
        connection.commit()


def _keep_auto_increment(connection: Connection, plan: Plan) -> None:
    """CREATE TABLE LIKE forgets how far AUTO_INCREMENT had come, and a number must not be given twice."""
    database = plan.target.database
    sql = "SELECT AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
    ((old,),), ((new,),) = (
        execute(connection, sql, (database, name)) for name in (plan.target.name, staging_name(plan))
    )
    if old is not None and int(old) > int(new or 0):
        execute(connection, f"ALTER TABLE {quote_table(database, staging_name(plan))} AUTO_INCREMENT = {int(old)}")


def _groups(rows: Sequence[Row], limit: int) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        bytes_ = _size(row)
        if group and (len(group) == STATEMENT_ROWS or size + bytes_ > limit):
            yield group
            group, size = [], 0
        group.append(row)
        size += bytes_
    if group:
        yield group


def _size(row: Row) -> int:
    return sum(QUOTES + (len(value) if value is not None else 0) for value in map(_encoded, row))


def _encoded(value: Any) -> Any:
    return value.encode() if isinstance(value, str) and not value.isascii() else value


def _prefix(batch: Batch) -> str:
    return f"_dataops_{_hash(batch.batch, batch.target.table)}_"


def _hash(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:16]
