"""Load rows' texts into staging: LOAD DATA LOCAL from memory, or multi-row REPLACE where the server forbids it.

No file is ever read. The server is sent these bytes only, and only after the statement that asks for them: on every
connection (see `TimedConnection`) it is an error when a server answers another statement so.
https://dev.mysql.com/doc/refman/8.4/en/load-data-local-security.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import pymysql
from pymysql.constants import CLIENT, COMMAND
from pymysql.protocol import LoadLocalPacketWrapper, OKPacketWrapper

from dataops.core.connection import file_asked
from dataops.core.itemcode import FIELD, HEX, NULL, ROW
from dataops.core.mysql import errors_located, execute, quote_name, quote_table
from dataops.core.staging import ESCAPED, STATEMENT_BYTES, staging_name
from dataops.errors import Permanent

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from dataops.core.records import Plan
    from dataops.core.schema import Column

FILE = "dataops: rows in memory"
"""The name of the file that there is not."""
ENDS = "FIELDS TERMINATED BY 0x1f ESCAPED BY 0x1d LINES TERMINATED BY 0x1e"
"""The letters of `itemcode`: FIELD, ESCAPE and ROW."""
_FIELD, _ROW = FIELD.encode(), ROW.encode()
PIECE = 256 * 1024
_FORBIDDEN = {1148, 3948, 4166}
"""LOCAL is off: at the server, at a proxy before it, or, to an old one, a command that is not allowed."""


class TextLoader:
    """Writes the texts of rows (see `itemcode`) into a plan's staging table; the same rows again are harmless.

    `forbidden` says why LOAD DATA LOCAL is not used, None where it is.
    """

    def __init__(self, connection: Connection, plan: Plan, columns: Sequence[Column], hexed: Sequence[int]) -> None:
        self._connection, self._where = connection, f"target {plan.target.name}: loading staging"
        table = quote_table(plan.target.database, staging_name(plan))
        names = [quote_name(column.name) for column in columns]
        cursor = connection.cursor()
        self._load = cursor.mogrify(_load_statement(table, columns, hexed), ())
        self._replace = cursor.mogrify(f"REPLACE INTO {table} ({', '.join(names)}) VALUES ", ()).encode()
        with errors_located(self._where):
            ((allowed, packet),) = execute(connection, "SELECT @@local_infile, @@max_allowed_packet")
        self._packet = int(packet)
        client = cast("Any", connection).client_flag & CLIENT.LOCAL_FILES
        self.forbidden = None if allowed == "1" and client else "the target server has local_infile off"

    def load(self, text: bytes) -> None:
        """Write rows. Raises Permanent for any warning, for then something is not as it was sent."""
        if not text:
            return
        with errors_located(self._where):
            warnings = self._load_data(text) if self.forbidden is None else None
            if warnings is None:
                warnings = self._replace_rows(text)
        if warnings:
            raise Permanent(f"{self._where}: {len(warnings)} warnings, first MySQL {warnings[0]}")

    def _load_data(self, data: bytes) -> list[str] | None:
        """The codes of the warnings; None where LOCAL is forbidden after all."""
        try:
            count = send_infile(self._connection, self._load, data, min(PIECE, self._packet))
        except pymysql.MySQLError as error:
            if error.args[:1] and error.args[0] in _FORBIDDEN:
                self.forbidden = "the target server refuses LOAD DATA LOCAL"
                return None
            raise
        return self._warnings() if count else []

    def _warnings(self) -> list[str]:
        return [code for _, code, _ in execute(self._connection, "SHOW WARNINGS")] or ["of an unknown code"]

    def _replace_rows(self, data: bytes) -> list[str]:
        connection, longest, found = cast("Any", self._connection), self._packet // ESCAPED, list[str]()
        for rows in _groups(data, min(STATEMENT_BYTES, longest)):
            if len(rows) > longest:
                raise Permanent(
                    f"{self._where.rpartition(':')[0]}: a row of {len(rows):,} bytes needs a server whose "
                    f"max_allowed_packet is {ESCAPED} times as large, found {self._packet:,}"
                )
            connection.query(self._replace + values_of(rows))
            found += self._warnings() if connection._result.warning_count else []
        return found


def send_infile(connection: Connection, sql: str, data: bytes, piece: int) -> int:
    """Have the server read `data` as the file of a LOAD DATA LOCAL INFILE; gives how many warnings it has.

    Raises a driver's error, and closes the connection, when the server asks for anything but that file, once.
    """
    driver = cast("Any", connection)
    driver._execute_command(COMMAND.COM_QUERY, sql)
    asked = driver._read_packet()
    if not asked.is_load_local_packet() or LoadLocalPacketWrapper(asked).filename != FILE.encode():
        driver._force_close()
        raise file_asked()
    for start in range(0, len(data), piece):
        driver.write_packet(data[start : start + piece])
    driver.write_packet(b"")
    done = driver._read_packet()
    if not done.is_ok_packet():
        driver._force_close()
        raise file_asked()
    return int(OKPacketWrapper(done).warning_count)


def values_of(rows: bytes) -> bytes:
    """The rows' texts as the VALUES of a statement: every value a string, as the plain way sends them."""
    quoted = rows[:-1].replace(b"\\", b"\\\\").replace(b"'", b"''").replace(b"\0", b"\\0")
    values = b"('" + quoted.replace(_FIELD, b"','").replace(_ROW, b"'),('") + b"')"
    return values.replace(f"'{NULL}'".encode(), b"NULL").replace(f"'{HEX}".encode(), b"_binary x'")


def _groups(rows: bytes, most: int) -> Iterator[bytes]:
    """Whole rows of at most so many bytes, at least one."""
    start = 0
    while start < len(rows):
        end = len(rows) if len(rows) - start <= most else rows.rfind(_ROW, start, start + most) + 1
        end = end or rows.index(_ROW, start) + 1
        yield rows[start:end]
        start = end


def _load_statement(table: str, columns: Sequence[Column], hexed: Sequence[int]) -> str:
    """LOAD DATA, with names quoted as `execute` takes them; bytes come in hexadecimal, after a letter.

    Where anything is SET, the AUTO_INCREMENT column is, too: else MariaDB forgets that its 0 was given.
    """
    set_by = {place: f"UNHEX(SUBSTRING(@v{place:d}, 2))" for place in hexed}
    set_by |= {place: f"@v{place:d}" for place, column in enumerate(columns) if hexed and column.auto_increment}
    names = [quote_name(column.name) for column in columns]
    into = [f"@v{place:d}" if place in set_by else name for place, name in enumerate(names)]
    sets = ", ".join(f"{names[place]} = {value}" for place, value in set_by.items())
    return (
        f"LOAD DATA LOCAL INFILE '{FILE}' REPLACE INTO TABLE {table} CHARACTER SET {_charset(columns)} {ENDS} "
        f"({', '.join(into)})" + (f" SET {sets}" if sets else "")
    )


def _charset(columns: Sequence[Column]) -> str:
    """What the server is to take our UTF-8 for: for bytes, which it reads with less work, where all texts are stored so.

    It still checks that they are UTF-8. UUID and INET6 would take bytes for a value of another form, MySQL's JSON none.
    """
    texts = [column for column in columns if column.kind in ("text", "json")]
    return "binary" if all(column.charset == "utf8mb4" for column in texts) else "utf8mb4"
