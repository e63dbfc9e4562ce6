"""Pages of a source table straight off the wire: the fast twin of `PlainSource`.

pymysql logs in and sends the query. What the server then sends is read from pymysql's socket in large pieces and goes
through the table's row function (see `rowcode`); a row that stops it goes through the plain codec.
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

import pymysql
from pymysql.constants import CR
from pymysql.err import raise_mysql_exception
from pymysql.protocol import MysqlPacket

from dataops.core.digest import canonical_item
from dataops.core.mysql import MAX_PAGE_ROWS, PAGE_BYTES, PlainReader, errors_located
from dataops.core.normalize import Codec, Row
from dataops.core.page import EncodedPage
from dataops.core.records import Rejection
from dataops.core.rowcode import compile_rows
from dataops.core.stopwatch import Wait

if TYPE_CHECKING:
    from pymysql.connections import Connection

PIECE = 256 * 1024
"""Bytes that are asked of the socket at once."""
CONTINUED = 0xFFFFFF
"""The size of a packet that goes on in the next one."""
LEAST_ERROR = 4
"""Bytes of the shortest packet that tells an error."""
FRAME_BYTES = 17
"""Bytes of an attribute's text besides its name and its value, of a NULL all of them."""
END, ERROR = 0xFE, 0xFF
"""How packets begin that are no row. A row may begin with `END` only where its first value has 16 MiB or more."""


