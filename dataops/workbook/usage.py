"""What a run took of Step Functions and Lambda, measured by the histories of its execution and of its Maps' children.

A state that is entered is one transition, and so is each retry (AWS, "AWS Step Functions pricing"). A function's time is
that from its start to its end by Step Functions' clock, in milliseconds begun: its initialization, which Lambda bills, and
a few milliseconds on the way, which it does not, are in it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dataops.core.records import Chunk, Invoked, Segment, Usage

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient
    from types_boto3_stepfunctions import SFNClient

BEGINNINGS = {
    "TaskStateEntered": ("LambdaFunctionScheduled", "TaskScheduled"),
    "MapStateEntered": ("MapStateStarted",),
    "ParallelStateEntered": ("ParallelStateStarted",),
}
"""Events that stand once for each try of a state."""
ENDS = ("LambdaFunctionSucceeded", "LambdaFunctionFailed", "LambdaFunctionTimedOut")


def read_history(sfn: SFNClient, execution: str) -> list[Any]:
    """All events of an execution, in order."""
    pages = sfn.get_paginator("get_execution_history").paginate(executionArn=execution)
    return [event for page in pages for event in page["events"]]


def measure_usage(
    sfn: SFNClient,
    execution: str,
    events: list[Any],
    chunks: Sequence[Chunk] = (),
    segments: Sequence[Segment] = (),
) -> Usage | None:
    """What an execution took whose history is `events`, with the children of its distributed Maps.

    None where histories or functions may not be read. One call for each child: Step Functions allows some twenty a second.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        histories = [events, *(read_history(sfn, child) for child in _children(sfn, execution))]
        times: dict[str, list[int]] = {}
        for history in histories:
            for function, milliseconds in list_invocations(history):
                times.setdefault(function, []).append(milliseconds)
        client = boto3.client("lambda")
        functions = dict(_describe(client, function, taken) for function, taken in times.items())
    except (BotoCoreError, ClientError):
        return None
    parts: dict[str, Sequence[Chunk | Segment]] = {"rds_to_dynamodb": chunks, "dynamodb_to_rds": segments}
    fast = {name: count_fast_rows(works) for name, works in parts.items() if works}
    return Usage(sum(map(count_transitions, histories)), functions, fast)


def count_fast_rows(works: Iterable[Chunk | Segment]) -> int:
    """Rows that went all of the fast way in this run; chunks that a resumed run took over have never begun.

    A row may stand in `plain` twice; one of a batch that had to be sent once more by the plain writer does not.
    """
    return sum(max(0, of.rows - sum(of.plain.values())) for of in works if of.began)


def count_transitions(events: Iterable[Any]) -> int:
    """The transitions that Step Functions bills for one history: states entered, and tries beyond the first."""
    kinds = Counter(event["type"] for event in events)
    entered = sum(number for kind, number in kinds.items() if kind.endswith("StateEntered"))
    tries = {kind: sum(kinds[name] for name in names) for kind, names in BEGINNINGS.items()}
    return entered + sum(max(0, number - kinds[kind]) for kind, number in tries.items())


def list_invocations(events: list[Any]) -> Iterator[tuple[str, int]]:
    """Each invocation in a history: the function's ARN, and milliseconds.

    One that had not ended when its execution was stopped counts up to then, though it may have gone on.
    """
    scheduled: dict[int, str] = {}
    running: dict[int, tuple[str, Any]] = {}
    for event in events:
        before = event["previousEventId"]
        if event["type"] == "LambdaFunctionScheduled":
            scheduled[event["id"]] = event["lambdaFunctionScheduledEventDetails"]["resource"]
        elif event["type"] == "LambdaFunctionStarted":
            running[event["id"]] = scheduled[before], event["timestamp"]
        elif event["type"] in ENDS and before in running:
            function, began = running.pop(before)
            yield function, _milliseconds(began, event["timestamp"])
    for function, began in running.values():
        yield function, _milliseconds(began, events[-1]["timestamp"])


def _milliseconds(began: datetime, ended: datetime) -> int:
    return math.ceil(round((ended - began).total_seconds() * 1000, 3))


def _children(sfn: SFNClient, execution: str) -> Iterator[str]:
    for runs in sfn.get_paginator("list_map_runs").paginate(executionArn=execution):
        for run in runs["mapRuns"]:
            for page in sfn.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"]):
                yield from (child["executionArn"] for child in page["executions"])


def _describe(client: LambdaClient, function: str, taken: list[int]) -> tuple[str, Invoked]:
    made = client.get_function_configuration(FunctionName=function)
    name = made["Handler"].rpartition(".")[0].rpartition(".")[2]
    architecture = made.get("Architectures", ["x86_64"])[0]
    return name, Invoked(len(taken), sum(taken), made["MemorySize"], architecture)
