"""A batch file is a value, or one located error."""

import json

import msgspec
import pytest

from dataops.batch import parse_batch, read_batch
from dataops.errors import BatchFileError
from dataops.workbook.run import BATCHES, list_batches
from tests.samples import batch_of, declared


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sorce": {}}, "orders.yml: sorce: unknown key (did you mean source?)"),
        ({"dynamodb__tabel": "x"}, "orders.yml: dynamodb.tabel: unknown key (did you mean table?)"),
        ({"write": "put"}, "orders.yml: write: unknown key here; 'write' belongs under dynamodb"),
        ({"source__table": None}, "orders.yml: source.table: required, but missing"),
        ({"target": 3}, "orders.yml: target: expected mapping, got int"),
        ({"target__mode": "swop"}, "orders.yml: target.mode: expected swap or upsert, found 'swop'"),
        ({"on_reject": "x"}, "orders.yml: on_reject: expected fail or continue, found 'x'"),
        ({"batch": "1st"}, "orders.yml: batch: expected a letter, then up to 39 letters, digits, - or _"),
        ({"dynamodb__table": "a b"}, "orders.yml: dynamodb.table: expected 3 to 255 letters, digits, . - or _"),
        ({"dynamodb__sort_key": "id"}, "orders.yml: dynamodb.sort_key: is the same attribute as the partition key, id"),
        ({"dynamodb__max_write_units": 0}, "orders.yml: dynamodb.max_write_units: expected 1 or more write units"),
        ({"target__read": {"index": "by"}}, "orders.yml: target.read.index: 'by' is not in dynamodb.indexes"),
        ({"target__read": {}}, "orders.yml: target.read: expected scan, {query"),
        (
            {"target__read": {"query": {"partition_key": 1}}},
            "orders.yml: target.mode: a query reads one partition only",
        ),
        ({"transform": "enrich"}, "orders.yml: transform: expected module:function"),
        (
            {"dynamodb__sort_key": {"name": "sk", "template": "{a}{b}"}},
            "orders.yml: dynamodb.sort_key.template: two columns need text between them",
        ),
        (
            {"dynamodb__sort_key": {"name": "sk", "template": "{a}1{b}"}},
            "orders.yml: dynamodb.sort_key.template: text after a column must begin with",
        ),
        (
            {"dynamodb__sort_key": {"name": "sk", "template": "fixed"}},
            "orders.yml: dynamodb.sort_key.template: expected at least one {column}",
        ),
        (
            {"dynamodb__indexes": [{"name": "i", "partition_key": "a"}, {"name": "i", "partition_key": "b"}]},
            "orders.yml: dynamodb.indexes[1].name: 'i' is already the name of another index",
        ),
    ],
)
def test_a_wrong_batch_is_one_located_error(changes, message):
    with pytest.raises(BatchFileError) as caught:
        parse_batch(declared(**changes), "orders.yml")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "b.yml:1:5: not valid YAML"),
        ("batch: a\nbatch: b\n", "b.yml:2:1: not valid YAML: key 'batch' stands here twice"),
        ("", "b.yml: the file: expected mapping, got null"),
        ("- a\n", "b.yml: the file: expected mapping, got list"),
        ("!!python/object/apply:os.system [true]", "b.yml:1:1: not valid YAML: could not determine a constructor"),
    ],
)
def test_a_file_that_is_no_batch_says_where(tmp_path, text, message):
    path = tmp_path / "b.yml"
    path.write_text(text)
    with pytest.raises(BatchFileError) as caught:
        read_batch(path)
    assert str(caught.value).startswith(message)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BatchFileError, match=r"gone\.yml: cannot be read: No such file"):
        read_batch(tmp_path / "gone.yml")


def test_a_batch_survives_the_way_through_the_execution_input():
    batch = batch_of(
        dynamodb__indexes=[{"name": "i", "partition_key": "a", "projection": {"include": ["b"]}}],
        normalize={"columns": {"memo": {"as": "document"}}},
        transform={"function": "m:f", "adds": {"x": "int"}},
        target__mode="upsert",
        target__read={"query": {"partition_key": "A"}},
    )
    assert parse_batch(json.loads(json.dumps(msgspec.to_builtins(batch)))) == batch


def test_every_committed_batch_file_reads_and_is_named_after_its_batch():
    assert [batch.batch for batch in list_batches()] == sorted(path.stem for path in BATCHES.glob("*.yml"))
    assert len(list_batches()) == 3
