"""Read a table's definition from information_schema."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pymysql

from dataops.batch import Batch, did_you_mean
from dataops.core.mysql import condition, errors_located, execute, quote_table
from dataops.core.schema import Column, ForeignKey, Table, UniqueKey
from dataops.errors import SchemaMismatch

if TYPE_CHECKING:
    from pymysql.connections import Connection


def describe_table(connection: Connection, name: str, database: str | None = None) -> Table:
    """The definition of a table in `database` (default: the connection's own).

    Raises SchemaMismatch, with a near name, when it is not there.
    """
    database = database or execute(connection, "SELECT DATABASE()")[0][0]
    columns = _columns(connection, database, name)
    if not columns:
        raise SchemaMismatch(_no_table(connection, name, database))
    return Table(
        database, name, columns, _keys(connection, database, name),
        outgoing=_outgoing(connection, database, name),
        incoming=_foreign_keys(connection, database, name, "REFERENCED_TABLE_NAME"),
        triggers=tuple(row[0] for row in execute(connection, _TRIGGERS, (database, name))),
    )  # fmt: skip


def list_tables(connection: Connection, database: str | None = None) -> tuple[str, ...]:
    """The names of all base tables of `database` (default: the connection's own), in order of name."""
    database = database or execute(connection, "SELECT DATABASE()")[0][0]
    return tuple(row[0] for row in execute(connection, _TABLES, (database,)))


_TABLES = """SELECT TABLE_NAME FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'BASE TABLE' ORDER BY 1"""
_COLUMNS = """SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, EXTRA, COLUMN_DEFAULT, GENERATION_EXPRESSION,
    CHARACTER_SET_NAME, CHARACTER_MAXIMUM_LENGTH FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"""
_KEYS = """SELECT INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND NON_UNIQUE = 0
    ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX"""
_TRIGGERS = """SELECT TRIGGER_NAME FROM information_schema.TRIGGERS
    WHERE EVENT_OBJECT_SCHEMA = %s AND EVENT_OBJECT_TABLE = %s ORDER BY 1"""
_NAME = r"`(?:[^`]|``)+`"
_FOREIGN_KEY = re.compile(
    rf"^\s*CONSTRAINT (?P<name>{_NAME}) FOREIGN KEY \((?P<columns>{_NAME}(?:, ?{_NAME})*)\) "
    rf"REFERENCES (?:(?P<where>{_NAME})\.)?(?P<referred>{_NAME}) \((?P<others>{_NAME}(?:, ?{_NAME})*)\)"
    r"(?: ON DELETE (?P<on_delete>[A-Z ]+?))?(?: ON UPDATE (?P<on_update>[A-Z ]+?))?,?$"
)
_DENIED = 1142
_JSON_CHECKS = """SELECT CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS
    WHERE CONSTRAINT_SCHEMA = %s AND TABLE_NAME = %s"""


def _columns(connection: Connection, database: str, table: str) -> tuple[Column, ...]:
    json_checked: set[str] = set()
    if "mariadb" in execute(connection, "SELECT VERSION()")[0][0].lower():
        clauses = " ".join(row[0] for row in execute(connection, _JSON_CHECKS, (database, table)))
        json_checked = set(re.findall(r"json_valid\(`((?:[^`]|``)+)`\)", clauses))
    found = []
    for name, data_type, column_type, nullable, extra, default, generated, charset, length in execute(
        connection, _COLUMNS, (database, table)
    ):
        column = Column(
            name, data_type.lower(), _without_width(column_type), nullable == "YES",
            generated=bool(generated),
            has_default=default is not None,
            auto_increment="auto_increment" in extra.lower(),
            is_json=data_type == "json" or name.replace("`", "``") in json_checked,
            charset=charset, length=int(length) if length is not None else None,
        )  # fmt: skip
        found.append(column)
    return tuple(found)


def _without_width(column_type: str) -> str:
    """A type as MySQL 8 writes it: without the display width of integers and YEAR, which says nothing of values.

    ZEROFILL shows it, and TINYINT(1) is what booleans are called.
    """
    if "zerofill" in column_type or column_type == "tinyint(1)":
        return column_type
    return re.sub(r"^((?:tiny|small|medium|big)?int|year)\(\d+\)", r"\1", column_type)


def _keys(connection: Connection, database: str, table: str) -> tuple[UniqueKey, ...]:
    """Keys over whole columns; a key over a prefix or an expression proves nothing about whole values."""
    columns: dict[str, list[str]] = {}
    unfit: set[str] = set()
    for name, column, prefix in execute(connection, _KEYS, (database, table)):
        columns.setdefault(name, []).append(column)
        if prefix is not None or column is None:
            unfit.add(name)
    return tuple(UniqueKey(name, tuple(of)) for name, of in columns.items() if name not in unfit)


def _foreign_keys(connection: Connection, database: str, table: str, side: str) -> tuple[ForeignKey, ...]:
    schema = "CONSTRAINT_SCHEMA" if side == "TABLE_NAME" else "UNIQUE_CONSTRAINT_SCHEMA"
    sql = f"""SELECT CONSTRAINT_NAME, TABLE_NAME, REFERENCED_TABLE_NAME, DELETE_RULE, UPDATE_RULE
        FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE {schema} = %s AND {side} = %s ORDER BY 2, 1"""
    return tuple(ForeignKey(*row) for row in execute(connection, sql, (database, table)))


def _outgoing(connection: Connection, database: str, table: str) -> tuple[ForeignKey, ...]:
    """The table's own foreign keys, as SHOW CREATE TABLE has them.

    To a user who may only read, MariaDB's information_schema shows none. Of a view, and of a table some of whose columns
    may not be read, they are not known.
    """
    try:
        ((_, shown, *_),) = execute(connection, f"SHOW CREATE TABLE {quote_table(database, table)}")
    except pymysql.MySQLError as error:
        if error.args[:1] != (_DENIED,):
            raise
        return ()
    found = map(_FOREIGN_KEY.search, shown.splitlines())
    return tuple(_foreign_key(match.groupdict(), database, table) for match in found if match)


def _foreign_key(parts: dict[str, str | None], database: str, table: str) -> ForeignKey:
    name, referred, where = (_plain(parts[part] or "") for part in ("name", "referred", "where"))
    columns = zip(*(map(_plain, re.findall(_NAME, parts[part] or "")) for part in ("columns", "others")), strict=True)
    on_delete, on_update = (parts[part] or "RESTRICT" for part in ("on_delete", "on_update"))
    return ForeignKey(name, table, referred, on_delete, on_update, tuple(columns), where or database)


def _plain(quoted: str) -> str:
    return quoted.strip("`").replace("``", "`")


def _no_table(connection: Connection, name: str, database: str) -> str:
    near = did_you_mean(name, list_tables(connection, database))
    return f"table '{name}' is not in database {database}{near}"


def require_condition(connection: Connection, batch: Batch, source: Table) -> None:
    """Prove that `source.where` is one condition: it may not end where others that are put beside it begin.

    Raises the server's error.
    """
    for term in condition(batch.source.where):
        table = quote_table(source.database, source.name)
        for alone in (term[1:-2], term):
            with errors_located("source.where"):
                execute(connection, f"SELECT 1 FROM {table} WHERE {alone}\nLIMIT 0")
