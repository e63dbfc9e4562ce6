"""Digests see every difference and no order."""

import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dataops.core.digest import add_digest, canonical_item, canonical_row, sum_digests
from tests.samples import column

PARTS = st.lists(st.binary(max_size=20), max_size=12)


@given(PARTS, st.randoms())
def test_order_does_not_matter(parts, chance):
    shuffled = [*parts]
    chance.shuffle(shuffled)
    assert add_digest("0", parts) == add_digest("0", shuffled)


@given(PARTS, PARTS)
def test_digests_of_parts_add_up(one, other):
    whole = add_digest("0", [*one, *other])
    assert sum_digests([add_digest("0", one), add_digest("0", other)]) == whole
    assert add_digest(add_digest("0", one), other) == whole
    assert sum_digests([whole], less=add_digest("0", other)) == add_digest("0", one)


@given(PARTS, st.binary(max_size=20))
def test_one_row_more_is_seen_even_if_it_is_there_already(parts, extra):
    assert add_digest("0", [*parts, extra]) != add_digest("0", parts)
    assert add_digest("0", [*parts, extra, extra]) != add_digest("0", parts)


def test_text_keeps_its_spaces_and_decimals_lose_their_zeros():
    price, name = column("price", "decimal(10,2)"), column("name", "varchar(20)")
    assert canonical_row(("1.50", "a"), (price, name)) == canonical_row(("1.5", "a"), (price, name))
    assert canonical_row(("1.50", "a"), (price, name)) != canonical_row(("1.50", "a "), (price, name))
    assert canonical_row(("1.50", "1.50"), (price, name)) != canonical_row(("1.50", "1.5"), (price, name))


@pytest.mark.parametrize(
    ("mysql_type", "one", "other", "same"),
    [
        ("decimal(10,2)", "1.50", "1.5", True),
        ("decimal(10,2)", "-0.00", "0.00", True),
        ("varchar(9)", "1.50", "1.5", False),
        ("varchar(9)", "a", "a ", False),
        ("varchar(9)", "a", "A", False),
        ("varchar(9)", "é", "e\u0301", False),
        ("varchar(9)", "", None, False),
        ("varchar(9)", "-", None, False),
        ("int(5) zerofill", "00042", "42", True),
        ("double", "0", "-0", False),
        ("double", "1e2", "100", True),
        ("double", "0.1", "0.10000000000000002", False),
        ("bit(12)", b"\x00\x01", b"\x01", True),
        ("varbinary(9)", b"\x00\x01", b"\x01", False),
        ("varbinary(9)", b"\x00", b"\x01", False),
        ("datetime(6)", "2024-01-01 00:00:00.500000", "2024-01-01 00:00:00.5", True),
        ("datetime(6)", "2024-01-01 00:00:10", "2024-01-01 00:00:01", False),
        ("time", "100:00:00", "10:00:00", False),
        ("json", '{"a": 1, "b": 2}', '{"b":2,"a":1.0}', True),
        ("json", "[1, 2]", "[2, 1]", False),
        ("json", "1", "true", False),
        ("json", "1", '"1"', False),
        ("json", "1", '{"#": "1"}', False),
        ("json", '{"a": 1, "a": 2}', '{"a": 2}', False),
        ("json", f"1.{'0' * 30}1", f"1.{'0' * 30}2", False),
        ("json", "1e1000000", "1", False),
    ],
)
def test_rows_are_one_exactly_when_mysql_holds_the_same(mysql_type, one, other, same):
    columns = (column("v", mysql_type),)
    assert (canonical_row((one,), columns) == canonical_row((other,), columns)) is same


@given(PARTS.filter(bool), st.integers(min_value=0), st.integers(0, 7))
def test_one_bit_is_seen(parts, place, bit):
    changed = [*parts]
    part = bytearray(changed[place % len(parts)] or b"\0")
    part[place % len(part)] ^= 1 << bit
    changed[place % len(parts)] = bytes(part)
    assert add_digest("0", changed) != add_digest("0", parts)


TEXTS = st.tuples(*[st.none() | st.text(st.sampled_from("aS:-"), max_size=5)] * 2)


@given(TEXTS, TEXTS)
@example(("aSb", "c"), ("a", "bSc"))
@example(("aS:b", "c"), ("a", "bS:c"))
def test_rows_are_one_exactly_when_their_tuples_are(one, other):
    columns = (column("a", "text"), column("b", "text"))
    assert (canonical_row(one, columns) == canonical_row(other, columns)) == (one == other)
    items = [
        {name: {"S": text} for name, text in zip("ab", row, strict=True) if text is not None} for row in (one, other)
    ]
    assert (canonical_item(items[0], "ab") == canonical_item(items[1], "ab")) == (one == other)


def test_a_digest_is_a_sum_of_sha256_hashes():
    hashes = [int(hashlib.sha256(part).hexdigest(), 16) for part in (b"a", b"b")]
    assert add_digest("0", [b"a", b"b"]) == f"{sum(hashes) % 2**256:x}"
    assert sum_digests([]) == "0"


def test_other_attributes_of_an_item_do_not_count():
    item = {"a": {"S": "x"}}
    assert canonical_item(item | {"_gen_b": {"N": "7"}}, ("a",)) == canonical_item(item, ("a",))
