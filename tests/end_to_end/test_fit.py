"""The target's own schema: what does not hold the source is refused in Plan, and what is taken comes back unchanged."""

import boto3
import pymysql
import pytest

from dataops.core.connection import open_connection
from dataops.core.describe import describe_table
from dataops.core.digest import canonical_row
from dataops.core.mysql import execute, quote_name, select_list
from dataops.core.normalize import Codec
from dataops.core.widen import misfit

KEEP = {"empty_string": "keep"}


@pytest.fixture
def orders(case):
    """A case with a total in its source; its target is the test's."""
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, total DECIMAL(12,2) NOT NULL, memo VARCHAR(20))")
    case.source("INSERT INTO {t} VALUES (%s, %s, %s)", (1, "9999999999.99", "x"), (2, "-0.01", None))
    return case


def assert_untouched(case):
    """Nothing was written: no item, no staging table, no lease."""
    assert case.items() == []
    assert case.leftovers() == []
    assert list(case.target("SELECT * FROM {t}")) == []


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            "total DECIMAL(8,2), memo VARCHAR(20)",
            "column 'total' of {t}: expected at least decimal(12,2), found decimal(8,2) (too narrow)",
        ),
        (
            "total DATE, memo VARCHAR(20)",
            "column 'total' of {t}: expected decimal(12,2), found date (of another type)",
        ),
        (
            "total DECIMAL(12,2), memo VARCHAR(20) CHARACTER SET latin1",
            "column 'memo' of {t}: expected varchar(20), found varchar(20) (its character set latin1 cannot hold utf8mb4)",
        ),
        (
            "totals DECIMAL(12,2), memo VARCHAR(20)",
            "column 'total' is not in target table {t} (did you mean totals?): expected at least decimal(12,2), found none",
        ),
        (
            "total DECIMAL(12,2), memo VARCHAR(20), tax DECIMAL(5,4) NOT NULL",
            "column 'tax' of {t} is decimal(5,4) NOT NULL, and nothing fills it: expected a default or a source column "
            "of that type, found none",
        ),
    ],
    ids=["narrow", "other", "charset", "missing", "unfilled"],
)  # fmt: skip
def test_a_target_that_does_not_hold_the_source_is_refused_in_plan(orders, columns, message):
    orders.target(f"CREATE TABLE {{t}} (id INT PRIMARY KEY, {columns})")
    record = orders.run().record
    assert record.cause.startswith(f"plan: target.table: {message.format(t=orders.name)}")
    assert [state["name"] for state in states(record)] == ["Plan", "Roll Back"]
    assert_untouched(orders)


def test_a_declared_key_type_that_the_source_contradicts_is_refused_in_plan(orders):
    orders.target("CREATE TABLE {t} (id INT PRIMARY KEY, total DECIMAL(12,2), memo VARCHAR(20))")
    record = orders.run(orders.batch(dynamodb__key_types={"id": "S"})).record
    assert record.cause == f"plan: dynamodb.key_types: column 'id' of {orders.name} is stored as N, not S"
    assert_untouched(orders)


def states(record):
    """The Task states that the run came through."""
    pages = boto3.client("stepfunctions").get_paginator("get_execution_history")
    events = [event for page in pages.paginate(executionArn=record.execution) for event in page["events"]]
    return [event["stateEnteredEventDetails"] for event in events if event["type"] == "TaskStateEntered"]


def test_a_column_that_a_transform_adds_is_compared_by_its_declared_type(orders, tmp_path, monkeypatch):
    (tmp_path / "label.py").write_text("def label(row):\n    return {**row, 'kind': 'New'}\n")
    monkeypatch.syspath_prepend(tmp_path)
    batch = orders.batch(transform={"function": "label:label", "adds": {"kind": "ENUM('New','Old')"}})
    orders.target("CREATE TABLE {t} (id INT PRIMARY KEY, total DECIMAL(12,2), memo VARCHAR(20), kind ENUM('New'))")
    expected = "expected enum('New','Old'), found enum('New') (without the member 'Old')"
    assert f"column 'kind' of {orders.name}: {expected}" in orders.run(batch).record.cause
    orders.target("ALTER TABLE {t} MODIFY kind VARCHAR(3)")
    assert orders.run(batch).status == "succeeded"


