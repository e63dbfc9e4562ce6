"""Digests see every difference and no order."""

from hypothesis import given
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


@given(PARTS, st.binary(max_size=20))
def test_one_row_more_is_seen_even_if_it_is_there_already(parts, extra):
    assert add_digest("0", [*parts, extra]) != add_digest("0", parts)
    assert add_digest("0", [*parts, extra, extra]) != add_digest("0", parts)


def test_text_keeps_its_spaces_and_decimals_lose_their_zeros():
    price, name = column("price", "decimal(10,2)"), column("name", "varchar(20)")
    assert canonical_row(("1.50", "a"), (price, name)) == canonical_row(("1.5", "a"), (price, name))
    assert canonical_row(("1.50", "a"), (price, name)) != canonical_row(("1.50", "a "), (price, name))
    assert canonical_row(("1.50", "1.50"), (price, name)) != canonical_row(("1.50", "1.5"), (price, name))


def test_values_cannot_slide_from_one_column_into_the_next():
    assert canonical_item({"a": {"S": "xy"}, "b": {"S": "z"}}, ("a", "b")) != canonical_item(
        {"a": {"S": "x"}, "b": {"S": "yz"}}, ("a", "b")
    )


def test_other_attributes_of_an_item_do_not_count():
    item = {"a": {"S": "x"}}
    assert canonical_item(item | {"_gen_b": {"N": "7"}}, ("a",)) == canonical_item(item, ("a",))
