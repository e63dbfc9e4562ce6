"""The DynamoDB edge against a real DynamoDB API."""

import itertools
from decimal import Decimal

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from dataops.core.dynamodb import (
    ATTEMPTS,
    Limiter,
    PutWriter,
    UpdateWriter,
    batches_of,
    dynamodb_client,
    get_item,
    get_items,
    query_page,
    remove_stale,
    scan_page,
)
from dataops.core.item import item_size
from dataops.errors import Permanent, Retryable, SchemaMismatch

STAMP, KEYS = "_gen_b", ("pk", "sk")
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
    assert PutWriter(dynamodb_client(), table, Limiter(None), KEYS).write(items) == []
    assert by_number(scanned(table)) == items
    parts = [scanned(table, segment=segment, segments=3) for segment in range(3)]
    assert by_number(one for part in parts for one in part) == items


def test_one_poison_item_is_named_and_the_others_arrive(table):
    items = [item(number) for number in range(30)]
    items[7]["kind"] = {"N": "7"}  # the index wants a string
    (refused,) = PutWriter(dynamodb_client(), table, Limiter(None), KEYS).write(items)
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
    PutWriter(client, table, Limiter(None), KEYS).write([item(1)])
    assert get_item(client, table, {"pk": {"S": "p1"}, "sk": {"N": "1"}}) == item(1)
    assert get_item(client, table, {"pk": {"S": "p1"}, "sk": {"N": "3"}}) is None


def test_query_reads_a_partition_and_an_index_gives_keys_to_get(table):
    client = dynamodb_client()
    items = [item(number, kind={"S": "even" if number % 4 == 0 else "odd"}, v={"S": "x"}) for number in range(130)]
    PutWriter(client, table, Limiter(None), KEYS).write(items)
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
    PutWriter(client, table, Limiter(None), KEYS).write([item(1) | {STAMP: {"N": "2"}}])
    key = {"pk": {"S": "p1"}, "sk": {"N": "1"}}
    assert not remove_stale(client, table, key, STAMP, {"N": "1"}, None)
    assert remove_stale(client, table, key, STAMP, {"N": "2"}, None)
    assert scanned(table) == []


def test_a_missing_table_is_permanent(stack):
    with pytest.raises(Permanent, match="DynamoDB table nosuch: is not there"):
        scan_page(dynamodb_client(), "nosuch", STAMP)


def test_batches_keep_to_25_items_and_16_megabytes():
    small = [item(number) for number in range(60)]
    assert [(start, len(batch)) for start, batch in batches_of(small, KEYS)] == [(0, 25), (25, 25), (50, 10)]
    large = [item(number, v={"B": b"x" * 900_000}) for number in range(50)]
    groups = list(batches_of(large, KEYS))
    assert [(start, len(batch)) for start, batch in groups] == [(0, 18), (18, 18), (36, 14)]
    assert [one for _, batch in groups for one in batch] == large
    assert list(batches_of([], KEYS)) == []


@given(st.lists(st.integers(0, 9_000_000), max_size=80))
def test_batches_are_as_full_as_they_may_be(sizes):
    items = [{"a": {"B": bytes(size)}, "k": {"N": str(place)}} for place, size in enumerate(sizes)]
    groups = [batch for _, batch in batches_of(items, ["k"])]
    weights = [sum(map(item_size, batch)) for batch in groups]
    assert [one for batch in groups for one in batch] == items
    assert all(len(batch) <= 25 and weight <= 16 * 2**20 for batch, weight in zip(groups, weights, strict=True))
    for batch, weight, after in zip(groups, weights, groups[1:], strict=False):
        assert len(batch) == 25 or weight + item_size(after[0]) > 16 * 2**20


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["1", "1.0", "10E-1", "2"])), max_size=60))
def test_no_batch_has_a_key_twice_and_the_order_stays(keys):
    items = [{"pk": {"S": text}, "sk": {"N": number}} for text, number in keys]
    groups = [batch for _, batch in batches_of(items, KEYS)]
    assert [one for batch in groups for one in batch] == items
    for batch in groups:
        found = [(one["pk"]["S"], Decimal(one["sk"]["N"])) for one in batch]
        assert len(set(found)) == len(found)


def test_of_two_items_with_one_key_the_later_stays(table):
    first, second = item(1, v={"S": "first"}), item(1, v={"S": "second"})
    second["sk"] = {"N": "1.0"}
    assert PutWriter(dynamodb_client(), table, Limiter(None), KEYS).write([first, item(2), second]) == []
    assert [one.get("v") for one in by_number(scanned(table))] == [{"S": "second"}, None]


