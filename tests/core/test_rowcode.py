"""Which batches have no row function, and why."""

import pytest

from dataops.core.normalize import Codec
from dataops.core.rowcode import MAX_NAME_BYTES, why_plain
from tests.samples import batch_of, column, table_of

TEMPLATE = {"name": "pk", "template": "注文#{id}"}


def why_of(*columns, **changes):
    return why_plain(Codec(batch_of(**changes), table_of(*columns), None, None))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"transform": "dataops.transforms.customers:enrich"}, "a transform"),
        ({"dynamodb__partition_key": TEMPLATE}, "a key template that is not ASCII"),
        ({"normalize__columns": {"id": {"as": "S"}}}, "a key that is stored otherwise (as)"),
    ],
)
def test_a_batch_without_a_row_function_says_why(changes, why):
    assert why_of(column("v", "int"), **changes) == why


@pytest.mark.parametrize(("more", "why"), [(0, None), (1, "too many columns")])
def test_names_that_fill_an_item_leave_too_little_room_for_values(more, why):
    names = [f"{place:04d}{'列' * 32}" for place in range(999)] + [f"{'列' * 20}{'x' * (38 + more)}"]
    assert sum(len(name.encode()) for name in ["id", *names]) == MAX_NAME_BYTES + more
    assert why_of(*(column(name, "int") for name in names)) == why
