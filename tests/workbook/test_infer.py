"""Drafts: sensible keys, names that every service takes, a refusal where nothing tells rows apart."""

from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataops.batch import BATCH_NAME, DYNAMODB_NAME
from dataops.core.fit import require_fit
from dataops.core.schema import ForeignKey, Table, UniqueKey
from dataops.errors import SchemaMismatch
from dataops.workbook.infer import batch_name, dynamodb_name, infer_batch
from tests.samples import batch_of, column, table_of

A, B, C = (column(name, "int(11)", nullable=False) for name in "abc")
D = column("d", "date", nullable=False)


@pytest.mark.parametrize(
    ("columns", "key", "keys"),
    [
        ((A,), ("a",), {"partition_key": "a", "key_types": {"a": "N"}}),
        ((A, D), ("d", "a"), {"partition_key": "d", "sort_key": "a", "key_types": {"d": "S", "a": "N"}}),
        (
            (A, B, C),
            ("a", "b", "c"),
            {"partition_key": "a", "sort_key": {"name": "sk", "template": "{b}#{c}"}, "key_types": {"a": "N"}},
        ),
        (
            (A, B, C, column("sk", "int(11)")),
            ("a", "b", "c"),
            {"partition_key": "a", "sort_key": {"name": "_sk", "template": "{b}#{c}"}, "key_types": {"a": "N"}},
        ),
    ],
)
def test_the_primary_key_becomes_the_dynamodb_key(columns, key, keys):
    draft = infer_batch(table_of(*columns, key=key))
    assert draft["dynamodb"] == {"table": "orders", **keys}


def test_a_unique_key_without_nulls_stands_in_for_a_primary_key():
    nullable, sound = UniqueKey("n", ("v",)), UniqueKey("u", ("a",))
    table = Table("shop", "orders", (A, column("v", "int(11)")), (nullable, sound))
    assert infer_batch(table)["dynamodb"]["partition_key"] == "a"


@pytest.mark.parametrize("keys", [(), (UniqueKey("n", ("v",)),)])
def test_a_table_without_a_sound_key_is_refused(keys):
    with pytest.raises(SchemaMismatch, match="no primary key and no unique key without NULLs"):
        infer_batch(Table("shop", "orders", (A, column("v", "int(11)")), keys))


def test_a_geometry_is_no_key():
    place = column("place", "point", nullable=False)
    with pytest.raises(SchemaMismatch, match=r"key column 'place' \(point\) is no key"):
        infer_batch(Table("shop", "orders", (place,), (UniqueKey("PRIMARY", ("place",)),)))


@pytest.mark.parametrize(
    ("mysql_type", "can_key"), [("int(11)", True), ("varbinary(9)", True), ("json", False), ("point", False)]
)
def test_infer_and_plan_agree_on_what_can_be_a_key(mysql_type, can_key):
    table = table_of(column("k", mysql_type, nullable=False), key=("k",))
    batch = batch_of(dynamodb__partition_key="k")
    for use in (lambda: infer_batch(table), lambda: require_fit(batch, table, None)):
        with nullcontext() if can_key else pytest.raises(SchemaMismatch, match="'k'"):
            use()


def test_the_mode_is_what_the_target_allows():
    plain = table_of(A)
    tied = Table(
        "shop", "orders", plain.columns, plain.keys, incoming=(ForeignKey("f", "x", "orders", "RESTRICT", "RESTRICT"),)
    )
    assert [infer_batch(plain, target)["target"]["mode"] for target in (None, plain, tied)] == [
        "swap",
        "swap",
        "upsert",
    ]


@given(st.text(min_size=1, max_size=64))
def test_any_table_name_gives_names_that_are_taken(name):
    assert BATCH_NAME.fullmatch(batch_name(name))
    assert DYNAMODB_NAME.fullmatch(dynamodb_name(name))


@given(st.lists(st.text(st.sampled_from("ab 語-_"), min_size=1, max_size=4), min_size=2, max_size=2, unique=True))
def test_different_tables_never_share_a_name(names):
    assert batch_name(names[0]) != batch_name(names[1])
    assert dynamodb_name(names[0]) != dynamodb_name(names[1])
