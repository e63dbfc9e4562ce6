"""What a copy counts: by itself, and so that a second reading can be held against it."""

import pytest

import dataops.core.task
from dataops.core.account import account_rows
from dataops.core.normalize import Codec
from dataops.core.pace import Limiter
from dataops.core.reconcile import verify_source, verify_staging
from dataops.errors import Permanent, Unaccounted
from tests.end_to_end.steps import copy_all, load_all, never, planned

pytestmark = pytest.mark.one_server


def test_the_limit_holds_over_all_pages_of_a_worker(numbers, monkeypatch):
    now, slept = 1000.0, []

    def limiter_of(rate):
        return Limiter(rate, lambda: now + sum(slept), slept.append)

    monkeypatch.setattr("dataops.core.task.Limiter", limiter_of)
    numbers.source("INSERT INTO {t} VALUES (%s, 'c', 'x')", *((number,) for number in range(4, 2501)))
    with planned(numbers, "run", numbers.batch(dynamodb__max_write_units=1000)) as task:
        copy_all(task)
    assert sum(slept) == pytest.approx(1.5)


def test_a_worker_has_its_share_and_a_state_that_runs_alone_has_all(numbers):
    batch = numbers.batch(dynamodb__max_write_units=100, dynamodb__max_read_units=40)
    with planned(numbers, "run", batch, workers=4) as task:
        assert (task.shared_dynamodb.reads.most, task.shared_dynamodb.writes.most) == (10, 25)
        assert (task.dynamodb.reads.most, task.dynamodb.writes.most) == (40, 100)
        assert task.page_rows == 125


def test_load_sweep_and_reconcile_spend_units_of_their_own(numbers, monkeypatch):
    spent = []
    monkeypatch.setattr(Limiter, "spend", lambda limiter, units: spent.append(limiter.most))
    batch = numbers.batch(dynamodb__max_write_units=100, dynamodb__max_read_units=40)
    with planned(numbers, "run", batch, workers=4) as task:
        numbers.dynamodb.put_item(TableName=numbers.name, Item={"id": {"N": "9"}, batch.stamp: {"N": "1"}})
        steps = []
        for step in (copy_all, load_all, lambda task: verify_staging(task, never)):
            step(task)
            steps.append(set(spent))
            spent.clear()
    assert steps == [{25}, {40, 100, 10}, {40}]
    assert [item["id"]["N"] for item in numbers.items()].count("9") == 0


def test_a_run_within_tight_limits_ends_well(numbers):
    numbers.source("INSERT INTO {t} VALUES (%s, 'c', 'x')", *((number,) for number in range(4, 201)))
    result = numbers.run(numbers.batch(dynamodb__max_write_units=100, dynamodb__max_read_units=20))
    assert (result.status, result.record.target_rows) == ("succeeded", 200)


def test_a_row_that_became_nothing_at_all_is_not_taken_for_a_dropped_one(numbers, monkeypatch):
    encode = Codec.encode
    monkeypatch.setattr(Codec, "encode", lambda *given: encode(*given) if given[1][0] != "2" else ())
    monkeypatch.setattr("dataops.core.rowcode.why_plain", lambda codec: "the test's codec is to be asked")
    with planned(numbers, "run") as task:
        copy_all(task)
        assert task.control.chunk(0).dropped == 0
        with pytest.raises(Unaccounted, match=r"chunk 0: 3 rows read, but 2 items \+ 0 rejected \+ 0 dropped"):
            account_rows(task)


@pytest.fixture
def refusing(numbers):
    """A copied case of which DynamoDB refused two items: an index, not the batch's, wants `v` to be a text."""
    numbers.dynamodb.create_table(
        TableName=numbers.name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in (("id", "N"), ("v", "S"))],
        GlobalSecondaryIndexes=[{
            "IndexName": "theirs", "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }],
    )  # fmt: skip
    with planned(numbers, "run", numbers.batch(on_reject="continue")) as task:
        copy_all(task)
        assert task.control.chunk(0).refused == 2
        yield task


def test_refused_items_are_no_drift(refusing):
    account_rows(refusing)
    assert verify_source(refusing, never) == []


@pytest.mark.parametrize("row", [1, 3], ids=["written", "refused"])
def test_drift_is_seen_beside_refused_items(numbers, refusing, row):
    numbers.source(f"UPDATE {{t}} SET kind = 'new' WHERE id = {row}")
    assert verify_source(refusing, never) == [0]


@pytest.mark.parametrize("bound", ["MAX_PARTITIONS", "PARTITION_BYTES"])
def test_more_partitions_than_a_record_holds_are_told_while_copying(numbers, monkeypatch, bound):
    index = {"name": "by-kind", "partition_key": "kind"}
    batch = numbers.batch(dynamodb__indexes=[index], target__read={"index": "by-kind"})
    monkeypatch.setattr(dataops.core.task, bound, 1)
    with (
        planned(numbers, "run", batch) as task,
        pytest.raises(Permanent, match=r"target.read: index by-kind has too many partitions; use scan"),
    ):
        copy_all(task)
