"""CreateTable's arguments are what the batch declares, and botocore takes them."""

import boto3
import pytest
from botocore.validate import ParamValidator

from dataops.core.normalize import Codec
from dataops.deploy.tables import table_definition
from dataops.errors import BatchFileError
from tests.samples import batch_of, column, table_of

SOURCE = table_of(
    column("customer", "varchar(40)", nullable=False),
    column("at", "datetime", nullable=False),
    column("price", "decimal(40,2)", nullable=False),
    column("raw", "varbinary(9)", nullable=False),
)
TEMPLATE = {"name": "pk", "template": "C#{customer}#{id}"}
INDEXES = [
    {"name": "by-at", "partition_key": "customer", "sort_key": "at", "projection": "KEYS_ONLY"},
    {"name": "by-raw", "partition_key": "raw", "projection": {"include": ["price", "at"]}},
    {"name": "by-gsi", "partition_key": {"name": "gsi", "template": "{at}#{id}"}, "sort_key": "id"},
]


def defined(**changes):
    """CreateTable's arguments for the orders batch with changes, as botocore's own model of the service takes them."""
    batch = batch_of(**changes)
    definition = table_definition(batch, Codec(batch, SOURCE, None, None))
    client = boto3.client("dynamodb", region_name="x", aws_access_key_id="a", aws_secret_access_key="b")
    shape = client.meta.service_model.operation_model("CreateTable").input_shape
    report = ParamValidator().validate(definition, shape)
    assert not report.has_errors(), report.generate_report()
    return definition


def keyed(schema):
    return [(entry["AttributeName"], entry["KeyType"]) for entry in schema]


@pytest.mark.parametrize(
    ("changes", "keys", "types"),
    [
        ({}, [("id", "HASH")], {"id": "N"}),
        ({"dynamodb__sort_key": "at"}, [("id", "HASH"), ("at", "RANGE")], {"id": "N", "at": "S"}),
        ({"dynamodb__partition_key": TEMPLATE}, [("pk", "HASH")], {"pk": "S"}),
        ({"dynamodb__partition_key": "price"}, [("price", "HASH")], {"price": "S"}),
        ({"dynamodb__partition_key": "raw", "dynamodb__sort_key": "id"}, [("raw", "HASH"), ("id", "RANGE")],
         {"raw": "B", "id": "N"}),
    ],
)  # fmt: skip
def test_keys_have_the_types_of_their_columns(changes, keys, types):
    definition = defined(**changes)
    assert keyed(definition["KeySchema"]) == keys
    assert {of["AttributeName"]: of["AttributeType"] for of in definition["AttributeDefinitions"]} == types
    assert definition["BillingMode"] == "PAY_PER_REQUEST"
    assert "GlobalSecondaryIndexes" not in definition


def test_indexes_are_as_declared():
    by_at, by_raw, by_gsi = defined(dynamodb__indexes=INDEXES)["GlobalSecondaryIndexes"]
    assert (by_at["IndexName"], keyed(by_at["KeySchema"])) == ("by-at", [("customer", "HASH"), ("at", "RANGE")])
    assert by_at["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert by_raw["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["price", "at"]}
    assert keyed(by_gsi["KeySchema"]) == [("gsi", "HASH"), ("id", "RANGE")]
    assert by_gsi["Projection"] == {"ProjectionType": "ALL"}


def test_every_key_attribute_is_defined_once_and_nothing_else():
    # DynamoDB refuses a definition that no key uses, and a key that is not defined.
    definition = defined(dynamodb__indexes=INDEXES, dynamodb__sort_key="at")
    schemas = [definition["KeySchema"], *(index["KeySchema"] for index in definition["GlobalSecondaryIndexes"])]
    names = [of["AttributeName"] for of in definition["AttributeDefinitions"]]
    assert sorted(names) == sorted({name for schema in schemas for name, _ in keyed(schema)})
    assert {of["AttributeType"] for of in definition["AttributeDefinitions"]} <= {"S", "N", "B"}


def test_without_a_look_at_the_source_the_batch_declares_the_types():
    changes = {"dynamodb__sort_key": TEMPLATE | {"name": "sk"}, "dynamodb__indexes": INDEXES[:1]}
    with pytest.raises(BatchFileError, match=r"batch orders: dynamodb.key_types: expected {at: S, N or B}, found no"):
        table_definition(batch_of(**changes, dynamodb__key_types={"id": "N", "customer": "S"}))
    types = {"id": "N", "customer": "S", "at": "S"}
    assert table_definition(batch_of(**changes, dynamodb__key_types=types)) == defined(**changes)