def test_a_generated_target_column_is_not_written_so_any_type_will_do(orders):
    orders.target("CREATE TABLE {t} (id INT PRIMARY KEY, total DECIMAL(12,2), memo CHAR(1) AS (LEFT(total, 1)))")
    assert orders.run().status == "succeeded"
    assert list(orders.target("SELECT memo FROM {t} ORDER BY id")) == [("9",), ("-",)]


WIDER = [
    ("TINYINT UNSIGNED", "SMALLINT", (0, 255)),
    ("INT", "BIGINT", (-(2**31), 2**31 - 1)),
    ("BIGINT UNSIGNED", "DECIMAL(20,0)", (0, 2**64 - 1)),
    ("BIGINT", "DECIMAL(21,2)", (-(2**63), 2**63 - 1)),
    ("INT(5) ZEROFILL", "BIGINT UNSIGNED", (42, 2**32 - 1)),
    ("DECIMAL(9,0)", "INT", ("-999999999", "999999999")),
    ("DECIMAL(38,10)", "DECIMAL(65,30)", ("-" + "9" * 28 + "." + "9" * 10, "0.0000000001")),
    ("DECIMAL(5,2) UNSIGNED", "DECIMAL(6,3)", ("999.99", "0.01")),
    ("YEAR", "YEAR", ("0000", 1901, 2155)),
    ("FLOAT", "DOUBLE", (0.1, 3.40282e38, -1.17549e-38, 16777217)),
    ("FLOAT(7,2)", "DOUBLE", ("99999.99", "-0.01")),
    ("FLOAT(7,2)", "FLOAT(12,5)", ("99999.99", "-0.01")),
    ("DOUBLE(15,3)", "DOUBLE(18,6)", ("999999999999.999", "-0.001")),
    ("DOUBLE", "DOUBLE", (0.1, 1.7976931348623157e308, 5e-324, -0.0)),
    ("BIT(10)", "BIT(64)", (0, 1023)),
    ("CHAR(5)", "VARCHAR(5)", ("日本🎁é.", "", "a")),
    ("VARCHAR(5)", "VARCHAR(9)", ("🎁🎁🎁🎁 ", "  ", "")),
    ("VARCHAR(63)", "TINYTEXT", ("🎁" * 63,)),
    ("TINYTEXT", "VARCHAR(255)", ("a" * 255, "🎁" * 63)),
    ("TEXT", "LONGTEXT", ("é" * 32767,)),
    ("VARCHAR(3) CHARACTER SET latin1", "VARCHAR(3)", ("é€ÿ",)),
    ("VARCHAR(3) CHARACTER SET latin1", "VARCHAR(3) CHARACTER SET utf8mb3", ("é€ÿ",)),
    ("TINYTEXT CHARACTER SET latin1", "VARCHAR(255)", ("€" * 255,)),
    ("TINYTEXT CHARACTER SET latin1", "TEXT", ("€" * 255,)),
    ("VARCHAR(3) CHARACTER SET sjis", "VARCHAR(3)", ("日ｱ~",)),
    ("VARCHAR(3) CHARACTER SET ascii", "VARCHAR(3) CHARACTER SET latin1", ("a\\~",)),
    ("VARCHAR(3) CHARACTER SET utf8mb3", "TINYTEXT", ("日本語",)),
    ("ENUM('a','It''s','b\\\\c','')", "ENUM('','b\\\\c','z','It''s','a')", ("a", "It's", "b\\c", "")),
    ("ENUM('2','1')", "ENUM('1','2','3')", ("1", "2")),
    ("ENUM('a','long')", "CHAR(4)", ("a", "long")),
    ("ENUM('a','b')", "SET('b','a')", ("a", "b")),
    ("SET('a','b','c')", "SET('x','a','y','b','c')", ("", "a,c", "a,b,c")),
    ("SET('a','bc','d')", "VARCHAR(6)", ("", "a,bc,d")),
    ("JSON", "LONGTEXT", ('{"k": [1, 2.50, "é"]}',)),
    ("DATE", "DATE", ("1000-01-01", "9999-12-31", "0000-00-00", "2024-02-31")),
    ("DATETIME(3)", "DATETIME(6)", ("1000-01-01 00:00:00.001", "9999-12-31 23:59:59.999", "0000-00-00 00:00:00")),
    ("TIMESTAMP NULL", "TIMESTAMP(6) NULL", ("1970-01-01 00:00:01", "2038-01-19 03:14:07")),
    ("TIME", "TIME(6)", ("-838:59:59", "838:59:59")),
    ("BINARY(3)", "VARBINARY(3)", (b"a\0\0", b"\xff\xff\xff")),
    ("BINARY(3)", "TINYBLOB", (b"a\0\0",)),
    ("VARBINARY(255)", "TINYBLOB", (b"\xff" * 255, b"")),
    ("BLOB", "LONGBLOB", (b"\0" * 65535,)),
    ("UUID", "CHAR(36)", ("00112233-4455-6677-8899-aabbccddeeff",)),
    ("INET6", "VARCHAR(39)", ("2001:db8:1111:2222:3333:4444:5555:6666", "::ffff:255.255.255.255", "::")),
    ("INET4", "CHAR(15)", ("255.255.255.255", "0.0.0.0")),
    ("POINT", "GEOMETRY", (b"\0\0\0\0\1\1\0\0\0" + b"\0" * 16,)),
]  # fmt: skip


