"""The DynamoDB edge: what is repeated and when, and items read back by get, query, index or scan.

Items go in and out as DynamoDB JSON. The plain readers here (and `writers`) use boto3's client as it is; they stay as
the oracle of anything faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from dataops.core.aws import aws_client, check_replies
from dataops.core.item import Attribute, Item
from dataops.core.pace import Limiter, Patience
from dataops.core.stopwatch import time_replies
from dataops.errors import DataOpsError, Permanent, Retryable, SchemaMismatch, Throttled

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

GET_KEYS, PAGE_SECONDS, MOST_PAGE_ITEMS = 100, 5.0, 1_000_000
_THROTTLED = {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"}
_TRANSIENT = {
    "InternalServerError", "InternalFailure", "ServiceUnavailable", "ServiceUnavailableException",
    "LimitExceededException", "TransactionInProgressException", "TransactionConflictException",
}  # fmt: skip
_BADLY_SIGNED = {"InvalidSignatureException", "RequestTimeTooSkewed", "RequestExpired"}


class Page(NamedTuple):
    """Items of one page and where the next begins (None: this was the last)."""

    items: list[Item]
    cursor: Item | None


@dataclass
class Used:
    """What calls have taken: units, batches or calls that DynamoDB turned away, and those that were made again."""

    write_units: float = 0.0
    read_units: float = 0.0
    throttles: int = 0
    retries: int = 0

    def since(self, before: Used) -> Used:
        """What was added since this was a copy of it."""
        return Used(*(now - then for now, then in zip(astuple(self), astuple(before), strict=True)))


def dynamodb_client(attempts: int = 5) -> DynamoDBClient:
    """A client that repeats a call by itself: five attempts (botocore's standard mode) wait 15 s at most.

    So the control table is used; a batch's own table is used through `Access`, whose client makes one attempt.
    """
    from botocore.config import Config

    again: Any = {"mode": "standard", "total_max_attempts": attempts}  # and no validation, which is half of a call:
    config = Config(retries=again, connect_timeout=5, read_timeout=20, parameter_validation=False)
    client: DynamoDBClient = aws_client("dynamodb", config=config)
    check_replies(client)
    time_replies(client)
    return client


class Access:
    """A client as one worker may use it: within its read and write units, each call repeated while that can mend it.

    Here, and nowhere below, is decided what is repeated: throttling, 5xx, lost replies and connections, for about ten
    seconds with full jitter (`Patience`); so the client makes one attempt a call. What is left then is `Retryable`, and
    the state machine invokes the function again a few times. A permanent error is raised at once.

    `used` counts what all calls took, as DynamoDB says: the table's and its indexes' units together.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        reads: Limiter | None = None,
        writes: Limiter | None = None,
        patience: Callable[[], Patience] = Patience,
    ) -> None:
        self.client, self.patience = client, patience
        self.reads, self.writes = reads or Limiter(None), writes or Limiter(None)
        self.used = Used()
        self._page_units = (self.reads.most or 0.0) * PAGE_SECONDS
        self._page_items = min(max(1, int(self._page_units)), MOST_PAGE_ITEMS)

    def send(
        self,
        table: str,
        operation: Callable[..., Any],
        limiter: Limiter,
        patience: Patience | None = None,
        **given: Any,
    ) -> Any:
        """The reply to a call; throttled ones slow the limiter down. Raises what stands at `dynamodb_error`."""
        patience = patience or self.patience()
        while True:
            try:
                with calls_located(table):
                    return operation(**given)
            except Retryable as error:
                if isinstance(error, Throttled):
                    self.slow_down(limiter)
                if not patience.wait():
                    raise
                self.used.retries += 1

    def slow_down(self, limiter: Limiter) -> None:
        """DynamoDB has turned something away: count it, and go on at a lower rate."""
        self.used.throttles += 1
        limiter.slow_down()

    def read(self, table: str, operation: Callable[..., Any], patience: Patience | None = None, **given: Any) -> Any:
        """The reply to a read; the units that DynamoDB says it took are spent afterwards."""
        reply = self.send(table, operation, self.reads, patience, ReturnConsumedCapacity="TOTAL", **given)
        self.spend_read(_consumed(reply), limited="Limit" in given)
        return reply

    def spend_read(self, units: float, *, limited: bool) -> None:
        """Spend what a read has taken; `limited` says that it was a page of `page_limit`."""
        if limited:
            items = self._page_items * 2 if units <= self._page_units else self._page_items // 2
            self._page_items = min(max(1, items), MOST_PAGE_ITEMS)
        self.used.read_units += units
        self.reads.spend(units)

    def write(self, table: str, operation: Callable[..., Any], patience: Patience | None = None, **given: Any) -> Any:
        """The reply to a write whose units were spent before."""
        reply = self.send(table, operation, self.writes, patience, ReturnConsumedCapacity="TOTAL", **given)
        self.used.write_units += _consumed(reply)
        return reply

    @property
    def page_limit(self) -> dict[str, Any]:
        """`Limit` of a page: about as many items as a limited worker pays for within five seconds.

        Begun at one unit an item, doubled after a page that cost less, halved after one that cost more.
        """
        return {} if self.reads.most is None else {"Limit": self._page_items}


