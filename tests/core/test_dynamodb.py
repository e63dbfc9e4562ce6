"""The DynamoDB edge against a real DynamoDB API."""

import itertools

import boto3
import pytest

from dataops.core.dynamodb import (
    Limiter,
    PutWriter,
    UpdateWriter,
    _batches,
    dynamodb_client,
    get_item,
    get_items,
    query_page,
    remove_stale,
    scan_page,
)
from dataops.errors import Permanent

STAMP = "_gen_b"
_numbers = itertools.count()


@pytest.fixture
def table(stack):
    """An empty table with keys pk (S) and sk (N), and an index by kind."""
    name = f"edge-{next(_numbers)}"
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    types = {"pk": "S", "sk": "N", "kind": "S"}
    index = {
        "IndexName": "by-kind", "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }  # fmt: skip
    boto3.client("dynamodb").create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=keys, GlobalSecondaryIndexes=[index],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in types.items()],
    )  # fmt: skip
    return name


def item(number, **more):
    return {"pk": {"S": f"p{number % 2}"}, "sk": {"N": str(number)}, STAMP: {"N": "1"}, **more}


def scanned(table, **options):
    cursor, found = None, []
    while True:
        page = scan_page(dynamodb_client(), table, STAMP, cursor, **options)
        found += page.items
        if (cursor := page.cursor) is None:
            return found


def by_number(items):
    return sorted(items, key=lambda one: int(one["sk"]["N"]))


@pytest.mark.parametrize("count", [0, 1, 24, 25, 26, 60])
def test_every_item_is_written_and_scanned_by_segments(table, count):
    items = [item(number) for number in range(count)]
    assert PutWriter(dynamodb_client(), table, Limiter(None)).write(items) == []
    assert by_number(scanned(table)) == items
    parts = [scanned(table, segment=segment, segments=3) for segment in range(3)]
    assert by_number(one for part in parts for one in part) == items


def test_one_poison_item_is_named_and_the_others_arrive(table):
    items = [item(number) for number in range(30)]
    items[7]["kind"] = {"N": "7"}  # the index wants a string
    (refused,) = PutWriter(dynamodb_client(), table, Limiter(None)).write(items)
    assert refused.place == 7
    assert "ValidationException" in refused.reason
    assert len(scanned(table)) == 29


def test_items_without_the_stamp_are_not_seen(table):
    client = dynamodb_client()
    client.put_item(TableName=table, Item={"pk": {"S": "p"}, "sk": {"N": "1"}})
    assert scanned(table) == []
    assert get_item(client, table, {"pk": {"S": "p"}, "sk": {"N": "1"}}) is not None


def test_get_item_finds_one_or_none(table):
    client = dynamodb_client()
    PutWriter(client, table, Limiter(None)).write([item(1)])
    assert get_item(client, table, {"pk": {"S": "p1"}, "sk": {"N": "1"}}) == item(1)
    assert get_item(client, table, {"pk": {"S": "p1"}, "sk": {"N": "3"}}) is None


def test_query_reads_a_partition_and_an_index_gives_keys_to_get(table):
    client = dynamodb_client()
    items = [item(number, kind={"S": "even" if number % 4 == 0 else "odd"}, v={"S": "x"}) for number in range(130)]
    PutWriter(client, table, Limiter(None)).write(items)
    assert query_page(client, table, "pk", {"S": "p1"}).items == [one for one in items if one["pk"]["S"] == "p1"]
    keys = query_page(client, table, "kind", {"S": "odd"}, index="by-kind").items
    wanted = [{name: key[name] for name in ("pk", "sk")} for key in keys]
    assert by_number(get_items(client, table, wanted)) == [one for one in items if one["kind"]["S"] == "odd"]


def test_update_sets_and_removes_its_own_attributes_only(table):
    client = dynamodb_client()
    key = {"pk": {"S": "p1"}, "sk": {"N": "1"}}
    client.put_item(TableName=table, Item={**key, "v": {"S": "old"}, "w": {"S": "old"}, "theirs": {"S": "x"}})
    writer = UpdateWriter(client, table, Limiter(None), ["pk", "sk"], ["pk", "sk", "v", "w", STAMP])
    assert writer.write([{**key, "v": {"S": "new"}, STAMP: {"N": "2"}}]) == []
    assert get_item(client, table, key) == {**key, "v": {"S": "new"}, "theirs": {"S": "x"}, STAMP: {"N": "2"}}


def test_a_sweep_that_is_raced_by_a_write_loses(table):
    client = dynamodb_client()
    PutWriter(client, table, Limiter(None)).write([item(1) | {STAMP: {"N": "2"}}])
    key = {"pk": {"S": "p1"}, "sk": {"N": "1"}}
    assert not remove_stale(client, table, key, STAMP, {"N": "1"}, None)
    assert remove_stale(client, table, key, STAMP, {"N": "2"}, None)
    assert scanned(table) == []


def test_a_missing_table_is_permanent(stack):
    with pytest.raises(Permanent, match="DynamoDB table nosuch: is not there"):
        scan_page(dynamodb_client(), "nosuch", STAMP)


def test_batches_keep_to_25_items_and_16_megabytes():
    small = [item(number) for number in range(60)]
    assert [(start, len(batch)) for start, batch in _batches(small)] == [(0, 25), (25, 25), (50, 10)]
    large = [item(number, v={"B": b"x" * 390_000}) for number in range(50)]
    groups = list(_batches(large))
    assert all(len(batch) * 390_000 <= 16 * 1024 * 1024 for _, batch in groups)
    assert [one for _, batch in groups for one in batch] == large


def test_the_limiter_lets_its_rate_pass_over_time():
    now = [0.0]
    limiter = Limiter(10, lambda: now[0], lambda seconds: now.__setitem__(0, now[0] + seconds))
    for _ in range(10):
        limiter.spend([item(1)] * 10)
    assert now[0] == pytest.approx(9.0)
    Limiter(None, lambda: 0, lambda _: pytest.fail("never waits")).spend([item(1)] * 1000)
