"""What is told of a column before a row is read is what then becomes of its values."""

import pytest

from dataops.core.normalize import Codec
from dataops.core.policy import column_policies
from dataops.core.records import Rejection
from dataops.core.schema import Column
from dataops.errors import SchemaMismatch
from tests.samples import batch_of, column, table_of


def policy_of(mysql_type, nullable=True, as_=None, empty_string="to_null", **changes):
    """The policy of a column `v`, which is a MySQL type or a column."""
    of = mysql_type if isinstance(mysql_type, Column) else column("v", mysql_type, nullable)
    rule = {"empty_string": empty_string, "columns": {"v": {"as": as_}} if as_ else {}}
    return column_policies(batch_of(normalize=rule, **changes), table_of(of))[-1]


@pytest.mark.parametrize(
    ("mysql_type", "as_", "stored"),
    [
        ("int(11)", None, "N"), ("int(11)", "S", "S"), ("tinyint(1)", "bool", "BOOL"), ("decimal(38,2)", None, "N"),
        ("decimal(39,2)", None, "S (over 38 digits)"), ("double", None, "N (S out of its range)"), ("bit(4)", None, "N"),
        ("varchar(9)", None, "S"), ("varchar(9)", "N", "N"), ("varchar(9)", "B", "B (UTF-8)"), ("json", None, "S (JSON text)"),
        ("json", "document", "document (M, L, ...)"), ("set('a')", "set", "SS"), ("date", None, "S (ISO-8601)"),
        ("datetime", None, "S (ISO-8601)"), ("timestamp(3)", None, "S (ISO-8601 UTC)"), ("time", None, "S (HHH:MM:SS)"),
        ("blob", None, "B"), ("point", None, "B"),
    ],
)  # fmt: skip
def test_a_policy_names_the_attribute(mysql_type, as_, stored):
    assert policy_of(mysql_type, as_=as_).stored == stored


@pytest.mark.parametrize(
    ("nullable", "empty_string", "as_", "empty", "lost"),
    [
        (True, "to_null", None, "NULL", ("'' returns as NULL",)),
        (True, "omit", None, "left out", ("'' returns as NULL",)),
        (True, "keep", None, "kept", ()),
        (False, "to_null", None, "NULL, returns as ''", ()),
        (False, "omit", None, "left out, returns as ''", ()),
        (False, "keep", None, "kept", ()),
        (True, "to_null", "N", "NULL", ("'' returns as NULL",)),
        (True, "keep", "N", "rejected", ()),
        (False, "keep", "N", "NULL, returns as ''", ()),
    ],
)
def test_a_policy_says_what_becomes_of_an_empty_string(nullable, empty_string, as_, empty, lost):
    found = policy_of("varchar(9)", nullable, as_, empty_string)
    assert (found.empty, found.lost) == (empty, lost)


@pytest.mark.parametrize(
    ("empty_string", "nullable", "empty"),
    [("to_null", True, "left out"), ("keep", True, "rejected"), ("keep", False, "left out, returns as ''")],
)
def test_an_empty_string_that_keys_an_index_is_left_out_or_rejected(empty_string, nullable, empty):
    changes = {"dynamodb__indexes": [{"name": "by-v", "partition_key": "v"}]}
    assert policy_of("varchar(9)", nullable, empty_string=empty_string, **changes).empty == empty


@pytest.mark.parametrize("key", ["v", {"name": "pk", "template": "V#{v}"}])
def test_an_empty_string_that_keys_the_table_is_rejected(key):
    found = policy_of("varchar(9)", False, dynamodb__partition_key=key)
    assert (found.empty, found.lost, found.refused) == ("rejected", (), ("is empty, and keys the item",))


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (column("v", "json"), "holds a DECIMAL, date or binary inside JSON, which JSON text cannot carry"),
        (Column("v", "varchar", "varchar(9)", charset="big5"), "holds big5 text that Unicode cannot carry"),
        (column("v", "enum('a','')"), "is ENUM index 0, which cannot be told from its member ''"),
        (column("v", "longtext"), "the item is larger than 409,600 bytes"),
        (column("v", "mediumblob"), "the item is larger than 409,600 bytes"),
    ],
)
def test_a_policy_gives_the_reasons_of_rejections(of, reason):
    assert reason in policy_of(of).refused