def key_of(item: Item, keys: Sequence[str]) -> dict[str, Attribute]:
    """The key attributes of an item."""
    return {name: item[name] for name in keys}


def get_item(access: Access, table: str, key: Mapping[str, Attribute]) -> Item | None:
    """The item under one key, read consistently, or None."""
    reply = access.read(table, access.client.get_item, TableName=table, Key=dict(key), ConsistentRead=True)
    return cast("Item | None", reply.get("Item"))


def get_items(access: Access, table: str, keys: Sequence[Mapping[str, Attribute]]) -> Iterator[Item]:
    """The items under many keys, read consistently, 100 a call; a key without an item gives none."""
    for start in range(0, len(keys), GET_KEYS):
        patience, pending = access.patience(), list(keys[start : start + GET_KEYS])
        while pending:
            wanted: Any = {table: {"Keys": pending, "ConsistentRead": True}}
            reply = access.read(table, access.client.batch_get_item, patience, RequestItems=wanted)
            yield from cast("list[Item]", reply["Responses"].get(table, []))
            left = reply["UnprocessedKeys"].get(table, {}).get("Keys", [])
            if len(left) < len(pending):
                patience.begin_again()
            if left:
                access.slow_down(access.reads)
                if not patience.wait():
                    raise Retryable(
                        f"DynamoDB table {table}: {len(left)} keys stayed unprocessed in {patience.attempts} attempts"
                    )
                access.used.retries += 1
            pending = left


