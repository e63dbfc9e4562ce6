"""The benchmark's table: 13 columns, about 260 bytes a row, mixed types, with NULL, '' and 4-byte UTF-8.

A row's content follows from its number: the id, and one of 1,000 templates. What a row must become as an item is told
by boto3's own serializer, and so by nothing that is measured.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

TEMPLATES = 1000
COLUMNS = {
    "id": "BIGINT UNSIGNED NOT NULL PRIMARY KEY",
    "customer_id": "INT NOT NULL",
    "status": "ENUM('open','paid','sent','void') NOT NULL",
    "total": "DECIMAL(12,2) NOT NULL",
    "discount": "DECIMAL(7,4)",
    "weight": "DOUBLE",
    "quantity": "SMALLINT UNSIGNED NOT NULL",
    "is_gift": "TINYINT(1) NOT NULL",
    "ordered_at": "DATETIME(6) NOT NULL",
    "shipped_on": "DATE",
    "updated_at": "TIMESTAMP NOT NULL DEFAULT '2000-01-01 00:00:00'",
    "name": "VARCHAR(80) NOT NULL",
    "memo": "VARCHAR(600)",
}
TEXTS = ("name", "memo")
NAMES = tuple(COLUMNS)
DEFINITION = f"({', '.join(f'{name} {of}' for name, of in COLUMNS.items())}) CHARACTER SET utf8mb4"
_PEOPLE = ("Ana Souza", "田中 一郎", "Jürgen Groß", "Zoë O'Neill", "李 小龍 🐉", "")
_MEMOS = (
    "Leave it with the neighbour at number 14 if nobody opens; she is at home most days until five, and has a key. ",
    "配達は午後六時以降にお願いします。玄関の横の箱に入れてください 📦 ",
    'Marked "fragile": two glass panels,\nwrapped one by one; keep upright. Path C:\\orders\\new. ',
    "Ring twice. The bell of the side door is out of order, and the dog is friendly whatever it says there. ",
)


def values_of(template: int) -> tuple[Any, ...]:
    """A template's values in the order of the columns, but for the id, as Python's types."""
    chance = random.Random(template)  # noqa: S311 - the same rows everywhere
    ordered = datetime(2026, 1, 1) + timedelta(microseconds=chance.randrange(10**13))
    shipped = None if template % 4 == 0 else date(2026, 1, 1) + timedelta(days=chance.randrange(300))
    memo = (chance.choice(_MEMOS) * 3)[: chance.randrange(60, 260)]
    return (
        chance.randrange(10**6), chance.choice(("open", "paid", "sent", "void")),
        Decimal(chance.randrange(10**7)).scaleb(-2), None if template % 3 else Decimal(chance.randrange(10**6)).scaleb(-4),
        None if template % 7 == 0 else chance.uniform(0, 100), chance.randrange(200), chance.randrange(2),
        ordered, shipped, ordered.replace(microsecond=0) + timedelta(days=2),
        _PEOPLE[template % len(_PEOPLE)], None if template % 11 == 0 else "" if template % 13 == 0 else memo,
    )  # fmt: skip


def normal_value(name: str, value: Any) -> Any:
    """A value as an item holds it: NULL for '', ISO-8601 for times, a decimal for a double."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return (
            f"{value.isoformat(timespec='seconds')}Z" if name == "updated_at" else value.isoformat("T", "microseconds")
        )
    if isinstance(value, date):
        return value.isoformat()
    return Decimal(repr(value)) if isinstance(value, float) else value


def row_value(name: str, value: Any) -> Any:
    """The inverse of `normal_value`, from what boto3's deserializer gives to what pymysql takes."""
    if value is None:
        return "" if name == "name" else None
    return value.removesuffix("Z") if name == "updated_at" else value


def templates() -> Iterator[dict[str, Any]]:
    """The item of each template, by boto3's serializer, without its id."""
    from boto3.dynamodb.types import TypeSerializer

    serialize = TypeSerializer().serialize
    for template in range(TEMPLATES):
        values = zip(NAMES[1:], values_of(template), strict=True)
        yield {name: serialize(normal_value(name, value)) for name, value in values}
