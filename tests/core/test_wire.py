"""Rows off the wire: however the server's bytes come, both ways of reading give the same, or the same error."""

import hashlib
import io
import socket
import struct
from contextlib import contextmanager
from json.encoder import encode_basestring
from operator import attrgetter
from typing import Any

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE

from dataops.core.mysql import PlainReader
from dataops.core.normalize import Codec
from dataops.core.page import PlainSource
from dataops.core.rowcode import Days, quote_long, why_plain
from dataops.core.wire import WireSource
from dataops.errors import DataOpsError, Unreachable
from tests.samples import batch_of, column, table_of

EOF, STATUS = 0xFE, struct.pack("<HH", 0, 2)
ENDS = {
    "EOF": bytes([EOF]) + STATUS,
    "OK in its place, MySQL": bytes([EOF, 0, 0]) + struct.pack("<HH", 2, 0),
    "OK in its place, MariaDB": bytes([EOF, 0, 0]) + struct.pack("<HH", 2, 0) + b"\x05hello",
}
SHARED = attrgetter("rows", "texts", "digest", "rejections", "dropped", "emptied", "key")

TYPES = {
    "int(11)": FIELD_TYPE.LONG, "int(8) unsigned zerofill": FIELD_TYPE.LONG, "year(4)": FIELD_TYPE.YEAR,
    "decimal(10,2)": FIELD_TYPE.NEWDECIMAL, "decimal(65,30)": FIELD_TYPE.NEWDECIMAL, "double": FIELD_TYPE.DOUBLE,
    "varchar(200)": FIELD_TYPE.VAR_STRING, "longtext": FIELD_TYPE.BLOB, "date": FIELD_TYPE.DATE,
    "datetime(6)": FIELD_TYPE.DATETIME, "timestamp": FIELD_TYPE.TIMESTAMP, "time": FIELD_TYPE.TIME,
    "blob": FIELD_TYPE.BLOB, "bit(12)": FIELD_TYPE.BIT,
}  # fmt: skip
BINARY = ("blob", "bit(12)")
ROW = ("7", "42", "2024", "12.50", "-0.10", "0.1", "é\"\n", "long", "2024-02-29", "2024-02-29 01:02:03.5", None, "-1:00:00", b"\0\xff", b"\x0a\xbc")  # fmt: skip


def sized(value):
    """A text with its length before it, as in a row."""
    if value is None:
        return b"\xfb"
    data = value.encode() if isinstance(value, str) else value
    if len(data) < 251:
        return bytes([len(data)]) + data
    if len(data) < 1 << 16:
        return b"\xfc" + len(data).to_bytes(2, "little") + data
    return (b"\xfd" + len(data).to_bytes(3, "little") if len(data) < 1 << 24 else b"\xfe" + struct.pack("<Q", len(data))) + data  # fmt: skip


def packet(payload, number=0):
    """A payload as packets of at most 16 MiB; one that fills them is followed by an empty one."""
    head, rest = payload[:0xFFFFFF], payload[0xFFFFFF:]
    framed = len(head).to_bytes(3, "little") + bytes([number % 256]) + head
    return framed + packet(rest, number + 1) if len(head) == 0xFFFFFF else framed


def result(rows, end=ENDS["EOF"], types=tuple(TYPES)):
    """What a server sends for a query, split into the part before the rows, the rows, and the end."""
    heads = [bytes([len(types)])]
    for name in types:
        charset, texts = (63 if name in BINARY else 45), [sized(text) for text in ("def", "s", "t", "t", "c", "c")]
        heads.append(b"".join(texts) + struct.pack("<BHIBHBH", 12, charset, 1024, TYPES[name], 0, 0, 0))
    payloads = [*heads, ENDS["EOF"], *(b"".join(map(sized, row)) for row in rows), end]
    numbered, number = [], 1
    for payload in payloads:
        numbered.append(packet(payload, number))
        number += len(payload) // 0xFFFFFF + 1
    return b"".join(numbered)


class Pieces(io.RawIOBase):
    """Bytes that come in pieces, as from a socket, and then no more."""

    def __init__(self, pieces):
        self.pieces = [piece for piece in pieces if piece]

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self.pieces:
            return 0
        piece = self.pieces.pop(0)
        size = min(len(piece), len(buffer))
        buffer[:size] = piece[:size]
        if size < len(piece):
            self.pieces.insert(0, piece[size:])
        return size


@contextmanager
def connected(pieces):
    """A pymysql connection, logged in, to a server that says this."""
    connection: Any = pymysql.Connection(defer_connect=True, conv={})
    ours, theirs = socket.socketpair()
    connection._sock, connection._rfile = ours, io.BufferedReader(Pieces(pieces))
    connection.server_status, connection._current_timeout = 2, connection._read_timeout
    yield connection
    connection._force_close()
    theirs.close()


