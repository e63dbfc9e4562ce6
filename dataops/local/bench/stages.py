"""A run in its stages, as its handlers do them, for a table of any size: plan, copy all chunks, load the segment."""

from __future__ import annotations

from collections.abc import Callable

from dataops.local.bench.subject import Subject, finish

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:bench:"


def plan_table(subject: Subject) -> Callable[[], None]:
    """The work of the state Plan."""
    from dataops.core.plan import PlanRequest, plan_run

    run = subject.run
    request = PlanRequest(run, EXECUTION + run, "2026-01-01T00:00:00Z", subject.declared(), workers=1)

    def plan() -> None:
        plan_run(request)

    return plan


def copy_table(subject: Subject) -> Callable[[], None]:
    """The work of the state Rds To Dynamodb for one chunk after the other of a planned run."""
    from dataops.core.copy import copy_chunk
    from dataops.core.task import Task

    task = Task.open(subject.run)
    task.source_connection, task.sender, task.codec  # noqa: B018 - made before the clock runs

    def copy() -> None:
        for number in range(task.plan.chunks):
            finish(copy_chunk, task, number)

    return copy


def load_table(subject: Subject) -> Callable[[], None]:
    """The work of the state Dynamodb To Rds for all items of a planned run."""
    from dataops.core.load import load_segment, prepare_staging
    from dataops.core.task import Task

    task = Task.open(subject.run)
    segments = prepare_staging(task)
    task.shared_dynamodb, task.codec, task.loading_connection  # noqa: B018 - made before the clock runs

    def load() -> None:
        for number in segments:
            finish(load_segment, task, number)

    return load
