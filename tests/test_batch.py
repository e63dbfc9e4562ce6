"""A batch file is a value, or one located error."""

import json

import msgspec
import pytest
import yaml

from dataops.batch import Target, key_columns, parse_batch, read_batch
from dataops.errors import BatchFileError
from dataops.workbook.run import BATCHES, list_batches
from tests.samples import batch_of, declared


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sorce": {}}, "orders.yml: sorce: unknown key (did you mean source?)"),
        ({"dynamodb__tabel": "x"}, "orders.yml: dynamodb.tabel: unknown key (did you mean table?)"),
        ({"write": "put"}, "orders.yml: write: unknown key here; 'write' belongs under dynamodb"),
        (
            {"sort_key": "x"},
            "orders.yml: sort_key: unknown key here; 'sort_key' belongs under dynamodb or dynamodb.indexes",
        ),
        (
            {"dynamodb__partition_key": {"nam": "pk"}},
            "orders.yml: dynamodb.partition_key.nam: unknown key (did you mean name?)",
        ),
        ({"zzz": 1}, "orders.yml: zzz: unknown key"),
        (
            {"normalize": {"columns": {"v": {"empty_strin": "keep"}}}},
            "orders.yml: normalize.columns.v.empty_strin: unknown key (did you mean empty_string?)",
        ),
        ({"source__table": None}, "orders.yml: source.table: required, but missing"),
        (
            {"dynamodb__indexes": [{"name": "by-v"}]},
            "orders.yml: dynamodb.indexes[0].partition_key: required, but missing",
        ),
        ({"target__read": {"query": {}}}, "orders.yml: target.read.query.partition_key: required, but missing"),
        ({"target": 3}, "orders.yml: target: expected mapping, got int"),
        ({"dynamodb__partition_key": 5}, "orders.yml: dynamodb.partition_key: expected str | mapping, got int"),
        ({"source__columns": ["a", 3]}, "orders.yml: source.columns[1]: expected str, got int"),
        ({"dynamodb__max_read_units": "9"}, "orders.yml: dynamodb.max_read_units: expected int | null, got str"),
        ({"dynamodb__max_write_units": True}, "orders.yml: dynamodb.max_write_units: expected int | null, got bool"),
        ({"schedule": "rate(1 day)"}, "orders.yml: schedule: expected mapping | null, got str"),
        (
            {"transform": {"function": "m:f", "adds": {"w": "int", "x": 1}}},
            "orders.yml: transform.adds.x: expected str, got int",
        ),
        ({"target__mode": "swop"}, "orders.yml: target.mode: expected swap or upsert, found 'swop'"),
        ({"on_reject": "x"}, "orders.yml: on_reject: expected fail or continue, found 'x'"),
        (
            {"dynamodb__key_types": {"id": "X"}},
            "orders.yml: dynamodb.key_types.id: expected S or N or B, found 'X'",
        ),
        ({"dynamodb__write": "x"}, "orders.yml: dynamodb.write: expected put or update, found 'x'"),
        (
            {"normalize": {"columns": {"u": {"as": "S"}, "v": {"as": "X"}}}},
            "orders.yml: normalize.columns.v.as: expected S or N or B or document or set or bool, found 'X'",
        ),
        ({"normalize": {"columns": {"v": 3}}}, "orders.yml: normalize.columns.v: expected mapping, got int"),
        (
            {"normalize": {"columns": {"a.b [c]": {"empty_string": 3}}}},
            "orders.yml: normalize.columns.a.b [c].empty_string: expected str | null, got int",
        ),
        (
            {"normalize": {"columns": {1: {"as": "S"}}}},
            "orders.yml: normalize.columns: expected str as a name, found 1",
        ),
        (
            {"transform": {"function": "m:f", "adds": {True: "x"}}},
            "orders.yml: transform.adds: expected str as a name, found True",
        ),
        (
            {"normalize": {"columns": {"v": {2: "keep"}}}},
            "orders.yml: normalize.columns.v: expected str as a name, found 2",
        ),
        ({"target__read": {1: 2}}, "orders.yml: target.read: expected str as a name, found 1"),
        (
            {"target__read": "x"},
            "orders.yml: target.read: expected scan, {query: {partition_key: V}} or {index: NAME}, found 'x'",
        ),
        (
            {"dynamodb__indexes": [{"name": "by-v", "partition_key": "v", "projection": "X"}]},
            "orders.yml: dynamodb.indexes[0].projection: expected ALL or KEYS_ONLY or {include: [...]}, found 'X'",
        ),
        ({"batch": "1st"}, "orders.yml: batch: expected a letter, then up to 39 letters, digits, - or _"),
        ({"dynamodb__table": "a b"}, "orders.yml: dynamodb.table: expected 3 to 255 letters, digits, . - or _"),
        ({"dynamodb__sort_key": "id"}, "orders.yml: dynamodb.sort_key: is the same attribute as the partition key, id"),
        ({"dynamodb__max_write_units": 0}, "orders.yml: dynamodb.max_write_units: expected 1 or more write units"),
        ({"dynamodb__max_read_units": -1}, "orders.yml: dynamodb.max_read_units: expected 1 or more read units"),
        ({"target__read": {"index": "by"}}, "orders.yml: target.read.index: 'by' is not in dynamodb.indexes"),
        ({"target__read": {}}, "orders.yml: target.read: expected scan, {query"),
        (
            {"target__read": {"index": "by-stats"}, "dynamodb__indexes": [{"name": "by-status", "partition_key": "v"}]},
            "orders.yml: target.read.index: 'by-stats' is not in dynamodb.indexes (did you mean by-status?)",
        ),
        (
            {"target__read": {"index": "by", "query": {"partition_key": 1}}},
            "orders.yml: target.read: expected scan, {query",
        ),
        ({"dynamodb__partition_key": ""}, "orders.yml: dynamodb.partition_key: expected a column or {name, template}"),
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
            {"dynamodb__sort_key": {"name": "sk", "template": "{a}#{}"}},
            "orders.yml: dynamodb.sort_key.template: expected at least one {column}, and no empty one",
        ),
        (
            {"dynamodb__sort_key": {"name": "sk", "template": "100%{a}"}},
            "orders.yml: dynamodb.sort_key.template: text after a column must begin with",
        ),
        (
            {"dynamodb__indexes": [{"name": "by-v", "partition_key": {"name": "pk", "template": "{a}{b}"}}]},
            "orders.yml: dynamodb.indexes[0].partition_key.template: two columns need text between them",
        ),
        (
            {"dynamodb__indexes": [{"name": "by-a", "partition_key": "a"}, {"name": "by-a", "partition_key": "b"}]},
            "orders.yml: dynamodb.indexes[1].name: 'by-a' is already the name of another index",
        ),
        (
            {"dynamodb__key_types": {"idd": "N"}},
            "orders.yml: dynamodb.key_types: 'idd' is no column that keys the table or an index (did you mean id?)",
        ),
        (
            {"dynamodb__sort_key": {"name": "sk", "template": "{a}"}, "dynamodb__key_types": {"sk": "S"}},
            "orders.yml: dynamodb.key_types: 'sk' is no column that keys the table or an index: a template makes it",
        ),
    ],
)
def test_a_wrong_batch_is_one_located_error(changes, message):
    with pytest.raises(BatchFileError) as caught:
        parse_batch(declared(**changes), "orders.yml")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"dynamodb__sort_key": {"name": "sk", "template": "{a}#{b"}},
            "orders.yml: dynamodb.sort_key.template: a brace has no partner",
        ),
        (
            {"dynamodb__sort_key": {"name": "", "template": "{a}"}},
            "orders.yml: dynamodb.sort_key.name: expected the name of an attribute",
        ),
        (
            {"dynamodb__indexes": [{"name": "by v", "partition_key": "v"}]},
            "orders.yml: dynamodb.indexes[0].name: expected 3 to 255 letters, digits, . - or _",
        ),
        (
            {"dynamodb__indexes": [{"name": "by-v", "partition_key": "v", "sort_key": "v"}]},
            "orders.yml: dynamodb.indexes[0].sort_key: is the same attribute as the partition key, v",
        ),
        (
            {
                "dynamodb__partition_key": {"name": "pk", "template": "{a}"},
                "dynamodb__indexes": [{"name": "by-b", "partition_key": {"name": "pk", "template": "{b}"}}],
            },
            "orders.yml: dynamodb.indexes[0]: attribute 'pk' already has another template",
        ),
    ],
)
def test_a_key_that_dynamodb_cannot_hold_is_one_located_error(changes, message):
    with pytest.raises(BatchFileError) as caught:
        parse_batch(declared(**changes), "orders.yml")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "b.yml:1:5: not valid YAML"),
        ("a: 1\nb:\n\tc: 1\n", "b.yml:3:1: not valid YAML"),
        ("a: *x\n", "b.yml:1:4: not valid YAML: found undefined alias 'x'"),
        ("source:\n  table: a\n  table: b\n", "b.yml:3:3: not valid YAML: key 'table' stands here twice"),
        ("? [a, b]\n: 1\n", "b.yml:1:3: not valid YAML"),
        ("a: 1\nb: \x07\n", "b.yml:2: not valid YAML: holds a control character"),
        ("a: 1\nb: 2024-02-31\n", "b.yml:2:4: not valid YAML: day is out of range for month"),
        ("[" * 5000, "b.yml: is nested too deeply"),
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
        schedule={"expression": "rate(1 day)", "timezone": "Asia/Tokyo"},
        source__columns=["id", "a", "b", "memo"],
        dynamodb__sort_key={"name": "sk", "template": "A#{a}"},
        dynamodb__indexes=[{"name": "by-a", "partition_key": "a", "projection": {"include": ["b"]}}],
        normalize={"columns": {"memo": {"as": "document"}}},
        transform={"function": "m:f", "adds": {"x": "int"}},
        target__mode="upsert",
        target__read={"query": {"partition_key": "A"}},
    )
    assert parse_batch(json.loads(json.dumps(msgspec.to_builtins(batch)))) == batch


