"""What each role of the template may do, kept once beside the template, so that neither is its own proof.

The end-to-end tests hold the template to the calls that functions make, and `dataops check` holds every template to this.
A resource is the logical id or parameter that its ARN comes from, or what follows `arn:...:` with the service before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dataops.deploy.template import Tagged, of_type

_CONTROL, _TABLES, _BATCH_RUNS = "ControlTable", "BatchTables", "states:execution:${AWS::StackName}-batch:*"
_FLOW_RUNS = "states:execution:${AWS::StackName}-flow-*"
_READ = "dynamodb: GetItem PutItem Query"
_WRITE = "dynamodb: BatchWriteItem PutItem UpdateItem"
_DELIVERY = (
    "logs: CreateLogDelivery GetLogDelivery UpdateLogDelivery DeleteLogDelivery ListLogDeliveries"
    " PutResourcePolicy DescribeResourcePolicies DescribeLogGroups"
)
_SOURCE = {"SourceSecrets": "secretsmanager: GetSecretValue", "SourceDatabaseUsers": "rds-db: connect"}
_TARGET = {"TargetSecrets": "secretsmanager: GetSecretValue", "TargetDatabaseUsers": "rds-db: connect"}
_KEY = {"SecretsKey": "kms: Decrypt"}
_FROM, _TO = _SOURCE | _KEY, _TARGET | _KEY
_UNDO = {_CONTROL: f"{_READ} DeleteItem", "Failures": "sns: Publish", **_TO}

_FUNCTIONS: dict[str, dict[str, str]] = {
    "Plan": {
        _CONTROL: f"{_READ} UpdateItem", _TABLES: "dynamodb: DescribeTable", **_FROM, **_TO,
        _BATCH_RUNS: "states: DescribeExecution", _FLOW_RUNS: "states: DescribeExecution",
    },
    "RdsToDynamodb": {_CONTROL: "dynamodb: GetItem PutItem", _TABLES: _WRITE, **_FROM},
    "TakeSnapshot": {_CONTROL: _READ, _TABLES: _WRITE, **_FROM},
    "AccountRows": {_CONTROL: _READ},
    "SweepStale": {_CONTROL: _READ, _TABLES: "dynamodb: Scan DeleteItem UpdateItem"},
    "PrepareStaging": {_CONTROL: _READ, **_TO},
    "DynamodbToRds": {
        _CONTROL: _READ, _TABLES: "dynamodb: Scan Query BatchGetItem", "BatchIndexes": "dynamodb: Query", **_TO,
    },
    "SourceVsDynamodb": {_CONTROL: _READ, **_FROM},
    "DynamodbVsStaging": {_CONTROL: _READ, _TABLES: "dynamodb: Scan", **_TO},
    "HoldRun": {_CONTROL: _READ, _FLOW_RUNS: "states: DescribeExecution", **_TO},
    "Publish": {_CONTROL: _READ, **_TO},
    "CloseRun": {_CONTROL: "dynamodb: GetItem PutItem DeleteItem"},
    "RollBack": _UNDO,
    "ClaimFlow": {_CONTROL: "dynamodb: GetItem PutItem"},
    "PublishFlow": {_CONTROL: "dynamodb: GetItem PutItem", **_TO},
    "CloseFlow": {_CONTROL: "dynamodb: GetItem PutItem DeleteItem"},
    "RollBackFlow": _UNDO,
    "Preflight": {
        _CONTROL: "dynamodb: GetItem", _TABLES: "dynamodb: DescribeTable", "*": "dynamodb: DescribeLimits", **_FROM, **_TO,
    },
}  # fmt: skip
_OF_FLOWS = ("ClaimFlow", "PublishFlow", "CloseFlow", "RollBackFlow")

ALLOWED: Mapping[str, Mapping[str, str]] = {
    "MachineRole": {
        **{name: "lambda: InvokeFunction" for name in _FUNCTIONS if name not in (*_OF_FLOWS, "Preflight")},
        "states:stateMachine:${AWS::StackName}-batch": "states: StartExecution",
        _BATCH_RUNS: "states: DescribeExecution StopExecution",
        "states:execution:${AWS::StackName}-batch/*": "states: DescribeExecution StopExecution",
        "*": _DELIVERY,
    },
    "FlowMachineRole": {
        **dict.fromkeys(_OF_FLOWS, "lambda: InvokeFunction"),
        "BatchMachine": "states: StartExecution",
        _BATCH_RUNS: "states: DescribeExecution StopExecution",
        "events:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule": "events: PutTargets PutRule DescribeRule",
        "*": _DELIVERY,
    },
    "ScheduleRole": {
        "BatchMachine": "states: StartExecution",
        "FlowMachines": "states: StartExecution",
        "DeadLetters": "sqs: SendMessage",
    },
    "NetworkPolicy": {
        "*": "ec2: DescribeNetworkInterfaces DescribeSubnets",
        "ec2:*/*": "ec2: CreateNetworkInterface DeleteNetworkInterface AssignPrivateIpAddresses UnassignPrivateIpAddresses",
    },
    **{f"{name}Role": {f"{name}Log": "logs: CreateLogStream PutLogEvents", **may} for name, may in _FUNCTIONS.items()},
}
"""By role, or policy that roles share: the actions by resource, written `service: Action Action`."""

TRUSTED = {"MachineRole": {"states"}, "FlowMachineRole": {"states"}, "ScheduleRole": {"scheduler", "events"}}
"""The services that take a role, where it is not `lambda`."""

_ARN = re.compile(r"arn:\$\{AWS::Partition\}:([\w-]+):\$\{AWS::Region\}:\$\{AWS::AccountId\}:")
_SECRET = re.compile(r"(arn:aws[\w-]*:secretsmanager:[\w-]+:\d{12}|secretsmanager):secret:[^*?]+(-\?{6})?")
_INDEX = re.compile(r"\$\{(\w+)BatchTable\.Arn\}/index/[\w.-]+")


def actions_on(owner: str, resource: str) -> set[str]:
    """The actions that a role (or NetworkPolicy) may use on a resource, named as in ALLOWED."""
    service, _, actions = ALLOWED[owner].get(resource, "").partition(": ")
    return {f"{service}:{action}" for action in actions.split()}


def names_of(resource: Any, template: Mapping[str, Any]) -> set[str]:
    """What ALLOWED may call a resource: of a template made for batches, also the list that it stands in."""
    if isinstance(resource, Tagged) and resource.tag in ("Ref", "GetAtt"):
        name = str(resource.value).removesuffix(".Arn")
        return {name, *_lists_with(name, resource.tag, template)}
    text = str(resource.value) if isinstance(resource, Tagged) and resource.tag == "Sub" else str(resource)
    name = _ARN.sub(r"\1:", text, count=1)
    lists = {"SourceSecrets", "TargetSecrets"} if _SECRET.fullmatch(name) else set()
    lists |= {"BatchIndexes"} if _INDEX.fullmatch(name) else set()
    return {name} | {of for of in lists if of not in template.get("Parameters", {})}


def _lists_with(name: str, tag: str, template: Mapping[str, Any]) -> set[str]:
    kind: str | None = template["Resources"].get(name, {}).get("Type")
    if tag == "GetAtt" and kind == "AWS::DynamoDB::Table" and name != _CONTROL:
        return set() if _TABLES in template.get("Parameters", {}) else {_TABLES}
    machines = dict(of_type(template, "AWS::StepFunctions::StateMachine"))
    is_flow = name in machines and machines[name].get("RoleArn") == Tagged("GetAtt", "FlowMachineRole.Arn")
    return {"FlowMachines"} if tag == "Ref" and is_flow else set()
