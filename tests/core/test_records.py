"""What a record says of itself."""

import pytest

from dataops.core.records import Record


@pytest.mark.parametrize(
    ("counts", "accounted", "adds_up"),
    [
        ({"target_rows": 4, "rejected": 3, "dropped": 2, "outside": 1}, 10, True),
        ({"target_rows": 10, "items": 7, "stale_deleted": 5}, 10, True),
        ({"target_rows": 9}, 9, False),
        ({"target_rows": 11}, 11, False),
    ],
)
def test_every_source_row_is_in_the_target_rejected_dropped_or_outside(counts, accounted, adds_up):
    record = Record("run", "batch", source_rows=10, **counts)
    assert (record.accounted, record.adds_up) == (accounted, adds_up)