def test_a_missing_encoding_is_named(tmp_path):
    (tmp_path / "b.yml").write_bytes("batch: 注文".encode("shift_jis"))
    with pytest.raises(BatchFileError, match=r"b\.yml: is not UTF-8 text \(byte 7\)"):
        read_batch(tmp_path / "b.yml")


def test_yaml_may_merge_a_part_that_is_written_once(tmp_path):
    text = yaml.safe_dump(declared(target={}))
    (tmp_path / "b.yml").write_text(text.replace("target: {}", "target: {<<: &t {secret: s, table: t}, mode: upsert}"))
    assert read_batch(tmp_path / "b.yml").target == Target("s", "t", mode="upsert")


def test_a_batch_tells_its_stamp_its_index_and_its_key_columns():
    index = {"name": "by-a", "partition_key": {"name": "gsi", "template": "{b}/{a}"}}
    batch = batch_of(dynamodb__indexes=[index], target__read={"index": "by-a"})
    assert batch.stamp == "_gen_orders"
    assert batch.read_index == batch.dynamodb.indexes[0]
    assert key_columns(batch.read_index.partition_key) == ("b", "a")
    assert batch.read_query is None


@pytest.mark.parametrize(
    ("normalize", "rule"),
    [
        ({}, "to_null"),
        ({"empty_string": "omit"}, "omit"),
        ({"empty_string": "omit", "columns": {"v": {"as": "S"}}}, "omit"),
        ({"empty_string": "omit", "columns": {"v": {"empty_string": "keep"}}}, "keep"),
    ],
)
def test_the_rule_nearest_to_a_column_counts(normalize, rule):
    assert batch_of(normalize=normalize).normalize.empty_string_of("v") == rule


def test_every_committed_batch_file_reads_and_is_named_after_its_batch():
    assert [batch.batch for batch in list_batches()] == sorted(path.stem for path in BATCHES.glob("*.yml"))
    assert len(list_batches()) == 3
