"""A DynamoDB that keeps nothing, in a process of its own: `python -m dataops.local.bench.endpoint PORT MILLISECONDS`.

It takes items, each request as many milliseconds after it came, and makes them up when they are scanned; only the control table's records are kept, and the one
secret. What it was sent it compares with what boto3's serializer makes of the same rows: afterwards, when asked, or
when so much has come that it should not be kept any longer.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import zlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from dataops.core.item import item_size
from dataops.local.bench.rows import NAMES, TEMPLATES, templates
from dataops.local.bench.subject import GENERATION

CONTROL, STAMP = "control", "_gen_bench"
PAGE_BYTES = 2**20
KEPT_BYTES = 128 * 1024 * 1024
"""Bytes of requests that are kept before they are looked through."""
_PUT = b'{"PutRequest":{"Item":{'
_ID = re.compile(rb'"id":\{"N":"(\d+)"\}')
_STAMP = re.compile(rb'"%s":\{"N":"(\d+)"\}' % STAMP.encode())
_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nx-amz-crc32: {}\r\nContent-Length: {}\r\n\r\n"


class Held:
    """What the endpoint says it holds, and what it was sent since."""

    def __init__(self) -> None:
        self.items = list(templates())
        self._page_items = PAGE_BYTES * TEMPLATES // sum(item_size(item) + 25 for item in self.items)
        self.rows, self.stamp, self.secret = dict[str, int](), 0, "{}"
        self.records: dict[tuple[str, str], Any] = {}
        self._nulls, self._texts = True, list[str]()
        self._sent, self._sent_bytes = list[tuple[str, bytes]](), 0
        self._right, self._wrong = dict[str, bytearray](), dict[str, int]()
        self._known, self._stamps = set[tuple[int, bytes]](), {b""}

    def answer(self, target: str, body: bytes) -> bytes:
        """The reply to a request."""
        operation = target.rpartition(".")[2]
        if operation == "BatchWriteItem":
            self._keep(operation, body)
            return b'{"UnprocessedItems":{}}'
        asked = json.loads(body)
        if operation == "PutItem" and asked["TableName"] != CONTROL:
            self._keep(operation, body)
            return b"{}"
        reply: Any = getattr(self, f"_{operation}")(asked)
        return reply if isinstance(reply, bytes) else json.dumps(reply).encode()

    def _Hold(self, asked: Any) -> Any:
        """From now on hold so many `rows` of each table, and nothing of what came before.

        NULLs are to come unless `nulls` is false, and each item with one of the `stamps`, or with none where there are none.
        """
        self._stamps = {stamp.encode() for stamp in asked["stamps"]} or {b""}
        self.rows, self.stamp, self.secret = asked["rows"], asked["stamp"], json.dumps(asked["secret"])
        self._nulls, self._texts = asked["nulls"], self._item_texts()
        self.records, self._known, self._sent, self._sent_bytes = {}, set(), [], 0
        self._right = {table: bytearray(rows + 1) for table, rows in self.rows.items()}
        self._wrong = dict.fromkeys(self.rows, 0)
        return {}

    def _Check(self, asked: Any) -> Any:
        """How many rows of a table have not come as they should, and how many items came that should not."""
        self._look_through()
        table = asked["table"]
        return {"differences": self.rows[table] - sum(self._right[table]) + self._wrong[table]}

    def _keep(self, operation: str, body: bytes) -> None:
        self._sent.append((operation, body))
        self._sent_bytes += len(body)
        if self._sent_bytes > KEPT_BYTES:
            self._look_through()

    def _look_through(self) -> None:
        """Say of each item that was sent whether it is right, and forget it."""
        for operation, body in self._sent:
            for table, item in _items_of(operation, body):
                number = self._number_of(item)
                if 1 <= number <= self.rows[table]:
                    self._right[table][number] = 1
                else:
                    self._wrong[table] += 1
        self._sent, self._sent_bytes = [], 0

    def _number_of(self, item: bytes) -> int:
        """The number of the row that an item (its text) is right for; 0 where it is for none.

        Rows of a template have one text but for their number and stamp: it is parsed once.
        """
        found, stamped = _ID.search(item), _STAMP.search(item)
        number, stamp = int(found[1]) if found else 0, stamped[1] if stamped else b""
        if stamp not in self._stamps:
            return 0
        known = (number % TEMPLATES, _STAMP.sub(b"", _ID.sub(b"", item, 1), 1))
        if known not in self._known:
            attributes = json.loads(item)
            marks = {"id": {"N": str(number)}} | ({STAMP: {"N": stamp.decode()}} if stamp else {})
            told = {name: attributes.pop(name) for name in ("id", STAMP) if name in attributes}
            if told != marks or not self._is_right(attributes, number):
                return 0
            self._known.add(known)
        return number

    def _is_right(self, item: dict[str, Any], number: int) -> bool:
        expected = self.items[number % TEMPLATES]
        if not self._nulls:
            expected = {name: value for name, value in expected.items() if "NULL" not in value}
        return item.keys() == expected.keys() and all(map(_same, item.values(), map(expected.__getitem__, item)))

    def _PutItem(self, asked: Any) -> Any:
        item = asked["Item"]
        self.records[item["pk"]["S"], item["sk"]["S"]] = item
        return {}

    def _UpdateItem(self, asked: Any) -> Any:
        """The number of the batch's newest generation: it is always the same."""
        return {"Attributes": {"number": {"N": str(GENERATION)}}}

    def _GetItem(self, asked: Any) -> Any:
        item = self.records.get((asked["Key"]["pk"]["S"], asked["Key"]["sk"]["S"]))
        return {"Item": item} if item else {}

    def _Query(self, asked: Any) -> Any:
        pk, sk = (asked["ExpressionAttributeValues"][name]["S"] for name in (":pk", ":sk"))
        items = [item for key, item in sorted(self.records.items()) if key[0] == pk and key[1].startswith(sk)]
        return {"Items": items, "Count": len(items), "ScannedCount": len(items)}

    def _GetSecretValue(self, asked: Any) -> Any:
        return {"Name": asked["SecretId"], "SecretString": self.secret}

    def _DescribeTable(self, asked: Any) -> Any:
        schema = [{"AttributeName": "id", "KeyType": "HASH"}]
        types = [{"AttributeName": "id", "AttributeType": "N"}]
        return {"Table": {"TableName": asked["TableName"], "KeySchema": schema, "AttributeDefinitions": types}}

    def _Scan(self, asked: Any) -> bytes:
        """A page; of several segments the first holds everything."""
        if asked.get("Segment"):
            return b'{"Items":[],"Count":0,"ScannedCount":0}'
        after = int(asked["ExclusiveStartKey"]["id"]["N"]) if "ExclusiveStartKey" in asked else 0
        return self._page(asked["TableName"], after)

    def _item_texts(self) -> list[str]:
        """Each template's text, its id left out, in one order of attributes that is not the table's."""
        order = [*NAMES[1:], STAMP]
        random.Random(1).shuffle(order)  # noqa: S311 - the same order everywhere
        stamped = (item | {STAMP: {"N": str(self.stamp)}} for item in self.items)
        parts = (
            {name: json.dumps(of, ensure_ascii=False, separators=(",", ":")) for name, of in item.items()}
            for item in stamped
        )
        return [",".join(f'"{name}":{of[name]}' for name in order) for of in parts]

    def _page(self, table: str, after: int) -> bytes:
        """A page of a table's scan, about 1 MB as DynamoDB counts it."""
        last = min(after + self._page_items, self.rows[table])
        texts = (f'{{{self._texts[n % TEMPLATES]},"id":{{"N":"{n}"}}}}' for n in range(after + 1, last + 1))
        more = f',"LastEvaluatedKey":{{"id":{{"N":"{last}"}}}}' if last < self.rows[table] else ""
        used = f'"ConsumedCapacity":{{"TableName":"{table}","CapacityUnits":128.0}}'
        count = f'"Count":{last - after},"ScannedCount":{last - after}'
        return f'{{{used},{count},"Items":[{",".join(texts)}]{more}}}'.encode()


