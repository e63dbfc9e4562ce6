"""Looking at a source table, on a real server."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from dataops.batch import parse_batch
from dataops.core.control import Control
from dataops.core.records import Plan, Record
from dataops.errors import BatchFileError, Permanent, SchemaMismatch
from dataops.workbook.demo import open_server
from dataops.workbook.inspect import SourceTable, open_source, require_rows
from tests.samples import declared

_numbers = itertools.count(1)
NAME = "odd `%s` name %"
SCHEMA = """(
    `id` INT UNSIGNED NOT NULL AUTO_INCREMENT, `a``b %` VARCHAR(20) NULL, `ratio` FLOAT, `flag` BIT(4),
    `body` VARBINARY(20), `doubled` INT AS (LENGTH(`body`) * 2) STORED, PRIMARY KEY (`id`), UNIQUE KEY `by %s` (`a``b %`, `id`))"""
ROWS = """(`id`, `a``b %`, `ratio`, `flag`, `body`) VALUES
    (1, '', 0.1, b'1010', 0x00), (2, '  ', NULL, b'0001', ''), (3, NULL, 1234567, NULL, NULL), (10, '<b>', -1, b'0', 'x')"""


@pytest.fixture
def source(stack):
    """A table whose names want quoting, with an empty text beside spaces."""
    name = f"{NAME}{next(_numbers)}"
    quoted = "`" + name.replace("`", "``") + "`"
    with open_server(stack.info.source) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {quoted} {SCHEMA}")
        cursor.execute(f"INSERT INTO {quoted} {ROWS}")
        connection.commit()

    def open_it(**changes: object) -> SourceTable:
        return open_source(parse_batch(declared(source__table=name, **changes)))

    return open_it


def test_the_schema_names_types_and_keys(source):
    table = source().schema()
    assert table.rows[0] == ("id", "int unsigned", "NOT NULL", "PRIMARY, by %s", "auto increment")
    assert table.rows[1][:4] == ("a`b %", "varchar(20)", "NULL", "by %s")
    assert table.rows[5][4] == "generated"


def test_the_rules_say_of_each_column_what_is_lost_and_rejected(source):
    keep = {"columns": {"a`b %": {"as": "N", "empty_string": "keep"}, "flag": {"as": "bool"}}}
    rows = {row[0]: row[2:] for row in source(normalize=keep).rules().rows}
    assert rows["id"] == ("N", "-", "-", "-")
    assert rows["a`b %"][:3] == ("N", "rejected", "-")
    assert rows["flag"] == ("BOOL", "-", "-", "is neither 0 nor 1")
    assert {row[0]: row[4] for row in source().rules().rows}["a`b %"] == "'' returns as NULL"


def test_the_verdict_refuses_a_rule_that_does_not_fit_its_column(source):
    with pytest.raises(SchemaMismatch, match=r"normalize.columns.body.as: varbinary\(20\) cannot be stored as S"):
        require_rows(source(normalize={"columns": {"body": {"as": "S"}}}))


def test_spaces_are_not_counted_as_empty(source):
    rows = {row[0]: row[1:] for row in source().counts().rows}
    assert rows["a`b %"][:2] == (1, 1)
    assert rows["body"][:2] == (1, 0)


def test_least_and_greatest_are_exact(source):
    rows = {row[0]: row[4:6] for row in source().counts().rows}
    assert rows["id"] == ("1", "10")
    assert float(rows["ratio"][1]) == 1234567
    assert rows["flag"] == ("0", "10")
    assert rows["body"] == ("-", "-")


def test_counts_follow_the_batch_s_condition(source):
    counts = source(source__where="`id` > 2 AND `a``b %` LIKE '%b%'").counts()
    assert counts.caption.endswith(": 1 rows")


def test_an_empty_table_counts_nothing(source):
    rows = source(source__where="id > 99").counts().rows
    assert {row[1:4] for row in rows} == {(0, 0, 0)}


def test_the_sample_is_in_key_order_and_numbers_stand_right(source):
    table = source().sample(3)
    assert [row[0] for row in table.rows] == ["1", "2", "3"]
    assert "text-align:right" in table._repr_html_()


@pytest.mark.parametrize("rows", [0, -1, 1001])
def test_a_sample_has_one_to_a_thousand_rows(source, rows):
    with pytest.raises(BatchFileError, match="rows: expected 1 to 1,000"):
        source().sample(rows)


def test_the_verdict_counts_the_rows_to_copy(source):
    assert "4 rows to copy" in require_rows(source())


def test_the_verdict_refuses_a_key_that_may_be_null(source):
    with pytest.raises(SchemaMismatch, match="NULL"):
        require_rows(source(dynamodb__partition_key="a`b %"))


def test_a_condition_that_is_no_sql_is_a_located_error(source):
    with pytest.raises(Permanent, match=r"source .*: counting: MySQL error 1064"):
        source(source__where="id >").counts()


def test_a_table_that_is_not_there_is_named(stack):
    with pytest.raises(SchemaMismatch, match="order_itens"):
        open_source(parse_batch(declared(source__table="order_itens")))


def test_what_has_changed_since_the_last_run_is_told(stack, source):
    there = source()
    before = there.table
    columns = (*before.columns[:-1], msgspec.structs.replace(before.columns[-1], nullable=False))
    changed = msgspec.structs.replace(before, columns=columns[1:], keys=before.keys[:1])
    assert there.drift().rows == []
    control = Control("drift-1")
    control.save_record(Record("drift-1", there.batch.batch, started="2999-01-01T00:00:00"))
    control.save_plan(Plan("drift-1", there.batch, changed, changed, 1, ("id",), 1, 1))
    assert [row[:2] for row in there.drift().rows] == [
        ("column doubled", "int NOT NULL generated"), ("column id", "-"), ("key by %s", "-"),
    ]  # fmt: skip
    control.client.delete_item(
        TableName=control.table, Key={"pk": {"S": "runs"}, "sk": {"S": "2999-01-01T00:00:00#drift-1"}}
    )
