"""A transform sees Python values; what it may not do is a rejection."""

from datetime import datetime
from decimal import Decimal

import pytest

from dataops.core.normalize import Codec
from dataops.core.records import Rejection
from dataops.core.schema import declared_column
from dataops.errors import SchemaMismatch
from tests.samples import batch_of, codec_of, column, table_of


def transformed(function, **changes):
    return codec_of("decimal(9,2)", nullable=False, transform=function, **changes).encode(("1", "2.50"))


def test_a_transform_sees_python_values_and_its_row_is_stored():
    seen = {}
    item = transformed(lambda row: seen.update(row) or {**row, "v": row["v"] * 2})
    assert seen == {"id": 1, "v": Decimal("2.50")}
    assert item == {"id": {"N": "1"}, "v": {"N": "5"}}


def test_a_transform_drops_a_row_by_none():
    assert transformed(lambda row: None) is None


def test_a_declared_type_keeps_the_case_of_its_members():
    declared = declared_column("v", "ENUM('New', 'it''s Old') NOT NULL")
    assert (declared.data_type, declared.column_type) == ("enum", "enum('New', 'it''s Old') not null")


def test_a_declared_column_is_added():
    batch = batch_of(transform={"function": "m:f", "adds": {"tax": "decimal(9,2)"}})
    source = table_of(column("v", "decimal(9,2)"))
    item = Codec(batch, source, None, lambda row: {**row, "tax": Decimal("0.25")}).encode(("1", "2.50"))
    assert item["tax"] == {"N": "0.25"}


@pytest.mark.parametrize(
    ("function", "column_", "reason"),
    [
        (lambda row: {**row, "id": 2}, "id", "the transform changed a key column"),
        (lambda row: {**row, "v": None}, "v", "the transform gave NULL for a column that is NOT NULL"),
        (lambda row: {**row, "v": "2.50"}, "v", "the transform gave str, expected Decimal"),
        (lambda row: 1 / 0, "", "the transform raised ZeroDivisionError"),
        (lambda row: {**row, "v": Decimal("NaN")}, "v", "the transform gave a number that MySQL does not have"),
        (lambda row: {**row, "v": Decimal("-Infinity")}, "v", "the transform gave a number that MySQL does not have"),
        (lambda row: {**row, "v": 2.5}, "v", "the transform gave float, expected Decimal"),
        (lambda row: {**row, "v": True}, "v", "the transform gave bool, expected Decimal"),
    ],
)
def test_a_row_that_a_transform_spoils_is_rejected(function, column_, reason):
    assert transformed(function) == Rejection({"id": "1"}, column_, reason)


@pytest.mark.parametrize(
    ("mysql_type", "raw", "value", "reason"),
    [
        ("double", "1", float("nan"), "the transform gave a number that MySQL does not have"),
        ("double", "1", float("inf"), "the transform gave a number that MySQL does not have"),
        ("double", "1", 10**400, "the transform gave a value out of range"),
        ("bit(8)", b"\1", 256, "the transform gave a value out of range"),
        ("bit(8)", b"\1", -1, "the transform gave a value out of range"),
        ("datetime", "2024-01-01 00:00:00", "yesterday", "is not a date and time"),
        ("timestamp", "2024-01-01 00:00:00", "", "is not a date and time"),
        ("datetime", "2024-01-01 00:00:00", "2024-01-01T00:00:00+09:00", "is not a date and time"),
        ("datetime", "2024-01-01 00:00:00", datetime(2024, 1, 1), "the transform gave datetime, expected str"),
        ("text", "x", "\ud800", "the transform gave a text that UTF-8 cannot hold"),
        ("text", "x", b"x", "the transform gave bytes, expected str"),
        ("blob", b"x", "x", "the transform gave str, expected bytes"),
        ("int(11)", "1", "1", "the transform gave str, expected int"),
    ],
)
def test_a_value_that_its_column_cannot_hold_is_rejected(mysql_type, raw, value, reason):
    codec = codec_of(mysql_type, transform=lambda row: {**row, "v": value})
    assert codec.encode(("1", raw)) == Rejection({"id": "1"}, "v", reason)


def test_a_transform_may_not_change_what_keys_the_item():
    codec = codec_of("varchar(9)", False, lambda row: {**row, "v": "y"}, dynamodb__partition_key="v")
    assert codec.encode(("1", "x")) == Rejection({"id": "1"}, "v", "the transform changed a key column")


@pytest.mark.parametrize(
    ("mysql_type", "raw", "seen"),
    [
        ("int(11)", "5", 5),
        ("decimal(9,2)", "2.50", Decimal("2.50")),
        ("double", "0.1", 0.1),
        ("bit(12)", b"\x0a\xbc", 0xABC),
        ("blob", b"\0", b"\0"),
        ("varchar(9)", "", ""),
        ("datetime", "2024-02-29 01:02:03", "2024-02-29T01:02:03"),
        ("timestamp", "2024-02-29 01:02:03", "2024-02-29T01:02:03Z"),
        ("datetime", "0000-00-00 00:00:00", "0000-00-00 00:00:00"),
        ("time", "-100:00:00", "-100:00:00"),
        ("text", None, None),
    ],
)
def test_a_transform_that_changes_nothing_changes_nothing(mysql_type, raw, seen):
    rows = []
    plain, codec = codec_of(mysql_type), codec_of(mysql_type, transform=lambda row: rows.append(row) or row)
    assert codec.encode(("1", raw)) == plain.encode(("1", raw))
    assert rows == [{"id": 1, "v": seen}]
    assert type(rows[0]["v"]) is type(seen)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda row: {**row, "w": 1}, "returned undeclared column w"),
        (lambda row: {"id": 1}, "left out column v"),
    ],
)
def test_a_transform_with_other_columns_breaks_the_run(function, message):
    with pytest.raises(SchemaMismatch, match=message):
        transformed(function)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_mysql_does_not_have_is_rejected(number):
    codec = Codec(batch_of(), table_of(column("v", "double")), None, lambda row: {**row, "v": number})
    reason = "the transform gave a number that MySQL does not have"
    assert codec.encode(("1", "2.5")) == Rejection({"id": "1"}, "v", reason)


def test_a_column_of_the_dynamodb_key_may_not_change_even_if_it_is_not_in_the_primary_key():
    source = table_of(column("v", "varchar(9)", nullable=False))
    codec = Codec(batch_of(dynamodb__sort_key="v"), source, None, lambda row: {**row, "v": "other"})
    assert codec.encode(("1", "x")) == Rejection({"id": "1"}, "v", "the transform changed a key column")
