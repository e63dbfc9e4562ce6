"""The DynamoDB edge against a real DynamoDB API."""

import itertools
from decimal import Decimal

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from dataops.core.dynamodb import (
    Access,
    dynamodb_client,
    get_item,
    get_items,
    query_page,
    remove_stale,
    scan_keys,
    scan_page,
)
from dataops.core.item import item_size
from dataops.core.pace import ATTEMPTS, Limiter, Patience
from dataops.core.writers import PutWriter, UpdateWriter, batches_of
from dataops.errors import Permanent, Retryable, SchemaMismatch, Throttled, Unprocessed
from tests.core.keyed import KEYS, STAMP, create_keyed_table, item

_numbers = itertools.count()


@pytest.fixture
def table(stack):
    """An empty table, made by `create_keyed_table`."""
    return create_keyed_table(f"edge-{next(_numbers)}")


def scanned(table, **options):
    cursor, found = None, []
    while True:
        page = scan_page(Access(dynamodb_client()), table, STAMP, cursor, **options)
        found += page.items
        if (cursor := page.cursor) is None:
            return found


def by_number(items):
    return sorted(items, key=lambda one: int(one["sk"]["N"]))


@pytest.mark.parametrize("count", [0, 1, 24, 25, 26, 60])
def test_every_item_is_written_and_scanned_by_segments(table, count):
    items = [item(number) for number in range(count)]
    assert PutWriter(Access(dynamodb_client()), table, KEYS).write(items) == []
    assert by_number(scanned(table)) == items
    parts = [scanned(table, segment=segment, segments=3) for segment in range(3)]
    assert by_number(one for part in parts for one in part) == items


def test_one_poison_item_is_named_and_the_others_arrive(table):
    items = [item(number) for number in range(30)]
    items[7]["kind"] = {"N": "7"}  # the index wants a string
    (refused,) = PutWriter(Access(dynamodb_client()), table, KEYS).write(items)
    assert refused.place == 7
    assert "ValidationException" in refused.reason
    assert len(scanned(table)) == 29


def test_items_without_the_stamp_are_not_seen(table):
    access = Access(dynamodb_client())
    access.client.put_item(TableName=table, Item={"pk": {"S": "p"}, "sk": {"N": "1"}})
    assert scanned(table) == []
    assert get_item(access, table, {"pk": {"S": "p"}, "sk": {"N": "1"}}) is not None


def test_get_item_finds_one_or_none(table):
    access = Access(dynamodb_client())
    PutWriter(access, table, KEYS).write([item(1)])
    assert get_item(access, table, {"pk": {"S": "p1"}, "sk": {"N": "1"}}) == item(1)
    assert get_item(access, table, {"pk": {"S": "p1"}, "sk": {"N": "3"}}) is None


def test_query_reads_a_partition_and_an_index_gives_keys_to_get(table):
    access = Access(dynamodb_client())
    items = [item(number, kind={"S": "even" if number % 4 == 0 else "odd"}, v={"S": "x"}) for number in range(130)]
    PutWriter(access, table, KEYS).write(items)
    assert query_page(access, table, "pk", {"S": "p1"}).items == [one for one in items if one["pk"]["S"] == "p1"]
    keys = query_page(access, table, "kind", {"S": "odd"}, index="by-kind").items
    wanted = [{name: key[name] for name in ("pk", "sk")} for key in keys]
    assert by_number(get_items(access, table, wanted)) == [one for one in items if one["kind"]["S"] == "odd"]


def test_update_sets_and_removes_its_own_attributes_only(table):
    access = Access(dynamodb_client())
    key = {"pk": {"S": "p1"}, "sk": {"N": "1"}}
    access.client.put_item(TableName=table, Item={**key, "v": {"S": "old"}, "w": {"S": "old"}, "theirs": {"S": "x"}})
    writer = UpdateWriter(access, table, ["pk", "sk"], ["pk", "sk", "v", "w", STAMP])
    assert writer.write([{**key, "v": {"S": "new"}, STAMP: {"N": "2"}}]) == []
    assert get_item(access, table, key) == {**key, "v": {"S": "new"}, "theirs": {"S": "x"}, STAMP: {"N": "2"}}


