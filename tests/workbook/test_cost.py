"""Units and dollars, against the figures that AWS publishes."""

import pytest

from dataops.workbook.cost import Prices, dollars, read_units_of, write_units_of


@pytest.mark.parametrize(("size", "units"), [(0, 1), (400, 1), (1024, 1), (1025, 2), (3 * 1024, 3), (400 * 1024, 400)])
def test_a_write_takes_a_unit_for_each_kb_begun(size, units):
    assert write_units_of(size) == units


@pytest.mark.parametrize(
    ("size", "eventual", "consistent"), [(1, 0.5, 1), (4096, 0.5, 1), (4097, 1, 2), (8192, 1, 2), (10**6, 122.5, 245)]
)
def test_a_read_takes_half_a_unit_for_each_4_kb_begun(size, eventual, consistent):
    assert (read_units_of(size), read_units_of(size, consistent=True)) == (eventual, consistent)


def test_a_million_small_writes_cost_62_cents_and_a_half():
    assert Prices().writes(1_000_000) == 0.625
    assert Prices(factor=2).writes(1_000_000) == 1.25


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0"), (1234.5, "1,234.50"), (0.0037, "0.0037"), (0.114, "0.11"), (1e-6, "< 0.0001")]
)
def test_an_amount_shows_what_it_says(amount, text):
    assert dollars(amount) == text
