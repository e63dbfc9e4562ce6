"""Row -> item -> row: nothing is bent; what cannot be exact is rejected by name."""

import struct
from collections import Counter
from datetime import datetime
from decimal import Decimal

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from dataops.core.convert import Inexact
from dataops.core.item import item_size
from dataops.core.normalize import Codec
from dataops.core.records import Rejection
from dataops.core.schema import Column
from dataops.errors import SchemaMismatch
from tests.samples import batch_of, codec_of, column, stored, table_of


def returned(mysql_type, raw, nullable=True, **changes):
    """The raw value after the round trip through what boto3 itself makes of the item."""
    codec = codec_of(mysql_type, nullable, **changes)
    item = codec.encode(("1", raw))
    serialize, deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize
    through_boto3 = {name: serialize(deserialize(attribute)) for name, attribute in item.items()}
    return codec.decode(through_boto3)[1]


@pytest.mark.parametrize(
    ("mysql_type", "raw", "attribute"),
    [
        ("int(11)", "-5", {"N": "-5"}),
        ("int(8) unsigned zerofill", "00000042", {"N": "42"}),
        ("bigint(20) unsigned", "18446744073709551615", {"N": "18446744073709551615"}),
        ("tinyint(1)", "7", {"N": "7"}),
        ("year(4)", "2026", {"N": "2026"}),
        ("bit(12)", b"\x0a\xbc", {"N": "2748"}),
        ("decimal(12,2)", "1280.50", {"N": "1280.5"}),
        ("decimal(38,0)", "9" * 38, {"N": "9" * 38}),
        ("decimal(65,30)", "1.000000000000000000000000000000", {"S": "1.000000000000000000000000000000"}),
        ("double", "0.1", {"N": "0.1"}),
        ("double", "1e308", {"S": "1e+308"}),
        ("double", "5e-324", {"S": "5e-324"}),
        ("double", "-0", {"S": "-0.0"}),
        ("varchar(20)", "日本🎁 ", {"S": "日本🎁 "}),
        ("varchar(20)", "", {"NULL": True}),
        ("varchar(20)", None, {"NULL": True}),
        ("enum('a','b')", "b", {"S": "b"}),
        ("json", '{"a": 1.0}', {"S": '{"a": 1.0}'}),
        ("date", "2024-02-29", {"S": "2024-02-29"}),
        ("date", "0000-00-00", {"S": "0000-00-00"}),
        ("datetime(6)", "2024-02-29 23:59:59.000001", {"S": "2024-02-29T23:59:59.000001"}),
        ("datetime", "2023-02-31 00:00:00", {"S": "2023-02-31 00:00:00"}),
        ("datetime", "2023-00-00 00:00:00", {"S": "2023-00-00 00:00:00"}),
        ("timestamp(3)", "2024-02-29 23:59:59.125", {"S": "2024-02-29T23:59:59.125Z"}),
        ("time(6)", "-838:59:59.000001", {"S": "-838:59:59.000001"}),
        ("varbinary(9)", b"\0\xff", {"B": b"\0\xff"}),
        ("varbinary(9)", b"", {"B": b""}),
    ],
)
def test_each_type_is_stored_by_its_rule(mysql_type, raw, attribute):
    assert stored(mysql_type, raw) == attribute


@given(st.datetimes(min_value=datetime(1, 1, 1)))
def test_real_datetimes_are_what_isoformat_gives(moment):
    raw = moment.strftime("%H:%M:%S.%f")
    attribute = stored("datetime(6)", f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d} {raw}")
    assert attribute == {"S": moment.isoformat(timespec="microseconds")}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_returns_bit_for_bit(number):
    back = returned("double", repr(number))
    assert struct.pack(">d", float(back)) == struct.pack(">d", number)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**18), max_value=10**18, places=10))
def test_every_decimal_returns(number):
    assert Decimal(returned("decimal(30,10)", format(number, "f"))) == number


@given(st.integers(-(2**63), 2**64 - 1))
def test_every_integer_returns(number):
    assert returned("bigint(20)", str(number)) == str(number)


@given(st.text(min_size=1), st.sampled_from(["to_null", "keep", "omit"]))
def test_every_text_returns(text, policy):
    assert returned("longtext", text, normalize={"empty_string": policy}) == text


@given(st.binary())
def test_all_bytes_return(content):
    assert returned("blob", content) == content


