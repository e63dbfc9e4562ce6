"""What notebook 01 counts and warns of, on a real server, against rows made for it."""

from __future__ import annotations

import itertools

import pytest

from dataops.batch import parse_batch
from dataops.errors import BatchFileError, SchemaMismatch
from dataops.workbook.demo import open_server
from dataops.workbook.inspect import open_source, require_rows
from dataops.workbook.profile import spark
from tests.samples import declared

_numbers = itertools.count(1)
SCHEMA = """(id INT PRIMARY KEY, born DATE, seen DATETIME(3), long_number DECIMAL(50,5), ratio DOUBLE, code VARCHAR(3000),
    label VARCHAR(20), body LONGTEXT, old VARCHAR(20) CHARACTER SET sjis, UNIQUE KEY (code(100), id))"""
ROWS = """(id, born, seen, long_number, ratio, code, label, body, old) VALUES
    (1, '0000-00-00', NULL, 1.5, 1e300, 'a', '', 'x', 'x'), (2, '2021-02-00', '2021-02-31 10:00:00', -1, 0, '', NULL, '', '日本'),
    (3, '2024-02-29', '2024-01-01', 1234567890123456789012345678901234567890.12345, 1e-200, REPEAT('k', 2500), 'y', NULL, NULL),
    (4, NULL, '0000-00-00', 100000000000000000000000000000000000000000000, 5, 'a', 'damaged � text', REPEAT('z', 420000), 'z')"""


@pytest.fixture
def source(stack):
    """Four rows that hold one of everything."""
    name = f"hazards_{next(_numbers)}"
    with open_server(stack.info.source) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES', NAMES utf8mb4")
        cursor.execute(f"CREATE TABLE {name} {SCHEMA}")
        cursor.execute(f"INSERT INTO {name} {ROWS}")
        connection.commit()

    def open_it(counted: int = 0, **changes: object):
        return open_source(parse_batch(declared(source__table=name, **changes)), counted)

    return open_it


def found(source, **changes):
    return {(row[0], row[1]): (row[2], row[3]) for row in source(**changes).hazards().rows}


def test_every_hazard_is_found_with_its_rows(source):
    hazards = found(source)
    assert hazards["a zero, partial or invalid date", "born"] == (2, "1; 2")
    assert hazards["a zero, partial or invalid date", "seen"] == (2, "2; 4")
    assert hazards["more than 38 digits", "long_number"] == (1, "3")
    assert hazards["a number that DynamoDB does not hold", "ratio"] == (2, "1; 3")
    assert hazards["'' in a nullable column", "code"] == (1, "2")
    assert hazards["'' in a nullable column", "label"] == (1, "1")
    assert hazards["U+FFFD, left by an earlier wrong conversion", "label"] == (1, "4")
    assert hazards["a row of more than 400 KB", "-"] == (1, "4")


def test_what_is_fine_is_no_hazard(source):
    assert set(found(source, source__where="id = 3", normalize={"empty_string": "keep"})) == {
        ("more than 38 digits", "long_number"), ("a number that DynamoDB does not hold", "ratio"),
    }  # fmt: skip


def test_keys_that_an_index_cannot_have_are_told(source):
    index = [{"name": "by-code", "partition_key": "code"}, {"name": "by-label", "partition_key": "label"}]
    hazards = found(source, dynamodb__indexes=index)
    assert hazards["a key of more than 2,048 bytes", "code"] == (1, "3")
    assert hazards["an empty index key", "code"] == (1, "2")
    assert hazards["NULL in an index key", "label"] == (1, "2")


def test_keys_that_the_table_cannot_have_are_told(source):
    hazards = found(source, dynamodb__partition_key="code")
    assert hazards["a key of more than 2,048 bytes", "code"] == (1, "3")
    assert hazards["an empty key", "code"] == (1, "2")
    assert hazards["a DynamoDB key that another row has", "code"] == (2, "1; 4")


def test_rows_that_would_be_rejected_fail_the_verdict_unless_the_batch_goes_on(source):
    with pytest.raises(SchemaMismatch, match="1 rows hold a row of more than 400 KB and would be rejected"):
        require_rows(source())
    assert "4 rows to copy" in require_rows(source(on_reject="continue"))
    assert "3 rows to copy" in require_rows(source(source__where="id < 4"))


def test_the_histogram_counts_every_row_that_has_a_value(source):
    bars = source()._profile.bars
    assert {name: sum(bars[name]) for name in ("id", "code", "label", "body")} == {
        "id": 4,
        "code": 4,
        "label": 3,
        "body": 3,
    }
    assert bars["code"] == [3, *[0] * 10, 1]
    assert bars["ratio"] == [3, *[0] * 10, 1]


def test_lengths_are_in_characters(source):
    rows = {row[0]: row[6:] for row in source().counts().rows}
    assert rows["code"] == ("0 to 2,500", "█          ▃")
    assert rows["old"][0] == "1 to 2"
    assert rows["id"][0] == "-"


def test_only_the_first_rows_are_counted_when_asked(source):
    counts = source(counted=2).counts()
    assert counts.caption.endswith("the first 2 rows by key")
    assert {row[0]: row[3] for row in counts.rows}["id"] == 2
    with pytest.raises(BatchFileError, match="counted: expected 0"):
        source(counted=-1)


def test_a_picture_shows_every_column(source):
    assert source().histograms().png.startswith(b"\x89PNG")


def test_a_bar_that_is_not_empty_shows():
    assert spark([0, 1, 1000]) == " ▁█"
    assert spark([]) == ""
