"""What a run took of Lambda and Step Functions, by histories as Step Functions writes them."""

from datetime import UTC, datetime, timedelta

import pytest

from dataops.core.records import Chunk
from dataops.workbook.usage import count_fast_rows, count_transitions, list_invocations

BEGAN = datetime(2026, 11, 24, tzinfo=UTC)
PLAN = "arn:aws:lambda:eu-west-1:123456789012:function:plan"


def history(*kinds_at):
    """Events one after the other, each caused by the one before: kind and milliseconds."""
    return [
        {
            "id": number, "previousEventId": number - 1, "type": kind, "timestamp": BEGAN + timedelta(milliseconds=at),
            "lambdaFunctionScheduledEventDetails": {"resource": PLAN},
        }
        for number, (kind, at) in enumerate(kinds_at, 1)
    ]  # fmt: skip


TRIED = (("LambdaFunctionScheduled", 10), ("LambdaFunctionStarted", 20))
AGAIN = (("LambdaFunctionScheduled", 1000), ("LambdaFunctionStarted", 1005))


@pytest.mark.parametrize(
    ("events", "taken"),
    [
        ((*TRIED, ("LambdaFunctionSucceeded", 320)), [300]),
        ((*TRIED, ("LambdaFunctionSucceeded", 320.2)), [301]),
        ((*TRIED, ("LambdaFunctionFailed", 520), *AGAIN, ("LambdaFunctionSucceeded", 1006)), [500, 1]),
        ((*TRIED, ("LambdaFunctionTimedOut", 900020)), [900000]),
        ((*TRIED, ("ExecutionAborted", 420)), [400]),
        ((("LambdaFunctionScheduled", 10), ("LambdaFunctionStartFailed", 20)), []),
    ],
    ids=["succeeded", "milliseconds begun", "tried again", "timed out", "stopped", "not started"],
)
def test_a_function_takes_the_time_from_its_start_to_its_end(events, taken):
    assert list(list_invocations(history(("TaskStateEntered", 0), *events))) == [(PLAN, of) for of in taken]


@pytest.mark.parametrize(
    ("kinds", "transitions"),
    [
        (["ExecutionStarted", "PassStateEntered", "PassStateExited", "SucceedStateEntered", "ExecutionSucceeded"], 2),
        (["TaskStateEntered", "LambdaFunctionScheduled", "LambdaFunctionFailed", "LambdaFunctionScheduled"], 2),
        (["TaskStateEntered", "TaskScheduled", "TaskFailed", "TaskScheduled", "TaskFailed", "TaskScheduled"], 3),
        (["MapStateEntered", "MapStateStarted", "MapRunStarted", "MapStateStarted", "MapRunStarted"], 2),
        (["ParallelStateEntered", "ParallelStateStarted", "ChoiceStateEntered", "ParallelStateStarted"], 3),
        (["TaskStateEntered", "TaskStateEntered", "LambdaFunctionScheduled"], 2),
    ],
    ids=["states", "a function again", "a service again", "a Map again", "a Parallel again", "never begun"],
)
def test_each_state_entered_and_each_retry_is_a_transition(kinds, transitions):
    assert count_transitions(history(*((kind, 0) for kind in kinds))) == transitions


@pytest.mark.parametrize(
    ("chunk", "fast"),
    [
        ({"began": 1.0}, 100),
        ({"began": 1.0, "plain": {"read one by one: an unusual row": 3}}, 97),
        ({"began": 1.0, "plain": {"read one by one: a transform": 100, "written by boto3: write: update": 100}}, 0),
        ({}, 0),
    ],
    ids=["all", "all but a few", "none, for two reasons", "taken over from a failed run"],
)
def test_rows_that_went_another_way_or_in_another_run_are_not_fast(chunk, fast):
    assert count_fast_rows([Chunk(0, rows=100, **chunk)]) == fast
