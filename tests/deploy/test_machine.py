"""State machine, handlers and errors say the same."""

import json

import pytest

from dataops.deploy.machine import DEFINITION, definition, placeholder_of
from dataops.deploy.package import handlers
from dataops.errors import Permanent

MACHINE = json.loads(DEFINITION.read_text())
PLATFORM = {
    "States.Timeout", "Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException", "Lambda.Unknown", "Sandbox.Timedout", "Runtime.ExitError",
}  # fmt: skip


def scopes(scope=MACHINE):
    yield scope
    for state in scope["States"].values():
        for inner in [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]:
            yield from scopes(inner)


def states(*kinds):
    return [pytest.param(s, id=n) for scope in scopes() for n, s in scope["States"].items() if s["Type"] in kinds]


def targets(state):
    found = [choice["Next"] for choice in [*state.get("Choices", []), *state.get("Catch", [])]]
    return found + [state[key] for key in ("Next", "Default") if key in state]


@pytest.mark.parametrize("state", states("Task", "Map", "Parallel"))
def test_work_is_retried_for_what_may_pass(state):
    (retry,) = state["Retry"]
    assert set(retry["ErrorEquals"]) == PLATFORM | {"Retryable"}
    assert retry["JitterStrategy"] == "FULL"


@pytest.mark.parametrize("state", states("Task"))
def test_a_task_waits_longer_than_lambda_can_take(state):
    assert state["TimeoutSeconds"] > 900


@pytest.mark.parametrize("name", [n for n, s in MACHINE["States"].items() if s["Type"] in ("Task", "Map", "Parallel")])
def test_every_failure_is_caught(name):
    (catch,) = MACHINE["States"][name]["Catch"]
    assert catch["ErrorEquals"] == ["States.ALL"]
    ends = {"Roll Back": "Not Rolled Back", "Close Run": "Not Closed"}
    assert catch["Next"] == ends.get(name, "Roll Back")


def test_every_state_says_what_it_is_for():
    assert [n for scope in scopes() for n, state in scope["States"].items() if not state.get("Comment")] == []


@pytest.mark.parametrize("scope", list(scopes()), ids=lambda scope: scope["StartAt"])
def test_every_state_is_reached_and_every_transition_leads_somewhere(scope):
    reached = {scope["StartAt"], *(name for state in scope["States"].values() for name in targets(state))}
    assert reached == set(scope["States"])


def test_nothing_after_publish_leads_to_roll_back():
    waiting, reached = [MACHINE["States"]["Publish"]["Next"]], set()
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += [other for other in targets(MACHINE["States"][name]) if other not in reached]
    assert "Roll Back" not in reached


def test_tasks_and_handlers_are_the_same():
    used = [s["Resource"] for scope in scopes() for s in scope["States"].values() if s["Type"] == "Task"]
    assert sorted(used) == sorted(f"${{{placeholder_of(function)}}}" for function in handlers())


def test_state_carries_names_and_numbers_only():
    carried = {
        value for scope in scopes() for s in scope["States"].values() for value in s.get("Parameters", {}).values()
    }
    assert carried <= {
        "$", "$.run", "$.chunk", "$.segment", "$.error", "$.compared.drifted",
        "$$.Execution.Name", "$$.Execution.Id", "$$.Execution.StartTime",
    }  # fmt: skip


def test_placeholders_are_filled():
    text = definition({function: f"arn:{function}" for function in handlers()})
    assert "${" not in text
    assert json.loads(text)["States"]["Plan"]["Resource"] == "arn:dataops-plan"


def test_a_placeholder_without_a_function_is_named():
    with pytest.raises(Permanent, match=r"batch.asl.json: no function for AccountRowsArn"):
        definition({})