class Watch:
    """A clock that moves when somebody sleeps, or when it is told to."""

    def __init__(self):
        self.now, self.slept = 1000.0, []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def limiter_of(rate):
    watch = Watch()
    return Limiter(rate, lambda: watch.now, watch.sleep), watch


def test_the_limiter_lets_its_rate_pass_over_time():
    limiter, watch = limiter_of(10)
    for _ in range(10):
        limiter.spend([item(1)] * 10)
    assert sum(watch.slept) == pytest.approx(9.0)


def test_the_limiter_counts_write_units_and_not_items():
    limiter, watch = limiter_of(10)
    limiter.spend([{"a": {"S": "x" * 10_239}}])
    assert watch.slept == []
    limiter.spend([{"a": {"S": "x" * 10_240}}])
    assert watch.slept == [pytest.approx(1.1)]


def test_an_idle_limiter_saves_up_one_second_and_no_more():
    limiter, watch = limiter_of(10)
    watch.now += 3600
    limiter.spend([item(1)] * 30)
    assert watch.slept == [pytest.approx(2.0)]


@pytest.mark.parametrize("rate", [0.5, 3])
def test_one_batch_beyond_the_rate_waits_but_passes(rate):
    limiter, watch = limiter_of(rate)
    limiter.spend([item(1)] * 25)
    assert watch.slept == [pytest.approx((25 - rate) / rate)]


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 5)), max_size=30), st.integers(1, 50))
def test_never_more_passes_than_the_rate_and_one_second_saved_up(bursts, rate):
    limiter, watch = limiter_of(rate)
    spent = 0
    for count, idle in bursts:
        watch.now += idle
        limiter.spend([item(1)] * count)
        spent += count
        assert spent <= rate * (watch.now - 1000) + rate + 1e-6


def test_without_a_rate_nothing_waits():
    limiter, watch = limiter_of(None)
    limiter.spend([item(1)] * 1000)
    assert watch.slept == []


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("ThrottlingException", Retryable, "ThrottlingException"),
        ("ProvisionedThroughputExceededException", Retryable, "ProvisionedThroughputExceededException"),
        ("InternalServerError", Retryable, "InternalServerError"),
        ("ResourceNotFoundException", Permanent, "is not there"),
        ("ValidationException", SchemaMismatch, "DynamoDB refused it"),
        ("AccessDeniedException", Permanent, "AccessDeniedException"),
    ],
)
def test_an_error_of_dynamodb_is_told_by_table_and_code(code, kind, says):
    client = boto3.client("dynamodb", region_name="x", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        stub.add_client_error("get_item", code, "secret value")
        with pytest.raises(kind, match=f"DynamoDB table t: .*{says}") as caught:
            get_item(client, "t", {"pk": {"S": "secret"}})
    assert type(caught.value) is kind
    assert "secret" not in str(caught.value)


def test_what_comes_back_unprocessed_is_sent_again(monkeypatch):
    monkeypatch.setattr("dataops.core.dynamodb.time.sleep", lambda _: None)
    client = boto3.client("dynamodb", region_name="x", aws_access_key_id="a", aws_secret_access_key="b")
    first, second = ({"PutRequest": {"Item": item(number)}} for number in range(2))
    with Stubber(client) as stub:
        reply = {"UnprocessedItems": {"t": [second]}}
        stub.add_response("batch_write_item", reply, {"RequestItems": {"t": [first, second]}})
        stub.add_response("batch_write_item", {"UnprocessedItems": {}}, {"RequestItems": {"t": [second]}})
        assert PutWriter(client, "t", Limiter(None), KEYS).write([item(0), item(1)]) == []
        stub.assert_no_pending_responses()


def test_what_stays_unprocessed_is_retryable(monkeypatch):
    monkeypatch.setattr("dataops.core.dynamodb.time.sleep", lambda _: None)
    client = boto3.client("dynamodb", region_name="x", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        for _ in range(ATTEMPTS):
            stub.add_response("batch_write_item", {"UnprocessedItems": {"t": [{"PutRequest": {"Item": item(0)}}]}})
        with pytest.raises(Retryable, match="1 items stayed unprocessed after 10 attempts"):
            PutWriter(client, "t", Limiter(None), KEYS).write([item(0)])