class WireSource:
    """Pages by the row function of the batch's table.

    A page has fewer rows where the names alone, which a row does not bring, would make its texts over 32 MiB.
    """

    def __init__(self, reader: PlainReader, codec: Codec) -> None:
        self._reader, self._codec = reader, codec
        framed = sum(len(name.encode()) + FRAME_BYTES for name in codec.attributes)
        self.most_rows = max(1, min(MAX_PAGE_ROWS, 4 * PAGE_BYTES // framed))
        self._take_rows = compile_rows(codec, reader.checks)

    def read(self, after: Sequence[Any] | None, upto: Sequence[Any] | None, limit: int) -> EncodedPage:
        """The next page; it ends with the piece that brings it to 8 MiB."""
        with errors_located(f"reading {self._reader.table}"):
            packets = Packets(self._reader.connection, *self._reader.query(after, upto, limit))
            with packets:
                return self._read(packets)

    def _read(self, packets: Packets) -> EncodedPage:
        page, taken, emptied = EncodedPage(), _Taken(self._reader, packets), list[tuple[int, str]]()
        while packets.taken < PAGE_BYTES:
            begun, texts = packets.at, len(page.texts)
            with _rows_expected():
                packets.at, last = self._take_rows(
                    packets.raw, packets.text, begun, len(packets.raw), page.texts, emptied
                )
            packets.number += len(page.texts) - texts
            page.add_up()
            if last >= 0:
                taken.parts.append(_Region(packets.raw, begun, last, packets.at))
            if not packets.has_next():
                packets.read_on()
                continue
            payload = packets.next()
            if payload is None:
                break
            while emptied and emptied[-1][0] == len(page.texts):
                emptied.pop()
            self._take_unusual(taken.add(payload), page, taken.unstored)
        packets.skip()
        page.add_up()
        page.rows = len(page.texts) + len(taken.unstored)
        page.emptied.update(name for _, name in emptied)
        page.row_of, page.key = taken.row_of, self._reader.key_of(taken.last()) if page.rows else None
        self._reader.learn_size(page.rows, packets.taken)
        return page

    def _take_unusual(self, row: Row, page: EncodedPage, unstored: list[int]) -> None:
        """What the plain codec makes of a row."""
        result = self._codec.encode(row, page.emptied)
        page.unusual += 1
        if isinstance(result, dict):
            page.texts.append(canonical_item(result, self._codec.attributes))
            return
        unstored.append(len(page.texts) + len(unstored))
        page.rejections += [result] if isinstance(result, Rejection) else []
        page.dropped += result is None


class Packets:
    """The packets of a query's rows as they come: `raw[at:]` (and the same in latin-1) is read and not yet taken.

    `number` counts packets on from those that pymysql has read, which come before the rows. Used as a context manager, for when it is left early the connection is
    no longer fit for use and is closed. What is no packet of a result is a lost connection.
    """

    def __init__(self, connection: Connection, sql: str, arguments: Sequence[Any]) -> None:
        self._connection = cast("Any", connection)
        connection.query(connection.cursor().mogrify(sql, tuple(arguments)), unbuffered=True)
        self.result = self._connection._result
        self._ended = not self.result.unbuffered_active
        self.result.unbuffered_active = False
        self.raw, self.text, self.at, self._read = b"", "", 0, 0
        self.number: int = self._connection._next_seq_id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ended:
            self._connection._force_close()

    @property
    def taken(self) -> int:
        """Bytes that have been taken."""
        return self._read - len(self.raw) + self.at

    def has_next(self) -> bool:
        """Whether the next packet has come to its end, or to that of its first 16 MiB."""
        return self._missing() <= 0

    def next(self) -> bytes | None:
        """The next packet's content, put together where it is over 16 MiB; None for the one that ends the rows.

        Raises the error that the server sends instead of a row.
        """
        parts, size = [], CONTINUED
        while size == CONTINUED:
            while self._missing() > 0:
                self.read_on()
            begin = self.at + 4
            size = int.from_bytes(self.raw[self.at : self.at + 3], "little")
            if self.raw[self.at + 3] != self.number & 0xFF:
                raise pymysql.OperationalError(CR.CR_SERVER_LOST, "sent packets out of order")
            self.at, self.number = begin + size, self.number + 1
            parts.append(self.raw[begin : self.at])
        payload = b"".join(parts)
        if not payload or (payload[0] == ERROR and len(payload) < LEAST_ERROR):
            raise pymysql.OperationalError(CR.CR_SERVER_LOST, "sent what is no packet of a result")
        self._ended = payload[0] == ERROR or (payload[0] == END and len(payload) < CONTINUED)
        if payload[0] == ERROR:
            raise_mysql_exception(payload)
        return None if self._ended else payload

    def skip(self) -> None:
        """Take all that there is."""
        while not self._ended:
            self.next()

    def read_on(self) -> None:
        """Read from the socket what has come, or all that the next packet lacks, within pymysql's time-out."""
        connection, missing = self._connection, self._missing()
        try:
            with Wait("source"):
                piece = connection._rfile.read(missing) if missing > PIECE else connection._rfile.read1(PIECE)
        except OSError as error:
            raise pymysql.OperationalError(CR.CR_SERVER_LOST, f"lost ({type(error).__name__})") from error
        if not piece:
            raise pymysql.OperationalError(CR.CR_SERVER_LOST, "ended within a result")
        self._read += len(piece)
        self.raw, self.at = self.raw[self.at :] + piece, 0
        self.text = self.raw.decode("latin-1")

    def _missing(self) -> int:
        """Bytes that the next packet lacks."""
        there = len(self.raw) - self.at
        return 4 - there if there < 4 else 4 + int.from_bytes(self.raw[self.at : self.at + 3], "little") - there


class _Region(NamedTuple):
    """Whole packets from `start` to `stop`, the last of which begins at `last`."""

    raw: bytes
    start: int
    last: int
    stop: int


class _Taken:
    """The rows of a page as they came, decoded by pymysql itself when somebody asks for one.

    `unstored` are the numbers of rows that gave no text.
    """

    def __init__(self, reader: PlainReader, packets: Packets) -> None:
        self._reader, self._result = reader, packets.result
        self.parts: list[_Region | Row] = []
        self.unstored: list[int] = []

    def add(self, payload: bytes) -> Row:
        """One more row."""
        row = self._decode(payload)
        self.parts.append(row)
        return row

    def last(self) -> Row:
        """The last row."""
        part = self.parts[-1]
        return self._decode(part.raw[part.last + 4 : part.stop]) if isinstance(part, _Region) else part

    def row_of(self, place: int) -> Row:
        """The row of the text at this place."""
        for number in self.unstored:
            place += number <= place
        return self._rows[place]

    @cached_property
    def _rows(self) -> list[Row]:
        rows: list[Row] = []
        for part in self.parts:
            if not isinstance(part, _Region):
                rows.append(part)
                continue
            at = part.start
            while at < part.stop:
                end = at + 4 + int.from_bytes(part.raw[at : at + 3], "little")
                rows.append(self._decode(part.raw[at + 4 : end]))
                at = end
        return rows

    def _decode(self, payload: bytes) -> Row:
        """The row as pymysql reads it. Its reader would take a row that is cut off for one of fewer columns."""
        with _rows_expected():
            row: Row = self._result._read_row_from_packet(MysqlPacket(payload, None))
            if len(row) != self._result.field_count:
                raise IndexError
        return self._reader.checked(row)


@contextmanager
def _rows_expected() -> Iterator[None]:
    """Within it bytes that are no row are a lost connection."""
    try:
        yield
    except (IndexError, ValueError, AssertionError, struct.error) as error:
        raise pymysql.OperationalError(CR.CR_SERVER_LOST, "sent what is no row") from error