def _items_of(operation: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    """The items of a request as JSON, with their tables. Of one that has no spaces the texts are taken as they came."""
    if operation == "BatchWriteItem" and body.count(b'":[{"') == 1 and body.startswith(b'{"RequestItems":{"'):
        table = body[18 : body.index(b'"', 18)].decode()
        yield from ((table, b"{" + part[: part.rindex(b"}}}")] + b"}") for part in body.split(_PUT)[1:])
        return
    asked = json.loads(body)
    if operation == "PutItem":
        yield asked["TableName"], _compact(asked["Item"])
        return
    for table, requests in asked["RequestItems"].items():
        yield from ((table, _compact(request["PutRequest"]["Item"])) for request in requests)


def _compact(item: Any) -> bytes:
    return json.dumps(item, separators=(",", ":")).encode()


def _same(value: dict[str, Any], expected: dict[str, Any]) -> bool:
    if "N" in value and "N" in expected:
        return Decimal(value["N"]) == Decimal(expected["N"])
    return value == expected


class Connection(asyncio.Protocol):
    """One keep-alive connection: requests with a Content-Length, one after the other or several at a time."""

    def __init__(self, held: Held, latency: float) -> None:
        self._held, self._latency, self._buffer = held, latency, bytearray()

    def connection_made(self, transport: Any) -> None:
        """Remember where replies go."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")[1:]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            last = end + 4 + int(headers.get("content-length", "0"))
            if len(self._buffer) < last:
                return
            body = bytes(self._buffer[end + 4 : last])
            del self._buffer[:last]
            reply = self._held.answer(headers.get("x-amz-target", ""), body)
            self._send(_HEAD.format(zlib.crc32(reply), len(reply)).encode() + reply)

    def _send(self, reply: bytes) -> None:
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, reply)
        else:
            self._transport.write(reply)


async def serve(port: int, latency: float) -> None:
    """Answer until killed, each request so many seconds late."""
    held = Held()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(held, latency), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]) / 1000))