def scan_page(
    access: Access,
    table: str,
    stamp: str,
    cursor: Item | None = None,
    *,
    segment: int = 0,
    segments: int = 1,
    only: Sequence[str] = (),
) -> Page:
    """One page of a consistent scan of a segment: the items that carry `stamp`, whole or `only` some attributes."""
    names = {"#stamp": stamp} | {f"#{number}": name for number, name in enumerate(only)}
    asked = scan_request(access, table, stamp, cursor, segment, segments)
    if only:
        asked |= {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
    return _page(access.read(table, access.client.scan, **asked))


def scan_request(
    access: Access, table: str, stamp: str, cursor: Item | None, segment: int, segments: int
) -> dict[str, Any]:
    """What asks for one page of a consistent scan of a segment: the items that carry `stamp`."""
    more: dict[str, Any] = {"ExclusiveStartKey": cursor} if cursor else {}
    return {
        "TableName": table, "ConsistentRead": True, "Segment": segment, "TotalSegments": segments,
        "FilterExpression": "attribute_exists(#stamp)", "ExpressionAttributeNames": {"#stamp": stamp},
        **access.page_limit, **more,
    }  # fmt: skip


def scan_keys(access: Access, table: str, names: Sequence[str], cursor: Item | None = None) -> Page:
    """One page of a consistent scan of all items, whoever wrote them: only the attributes called `names`."""
    more: dict[str, Any] = {"ExclusiveStartKey": cursor} if cursor else {}
    aliases = {f"#{number}": name for number, name in enumerate(dict.fromkeys(names))}
    reply = access.read(
        table, access.client.scan, TableName=table, ConsistentRead=True, ProjectionExpression=", ".join(aliases),
        ExpressionAttributeNames=aliases, **access.page_limit, **more,
    )  # fmt: skip
    return _page(reply)


def query_page(
    access: Access,
    table: str,
    name: str,
    value: Attribute,
    cursor: Item | None = None,
    *,
    index: str | None = None,
    limit: int | None = None,
) -> Page:
    """One page of the items whose partition key attribute `name` is `value`, of the table or of an index.

    The table is read consistently; an index cannot be. A page ends after `limit` items, or 1 MB of them.
    """
    more: dict[str, Any] = {"IndexName": index} if index else {"ConsistentRead": True}
    limits = [*access.page_limit.values(), *([limit] if limit else [])]
    more |= {"Limit": min(limits)} if limits else {}
    if cursor:
        more["ExclusiveStartKey"] = cursor
    reply = access.read(
        table, access.client.query, TableName=table, KeyConditionExpression="#key = :key",
        ExpressionAttributeNames={"#key": name}, ExpressionAttributeValues={":key": value}, **more,
    )  # fmt: skip
    return _page(reply)


def remove_stale(
    access: Access,
    table: str,
    key: Mapping[str, Attribute],
    stamp: str,
    seen: Attribute,
    owned: Sequence[str] | None,
) -> bool:
    """Remove an item if its stamp is still the one `seen`; False when somebody has written it since.

    With `owned` (attribute names) only these and the stamp are removed and the item stays. A stamp that is gone at the
    second attempt was removed by the first, whose reply was lost.
    """
    names, change, operation = {"#stamp": stamp}, {}, access.client.delete_item
    if owned is not None:
        aliases = {f"#{number}": name for number, name in enumerate(owned)}
        names |= aliases
        change, operation = {"UpdateExpression": "REMOVE " + ", ".join(["#stamp", *aliases])}, access.client.update_item
    patience = access.patience()
    try:
        reply = access.send(
            table, operation, access.writes, patience, TableName=table, Key=dict(key), **change,
            ConditionExpression="#stamp = :seen", ReturnValuesOnConditionCheckFailure="ALL_OLD",
            ExpressionAttributeNames=names, ExpressionAttributeValues={":seen": seen}, ReturnConsumedCapacity="TOTAL",
        )  # fmt: skip
    except access.client.exceptions.ConditionalCheckFailedException as error:
        found: Mapping[str, Any] = error.response.get("Item", {})  # type: ignore[assignment]  # its types know no Item
        return patience.attempts > 1 and stamp not in found
    access.used.write_units += _consumed(reply)
    access.writes.spend(_consumed(reply))
    return True


@contextmanager
def calls_located(table: str) -> Iterator[None]:
    """Within it, botocore's errors become ours. A refused item (ValidationException) is a SchemaMismatch."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            raise
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        raise dynamodb_error(table, error.response["Error"]["Code"], status) from error
    except BotoCoreError as error:
        raise Retryable(f"DynamoDB table {table}: no answer ({type(error).__name__})") from error


def dynamodb_error(table: str, code: str, status: int = 400) -> DataOpsError:
    """The error of ours for a DynamoDB error code and HTTP status: Throttled, Retryable, SchemaMismatch or Permanent.

    Source: AWS, "Error handling with DynamoDB".
    """
    if code in _THROTTLED:
        return Throttled(f"DynamoDB table {table}: {code}")
    if code in _TRANSIENT or status >= 500:
        return Retryable(f"DynamoDB table {table}: {code}")
    if code == "ResourceNotFoundException":
        return Permanent(f"DynamoDB table {table}: is not there, or lacks an index that the batch names")
    if code == "ValidationException":
        return SchemaMismatch(f"DynamoDB table {table}: DynamoDB refused it (ValidationException)")
    hint = ": the clock here must be right within five minutes, the keys too" if code in _BADLY_SIGNED else ""
    return Permanent(f"DynamoDB table {table}: {code}{hint}")


def _page(reply: Any) -> Page:
    return Page(reply["Items"], reply.get("LastEvaluatedKey"))


def _consumed(reply: Any) -> float:
    """The capacity units that a reply reports, over all tables in it."""
    told = reply.get("ConsumedCapacity") or []
    return float(sum(part.get("CapacityUnits", 0) for part in (told if isinstance(told, list) else [told])))
