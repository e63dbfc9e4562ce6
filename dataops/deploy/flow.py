"""A flow's state machine: its steps one after another, each an execution of the batch machine or several side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from dataops.batch import Batch
from dataops.core.connection import open_connection
from dataops.core.describe import describe_table
from dataops.core.plan import STARTED_BY
from dataops.core.schema import Table
from dataops.deploy.machine import placeholder_of
from dataops.deploy.package import OF_FLOWS
from dataops.errors import BatchFileError, DataOpsError
from dataops.flow import Flow

RUN_SECONDS = 172_800
"""How long a flow waits for the run of one batch: two days."""
FUNCTION_SECONDS = 960
START = "arn:aws:states:::states:startExecution.sync:2"
_BACKOFF = {"IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 5, "MaxDelaySeconds": 60, "JitterStrategy": "FULL"}
_FUNCTION_ERRORS = [
    "Retryable", "States.Timeout", "Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException", "Lambda.Unknown", "Sandbox.Timedout", "Runtime.ExitError",
]  # fmt: skip
_START_ERRORS = [
    "StepFunctions.ExecutionLimitExceeded", "StepFunctions.ExecutionLimitExceededException", "StepFunctions.ThrottlingException",
    "StepFunctions.AWSStepFunctionsException", "StepFunctions.SdkClientException",
]  # fmt: skip
"""A start may be repeated: under the same name and input a running execution is taken for the one that was asked for."""


def flow_definition(flow: Flow) -> str:
    """The definition (ASL, JSON text) of a flow whose steps are known, with placeholders such as `${PublishFlowArn}`."""
    steps = list(_steps(flow))
    states: dict[str, Any] = {
        "Claim Flow": _function("Claim Flow", _CLAIM, "Claimed?"),
        "Claimed?": _claimed(steps[0][0]),
    }
    following = [name for name, _ in steps[1:]] + ["Publish Flow"]
    for (name, state), after in zip(steps, following, strict=True):
        states[name] = state
        if state["Type"] == "Parallel":
            states[name]["Next"], states[f"{name} Done?"] = f"{name} Done?", _done(after)
        else:
            states[name]["Next"] = after
    comment = f"Flow {flow.flow}: {len(flow.names)} batches, published {flow.publish}. The state carries declarations and names only."
    ends = _ends()
    if all(state["Type"] != "Parallel" for _, state in steps):
        del ends["Step Failed"]
    definition = {"Comment": comment, "StartAt": "Claim Flow", "States": {**states, **ends}}
    return json.dumps(definition, indent=2, ensure_ascii=False) + "\n"


def fill_flow(text: str, machine: str, arns: Mapping[str, str]) -> str:
    """A definition with the batch machine's ARN and those of the functions (by name) in place of its placeholders."""
    for name, arn in {"BatchMachineArn": machine, **{placeholder_of(of): arns[of] for of in OF_FLOWS}}.items():
        text = text.replace(f"${{{name}}}", arn)
    return text


def resolve_flow(flow: Flow, batches: Mapping[str, Batch]) -> Flow:
    """The flow with its steps; for `batches` the sources' foreign keys are read. Raises BatchFileError where they cannot be."""
    if flow.steps:
        return flow
    sources = {}
    try:
        for name in flow.batches:
            source = batches[name].source
            with open_connection(source.secret) as connection:
                sources[name] = describe_table(connection, source.table, source.database)
    except DataOpsError as error:
        raise BatchFileError(
            f"flow {flow.flow}: batches: give steps instead, or let the source be read from here ({error})"
        ) from error
    return order_steps(flow, batches, sources)


def order_steps(flow: Flow, batches: Mapping[str, Batch], sources: Mapping[str, Table]) -> Flow:
    """The flow with its steps worked out from the foreign keys among its batches' source tables, by batch.

    Where all tables change at once, what refers to others is copied before them: a row that appears meanwhile is then
    never left without the one that it refers to. Where each batch publishes by itself, it comes after them. Batches that
    do not depend on each other run side by side. Raises BatchFileError for tables that refer to each other in a circle.
    """
    if flow.steps:
        return flow
    places = {(batches[name].source.secret, of.database, of.name): name for name, of in sources.items()}
    parents: dict[str, set[str]] = {}
    for name in flow.batches:
        secret = batches[name].source.secret
        found = {places.get((secret, key.database, key.references)) for key in sources[name].outgoing}
        parents[name] = {of for of in found if of is not None and of != name}
    steps: list[tuple[str, ...]] = []
    left = list(flow.batches)
    while left:
        step = tuple(name for name in left if not parents[name] & set(left))
        if not step:
            circle = " and ".join(_circle(left, parents))
            raise BatchFileError(
                f"flow {flow.flow}: batches: the sources of {circle} refer to each other; give steps instead"
            )
        steps.append(step)
        left = [name for name in left if name not in step]
    ordered = reversed(steps) if flow.publish == "together" else steps
    given = tuple(step if len(step) > 1 else step[0] for step in ordered)
    return msgspec.structs.replace(flow, batches=(), steps=given)


def _circle(left: Sequence[str], parents: Mapping[str, set[str]]) -> list[str]:
    """Those that something else in a circle refers to."""
    meant = [name for name in left if any(name in parents[other] for other in left)]
    return list(left) if len(meant) == len(left) else _circle(meant, parents)


def _steps(flow: Flow) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, names in enumerate(flow.stages, 1):
        if len(names) == 1:
            yield f"Run {names[0]}", _run(flow, names[0], {"ResultPath": None, "Catch": _catch("Roll Back Flow")})
        else:
            yield f"Step {number}", _side_by_side(flow, names)


