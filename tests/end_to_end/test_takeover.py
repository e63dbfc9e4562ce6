"""What a takeover says of the run that was cut off."""

import pytest

from dataops.core.publish import publish, roll_back
from dataops.core.reconcile import verify_source, verify_staging
from dataops.core.task import Task
from dataops.errors import Cancelled
from tests.end_to_end.steps import copy_all, execution_of, load_all, never, planned

pytestmark = pytest.mark.one_server


@pytest.mark.parametrize(
    ("published", "cause"),
    [(False, "rolled back or recorded that it published"), (True, "was closed; the new rows are in place")],
)
def test_a_takeover_says_in_the_record_that_the_other_run_was_cut_off(numbers, published, cause):
    with planned(numbers, "run-1") as task:
        if published:
            copy_all(task)
            load_all(task)
            publish(task)
    with planned(numbers, "run-2", function_seconds=-(10**6)):
        pass
    record = task.control.record()
    assert (record.status, record.cause) == ("cut off", f"its execution ended before the run {cause}")
    assert [found.status for found in task.control.records(10_000) if found.run == record.run] == ["cut off"]


def test_a_takeover_keeps_what_a_run_said_of_its_failure(numbers):
    with planned(numbers, "run-1") as task:
        roll_back(task.plan.run, "arn:somebody-else", "Permanent", "why")
    with planned(numbers, "run-2", function_seconds=-(10**6)):
        pass
    assert (task.control.record().status, task.control.record().cause) == ("failed", "why")


def test_a_run_that_is_redriven_after_another_took_over_writes_and_drops_nothing(numbers):
    with planned(numbers, "run-1") as task:
        pass
    with planned(numbers, "run-2", function_seconds=-(10**6)) as task:
        copy_all(task)
        load_all(task)
        with pytest.raises(Cancelled, match="was asked to stop"):
            Task.open(f"{numbers.name}-run-1")
        late = roll_back(f"{numbers.name}-run-1", execution_of(f"{numbers.name}-run-1"), "Permanent", "redriven")
        assert (late.status, late.cause) == ("failed", "redriven")
        assert verify_source(task, never) == []
        assert verify_staging(task, never)
        publish(task)
    assert list(numbers.target("SELECT id, v FROM {t} ORDER BY id")) == [(1, "one"), (2, None), (3, None)]
    assert numbers.leftovers() == ["lease"]
