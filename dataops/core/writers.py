"""The writers: put or update items in DynamoDB, so that one bad item never takes the others with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

from dataops.core.dynamodb import Access, key_of
from dataops.core.item import Item, canonical_attribute, item_size, write_units
from dataops.core.pace import Patience
from dataops.errors import SchemaMismatch, Unprocessed

BATCH_ITEMS, BATCH_BYTES = 25, 16 * 1024 * 1024


class Unwritable(NamedTuple):
    """An item that DynamoDB refused: its place among those given, and the error's name."""

    place: int
    reason: str


class Writer(Protocol):
    """Writes items; gives those that DynamoDB refused for their own sake. Raises for everything else."""

    def write(self, items: Sequence[Item]) -> list[Unwritable]:
        """Write all of `items`, or raise."""


class PutWriter:
    """Overwrites whole items with BatchWriteItem, 25 at a time; of two items with one key the later stays."""

    def __init__(self, access: Access, table: str, keys: Sequence[str]) -> None:
        self._access, self._table, self._keys = access, table, keys

    def write(self, items: Sequence[Item]) -> list[Unwritable]:
        """Put all items; where DynamoDB refuses a batch, one by one, to learn which of them it means.

        Raises Unprocessed where items come back again and again.
        """
        refused: list[Unwritable] = []
        for start, batch in batches_of(items, self._keys):
            self._access.writes.spend(sum(map(write_units, batch)))
            refused += self.put(batch, range(start, start + len(batch)), self._access.patience())
        return refused

    def put(self, batch: Sequence[Item], places: Sequence[int], patience: Patience) -> list[Unwritable]:
        """Put a batch whose units are spent, with what is left of a patience; `places` are its items' among those given."""
        try:
            self._put_batch(batch, places, patience)
        except SchemaMismatch:
            return [Unwritable(places[place], reason) for place, reason in self._put_singly(batch)]
        return []

    def _put_batch(self, batch: Sequence[Item], numbers: Sequence[int], patience: Patience) -> None:
        """Put one batch and send what comes back unprocessed again; what has come through gives new patience."""
        access = self._access
        places = {self._identity(item): place for place, item in zip(numbers, batch, strict=True)}
        pending: list[Any] = [{"PutRequest": {"Item": item}} for item in batch]
        while pending:
            requests: Any = {self._table: pending}
            reply = access.write(self._table, access.client.batch_write_item, patience, RequestItems=requests)
            left = list(chain.from_iterable(reply["UnprocessedItems"].values()))
            if len(left) < len(pending):
                patience.begin_again()
            if left:
                access.slow_down(access.writes)
                if not patience.wait():
                    stuck = [places[self._identity(request["PutRequest"]["Item"])] for request in left]
                    raise Unprocessed(
                        f"DynamoDB table {self._table}: {len(left)} items stayed unprocessed in {patience.attempts} "
                        "attempts; if the run fails, unprocessed.jsonl in its folder lists their keys",
                        stuck,
                    )
                access.used.retries += 1
            pending = left

    def _put_singly(self, batch: Sequence[Item]) -> Iterator[Unwritable]:
        access = self._access
        for place, item in enumerate(batch):
            try:
                access.write(self._table, access.client.put_item, TableName=self._table, Item=item)
            except SchemaMismatch as error:
                yield Unwritable(place, str(error).rpartition(": ")[2])

    def _identity(self, item: Item) -> tuple[bytes, ...]:
        return identity_of(item, self._keys)


class UpdateWriter:
    """Sets the batch's own attributes with UpdateItem and leaves an item's other attributes alone."""

    def __init__(self, access: Access, table: str, keys: Sequence[str], owned: Sequence[str]) -> None:
        self._access, self._table, self._keys, self._owned = access, table, keys, owned

    def write(self, items: Sequence[Item]) -> list[Unwritable]:
        """Update all items one by one; an owned attribute that an item lacks is removed."""
        access, refused = self._access, []
        for place, item in enumerate(items):
            access.writes.spend(write_units(item))
            try:
                access.write(
                    self._table, access.client.update_item,
                    TableName=self._table, Key=key_of(item, self._keys), **self._changes(item),
                )  # fmt: skip
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


def batches_of(items: Sequence[Item], keys: Sequence[str]) -> Iterator[tuple[int, list[Item]]]:
    """Runs of at most 25 items and 16 MB that have no key twice, each with the place of its first item."""
    start, size = 0, 0
    batch: list[Item] = []
    seen: set[tuple[bytes, ...]] = set()
    for place, item in enumerate(items):
        this, key = item_size(item), identity_of(item, keys)
        if batch and (len(batch) == BATCH_ITEMS or size + this > BATCH_BYTES or key in seen):
            yield start, batch
            start, batch, size, seen = place, [], 0, set()
        batch.append(item)
        seen.add(key)
        size += this
    if batch:
        yield start, batch


def identity_of(item: Item, keys: Sequence[str]) -> tuple[bytes, ...]:
    """What tells an item's key from others, however it is spelt."""
    return tuple(canonical_attribute(item[name]) for name in keys)
