"""Batches through the real state machine: the servers themselves say that source and target are the same."""

import json
from decimal import Decimal

import pytest

from dataops.core.mysql import PAGE_BYTES
from dataops.core.publish import roll_back
from tests.end_to_end.steps import execution_of, planned

KEEP = {"empty_string": "keep"}
WIDE = """CREATE TABLE {t} (
    id BIGINT UNSIGNED PRIMARY KEY, tiny TINYINT(1), bits BIT(10), price DECIMAL(12,2), big DECIMAL(65,30), f FLOAT,
    d DOUBLE, c CHAR(5), v VARCHAR(30), memo TEXT, kind ENUM('x','y'), flags SET('a','b'), doc JSON, day DATE,
    at DATETIME(6), seen TIMESTAMP(3) NULL, span TIME(6), raw VARBINARY(20), big_raw BLOB, twice INT AS (tiny * 2), yr YEAR
)"""
ROWS = [
    (2**64 - 1, 7, 1023, Decimal("-1.50"), Decimal("1e-30"), 0.1, 1e308, "日本", "a ", "x\ny", "x", "a,b", '{"k": [1, 2.50]}',
     "2024-02-29", "2024-02-29 01:02:03.000004", "2024-02-29 01:02:03.125", "-838:59:59", b"\0\xff", b"\0" * 300, 2026),
    (1, None, None, None, None, None, None, None, None, None, None, None, None, None, None, None, None, None, None, None),
    (2, 0, 0, 0, 0, 0, -0.0, "", "", "", "y", "", "[]", "1000-01-01", "1000-01-01 00:00:00", "1971-01-01 00:00:00",
     "26:00:00.5", b"", b"", 1901),
    (3, -128, 512, Decimal("9999999999.99"), Decimal("9" * 35), 16777216.0, 5e-324, "🎁", "'\"\\", "%s", "x", "b", '"é"',
     "9999-12-31", "9999-12-31 23:59:59.999999", "2037-01-01 00:00:00.001", "838:59:58", b"x", b"y", 2155),
]  # fmt: skip
INSERT = f"INSERT INTO {{t}} (id, tiny, bits, price, big, f, d, c, v, memo, kind, flags, doc, day, at, seen, span, raw, big_raw, yr) VALUES ({', '.join(['%s'] * 20)})"


@pytest.mark.parametrize("workers", [1, 4])
def test_every_ordinary_type_arrives_as_it_was(case, workers):
    case.source(WIDE)
    case.source(INSERT, *ROWS)
    result = case.run(case.batch(normalize=KEEP), workers=workers)
    assert (result.status, result.record.source_rows, result.record.target_rows) == ("succeeded", 4, 4), result.record
    assert case.checksums()[0] == case.checksums()[1]
    assert case.leftovers() == []


@pytest.mark.parametrize("count", [0, 1, 24, 25, 26, 1000, 1001, 2500])
def test_every_number_of_rows_arrives(case, count):
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, v VARCHAR(20))")
    if count:
        case.source("INSERT INTO {t} VALUES (%s, %s)", *((number, f"row {number}") for number in range(count)))
    result = case.run()
    record = result.record
    assert (record.source_rows, record.items, record.target_rows) == (count, count, count)
    assert case.checksums()[0] == case.checksums()[1]
    assert len(case.items()) == count


def test_pages_and_chunks_of_large_rows_are_bounded_by_their_bytes(case):
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, v MEDIUMTEXT)")
    case.source("INSERT INTO {t} VALUES (%s, REPEAT(%s, 300000))", *((n, "ab"[n % 2]) for n in range(400)))
    case.source("ANALYZE TABLE {t}")
    with planned(case, "run") as task:
        sizes = [sum(len(row[1]) for row in page) for page in pages(task.source_reader())]
        assert sum(sizes) == 400 * 300_000
        assert max(sizes) < PAGE_BYTES + 300_000
        assert len(task.control.chunks()) > 1
    roll_back(f"{case.name}-run", execution_of(f"{case.name}-run"), "Permanent", "ended")
    assert case.run().record.target_rows == 400
    assert case.checksums()[0] == case.checksums()[1]


def pages(reader):
    page = reader.read(None, None, 1000)
    while page:
        yield page
        page = reader.read(reader.key_of(page[-1]), None, 1000)


