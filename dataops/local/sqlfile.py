"""Dump files: split into statements as the mysql client does, and run one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pymysql

from dataops.core.mysql import located_error
from dataops.errors import BatchFileError, DataOpsError, Permanent

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

# Possessive repeats: a string of megabytes costs one pass and no backtracking.
_STRING = r"""'(?:[^'\\]++|\\.|'')*+'|"(?:[^"\\]++|\\.|"")*+"|`(?:[^`]++|``)*+`"""
_COMMENT = r"/\*(?!M?!).*?\*/|(?:--(?=[ \t\r\n]|\Z)|\#)[^\n]*"  # but not /*! ... */: the server reads those itself
_SANDBOX = r"/\*M?!999999\\-[^\n]*?\*/"
_TOKEN = re.compile(f"{_STRING}|{_COMMENT}", re.DOTALL)
_LEAD = re.compile(rf"(?:\s++|{_SANDBOX}|{_COMMENT})*+", re.DOTALL)
_DELIMITER = re.compile(r"delimiter[ \t]+(\S+)[^\n]*", re.IGNORECASE)
_VERSION_COMMENT = re.compile(r"/\*M?!")
_STOPS = "'\"`/#*-"


class Statement(NamedTuple):
    """One statement, and the line of the file that it begins on."""

    sql: str
    line: int


class ResultSet(NamedTuple):
    """What a query gave: column names, and rows."""

    columns: list[str]
    rows: list[Any]


class ScriptResult(NamedTuple):
    """How many statements ran, how many rows they changed, and what the last query among them gave."""

    statements: int
    rows: int
    results: tuple[ResultSet, ...] = ()


def split_statements(text: str) -> Iterator[Statement]:
    """The statements of a script in the mysql client's language.

    Knows DELIMITER, strings, quoted names and all comments; version comments (`/*!40101 ... */`) stay in the
    statement, since the server reads them. MariaDB's sandbox line is left out. What a quote opens and nothing
    closes is one statement up to the end, so that no part of a string is ever run.
    """
    splitter = _Splitter()
    yield from splitter.feed(text.removeprefix("\ufeff"))
    if splitter.rest:
        yield Statement(splitter.rest.rstrip(), splitter.line)


def read_script(path: Path) -> str:
    """The text of a script. Raises BatchFileError when it cannot be read or is not UTF-8."""
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BatchFileError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise BatchFileError(f"{path}: cannot be read: {error.strerror}") from error


def run_script(connection: Connection, text: str, source: str) -> ScriptResult:
    """Run all statements of a script and commit; stops at the first that fails.

    Raises Permanent: file, line, the error's code and name, and no row's value. What an unfinished script
    changed since its last commit is then left to the caller, who commits it or closes the connection.
    """
    statements = rows = 0
    results: tuple[ResultSet, ...] = ()
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = CONCAT(@@GLOBAL.sql_mode, ',NO_AUTO_VALUE_ON_ZERO')")
        for statement in split_statements(text):
            try:
                given, changed = _execute(cursor, statement.sql)
            except pymysql.MySQLError as error:
                raise Permanent(str(located_error(f"{source}:{statement.line}", error))) from error
            statements, rows, results = statements + 1, rows + changed, given or results
        connection.commit()
    return ScriptResult(statements, rows, results)


def prompt(
    connection: Connection, read_line: Callable[[str], str], show: Callable[[list[str], list[Any]], None]
) -> None:
    """A small interactive client: statements end with the delimiter, `quit` or the end of input ends it.

    `show` gets column names and rows; an error is shown as one row and the prompt goes on. As in the mysql
    client a statement commits by itself, unless it stands in a transaction that the person began.
    """
    connection.autocommit(True)
    splitter = _Splitter()
    while True:
        try:
            line = read_line("  -> " if splitter.rest else "sql> ")
        except EOFError:
            return
        if not splitter.rest and line.strip().rstrip(";").lower() in ("quit", "exit"):
            return
        for statement in splitter.feed(line + "\n"):
            try:
                for columns, rows in _run_one(connection, statement.sql):
                    show(columns, rows)
            except DataOpsError as error:
                show(["error"], [(str(error),)])


class _Splitter:
    """Takes text in pieces that end with a line, gives the statements that are complete, keeps the rest."""

    def __init__(self) -> None:
        self.delimiter, self.rest, self.line = ";", "", 1

    def feed(self, text: str) -> Iterator[Statement]:
        text, at, counted = self.rest + text, 0, 0
        while True:
            at = _skip(_LEAD, text, at)
            self.line += text.count("\n", counted, at)
            counted = at
            if command := _DELIMITER.match(text, at):
                self.delimiter, at = command[1], command.end()
                continue
            end = _find_end(text, at, self.delimiter)
            if end < 0:
                self.rest = text[at:]
                return
            if sql := text[at:end].rstrip():
                yield Statement(sql, self.line)
            at = end + len(self.delimiter)


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _find_end(text: str, at: int, delimiter: str) -> int:
    """Where the statement's delimiter stands, or -1: none does, or a string or comment is not closed."""
    stops = re.compile(f"[{re.escape(_STOPS + delimiter[0])}]")
    depth = 0
    while found := stops.search(text, at):
        at = found.start()
        if (end := _skip(_TOKEN, text, at)) > at:
            at = end
        elif (end := _skip(_VERSION_COMMENT, text, at)) > at:
            depth, at = depth + 1, end
        elif depth and text.startswith("*/", at):
            depth, at = depth - 1, at + 2
        elif not depth and text.startswith(delimiter, at):
            return at
        elif text[at] in "'\"`" or text.startswith("/*", at):
            return -1
        else:
            at += 1
    return -1


def _run_one(connection: Connection, sql: str) -> list[ResultSet]:
    with connection.cursor() as cursor:
        try:
            results, changed = _execute(cursor, sql)
        except pymysql.MySQLError as error:
            raise located_error("sql", error) from error
    return list(results) or [ResultSet(["rows changed"], [(changed,)])]


def _execute(cursor: Cursor, sql: str) -> tuple[tuple[ResultSet, ...], int]:
    """Every result set of a statement (a CALL may give several), and how many rows it changed."""
    cursor.execute(sql)
    results, changed = [], 0
    while True:
        if cursor.description:
            results.append(ResultSet([column[0] for column in cursor.description], list(cursor.fetchall())))
        else:
            changed += max(0, cursor.rowcount)
        if not cursor.nextset():
            return tuple(results), changed
