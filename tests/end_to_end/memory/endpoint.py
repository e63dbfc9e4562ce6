"""A DynamoDB that keeps nothing: it swallows the items of some tables and makes them up when they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from itertools import islice
from typing import Any, NamedTuple

from tests.end_to_end.faults.dynamodb_proxy import DynamoDBProxy
from tests.end_to_end.memory.rows import STATUSES, item_text, items_a_page


class Held(NamedTuple):
    """What a table is said to hold: the items of rows 1 to `rows`, each with the stamp that is its own."""

    rows: int
    stamp_name: str
    stamp_of: Callable[[int], int]


class NullDynamoDB(DynamoDBProxy):
    """Answers at once for the tables in `held` what moves or reads items; everything else goes to the real endpoint."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.held: dict[str, Held] = {}

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        content = handler.rfile.read(int(handler.headers["Content-Length"]))
        operation = handler.headers["X-Amz-Target"].rpartition(".")[2]
        answer = {"BatchWriteItem": swallow, "BatchGetItem": get, "Scan": scan, "Query": query}.get(operation)
        table = next((name for name in self.held if f'"{name}"'.encode() in content[:400]), None)
        if answer is None or table is None:
            self._send(handler, self._forward(handler, content))
            return
        reply = answer(table, self.held[table], content)
        handler.send_response(200)
        handler.send_header("Content-Type", "application/x-amz-json-1.0")
        handler.send_header("Content-Length", str(len(reply)))
        handler.end_headers()
        handler.wfile.write(reply)
        handler.wfile.flush()


def swallow(table: str, held: Held, content: bytes) -> bytes:
    """Take every item."""
    return b'{"UnprocessedItems":{}}'


def get(table: str, held: Held, content: bytes) -> bytes:
    """The items under the keys asked for."""
    keys = json.loads(content)["RequestItems"][table]["Keys"]
    texts = (text_of(held, number) for key in keys if (number := int(key["id"]["N"])) <= held.rows)
    return f'{{"Responses":{{"{table}":[{",".join(texts)}]}},"UnprocessedKeys":{{}}}}'.encode()


def scan(table: str, held: Held, content: bytes) -> bytes:
    """A page of a segment, in the order of the rows; only the key and the stamp where a projection is asked for."""
    asked = json.loads(content)
    segment, segments = asked.get("Segment", 0), asked.get("TotalSegments", 1)
    first, last = (held.rows * part // segments for part in (segment, segment + 1))
    numbers = range(max(first, after(asked)) + 1, last + 1)
    return page_of(held, numbers, last, keys_only="ProjectionExpression" in asked)


def query(table: str, held: Held, content: bytes) -> bytes:
    """A page of the index by status, with all attributes."""
    asked = json.loads(content)
    (value,) = asked["ExpressionAttributeValues"].values()
    place = STATUSES.index(value["S"])
    start = after(asked) + 4 if "ExclusiveStartKey" in asked else place or 4
    last = held.rows - (held.rows - place) % 4
    return page_of(held, range(start, last + 1, 4), last, status=value["S"])


def after(asked: dict[str, Any]) -> int:
    """The number of the row that the page before ended with."""
    return int(asked["ExclusiveStartKey"]["id"]["N"]) if "ExclusiveStartKey" in asked else 0


def page_of(held: Held, numbers: range, last: int, *, keys_only: bool = False, status: str = "") -> bytes:
    """A page of about 1 MB from the first of `numbers` on, and where the next begins."""
    found = list(islice(numbers, items_a_page(held.rows, held.stamp_name)))
    texts: Iterable[str] = (text_of(held, number) for number in found)
    if keys_only:
        texts = (f'{{"id":{{"N":"{n}"}},"{held.stamp_name}":{{"N":"{held.stamp_of(n)}"}}}}' for n in found)
    more = ""
    if found and found[-1] < last:
        key = {"id": {"N": str(found[-1])}} | ({"status": {"S": status}} if status else {})
        more = f',"LastEvaluatedKey":{json.dumps(key)}'
    return f'{{"Items":[{",".join(texts)}],"Count":{len(found)},"ScannedCount":{len(found)}{more}}}'.encode()


def text_of(held: Held, number: int) -> str:
    """The item of a row, stamped."""
    return item_text(number, held.stamp_name, held.stamp_of(number))