def test_a_full_refresh_means_changes_and_deletions_too(numbers):
    numbers.run()
    numbers.source("DELETE FROM {t} WHERE id = 1")
    numbers.source("UPDATE {t} SET v = 'zwei' WHERE id = 2")
    numbers.source("INSERT INTO {t} VALUES (4, 'c', 'four')")
    result = numbers.run()
    assert (result.record.stale_deleted, result.record.target_rows) == (1, 3)
    assert list(numbers.target("SELECT id, v FROM {t} ORDER BY id")) == [(2, "zwei"), (3, None), (4, "four")]
    assert sorted(item["id"]["N"] for item in numbers.items()) == ["2", "3", "4"]


def test_an_emptied_cell_is_counted_by_column(numbers):
    result = numbers.run()
    assert result.record.emptied == {"v": 1}
    assert list(numbers.target("SELECT id, v FROM {t} WHERE id > 1 ORDER BY id")) == [(2, None), (3, None)]


def test_where_and_columns_narrow_the_source(numbers):
    result = numbers.run(numbers.batch(source__where="kind LIKE 'a%'", source__columns=["id", "kind"]))
    assert result.record.source_rows == 2
    assert result.record.left_out == ["column v"]
    assert list(numbers.target("SELECT * FROM {t} ORDER BY id")) == [(1, "a"), (3, "a")]


def test_update_leaves_what_others_wrote(numbers):
    update = numbers.batch(dynamodb__write="update")
    numbers.run(update)
    numbers.dynamodb.update_item(
        TableName=numbers.name, Key={"id": {"N": "1"}}, UpdateExpression="SET mine = :x",
        ExpressionAttributeValues={":x": {"S": "theirs"}},
    )  # fmt: skip
    numbers.source("UPDATE {t} SET v = 'eins' WHERE id = 1")
    numbers.run(update)
    (item,) = [item for item in numbers.items() if item["id"]["N"] == "1"]
    assert (item["v"], item["mine"]) == ({"S": "eins"}, {"S": "theirs"})
    numbers.source("DELETE FROM {t} WHERE id = 1")
    assert numbers.run(update).record.stale_deleted == 1
    assert {"id": {"N": "1"}, "mine": {"S": "theirs"}} in numbers.items()


@pytest.mark.parametrize("projection", ["KEYS_ONLY", "ALL", {"include": ["v"]}], ids=str)
def test_the_target_is_read_back_through_an_index(numbers, projection):
    index = {"name": "by-kind", "partition_key": "kind", "sort_key": "id", "projection": projection}
    result = numbers.run(numbers.batch(dynamodb__indexes=[index], target__read={"index": "by-kind"}, normalize=KEEP))
    assert result.record.target_rows == 3
    assert numbers.checksums()[0] == numbers.checksums()[1]


def test_a_query_reads_and_deletes_inside_its_partition_only(numbers):
    numbers.target("CREATE TABLE {t} (id INT PRIMARY KEY, kind VARCHAR(9) NOT NULL, v VARCHAR(20))")
    numbers.target("INSERT INTO {t} VALUES (%s, %s, %s)", (7, "a", "gone"), (8, "b", "stays"))
    batch = numbers.batch(
        dynamodb__partition_key="kind", dynamodb__sort_key="id", target__mode="upsert",
        target__read={"query": {"partition_key": "a"}},
    )  # fmt: skip
    record = numbers.run(batch).record
    assert (record.source_rows, record.items, record.outside, record.target_rows) == (3, 3, 1, 2)
    assert list(numbers.target("SELECT id, v FROM {t} ORDER BY id")) == [(1, "one"), (3, None), (8, "stays")]


def test_upsert_merges_in_one_go_and_keeps_the_table(numbers):
    numbers.target("CREATE TABLE {t} (id INT PRIMARY KEY, kind VARCHAR(9) NOT NULL, v VARCHAR(20), mine INT DEFAULT 5)")
    numbers.target("INSERT INTO {t} VALUES (%s, %s, %s, %s)", (1, "z", "old", 6), (9, "z", "gone", 7))
    assert numbers.run(numbers.batch(target__mode="upsert")).status == "succeeded"
    rows = list(numbers.target("SELECT * FROM {t} ORDER BY id"))
    assert rows == [(1, "a", "one", 6), (2, "b", None, 5), (3, "a", None, 5)]


def test_a_template_key_holds_three_columns(case):
    case.source("CREATE TABLE {t} (a VARCHAR(9), b INT, c VARCHAR(9), v INT, PRIMARY KEY (a, b, c))")
    case.source("INSERT INTO {t} VALUES (%s, %s, %s, %s)", ("x#1", 2, "y", 1), ("x", 1, "2#y", 2), ("X", 1, "2%23y", 3))
    keys = {"dynamodb__partition_key": "a", "dynamodb__sort_key": {"name": "sk", "template": "{b}#{c}"}}
    assert case.run(case.batch(**keys)).record.items == 3
    assert case.checksums()[0] == case.checksums()[1]


