"""A table with two keys and an index, and items for it."""

from __future__ import annotations

from typing import Any

import boto3

STAMP, KEYS = "_gen_b", ("pk", "sk")


def create_keyed_table(name: str) -> str:
    """An empty table with keys pk (S) and sk (N), and an index that wants `kind` to be a text; gives its name."""
    types = {"pk": "S", "sk": "N", "kind": "S"}
    boto3.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": of, "AttributeType": kind} for of, kind in types.items()],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-kind",
                "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    return name


def item(number: int, **more: Any) -> dict[str, Any]:
    """An item for it; two partitions take turns."""
    return {"pk": {"S": f"p{number % 2}"}, "sk": {"N": str(number)}, STAMP: {"N": "1"}, **more}
