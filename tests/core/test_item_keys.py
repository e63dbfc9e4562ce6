"""What keys an item: found sound, or the row is rejected with its column."""

import pytest

from dataops.core.normalize import Codec, reading_key
from dataops.core.records import Rejection
from dataops.errors import SchemaMismatch
from tests.samples import batch_of, codec_of, column, stored, table_of


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "is NULL or empty, and keys the item"),
        ("", "is NULL or empty, and keys the item"),
        ("x" * 2049, "the key is 2,049 bytes, DynamoDB takes 2,048"),
        ("語" * 683, "the key is 2,049 bytes, DynamoDB takes 2,048"),
    ],
)
def test_a_row_without_a_sound_key_is_rejected_with_its_column(raw, reason):
    codec = codec_of("text", dynamodb__partition_key="v")
    assert codec.encode(("1", raw)) == Rejection({"id": "1"}, "v", reason)


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({"dynamodb__partition_key": "v"}, 2048),
        ({"dynamodb__sort_key": "v"}, 1024),
        ({"dynamodb__indexes": [{"name": "by-v", "partition_key": "v"}]}, 2048),
        ({"dynamodb__indexes": [{"name": "by-v", "partition_key": "id", "sort_key": "v"}]}, 1024),
    ],
)
def test_a_key_may_be_as_long_as_dynamodb_takes_it_and_no_longer(changes, limit):
    assert stored("text", "x" * limit, **changes) == {"S": "x" * limit}
    reason = f"the key is {limit + 1:,} bytes, DynamoDB takes {limit:,}"
    assert stored("text", "x" * (limit + 1), **changes) == Rejection({"id": "1"}, "v", reason)


@pytest.mark.parametrize(("selected", "key", "by_bytes"), [(["id", "v"], ["id"], False), (["v"], ["v"], True)])
def test_rows_are_read_by_a_unique_key_else_by_the_bytes_of_the_items_key(selected, key, by_bytes):
    source = table_of(column("v", "varchar(9)", nullable=False))
    columns = reading_key(batch_of(source__columns=selected, dynamodb__partition_key="v"), source)
    assert [(of.name, of.by_bytes) for of in columns] == [(name, by_bytes) for name in key]


def test_an_empty_binary_key_is_rejected():
    reason = "is NULL or empty, and keys the item"
    assert stored("varbinary(9)", b"", dynamodb__sort_key="v") == Rejection({"id": "1"}, "v", reason)


def test_a_double_that_must_be_text_cannot_be_a_number_key():
    reason = "keys key as N, but this value must be stored as S"
    assert stored("double", "1e308", dynamodb__sort_key="v") == Rejection({"id": "1"}, "v", reason)
    assert stored("double", "1.5", dynamodb__sort_key="v") == {"N": "1.5"}


@pytest.mark.parametrize(("mysql_type", "as_"), [("json", "document"), ("set('a')", "set"), ("tinyint(1)", "bool")])
def test_a_document_set_or_bool_cannot_be_a_key(mysql_type, as_):
    codec = {"dynamodb__sort_key": "v", "normalize": {"columns": {"v": {"as": as_}}}}
    with pytest.raises(SchemaMismatch, match="column v keys key, so it cannot be a document, set or bool"):
        codec_of(mysql_type, nullable=False, **codec)


def test_a_binary_key_names_its_row_in_hexadecimal():
    source = table_of(column("v", "varbinary(9)", nullable=False), column("w", "text"), key=("v",))
    codec = Codec(batch_of(dynamodb__partition_key="w"), source, None, None)
    assert codec.encode(("1", b"\0\xff", None)).key == {"v": "00ff"}


@pytest.mark.parametrize("raw", [None, ""])
def test_null_in_an_index_key_is_left_out_and_comes_back_as_null(raw):
    codec = codec_of("varchar(9)", dynamodb__indexes=[{"name": "by-v", "partition_key": "v"}])
    item = codec.encode(("1", raw))
    assert "v" not in item
    assert codec.decode(item)[1] is None


def test_an_empty_string_that_must_be_kept_cannot_key_an_index():
    changes = {"dynamodb__indexes": [{"name": "by-v", "partition_key": "v"}], "normalize": {"empty_string": "keep"}}
    reason = "is empty, and an attribute that keys index by-v cannot be"
    assert stored("varchar(9)", "", **changes) == Rejection({"id": "1"}, "v", reason)
    assert stored("varbinary(9)", b"", **changes) == Rejection({"id": "1"}, "v", reason)


def test_an_empty_string_in_an_index_key_that_is_not_null_is_left_out_and_comes_back():
    changes = {"dynamodb__indexes": [{"name": "by-v", "partition_key": "v"}], "normalize": {"empty_string": "keep"}}
    codec = codec_of("varchar(9)", nullable=False, **changes)
    assert codec.encode(("1", "")) == {"id": {"N": "1"}}
    assert codec.decode({"id": {"N": "1"}})[1] == ""


@pytest.mark.parametrize("raws", [("1", None), ("1", "")])
def test_a_template_that_keys_an_index_is_left_out_where_a_column_has_no_value(raws):
    index = {"name": "by-v", "partition_key": {"name": "gsi", "template": "V#{v}"}}
    codec = codec_of("varchar(9)", dynamodb__indexes=[index], normalize={"empty_string": "keep"})
    assert "gsi" not in codec.encode(raws)
    assert codec.encode(("1", "x"))["gsi"] == {"S": "V#x"}
    assert codec.attributes == ("id", "v", "gsi")


def test_a_template_key_is_an_attribute_of_its_own():
    key = {"name": "pk", "template": "ORDER#{id}#{v}"}
    item = codec_of("varchar(9)", dynamodb__partition_key=key).encode(("1", "a#b"))
    assert item == {"id": {"N": "1"}, "v": {"S": "a#b"}, "pk": {"S": "ORDER#1#a%23b"}}
