"""What the template's roles may do beside their functions' own calls, which the end-to-end tests show."""

from __future__ import annotations

import json
import re

import pytest

from dataops.deploy.machine import DEFINITION, placeholder_of
from dataops.deploy.package import handlers, state_handlers
from dataops.local.registry import ACCOUNT
from dataops.local.stack import REGION
from tests.deploy.policies import Allowed, Roles

ROLES = Roles(SourceSecrets=["source"], TargetSecrets=["target"], BatchTables=["table"], BatchIndexes=["index"])
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:dataops-batch"


def test_the_machine_may_invoke_exactly_the_functions_that_its_definition_names():
    allowed = ROLES.allowed("MachineRole")
    invoked = {of for one in allowed if one.action == "lambda:InvokeFunction" for of in one.resources}
    assert invoked == {f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}" for name in state_handlers()}
    named = set(re.findall(r"\$\{(\w+)\}", DEFINITION.read_text()))
    assert named == {placeholder_of(name) for name in state_handlers()}
    assert {one.action.partition(":")[0] for one in allowed} == {"lambda", "states", "logs"}


def test_the_machine_may_start_itself_only():
    started = [one.resources for one in ROLES.allowed("MachineRole") if one.action == "states:StartExecution"]
    assert started == [(MACHINE,)]
    assert any(state["Type"] == "Map" for state in json.loads(DEFINITION.read_text())["States"].values())


def test_a_schedule_may_start_the_machine_only():
    starting = [one for one in ROLES.allowed("ScheduleRole") if one.action != "sqs:SendMessage"]
    assert starting == [Allowed("states:StartExecution", (MACHINE,))]


@pytest.mark.parametrize("function", handlers())
def test_a_function_has_a_role_of_its_own(function):
    name = placeholder_of(function).removesuffix("Arn")
    assert ROLES.resources[name]["Properties"]["Role"].value == f"{name}Role.Arn"
    users = [
        of
        for of in ROLES.resources.values()
        if of["Properties"].get("Role") == ROLES.resources[name]["Properties"]["Role"]
    ]
    assert len(users) == 1


@pytest.mark.parametrize(
    ("pattern", "resource", "allowed"),
    [
        ("arn:aws:dynamodb:r:1:table/orders", "arn:aws:dynamodb:r:1:table/orders", True),
        ("arn:aws:dynamodb:r:1:table/orders", "arn:aws:dynamodb:r:1:table/orders/index/by-status", False),
        ("arn:aws:secretsmanager:r:1:secret:a/b-??????", "arn:aws:secretsmanager:r:1:secret:a/b-AbCdEf", True),
        ("arn:aws:secretsmanager:r:1:secret:a/b-??????", "arn:aws:secretsmanager:r:1:secret:a/bc-AbCdEfG", False),
        ("arn:aws:states:r:1:execution:dataops-batch:*", "arn:aws:states:r:1:execution:dataops-batch:x", True),
        ("arn:aws:states:r:1:execution:dataops-batch:*", "arn:aws:states:r:1:execution:dataops-batches:x", False),
    ],
)
def test_a_resource_is_allowed_by_its_pattern(pattern, resource, allowed):
    assert Allowed("a:B", (pattern,)).allows("a:b", resource) == allowed
    assert not Allowed("a:B", (pattern,)).allows("a:C", resource)
