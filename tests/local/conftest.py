"""Sandboxes without a stack, and functions and state machines of a test's own on the session's stack."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from dataops.local.registry import ROLE, ensure_role
from dataops.local.sandbox import SandboxPool
from dataops.local.spawn import Spawner
from dataops.local.stack import Stack
from tests.local.functions import make_zip, wait_for


@pytest.fixture(scope="session")
def spawner() -> Spawner:
    """Where the processes of a test come from."""
    return Spawner()


@pytest.fixture
def pool(tmp_path: Path, spawner: Spawner) -> Iterator[SandboxPool]:
    """Sandboxes, two of a function at most."""
    pool = SandboxPool(tmp_path / "lambda", {"AWS_REGION": "ap-northeast-1"}, spawner, 2)
    yield pool
    pool.close()


@pytest.fixture
def states(stack: Stack) -> Any:
    """A client of the stack's interpreter."""
    return boto3.client("stepfunctions")


@pytest.fixture
def start_machine(states: Any) -> Callable[..., str]:
    """Start a new state machine with a definition; gives the execution's ARN."""

    def start(definition: dict[str, Any], payload: Any = None) -> str:
        name = f"test-{uuid.uuid4().hex[:8]}"
        machine = states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE)
        begun = states.start_execution(
            stateMachineArn=machine["stateMachineArn"], name=name, input=json.dumps({} if payload is None else payload)
        )
        return str(begun["executionArn"])

    return start


@pytest.fixture
def run_machine(states: Any, start_machine: Callable[..., str]) -> Callable[..., Any]:
    """Run a definition to its end; gives the described execution, its output parsed."""

    def run(definition: dict[str, Any], payload: Any = None) -> Any:
        arn = start_machine(definition, payload)
        wait_for(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING", f"the end of {arn}")
        found = states.describe_execution(executionArn=arn)
        return found | {"output": json.loads(found.get("output", "null"))}

    return run


@pytest.fixture
def make_function(stack: Stack) -> Callable[..., str]:
    """Create a function from the source of its `task.py`; gives its ARN."""

    def make(source: str, *, timeout: int = 30) -> str:
        ensure_role(stack.info.variables)
        made = boto3.client("lambda").create_function(
            FunctionName=f"test-{uuid.uuid4().hex[:8]}", Runtime="python3.11", Role=ROLE, Handler="task.handler",
            Code={"ZipFile": make_zip(source)}, Timeout=timeout,
        )  # fmt: skip
        return str(made["FunctionArn"])

    return make