def test_columns_that_are_small_together_make_no_item_too_large():
    several = [Column(f"c{place}", "text", "text", charset="utf8mb4") for place in range(7)]
    assert {policy.refused for policy in column_policies(batch_of(), table_of(*several[:6]))} == {()}
    assert column_policies(batch_of(), table_of(*several))[-1].refused == ("the item is larger than 409,600 bytes",)


@pytest.mark.parametrize(
    ("mysql_type", "changes", "reason"),
    [
        ("varchar(513)", {"dynamodb__partition_key": "v"}, "the key is over 2,048 bytes"),
        ("varchar(300)", {"dynamodb__sort_key": "v"}, "the key is over 1,024 bytes"),
        (
            "varchar(200)",
            {"dynamodb__partition_key": {"name": "p", "template": "V#{v}"}},
            "the key is over 2,048 bytes",
        ),
        ("double", {"dynamodb__sort_key": "v"}, "the key is a number that DynamoDB does not hold (-0, 1e126)"),
    ],
)
def test_a_key_that_can_be_too_long_or_no_number_is_told(mysql_type, changes, reason):
    assert reason in policy_of(mysql_type, False, **changes).refused
    assert policy_of("varchar(50)", False, dynamodb__sort_key="v").refused == ("is empty, and keys the item",)


@pytest.mark.parametrize("mysql_type", ["int(11)", "decimal(65,30)", "datetime", "timestamp", "bit(8)", "date", "time"])
def test_nothing_is_lost_or_rejected_where_nothing_can_be(mysql_type):
    found = policy_of(mysql_type)
    assert (found.empty, found.lost, found.refused) == ("", (), ())


VALUES = [
    ("text", "document", ['{"b":1, "a": 2}', "[1.0]", "[1e400]", "{", '{"a": 1, "a": 1}', "null", "[" * 40 + "]" * 40,
                          '["\\ud800"]', f"[{'9' * 39}]", "", '"\\u00e9"']),
    ("json", "document", ["[1.0]", "[1e200]", '{"a": 1}', "null"]),
    ("varchar(9)", "N", ["01", "abc", "1e5", " 1", "", "1"]),
    ("varchar(9)", "B", ["", "é"]),
    ("set('a','b')", "set", ["", "a,b"]),
    ("tinyint(1)", "bool", ["2", "1"]),
    ("bit(8)", "bool", [b"\2"]),
]  # fmt: skip


@pytest.mark.parametrize("empty_string", ["to_null", "keep"])
@pytest.mark.parametrize(("mysql_type", "as_", "raws"), VALUES, ids=[f"{of[0]} as {of[1]}" for of in VALUES])
def test_every_rejection_and_every_difference_was_told(mysql_type, as_, raws, empty_string):
    batch = batch_of(normalize={"empty_string": empty_string, "columns": {"v": {"as": as_}}})
    table = table_of(column("v", mysql_type))
    codec, told = Codec(batch, table, None, None), column_policies(batch, table)[-1]
    for raw in raws:
        item = codec.encode(("1", raw))
        if isinstance(item, Rejection):
            assert item.reason in " ".join(told.refused)
        else:
            assert codec.decode(item)[1] == raw or told.lost


def test_a_rule_that_does_not_fit_is_told_before_anything_is_read():
    with pytest.raises(SchemaMismatch, match=r"normalize\.columns\.v\.as: decimal\(65,30\) has up to 65 digits"):
        policy_of("decimal(65,30)", as_="N")
