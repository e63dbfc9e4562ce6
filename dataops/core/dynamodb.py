"""The DynamoDB edge: write items in batches, read them back by get, query, index or scan.

Items go in and out as DynamoDB JSON. The plain writer and readers here use boto3's client as it is; they stay as
the oracle of anything faster.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from dataops.core.item import Attribute, Item, canonical_attribute, item_size, write_units
from dataops.errors import DataOpsError, Permanent, Retryable, SchemaMismatch

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

BATCH_ITEMS, BATCH_BYTES, GET_KEYS = 25, 16 * 1024 * 1024, 100
ATTEMPTS = 10
"""Times that unprocessed items or keys are sent before the call gives up: about half a minute with full jitter."""

_TRANSIENT = {
    "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "InternalServerError",
    "ServiceUnavailable", "LimitExceededException", "TransactionInProgressException",
}  # fmt: skip


class Unwritable(NamedTuple):
    """An item that DynamoDB refused: its place among those given, and the error's name."""

    place: int
    reason: str


class Writer(Protocol):
    """Writes items; gives those that DynamoDB refused for their own sake. Raises for everything else."""

    def write(self, items: Sequence[Item]) -> list[Unwritable]:
        """Write all of `items`, or raise."""


class Page(NamedTuple):
    """Items of one page and where the next begins (None: this was the last)."""

    items: list[Item]
    cursor: Item | None


def dynamodb_client() -> DynamoDBClient:
    """A client that retries by itself what a repeated call can mend."""
    import boto3
    from botocore.config import Config

    return boto3.client("dynamodb", config=Config(retries={"mode": "standard", "total_max_attempts": 6}))


