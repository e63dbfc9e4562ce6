"""Functions and the state machine are put once, and again only where they changed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import msgspec
import pytest

from dataops.local.registry import register
from dataops.local.stack import Stack
from tests.local.functions import make_zip

FIRST = make_zip("def handler(event, context): return 'first'")
SECOND = make_zip("def handler(event, context): return 'second'\ndef other(event, context): return 'other'")


def make_definition(comment: str) -> str:
    """A state machine that differs from another by its comment."""
    return json.dumps({"Comment": comment, "StartAt": "Only", "States": {"Only": {"Type": "Pass", "End": True}}})


@pytest.fixture
def name() -> str:
    """A name that no other test has, for the function and the state machine."""
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def put(stack: Stack, name: str) -> Callable[..., None]:
    """Register a function and a state machine of that name."""
    arn = f"arn:aws:states:ap-northeast-1:123456789012:stateMachine:{name}"
    info = msgspec.structs.replace(stack.info, variables=stack.info.variables | {"DATAOPS_STATE_MACHINE_ARN": arn})

    def put(content: bytes = FIRST, *, handler: str = "handler", comment: str = "one", **settings: int) -> None:
        functions, definition = {name: f"task.{handler}"}, make_definition(comment)
        register(info, zip_bytes=content, functions=functions, definition=definition, **settings)

    return put


def invoke(name: str) -> Any:
    """What the function returns."""
    return json.loads(boto3.client("lambda").invoke(FunctionName=name)["Payload"].read())


def describe(name: str) -> Any:
    """All that the Lambda API says of the function."""
    return boto3.client("lambda").get_function(FunctionName=name)["Configuration"]


def test_registering_twice_changes_nothing(put: Callable[..., None], name: str) -> None:
    put()
    first = describe(name)
    put()
    assert describe(name) == first
    assert invoke(name) == "first"


def test_changed_zip_is_what_runs_next(put: Callable[..., None], name: str) -> None:
    put(FIRST)
    assert invoke(name) == "first"
    put(SECOND)
    assert invoke(name) == "second"


def test_changed_settings_are_what_runs_next(put: Callable[..., None], name: str) -> None:
    put(SECOND, timeout=60, memory=256)
    put(SECOND, handler="other", timeout=30, memory=512)
    found = describe(name)
    assert (found["Timeout"], found["MemorySize"], invoke(name)) == (30, 512, "other")


def test_function_knows_control_table_topic_and_its_own_time(put: Callable[..., None], name: str, stack: Stack) -> None:
    put(timeout=45)
    assert describe(name)["Environment"]["Variables"] == {
        "DATAOPS_CONTROL_TABLE": "dataops-control",
        "DATAOPS_TOPIC_ARN": stack.info.variables["DATAOPS_TOPIC_ARN"],
        "DATAOPS_FUNCTION_SECONDS": "45",
    }


def test_changed_definition_replaces_the_old_one(put: Callable[..., None], name: str) -> None:
    put(comment="one")
    put(comment="two")
    arn = f"arn:aws:states:ap-northeast-1:123456789012:stateMachine:{name}"
    assert boto3.client("stepfunctions").describe_state_machine(stateMachineArn=arn)["definition"] == make_definition(
        "two"
    )


def test_functions_go_where_this_process_goes(put, name, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")
    source = "import os\ndef handler(event, context): return os.environ.get('AWS_ENDPOINT_URL_DYNAMODB')"
    put(make_zip(source))
    assert invoke(name) == "http://127.0.0.1:1"
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB")
    put(make_zip(source))
    assert invoke(name) is None
