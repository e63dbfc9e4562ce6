"""Access patterns: the cheapest operation that answers each, proven by running it on the embedded DynamoDB."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from dataops.batch import AccessPattern, Batch, Include, Index, key_columns, key_name
from dataops.core.dynamodb import Access, dynamodb_client, get_items, key_of
from dataops.core.item import Item, canonical_attribute
from dataops.core.normalize import Codec
from dataops.core.writers import PutWriter
from dataops.deploy.tables import ensure_table
from dataops.workbook.stack import attach

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class Reads(NamedTuple):
    """How an access pattern is answered: `keys` are asked for, `filters` sort out what was read, `fetches` says that
    each item is then read by key, since the index does not hold all that is needed."""

    pattern: AccessPattern
    kind: Literal["get", "query", "scan"]
    keys: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    over: Index | None = None
    fetches: bool = False

    @property
    def operation(self) -> str:
        """The operation in words."""
        name = {"get": "GetItem", "query": "Query", "scan": "Scan"}[self.kind]
        where = f" on {self.over.name}" if self.over else ""
        sorted_out = f", filter {', '.join(self.filters)}" if self.filters else ""
        return f"{name}{where}{' + GetItem' if self.fetches else ''}{sorted_out}"


class Proof(NamedTuple):
    """What came of an operation: whether it gave exactly the items that it should, in words."""

    reads: Reads
    holds: bool
    told: str


def plan_patterns(batch: Batch) -> list[Reads]:
    """The operation for each pattern that the batch declares; without any, for those that its keys are made for."""
    return [plan_reads(batch, pattern) for pattern in batch.dynamodb.access_patterns or _natural(batch)]


def plan_reads(batch: Batch, pattern: AccessPattern) -> Reads:
    """The cheapest operation: GetItem, Query, Query on an index that holds what is needed, one that does not, Scan."""
    known = set(pattern.equals)
    table = batch.dynamodb
    if all(set(key_columns(key)) <= known for key in table.keys):
        return Reads(pattern, "get", tuple(map(key_name, table.keys)), _left(pattern, table.keys))
    if set(key_columns(table.partition_key)) <= known:
        return Reads(pattern, "query", (key_name(table.partition_key),), _left(pattern, table.keys[:1]))
    found = [_index_reads(batch, index, pattern) for index in table.indexes]
    fitting = sorted((reads for reads in found if reads), key=lambda reads: (reads.fetches, -len(reads.keys)))
    return fitting[0] if fitting else Reads(pattern, "scan", (), pattern.equals)


def _index_reads(batch: Batch, index: Index, pattern: AccessPattern) -> Reads | None:
    if not set(key_columns(index.partition_key)) <= set(pattern.equals):
        return None
    keys = [key for key in index.keys if set(key_columns(key)) <= set(pattern.equals)]
    left = _left(pattern, keys)
    needed = {*left, *pattern.attributes} if pattern.attributes is not None else None
    fetches = index.projection != "ALL" and (needed is None or not needed <= _shown(batch, index))
    return Reads(pattern, "query", tuple(map(key_name, keys)), left, index, fetches)


def _shown(batch: Batch, index: Index) -> set[str]:
    """The attributes that an index other than ALL shows."""
    more = index.projection.include if isinstance(index.projection, Include) else ()
    return {*map(key_name, batch.dynamodb.keys), *map(key_name, index.keys), *more}


def _left(pattern: AccessPattern, keys: Sequence[Any]) -> tuple[str, ...]:
    """What the keys do not already select."""
    selected = {name for key in keys for name in key_columns(key)}
    return tuple(name for name in pattern.equals if name not in selected)


def _natural(batch: Batch) -> Iterator[AccessPattern]:
    table = batch.dynamodb
    columns = [key_columns(key) for key in table.keys]
    yield AccessPattern("one item", tuple(name for of in columns for name in of))
    if table.sort_key is not None:
        yield AccessPattern(f"by {', '.join(columns[0])}", columns[0])
    for index in table.indexes:
        yield AccessPattern(f"by {', '.join(key_columns(index.partition_key))}", key_columns(index.partition_key))


def prove(batch: Batch, codec: Codec, items: Sequence[Item], plans: Sequence[Reads]) -> list[Proof]:
    """Run each operation over `items` in a table of its own, and compare what it gives with a search through them.

    The values that are asked for are those that most of the items have. On AWS nothing is run: a preview writes nothing
    there.
    """
    if attach() is None:
        return [Proof(reads, True, "not run: no embedded stack") for reads in plans]
    if not items:
        return [Proof(reads, True, "no items") for reads in plans]
    client = dynamodb_client()
    with _filled_table(client, batch, codec, items) as name:
        return [_prove(client, name, batch, items, reads) for reads in plans]


def _prove(client: DynamoDBClient, table: str, batch: Batch, items: Sequence[Item], reads: Reads) -> Proof:
    asked = reads.pattern.equals
    values = Counter(_values(item, asked) for item in items if all(name in item for name in asked))
    if not values:
        return Proof(reads, True, "no item has these attributes")
    most, _ = min(values.items(), key=lambda entry: (-entry[1], entry[0]))
    wanted = [item for item in items if all(name in item for name in asked) and _values(item, asked) == most]
    keys = [key_name(key) for key in batch.dynamodb.keys]
    found = list(_run(client, table, reads, wanted[0], keys))
    needed = (
        set(reads.pattern.attributes or wanted[0])
        if reads.pattern.attributes or not reads.over or reads.fetches
        else set()
    )
    same = {_values(item, keys) for item in found} == {_values(item, keys) for item in wanted}
    whole = all(needed & wanted_item.keys() <= item.keys() for item, wanted_item in _pairs(found, wanted, keys))
    holds = same and whole and len(found) == len(wanted)
    return Proof(reads, holds, f"{'gave' if holds else 'WRONG: gave'} {len(found):,} of {len(wanted):,} items")


def _pairs(found: Sequence[Item], wanted: Sequence[Item], keys: Sequence[str]) -> Iterator[tuple[Item, Item]]:
    by_key = {_values(item, keys): item for item in wanted}
    for item in found:
        yield item, by_key.get(_values(item, keys), {})


def _values(item: Item, names: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(canonical_attribute(item[name]) for name in names)


def _run(client: DynamoDBClient, table: str, reads: Reads, like: Item, keys: Sequence[str]) -> Iterator[Item]:
    """The items that the operation gives when it asks for the values that the item `like` has."""
    if reads.kind == "get":
        item: Any = client.get_item(TableName=table, Key=key_of(like, keys)).get("Item")
        if item and _values(item, reads.filters) == _values(like, reads.filters):
            yield item
        return
    asked = (*reads.keys, *reads.filters)
    alias = {name: f"#{place}" for place, name in enumerate(asked)}
    given: dict[str, Any] = {"TableName": table}
    if asked:
        given["ExpressionAttributeNames"] = {short: name for name, short in alias.items()}
        given["ExpressionAttributeValues"] = {f":{place}": like[name] for place, name in enumerate(asked)}
    conditions = {name: f"{short} = :{short[1:]}" for name, short in alias.items()}
    if reads.kind == "query":
        given["KeyConditionExpression"] = " AND ".join(conditions[name] for name in reads.keys)
    if reads.over:
        given["IndexName"] = reads.over.name
    if reads.filters and not reads.fetches:
        given["FilterExpression"] = " AND ".join(conditions[name] for name in reads.filters)
    elif reads.filters:
        _forget(given, reads.filters, alias)
    operation: Any = "query" if reads.kind == "query" else "scan"
    pages = client.get_paginator(operation).paginate(**given)
    for page in pages:
        yield from _whole(client, table, reads, like, page["Items"], keys)


def _whole(
    client: DynamoDBClient, table: str, reads: Reads, like: Item, items: list[Item], keys: Sequence[str]
) -> Iterator[Item]:
    """The items themselves where the index does not hold them; what could not be filtered there is filtered here."""
    if not reads.fetches:
        yield from items
        return
    for item in get_items(Access(client), table, [key_of(item, keys) for item in items]):
        if _values(item, reads.filters) == _values(like, reads.filters):
            yield item


def _forget(given: dict[str, Any], names: Sequence[str], alias: dict[str, str]) -> None:
    """DynamoDB refuses names and values that no expression uses."""
    for name in names:
        del given["ExpressionAttributeNames"][alias[name]], given["ExpressionAttributeValues"][f":{alias[name][1:]}"]


@contextmanager
def _filled_table(client: DynamoDBClient, batch: Batch, codec: Codec, items: Sequence[Item]) -> Iterator[str]:
    """A table like the batch's own with these items in it, on the embedded stack; deleted afterwards."""
    assert os.environ.get("AWS_ENDPOINT_URL")
    name = f"preview-{secrets.token_hex(6)}"
    ours = msgspec.structs.replace(batch, dynamodb=msgspec.structs.replace(batch.dynamodb, table=name))
    ensure_table(client, ours, codec)
    try:
        PutWriter(Access(client), name, [key_name(key) for key in batch.dynamodb.keys]).write(items)
        yield name
    finally:
        client.delete_table(TableName=name)
