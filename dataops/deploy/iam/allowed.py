"""What each role of the template may do and who may take it, kept once beside the template, so that neither is its own proof.

The end-to-end tests hold the template to the calls that functions make, and `dataops check` holds every template to this.
A resource is the logical id or parameter that its ARN comes from, or what follows `arn:...:` with the service before it.
Statements are spelled out, as intrinsic.py does it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dataops.deploy.iam.intrinsic import find_target
from dataops.deploy.template import of_type

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

_OWN_ACCOUNT = {"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"}}
_STATES = {"Principal": {"Service": "states.amazonaws.com"}, "Condition": _OWN_ACCOUNT}
_TRUSTED = {
    "MachineRole": _STATES,
    "FlowMachineRole": _STATES,
    "ScheduleRole": {
        "Principal": {"Service": ["scheduler.amazonaws.com", "events.amazonaws.com"]}, "Condition": _OWN_ACCOUNT,
    },
}  # fmt: skip

CONDITIONS = {"kms:Decrypt": {"StringEquals": {"kms:ViaService": "secretsmanager.${AWS::Region}.amazonaws.com"}}}
"""What an action is allowed under only, by action."""

_OURS = "arn:${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}:%s${AWS::StackName}-*"

DENIED: Mapping[str, Mapping[str, Any]] = {
    "NetworkPolicy": {
        "Effect": "Deny",
        "Action": [f"ec2:{of}" for of in (
            "DescribeNetworkInterfaces", "DescribeSubnets", "CreateNetworkInterface", "DeleteNetworkInterface",
            "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses",
        )],
        "Resource": "*",
        "Condition": {"ArnLike": {"lambda:SourceFunctionArn": _OURS % ("lambda", "function:")}},
    },
}  # fmt: skip
"""What a role or policy must not be without: the statement that keeps the functions' own code from what Lambda needs."""

OPENED: Mapping[str, Mapping[str, Any]] = {
    "DeadLettersPolicy": {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "${DeadLetters.Arn}",
        "Condition": {"ArnLike": {"aws:SourceArn": _OURS % ("events", "rule/")}},
    },
}
"""The policies of resources: whom they let in."""

TAKEN = {"BatchMachine": "MachineRole", **{name: f"{name}Role" for name in _FUNCTIONS}}
"""The role that each function and the machine have."""

_ARN = re.compile(r"arn:\$\{AWS::Partition\}:([\w-]+):\$\{AWS::Region\}:\$\{AWS::AccountId\}:")
_SECRET = re.compile(r"(arn:aws[\w-]*:secretsmanager:[\w-]+:\d{12}|secretsmanager):secret:[^*?]+(-\?{6})?")
_INDEX = re.compile(r"\$\{(\w+)BatchTable\.Arn\}/index/[\w.-]+")


def actions_on(owner: str, resource: str) -> set[str]:
    """The actions that a role (or NetworkPolicy) may use on a resource, named as in ALLOWED."""
    service, _, actions = ALLOWED[owner].get(resource, "").partition(": ")
    return {f"{service}:{action}" for action in actions.split()}


def trust_of(role: str) -> Mapping[str, Any]:
    """The statement that says who may take a role of ALLOWED."""
    known = _TRUSTED.get(role, {"Principal": {"Service": "lambda.amazonaws.com"}})
    return {"Effect": "Allow", "Action": "sts:AssumeRole", **known}


def names_of(resource: Any, template: Mapping[str, Any]) -> set[str]:
    """What ALLOWED may call a resource that is spelled out: of a template made for batches, also the list that it stands in."""
    if name := find_target(resource):
        return {name, *_lists_with(name, str(resource), template)}
    name = _ARN.sub(r"\1:", str(resource), count=1)
    lists = {"SourceSecrets", "TargetSecrets"} if _SECRET.fullmatch(name) else set()
    lists |= {"BatchIndexes"} if _INDEX.fullmatch(name) else set()
    return {name} | {of for of in lists if of not in template.get("Parameters", {})}


def _lists_with(name: str, resource: str, template: Mapping[str, Any]) -> set[str]:
    kind: str | None = template["Resources"].get(name, {}).get("Type")
    is_arn = resource.endswith(".Arn}")
    if is_arn and kind == "AWS::DynamoDB::Table" and name != _CONTROL:
        return set() if _TABLES in template.get("Parameters", {}) else {_TABLES}
    machines = dict(of_type(template, "AWS::StepFunctions::StateMachine"))
    is_flow = name in machines and machines[name].get("RoleArn") == "${FlowMachineRole.Arn}"
    return {"FlowMachines"} if not is_arn and is_flow else set()
