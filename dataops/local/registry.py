"""Functions and state machine on the embedded stack, put there through the same APIs as in AWS."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataops.local.stack import StackInfo

MACHINE = "dataops-batch"
ACCOUNT = "123456789012"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/dataops"


def register(
    info: StackInfo,
    *,
    zip_bytes: bytes,
    functions: Mapping[str, str],
    definition: str,
    timeout: int = 60,
    memory: int = 256,
) -> None:
    """Create or update the functions (name -> handler) from the zip, and the state machine, where they changed.

    `timeout` is in seconds, `memory` in MB. A running invocation ends in the code that it began in. The functions go
    where this process goes: by its own `AWS_ENDPOINT_URL_<SERVICE>`, if it has any, say to a proxy before DynamoDB.
    """
    variables = info.variables
    environment = {name: variables[name] for name in ("DATAOPS_CONTROL_TABLE", "DATAOPS_TOPIC_ARN")}
    environment |= {
        name: url for name, url in os.environ.items() if name.startswith("AWS_ENDPOINT_URL_") and name not in variables
    }
    environment["DATAOPS_FUNCTION_SECONDS"] = str(timeout)
    ensure_role(variables)
    client = interpreter_client("lambda", variables)
    there = {function["FunctionName"]: function for page in _pages(client) for function in page}
    for name, handler in functions.items():
        wanted: dict[str, Any] = {
            "Handler": handler, "Timeout": timeout, "MemorySize": memory, "Environment": {"Variables": environment},
        }  # fmt: skip
        _put_function(client, name, zip_bytes, wanted, there.get(name))
    put_machine(interpreter_client("stepfunctions", variables), variables["DATAOPS_STATE_MACHINE_ARN"], definition)


def _put_function(client: Any, name: str, zip_bytes: bytes, wanted: dict[str, Any], found: Any) -> None:
    if found is None:
        client.create_function(
            FunctionName=name, Runtime=RUNTIME, Role=ROLE, Code={"ZipFile": zip_bytes}, **wanted
        )  # fmt: skip
        return
    if found["CodeSha256"] != base64.b64encode(sha256(zip_bytes).digest()).decode():
        client.update_function_code(FunctionName=name, ZipFile=zip_bytes)
    if any(found.get(key) != value for key, value in wanted.items()):
        client.update_function_configuration(FunctionName=name, **wanted)


def ensure_role(variables: Mapping[str, str], role: str = ROLE) -> None:
    """A role (its ARN), which the interpreter's Lambda API wants to find in the interpreter's own IAM."""
    client = interpreter_client("iam", variables)
    trusted: Any = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    try:
        client.create_role(
            RoleName=role.rpartition("/")[2],
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trusted]}),
        )
    except client.exceptions.EntityAlreadyExistsException:
        return


def put_machine(client: Any, arn: str, definition: str) -> None:
    """Create the machine, or update it where its definition differs."""
    try:
        now = client.describe_state_machine(stateMachineArn=arn)["definition"]
    except client.exceptions.StateMachineDoesNotExist:
        client.create_state_machine(name=arn.rpartition(":")[2], definition=definition, roleArn=ROLE)
        return
    if json.loads(now) != json.loads(definition):
        client.update_state_machine(stateMachineArn=arn, definition=definition)


def _pages(client: Any) -> list[Any]:
    return [page["Functions"] for page in client.get_paginator("list_functions").paginate()]


def interpreter_client(service: str, variables: Mapping[str, str]) -> Any:
    """boto3's client of a service, against the interpreter."""
    import boto3
    from botocore.config import Config

    make: Any = boto3.client
    return make(
        service, endpoint_url=variables["AWS_ENDPOINT_URL_SFN"], region_name=variables["AWS_REGION"],
        config=Config(proxies={}), aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