def test_a_sweep_that_is_raced_by_a_write_loses(table):
    access = Access(dynamodb_client())
    PutWriter(access, table, KEYS).write([item(1) | {STAMP: {"N": "2"}}])
    key = {"pk": {"S": "p1"}, "sk": {"N": "1"}}
    assert not remove_stale(access, table, key, STAMP, {"N": "1"}, None)
    assert remove_stale(access, table, key, STAMP, {"N": "2"}, None)
    assert scanned(table) == []


def test_a_missing_table_is_permanent(stack):
    with pytest.raises(Permanent, match="DynamoDB table nosuch: is not there"):
        scan_page(Access(dynamodb_client()), "nosuch", STAMP)


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
    assert PutWriter(Access(dynamodb_client()), table, KEYS).write([first, item(2), second]) == []
    assert [one.get("v") for one in by_number(scanned(table))] == [{"S": "second"}, None]


@pytest.fixture
def stubbed():
    """An access to a table `t` that answers as it is told and never really waits, and its stub."""
    client = boto3.client("dynamodb", region_name="x", aws_access_key_id="a", aws_secret_access_key="b")
    access = Access(client, Limiter(None), Limiter(None), lambda: Patience(lambda: 0.0, lambda _: None))
    with Stubber(client) as stub:
        yield access, stub


@pytest.mark.parametrize(
    ("code", "status", "kind", "attempts"),
    [
        ("ThrottlingException", 400, Throttled, ATTEMPTS),
        ("ProvisionedThroughputExceededException", 400, Throttled, ATTEMPTS),
        ("RequestLimitExceeded", 400, Throttled, ATTEMPTS),
        ("InternalServerError", 500, Retryable, ATTEMPTS),
        ("502", 502, Retryable, ATTEMPTS),
        ("ResourceNotFoundException", 400, Permanent, 1),
        ("ValidationException", 400, SchemaMismatch, 1),
        ("AccessDeniedException", 400, Permanent, 1),
    ],
)
def test_an_error_of_dynamodb_is_told_by_table_and_code(stubbed, code, status, kind, attempts):
    access, stub = stubbed
    for _ in range(attempts):
        stub.add_client_error("get_item", code, "secret value", http_status_code=status)
    with pytest.raises(kind, match="DynamoDB table t: ") as caught:
        get_item(access, "t", {"pk": {"S": "secret"}})
    assert type(caught.value) is kind
    assert "secret" not in str(caught.value)
    stub.assert_no_pending_responses()


def test_throttled_reads_and_writes_slow_down_each_their_own_limiter(stubbed):
    access, stub = stubbed
    stub.add_client_error("get_item", "ThrottlingException")
    stub.add_response("get_item", {"Item": item(1)})
    assert get_item(access, "t", {"pk": {"S": "p"}}) == item(1)
    assert access.reads.rate is not None
    assert access.writes.rate is None
    stub.add_response("batch_write_item", {"UnprocessedItems": {"t": [{"PutRequest": {"Item": item(0)}}]}})
    stub.add_response("batch_write_item", {"UnprocessedItems": {}})
    PutWriter(access, "t", KEYS).write([item(0)])
    assert access.writes.rate is not None


def test_what_comes_back_unprocessed_is_sent_again(stubbed):
    access, stub = stubbed
    first, second = ({"PutRequest": {"Item": item(number)}} for number in range(2))
    total = {"ReturnConsumedCapacity": "TOTAL"}
    for sent, back, units in (([first, second], [second], 3.0), ([second], [], 4.0)):
        reply = {"UnprocessedItems": {"t": back} if back else {}, "ConsumedCapacity": [{"CapacityUnits": units}]}
        stub.add_response("batch_write_item", reply, {"RequestItems": {"t": sent}, **total})
    assert PutWriter(access, "t", KEYS).write([item(0), item(1)]) == []
    assert access.used.write_units == 7.0
    stub.assert_no_pending_responses()


