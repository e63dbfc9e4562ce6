"""Notebook 02's preview, against the server's own counts."""

from __future__ import annotations

import itertools

import pytest

from dataops.batch import parse_batch
from dataops.errors import BatchFileError, SchemaMismatch
from dataops.workbook.demo import open_server
from dataops.workbook.normalization import AS_IT_IS, preview_normalization, require_storable
from dataops.workbook.run import find_batch
from tests.samples import declared

_numbers = itertools.count(1)
SCHEMA = "(id INT PRIMARY KEY, note VARCHAR(20), name VARCHAR(20) NOT NULL, at DATETIME, price DECIMAL(6,2), n VARCHAR(9), bits BIT(4))"
ROWS = """VALUES (1, '', '', '2024-01-02 03:04:05', 1.50, '7', b'101'), (2, NULL, 'b', '2024-00-00 00:00:00', 2.25, '07', NULL),
    (3, '<script>', 'c', NULL, NULL, 'x', b'1'), (4, 'd', 'd', '2024-01-02 03:04:06', 3, NULL, b'0')"""


@pytest.fixture
def preview(stack):
    """Four rows with a text column of numbers, two of which are none."""
    name = f"previewed_{next(_numbers)}"
    with open_server(stack.info.source) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
        cursor.execute(f"CREATE TABLE {name} {SCHEMA}")
        cursor.execute(f"INSERT INTO {name} {ROWS}")
        connection.commit()

    def look(rows: int = 0, empty_string: str = "", **changes: object):
        batch = parse_batch(declared(source__table=name, target__table=name, **changes))
        return preview_normalization(batch, rows, empty_string)

    return look


def cells(preview):
    return {(row[0], row[1]): row[2:6] for row in preview.cells().rows}


def test_each_rule_that_fires_is_shown_before_and_after(preview):
    shown = cells(preview())
    assert shown["note", "'' becomes NULL"] == ("", "NULL", None, None)
    assert shown["name", "'' becomes NULL, and returns as ''"] == ("", "NULL", None, "the same")
    assert shown["at", "becomes ISO-8601"] == ("2024-01-02 03:04:05", "S", "2024-01-02T03:04:05", "the same")
    assert shown["at", "no real date: stays as MySQL writes it"][2] == "2024-00-00 00:00:00"
    assert shown["price", "the same number without needless zeros"] == ("1.50", "N", "1.5", "the same")
    assert shown["bits", "bits become a number"] == ("0x05", "N", "5", "the same")
    assert shown["note", AS_IT_IS][0] == "<script>"


def test_values_are_shown_escaped(preview):
    html = preview().cells()._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html


def test_the_counts_are_the_server_s(stack):
    preview = preview_normalization(find_batch("orders"))
    with open_server(stack.info.source) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*), SUM(note = ''), SUM(note IS NULL), SUM(coupon = '') FROM orders")
        total, empty_notes, null_notes, empty_coupons = map(int, cursor.fetchone())
    counted = {row[:2]: row[2:] for row in preview.counts().rows}
    assert preview.items == total
    assert counted["note", "'' becomes NULL"] == (empty_notes, empty_notes)
    assert counted["note", "NULL is stored as NULL"] == (null_notes, 0)
    assert counted["coupon", "'' becomes NULL"] == (empty_coupons, empty_coupons)


def test_dropped_rows_and_added_columns_are_told(stack):
    preview = preview_normalization(find_batch("customers"))
    with open_server(stack.info.source) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT SUM(is_active = 0) FROM customers")
        assert preview.dropped == int(cursor.fetchone()[0])
    assert cells(preview)["age_band", "added by the transform"][1] == "S"


def test_rejections_are_counted_with_their_keys_and_fail_the_verdict(preview):
    rules = {"columns": {"n": {"as": "N"}}}
    found = preview(normalize=rules)
    assert sorted((row[0], row[2], row[3]) for row in found.rejections().rows) == [("n", 1, "2"), ("n", 1, "3")]
    with pytest.raises(SchemaMismatch, match="orders: 2 rows would be rejected, and on_reject is fail"):
        require_storable(found)
    assert "2 rejected" in require_storable(preview(normalize=rules, on_reject="continue"))


def test_another_policy_shows_what_it_would_change(preview):
    found = preview()
    assert found.difference().columns[2:] == ("lost under to_null", "lost under keep")
    assert found.difference().rows == [("note", 1, 1, 0), ("name", 1, 0, 0)]
    kept = preview(normalize={"empty_string": "keep"})
    assert kept.difference().rows == [("note", 1, 0, 1), ("name", 1, 0, 0)]
    assert require_storable(kept).endswith("no cell is lost.")


def test_a_policy_that_there_is_not_is_refused(preview):
    with pytest.raises(BatchFileError, match="empty_string: expected to_null, keep, omit"):
        preview(empty_string="nul")


def test_the_first_rows_only_are_read_when_asked(preview):
    assert "the first 2 of 4 rows by key" in preview(rows=2).verdict()
