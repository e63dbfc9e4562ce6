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

_DELIMITER = re.compile(r"[ \t]*delimiter[ \t]+(\S+)[ \t]*$", re.IGNORECASE)
_TOKEN = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`]|``)*`"""  # strings and quoted names
    r"""|/\*.*?\*/"""  # comments, the /*! ... */ ones included: the server reads those itself
    r"""|(?:--(?=[ \t\r\n]|\Z)|\#)[^\n]*""",
    re.DOTALL,
)
_QUOTES = "'\"`/#-"


class Statement(NamedTuple):
    """One statement, and the line of the file that it begins on."""

    sql: str
    line: int


class ScriptResult(NamedTuple):
    """How many statements ran, and how many rows they changed."""

    statements: int
    rows: int


def split_statements(text: str) -> Iterator[Statement]:
    """The statements of a script in the mysql client's language.

    Knows DELIMITER, strings, quoted names and all comments; version comments (`/*!40101 ... */`) stay in the
    statement, since the server reads them. MariaDB's sandbox line is left out.
    """
    text = text.removeprefix("\ufeff")
    delimiter, start, at = ";", 0, 0
    while at < len(text):
        if _at_line_start(text, at, start):
            end = text.find("\n", at)
            line = text[at : end if end >= 0 else len(text)]
            changed = _DELIMITER.match(line.rstrip("\r"))
            if changed or line.startswith("/*M!999999"):
                delimiter = changed[1] if changed else delimiter
                at = start = at + len(line) + 1
                continue
        if text.startswith(delimiter, at):
            yield from _statement(text, start, at)
            at = start = at + len(delimiter)
            continue
        token = _TOKEN.match(text, at) if text[at] in _QUOTES else None
        at = token.end() if token else at + 1 if text[at] == "\n" else _next_interesting(text, at + 1, delimiter)
    yield from _statement(text, start, len(text))


def read_script(path: Path) -> str:
    """The text of a script. Raises BatchFileError when it cannot be read or is not UTF-8."""
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BatchFileError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise BatchFileError(f"{path}: cannot be read: {error.strerror}") from error


def run_script(connection: Connection, text: str, source: str) -> ScriptResult:
    """Run all statements of a script; stops at the first that fails.

    Raises Permanent: file, line, the error's code and name, and no row's value.
    """
    statements = rows = 0
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = CONCAT(@@GLOBAL.sql_mode, ',NO_AUTO_VALUE_ON_ZERO')")
        for statement in split_statements(text):
            try:
                rows += max(0, cursor.execute(statement.sql))
                while cursor.nextset():
                    pass
            except pymysql.MySQLError as error:
                raise Permanent(str(located_error(f"{source}:{statement.line}", error))) from error
            statements += 1
        connection.commit()
    return ScriptResult(statements, rows)


def prompt(
    connection: Connection, read_line: Callable[[str], str], show: Callable[[list[str], list[Any]], None]
) -> None:
    """A small interactive client: statements end with `;`, `quit` or the end of input ends it.

    `show` gets column names and rows; an error is shown as one row and the prompt goes on.
    """
    pending = ""
    while True:
        try:
            line = read_line("sql> " if not pending else "  -> ")
        except EOFError:
            return
        if not pending and line.strip().rstrip(";").lower() in ("quit", "exit"):
            return
        pending += line + "\n"
        if not line.rstrip().endswith(";"):
            continue
        for statement in split_statements(pending):
            try:
                show(*_run_one(connection, statement.sql))
            except DataOpsError as error:
                show(["error"], [(str(error),)])
        pending = ""


def _run_one(connection: Connection, sql: str) -> tuple[list[str], list[Any]]:
    with connection.cursor() as cursor:
        try:
            changed = cursor.execute(sql)
        except pymysql.MySQLError as error:
            raise located_error("sql", error) from error
        if cursor.description:
            return [column[0] for column in cursor.description], list(cursor.fetchall())
        connection.commit()
        return ["rows changed"], [(changed,)]


def _at_line_start(text: str, at: int, start: int) -> bool:
    """Whether a client command may stand here: at the begin of a line, between statements."""
    return (at == 0 or text[at - 1] == "\n") and not text[start:at].strip()


def _next_interesting(text: str, at: int, delimiter: str) -> int:
    found = re.compile(rf"[\n'\"`/#-]|{re.escape(delimiter[0])}").search(text, at)
    return found.start() if found else len(text)


def _statement(text: str, start: int, end: int) -> Iterator[Statement]:
    sql = text[start:end]
    lead = _lead(sql)
    if lead < len(sql):
        yield Statement(sql[lead:].rstrip(), text.count("\n", 0, start + lead) + 1)


def _lead(sql: str) -> int:
    """How many characters of blanks and plain comments stand before a statement."""
    at = 0
    while at < len(sql):
        if sql[at].isspace():
            at += 1
        elif sql.startswith("/*", at) and sql[at + 2 : at + 3] not in ("!", "M"):
            end = sql.find("*/", at + 2)
            at = len(sql) if end < 0 else end + 2
        elif sql[at] == "#" or re.match(r"--(?=[ \t\r\n]|\Z)", sql[at:]):
            end = sql.find("\n", at)
            at = len(sql) if end < 0 else end + 1
        else:
            break
    return at
