"""Each column type's way into DynamoDB JSON and back, held against boto3 and Python's own types."""

import json
import math
import struct
from datetime import date, datetime, timedelta
from decimal import Context, Decimal

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from dataops.batch import ColumnRule
from dataops.core.convert import converter_of, iso_datetime, trim_zeros
from dataops.core.item import Unstorable
from dataops.core.normalize import Codec
from dataops.core.records import Rejection
from dataops.errors import SchemaMismatch
from tests.samples import batch_of, column, table_of


def through_boto3(attribute):
    """The attribute as boto3 itself reads and writes it; its number context refuses what DynamoDB cannot hold."""
    return TypeSerializer().serialize(TypeDeserializer().deserialize(attribute))


def there_and_back(mysql_type, raw, rule=None):
    """A raw value after its way through an item, under `keep`."""
    columns = {"v": {"as": rule}} if rule else {}
    batch = batch_of(normalize={"empty_string": "keep", "columns": columns})
    codec = Codec(batch, table_of(column("v", mysql_type)), None, None)
    item = codec.encode(("1", raw))
    assert not isinstance(item, Rejection), item.reason
    return codec.decode({name: through_boto3(attribute) for name, attribute in item.items()})[1]


def integers(bits, signed=True):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high).map(str)


def decimals(precision, scale):
    """Texts as MySQL writes a DECIMAL: every digit of the scale is there."""
    limit = 10**precision - 1
    return st.integers(-limit, limit).map(lambda number: format(Decimal(f"{number}E-{scale}"), "f"))


def bits(width):
    return st.integers(0, 2**width - 1).map(lambda number: number.to_bytes((width + 7) // 8, "big"))


def mysql_datetime(moment, digits):
    fraction = f".{moment.microsecond:06d}"[: digits + 1] if digits else ""
    return f"{moment.year:04d}-{moment:%m-%d %H:%M:%S}{fraction}"


def mysql_time(span):
    sign, span = ("-", -span) if span < timedelta() else ("", span)
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}.{span.microseconds:06d}"


def ieee(width):
    return lambda raw: struct.pack({32: ">f", 64: ">d"}[width], float(raw))


TEXT = st.text()
DATES = st.dates(date(1, 1, 1)).map(date.isoformat)
SPANS = st.timedeltas(-timedelta(hours=838, minutes=59, seconds=59), timedelta(hours=838, minutes=59, seconds=59))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**38) + 1, 10**38 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
CASES = {
    "tinyint(1)": (integers(8), int),
    "smallint(6)": (integers(16), int),
    "mediumint(9) unsigned": (integers(24, signed=False), int),
    "int(11)": (integers(32), int),
    "bigint(20)": (integers(64), int),
    "bigint(20) unsigned": (integers(64, signed=False), int),
    "year(4)": (st.sampled_from(["0000", "1901", "2000", "2026", "2155"]), str),
    "bit(1)": (bits(1), bytes),
    "bit(12)": (bits(12), bytes),
    "bit(64)": (bits(64), bytes),
    "decimal(12,2)": (decimals(12, 2), Decimal),
    "decimal(38,0)": (decimals(38, 0), Decimal),
    "decimal(38,30)": (decimals(38, 30), Decimal),
    "decimal(39,0)": (decimals(39, 0), str),
    "decimal(65,30)": (decimals(65, 30), str),
    "float": (st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr), ieee(32)),
    "double": (DOUBLES.map(repr), ieee(64)),
    "char(20)": (TEXT, str),
    "longtext": (TEXT, str),
    "enum('a','b','')": (st.sampled_from(["a", "b", ""]), str),
    "set('b','a')": (st.sampled_from(["", "a", "b", "b,a"]), str),
    "json": (JSON.map(json.dumps), str),
    "date": (DATES | st.sampled_from(["0000-00-00", "2023-02-31", "2023-00-00", "0000-01-01"]), str),
    "datetime": (st.datetimes().map(lambda moment: mysql_datetime(moment, 0)), str),
    "datetime(6)": (st.datetimes().map(lambda moment: mysql_datetime(moment, 6)), str),
    "timestamp(3)": (st.datetimes(datetime(1970, 1, 2)).map(lambda moment: mysql_datetime(moment, 3)), str),
    "time(6)": (SPANS.map(mysql_time), str),
    "binary(4)": (st.binary(min_size=4, max_size=4), bytes),
    "longblob": (st.binary(), bytes),
    "point": (st.binary(min_size=25, max_size=25), bytes),
    "uuid": (st.uuids().map(str), str),
}