def test_a_transform_drops_rows_and_adds_a_column(numbers, tmp_path, monkeypatch):
    (tmp_path / "shout.py").write_text(
        "def shout(row):\n    return None if row['v'] is None else {**row, 'loud': row['v'].upper()}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    result = numbers.run(numbers.batch(transform={"function": "shout:shout", "adds": {"loud": "varchar(20)"}}))
    assert (result.record.source_rows, result.record.dropped, result.record.target_rows) == (3, 1, 2), result.record
    assert list(numbers.target("SELECT id, loud FROM {t} ORDER BY id")) == [(1, "ONE"), (2, None)]


def test_rejected_rows_fail_the_run_and_the_old_target_stays(numbers):
    numbers.run()
    numbers.source("UPDATE {t} SET v = 'new' WHERE id = 1")
    bad = numbers.batch(normalize={"columns": {"v": {"as": "document"}}})
    result = numbers.run(bad)
    assert (result.status, result.exit_status) == ("failed", 1)
    assert "1 rows were rejected, most often because v is not JSON" in result.record.cause
    assert list(numbers.target("SELECT v FROM {t} WHERE id = 1")) == [("one",)]
    assert numbers.leftovers() == []


def test_rejected_rows_are_listed_when_the_batch_says_continue(numbers):
    batch = numbers.batch(normalize={"columns": {"v": {"as": "document"}}}, on_reject="continue")
    result = numbers.run(batch)
    assert (result.status, result.exit_status) == ("succeeded with rejections", 3)
    assert (result.record.source_rows, result.record.rejected, result.record.target_rows) == (3, 1, 2)
    told = [json.loads(line) for line in (result.folder / "rejections.jsonl").read_text().splitlines()]
    assert told == [{"key": {"id": "1"}, "column": "v", "reason": "is not JSON"}]


def test_a_created_target_leaves_out_foreign_keys_and_triggers_and_says_so(numbers):
    numbers.source(
        "CREATE TABLE {t}_child (id INT PRIMARY KEY, parent INT, CONSTRAINT {t}_fk FOREIGN KEY (parent) REFERENCES {t} (id))"
    )
    numbers.source("CREATE TRIGGER {t}_child_trigger BEFORE INSERT ON {t}_child FOR EACH ROW SET NEW.parent = 1")
    numbers.source("INSERT INTO {t}_child VALUES (1, 1)")
    child = f"{numbers.name}_child"
    result = numbers.run(numbers.batch(source__table=child, target__table=child, dynamodb__table=child))
    assert result.record.left_out == [f"foreign key {numbers.name}_fk", f"trigger {child}_trigger"]
    assert "FOREIGN KEY" not in numbers.target("SHOW CREATE TABLE {t}_child")[0][1]


def test_the_run_leaves_a_record_and_a_report_without_network(numbers):
    result = numbers.run()
    record = json.loads((result.folder / "record.json").read_text())
    assert (record["status"], record["source_rows"], record["target_rows"]) == ("succeeded", 3, 3)
    assert [state["name"] for state in record["states"] if state["visits"]][:3] == ["Plan", "Planned?", "Copy Chunks"]
    report = (result.folder / "report.html").read_text()
    assert "<b>3</b> source rows = <b>3</b> target" in report
    assert "http://www.w3.org/2000/svg" in report
    assert report.replace("http://www.w3.org/2000/svg", "").count("http") == 0


def test_no_row_value_and_no_secret_is_in_history_or_logs(numbers):
    numbers.source("UPDATE {t} SET v = 'canary-value' WHERE id = 1")
    numbers.source("INSERT INTO {t} VALUES (777777, 'canary', 'x')")
    result = numbers.run()
    import boto3

    pages = boto3.client("stepfunctions").get_paginator("get_execution_history")
    history = str([page["events"] for page in pages.paginate(executionArn=result.record.execution)])
    logs = "".join(path.read_text() for path in _logs(numbers.stack))
    for secret in ("canary", "777777", numbers.stack.info.source.password, numbers.stack.info.target.password):
        assert secret not in history
        assert secret not in logs


def _logs(stack):
    from pathlib import Path

    return [path for path in Path(stack.info.folder).rglob("*.log") if "dataops-" in path.name]
