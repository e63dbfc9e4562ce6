"""A scan's page as the text of its rows: what the plain codec gives, or None where the plain way has to say what it is."""

import json
from base64 import b64encode

import pytest

from dataops.core.infile import values_of
from dataops.core.itemcode import ESCAPE, FIELD, HEX, NULL, ROW, PageFunction, plain_page, why_items
from dataops.core.normalize import Codec
from tests.samples import batch_of, column, table_of

STAMP = "_gen_orders"
COLUMNS = {
    "n": "int", "y": "year", "bits": "bit(12)", "total": "decimal(10,2)", "long": "decimal(65,30)", "d": "double",
    "name": "varchar(20)", "word": "varchar(20)", "at": "timestamp", "day": "datetime(6)", "raw": "blob", "kind": "enum('a','b')",
    "doc": "varchar(99)", "flag": "tinyint(1)", "six": "varchar(9)",
}  # fmt: skip
RULES = {"doc": {"as": "document"}, "flag": {"as": "bool"}, "six": {"as": "N"}}
ITEM = {
    "id": {"N": "1"}, "n": {"N": "-5"}, "y": {"N": "0"}, "bits": {"N": "300"}, "total": {"N": "1E+2"}, "long": {"S": "0.10"},
    "d": {"S": "1e-200"}, "name": {"S": "é\t'\"\n\\ 😀"}, "word": {"NULL": True}, "at": {"S": "2024-02-29T01:02:03Z"},
    "day": {"S": "0000-00-00 00:00:00.000000"}, "raw": {"B": b"\x00\xff"}, "kind": {"S": "a"}, "doc": {"M": {"a": {"N": "1.5"}}},
    "flag": {"BOOL": True}, "six": {"N": "1.5"}, STAMP: {"N": "7"}, "another": {"SS": ["x"]},
}  # fmt: skip


def codec_of(rules=RULES, columns=COLUMNS):
    source = table_of(*(column(name, of, nullable=name != "word") for name, of in columns.items()))
    return Codec(batch_of(normalize={"columns": rules}), source, source, None)


def body_of(*items, **more):
    encode = lambda value: b64encode(value).decode()  # noqa: E731
    return json.dumps({"Items": items, "ConsumedCapacity": {"CapacityUnits": 2.5}, **more}, default=encode).encode()


def read(*items, codec=None, **more):
    codec = codec or codec_of()
    function = PageFunction(codec, codec.outputs, STAMP)
    return function, function.read(body_of(*items, **more), {"7", "8"})


def fields_of(text, hexed):
    """The rows' values as the server reads them."""
    rows = [line.split(FIELD) for line in text.decode().split(ROW)[:-1]]
    values = [[None if value == NULL else value for value in row] for row in rows]
    for row in values:
        for place in hexed:
            row[place] = row[place] and bytes.fromhex(row[place].removeprefix(HEX))
    return [tuple(row) for row in values]


def same(value):
    """The server takes `T` between date and time, and either spelling of a double."""
    return value.replace("T", " ") if isinstance(value, str) and value[:1] == "2" else value


NULLS = {name: {"NULL": True} for name in COLUMNS}


@pytest.mark.parametrize("changes", [{}, NULLS, {"d": {"N": "0.1"}, STAMP: {"N": "8"}}, {"d": {"N": "1" + "0" * 30}}])
def test_rows_are_those_of_the_plain_codec(changes):
    item = ITEM | changes
    function, page = read(item)
    (found,) = fields_of(page.texts.text, function.hexed)
    assert tuple(map(same, found)) == tuple(map(same, codec_of().decode(item)))
    assert (page.texts.rows, page.cursor, page.units) == (1, None, 2.5)


def test_the_next_page_begins_where_boto3_says():
    _, page = read(ITEM, LastEvaluatedKey={"id": {"B": b"\xff"}, "s": {"S": "B"}})
    assert page.cursor == {"id": {"B": b"\xff"}, "s": {"S": "B"}}


UNUSUAL = {
    "stamp of another": {STAMP: {"N": "9"}}, "no stamp": {STAMP: None}, "missing": {"n": None}, "another type": {"n": {"S": "5"}},
    "a NULL that is none": {"n": {"NULL": False}}, "nothing": {"n": {}}, "no base64": {"raw": {"B": "?"}},
    "control character": {"name": {"S": "a\x1fb"}}, "escape": {"name": {"S": ESCAPE}}, "index 0": {"kind": {"S": ""}},
    "half a letter": {"name": {"S": "\ud83d"}}, "two types": {"n": {"N": "5", "S": "5"}}, "no bits": {"bits": {"N": "9999999"}},
}  # fmt: skip


@pytest.mark.parametrize("changes", UNUSUAL.values(), ids=list(UNUSUAL))
def test_what_is_unusual_is_left_to_the_plain_way(changes):
    item = {name: value for name, value in (ITEM | changes).items() if value is not None}
    assert read(ITEM, item)[1] is None


def test_a_page_for_the_plain_way_is_as_boto3_gives_it():
    item = ITEM | {"set": {"BS": [b"\xff"]}, "inner": {"L": [{"M": {"B": {"B": b"1"}}}]}}
    assert plain_page(body_of(item, LastEvaluatedKey={"id": {"B": b"\xff"}})) == ([item], {"id": {"B": b"\xff"}}, 2.5)


@pytest.mark.parametrize("policy", ["omit", "to_null"])
def test_an_attribute_that_is_left_out_comes_back_as_null_or_empty(policy):
    source = table_of(column("a", "varchar(9)"), column("b", "varchar(9)", nullable=False), column("z", "int"))
    codec = Codec(batch_of(normalize={"empty_string": policy}), source, source, None)
    item = {"id": {"N": "1"}, "z": {"N": "5"}, STAMP: {"N": "7"}}
    item |= {} if policy == "omit" else {"a": {"NULL": True}, "b": {"NULL": True}}
    function, page = read(item, codec=codec)
    assert fields_of(page.texts.text, function.hexed) == [codec.decode(item)] == [("1", None, "", "5")]


@pytest.mark.parametrize(
    ("rules", "columns", "why"),
    [
        ({"t": {"as": "B"}}, {"t": "varchar(9)"}, "a text that is stored as bytes"),
        ({}, {'a"b': "int"}, "a column's name that JSON escapes"),
        ({}, {"a": "int"}, None),
    ],
)
def test_what_has_no_page_function_says_why(rules, columns, why):
    assert why_items(codec_of(rules, columns)) == why


def test_values_of_a_statement_are_escaped():
    text = f"1{FIELD}it's \\ {FIELD}{NULL}{FIELD}{HEX}00ff{ROW}2{FIELD}{FIELD}N{FIELD}{HEX}{ROW}"
    assert values_of(text.encode()) == b"('1','it''s \\\\ ',NULL,_binary x'00ff'),('2','','N',_binary x'')"
