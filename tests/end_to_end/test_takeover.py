"""What a takeover says of the run that was cut off."""

import pytest

from dataops.core.publish import publish, roll_back
from tests.end_to_end.steps import copy_all, load_all, planned


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
