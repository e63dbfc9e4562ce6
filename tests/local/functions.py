"""Functions small enough to be made by the test that runs them, and waiting for what they do."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from dataops.local.sandbox import FunctionSpec, Outcome

ARN = "arn:aws:lambda:ap-northeast-1:123456789012:function:probe"
SECONDS = 30.0


def make_zip(source: str) -> bytes:
    """A deployment package of one module, `task.py`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("task.py", source)
    return content.getvalue()


def make_spec(source: str, *, timeout: int = 30, **environment: str) -> FunctionSpec:
    """A function whose handler is `task.handler`; `timeout` in seconds."""
    variables = tuple(sorted(environment.items()))
    return FunctionSpec("probe", "task.handler", make_zip(source), timeout, 128, variables, ARN)


def read_error(outcome: Outcome) -> str:
    """The name that Catch and Retry would see."""
    assert outcome.failed
    return str(json.loads(outcome.payload)["errorType"])


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of `condition`; the test fails when there is none in time."""
    deadline = time.monotonic() + SECONDS
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {SECONDS:.0f} seconds: {what}")
        time.sleep(0.01)
    return value
