"""Memory stays flat: the most that each handler and each preview takes, over 100,000 rows and over 1,000,000.

Both tables stand in the source, row for row; the copy writes to a DynamoDB that keeps nothing and makes the items up
when they are read. Every handler runs as in Lambda, from the zip, in one process for all its invocations. Plan,
Account Rows and the notebooks see all rows. So as to end in time, the others see the first 2 of the small table's 10
chunks and the first 6 of the large one's 100 (the rest is marked as dropped by a transform): three times as many pages
and invocations, so that a page kept by mistake shows. `pytest --hypothesis-profile=long tests/end_to_end/memory` takes
all chunks. A chunk has 10,000 rows in both tables: what is kept no longer than for a chunk is not seen here.
"""

from __future__ import annotations

import pytest
from hypothesis import settings

from dataops.deploy.package import DIRECT, handlers
from dataops.local.stack import Stack
from tests.end_to_end.conftest import Case
from tests.end_to_end.memory.endpoint import NullDynamoDB
from tests.end_to_end.memory.subject import BY_INDEX, PREVIEWS, RECONCILE, Subject

SMALL, LARGE = 100_000, 1_000_000
LONG = settings.default.max_examples > 1000
COPIED = {SMALL: 10, LARGE: 100} if LONG else {SMALL: 2, LARGE: 6}
INDEXED = {SMALL: 10, LARGE: 100} if LONG else {SMALL: 8, LARGE: 16}
HANDLERS = [path.split(".")[2] for name, path in handlers().items() if name not in DIRECT]
GROWTH, MOST_MIB = 1.2, 256
pytestmark = pytest.mark.one_server  # it is Python that is measured


@pytest.fixture(scope="module")
def peaks(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, float]]:
    """The peaks, in MiB, by rows and by what took them."""
    endpoint = NullDynamoDB(stack.info.variables["AWS_ENDPOINT_URL"])
    found = {}
    for rows in (SMALL, LARGE):
        case = Case(stack, tmp_path_factory.mktemp(f"rows-{rows}"))
        case.name = f"memory_{rows}"  # cases count from one in each copy of their module: pytest's own and this
        subject = Subject(case, endpoint, rows, COPIED[rows])
        subject.call_handlers()
        subject.preview()
        subject.read_index(INDEXED[rows])
        case.close()
        found[rows] = subject.peaks
    endpoint.close()
    for name, peak in found[SMALL].items():
        print(f"\n{name:26} {peak:6.1f} MiB  {found[LARGE][name]:6.1f} MiB", end="")
    return found


@pytest.mark.parametrize("what", [*HANDLERS, BY_INDEX, *PREVIEWS, RECONCILE])
def test_ten_times_the_rows_take_no_more_memory(peaks, what):
    small, large = peaks[SMALL][what], peaks[LARGE][what]
    assert large <= GROWTH * small
    assert large < MOST_MIB
