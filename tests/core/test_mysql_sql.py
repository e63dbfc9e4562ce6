"""The SQL that is built, held against another engine."""

import sqlite3
from decimal import Decimal

import msgspec
import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dataops.core.mysql import (
    condition,
    exactness,
    key_after,
    key_order,
    located_error,
    quote_name,
    quote_table,
    select_list,
)
from dataops.errors import Permanent, Unreachable
from tests.samples import column

KEYS = st.tuples(*[st.integers(0, 3)] * 3)
NAMES = st.text(st.sampled_from("ab`%\"'.; é語s"), min_size=1, max_size=8)


def ask(base, sql, arguments=()):
    """What SQLite says to SQL that is meant for `execute`: `%s` takes an argument, `%%` is a percent sign."""
    literal = "\0".join(part.replace("%s", "?") for part in sql.split("%%"))
    return base.execute(literal.replace("\0", "%"), arguments).fetchall()


@given(st.lists(KEYS, max_size=30, unique=True), KEYS, st.sampled_from([">", "<="]))
def test_key_conditions_agree_with_tuple_order(rows, bound, operator):
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE t (a, b, c)")
    base.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    term, arguments = key_after([column(name, "int(11)") for name in "abc"], bound, operator)
    found = base.execute(f"SELECT a, b, c FROM t WHERE {term}".replace("%s", "?"), arguments).fetchall()
    expected = [row for row in rows if (row > bound if operator == ">" else row <= bound)]
    assert sorted(found) == sorted(expected)


@given(st.lists(st.tuples(st.binary(max_size=3), st.integers(-2, 2)), max_size=20, unique=True), st.data())
def test_paging_by_key_conditions_reads_every_row_once(rows, data):
    size = data.draw(st.integers(1, 5))
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE t (a, b)")
    base.executemany("INSERT INTO t VALUES (?, ?)", rows)
    key = [column("a", "varbinary(3)"), column("b", "int(11)")]
    read, after = [], None
    while True:
        where, arguments = key_after(key, after) if after else ("1", [])
        page = ask(base, f"SELECT a, b FROM t WHERE {where} ORDER BY {key_order(key)} LIMIT {size}", arguments)
        read += page
        if len(page) < size:
            break
        after = page[-1]
    assert read == sorted(rows)


@given(NAMES)
def test_a_quoted_name_is_one_name_to_another_engine(name):
    base = sqlite3.connect(":memory:")
    base.execute('CREATE TABLE t ("{}" INT)'.format(name.replace('"', '""')))
    base.execute("INSERT INTO t VALUES (7)")
    of = [column(name, "int(11)")]
    term, arguments = key_after(of, ["6"])
    assert ask(base, f"SELECT {select_list(of)} FROM t WHERE {term}", arguments) == [(7,)]
    assert ask(base, f"SELECT {quote_name(name)} FROM {quote_table('main', 't')}") == [(7,)]


@given(NAMES)
def test_pymysql_formats_a_quoted_name_as_it_stands(name):
    # As pymysql's own Cursor.mogrify does with a statement and its arguments.
    assert quote_name(name) % () == "`" + name.replace("`", "``") + "`"


@pytest.mark.parametrize(
    ("mysql_type", "raw", "argument"),
    [
        ("bigint(20) unsigned", "18446744073709551615", 2**64 - 1),
        ("decimal(38,2)", "9007199254740993.25", Decimal("9007199254740993.25")),
        ("bit(12)", b"\x0a\xbc", 0xABC),
        ("double", "0.1", 0.1),
        ("varchar(9)", "1", "1"),
        ("varbinary(9)", b"\xff", b"\xff"),
        ("datetime", "2024-02-29 00:00:00", "2024-02-29 00:00:00"),
    ],
)
def test_a_key_value_is_compared_in_its_own_type(mysql_type, raw, argument):
    sql, arguments = key_after([column("a", mysql_type)], [raw])
    assert sql == "((`a` > %s))"
    assert arguments == [argument]
    assert type(arguments[0]) is type(argument)