def _run(flow: Flow, name: str, rest: Mapping[str, Any]) -> dict[str, Any]:
    given = {
        "batch.$": f"$.batches['{name}']", "workers.$": "$.claimed.workers", "create_target.$": "$.claimed.create_target",
        "publish": "defer" if flow.publish == "together" else "now", f"{STARTED_BY}.$": "$$.Execution.Id",
    }  # fmt: skip
    what = "to its end" if flow.publish == "each" else "until its rows are verified and held"
    return {
        "Comment": f"The batch machine on batch {name}, {what}.",
        "Type": "Task",
        "Resource": START,
        "TimeoutSeconds": RUN_SECONDS,
        "Parameters": {"StateMachineArn": "${BatchMachineArn}", "Name.$": f"$.claimed.runs['{name}']", "Input": given},
        "Retry": [{"ErrorEquals": _START_ERRORS, **_BACKOFF}],
        **rest,
    }


def _side_by_side(flow: Flow, names: Sequence[str]) -> dict[str, Any]:
    """Each branch keeps its failure to itself: a branch that fails would have Step Functions stop the others half-way."""
    return {
        "Comment": "Side by side; a failure waits for the others' end.",
        "Type": "Parallel",
        "Branches": [_branch(flow, name) for name in names],
        "ResultSelector": {"failed.$": "States.ArrayContains($[*].failed, true)"},
        "ResultPath": "$.step",
        "Catch": _catch("Roll Back Flow"),
    }


def _branch(flow: Flow, name: str) -> dict[str, Any]:
    rest = {"ResultSelector": {"failed": False}, "Catch": _catch(f"Failed {name}"), "End": True}
    failed = {"Comment": "Its record says why.", "Type": "Pass", "Result": {"failed": True}, "End": True}
    return {"StartAt": f"Run {name}", "States": {f"Run {name}": _run(flow, name, rest), f"Failed {name}": failed}}


def _catch(after: str) -> list[dict[str, Any]]:
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": after}]


def _claimed(first: str) -> dict[str, Any]:
    skipped = {"Variable": "$.claimed.skipped", "BooleanEquals": True, "Next": "Skipped"}
    comment = "Another execution may already have claimed this scheduled instant."
    return {"Comment": comment, "Type": "Choice", "Choices": [skipped], "Default": first}


def _done(after: str) -> dict[str, Any]:
    all_done = {"Variable": "$.step.failed", "BooleanEquals": False, "Next": after}
    return {
        "Comment": "Go on only when none has failed.",
        "Type": "Choice",
        "Choices": [all_done],
        "Default": "Step Failed",
    }


_CLAIM = {
    "Comment": "Claim the scheduled instant, check the batches against each other, name their runs.",
    "Parameters": {"run.$": "$$.Execution.Name", "execution.$": "$$.Execution.Id", "started.$": "$$.Execution.StartTime", "input.$": "$"},
    "ResultPath": "$.claimed", "Catch": _catch("Roll Back Flow"),
}  # fmt: skip
_NAMES = {"run.$": "$$.Execution.Name", "execution.$": "$$.Execution.Id"}


def _function(state: str, rest: Mapping[str, Any], after: str) -> dict[str, Any]:
    given = dict(rest)
    return {
        "Comment": given.pop("Comment"), "Type": "Task", "Resource": f"${{{state.replace(' ', '')}Arn}}",
        "TimeoutSeconds": FUNCTION_SECONDS, "Parameters": given.pop("Parameters"),
        "Retry": [{"ErrorEquals": _FUNCTION_ERRORS, **_BACKOFF}], **given, "Next": after,
    }  # fmt: skip


def _ends() -> dict[str, Any]:
    publish = {
        "Comment": "Put all new tables in place in one RENAME, where they are published together.",
        "Parameters": _NAMES, "ResultPath": None, "Catch": _catch("Roll Back Flow"),
    }  # fmt: skip
    close = {
        "Comment": "Close the runs, release their leases. Nothing after Publish Flow leads to Roll Back Flow.",
        "Parameters": _NAMES, "ResultPath": "$.closed", "Catch": _catch("Not Closed"),
    }  # fmt: skip
    roll_back = {
        "Comment": "Drop what held runs have staged, release their leases, record and notify why.",
        "Parameters": {**_NAMES, "started.$": "$$.Execution.StartTime", "machine.$": "$$.StateMachine.Name", "error.$": "$.error.Error"}, "ResultPath": "$.rolled_back",
        "Catch": _catch("Not Rolled Back"),
    }  # fmt: skip
    left = "the next run of each batch takes over its lease and cleans up."
    return {
        "Publish Flow": _function("Publish Flow", publish, "Close Flow"),
        "Close Flow": _function("Close Flow", close, "Done"),
        "Done": {"Comment": "The record says what was published.", "Type": "Succeed"},
        "Skipped": {"Comment": "Another execution has this scheduled instant.", "Type": "Succeed"},
        "Step Failed": {"Comment": "The records say which batches failed.", "Type": "Pass", "Result": {"Error": "StepFailed", "Cause": ""}, "ResultPath": "$.error", "Next": "Roll Back Flow"},
        "Roll Back Flow": _function("Roll Back Flow", roll_back, "Failed"),
        "Failed": {"Comment": "No target of a held run was changed.", "Type": "Fail", "Error": "FlowFailed", "CausePath": "$.rolled_back.cause"},
        "Not Rolled Back": {"Comment": "The leases still name this execution.", "Type": "Fail", "Error": "NotRolledBack", "Cause": f"Roll Back Flow failed; {left}"},
        "Not Closed": {"Comment": "The new rows are in place.", "Type": "Fail", "Error": "NotClosed", "Cause": f"The targets were published, but the runs could not be closed; {left}"},
    }  # fmt: skip
