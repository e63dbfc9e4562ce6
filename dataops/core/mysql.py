"""The MySQL edge: read a key range page by page, say an error without a value in it.

A connection (see `connection.py`) decodes nothing: a row is a tuple of the server's own texts (`str`, `bytes` or
None), so what is read is exact whatever the type. Time zone and sql_mode are the session's own, never the server's default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.constants import CR, ER
from pymysql.cursors import SSCursor

from dataops.core.convert import Inexact
from dataops.errors import DataOpsError, Permanent, Unreachable

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from dataops.core.normalize import Row
    from dataops.core.schema import Column

SQL_MODE = "STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION"
SORT_BYTES = 8192
"""Bytes of a value that the server orders by: its default, 1,024, is less than a key may have, and pages would lose rows."""
PAGE_BYTES, MAX_PAGE_ROWS = 8 * 1024 * 1024, 10_000

_NAMES = {code: name for names in (CR, ER) for name, code in vars(names).items() if isinstance(code, int)}
_TELLING = {1044, 1045, 1049, 1054, 1103, 1142, 1143, 1146, 1227, 1290, 1305, 1370, 1419, 2068}
"""Errors whose text holds names only, or is ours (2068). A syntax error is not among them: it quotes what stands near, values too."""
_LOGIN = re.compile(r"'.*'@'[^']*'")
_TRANSIENT = {
    *(1040, 1053, 1114, 1158, 1159, 1160, 1161, 1180, 1203, 1205, 1213, 1290, 1317, 1412, 1836, 1927),
    *(2003, 2006, 2013, 2014, 2055, 3168, 3169, 4031, 9501),
}
"""Also: MariaDB's killed connection (1927), MySQL's (3169) and idle one (4031), RDS Proxy's wait for a server (9501)."""


@contextmanager
def errors_located(where: str) -> Iterator[None]:
    """Within it, a driver's error becomes Permanent or Unreachable: `where`, code and name, no row value."""
    try:
        yield
    except pymysql.MySQLError as error:
        raise located_error(where, error) from error


def located_error(where: str, error: pymysql.MySQLError) -> DataOpsError:
    """The error of ours that stands for a driver's error."""
    code = error.args[0] if error.args else 0
    if code in _TRANSIENT or (isinstance(error, pymysql.OperationalError | pymysql.InterfaceError) and code in (0, "")):
        return Unreachable(f"{where}: {describe_error(error)}")
    return Permanent(f"{where}: {describe_error(error)}")


def describe_error(error: pymysql.MySQLError) -> str:
    """A driver's error as code and name, with the server's text only where that holds no value; a login's name is left out."""
    code = error.args[0] if error.args else 0
    text = f": {_LOGIN.sub('of the secret', str(error.args[1]))}" if code in _TELLING and len(error.args) > 1 else ""
    name = "connection lost" if code in (0, 2006, 2013) else _NAMES.get(code, "see the manual")
    return f"MySQL error {code} ({name}){text}"


def execute(connection: Connection, sql: str, arguments: Sequence[Any] = ()) -> list[Any]:
    """The rows that a statement gives. `sql` is always formatted: `%s` takes an argument, `%%` is a percent sign."""
    with connection.cursor() as cursor:
        cursor.execute(sql, tuple(arguments))
        return list(cursor.fetchall())


def quote_name(name: str) -> str:
    """An identifier, quoted, as `execute` takes it (its percent signs doubled)."""
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def condition(where: str | None) -> list[str]:
    """A batch's `where` as a list of at most one condition, as `execute` takes it."""
    return [f"({where.replace('%', '%%')}\n)"] if where else []  # it may end with a comment


def quote_table(database: str, table: str) -> str:
    """A table's qualified, quoted name."""
    return f"{quote_name(database)}.{quote_name(table)}"


def select_list(columns: Sequence[Column]) -> str:
    """The columns as SQL that loses nothing: a FLOAT is widened, for its own text shows six digits only.

    FLOAT(M,D) and DOUBLE(M,D) show D decimals only; a product is shown whole (and, unlike a sum, keeps -0).
    """
    return ", ".join(
        f"{quote_name(column.name)} * 1e0" if column.kind in ("float", "double") else quote_name(column.name)
        for column in columns
    )


UNICODE = ("utf8mb4", "utf8mb3", "utf8", "ascii", "latin1")
"""Character sets whose every byte comes through utf8mb4 and back; latin1 is cp1252 with its gaps filled."""


