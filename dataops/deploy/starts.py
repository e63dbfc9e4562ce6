"""How EventBridge starts a batch: a schedule of Scheduler where it has a time zone, else a rule in UTC.

Both give the run its batch, its number of workers and the instant that it was scheduled for, which Plan claims: what is
delivered twice runs once.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from dataops.batch import Batch
from dataops.deploy.schedule import parse_schedule
from dataops.deploy.template import Tagged
from dataops.errors import BatchFileError

PAYLOAD_BYTES = 262_144
"""Bytes of a state's input, as Step Functions limits it; https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
NAMES_BYTES = 1_024
"""Bytes that an execution's name, its ARN and its start take at most beside its input."""
RULE_INPUT, SCHEDULER_INPUT = 8_192, 262_144
"""Characters of a rule's input template, and bytes of a schedule's input."""
RETRIES: dict[str, int] = {"MaximumRetryAttempts": 10, "MaximumEventAgeInSeconds": 3600}
SCHEDULER_INSTANT, RULE_INSTANT = "<aws.scheduler.scheduled-time>", "<scheduled>"


def execution_input(batch: Batch, workers: int, scheduled: str = "") -> str:
    """The JSON that starts a run; `scheduled` is put in as it stands, and no other < or > is in it."""
    given = {"batch": msgspec.to_builtins(batch), "workers": workers}
    text = json.dumps(given, ensure_ascii=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c").replace(">", "\\u003e")
    return f'{text[:-1]},"scheduled":"{scheduled}"}}' if scheduled else text


def input_bytes(batch: Batch) -> int:
    """The size of Plan's input, the largest of a run: the execution's input with names and instants beside it."""
    return len(execution_input(batch, 1000, "2199-12-31T23:59:59Z").encode()) + NAMES_BYTES


def schedule_resource(batch: Batch, workers: int, machine: str = "BatchMachine") -> dict[str, Any]:
    """What starts the machine (its logical id) on the batch's schedule. Raises BatchFileError for a wrong expression."""
    assert batch.schedule is not None
    expression, timezone = batch.schedule.expression.strip(), batch.schedule.timezone
    parse_schedule(expression, timezone or "")
    named = {
        "Name": Tagged("Sub", f"${{AWS::StackName}}-{batch.batch}"),
        "Description": f"Runs batch {batch.batch}",
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
        starts = {"Input": _within(batch, execution_input(batch, workers, SCHEDULER_INSTANT), SCHEDULER_INPUT)}
        more = {"ScheduleExpressionTimezone": timezone, "FlexibleTimeWindow": {"Mode": "OFF"}}
        return {"Type": "AWS::Scheduler::Schedule", "Properties": {**named, **more, "Target": {**target, **starts}}}
    template = _within(batch, execution_input(batch, workers, RULE_INSTANT), RULE_INPUT)
    transformer = {"InputPathsMap": {RULE_INSTANT.strip("<>"): "$.time"}, "InputTemplate": template}
    rule = {**named, "Targets": [{"Id": "batch", **target, "InputTransformer": transformer}]}
    return {"Type": "AWS::Events::Rule", "Properties": rule}


def _within(batch: Batch, text: str, most: int) -> str:
    size = len(text.encode())
    if size > most:
        hint = "; give schedule.timezone (UTC will do), whose limit is 262,144" if most == RULE_INPUT else ""
        raise BatchFileError(
            f"batch {batch.batch}: schedule: expected an input of at most {most:,} bytes, found {size:,}{hint}"
        )
    return text