@pytest.fixture
def servers(stack):
    """Connections as the handlers make them: strict, in UTC, decoding nothing."""
    with open_connection("dataops/source") as source, open_connection("dataops/target") as target:
        yield source, target


@pytest.mark.parametrize(("narrow", "wide", "values"), WIDER, ids=[f"{pair[0]} in {pair[1]}" for pair in WIDER])
def test_what_fits_comes_back_as_it_was(case, servers, narrow, wide, values):
    if narrow in ("UUID", "INET6", "INET4") and "MariaDB" not in execute(servers[0], "SELECT VERSION()")[0][0]:
        with pytest.raises(pymysql.ProgrammingError):
            described(case, servers, narrow, wide)  # MySQL has no such type
        return
    source, target = described(case, servers, narrow, wide)
    assert misfit(source.column("v"), target.column("v")) is None
    insert(servers[0], source, enumerate(values))
    before = read(servers[0], source)
    loaded, held = carry(case, servers, source, target)
    assert digests(held, target) == digests(loaded, target)
    insert(servers[0], source, held)
    assert read(servers[0], source) == before


def described(case, servers, of, into):
    """Both tables, made with a column of these types."""
    case.source(f"CREATE TABLE {{t}} (id INT PRIMARY KEY, v {of})")
    case.target(f"CREATE TABLE {{t}} (id INT PRIMARY KEY, v {into})")
    return [describe_table(connection, case.name) for connection in servers]


def carry(case, servers, source, target):
    """The source's rows as they are loaded into the target, and as it holds them."""
    codec = Codec(case.batch(normalize=KEEP), source, target, None)
    loaded = [codec.decode(codec.encode(row)) for row in read(servers[0], source)]
    insert(servers[1], target, loaded)
    return loaded, read(servers[1], target)


def digests(rows, table):
    """What Reconcile compares."""
    return [canonical_row(row, table.columns) for row in rows]


def read(connection, table):
    return execute(connection, f"SELECT {select_list(table.columns)} FROM {quote_name(table.name)} ORDER BY id")


