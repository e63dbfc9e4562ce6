"""Sizes as DynamoDB bills them, and one form for every spelling of a value."""

from base64 import b64encode
from decimal import Decimal

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st
from ministack.services.dynamodb import _item_size_bytes

from dataops.core.item import canonical_attribute, canonical_number, depth, item_size, write_units

PLAIN_NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=None).filter(
    lambda number: abs(number.adjusted()) < 120
)


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"shirt-color": {"S": "R"}, "shirt-size": {"S": "M"}}, 23),  # the example in AWS's own page
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
        ({"l": {"L": []}}, 1 + 3),
        ({"m": {"M": {}}}, 1 + 3),
        ({"l": {"L": [{"L": [{"N": "1"}]}]}}, 1 + 3 + 1 + 3 + 1 + 2),
        ({"s": {"SS": ["ab", "c"]}}, 1 + 3),
        ({"s": {"NS": ["1", "-100"]}}, 1 + 2 + 3),
        ({"s": {"BS": [b"ab"]}}, 1 + 2),
        ({"n": {"N": "9" * 38}}, 1 + 20),
    ],
)
def test_item_size_by_the_published_rules(item, size):
    assert item_size(item) == size


@pytest.mark.parametrize(("length", "units"), [(0, 1), (1023, 1), (1024, 2), (2047, 2), (2048, 3)])
def test_a_write_unit_is_a_kilobyte_begun(length, units):
    assert write_units({"a": {"S": "x" * length}}) == units


def test_an_item_on_the_border_of_a_write_unit_counts_its_names():
    assert write_units({"n" * 24: {"S": "x" * 1000}}) == 1
    assert write_units({"n" * 25: {"S": "x" * 1000}}) == 2


NUMBERS = PLAIN_NUMBERS.filter(lambda number: len(number.as_tuple().digits) <= 38).map(str)
ATTRIBUTES = st.recursive(
    st.one_of(
        st.fixed_dictionaries({"S": st.text(st.characters(exclude_categories=["Cs"]), max_size=9)}),
        st.fixed_dictionaries({"N": NUMBERS}),
        st.fixed_dictionaries({"B": st.binary(max_size=9)}),
        st.just({"NULL": True}), st.fixed_dictionaries({"BOOL": st.booleans()}),
        st.fixed_dictionaries({"SS": st.sets(st.text("aé😀"), min_size=1, max_size=3).map(sorted)}),
        st.fixed_dictionaries({"NS": st.sets(st.integers(-1000, 1000).map(str), min_size=1, max_size=3).map(sorted)}),
    ),
    lambda inner: st.fixed_dictionaries({"L": st.lists(inner, max_size=3)})
    | st.fixed_dictionaries({"M": st.dictionaries(st.text("aé", max_size=3), inner, max_size=3)}),
    max_leaves=9,
)  # fmt: skip


@given(st.dictionaries(st.text("abé", min_size=1, max_size=5), ATTRIBUTES, max_size=5))
def test_another_implementation_finds_the_same_size(item):
    assert item_size(item) == _item_size_bytes(item)


@pytest.mark.parametrize("value", [b"", b"x", b"\xff" * 1000])
def test_bytes_count_the_same_as_base64_text(value):
    assert item_size({"a": {"B": b64encode(value).decode()}}) == item_size({"a": {"B": value}}) == 1 + len(value)


SPELLINGS = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.tuples(st.integers(-99, 99), st.integers(-3, 3)).map(lambda parts: f"{parts[0]}E{parts[1]}"),
    st.tuples(st.integers(0, 99), st.integers(0, 999)).map(lambda parts: f"{parts[0]:04d}.{parts[1]:03d}0"),
    PLAIN_NUMBERS.map(str),
)


@given(SPELLINGS, SPELLINGS)
def test_spellings_are_one_exactly_when_decimal_says_so(one, other):
    assert (canonical_number(one) == canonical_number(other)) == (Decimal(one) == Decimal(other))


@given(st.integers(-(10**20), 10**20) | st.integers(-30, 30), st.integers(0, 5))
def test_every_spelling_of_a_number_gives_one_text(number, zeros):
    spellings = [str(number), f"{number}.{'0' * zeros}", f"{number}{'0' * zeros}E-{zeros}", f"{number}E0"]
    spellings += [f"-{text}" for text in spellings if not number]
    assert len(set(map(canonical_number, spellings))) == 1


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
        ({"SS": ["a"]}, {"S": 'S["Sa"]'}),
        ({"SS": ["a"]}, {"S": 'S:["S:a"]'}),
        ({"BOOL": True}, {"B": b"OOLtrue"}),
        ({"NS": ["1"]}, {"SS": ["1"]}),
        ({"M": {"a": {"S": "x"}, "b": {"S": "y"}}}, {"M": {"a": {"S": 'x", "b": "y'}}}),
    ],
)
def test_different_attributes_stay_different(one, other):
    assert canonical_attribute(one) != canonical_attribute(other)


def test_sets_and_maps_have_no_order():
    assert canonical_attribute({"SS": ["a", "b"]}) == canonical_attribute({"SS": ["b", "a"]})
    one, other = {"a": {"N": "1.0"}, "b": {"S": "x"}}, {"b": {"S": "x"}, "a": {"N": "1"}}
    assert canonical_attribute({"M": one}) == canonical_attribute({"M": other})


SCALARS = st.one_of(
    st.text(st.sampled_from('SNBL:["a]1'), max_size=6).map(lambda value: {"S": value}),
    st.binary(max_size=3).map(lambda value: {"B": value}),
    st.integers(-3, 3).map(lambda value: {"N": str(value)}),
    st.sampled_from([{"NULL": True}, {"BOOL": True}, {"BOOL": False}]),
)
ATTRIBUTES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda value: {"L": value})
        | st.dictionaries(st.sampled_from(["a", "b", '"', ":"]), inner, max_size=2).map(lambda value: {"M": value})
    ),
    max_leaves=6,
)


@given(ATTRIBUTES, ATTRIBUTES)
def test_canonical_bytes_are_equal_exactly_when_values_are(one, other):
    deserialize = TypeDeserializer().deserialize
    assert (canonical_attribute(one) == canonical_attribute(other)) == same(deserialize(one), deserialize(other))


SETS = st.one_of(
    st.sets(st.text("Sa:", max_size=2), min_size=1).map(lambda value: {"SS": sorted(value)}),
    st.sets(st.binary(max_size=2), min_size=1).map(lambda value: {"BS": sorted(value)}),
)


@given(ATTRIBUTES | SETS, st.integers(0, 3), st.sampled_from("SB"))
def test_no_text_can_be_made_to_look_like_another_attribute(attribute, place, kind):
    seen = canonical_attribute(attribute)
    forged = {"S": seen[place:].decode("latin-1")} if kind == "S" else {"B": seen[place:]}
    assert (canonical_attribute(forged) == seen) == (forged == attribute)


@given(ATTRIBUTES)
def test_what_boto3_spells_anew_is_the_same_value(attribute):
    again = TypeSerializer().serialize(TypeDeserializer().deserialize(attribute))
    assert canonical_attribute(again) == canonical_attribute(attribute)


def same(one, other):
    """Python equality, but True is not 1, however deep."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return one == other


def test_depth_counts_lists_maps_and_what_they_hold():
    assert depth({"S": "x"}) == 1
    assert depth({"L": [{"S": "x"}]}) == 2
    assert depth({"L": [{"M": {"a": {"L": []}}}]}) == 3
