"""Names in SQL are quoted, wherever SQL is written: shown of the source text itself, from each cursor backwards."""

from pathlib import Path

import pytest

from tests.sql_texts import Prover

ROOT = Path(__file__).parent.parent
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path.read_text()
    for path in (ROOT / "dataops").rglob("*.py")
}
ALLOWED = {
    ("dataops.core.mysql", "where.replace('%', '%%')"): "a batch's own condition, which is SQL",
    ("dataops.core.mysql", "column.charset"): "a character set's name, by the server's own catalog",
    ("dataops.core.infile", "values_of(rows)"): "values of rows, escaped, as the text of a statement",
    ("dataops.core.grants", "roles.replace('%', '%%')"): "the session's roles, quoted by the server",
    ("dataops.core.draft", "body.replace('%', '%%')"): "SHOW CREATE TABLE of the source, quoted by the server",
    ("dataops.core.draft", "mysql_type.replace('%', '%%')"): "a type that the batch file declares, which is SQL",
    ("dataops.local.edges", "edge.type"): "a type of the test tables, written there",
    ("dataops.local.edges", "value.replace('%', '%%')"): "an expression of the test tables, written there",
    ("dataops.local.sqlfile", "sql"): "what a person asked to have run",
}
"""SQL that is not a name: what it is, and why nothing else can stand there."""
TOLD = {"dataops.core.preflight"}
"""Modules that tell a person which SQL to run, and never run it."""


@pytest.fixture(scope="module")
def prover():
    prover = Prover(SOURCES, ALLOWED)
    prover.prove_all()
    return prover


def test_every_name_in_sql_is_quoted(prover):
    assert prover.texts > 15
    assert sorted(set(prover.found)) == []


def test_nothing_is_allowed_that_is_not_there(prover):
    assert prover.used == set(ALLOWED)


def test_no_sql_is_put_together_that_no_cursor_is_given(prover):
    assert [of for of in prover.unfollowed() if of.module not in TOLD] == []


HEAD = "from dataops.core.mysql import execute, quote_name, quote_table\n"
RAW = {
    "f-string": "def f(c, table):\n    execute(c, f'SELECT * FROM {table}')\nf(1, input())",
    "by hand": "execute(1, f'SELECT * FROM `{input()}`')",
    "concatenation": "execute(1, 'SELECT * FROM ' + input())",
    "percent": "execute(1, 'SELECT * FROM %s' % input())",
    "format": "execute(1, 'SELECT * FROM {}'.format(input()))",
    "join": "def f(columns):\n    execute(1, 'SELECT ' + ', '.join(c.name for c in columns))",
    "half": "execute(1, f'SELECT {quote_name(input())} FROM {input()}')",
    "variable": "def f():\n    sql = 'SELECT 1'\n    sql += input()\n    execute(1, sql)",
    "list": "def f(given):\n    terms = ['1']\n    terms.append(input())\n    execute(1, ' AND '.join(terms))",
    "field": "def f(plan):\n    execute(1, f'DROP TABLE {plan.target.name}')",
    "attribute": "class A:\n    def __init__(self):\n        self.table = input()\n    def f(self):\n        execute(1, f'DROP TABLE {self.table}')",
    "result": "def g():\n    return '1', input()\ndef f():\n    x, y = g()\n    execute(1, f'SELECT {y}')",
    "answer": "def f(c):\n    for (name,) in execute(c, 'SHOW TABLES'):\n        execute(c, f'DROP TABLE {name}')",
    "unknown": "def f(c, sql):\n    c.cursor().execute(sql)",
    "session": "connect(init_command=f'SET x = {input()}')",
    "key": "def f(g):\n    terms = {input(): '1'}\n    for name, of in terms.items():\n        execute(1, f'SELECT {name}')",
    "keys": "def f(g):\n    terms = {input(): '1'}\n    execute(1, 'SELECT ' + ', '.join(terms))",
    "method": "class A:\n    def q(self, b):\n        return f'SELECT {b}', 1\ndef f(a, c):\n    run(*a.q(input()))\ndef run(sql, n):\n    c.execute(sql)",
    "own quoting": "def quote_name(x):\n    return x\ndef f():\n    execute(1, f'DROP TABLE {quote_name(input())}')",
}
QUOTED = {
    "f-string": "def f(c, table):\n    execute(c, f'SELECT * FROM {quote_name(table)} LIMIT {int(table):d}')\nf(1, input())",
    "variable": "def f(c, a, b):\n    table = quote_table(a, b)\n    execute(c, f'SELECT * FROM {table}')",
    "argument": "def f(table):\n    execute(1, f'SELECT * FROM {table}')\nf(quote_name(input()))",
    "result": "def g():\n    return '1', input()\ndef f():\n    x, y = g()\n    execute(1, f'SELECT {x}')",
    "join": "def f(columns):\n    execute(1, 'SELECT ' + ', '.join(map(quote_name, columns)))",
    "values": "def f(g):\n    terms = {input(): '1'}\n    execute(1, 'SELECT ' + ', '.join(terms.values()))",
    "method": "class A:\n    def q(self, b):\n        return '1', b\ndef f(a, c):\n    run(*a.q(input()))\ndef run(sql, n):\n    c.execute(sql)",
    "loop": "def f(names):\n    for name, sign in zip([quote_name(n) for n in names], names):\n        execute(1, f'DROP TABLE {name}')",
}


def found_in(text):
    core = {"dataops.core.mysql": SOURCES["dataops.core.mysql"]}
    head = HEAD.replace(", quote_name", "") if "def quote_name" in text else HEAD
    found = Prover({**core, "written": head + text}, ALLOWED).prove_all()
    return [of for of in found if of.module == "written"]


@pytest.mark.parametrize("text", RAW.values(), ids=RAW)
def test_a_raw_name_is_found(text):
    assert found_in(text)


@pytest.mark.parametrize("text", QUOTED.values(), ids=QUOTED)
def test_a_quoted_name_is_not_found(text):
    assert found_in(text) == []


def test_what_is_found_is_told_by_line_and_part():
    assert found_in("def f(c, plan):\n    execute(c, f'SELECT * FROM {plan.table}')") == [
        ("written", 3, "plan.table")
    ]  # fmt: skip