def insert(connection, table, rows):
    """As strict as loading is: a warning is an error."""
    for row in rows:
        execute(connection, f"REPLACE INTO {quote_name(table.name)} (id, v) VALUES (%s, %s)", row)
        if execute(connection, "SHOW WARNINGS"):
            raise pymysql.Warning


LOSSY = [
    ("INT UNSIGNED", "INT", 2**32 - 1),
    ("DECIMAL(12,2)", "DECIMAL(12,3)", "9999999999.99"),
    ("DECIMAL(12,2)", "DECIMAL(20,1)", "0.01"),
    ("INT", "YEAR", 70),
    ("DOUBLE", "FLOAT", 0.1),
    ("FLOAT", "FLOAT(7,2)", 0.125),
    ("BIT(10)", "BIT(9)", 1023),
    ("VARCHAR(5)", "CHAR(5)", "a "),
    ("VARCHAR(64)", "TINYTEXT", "🎁" * 64),
    ("TINYTEXT CHARACTER SET latin1", "TINYTEXT", "€" * 255),
    ("VARCHAR(5)", "VARCHAR(5) CHARACTER SET utf8mb3", "🎁"),
    ("VARCHAR(5)", "VARCHAR(5) CHARACTER SET latin1", "日"),
    ("VARCHAR(5) CHARACTER SET ascii", "VARCHAR(5) CHARACTER SET swe7", "["),
    ("ENUM('a','b')", "ENUM('A','B')", "a"),
    ("SET('a','b')", "SET('b','a')", "a,b"),
    ("DATETIME(3)", "DATETIME", "2024-02-29 00:00:00.125"),
    ("VARBINARY(3)", "BINARY(3)", b"a"),
    ("VARBINARY(3)", "VARCHAR(3)", b"\xff"),
    ("GEOMETRY", "POINT", b"\0\0\0\0\1\2\0\0\0\2\0\0\0" + b"\0" * 24 + b"\0\0\0\0\0\0\xf0?"),
]  # fmt: skip


@pytest.mark.parametrize(("of", "into", "value"), LOSSY, ids=[f"{pair[0]} in {pair[1]}" for pair in LOSSY])
def test_what_is_refused_would_have_lost_something(case, servers, of, into, value):
    source, target = described(case, servers, of, into)
    assert misfit(source.column("v"), target.column("v"))
    insert(servers[0], source, [(1, value)])
    try:
        loaded, held = carry(case, servers, source, target)
    except pymysql.MySQLError:
        return
    assert digests(held, target) != digests(loaded, target)


def test_what_a_table_refers_to_is_read_with_columns_and_actions(case):
    case.source("CREATE DATABASE IF NOT EXISTS `else``where`")
    case.source("CREATE TABLE `else``where`.`p a``r, (e)` (`x,``)` INT, `y` INT, PRIMARY KEY (`x,``)`, `y`))")
    case.source(
        "CREATE TABLE {t} (id INT PRIMARY KEY, `a)``,` INT, b INT, up INT, CONSTRAINT `k``1` FOREIGN KEY (`a)``,`, b) "
        "REFERENCES `else``where`.`p a``r, (e)` (`x,``)`, `y`) ON DELETE CASCADE ON UPDATE SET NULL, "
        "CONSTRAINT {t}_self FOREIGN KEY (up) REFERENCES {t} (id))"
    )
    with open_connection("dataops/source") as connection:
        found = {key.name: key for key in describe_table(connection, case.name).outgoing}
    case.source("DROP TABLE {t}")
    case.source("DROP DATABASE `else``where`")
    away, self = found["k`1"], found[f"{case.name}_self"]
    assert (away.database, away.references, away.columns) == (
        "else`where",
        "p a`r, (e)",
        (("a)`,", "x,`)"), ("b", "y")),
    )
    assert (away.on_delete, away.on_update) == ("CASCADE", "SET NULL")
    assert (self.references, self.columns) == (case.name, (("up", "id"),))