def test_an_enum_is_ordered_as_it_is_compared():
    key = [column("kind", "enum('z','a')"), column("n", "int(11)")]
    assert key_order(key) == "CONCAT(`kind`), `n`"
    assert "CONCAT(`kind`) = %s" in key_after(key, ["z", "1"])[0]


@pytest.mark.parametrize(
    ("of", "term", "place", "argument"),
    [
        ({"charset": "latin1"}, "CAST(`a` AS BINARY)", "CAST(CONVERT(%s USING latin1) AS BINARY)", "1"),
        ({"data_type": "double"}, "CAST(`a` * 1e0 AS BINARY)", "CAST(%s AS BINARY)", "1"),
        ({"data_type": "int"}, "`a`", "%s", 1),
        ({"data_type": "varbinary"}, "`a`", "%s", "1"),
    ],
    ids=["text", "float", "integer", "bytes"],
)
def test_what_no_unique_key_tells_apart_is_read_in_order_of_its_bytes(of, term, place, argument):
    key = [msgspec.structs.replace(column("a", "varchar(9)"), by_bytes=True, **of)]
    assert key_order(key) == term
    assert key_after(key, ["1"], "<=") == (f"(({term} <= {place}))", [argument])


@pytest.mark.parametrize(
    ("name", "quoted"),
    [("a", "`a`"), ("a`b", "`a``b`"), ("100%", "`100%%`"), ("日本 語", "`日本 語`"), ("a.b", "`a.b`")],
)
def test_names_are_quoted(name, quoted):
    assert quote_name(name) == quoted
    assert quote_table(name, "t") == f"{quoted}.`t`"


def test_floats_are_read_widened():
    columns = (column("a", "int(11)"), column("b", "float"), column("c", "double"))
    assert select_list(columns) == "`a`, `b` * 1e0, `c` * 1e0"


@pytest.mark.parametrize(
    ("of", "checked"),
    [
        (column("a", "json"), True),
        (column("a", "longtext"), False),
        (replace(column("a", "varchar(9)"), charset="sjis"), True),
        (replace(column("a", "varchar(9)"), charset="latin1"), False),
        (column("a", "enum('x','')"), True),
        (column("a", "enum('x','y')"), False),
        (column("a", "set('x','')"), True),
        (column("a", "set('x','y')"), False),
        (column("a", "decimal(65,30)"), False),
    ],
)
def test_only_what_text_may_not_carry_is_checked_by_the_server(of, checked):
    assert (exactness(of) is not None) == checked


def test_where_is_one_condition_with_its_percent_signs_kept():
    assert condition("name LIKE 'a%' OR x") == ["(name LIKE 'a%%' OR x\n)"]
    assert condition(None) == []


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (
            pymysql.IntegrityError(1062, "Duplicate entry 'secret' for key"),
            Permanent,
            "t: MySQL error 1062 (DUP_ENTRY)",
        ),
        (
            pymysql.ProgrammingError(1054, "Unknown column 'x'"),
            Permanent,
            "t: MySQL error 1054 (BAD_FIELD_ERROR): Unknown",
        ),
        (
            pymysql.OperationalError(1142, "SELECT command denied to user 'it's secret'@'10.0.0.1' for table 'orders'"),
            Permanent,
            "t: MySQL error 1142 (TABLEACCESS_DENIED_ERROR): SELECT command denied to user of the secret for table 'orders'",
        ),
        (pymysql.ProgrammingError(1064, "near 'secret' at line 1"), Permanent, "t: MySQL error 1064 (PARSE_ERROR)"),
        (pymysql.OperationalError(1213, "Deadlock 'secret'"), Unreachable, "t: MySQL error 1213 (LOCK_DEADLOCK)"),
        (pymysql.OperationalError(2013, "Lost connection"), Unreachable, "t: MySQL error 2013 (connection lost)"),
        (pymysql.InterfaceError(0, ""), Unreachable, "t: MySQL error 0 (connection lost)"),
    ],
)
def test_errors_tell_code_and_name_and_no_value(error, kind, text):
    ours = located_error("t", error)
    assert type(ours) is kind
    assert str(ours).startswith(text)
    assert "secret" not in str(ours).replace("of the secret", "")