@pytest.mark.parametrize("mysql_type", CASES)
@given(st.data())
def test_every_value_of_every_type_comes_back_the_same(mysql_type, data):
    raws, read = CASES[mysql_type]
    raw = data.draw(raws)
    assert read(there_and_back(mysql_type, raw)) == read(raw)


@pytest.mark.parametrize("mysql_type", CASES)
@given(st.data())
def test_what_a_transform_sees_goes_back_unchanged(mysql_type, data):
    raws, read = CASES[mysql_type]
    converter, raw = converter_of(column("v", mysql_type)), data.draw(raws)
    assert read(converter.format(converter.parse(raw))) == read(raw)


RULED = [
    ("int(11)", "S", integers(32), str),
    ("decimal(12,2)", "S", decimals(12, 2), str),
    ("double", "S", DOUBLES.map(repr), str),
    ("varchar(9)", "N", st.integers(-(10**38) + 1, 10**38 - 1).map(str), str),
    ("varchar(9)", "N", decimals(38, 5).map(trim_zeros), str),
    ("varchar(9)", "B", TEXT, str),
    ("set('b','it''s','a')", "set", st.sampled_from(["a", "b,it's", "it's,a", "b,it's,a"]), str),
    ("tinyint(1)", "bool", st.sampled_from("01"), str),
    ("bit(1)", "bool", st.sampled_from([b"\0", b"\1"]), bytes),
    ("json", "document", JSON.filter(lambda value: value is not None).map(json.dumps), json.loads),
    ("json", "document", DOUBLES.filter(lambda n: 1e-130 < abs(n) < 1e125 and n % 1).map(repr), float),
]


@pytest.mark.parametrize(("mysql_type", "rule", "raws", "read"), RULED, ids=[f"{t} as {r}" for t, r, *_ in RULED])
@given(st.data())
def test_every_value_under_a_rule_comes_back_the_same(mysql_type, rule, raws, read, data):
    raw = data.draw(raws)
    assert read(there_and_back(mysql_type, raw, rule)) == read(raw)


@pytest.mark.parametrize("number", ["0.12345678901234567890123", "123456789012345678901234567890.5", "9" * 38])
def test_a_number_in_a_document_keeps_all_its_digits(number):
    back = there_and_back("longtext", f'{{"a": [{number}]}}', "document")
    assert json.loads(back, parse_float=Decimal, parse_int=Decimal) == {"a": [Decimal(number)]}


REAL = [("1.0", False), ("1", True), ("-0.0", False), ("100000.0", False), ("1e15", False), ("1e20", True),
        ("1.8446744073709552e19", True), ("18446744073709551615", True), ("-9223372036854775808", True), ("1e-20", True),
        ("2.5e-7", True), ("0.10", True)]  # fmt: skip


@pytest.mark.parametrize(("number", "kept"), REAL)
def test_a_number_in_mysql_s_json_comes_back_as_the_same_double_or_is_refused(number, kept):
    codec = Codec(batch_of(normalize={"columns": {"v": {"as": "document"}}}), table_of(column("v", "json")), None, None)
    item = codec.encode(("1", f"[{number}]"))
    if kept:
        assert json.loads(codec.decode(item)[1], parse_int=float) == [float(number)]
    else:
        assert item.reason == "holds a number that DynamoDB would spell otherwise (1.0)"


@pytest.mark.parametrize("number", ["1.0", "-0", "-0.0", "1e5", "1E-100", "1e20", "2.50"])
def test_a_number_in_a_text_keeps_its_spelling_or_is_refused(number):
    codec = Codec(batch_of(normalize={"columns": {"v": {"as": "document"}}}), table_of(column("v", "text")), None, None)
    assert (
        codec.encode(("1", f'{{"a": {number}}}')).reason == "holds a number that DynamoDB would spell otherwise (1.0)"
    )