class Limiter:
    """A token bucket: `spend` waits until the units are there. `rate` is in units a second; None never waits."""

    def __init__(
        self,
        rate: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._tokens, self._filled = rate or 0.0, clock()

    def spend(self, items: Sequence[Item]) -> None:
        """Take the items' write units from the bucket, waiting while it is empty; it holds one second's worth."""
        if self._rate is None:
            return
        units = sum(map(write_units, items))
        now = self._clock()
        self._tokens = min(self._rate, self._tokens + (now - self._filled) * self._rate) - units
        self._filled = now
        if self._tokens < 0:
            self._sleep(-self._tokens / self._rate)


class PutWriter:
    """Overwrites whole items with BatchWriteItem, 25 at a time; of two items with one key the later stays."""

    def __init__(self, client: DynamoDBClient, table: str, limiter: Limiter, keys: Sequence[str]) -> None:
        self._client, self._table, self._limiter, self._keys = client, table, limiter, keys

    def write(self, items: Sequence[Item]) -> list[Unwritable]:
        """Put all items, resending what comes back unprocessed; one bad item never takes the others with it."""
        refused: list[Unwritable] = []
        for start, batch in batches_of(items, self._keys):
            self._limiter.spend(batch)
            try:
                self._put_batch(batch)
            except SchemaMismatch:
                refused += [Unwritable(start + place, reason) for place, reason in self._put_singly(batch)]
        return refused

    def _put_batch(self, batch: Sequence[Item]) -> None:
        pending: Mapping[str, Any] = {self._table: [{"PutRequest": {"Item": item}} for item in batch]}
        for attempt in range(ATTEMPTS):
            with _errors_located(self._table):
                pending = self._client.batch_write_item(RequestItems=pending)["UnprocessedItems"]
            if not pending:
                return
            _back_off(attempt)
        left = len(pending[self._table])
        raise Retryable(f"DynamoDB table {self._table}: {left} items stayed unprocessed after {ATTEMPTS} attempts")

    def _put_singly(self, batch: Sequence[Item]) -> Iterator[Unwritable]:
        for place, item in enumerate(batch):
            try:
                with _errors_located(self._table):
                    self._client.put_item(TableName=self._table, Item=item)
            except SchemaMismatch as error:
                yield Unwritable(place, str(error).rpartition(": ")[2])


class UpdateWriter:
    """Sets the batch's own attributes with UpdateItem and leaves an item's other attributes alone."""

    def __init__(
        self, client: DynamoDBClient, table: str, limiter: Limiter, keys: Sequence[str], owned: Sequence[str]
    ) -> None:
        self._client, self._table, self._limiter, self._keys, self._owned = client, table, limiter, keys, owned

    def write(self, items: Sequence[Item]) -> list[Unwritable]:
        """Update all items one by one; an owned attribute that an item lacks is removed."""
        refused = []
        for place, item in enumerate(items):
            self._limiter.spend([item])
            try:
                with _errors_located(self._table):
                    self._client.update_item(TableName=self._table, Key=key_of(item, self._keys), **self._changes(item))
            except SchemaMismatch as error:
                refused.append(Unwritable(place, str(error).rpartition(": ")[2]))
        return refused

    def _changes(self, item: Item) -> dict[str, Any]:
        names = [name for name in self._owned if name not in self._keys]
        aliases = {f"#{number}": name for number, name in enumerate(names)}
        sets = [f"{alias} = :{alias[1:]}" for alias, name in aliases.items() if name in item]
        removes = [alias for alias, name in aliases.items() if name not in item]
        expression = "SET " + ", ".join(sets) + (" REMOVE " + ", ".join(removes) if removes else "")
        values = {f":{alias[1:]}": item[name] for alias, name in aliases.items() if name in item}
        return {
            "UpdateExpression": expression,
            "ExpressionAttributeNames": aliases,
            "ExpressionAttributeValues": values,
        }


def key_of(item: Item, keys: Sequence[str]) -> dict[str, Attribute]:
    """The key attributes of an item."""
    return {name: item[name] for name in keys}


def get_item(client: DynamoDBClient, table: str, key: Mapping[str, Attribute]) -> Item | None:
    """The item under one key, read consistently, or None."""
    with _errors_located(table):
        return client.get_item(TableName=table, Key=dict(key), ConsistentRead=True).get("Item")  # type: ignore[return-value]


def get_items(client: DynamoDBClient, table: str, keys: Sequence[Mapping[str, Attribute]]) -> Iterator[Item]:
    """The items under many keys, read consistently, 100 a call; a key without an item gives none."""
    for start in range(0, len(keys), GET_KEYS):
        pending: Mapping[str, Any] = {table: {"Keys": keys[start : start + GET_KEYS], "ConsistentRead": True}}
        for attempt in range(ATTEMPTS):
            with _errors_located(table):
                reply = client.batch_get_item(RequestItems=pending)
            yield from cast("list[Item]", reply["Responses"].get(table, []))
            pending = reply["UnprocessedKeys"]
            if not pending:
                break
            _back_off(attempt)
        else:
            raise Retryable(f"DynamoDB table {table}: keys stayed unprocessed after {ATTEMPTS} attempts")


def scan_page(
    client: DynamoDBClient,
    table: str,
    stamp: str,
    cursor: Item | None = None,
    *,
    segment: int = 0,
    segments: int = 1,
    only: Sequence[str] = (),
) -> Page:
    """One page of a consistent scan of a segment: the items that carry `stamp`, whole or `only` some attributes."""
    more: dict[str, Any] = {"ExclusiveStartKey": cursor} if cursor else {}
    names = {"#stamp": stamp} | {f"#{number}": name for number, name in enumerate(only)}
    if only:
        more["ProjectionExpression"] = ", ".join(names)
    with _errors_located(table):
        reply = client.scan(
            TableName=table, ConsistentRead=True, Segment=segment, TotalSegments=segments,
            FilterExpression="attribute_exists(#stamp)", ExpressionAttributeNames=names, **more,
        )  # fmt: skip
    return _page(reply)


def scan_keys(client: DynamoDBClient, table: str, names: Sequence[str], cursor: Item | None = None) -> Page:
    """One page of a consistent scan of all items, whoever wrote them: only the attributes called `names`."""
    more: dict[str, Any] = {"ExclusiveStartKey": cursor} if cursor else {}
    aliases = {f"#{number}": name for number, name in enumerate(dict.fromkeys(names))}
    with _errors_located(table):
        reply = client.scan(
            TableName=table, ConsistentRead=True, ProjectionExpression=", ".join(aliases),
            ExpressionAttributeNames=aliases, **more,
        )  # fmt: skip
    return _page(reply)


def query_page(
    client: DynamoDBClient,
    table: str,
    name: str,
    value: Attribute,
    cursor: Item | None = None,
    *,
    index: str | None = None,
) -> Page:
    """One page of the items whose partition key attribute `name` is `value`, of the table or of an index.

    The table is read consistently; an index cannot be.
    """
    more: dict[str, Any] = {"IndexName": index} if index else {"ConsistentRead": True}
    if cursor:
        more["ExclusiveStartKey"] = cursor
    with _errors_located(table):
        reply = client.query(
            TableName=table, KeyConditionExpression="#key = :key",
            ExpressionAttributeNames={"#key": name}, ExpressionAttributeValues={":key": value}, **more,
        )  # fmt: skip
    return _page(reply)


def remove_stale(
    client: DynamoDBClient,
    table: str,
    key: Mapping[str, Attribute],
    stamp: str,
    seen: Attribute,
    owned: Sequence[str] | None,
) -> bool:
    """Remove an item if its stamp is still the one `seen`; False when somebody has written it since.

    With `owned` (attribute names) only these and the stamp are removed and the item stays.
    """
    condition: dict[str, Any] = {
        "TableName": table, "Key": dict(key), "ConditionExpression": "#stamp = :seen",
        "ExpressionAttributeNames": {"#stamp": stamp}, "ExpressionAttributeValues": {":seen": seen},
    }  # fmt: skip
    try:
        with _errors_located(table):
            if owned is None:
                client.delete_item(**condition)
            else:
                aliases = {f"#{number}": name for number, name in enumerate(owned)}
                condition["ExpressionAttributeNames"] |= aliases
                client.update_item(**condition, UpdateExpression="REMOVE " + ", ".join(["#stamp", *aliases]))
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


@contextmanager
def _errors_located(table: str) -> Iterator[None]:
    """Within it, botocore's errors become ours. A refused item (ValidationException) is a SchemaMismatch."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            raise
        raise dynamodb_error(table, error.response["Error"]["Code"]) from error
    except BotoCoreError as error:
        raise Retryable(f"DynamoDB table {table}: no answer ({type(error).__name__})") from error


def dynamodb_error(table: str, code: str) -> DataOpsError:
    """The error of ours for a DynamoDB error code."""
    if code in _TRANSIENT:
        return Retryable(f"DynamoDB table {table}: {code}")
    if code == "ResourceNotFoundException":
        return Permanent(f"DynamoDB table {table}: is not there, or lacks an index that the batch names")
    if code == "ValidationException":
        return SchemaMismatch(f"DynamoDB table {table}: DynamoDB refused it (ValidationException)")
    return Permanent(f"DynamoDB table {table}: {code}")


def batches_of(items: Sequence[Item], keys: Sequence[str]) -> Iterator[tuple[int, list[Item]]]:
    """Runs of at most 25 items and 16 MB that have no key twice, each with the place of its first item."""
    start, size = 0, 0
    batch: list[Item] = []
    seen: set[tuple[bytes, ...]] = set()
    for place, item in enumerate(items):
        this, key = item_size(item), tuple(canonical_attribute(item[name]) for name in keys)
        if batch and (len(batch) == BATCH_ITEMS or size + this > BATCH_BYTES or key in seen):
            yield start, batch
            start, batch, size, seen = place, [], 0, set()
        batch.append(item)
        seen.add(key)
        size += this
    if batch:
        yield start, batch


def _page(reply: Any) -> Page:
    return Page(reply["Items"], reply.get("LastEvaluatedKey"))


def _back_off(attempt: int) -> None:
    time.sleep(random.uniform(0, min(8.0, 0.05 * 2**attempt)))  # noqa: S311 - jitter, not a secret
