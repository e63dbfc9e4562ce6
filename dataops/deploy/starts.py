"""How EventBridge starts a batch or a flow: a schedule of Scheduler where it has a time zone, else a rule in UTC.

Both give the run its batch, its number of workers (or the flow and all its batches) and the instant that it was
scheduled for, which Plan or Claim Flow claims: what is
delivered twice runs once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from dataops.batch import Batch, Schedule
from dataops.deploy.schedule import Schedule as Parsed
from dataops.deploy.schedule import parse_schedule
from dataops.deploy.template import Tagged
from dataops.errors import BatchFileError
from dataops.flow import Flow

NAMES_BYTES = 1_024
"""Bytes that an execution's name, its ARN and its start take at most beside its input."""
RUN_NAME_BYTES = 160
"""Bytes of a batch's name and the name of its run at most, with what stands around them."""
CAUSE_BYTES = 2 * 32_768
"""Bytes of a caught error at most: its cause has 32,768 characters, of which many are escaped."""
RULE_INPUT, SCHEDULER_INPUT = 8_192, 262_144
"""Characters of a rule's input template, and bytes of a schedule's input."""
RETRIES: dict[str, int] = {"MaximumRetryAttempts": 10, "MaximumEventAgeInSeconds": 3600}
_INSTANT = "2199-12-31T23:59:59Z"
SCHEDULER_INSTANT, RULE_INSTANT = "<aws.scheduler.scheduled-time>", "<scheduled>"


def execution_input(batch: Batch, workers: int, scheduled: str = "") -> str:
    """The JSON that starts a run; `scheduled` is put in as it stands, and no other < or > is in it."""
    return _spell({"batch": msgspec.to_builtins(batch), "workers": workers}, scheduled)


def flow_input(flow: Flow, batches: Mapping[str, Batch], scheduled: str = "") -> str:
    """The same for a flow whose steps are known, with each of its batches."""
    declared = msgspec.to_builtins(msgspec.structs.replace(flow, schedule=None))
    return _spell(
        {"flow": declared, "batches": {name: msgspec.to_builtins(batches[name]) for name in flow.names}}, scheduled
    )


def input_bytes(batch: Batch) -> int:
    """The size of Plan's input, the largest of a run: the execution's input with names and instants beside it."""
    return len(execution_input(batch, 1000, _INSTANT).encode()) + NAMES_BYTES


def flow_input_bytes(flow: Flow, batches: Mapping[str, Batch]) -> int:
    """The size of a flow's largest state: its input with the names of all runs beside it, and what a failed run tells."""
    named = NAMES_BYTES + RUN_NAME_BYTES * len(flow.names)
    return len(flow_input(flow, batches, _INSTANT).encode()) + named + CAUSE_BYTES


def parse_start(of: Batch | Flow) -> Parsed | None:
    """What the schedule of a batch or a flow means, None without one. Raises BatchFileError, which names it."""
    if of.schedule is None:
        return None
    try:
        return parse_schedule(of.schedule.expression, of.schedule.timezone or "")
    except BatchFileError as error:
        what = f"flow {of.flow}" if isinstance(of, Flow) else f"batch {of.batch}"
        raise BatchFileError(f"{what}: {error}") from error


def schedule_resource(batch: Batch, workers: int, machine: str = "BatchMachine") -> dict[str, Any]:
    """What starts the machine (its logical id) on the batch's schedule. Raises BatchFileError for a wrong expression."""
    assert batch.schedule is not None
    start = partial(execution_input, batch, workers)
    return _start(f"batch {batch.batch}", batch.batch, batch.schedule, machine, start)


def flow_schedule_resource(flow: Flow, batches: Mapping[str, Batch], machine: str) -> dict[str, Any]:
    """What starts a flow's machine (its logical id) on the flow's schedule. Raises BatchFileError for a wrong expression."""
    assert flow.schedule is not None
    start = partial(flow_input, flow, batches)
    return _start(f"flow {flow.flow}", f"flow-{flow.flow}", flow.schedule, machine, start)


def _start(what: str, name: str, schedule: Schedule, machine: str, start: Callable[[str], str]) -> dict[str, Any]:
    expression, timezone = schedule.expression.strip(), schedule.timezone
    parse_schedule(expression, timezone or "")
    named = {
        "Name": Tagged("Sub", f"${{AWS::StackName}}-{name}"),
        "Description": f"Runs {what}",
        "ScheduleExpression": expression,
        "State": "ENABLED",
    }
    target = {
        "Arn": Tagged("Ref", machine),
        "RoleArn": Tagged("GetAtt", "ScheduleRole.Arn"),
        "RetryPolicy": dict(RETRIES),
        "DeadLetterConfig": {"Arn": Tagged("GetAtt", "DeadLetters.Arn")},
    }
    if timezone:
        starts = {"Input": _within(what, start(SCHEDULER_INSTANT), SCHEDULER_INPUT)}
        more = {"ScheduleExpressionTimezone": timezone, "FlexibleTimeWindow": {"Mode": "OFF"}}
        return {"Type": "AWS::Scheduler::Schedule", "Properties": {**named, **more, "Target": {**target, **starts}}}
    template = _within(what, start(RULE_INSTANT), RULE_INPUT)
    transformer = {"InputPathsMap": {RULE_INSTANT.strip("<>"): "$.time"}, "InputTemplate": template}
    rule = {**named, "Targets": [{"Id": "batch", **target, "InputTransformer": transformer}]}
    return {"Type": "AWS::Events::Rule", "Properties": rule}


def _spell(given: Mapping[str, Any], scheduled: str) -> str:
    text = json.dumps(given, ensure_ascii=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c").replace(">", "\\u003e")
    return f'{text[:-1]},"scheduled":"{scheduled}"}}' if scheduled else text


def _within(what: str, text: str, most: int) -> str:
    size = len(text.encode())
    if size > most:
        hint = "; give schedule.timezone (UTC will do), whose limit is 262,144" if most == RULE_INPUT else ""
        raise BatchFileError(f"{what}: schedule: expected an input of at most {most:,} bytes, found {size:,}{hint}")
    return text
