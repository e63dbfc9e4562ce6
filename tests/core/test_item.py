"""Sizes as DynamoDB bills them, and one form for every spelling of a value."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataops.core.item import canonical_attribute, canonical_number, depth, item_size, write_units

PLAIN_NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=None).filter(
    lambda number: abs(number.adjusted()) < 120
)


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"a": {"S": ""}}, 1),
        ({"name": {"S": "山田"}}, 4 + 6),
        ({"名": {"S": "🎁"}}, 3 + 4),
        ({"n": {"N": "7"}}, 1 + 2),
        ({"n": {"N": "-7"}}, 1 + 3),
        ({"n": {"N": "123"}}, 1 + 3),
        ({"n": {"N": "12300"}}, 1 + 3),
        ({"n": {"N": "0.00123"}}, 1 + 3),
        ({"b": {"B": b"\0" * 10}}, 1 + 10),
        ({"x": {"NULL": True}}, 2),
        ({"x": {"BOOL": False}}, 2),
        ({"l": {"L": [{"S": "ab"}, {"NULL": True}]}}, 1 + 3 + 2 + 2 + 1),
        ({"m": {"M": {"k": {"S": "v"}}}}, 1 + 3 + 1 + 2),
        ({"s": {"SS": ["ab", "c"]}}, 1 + 3),
    ],
)
def test_item_size_by_the_published_rules(item, size):
    assert item_size(item) == size


@pytest.mark.parametrize(("length", "units"), [(0, 1), (1023, 1), (1024, 2), (2047, 2), (2048, 3)])
def test_a_write_unit_is_a_kilobyte_begun(length, units):
    assert write_units({"a": {"S": "x" * length}}) == units


@given(PLAIN_NUMBERS, PLAIN_NUMBERS)
def test_numbers_are_one_exactly_when_decimal_says_so(one, other):
    assert (canonical_number(str(one)) == canonical_number(str(other))) == (one == other)


@pytest.mark.parametrize("text", ["1.50", "1.5", "15E-1", "0001.5", "+1.5"])
def test_spellings_of_a_number_are_one(text):
    assert Decimal(canonical_number(text)) == Decimal("1.5")
    assert canonical_number(text) == canonical_number("1.5")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"S": "1"}, {"N": "1"}),
        ({"S": "a"}, {"S": "a "}),
        ({"S": ""}, {"NULL": True}),
        (None, {"NULL": True}),
        ({"B": b"a"}, {"S": "a"}),
        ({"L": [{"S": "a"}]}, {"SS": ["a"]}),
        ({"M": {"a": {"N": "1"}}}, {"M": {"a": {"S": "1"}}}),
    ],
)
def test_different_attributes_stay_different(one, other):
    assert canonical_attribute(one) != canonical_attribute(other)


def test_sets_and_maps_have_no_order():
    assert canonical_attribute({"SS": ["a", "b"]}) == canonical_attribute({"SS": ["b", "a"]})
    one, other = {"a": {"N": "1.0"}, "b": {"S": "x"}}, {"b": {"S": "x"}, "a": {"N": "1"}}
    assert canonical_attribute({"M": one}) == canonical_attribute({"M": other})


def test_depth_counts_lists_and_maps():
    assert depth({"S": "x"}) == 0
    assert depth({"L": [{"M": {"a": {"L": []}}}]}) == 3
