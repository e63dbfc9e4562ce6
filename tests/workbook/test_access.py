"""The operation that an access pattern takes."""

import pytest

from dataops.batch import AccessPattern
from dataops.errors import SchemaMismatch
from dataops.workbook import access
from dataops.workbook.access import plan_patterns, plan_reads
from dataops.workbook.projection import preview_projection, require_projection
from tests.samples import batch_of

KEYS = {"partition_key": "customer", "sort_key": "number"}
INDEXES = [
    {"name": "all", "partition_key": "status", "sort_key": "day"},
    {"name": "keys", "partition_key": "region", "projection": "KEYS_ONLY"},
    {"name": "some", "partition_key": "shop", "projection": {"include": ["total"]}},
]
BATCH = batch_of(dynamodb={"table": "orders", **KEYS, "indexes": INDEXES})
TEMPLATED = batch_of(dynamodb={"table": "orders", "partition_key": {"name": "pk", "template": "C#{customer}#{region}"}})


@pytest.mark.parametrize(
    ("equals", "attributes", "operation"),
    [
        (("customer", "number"), None, "GetItem"),
        (("number", "customer", "status"), None, "GetItem, filter status"),
        (("customer",), None, "Query"),
        (("customer", "status"), None, "Query, filter status"),
        (("status",), None, "Query on all"),
        (("status", "day"), None, "Query on all"),
        (("region",), None, "Query on keys + GetItem"),
        (("region",), ("number",), "Query on keys"),
        (("region",), ("total",), "Query on keys + GetItem"),
        (("region", "total"), ("number",), "Query on keys + GetItem, filter total"),
        (("shop",), ("total",), "Query on some"),
        (("region", "status"), None, "Query on all, filter region"),
        (("day",), None, "Scan, filter day"),
        ((), None, "Scan"),
    ],
)
def test_the_cheapest_operation_is_chosen(equals, attributes, operation):
    assert plan_reads(BATCH, AccessPattern("p", equals, attributes)).operation == operation


def test_a_template_needs_all_its_columns():
    assert plan_reads(TEMPLATED, AccessPattern("p", ("customer",))).operation == "Scan, filter customer"
    assert plan_reads(TEMPLATED, AccessPattern("p", ("region", "customer"))).operation == "GetItem"


def test_a_batch_that_declares_none_is_asked_what_its_keys_are_made_for():
    assert [of.operation for of in plan_patterns(BATCH)] == [
        "GetItem", "Query", "Query on all", "Query on keys + GetItem", "Query on some + GetItem",
    ]  # fmt: skip


def test_an_operation_that_gives_other_items_fails_the_verdict(stack, monkeypatch):
    run, orders = access._run, {"source__table": "orders", "dynamodb__partition_key": "order_id"}
    monkeypatch.setattr(access, "_run", lambda *given: list(run(*given))[1:])
    with pytest.raises(SchemaMismatch, match="access pattern 'one item': WRONG: gave 0 of 1 items"):
        require_projection(preview_projection(batch_of(**orders), rows=50))


def test_no_table_is_left_behind(stack):
    from dataops.core.dynamodb import dynamodb_client

    preview_projection(batch_of(dynamodb__partition_key="order_id"), rows=10).proofs()
    assert [name for name in dynamodb_client().list_tables()["TableNames"] if name.startswith("preview-")] == []
