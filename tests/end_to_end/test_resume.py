"""A failed run is continued from what it has copied, and only where that is sound."""

from __future__ import annotations

import itertools

import pytest

from dataops.core.control import Control
from dataops.core.copy import copy_chunk
from dataops.core.publish import roll_back
from dataops.errors import BatchFileError, Permanent, SchemaMismatch
from tests.end_to_end.steps import execution_of, never, planned

pytestmark = pytest.mark.one_server

ROWS = 5000
numbers = itertools.count(1)


@pytest.fixture
def big(case):
    """A table of several chunks whose last row but one cannot be stored as a document."""
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, v VARCHAR(20))")
    case.source("INSERT INTO {t} VALUES (%s, %s)", *((n, "{}") for n in range(ROWS)))
    case.source("UPDATE {t} SET v = 'bad' WHERE id = 4998")
    return case


def batch_of(case, **changes):
    return case.batch(normalize__columns={"v": {"as": "document"}}, **changes)


def stamps(case, batch):
    """Each item's stamp, by id."""
    return {int(item["id"]["N"]): int(item[batch.stamp]["N"]) for item in case.items()}


def test_what_was_copied_is_not_copied_again_but_for_what_changed(big):
    batch = batch_of(big)
    failed = big.run(batch, workers=2)
    assert (failed.status, failed.record.source_rows, failed.record.resumable) == ("failed", ROWS, True)
    before = stamps(big, batch)
    big.source("UPDATE {t} SET v = '[1]' WHERE id = 4998")
    resumed = big.run(batch, resume=failed.record.run)
    assert (resumed.status, resumed.record.target_rows) == ("succeeded", ROWS), resumed.record.cause
    after = stamps(big, batch)
    again = {number for number, stamp in after.items() if before.get(number) != stamp}
    assert 4998 in again
    assert 0 < len(again) <= ROWS // 4
    assert big.checksums()[0] == big.checksums()[1]
    assert big.leftovers() == []


def test_rejections_of_what_was_copied_stay_counted_and_listed(big):
    failed = big.run(batch_of(big))
    resumed = big.run(batch_of(big, on_reject="continue"), resume=failed.record.run)
    assert (resumed.status, resumed.record.rejected, resumed.record.target_rows) == (
        "succeeded with rejections",
        1,
        ROWS - 1,
    )
    assert [rejection.key for rejection in resumed.rejections] == [{"id": "4998"}]


def test_a_half_copied_chunk_starts_over_under_a_stamp_of_its_own(big):
    big.source("DELETE FROM {t} WHERE id = 4998")
    with planned(big, "run-1", workers=2) as task:
        first, second, *_ = task.control.chunks()
        copy_chunk(task, first.id, never)
        copy_chunk(task, second.id, lambda: True)
        stale = task.plan.stamp_of(second.id, 0)
    roll_back(f"{big.name}-run-1", execution_of(f"{big.name}-run-1"), "Retryable", "cut")
    result = big.run(resume=f"{big.name}-run-1")
    assert result.record.target_rows == ROWS - 1, result.record.cause
    found = set(stamps(big, big.batch()).values())
    assert task.plan.stamp_of(first.id, 0) in found
    assert task.plan.stamp_of(second.id, 1) in found
    assert stale not in found


def refusal(case, run, batch=None):
    """Why Plan does not resume `run`."""
    name = f"next-{next(numbers)}"
    with pytest.raises((Permanent, BatchFileError, SchemaMismatch)) as refused:
        planned(case, name, batch or batch_of(case), resume=run)
    roll_back(f"{case.name}-{name}", execution_of(f"{case.name}-{name}"), "Permanent", str(refused.value))
    return str(refused.value)


def test_only_a_run_whose_items_are_still_the_newest_is_resumed(big):
    failed = big.run(batch_of(big)).record.run
    assert "is not as it was in run" in refusal(big, failed, big.batch())
    big.source("ALTER TABLE {t} MODIFY v VARCHAR(30)")
    assert "has changed since run" in refusal(big, failed)
    big.source("ALTER TABLE {t} MODIFY v VARCHAR(20)")
    assert "has no plan" in refusal(big, "nosuch")
    again = big.run(batch_of(big), resume=failed).record.run
    assert f"was resumed as {again}" in refusal(big, failed)
    later = big.run(batch_of(big, on_reject="continue")).record.run
    assert "a later run of the batch has begun since" in refusal(big, again)
    assert "only a run that failed before it published" in refusal(big, later)
    assert Control(later).record().resumable is False