def test_a_document_has_one_text_in_the_order_that_mysql_sorts_names():
    first, second = '{"a": 2, "bb": 1, "é": 3}', '{"é": 3, "bb": 1, "a": 2}'
    assert there_and_back("text", first, "document") == there_and_back("text", second, "document") == first


@pytest.mark.parametrize(
    ("mysql_type", "rule", "raw"),
    [
        ("int(4) zerofill", "S", "0042"), ("bigint(20) unsigned", "S", str(2**64 - 1)), ("year(4)", "S", "0000"),
        ("decimal(65,30)", "S", "1." + "0" * 30), ("decimal(12,2)", "S", "-0.50"), ("float", "S", "0.1"),
        ("double", "S", "-0"), ("date", "S", "0000-00-00"), ("date", "S", "2023-02-31"),
        ("datetime", "S", "2023-00-00 00:00:00"), ("datetime(6)", "S", "2024-02-29 23:59:59.000001"),
        ("timestamp", "S", "0000-00-00 00:00:00"), ("time(3)", "S", "-838:59:59.000"), ("json", "S", '{"a":1.0, "a": 2}'),
        ("text", "S", " a "), ("enum('a','')", "S", ""), ("set('a','b')", "S", "a,b"), ("char(3)", "N", "-5"),
        ("enum('1','2')", "N", "2"), ("set('1','2')", "N", "1"), ("longtext", "B", "日本🎁\0 "), ("enum('é')", "B", "é"),
        ("set('é','a')", "B", "é,a"), ("varbinary(9)", "B", b"\0\xff"), ("blob", "B", b""), ("point", "B", b"\0" * 25),
        ("int(4) zerofill", "N", "0042"), ("bit(12)", "N", b"\x0a\xbc"), ("decimal(38,2)", "N", "1280.50"),
        ("double", "N", "0.1"), ("bit(64)", "bool", b"\0" * 7 + b"\1"), ("bigint(20)", "bool", "0"),
        ("tinyint(2) zerofill", "bool", "01"), ("json", "document", '{"a": [1, 2.5, true, null, {"b": "é"}]}'),
        ("json", "document", "5"), ("json", "document", '"x"'), ("varchar(9)", "document", "[]"),
    ],
)  # fmt: skip
def test_a_column_comes_back_under_every_rule_that_fits_it(mysql_type, rule, raw):
    read = int if mysql_type.endswith("zerofill") and rule != "S" else lambda value: value
    if mysql_type.startswith("decimal"):
        read = Decimal
    assert read(there_and_back(mysql_type, raw, rule)) == read(raw)


def test_a_set_that_a_transform_gives_otherwise_than_mysql_writes_it_is_refused():
    store = converter_of(column("v", "set('b','a')"), ColumnRule(as_="set")).store
    for raw in ("a,b", "a,a"):
        with pytest.raises(Unstorable):
            store(raw)


@pytest.mark.parametrize("mysql_type", ["decimal(39,0)", "decimal(65,30)"])
def test_a_decimal_that_no_number_holds_cannot_be_one(mysql_type):
    digits = column("v", mysql_type).precision
    message = rf"normalize\.columns\.v\.as: decimal.* has up to {digits} digits, and a DynamoDB number holds 38"
    with pytest.raises(SchemaMismatch, match=message):
        converter_of(column("v", mysql_type), ColumnRule(as_="N"))


@given(st.text(st.sampled_from("0123456789.-+eE_ ５NaInfity"), min_size=1, max_size=8))
def test_a_text_as_number_comes_back_the_same_or_is_refused(text):
    codec = Codec(batch_of(normalize={"columns": {"v": {"as": "N"}}}), table_of(column("v", "varchar(9)")), None, None)
    item = codec.encode(("1", text))
    if not isinstance(item, Rejection):
        assert codec.decode({name: through_boto3(of) for name, of in item.items()})[1] == text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=8))
