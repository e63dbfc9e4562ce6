"""What CloudFormation made on the embedded stack, put where it runs.

CloudFormation works in one emulator, functions and machines run in another. This reads the stack's functions and machines
back from the first, as they were made, and registers exactly that in the second.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dataops.local.registry import ensure_role, interpreter_client, put_machine

TAKEN = ("Runtime", "Handler", "Role", "Timeout", "MemorySize", "Environment", "Description")


class Mirrored(NamedTuple):
    """The functions and machines of a stack that now run, by ARN."""

    functions: tuple[str, ...]
    machines: tuple[str, ...]


def mirror_stack(variables: Mapping[str, str], stack: str) -> Mirrored:
    """Register a stack's own functions and machines in the interpreter; those that are there are replaced."""
    import boto3

    made: dict[str, list[str]] = {}
    for of in _resources(boto3.client("cloudformation"), stack):
        made.setdefault(of["ResourceType"], []).append(of["PhysicalResourceId"])
    source = boto3.client("lambda", endpoint_url=variables["AWS_ENDPOINT_URL"])
    target = interpreter_client("lambda", variables)
    functions = [_mirror_function(variables, source, target, name) for name in made.get("AWS::Lambda::Function", [])]
    states = boto3.client("stepfunctions", endpoint_url=variables["AWS_ENDPOINT_URL"])
    machines = made.get("AWS::StepFunctions::StateMachine", [])
    for arn in machines:
        put_machine(
            interpreter_client("stepfunctions", variables),
            arn,
            states.describe_state_machine(stateMachineArn=arn)["definition"],
        )
    return Mirrored(tuple(functions), tuple(machines))


def _resources(client: Any, stack: str) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator("list_stack_resources").paginate(StackName=stack):
        yield from page["StackResourceSummaries"]


def _mirror_function(variables: Mapping[str, str], source: Any, target: Any, name: str) -> str:
    found = source.get_function(FunctionName=name)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(found["Code"]["Location"]) as reply:
        content = reply.read()
    wanted = {key: found["Configuration"][key] for key in TAKEN if key in found["Configuration"]}
    ensure_role(variables, wanted["Role"])
    try:
        target.create_function(FunctionName=name, Code={"ZipFile": content}, **wanted)
    except target.exceptions.ResourceConflictException:
        target.update_function_code(FunctionName=name, ZipFile=content)
        target.update_function_configuration(FunctionName=name, **wanted)
    return str(found["Configuration"]["FunctionArn"])
