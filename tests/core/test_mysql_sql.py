"""The SQL that is built, held against another engine."""

import sqlite3

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataops.core.mysql import condition, key_after, located_error, quote_name, quote_table, select_list
from dataops.errors import Permanent, Unreachable
from tests.samples import column

KEYS = st.tuples(*[st.integers(0, 3)] * 3)


@given(st.lists(KEYS, max_size=30, unique=True), KEYS, st.sampled_from([">", "<="]))
def test_key_conditions_agree_with_tuple_order(rows, bound, operator):
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE t (a, b, c)")
    base.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    term, arguments = key_after([column(name, "int(11)") for name in "abc"], bound, operator)
    found = base.execute(f"SELECT a, b, c FROM t WHERE {term}".replace("%s", "?"), arguments).fetchall()
    expected = [row for row in rows if (row > bound if operator == ">" else row <= bound)]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(
    ("name", "quoted"),
    [("a", "`a`"), ("a`b", "`a``b`"), ("100%", "`100%%`"), ("日本 語", "`日本 語`"), ("a.b", "`a.b`")],
)
def test_names_are_quoted(name, quoted):
    assert quote_name(name) == quoted
    assert quote_table(name, "t") == f"{quoted}.`t`"


def test_a_float_is_read_widened():
    columns = (column("a", "int(11)"), column("b", "float"), column("c", "double"))
    assert select_list(columns) == "`a`, `b` + 0e0, `c`"


def test_where_is_one_condition_with_its_percent_signs_kept():
    assert condition("name LIKE 'a%' OR x") == ["(name LIKE 'a%%' OR x)"]
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
    assert "secret" not in str(ours)
