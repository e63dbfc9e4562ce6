"""Which clients invocations share: those of a function's process that follow one another, until one fails."""

import time

import pytest

from dataops.core import aws, secrets
from dataops.core.control import Control
from dataops.core.dynamodb import dynamodb_client
from dataops.core.secrets import fetch_secret
from dataops.errors import Permanent
from dataops.handlers.edge import edge


@pytest.fixture
def function(monkeypatch):
    """Have this process be a function's, whose clock `after` puts forward or back."""
    monkeypatch.setattr(aws, "_kept", {})
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")
    began = time.time()
    return lambda seconds: monkeypatch.setattr("time.time", lambda: began + seconds)


def test_the_control_tables_client_and_that_of_secrets_are_shared(stack, function):
    one, other = (Control(name).client for name in "ab")
    assert one is other
    assert fetch_secret("dataops/source") == fetch_secret("dataops/source")
    assert set(aws._kept) == {dynamodb_client, secrets._secrets_manager}


def test_another_process_shares_none(stack, function, monkeypatch):
    monkeypatch.delenv("AWS_LAMBDA_RUNTIME_API")
    one, other = (Control(name).client for name in "ab")
    assert one is not other
    assert aws._kept == {}


@pytest.mark.parametrize(("seconds", "same"), [((50, 100), True), ((61,), False), ((50, 111), False), ((-1,), False)])
def test_a_client_that_was_not_used_for_a_minute_is_not_used_again(function, seconds, same):
    function(0)
    first = last = aws.kept(object)
    for each in seconds:
        function(each)
        last = aws.kept(object)
    assert (first is last) is same


def test_after_an_invocation_that_failed_the_next_one_makes_its_own(function):
    first = aws.kept(object)
    assert edge(lambda *_: {"client": aws.kept(object) is first})({}, None) == {"client": True}
    with pytest.raises(Permanent):
        edge(lambda *_: 1 / 0)({}, None)
    assert aws.kept(object) is not first