def read_page(kind, pieces, types=tuple(TYPES), **changes):
    """The page, or the error, that one way of reading gives."""
    columns = [column(f"c{place}", name, nullable=place > 0) for place, name in enumerate(types)]
    source = table_of(*columns, key=("c0",))
    source = source.__class__("shop", "orders", tuple(columns), source.keys)
    codec = Codec(batch_of(**{"dynamodb__partition_key": "c0", **changes}), source, None, None)
    assert why_plain(codec) is None
    with connected(pieces) as connection:
        reader = PlainReader(connection, "`shop`.`orders`", columns, columns[:1], None)
        try:
            return SHARED(kind(reader, codec).read(None, None, 1000))
        except DataOpsError as error:
            return type(error), connection.open


def assert_twins(pieces, **options):
    plain, fast = (read_page(kind, pieces, **options) for kind in (PlainSource, WireSource))
    assert fast == plain
    return fast


def test_every_kind_of_column_is_read_as_the_plain_way_reads_it():
    rows, texts, digest, *_ = assert_twins([result([ROW])])
    assert (rows, len(texts)) == (1, 1)
    assert digest == hashlib.sha256(texts[0]).hexdigest().lstrip("0")


def test_the_digest_is_the_sum_over_all_texts_of_all_pieces():
    """Of 40 rows every seventh goes the plain way, so does the last."""
    rows = [(str(n), "0000-00-00 00:00:00" if n % 7 == 4 else "2024-02-29 00:00:00") for n in range(40)]
    said = result(rows, types=("int(11)", "datetime(6)"))
    _, texts, digest, *_ = assert_twins(
        [said[at : at + 97] for at in range(0, len(said), 97)], types=("int(11)", "datetime(6)")
    )
    assert len(texts) == 40
    assert int(digest, 16) == sum(int(hashlib.sha256(text).hexdigest(), 16) for text in texts) % 2**256


@pytest.mark.parametrize("end", ENDS.values(), ids=list(ENDS))
def test_a_result_may_be_cut_anywhere(end):
    types = ("int(11)", "varchar(200)", "datetime(6)", "blob")
    said = result([("1", "", "2024-02-29 00:00:00", None), ("2", "é", "0000-00-00 00:00:00", b"\0")], end, types)
    whole = read_page(WireSource, [said], types)
    assert whole[0] == 2
    for offset in range(len(result([], b"", types)) - 4, len(said)):
        assert read_page(WireSource, [said[:offset], said[offset:]], types) == whole
    assert read_page(WireSource, [said[place : place + 1] for place in range(len(said))], types) == whole


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_connection_that_is_lost_within_a_result_is_said_to_be(rows):
    said = result([ROW] * 2, b"")
    lost = len(result([ROW] * rows, b"")) - 4
    for offset in (lost, lost + 1, lost + 4, lost + 9):
        assert read_page(WireSource, [said[:offset]]) == (Unreachable, False)


@pytest.mark.parametrize("rows", [1, 2, 300])
@pytest.mark.parametrize("times", [0, 2], ids=["missing", "twice"])
def test_a_packet_that_is_not_there_just_once_is_a_lost_connection(rows, times):
    begin, size = len(result([], b"")) - 4, len(result([ROW])) - len(result([]))
    said = result([ROW] * rows)
    assert read_page(WireSource, [said])[0] == rows
    assert read_page(WireSource, [said[:begin], times * said[begin : begin + size], said[begin + size :]]) == (
        Unreachable, False,
    )  # fmt: skip


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_an_error_between_rows_is_the_servers(rows):
    said = result([ROW] * rows, b"\xff" + struct.pack("<H", 1317) + b"#70100Query execution was interrupted")
    assert assert_twins([said]) == (Unreachable, True)


@pytest.mark.parametrize("error", [b"\xff", b"\xff\x10", b"\xff\x48\x04"])
def test_an_error_that_is_cut_off_is_a_lost_connection(error):
    assert read_page(WireSource, [result([ROW], error)]) == (Unreachable, False)


def test_a_page_has_fewer_rows_where_names_are_most_of_its_texts():
    wide = [column(f"a_name_of_some_length_{place}", "int(11)") for place in range(1000)]
    codec = Codec(batch_of(dynamodb__partition_key=wide[0].name), table_of(*wide, key=(wide[0].name,)), None, None)
    assert WireSource(PlainReader(None, "t", wide, wide[:1], None), codec).most_rows == 800


LONG = ["", "x" * 250, "x" * 251, "é" * 200, "x" * 65_535, "x" * 65_536, "x" * 300_000]


@pytest.mark.parametrize("text", LONG, ids=lambda text: str(len(text)))
def test_a_text_may_have_any_length(text):
    types = ("int(11)", "longtext", "varchar(200)")
    rows = [("1", text, "b"), ("2", None, text[:200]), ("3", text, None)]
    assert assert_twins([result(rows, types=types)], types=types)[0] == 3


@pytest.mark.parametrize("size", [0xFFFFFF - 7, 0xFFFFFF - 6, 0xFFFFFF - 5, 0xFFFFFF, 2 * 0xFFFFFF])
def test_a_row_may_go_on_in_the_next_packet(size):
    types = ("int(11)", "longtext")
    said = result([("1", "x" * size), ("2", "b")], types=types)
    rows, texts, _, rejections, *_, key = assert_twins([said], types=types)
    assert (rows, len(texts), len(rejections), key) in [(2, 1, 1, ("2",)), (1, 0, 1, ("1",))]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(["", "x" * 251, '"\\\x00\x7f'])
