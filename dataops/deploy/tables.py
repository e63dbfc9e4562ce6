"""The DynamoDB table that a batch declares, as the arguments of CreateTable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataops.batch import Batch, Include, Index, Key, KeyTemplate, key_name
from dataops.core.normalize import Codec
from dataops.errors import BatchFileError

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


def table_definition(batch: Batch, codec: Codec | None = None) -> dict[str, Any]:
    """CreateTable's arguments: on-demand, keys and indexes as declared.

    The types of keys come from the source's columns, or without a codec from the batch itself (`dynamodb.key_types`).
    Raises BatchFileError where that does not say them.
    """
    types = {
        key_name(key): codec.key_type(key) if codec else _declared_type(batch, key) for key in batch.dynamodb.all_keys
    }
    definition: dict[str, Any] = {
        "TableName": batch.dynamodb.table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": of} for name, of in types.items()],
        "KeySchema": _key_schema(batch.dynamodb.keys),
    }
    if batch.dynamodb.indexes:
        definition["GlobalSecondaryIndexes"] = [_index_definition(index) for index in batch.dynamodb.indexes]
    return definition


def ensure_table(client: DynamoDBClient, batch: Batch, codec: Codec) -> bool:
    """Create the batch's table where it is missing; True when it was created. Waits until it is there."""
    try:
        client.create_table(**table_definition(batch, codec))
    except client.exceptions.ResourceInUseException:
        return False
    client.get_waiter("table_exists").wait(TableName=batch.dynamodb.table, WaiterConfig={"Delay": 1})
    return True


def undeclared_keys(batch: Batch) -> list[str]:
    """The key columns whose types the batch does not declare."""
    declared = batch.dynamodb.key_types
    return [key for key in batch.dynamodb.all_keys if isinstance(key, str) and key not in declared]


def _declared_type(batch: Batch, key: Key) -> str:
    if isinstance(key, KeyTemplate):
        return "S"
    if missing := undeclared_keys(batch):
        declared = ", ".join(f"{name}: S, N or B" for name in missing)
        raise BatchFileError(f"batch {batch.batch}: dynamodb.key_types: expected {{{declared}}}, found no such entry")
    return batch.dynamodb.key_types[key]


def _key_schema(keys: tuple[Key, ...]) -> list[dict[str, str]]:
    kinds = ("HASH", "RANGE")
    return [{"AttributeName": key_name(key), "KeyType": kind} for key, kind in zip(keys, kinds, strict=False)]


def _index_definition(index: Index) -> dict[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": index.projection}
    if isinstance(index.projection, Include):
        projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.projection.include)}
    return {"IndexName": index.name, "KeySchema": _key_schema(index.keys), "Projection": projection}
