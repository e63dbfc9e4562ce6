"""Rows whose content follows from their number, so that SQL and DynamoDB JSON can both make a million of them."""

from __future__ import annotations

import json
from collections.abc import Callable

from dataops.core.item import item_size

COLUMNS = (
    "(id INT PRIMARY KEY, customer_id INT NOT NULL, status VARCHAR(8) NOT NULL, total DECIMAL(10,2) NOT NULL, "
    "ordered_at DATETIME NOT NULL, memo VARCHAR(80), KEY (status, id))"
)
STATUSES = ("open", "paid", "sent", "void")
PADDING = "deliver to the side door, ring twice"
STAMP = 10**8
"""About the size of a stamp, where only the length of its text matters."""


def fill(execute: Callable[[str], object], rows: int) -> None:
    """Fill the empty table `{t}` with rows 1 to `rows`, twice as many with each statement."""
    execute(f"INSERT INTO {{t}} VALUES ({_values('1')})")
    there = 1
    while there < rows:
        execute(f"INSERT INTO {{t}} SELECT {_values(f'(id + {there})')} FROM {{t}} WHERE id <= {rows - there}")
        there = min(rows, 2 * there)


def item_text(number: int, stamp_name: str, stamp: int) -> str:
    """The item of a row as DynamoDB's JSON."""
    return (
        f'{{"id":{{"N":"{number}"}},"customer_id":{{"N":"{number % 9973}"}},'
        f'"status":{{"S":"{STATUSES[number % 4]}"}},"total":{{"N":"{number % 7919}.{number % 89 + 10}"}},'
        f'"ordered_at":{{"S":"2026-01-{number % 28 + 1:02}T{number % 24:02}:00:00"}},'
        f'"memo":{{"S":"{number}: {PADDING}"}},"{stamp_name}":{{"N":"{stamp}"}}}}'
    )


def items_a_page(number: int, stamp_name: str) -> int:
    """How many items like that of a row fill a page of DynamoDB: 1 MB as it counts them, not as JSON."""
    return 2**20 // item_size(json.loads(item_text(number, stamp_name, STAMP)))


def _values(number: str) -> str:
    statuses = ", ".join(f"'{status}'" for status in STATUSES)
    return (
        f"{number}, {number} % 9973, ELT({number} % 4 + 1, {statuses}), "
        f"CONCAT({number} % 7919, '.', {number} % 89 + 10), "
        f"CONCAT('2026-01-', {number} % 28 + 1, ' ', {number} % 24, ':00:00'), CONCAT({number}, ': {PADDING}')"
    )