MOMENTS = st.sampled_from(["2024-02-29 01:02:03", "2023-02-29 00:00:00", "0000-00-00 00:00:00", "2024-00-10 00:00:00"])
VALUES = {
    "int(11)": st.integers(-(2**31), 2**31 - 1).map(str), "int(8) unsigned zerofill": st.integers(0, 10**8 - 1).map("{:08}".format),
    "year(4)": st.sampled_from(["0000", "1901", "2155"]), "decimal(10,2)": st.decimals(-(10**7), 10**7, places=2).map(str),
    "decimal(65,30)": st.decimals(-(10**7), 10**7, places=30).map("{:f}".format),
    "double": st.floats(allow_nan=False, allow_infinity=False).map(repr), "varchar(200)": TEXTS, "longtext": TEXTS,
    "date": st.sampled_from(["2024-02-29", "0000-00-00", "2023-02-29"]), "datetime(6)": MOMENTS.map("{}.000100".format),
    "timestamp": MOMENTS, "time": st.sampled_from(["-838:59:59", "00:00:00"]), "blob": st.binary(max_size=300),
    "bit(12)": st.binary(min_size=2, max_size=2),
}  # fmt: skip
ROWS = st.lists(st.tuples(VALUES["int(11)"], *(of | st.none() for of in list(VALUES.values())[1:])), max_size=4)


@given(rows=ROWS, cut=st.integers(1, 5000), policy=st.sampled_from(["keep", "to_null", "omit"]), index=st.booleans())
def test_any_rows_give_what_the_plain_way_gives(rows, cut, policy, index):
    said = result(rows)
    keys = [{"name": "by-text", "partition_key": "c6", "sort_key": "c9", "projection": "ALL"}] if index else []
    assert_twins([said[:cut], said[cut:]], normalize={"empty_string": policy}, dynamodb__indexes=keys)


RULES = {"c0": "S", "c3": "S", "c6": "B", "c7": "document", "c1": "bool", "c9": "S"}


@given(rows=ROWS, template=st.sampled_from(["{c0}", "A#{c0}#{c6}", "{c6}|{c0}"]))
def test_templates_and_other_ways_to_store_give_what_the_plain_way_gives(rows, template):
    rules = {name: {"as": of} for name, of in RULES.items()}
    key = {"name": "pk", "template": template}
    assert_twins([result(rows)], normalize={"columns": rules}, dynamodb__partition_key=key, dynamodb__sort_key="c2")


@given(rows=ROWS, changes=st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 255)), max_size=3), data=st.data())
def test_bytes_that_are_no_result_end_in_an_error_of_ours(rows, changes, data):
    head, said = result([], b"")[:-4], bytearray(result(rows)[len(result([], b"")) - 4 :])
    for place, byte in changes:
        said[place % len(said)] = byte
    try:
        outcome = read_page(WireSource, [head, bytes(said[: data.draw(st.integers(0, len(said)))])])
    except (ValueError, ArithmeticError):  # a number that is none: what the codec raises
        return
    if isinstance(outcome[0], int):
        assert outcome[0] <= len(rows) + len(changes)
    else:
        assert issubclass(outcome[0], DataOpsError)


@pytest.mark.parametrize("day", [b"2024-02-29", b"2023-02-28", b"0001-01-01", b"9999-12-31"])
def test_a_day_of_the_calendar_is_known(day):
    assert Days()[day] == f"{day.decode()}T"


NO_DAYS = [b"2023-02-29", b"0000-00-00", b"0000-01-01", b"2024-13-01", b"2024-04-31", b"2024-00-01", b"x"]


@pytest.mark.parametrize("day", NO_DAYS)
def test_a_day_that_no_calendar_has_is_left_to_the_plain_codec(day):
    with pytest.raises((KeyError, ValueError)):
        Days()[day]


@given(st.text(max_size=80) | st.text(st.characters(max_codepoint=255), max_size=80))
def test_a_long_text_is_quoted_as_any_other(text):
    view = text.encode("utf-8", "ignore").decode("latin-1")
    assert quote_long(view) == encode_basestring(view)


@pytest.mark.parametrize("text", ["0", "-0", "100", "1e15", "-1e15", "1e16", "1e-5", "0.0001", "1.5e300", "5e-324"])
def test_a_double_is_read_in_any_of_the_servers_spellings(text):
    assert_twins([result([("1", text)], types=("int(11)", "double"))], types=("int(11)", "double"))


DOUBLES = (
    st.floats(allow_nan=False, allow_infinity=False) | st.floats(-1e6, 1e6) | st.integers(-(10**15), 10**15).map(float)
)


@given(number=DOUBLES | st.decimals(-(10**6), 10**6, places=2), sign=st.sampled_from(["", "-"]))
def test_a_double_is_the_number_that_python_reads(number, sign):
    text = sign + repr(number).lstrip("-") if isinstance(number, float) else f"{number}"
    assert_twins([result([("1", text)], types=("int(11)", "double"))], types=("int(11)", "double"))
