"""Item texts to DynamoDB over connections of our own: the fast twin of `PutWriter`.

The first batch goes by botocore's client. What botocore made of it (endpoint, headers, signature) is the pattern of the
next ones for as long as the credentials stay the same; and only where a signature of ours for that request equals
botocore's. Several requests are then under way at a time, each on a connection that is kept, which hides latency from
one thread.

Only a whole and plain success ends here. For whatever else comes back, or does not, `PutWriter` sends the batch, or what
is left of it, again: it alone knows what is repeated, how long, and what is an error.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import msgspec

from dataops.core.dynamodb import Access, dynamodb_error
from dataops.core.item import WRITE_UNIT_BYTES, Item, item_text, parse_item, parse_values, write_units
from dataops.core.keepalive import Connection, Reply
from dataops.core.pattern import Pattern
from dataops.core.stopwatch import Wait
from dataops.core.writers import BATCH_BYTES, BATCH_ITEMS, PutWriter, Unwritable, identity_of
from dataops.errors import DataOpsError, Retryable, Throttled

WINDOW = 32
"""Requests under way at a time, at most; another connection is made only while no reply has come."""
BUFFERED_BYTES = 128 * 1024
"""Bytes that a socket takes at once; what is more has to wait until the server reads."""
FRAME_BYTES = 64 * 1024
"""More than the bytes of a request around its items."""


class Sender:
    """Puts items given as texts, 25 at a time. They have different keys: several batches are written at a time."""

    def __init__(self, access: Access, table: str, keys: Sequence[str]) -> None:
        self._access, self._table, self._keys = access, table, keys
        self._plain, self._pattern = PutWriter(access, table, keys), Pattern(access.client)
        self._idle: list[Connection] = []
        self._under_way: deque[_Request] = deque()

    @property
    def why_plain(self) -> str:
        """Why botocore's client sends all batches; nothing where it does not."""
        return self._pattern.unusable

    def write(self, texts: Sequence[bytes], stamp: Item) -> list[Unwritable]:
        """Put the items, each with the attributes of `stamp` as well; gives and raises what `PutWriter` does."""
        refused: list[Unwritable] = []
        frame = _frame(self._table, stamp)
        one_unit = WRITE_UNIT_BYTES - len(frame[1])
        try:
            for start, batch, longest in batches_of(texts):
                request = _Request(start, batch, stamp, frame)
                self._access.writes.spend(len(batch) if longest <= one_unit else self._units(request))
                refused += self._send(request)
            while self._under_way:
                refused += self._settle(self._under_way[0].has_reply())
        finally:
            while self._under_way:
                self._under_way.popleft().close()
        return sorted(refused)

    def _units(self, request: _Request) -> float:
        """Write units of a batch, never too few: a text has more bytes than DynamoDB counts."""
        if self._access.writes.rate is None:
            return sum(1 + len(text) // WRITE_UNIT_BYTES for text in request.texts)
        return sum(map(write_units, request.items()))

    def _send(self, request: _Request) -> list[Unwritable]:
        """Have a batch under way, after one reply at most has been settled.

        Gives what was refused of others, or of this one where it had to go another way.
        """
        refused: list[Unwritable] = []
        if self._under_way:
            ready = self._under_way[0].has_reply()
            if ready or len(self._under_way) >= WINDOW:
                refused += self._settle(ready)
        signer = self._pattern.signer()
        if signer is None:
            return refused + self._plain.put(request.items(), request.places, self._access.patience())
        body = request.body()
        try:
            request.connection = self._connection()
            sent = signer.head(body, int(time.time())) + body
            if len(sent) <= BUFFERED_BYTES:
                request.connection.send(sent)
            else:
                with Wait("dynamodb"):
                    request.connection.send(sent)
        except OSError as error:
            self._pattern.doubt(error)
            return refused + self._mend(request, None)
        self._under_way.append(request)
        return refused

    def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fresh():
                return connection
            connection.close()
        with Wait("dynamodb"):
            return Connection(self._pattern.url)

    def _settle(self, ready: bool) -> list[Unwritable]:
        """Take the reply of the request that is longest under way; `ready` says whether something of it has come."""
        request = self._under_way.popleft()
        assert request.connection is not None
        connection, reply = request.connection, None
        try:
            if ready and not connection.secure:
                reply = connection.reply()
            else:
                with Wait("dynamodb"):
                    reply = connection.reply()
        except OSError as error:
            self._pattern.doubt(error)
        result = _result(reply)
        if result is None or result.left:
            return self._mend(request, reply, result)
        self._pattern.trust()
        self._access.used.write_units += sum(part.units for part in result.consumed)
        if reply and reply.lasting:
            self._idle.append(request.connection)
        else:
            request.close()
        return []

    def _mend(self, request: _Request, reply: Reply | None, result: _Result | None = None) -> list[Unwritable]:
        """Have the plain writer send what did not come through, after a wait where a wait can help."""
        request.close()
        access, patience, items, places = self._access, self._access.patience(), request.items(), request.places
        error = _error(self._table, reply, result)
        if isinstance(error, Throttled):
            access.slow_down(access.writes)
        if isinstance(error, Retryable) and patience.wait():
            access.used.retries += 1
        if result:
            access.used.write_units += sum(part.units for part in result.consumed)
            unprocessed = list(chain.from_iterable(result.left.values()))
            left = {identity_of(parse_values(put["PutRequest"]["Item"]), self._keys) for put in unprocessed}
            found = [place for place, item in zip(places, items, strict=True) if identity_of(item, self._keys) in left]
            if len(found) == len(unprocessed):  # else it is not of this batch, all of which is sent again
                places, items = found, [items[place - request.start] for place in found]
        return self._plain.put(items, places, patience)


class _Request:
    """A batch of items on its way; `start` is the place of its first."""

    def __init__(self, start: int, texts: Sequence[bytes], stamp: Item, frame: tuple[bytes, bytes, bytes]) -> None:
        self.start, self.texts, self._stamp, self._frame = start, texts, stamp, frame
        self.connection: Connection | None = None

    @property
    def places(self) -> Sequence[int]:
        """The places of its items."""
        return range(self.start, self.start + len(self.texts))

    def items(self) -> list[Item]:
        """Its items, stamped."""
        return [parse_item(text) | self._stamp for text in self.texts]

    def body(self) -> bytes:
        """The body of its BatchWriteItem."""
        before, between, after = self._frame
        return b"".join((before, between.join(self.texts), after))

    def has_reply(self) -> bool:
        """Whether there is something to read."""
        return self.connection is not None and self.connection.has_reply()

    def close(self) -> None:
        """Close its connection: it is not fit for another request."""
        if self.connection is not None:
            self.connection.close()


def _frame(table: str, stamp: Item) -> tuple[bytes, bytes, bytes]:
    """What stands before, between and after the texts of a request's items, each of which ends with the stamp."""
    put, end = b'{"PutRequest":{"Item":{', item_text(stamp, list(stamp))[:-1].encode() + b"}}}"
    before = b'{"RequestItems":{"%s":[%s' % (table.encode(), put)
    return before, end + b"," + put, end + b']},"ReturnConsumedCapacity":"TOTAL"}'


class _Consumed(msgspec.Struct):
    units: float = msgspec.field(name="CapacityUnits", default=0.0)


class _Result(msgspec.Struct):
    """The body of a success."""

    left: dict[str, list[dict[str, Any]]] = msgspec.field(name="UnprocessedItems")
    consumed: list[_Consumed] = msgspec.field(name="ConsumedCapacity", default_factory=list)


class _Failure(msgspec.Struct):
    """The body of an error."""

    type: str = msgspec.field(name="__type", default="")


_read_result = msgspec.json.Decoder(_Result).decode
_read_failure = msgspec.json.Decoder(_Failure).decode


def batches_of(texts: Sequence[bytes]) -> Iterator[tuple[int, Sequence[bytes], int]]:
    """Runs of at most 25 texts and 16 MB, each with the place of its first and the bytes of its longest."""
    most = BATCH_BYTES - FRAME_BYTES
    for start in range(0, len(texts), BATCH_ITEMS):
        batch = texts[start : start + BATCH_ITEMS]
        longest = max(map(len, batch))
        if longest * BATCH_ITEMS <= most or sum(map(len, batch)) <= most:
            yield start, batch, longest
        else:
            yield from ((start + place, [text], len(text)) for place, text in enumerate(batch))


def _result(reply: Reply | None) -> _Result | None:
    """What a success says; None for all other replies."""
    if reply is None or reply.status != 200:
        return None
    try:
        return _read_result(reply.body)
    except msgspec.DecodeError:
        return None


def _error(table: str, reply: Reply | None, result: _Result | None) -> DataOpsError:
    """Why a batch did not come through."""
    if result:
        return Throttled(f"DynamoDB table {table}: items stayed unprocessed")
    if reply is None or reply.status == 200:
        return Retryable(f"DynamoDB table {table}: no answer")
    code = ""
    with suppress(msgspec.DecodeError):
        code = _read_failure(reply.body).type.rpartition("#")[2]
    return dynamodb_error(table, code, reply.status)