def exactness(column: Column) -> tuple[str, str] | None:
    """SQL that is true where a value's text says everything about it, and what is wrong where it is not.

    None for a column whose text always does.
    """
    name = quote_name(column.name)
    if column.data_type == "json":
        again = f"CAST(CAST({name} AS CHAR) AS JSON)"
        same = f"{name} = {again} AND CAST({name} AS CHAR) = CAST({again} AS CHAR) COLLATE utf8mb4_bin"
        return same, "holds a DECIMAL, date or binary inside JSON, which JSON text cannot carry"
    if column.charset and column.charset not in UNICODE and column.kind == "text":
        back = f"CONVERT(CONVERT({name} USING utf8mb4) USING {column.charset})"
        return (
            f"CAST({back} AS BINARY) = CAST({name} AS BINARY)",
            f"holds {column.charset} text that Unicode cannot carry",
        )
    if column.data_type == "enum" and "" in column.members:
        return f"{name} + 0 > 0", "is ENUM index 0, which cannot be told from its member ''"
    if column.data_type == "set" and "" in column.members:
        bit = 1 << column.members.index("")
        return f"(({name} + 0) & {bit}) = 0", "holds the SET member '', which its text does not show"
    return None


def key_term(column: Column) -> str:
    """What a key column is ordered and compared by. An ENUM or SET sorts by number but compares as text."""
    name = quote_name(column.name)
    if _by_bytes(column):
        return f"CAST({select_list([column])} AS BINARY)"
    return f"CONCAT({name})" if column.data_type in ("enum", "set") else name


def key_place(column: Column) -> str:
    """The place of an argument that `key_term` is compared with."""
    if not _by_bytes(column):
        return "%s"
    return f"CAST({f'CONVERT(%s USING {column.charset})' if column.charset else '%s'} AS BINARY)"


def key_value(column: Column, raw: Any) -> Any:
    """A key value as an argument that compares exactly: a number as a text would be compared as a double."""
    if _by_bytes(column):
        return raw
    if column.kind == "integer":
        return int(raw)
    if column.kind == "decimal":
        return Decimal(raw)
    if column.kind == "bit":
        return int.from_bytes(raw, "big")
    return float(raw) if column.kind in ("float", "double") else raw


def _by_bytes(column: Column) -> bool:
    """Whether bytes are what tells two values apart: to the server a text may equal another, and 0 equals -0."""
    return column.by_bytes and (column.charset is not None or column.kind in ("float", "double"))


def key_after(key: Sequence[Column], values: Sequence[Any], operator: str = ">") -> tuple[str, list[Any]]:
    """A condition `(key) > (values)` in key order, spelt so that MySQL uses the key, with its arguments.

    `operator` is `>` or `<=`; the comparison is the server's own, under each column's collation. `values` are texts
    or bytes as read.
    """
    strict, last = (">", ">") if operator == ">" else ("<", "<=")
    terms, arguments = [], []
    exact = [key_value(column, value) for column, value in zip(key, values, strict=True)]
    for position, column in enumerate(key):
        equal = [f"{key_term(before)} = {key_place(before)}" for before in key[:position]]
        sign = last if position == len(key) - 1 else strict
        terms.append("(" + " AND ".join([*equal, f"{key_term(column)} {sign} {key_place(column)}"]) + ")")
        arguments += exact[: position + 1]
    return "(" + " OR ".join(terms) + ")", arguments


def key_order(key: Sequence[Column]) -> str:
    """The ORDER BY that `key_after` goes with."""
    return ", ".join(map(key_term, key))


FIND_KEYS = 100
"""Keys of one query that finds rows by key."""
_NO_VALUE = ((1525,), (1292,))
"""Errors for an argument that is no value of the column's type."""