@given(st.integers(1, 64).flatmap(lambda width: st.tuples(st.just(width), st.integers(0, 2**width - 1))))
def test_every_bit_returns(case):
    width, number = case
    raw = number.to_bytes((width + 7) // 8, "big")
    assert returned(f"bit({width})", raw) == raw


@pytest.mark.parametrize("raw", ["0000-00-00 00:00:00", "2023-02-31 12:00:00", "2024-02-29 23:59:59.125000"])
def test_dates_real_or_not_return_as_they_were(raw):
    assert returned("datetime(6)", raw) == raw
    assert returned("timestamp(6)", raw) == raw


@pytest.mark.parametrize(
    ("nullable", "policy", "attribute", "back", "emptied"),
    [
        (True, "to_null", {"NULL": True}, None, {"v": 1}),
        (True, "omit", None, None, {"v": 1}),
        (True, "keep", {"S": ""}, "", {}),
        (False, "to_null", {"NULL": True}, "", {}),
        (False, "omit", None, "", {}),
        (False, "keep", {"S": ""}, "", {}),
    ],
)
def test_an_empty_string_by_policy(nullable, policy, attribute, back, emptied):
    codec, count = codec_of("varchar(9)", nullable, normalize={"empty_string": policy}), Counter()
    item = codec.encode(("1", ""), count)
    assert item.get("v") == attribute
    assert codec.decode(item)[1] == back
    assert count == emptied


def test_a_rejected_row_counts_no_emptied_cell():
    source = table_of(column("v", "varchar(9)"), column("w", "text", nullable=False))
    codec, count = Codec(batch_of(dynamodb__sort_key="w"), source, None, None), Counter()
    assert isinstance(codec.encode(("1", "", ""), count), Rejection)
    assert count == {}
    codec.encode(("1", "", "x"), count)
    codec.encode(("2", "", "x"), count)
    assert count == {"v": 2}


@pytest.mark.parametrize("policy", ["to_null", "omit", "keep"])
def test_an_empty_string_is_a_matter_of_text_alone(policy):
    assert stored("varbinary(9)", b"", normalize={"empty_string": policy}) == {"B": b""}
    assert stored("int(11)", None, normalize={"empty_string": policy}) == {"NULL": True}


def test_a_rule_of_one_column_wins_over_the_batch():
    rule = {"columns": {"v": {"empty_string": "keep"}}}
    assert stored("varchar(9)", "", normalize=rule) == {"S": ""}


@pytest.mark.parametrize(
    ("mysql_type", "as_", "raw", "attribute"),
    [
        ("int(11)", "S", "5", {"S": "5"}),
        ("varchar(9)", "N", "5.5", {"N": "5.5"}),
        ("varchar(9)", "B", "é", {"B": "é".encode()}),
        ("set('a','b')", "set", "a,b", {"SS": ["a", "b"]}),
        ("tinyint(1)", "bool", "1", {"BOOL": True}),
        ("json", "document", '{"a": [1, "x", null]}', {"M": {"a": {"L": [{"N": "1"}, {"S": "x"}, {"NULL": True}]}}}),
    ],
)
def test_as_chooses_another_form_and_returns_the_same(mysql_type, as_, raw, attribute):
    rule = {"columns": {"v": {"as": as_}}}
    assert stored(mysql_type, raw, normalize=rule) == attribute
    codec = codec_of(mysql_type, normalize=rule)
    assert codec.decode({"id": {"N": "1"}, "v": attribute})[1] == raw


@pytest.mark.parametrize(
    ("mysql_type", "as_", "raw", "reason"),
    [
        ("tinyint(1)", "bool", "2", "is neither 0 nor 1"),
        ("varchar(9)", "N", "01", "a number would not keep this text exactly"),
        ("varchar(9)", "N", "abc", "is not a number"),
        ("set('1','2')", "N", "1,2", "is not a number"),
        ("int(4) zerofill", "bool", "0002", "is neither 0 nor 1"),
        ("tinyint(1)", "bool", "-1", "is neither 0 nor 1"),
        ("varchar(9)", "N", "1.50", "a number would not keep this text exactly"),
        ("varchar(9)", "N", "x", "is not a number"),
        ("varchar(9)", "N", "", "is not a number"),
        ("varchar(9)", "N", "1e5", "a number would not keep this text exactly"),
        ("varchar(9)", "N", "+5", "a number would not keep this text exactly"),
        ("varchar(9)", "N", " 5", "a number would not keep this text exactly"),
        ("varchar(9)", "N", "1_0", "a number would not keep this text exactly"),
        ("varchar(9)", "N", "５", "a number would not keep this text exactly"),
        ("varchar(9)", "N", "-0", "a number would not keep this text exactly"),
        ("varchar(9)", "N", "NaN", "a number would not keep this text exactly"),
        ("varchar(9)", "N", "Infinity", "a number would not keep this text exactly"),
        ("varchar(39)", "N", "9" * 39, "a number would not keep this text exactly"),
        ("varchar(200)", "N", f"0.{'0' * 130}1", "a number would not keep this text exactly"),
        ("bit(8)", "bool", b"\x02", "is neither 0 nor 1"),
        ("set('a')", "set", "", "DynamoDB has no empty set"),
        ("json", "document", '{"a": 123456789012345678901234567890123456789}', "holds a number of more than 38 digits"),
        ("json", "document", "[" * 33 + "]" * 33, "is nested deeper than 32 levels"),
        ("json", "document", "null", "is JSON null, which as a document could not be told from NULL"),
        ("text", "document", "{", "is not JSON"),
        ("text", "document", "", "is not JSON"),
        ("text", "document", "[NaN]", "is not JSON"),
        ("text", "document", "-Infinity", "is not JSON"),
        ("text", "document", "[" * 600 + "]" * 600, "is nested deeper than 32 levels"),
        ("text", "document", "[" * 100_000, "is nested deeper than 32 levels"),
        ("text", "document", '{"a": 1, "a": 2}', "holds an object with one name twice"),
        ("text", "document", '["\\ud800"]', "holds a text that UTF-8 cannot hold"),
        ("text", "document", "[1e400]", "holds a number out of DynamoDB's range"),
        ("text", "document", "[1e-200]", "holds a number out of DynamoDB's range"),
    ],
)
def test_a_value_that_a_rule_cannot_keep_is_rejected(mysql_type, as_, raw, reason):
    rule = {"empty_string": "keep", "columns": {"v": {"as": as_}}}
    assert stored(mysql_type, raw, normalize=rule) == Rejection({"id": "1"}, "v", reason)


TEXTS = ["char(9)", "varchar(9)", "longtext", "enum('a','')", "set('a','b')"]
RULES = {"S": TEXTS, "N": TEXTS, "B": TEXTS, "document": TEXTS, "set": ["set('a','b')"]}


@pytest.mark.parametrize(("as_", "mysql_type"), [(rule, of) for rule, types in RULES.items() for of in types])
@pytest.mark.parametrize("policy", ["to_null", "omit", "keep"])
def test_an_empty_string_in_a_column_that_is_not_null_returns_under_every_rule(policy, as_, mysql_type):
    rule = {"empty_string": policy, "columns": {"v": {"as": as_}}}
    codec, count = codec_of(mysql_type, nullable=False, normalize=rule), Counter()
    assert codec.decode(codec.encode(("1", ""), count))[1] == ""
    assert count == {}


@pytest.mark.parametrize(
    ("mysql_type", "raw"), [("varchar(9)", None), ("set('a')", None), ("json", None), ("bit(1)", None)]
)
@pytest.mark.parametrize("policy", ["to_null", "omit", "keep"])
def test_null_returns_as_null_under_every_rule(policy, mysql_type, raw):
    rules = {"varchar(9)": "N", "set('a')": "set", "json": "document", "bit(1)": "bool"}
    rule = {"empty_string": policy, "columns": {"v": {"as": rules[mysql_type]}}}
    assert returned(mysql_type, raw, normalize=rule) is None


VALUES = {
    "varchar(9)": (st.sampled_from(["", "", "5", "x", "é "]), ["S", "B", "N", "document"]),
    "text": (st.sampled_from(["", "-1.5", "[]", '{"a": 1}']), ["S", "B", "N", "document"]),
    "set('a','b')": (st.sampled_from(["", "a", "a,b"]), ["S", "set"]),
    "tinyint(1)": (st.sampled_from(["0", "1", "2"]), ["N", "S", "bool"]),
    "varbinary(9)": (st.sampled_from([b"", b"x"]), ["B"]),
    "datetime": (st.sampled_from(["0000-00-00 00:00:00", "2024-02-29 01:02:03"]), ["S"]),
}


@st.composite
def tables(draw):
    """A table's columns, a policy and a rule for each, and a few rows."""
    names = [f"c{place}" for place in range(draw(st.integers(1, 5)))]
    types = [draw(st.sampled_from(sorted(VALUES))) for _ in names]
    columns = [column(name, of, draw(st.booleans())) for name, of in zip(names, types, strict=True)]
    policies = st.sampled_from(["to_null", "omit", "keep"])
    rules = {
        name: {"as": draw(st.sampled_from(VALUES[of][1]))} | draw(st.just({}) | st.builds(dict, empty_string=policies))
        for name, of in zip(names, types, strict=True)
    }
    cells = [VALUES[of.column_type][0] | (st.none() if of.nullable else st.nothing()) for of in columns]
    rows = draw(st.lists(st.tuples(st.just("1"), *cells), max_size=6))
    return columns, {"empty_string": draw(policies), "columns": rules}, rows


@given(tables())
def test_a_row_differs_after_the_round_trip_by_the_counted_empty_strings_alone(case):
    columns, normalize, rows = case
    codec, emptied, expected = (
        Codec(batch_of(normalize=normalize), table_of(*columns), None, None),
        Counter(),
        Counter(),
    )
    for row in rows:
        item = codec.encode(row, emptied)
        if isinstance(item, Rejection):
            continue
        back = codec.decode(item)
        for of, before, after in zip(columns, row[1:], back[1:], strict=True):
            keeps = normalize["columns"][of.name].get("empty_string", normalize["empty_string"]) == "keep"
            empties = before == "" and of.nullable and not keeps
            expected[of.name] += empties
            assert after == (None if empties else before)
    assert emptied == expected


def test_a_rule_that_does_not_fit_the_type_is_refused():
    with pytest.raises(SchemaMismatch, match=r"normalize\.columns\.v\.as: varchar\(9\) cannot be stored as bool"):
        codec_of("varchar(9)", normalize={"columns": {"v": {"as": "bool"}}})


def test_an_item_over_400_kilobytes_is_rejected():
    assert stored("longtext", "x" * 409_600).reason == "the item is larger than 409,600 bytes"
    assert stored("longtext", "x" * 409_000) == {"S": "x" * 409_000}


def test_an_item_that_is_taken_still_fits_with_the_longest_stamp():
    name = "b" * 40
    border = next(
        size for size in range(409_600, 0, -1) if isinstance(stored("longtext", "x" * size, batch=name), dict)
    )
    item = codec_of("longtext", batch=name).encode(("1", "x" * border))
    assert item_size(item | {f"_gen_{name}": {"N": "9" * 38}}) <= 400 * 1024
    assert border > 409_500


def test_null_bound_for_a_target_column_that_forbids_it_is_rejected():
    target = table_of(column("v", "varchar(9)", nullable=False))
    expected = Rejection({"id": "1"}, "v", "is NULL, but the target column is NOT NULL")
    assert codec_of("varchar(9)", target=target).encode(("1", None)) == expected
    assert codec_of("varchar(9)", target=target).encode(("1", "")) == expected


def test_an_item_that_lacks_an_attribute_is_not_read_as_null():
    with pytest.raises(SchemaMismatch, match="an item lacks attribute v"):
        codec_of("varchar(9)").decode({"id": {"N": "1"}})


@pytest.mark.parametrize(
    "item",
    [{"v": {"N": "5"}}, {"v": {"S": "not a moment"}}, {"v": {"M": {}}}, {}],
    ids=["number", "text", "map", "nothing"],
)
def test_an_item_that_this_batch_did_not_write_is_not_bent_into_a_row(item):
    with pytest.raises(SchemaMismatch, match="attribute v"):
        codec_of("datetime").decode({"id": {"N": "1"}, **item})


def test_generated_columns_are_stored_but_not_written_back():
    generated = Column("twice", "int", "int(11)", generated=True)
    codec = Codec(batch_of(), table_of(column("v", "int(11)"), generated), None, None)
    item = codec.encode(("1", "2", "4"))
    assert item["twice"] == {"N": "4"}
    assert codec.decode(item) == ("1", "2")


def test_selected_columns_keep_the_order_of_the_table():
    source = table_of(column("a", "int(11)"), column("b", "int(11)"))
    codec = Codec(batch_of(source__columns=["b", "id"]), source, None, None)
    assert [of.name for of in codec.columns] == ["id", "b"]
    with pytest.raises(SchemaMismatch, match=r"column 'c' is not in table orders"):
        Codec(batch_of(source__columns=["id", "c"]), source, None, None)


def test_what_the_server_could_not_send_exactly_is_a_rejection_with_its_reason():
    codec = codec_of("json", transform=lambda row: row)
    for one in (codec_of("json"), codec):
        rejection = one.encode(("1", Inexact("holds a date inside")))
        assert rejection == Rejection({"id": "1"}, "v", "holds a date inside")