def test_trimmed_text_is_the_same_number_in_its_shortest_plain_form(number):
    trimmed = trim_zeros(format(number, "f"))
    assert Decimal(trimmed) == number
    assert trimmed == (format(number.normalize(Context(prec=60)), "f") if number else "0")


@pytest.mark.parametrize(
    ("text", "trimmed"),
    [("-0.00", "0"), ("-0", "0"), ("000", "0"), ("-0.10", "-0.1"), ("0042", "42"), ("100", "100"), ("10.010", "10.01")],
)
def test_zeros_that_say_nothing_are_trimmed(text, trimmed):
    assert trim_zeros(text) == trimmed


@given(st.datetimes(), st.sampled_from(["", "Z"]))
def test_a_real_moment_is_iso_8601_as_python_reads_it(moment, zone):
    text = iso_datetime(mysql_datetime(moment, 6), zone)
    assert datetime.fromisoformat(text).replace(tzinfo=None) == moment
    assert (datetime.fromisoformat(text).utcoffset() == timedelta()) == bool(zone)


@pytest.mark.parametrize(
    "raw",
    ["0000-00-00 00:00:00", "2023-02-29 00:00:00", "2024-00-10 00:00:00", "2024-01-00 00:00:00", "0000-01-01 00:00:00",
     "2023-04-31 00:00:00", "1900-02-29 00:00:00.5"],
)  # fmt: skip
def test_a_date_that_python_does_not_know_stays_literal(raw):
    with pytest.raises(ValueError):
        datetime.fromisoformat(raw)
    assert iso_datetime(raw) == iso_datetime(raw, "Z") == raw


@pytest.mark.parametrize(
    ("raw", "kind"),
    [("1E-130", "N"), ("9.99e125", "N"), ("1e-131", "S"), ("1e126", "S"), ("1e308", "S"), ("5e-324", "S"), ("-0", "S"),
     ("0", "N"), ("-9.99e125", "N"), ("-1e126", "S")],
)  # fmt: skip
def test_a_double_is_a_number_where_dynamodb_can_hold_it(raw, kind):
    attribute = converter_of(column("v", "double")).store(raw)
    assert list(attribute) == [kind]
    assert math.copysign(1, float(attribute[kind])) == math.copysign(1, float(raw))


@pytest.mark.parametrize(
    ("mysql_type", "rule", "key_type"),
    [
        ("int(11)", None, "N"), ("int(11)", "S", "S"), ("decimal(38,2)", None, "N"), ("decimal(39,2)", None, "S"),
        ("bit(8)", None, "N"), ("varchar(9)", None, "S"), ("varchar(9)", "N", "N"), ("varchar(9)", "B", "B"),
        ("datetime", None, "S"), ("varbinary(9)", None, "B"),
    ],
)  # fmt: skip
def test_a_key_has_the_type_that_its_column_is_stored_as(mysql_type, rule, key_type):
    assert converter_of(column("v", mysql_type), ColumnRule(as_=rule)).key_type == key_type


@pytest.mark.parametrize(
    ("mysql_type", "rule"),
    [
        ("varchar(9)", "set"), ("varchar(9)", "bool"), ("int(11)", "B"), ("int(11)", "document"), ("blob", "S"),
        ("blob", "N"), ("bit(8)", "S"), ("point", "S"), ("datetime", "N"), ("json", "N"), ("double", "B"),
        ("enum('a')", "set"), ("decimal(5,0)", "bool"), ("date", "document"),
    ],
)  # fmt: skip
def test_a_rule_that_does_not_fit_the_type_is_refused(mysql_type, rule):
    with pytest.raises(SchemaMismatch, match=rf"normalize\.columns\.v\.as: .* cannot be stored as {rule}$"):
        converter_of(column("v", mysql_type), ColumnRule(as_=rule))


def test_a_type_that_nobody_knows_is_refused():
    with pytest.raises(SchemaMismatch, match=r"column v: type vector\(3\) is not supported"):
        converter_of(column("v", "vector(3)"))
