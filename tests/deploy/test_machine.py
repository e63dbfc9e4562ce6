"""State machine, handlers and errors say the same."""

import json

import pytest

from dataops.deploy.machine import DEFINITION, definition, placeholder_of
from dataops.deploy.package import handlers, state_handlers
from dataops.errors import LeaseHeld, Permanent, Retryable, Unreachable
from dataops.handlers.edge import edge

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


def reached_from(scope, start):
    waiting, reached = [start], set()
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += [other for other in targets(scope["States"][name]) if other not in reached]
    return reached


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


@pytest.mark.parametrize("state", states("Task", "Map", "Parallel"))
def test_retry_and_catch_name_errors_that_somebody_raises(state):
    named = {name for entry in [*state["Retry"], *state.get("Catch", [])] for name in entry["ErrorEquals"]}
    ours = {name for name in named - PLATFORM if not name.startswith("States.")}
    assert ours == {Retryable.__name__}
    assert Permanent.__name__ not in {name for entry in state["Retry"] for name in entry["ErrorEquals"]}


def test_a_handler_raises_exactly_the_name_that_retry_knows(stack):
    @edge
    def handler(event, context):
        raise Unreachable("no answer") if event["run"] == "a" else LeaseHeld("held")

    for run, kind in (("a", Retryable), ("b", Permanent)):
        with pytest.raises(kind) as caught:
            handler({"run": run}, None)
        assert type(caught.value).__name__ == kind.__name__


@pytest.mark.parametrize("state", states("Map"))
def test_a_map_gives_back_nothing_and_loops_until_done(state):
    inner = state["ItemProcessor"]["States"]
    ends = [one for one in inner.values() if one.get("End")]
    assert [(one["Type"], one["Result"]) for one in ends] == [("Pass", {})]
    assert state["ResultPath"] is None
    assert state["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    assert state["MaxConcurrencyPath"] == "$.workers"


def test_every_state_says_what_it_is_for():
    assert [n for scope in scopes() for n, state in scope["States"].items() if not state.get("Comment")] == []


@pytest.mark.parametrize("scope", list(scopes()), ids=lambda scope: scope["StartAt"])
def test_every_state_is_reached_and_every_transition_leads_somewhere(scope):
    assert reached_from(scope, scope["StartAt"]) == set(scope["States"])


@pytest.mark.parametrize("scope", list(scopes()), ids=lambda scope: scope["StartAt"])
def test_an_end_can_be_reached_from_every_state(scope):
    ends = {n for n, s in scope["States"].items() if s.get("End") or s["Type"] in ("Succeed", "Fail")}
    assert [name for name in scope["States"] if not reached_from(scope, name) & ends] == []
    assert all(set(targets(scope["States"][name])) <= {"Not Closed", "Not Rolled Back"} for name in ends)


def test_nothing_after_publish_leads_to_roll_back():
    reached = reached_from(MACHINE, MACHINE["States"]["Publish"]["Next"])
    assert reached == {"Close Run", "Not Closed"}


def test_tasks_and_handlers_are_the_same():
    used = [s["Resource"] for scope in scopes() for s in scope["States"].values() if s["Type"] == "Task"]
    assert sorted(used) == sorted(f"${{{placeholder_of(function)}}}" for function in state_handlers())


def test_a_handler_is_named_as_its_state():
    tasks = {n: s["Resource"] for scope in scopes() for n, s in scope["States"].items() if s["Type"] == "Task"}
    named = {name: "${" + "".join(word.capitalize() for word in name.split()) + "Arn}" for name in tasks}
    assert tasks == named
    files = {name.lower().replace(" ", "_") for name in tasks}
    assert files == {path.rsplit(".", 2)[1] for path in state_handlers().values()}


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


@pytest.mark.parametrize("name", ["NosuchArn", "Plan-Arn", "Plan.Arn", " PlanArn "])
def test_a_placeholder_of_another_spelling_is_not_left_in(tmp_path, name):
    path = tmp_path / "machine.json"
    path.write_text(json.dumps({"Resource": f"${{{name}}}"}))
    with pytest.raises(Permanent, match=rf"machine.json: no function for {name}"):
        definition({"dataops-plan": "arn"}, path)