def test_what_stays_unprocessed_is_told_by_its_places(stubbed):
    access, stub = stubbed
    stub.add_response("batch_write_item", {"UnprocessedItems": {}})
    back = {"UnprocessedItems": {"t": [{"PutRequest": {"Item": item(30)}}, {"PutRequest": {"Item": item(26)}}]}}
    for _ in range(ATTEMPTS):
        stub.add_response("batch_write_item", back)
    with pytest.raises(Unprocessed, match=rf"2 items stayed unprocessed in {ATTEMPTS} attempts") as caught:
        PutWriter(access, "t", KEYS).write([item(number) for number in range(40)])
    assert caught.value.places == (30, 26)
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(("size", "units"), [(1_000, 2), (1_500, 3)])
def test_a_write_spends_the_units_of_its_items_before(stubbed, size, units):
    access, stub = stubbed
    spent = []
    access.writes.spend = spent.append
    stub.add_response("batch_write_item", {"UnprocessedItems": {}})
    PutWriter(access, "t", KEYS).write([item(1), item(2, v={"S": "x" * size})])
    stub.add_response("update_item", {})
    UpdateWriter(access, "t", KEYS, [*KEYS, "v"]).write([item(2, v={"S": "x" * size})])
    assert spent == [units, units - 1]


def test_keys_that_come_back_unprocessed_are_read_again(stubbed):
    access, stub = stubbed
    first, second = ({"pk": {"S": text}} for text in "ab")
    for keys, item_, left in (([first, second], item(1), {"t": {"Keys": [second]}}), ([second], item(2), {})):
        reply = {"Responses": {"t": [item_]}, "UnprocessedKeys": left}
        wanted = {"RequestItems": {"t": {"Keys": keys, "ConsistentRead": True}}, "ReturnConsumedCapacity": "TOTAL"}
        stub.add_response("batch_get_item", reply, wanted)
    assert list(get_items(access, "t", [first, second])) == [item(1), item(2)]


def test_keys_that_stay_unprocessed_end_bounded(stubbed):
    access, stub = stubbed
    key = {"pk": {"S": "p"}}
    for _ in range(ATTEMPTS):
        stub.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": {"t": {"Keys": [key]}}})
    with pytest.raises(Retryable, match=r"1 keys stayed unprocessed in 9 attempts"):
        list(get_items(access, "t", [key]))


def test_a_read_spends_what_dynamodb_reports(stubbed):
    access, stub = stubbed
    told = [{"TableName": "t", "CapacityUnits": 12.5}]
    stub.add_response(
        "batch_get_item", {"Responses": {"t": [item(1)]}, "UnprocessedKeys": {}, "ConsumedCapacity": told}
    )
    stub.add_response("scan", {"Items": [], "ConsumedCapacity": {"CapacityUnits": 128.0}})
    spent = []
    access.reads.spend = spent.append
    assert list(get_items(access, "t", [{"pk": {"S": "p"}}])) == [item(1)]
    assert scan_page(access, "t", STAMP).items == []
    assert spent == [12.5, 128.0]


@pytest.mark.parametrize(("most", "limits"), [(None, [None] * 4), (2, [10, 20, 40, 20])])
def test_a_limited_reader_asks_for_pages_that_it_can_pay_for(stubbed, most, limits):
    _, stub = stubbed
    now = iter(range(0, 10**9, 1000))
    access = Access(stubbed[0].client, Limiter(most, lambda: next(now), lambda _: None))
    for limit, units in zip(limits, [1.0, 10.0, 11.0, 1.0], strict=True):
        wanted = {
            "TableName": "t", "ConsistentRead": True, "ReturnConsumedCapacity": "TOTAL", "ProjectionExpression": "#0",
            "ExpressionAttributeNames": {"#0": "pk"}, **({"Limit": limit} if limit else {}),
        }  # fmt: skip
        stub.add_response("scan", {"Items": [], "ConsumedCapacity": {"CapacityUnits": units}}, wanted)
        assert scan_keys(access, "t", ["pk"]).cursor is None
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(("found", "removed"), [(None, True), ({STAMP: {"N": "2"}}, False), ({"pk": {"S": "p"}}, True)])
def test_a_removal_whose_reply_was_lost_counts_when_the_stamp_is_gone(stubbed, found, removed):
    access, stub = stubbed
    stub.add_client_error("delete_item", "InternalServerError", http_status_code=500)
    more = {} if found is None else {"Item": found}
    stub.add_client_error("delete_item", "ConditionalCheckFailedException", modeled_fields=more)
    assert remove_stale(access, "t", {"pk": {"S": "p"}}, STAMP, {"N": "1"}, None) is removed


def test_a_removal_that_another_was_quicker_with_does_not_count(stubbed):
    access, stub = stubbed
    stub.add_client_error("delete_item", "ConditionalCheckFailedException")
    assert not remove_stale(access, "t", {"pk": {"S": "p"}}, STAMP, {"N": "1"}, None)
