"""Source, DynamoDB and target compared key by key, and mended, outside any run."""

import json
from contextlib import suppress

import boto3
import msgspec
import pytest
import yaml

from dataops.core.compare import open_comparison
from dataops.core.connection import open_connection
from dataops.core.control import Control
from dataops.core.describe import describe_table
from dataops.core.dynamodb import dynamodb_client
from dataops.core.lease import REPAIR, REPAIR_SECONDS
from dataops.core.normalize import Codec
from dataops.deploy.tables import ensure_table
from dataops.errors import LeaseHeld, Permanent
from dataops.workbook.reconcile import compare_batch, repair_batch
from tests.end_to_end.test_cli import dataops, last_json

COUNT = 2500
A_B = {"dynamodb__partition_key": "a", "dynamodb__sort_key": "b"}
TEMPLATE = {"dynamodb__partition_key": {"name": "pk", "template": "B#{b}"}, "dynamodb__sort_key": "a"}
NOT_THE_ROWS_KEY = {"dynamodb__partition_key": "n"}
KEYS = {
    "int": ("id INT", "id", lambda n: (n,), {}),
    "case-insensitive text": ("id VARCHAR(20)", "id", lambda n: (f"{'Éa'[n % 2]}{n}",), {}),
    "binary": ("id VARBINARY(9)", "id", lambda n: (bytes([n % 256, 255 - n // 256, 37]),), {}),
    "composite": ("a INT, b VARCHAR(20)", "a, b", lambda n: (n % 50, f"{'éE'[n % 2]}{n}"), A_B),
    "template": ("a INT, b VARBINARY(9)", "a, b", lambda n: (n % 50, bytes([35, n % 256, n // 256])), TEMPLATE),
    "another than the row's": ("id INT", "id", lambda n: (-n,), NOT_THE_ROWS_KEY),
}


def text(key):
    return {name: value.hex() if isinstance(value, bytes) else str(value) for name, value in key.items()}


class Shop:
    """A case that has run, with a row for each number; `n` is the number, whatever the key."""

    def __init__(self, case, kind="int", count=COUNT, **changes):
        declared, key, self.key_of, keys = KEYS[kind]
        self.case, self.names = case, key.split(", ")
        case.source(
            f"CREATE TABLE {{t}} ({declared}, n INT NOT NULL, v VARCHAR(20), d DECIMAL(9,2), PRIMARY KEY ({key}))"
        )
        marks = ", ".join(["%s"] * (len(self.names) + 3))
        case.source(f"INSERT INTO {{t}} VALUES ({marks})", *((*self.key_of(n), n, f"v{n} ", n) for n in range(count)))
        self.batch = case.batch(normalize__empty_string="keep", **keys, **changes)
        result = case.run(self.batch)
        assert result.status == "succeeded", result.record.cause

    def items(self):
        return {int(item["n"]["N"]): item for item in self.case.items() if "n" in item}

    def row_key(self, n):
        return text(dict(zip(self.names, self.key_of(n), strict=True)))

    def item_key(self, item):
        names = [key.name if not isinstance(key, str) else key for key in self.batch.dynamodb.keys]
        return {name: item[name] for name in names}

    def compare(self, limit=100):
        return compare_batch(self.batch, limit)


def told(found, store):
    return sorted((of.kind, sorted(of.key.items()), of.columns) for of in found.listed if of.store == store)


def expected(*differences):
    return sorted((kind, sorted(key.items()), columns) for kind, key, columns in differences)


def spoil_target(case):
    case.target("UPDATE {t} SET d = d + 0.01 WHERE n = 1")
    case.target("UPDATE {t} SET v = 'v2400' WHERE n = 2400")
    case.target("DELETE FROM {t} WHERE n = 1200")


def spoil_items(shop):
    items, of = shop.items(), {"TableName": shop.case.name}
    shop.case.dynamodb.put_item(Item=items[2] | {"d": {"N": "2.01"}}, **of)
    shop.case.dynamodb.put_item(Item=items[2300] | {"v": {"S": "v2300"}}, **of)
    shop.case.dynamodb.delete_item(Key=shop.item_key(items[1100]), **of)


@pytest.mark.parametrize("kind", KEYS)
def test_every_difference_is_told_by_key_and_column_and_only_these_are_mended(case, kind):
    shop = Shop(case, kind)
    assert (shop.compare().exit_status, shop.compare().listed) == (0, ())
    before = shop.items()
    case.source("DELETE FROM {t} WHERE n = 7")
    spoil_target(case)
    spoil_items(shop)
    extra_item = {name: next(iter(of.values())) for name, of in shop.item_key(before[7]).items()}
    spoilt = case.items(), case.checksums()

    found = shop.compare()
    assert told(found, "target") == expected(
        ("different", shop.row_key(1), ("d",)), ("different", shop.row_key(2400), ("v",)),
        ("missing", shop.row_key(1200), ()), ("extra", shop.row_key(7), ()),
    )  # fmt: skip
    assert told(found, "dynamodb") == expected(
        ("different", shop.row_key(2), ("d",)), ("different", shop.row_key(2300), ("v",)),
        ("missing", shop.row_key(1100), ()), ("extra", text(extra_item), ()),
    )  # fmt: skip
    tally = found.tally
    assert (tally.source_rows, tally.dynamodb_items, tally.target_rows) == (COUNT - 1, COUNT - 1, COUNT - 1)
    assert (case.items(), case.checksums()) == spoilt

    mended = repair_batch(shop.batch)
    assert (mended.exit_status, mended.listed) == (0, ())
    assert (mended.mended.items, mended.mended.rows, mended.mended.left) == (4, 4, 0)
    assert case.checksums()[0] == case.checksums()[1]
    assert without(shop.items(), shop.batch.stamp, 1100) == without(before, shop.batch.stamp, 1100, 7)
    assert case.leftovers() == []


def without(items, stamp, restamped, gone=None):
    """The items, but one's stamp: what was not there cannot return with the stamp that it had."""
    kept = {number: dict(item) for number, item in items.items() if number != gone}
    assert kept[restamped].pop(stamp)
    return kept


def test_the_command_lists_keys_counts_all_and_exits_by_what_is_left(case, tmp_path):
    shop = Shop(case, count=2450)
    spoil_target(case)
    (tmp_path / "b.yml").write_text(yaml.safe_dump(msgspec.to_builtins(shop.batch)))
    done = dataops("reconcile", "b.yml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "key      store   what       columns",
        "id=1     target  different  d",
        "id=1200  target  missing    -",
        "id=2400  target  different  v",
        "2,450 source rows; 2,450 items; 2,449 target rows; 3 differences: target 1 missing, target 2 different",
    ]
    done = dataops("reconcile", "b.yml", "--json", "--limit", "1", cwd=tmp_path)
    result = last_json(done)
    assert result["differences"] == [{"key": {"id": "1"}, "store": "target", "kind": "different", "columns": ["d"]}]
    assert result["counts"]["target"] == {"missing": 1, "extra": 0, "different": 2}
    assert (result["source_rows"], result["dynamodb_items"], result["target_rows"]) == (2450, 2450, 2449)
    done = dataops("reconcile", "b.yml", "--repair", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()) == (0, [
        "repaired 0 items and 3 target rows, left 0 items as they are",
        "2,450 source rows; 2,450 items; 2,450 target rows; they agree",
    ])  # fmt: skip
    assert case.checksums()[0] == case.checksums()[1]


def test_tables_that_another_tool_wrote_are_compared_but_not_mended(numbers):
    batch = numbers.batch()
    with open_connection("dataops/source") as connection:
        table = describe_table(connection, numbers.name)
    codec = Codec(batch, table, None, None)
    ensure_table(dynamodb_client(), batch, codec)
    numbers.target("CREATE TABLE {t} (id INT PRIMARY KEY, kind VARCHAR(9) NOT NULL, v VARCHAR(20))")
    numbers.target("INSERT INTO {t} VALUES (%s, %s, %s)", (1, "a", "one"), (2, "b", None), (3, "a", None))
    for row in [("1", "a", "one"), ("2", "b ", ""), ("3", "a", None), ("4", "c", None)]:
        numbers.dynamodb.put_item(TableName=numbers.name, Item=codec.encode(row) | {"mine": {"S": "theirs"}})
    found = compare_batch(batch)
    assert told(found, "target") == []
    assert told(found, "dynamodb") == expected(("different", {"id": "2"}, ("kind",)), ("extra", {"id": "4"}, ()))
    with pytest.raises(Permanent, match="run the batch first"):
        repair_batch(batch)
    assert len(numbers.items()) == 4


def test_an_extra_item_without_a_stamp_is_left_and_said(numbers):
    numbers.run()
    numbers.dynamodb.put_item(TableName=numbers.name, Item={"id": {"N": "9"}})
    found = repair_batch(numbers.batch())
    assert (found.exit_status, found.mended.items, found.mended.left) == (1, 0, 1)
    assert told(found, "dynamodb") == expected(("extra", {"id": "9"}, ()))
    assert {"id": {"N": "9"}} in numbers.items()


def test_items_of_another_batch_in_the_same_table_are_no_differences(numbers):
    numbers.run()
    numbers.dynamodb.put_item(TableName=numbers.name, Item={"id": {"N": "9"}, "_gen_another": {"N": "100000"}})
    found = compare_batch(numbers.batch())
    assert (found.exit_status, found.tally.dynamodb_items) == (0, 3)


def test_a_store_that_is_not_there_or_empty_is_one_line(numbers):
    found = compare_batch(numbers.batch())
    name = numbers.name
    assert found.notes == (f"DynamoDB table {name} is not there", f"target table {name} is not there")
    assert (found.exit_status, found.listed, found.tally.counts["target"]["missing"]) == (1, (), 3)
    numbers.run()
    for item in numbers.items():
        numbers.dynamodb.delete_item(TableName=name, Key={"id": item["id"]})
    found = compare_batch(numbers.batch(), limit=2)
    assert found.notes == (f"DynamoDB table {name} holds nothing of what was expected: 3 keys",)
    assert (found.exit_status, found.listed, found.tally.counts["dynamodb"]["missing"]) == (1, (), 3)
    assert len(compare_batch(numbers.batch(), limit=3).listed) == 3


def test_rows_that_the_transform_drops_or_that_are_rejected_are_counted(numbers, tmp_path, monkeypatch):
    (tmp_path / "even.py").write_text("def even(row):\n    return None if row['id'] % 2 else row\n")
    monkeypatch.syspath_prepend(tmp_path)
    numbers.source("INSERT INTO {t} VALUES (%s, %s, %s)", *((n, "c", "[]") for n in range(4, 1204)))
    numbers.source("UPDATE {t} SET v = '[1' WHERE id = 1000")
    changes = {"normalize": {"columns": {"v": {"as": "document"}}}, "on_reject": "continue"}
    batch = numbers.batch(transform="even:even", **changes)
    assert numbers.run(batch).status == "succeeded with rejections"
    found = compare_batch(batch)
    assert (found.exit_status, found.listed) == (0, ())
    assert (found.tally.source_rows, found.tally.dropped, found.tally.rejected) == (1203, 602, 1)
    numbers.target("INSERT INTO {t} VALUES (5, 'c', '[]')")
    assert told(compare_batch(batch), "target") == expected(("extra", {"id": "5"}, ()))
    assert repair_batch(batch).exit_status == 0


def test_a_key_in_other_letters_is_a_difference_of_that_column(case):
    shop = Shop(case, "case-insensitive text", count=10)
    case.target("UPDATE {t} SET id = 'A3' WHERE n = 3")
    case.target("UPDATE {t} SET id = 'e4' WHERE n = 4")
    assert told(shop.compare(), "target") == expected(
        ("different", {"id": "a3"}, ("id",)), ("different", {"id": "É4"}, ("id",))
    )
    assert repair_batch(shop.batch).mended.rows == 2
    assert case.checksums()[0] == case.checksums()[1]


def test_mending_keeps_the_targets_own_columns_and_what_refers_to_its_rows(numbers):
    numbers.target("CREATE TABLE {t} (id INT PRIMARY KEY, kind VARCHAR(9) NOT NULL, v VARCHAR(20), mine INT DEFAULT 5)")
    upsert = numbers.batch(target__mode="upsert")
    numbers.run(upsert)
    numbers.target("CREATE TABLE {t}_child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES {t} (id))")
    numbers.target("INSERT INTO {t}_child VALUES (1, 1)")
    numbers.target("UPDATE {t} SET v = 'eins', mine = 6 WHERE id = 1")
    assert repair_batch(upsert).exit_status == 0
    assert numbers.target("SELECT v, mine FROM {t} WHERE id = 1") == [("one", 6)]
    assert numbers.target("SELECT parent FROM {t}_child") == [(1,)]


def test_a_target_that_refuses_is_left_whole(numbers):
    numbers.run()
    numbers.target("UPDATE {t} SET v = 'eins' WHERE id = 1")
    numbers.target("DELETE FROM {t} WHERE id = 2")
    numbers.target("ALTER TABLE {t} ADD CONSTRAINT {t}_check CHECK (id <> 2)")
    with pytest.raises(Permanent, match="repairing: MySQL error"):
        repair_batch(numbers.batch())
    assert numbers.target("SELECT id, v FROM {t} ORDER BY id") == [(1, "eins"), (3, None)]
    assert numbers.leftovers() == []


def test_an_update_batch_keeps_what_others_wrote(numbers):
    update = numbers.batch(dynamodb__write="update")
    numbers.run(update)
    numbers.dynamodb.update_item(
        TableName=numbers.name, Key={"id": {"N": "1"}}, UpdateExpression="SET mine = :x, v = :x",
        ExpressionAttributeValues={":x": {"S": "theirs"}},
    )  # fmt: skip
    assert told(compare_batch(update), "dynamodb") == expected(("different", {"id": "1"}, ("v",)))
    assert repair_batch(update).exit_status == 0
    (item,) = [item for item in numbers.items() if item["id"]["N"] == "1"]
    assert (item["v"], item["mine"]) == ({"S": "one"}, {"S": "theirs"})


def test_rows_outside_the_partition_that_is_read_are_none_of_the_targets(numbers):
    numbers.target("CREATE TABLE {t} (id INT PRIMARY KEY, kind VARCHAR(9) NOT NULL, v VARCHAR(20))")
    numbers.target("INSERT INTO {t} VALUES (%s, %s, %s)", (8, "b", "stays"))
    batch = numbers.batch(
        dynamodb__partition_key="kind", dynamodb__sort_key="id", target__mode="upsert",
        target__read={"query": {"partition_key": "a"}},
    )  # fmt: skip
    numbers.run(batch)
    found = compare_batch(batch)
    assert (found.exit_status, found.tally.outside, found.tally.target_rows) == (0, 1, 2)
    numbers.target("INSERT INTO {t} VALUES (%s, %s, %s)", (9, "a", "goes"))
    assert told(compare_batch(batch), "target") == expected(("extra", {"id": "9"}, ()))


def test_a_row_that_changes_everywhere_while_it_is_compared_is_looked_at_once_more(numbers):
    numbers.run()
    comparison = open_comparison(numbers.batch())
    look = comparison._differ

    def change_then_look(rows):
        comparison._differ = look
        numbers.source("UPDATE {t} SET v = 'eins' WHERE id = 1")
        numbers.target("UPDATE {t} SET v = 'eins' WHERE id = 1")
        (item,) = [item for item in numbers.items() if item["id"]["N"] == "1"]
        numbers.dynamodb.put_item(TableName=numbers.name, Item=item | {"v": {"S": "eins"}})
        return look(rows)

    comparison._differ = change_then_look
    with comparison.task:
        assert list(comparison.differences()) == []


def test_no_repair_while_a_run_has_the_lease(numbers):
    numbers.run()
    sfn = boto3.client("stepfunctions")
    wait = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 300, "End": True}}}
    role = "arn:aws:iam::000000000000:role/any"
    machine = sfn.create_state_machine(name=numbers.name, definition=json.dumps(wait), roleArn=role)["stateMachineArn"]
    execution = sfn.start_execution(stateMachineArn=machine, name="holds")["executionArn"]
    try:
        Control("").take_lease(numbers.name, execution)
        with pytest.raises(LeaseHeld, match="run holds is running"):
            repair_batch(numbers.batch())
    finally:
        with suppress(sfn.exceptions.ClientError):
            sfn.stop_execution(executionArn=execution)
            sfn.delete_state_machine(stateMachineArn=machine)


@pytest.mark.parametrize(("age", "status"), [(0, "failed"), (REPAIR_SECONDS + 1, "succeeded")])
def test_no_run_while_a_repair_has_the_lease_and_is_alive(numbers, age, status):
    holder = f"{REPAIR}:{Control('').now() - age:.0f}:{REPAIR}-1"
    Control("").take_lease(numbers.name, holder)
    result = numbers.run()
    assert result.status == status
    assert age or f"run {REPAIR}-1 is running" in result.record.cause
    Control("").release_lease(numbers.name, holder)


def test_an_item_whose_row_key_was_altered_is_told_once(case):
    shop = Shop(case, "another than the row's", count=10)
    case.dynamodb.put_item(TableName=case.name, Item=shop.items()[3] | {"id": {"N": "99"}})
    assert told(shop.compare(), "dynamodb") == expected(("different", {"id": "-3"}, ("id",)))


def test_a_target_row_with_a_key_of_its_own_is_told_once_when_the_rows_key_was_altered(case):
    case.target("CREATE TABLE {t} (id INT NOT NULL, n INT PRIMARY KEY, v VARCHAR(20), d DECIMAL(9,2))")
    shop = Shop(case, count=10)
    case.target("UPDATE {t} SET id = 99 WHERE n = 3")
    assert told(shop.compare(), "target") == expected(("different", {"id": "3"}, ("id",)))
    case.target("INSERT INTO {t} VALUES (98, 98, '', 0)")
    assert repair_batch(shop.batch).mended.rows == 2
    assert case.target("SELECT id FROM {t} ORDER BY n") == [(n,) for n in range(10)]


def test_an_item_whose_key_is_no_value_of_the_column_is_extra(case):
    case.source("CREATE TABLE {t} (id DATE PRIMARY KEY, v INT)")
    case.source("INSERT INTO {t} VALUES (%s, %s)", *((f"2026-01-{n:02d}", n) for n in range(1, 10)))
    case.run()
    case.dynamodb.put_item(TableName=case.name, Item={"id": {"S": "never"}, "v": {"N": "1"}})
    assert told(compare_batch(case.batch()), "dynamodb") == expected(("extra", {"id": "never"}, ()))