class PlainReader:
    """Reads one table in key order, a page a query, with pymysql's own cursor: simple, slow, the oracle.

    A value whose text would not say everything about it is given as `Inexact`.
    """

    def __init__(
        self,
        connection: Connection,
        table: str,
        columns: Sequence[Column],
        key: Sequence[Column],
        where: str | None,
    ) -> None:
        self.connection, self.table, self._columns, self._key = connection, table, columns, key
        self._where = condition(where)
        found = {place: exactness(column) for place, column in enumerate(columns)}
        self._checks = {place: check for place, check in found.items() if check}
        self._fitting = MAX_PAGE_ROWS

    def read(self, after: Sequence[Any] | None, upto: Sequence[Any] | None, limit: int) -> list[Row]:
        """The next rows in key order, with keys over `after` and not over `upto` (None: no bound); none at the end.

        A page ends after `limit` rows, or with the row that brings it to 8 MiB.
        """
        with errors_located(f"reading {self.table}"):
            rows = self._fetch(*self.query(after, upto, limit))
        return [self.checked(row) for row in rows] if self._checks else rows

    def query(self, after: Sequence[Any] | None, upto: Sequence[Any] | None, limit: int) -> tuple[str, list[Any]]:
        """The query for a page, with its arguments."""
        conditions, arguments = [*self._where], []
        for bound, operator in ((after, ">"), (upto, "<=")):
            if bound is not None:
                term, values = key_after(self._key, bound, operator)
                conditions.append(term)
                arguments += values
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return (
            f"SELECT {self._selected()} FROM {self.table}{where} "
            f"ORDER BY {key_order(self._key)} LIMIT {min(limit, self._fitting):d}"
        ), arguments

    def _fetch(self, sql: str, arguments: Sequence[Any]) -> list[Row]:
        """Rows up to the page's bytes. What the server sends beyond is thrown away, so the next page asks for less."""
        rows: list[Row] = []
        size = 0
        cursor: Any = self.connection.cursor(SSCursor)
        try:
            cursor.execute(sql, tuple(arguments))
            for row in cursor:
                rows.append(row)
                size += sum(len(value) for value in row if value is not None)
                if size >= PAGE_BYTES:
                    break
        except pymysql.MySQLError:
            cursor.connection = None  # to close it would be to read on, from a connection that may be broken
            raise
        cursor.close()
        self.learn_size(len(rows), size)
        return rows

    def learn_size(self, rows: int, size: int) -> None:
        """Ask for as many rows from now on as about twice fit into a page, by one of so many rows and bytes."""
        self._fitting = 2 * rows if size >= PAGE_BYTES else min(MAX_PAGE_ROWS, 2 * self._fitting)

    def find(self, keys: Sequence[Sequence[Any]]) -> Iterator[tuple[int, Row]]:
        """The rows under these keys, each with the place of the first key that is equal to its own.

        Equal is what the server says, under each column's collation. What is no value of a key column has no row.
        """
        exact: list[tuple[int, list[Any]]] = []
        for place, key in enumerate(keys):
            with suppress(ValueError, TypeError, ArithmeticError):
                values = [key_value(column, value) for column, value in zip(self._key, key, strict=True)]
                exact += [] if None in values else [(place, values)]
        for start in range(0, len(exact), FIND_KEYS):
            with errors_located(f"reading {self.table}"):
                yield from self._find(exact[start : start + FIND_KEYS])

    def _find(self, keys: Sequence[tuple[int, list[Any]]]) -> list[tuple[int, Row]]:
        names = [key_term(column) if column.by_bytes else quote_name(column.name) for column in self._key]
        same = " AND ".join(f"{name} = {key_place(column)}" for name, column in zip(names, self._key, strict=True))
        cases = " ".join(f"WHEN {same} THEN {place}" for place, _ in keys)
        where = " AND ".join([*self._where, f"({' OR '.join([f'({same})'] * len(keys))})"])
        arguments = [value for _, values in keys for value in values]
        sql = f"SELECT CASE {cases} END, {self._selected()} FROM {self.table} WHERE {where}"
        try:
            rows = execute(self.connection, sql, arguments * 2)
        except pymysql.MySQLError as error:
            if error.args[:1] not in _NO_VALUE:
                raise
            half = len(keys) // 2
            return [*self._find(keys[:half]), *self._find(keys[half:])] if half else []
        return [(int(place), self.checked(row)) for place, *row in rows]

    @property
    def checks(self) -> int:
        """How many columns follow a row's own."""
        return len(self._checks)

    def _selected(self) -> str:
        return select_list(self._columns) + "".join(f", IFNULL({sql}, 1)" for sql, _ in self._checks.values())

    def checked(self, row: Sequence[Any]) -> Row:
        """A row without its checks' results, and `Inexact` where one failed."""
        values = list(row[: len(self._columns)])
        for (place, (_, reason)), exact in zip(self._checks.items(), row[len(self._columns) :], strict=True):
            if exact == "0":
                values[place] = Inexact(reason)
        return tuple(values)

    def key_of(self, row: Row) -> tuple[Any, ...]:
        """The key values of a row that this reader gave."""
        places = {column.name: place for place, column in enumerate(self._columns)}
        values = tuple(row[places[column.name]] for column in self._key)
        for value, column in zip(values, self._key, strict=True):
            if isinstance(value, Inexact):
                raise Permanent(f"reading {self.table}: key column {column.name} {value.reason}")
        return values
