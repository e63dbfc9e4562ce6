"""Dump files are split as the mysql client splits them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataops.local.sqlfile import prompt, run_script, split_statements
from dataops.workbook.demo import open_server

PIECES = st.sampled_from([
    "SELECT 1", "'a;b'", '"c;d"', "`e;f`", "'it''s'", r"'\';'", '"\\";"', "/* ; */", "/*!40101 ; */", "-- ;\n", "# ;\n",
    "語", "5--3", "a-b", "/", "\n", "x.y",
])  # fmt: skip


@given(st.lists(st.lists(PIECES, min_size=1, max_size=5).map(lambda parts: "SET x " + " ".join(parts)), max_size=6))
def test_statements_joined_by_the_delimiter_come_apart_again(statements):
    text = "".join(f"{statement}\n;" for statement in statements)
    assert [found.sql for found in split_statements(text)] == [statement.rstrip() for statement in statements]


@given(st.lists(st.lists(PIECES, min_size=1, max_size=4).map(lambda parts: "SET x " + " ".join(parts)), max_size=4))
def test_under_another_delimiter_a_semicolon_is_text(statements):
    text = "DELIMITER ;;\n" + "".join(f"{statement}; y\n;;\n" for statement in statements) + "delimiter ;\nSELECT 2;"
    assert [found.sql for found in split_statements(text)] == [f"{one}; y" for one in statements] + ["SELECT 2"]


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", []),
        (" ;; ;\n", []),
        ("-- only a comment", []),
        ("\ufeffSELECT 1", [("SELECT 1", 1)]),
        ("SELECT 1;\r\nSELECT 2;\r\n", [("SELECT 1", 1), ("SELECT 2", 2)]),
        ("/*M!999999\\- enable the sandbox mode */\nSELECT 1;", [("SELECT 1", 2)]),
        ("-- a; b\n# c; d\n/* e; f */ SELECT 1;", [("SELECT 1", 3)]),
        ("/*!40101 SET NAMES utf8 */;", [("/*!40101 SET NAMES utf8 */", 1)]),
        ("SELECT 'delimiter ;;'\n, 2;", [("SELECT 'delimiter ;;'\n, 2", 1)]),
        ("SELECT 'never closed;", [("SELECT 'never closed", 1)]),
    ],
)
def test_what_dumps_hold_besides_statements(text, statements):
    assert [tuple(found) for found in split_statements(text)][: len(statements)] == statements


@pytest.fixture
def connection(stack):
    with open_server(stack.info.source) as opened:
        yield opened


def test_a_script_runs_and_counts(connection):
    script = "CREATE TABLE script (a INT);\nINSERT INTO script VALUES (1), (2);\nUPDATE script SET a = 3 WHERE a = 1;"
    done = run_script(connection, script, "x.sql")
    assert (done.statements, done.rows) == (3, 3)
    with connection.cursor() as cursor:
        cursor.execute("SELECT a FROM script ORDER BY a")
        assert list(cursor.fetchall()) == [(2,), (3,)]


def test_the_prompt_shows_rows_tells_errors_and_goes_on(connection):
    lines = iter(["SELECT 1 AS one,", " 2 AS two;", "SELECT nosuch;", "SELECT 3 AS three;", "quit"])
    shown = []
    prompt(connection, lambda _: next(lines), lambda columns, rows: shown.append((columns, list(rows))))
    assert shown[0] == (["one", "two"], [(1, 2)])
    assert shown[1][0] == ["error"]
    assert "MySQL error 1054" in shown[1][1][0][0]
    assert shown[2] == (["three"], [(3,)])
