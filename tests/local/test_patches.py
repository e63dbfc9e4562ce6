"""The interpreter does what Step Functions does; each of these is red without the patch that it is about."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.parse import asl_parser
from moto.stepfunctions.parser.asl.utils import json_path

from dataops.local.patches import _exceeds, make_once
from dataops.local.registry import ROLE
from dataops.workbook.usage import count_transitions, list_invocations
from tests.local.functions import wait_for

RAISES = "class Permanent(Exception): pass\nclass Retryable(Exception): pass\n"


def distributed_map(states: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A machine that is one DISTRIBUTED Map over its input's `items`."""
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": next(iter(states)), "States": states,
    }  # fmt: skip
    mapped = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": processor, "End": True, **fields}
    return {"StartAt": "Each", "States": {"Each": mapped}}


def task(function: str, **fields: Any) -> dict[str, Any]:
    """A machine that calls one function, and gives `caught` where Catch matches."""
    called = {"Type": "Task", "Resource": function, "End": True, **fields}
    return {"StartAt": "Call", "States": {"Call": called, "Caught": {"Type": "Pass", "Result": "caught", "End": True}}}


def entered_states(states: Any, arn: str) -> set[str]:
    """The names of the states that an execution has entered so far."""
    events = states.get_execution_history(executionArn=arn)["events"]
    return {event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event}


def end_of_history(states: Any, arn: str) -> Any:
    """The event that an execution's history ends with, once it is there."""
    event = states.get_execution_history(executionArn=arn, reverseOrder=False)["events"][-1]
    return event if event["type"].startswith("Execution") else None


FAIL_ON_2 = {
    "Two?": {
        "Type": "Choice", "Default": "Fine",
        "Choices": [{"Variable": "$", "NumericEquals": 2, "Next": "Bad"}],
    },
    "Bad": {"Type": "Fail", "Error": "Permanent"},
    "Fine": {"Type": "Pass", "End": True},
}  # fmt: skip


def test_map_with_a_failed_child_fails(run_machine: Any) -> None:
    done = run_machine(distributed_map(FAIL_ON_2), {"items": [1, 2, 3]})
    assert (done["status"], done["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")


def test_map_without_a_failed_child_succeeds_with_its_results(run_machine: Any) -> None:
    done = run_machine(distributed_map(FAIL_ON_2), {"items": [1, 3]})
    assert (done["status"], done["output"]) == ("SUCCEEDED", [1, 3])


def test_failed_map_can_be_caught(run_machine: Any) -> None:
    definition = distributed_map(FAIL_ON_2, Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Roll Back"}])
    definition["States"]["Roll Back"] = {"Type": "Pass", "Result": "rolled back", "End": True}
    assert run_machine(definition, {"items": [2]})["output"] == "rolled back"


@pytest.mark.parametrize(
    ("failed", "share", "count", "percentage", "exceeds"),
    [
        (0, 0.0, 0, 0.0, False),
        (1, 10.0, 0, 0.0, True),
        (1, 10.0, 1, 0.0, False),
        (2, 20.0, 1, 0.0, True),
        (2, 20.0, 0, 20.0, False),
        (3, 30.0, 0, 20.0, True),
        (3, 30.0, 2, 50.0, True),
    ],
)
def test_tolerated_failures(failed: int, share: float, count: int, percentage: float, exceeds: bool) -> None:
    assert _exceeds(failed, share, count, percentage) is exceeds


def test_map_tolerates_what_it_says(run_machine: Any) -> None:
    definition = distributed_map(FAIL_ON_2, ToleratedFailurePercentage=50.0)
    assert run_machine(definition, {"items": [1, 2]})["status"] == "SUCCEEDED"


def test_map_takes_its_concurrency_from_the_state(run_machine: Any) -> None:
    done = run_machine(distributed_map(FAIL_ON_2, MaxConcurrencyPath="$.workers"), {"items": [4] * 9, "workers": 2})
    assert done["output"] == [4] * 9


@pytest.mark.parametrize(
    ("path", "payload", "value"),
    [
        ("$[0].n", [{"n": 2}], 2),
        ("$.rows[1].n", {"rows": [{"n": 1}, {"n": 2}]}, 2),
        ("$.rows[0]", {"rows": [{"n": 1}]}, {"n": 1}),
        ("$.rows[*].n", {"rows": [{"n": 1}]}, [1]),
        ("$.rows[0:1]", {"rows": [1, 2]}, [1]),
        ("$..n", {"rows": [{"n": 1}]}, [1]),
        ("$[?(@.n == 1)].n", [{"n": 1}, {"n": 2}], [1]),
    ],
)
def test_path_to_one_element_is_that_element(run_machine: Any, path: str, payload: Any, value: Any) -> None:
    done = run_machine(
        {"StartAt": "Take", "States": {"Take": {"Type": "Pass", "InputPath": path, "End": True}}}, payload
    )
    assert done["output"] == value


def test_jsonata_is_evaluated(run_machine: Any) -> None:
    state = {"Type": "Pass", "Output": {"total": "{% $sum($states.input.rows) %}"}, "End": True}
    done = run_machine({"QueryLanguage": "JSONata", "StartAt": "Sum", "States": {"Sum": state}}, {"rows": [1, 2, 3]})
    assert done["output"] == {"total": 6}


def test_invalid_definition_has_its_error_code(states: Any) -> None:
    with pytest.raises(ClientError) as refused:
        states.create_state_machine(name="broken", definition="{}", roleArn="arn:aws:iam::123456789012:role/dataops")
    assert refused.value.response["Error"]["Code"] == "InvalidDefinition"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_fail_passes_a_states_error_on(run_machine: Any) -> None:
    fail = {"Type": "Fail", "ErrorPath": "$.error", "CausePath": "$.cause"}
    done = run_machine({"StartAt": "F", "States": {"F": fail}}, {"error": "States.Timeout", "cause": "too long"})
    assert (done["status"], done["error"], done["cause"]) == ("FAILED", "States.Timeout", "too long")


@pytest.mark.parametrize(
    ("error", "source"),
    [
        ("Permanent", RAISES + "def handler(event, context): raise Permanent('no')"),
        ("Runtime.ExitError", "import os\ndef handler(event, context): os._exit(3)"),
        ("Runtime.ImportModuleError", "import not_in_the_zip"),
        ("Sandbox.Timedout", "import time\ndef handler(event, context): time.sleep(60)"),
    ],
)
def test_error_is_caught_by_the_name_that_lambda_gives_it(
    run_machine: Any, make_function: Callable[..., str], error: str, source: str
) -> None:
    function = make_function(source, timeout=1)
    other = {"ErrorEquals": ["Retryable"], "MaxAttempts": 3}
    caught = {"ErrorEquals": [error], "Next": "Caught"}
    assert run_machine(task(function, Retry=[other], Catch=[caught]))["output"] == "caught"


def test_retryable_is_tried_again(run_machine: Any, make_function: Callable[..., str]) -> None:
    function = make_function(
        RAISES + "calls = []\ndef handler(event, context):\n    calls.append(1)\n"
        "    if len(calls) < 3: raise Retryable('later')\n    return len(calls)"
    )
    retry = {"ErrorEquals": ["Retryable"], "IntervalSeconds": 1, "MaxDelaySeconds": 1, "MaxAttempts": 3}
    assert run_machine(task(function, Retry=[retry]))["output"] == 3


def test_stopped_map_is_aborted_and_says_when_and_why(states: Any, start_machine: Callable[..., str]) -> None:
    wait = {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}
    arn = start_machine(distributed_map(wait), {"items": [1, 2]})
    wait_for(lambda: "Each" in entered_states(states, arn), "the Map")
    states.stop_execution(executionArn=arn, error="Cancelled", cause="asked for")
    found = states.describe_execution(executionArn=arn)
    assert (found["status"], found["error"], found["cause"]) == ("ABORTED", "Cancelled", "asked for")
    assert found["stopDate"] >= found["startDate"]
    assert found["ResponseMetadata"]["HTTPHeaders"]["date"]


def test_execution_is_aborted_while_its_function_still_runs(
    states: Any, start_machine: Callable[..., str], make_function: Callable[..., str], tmp_path: Path
) -> None:
    function = make_function(
        "import pathlib, time\ndef handler(event, context):\n    folder = pathlib.Path(event['folder'])\n"
        "    (folder / 'began').touch()\n    while not (folder / 'go').exists(): time.sleep(0.01)\n"
        "    (folder / 'ended').touch()\n    raise ValueError"
    )
    arn = start_machine(task(function), {"folder": str(tmp_path)})
    wait_for((tmp_path / "began").exists, "the function")
    states.stop_execution(executionArn=arn)
    stopped = states.describe_execution(executionArn=arn)
    (tmp_path / "go").touch()
    wait_for((tmp_path / "ended").exists, "the function's end")
    aborted = wait_for(lambda: end_of_history(states, arn), "the end of the history")
    assert (stopped["status"], aborted["type"]) == ("ABORTED", "ExecutionAborted")
    assert states.describe_execution(executionArn=arn)["stopDate"] == stopped["stopDate"]


def test_execution_can_be_stopped_in_its_first_instant(states: Any, start_machine: Callable[..., str]) -> None:
    arn = start_machine({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}})
    states.stop_execution(executionArn=arn)
    assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"


def test_timed_out_machine_says_when(run_machine: Any) -> None:
    wait = {"Type": "Wait", "Seconds": 600, "End": True}
    done = run_machine({"TimeoutSeconds": 1, "StartAt": "Wait", "States": {"Wait": wait}})
    assert done["status"] == "TIMED_OUT"
    assert done["stopDate"] >= done["startDate"]


def test_history_names_the_states_entered(states: Any, run_machine: Any) -> None:
    definition = {"StartAt": "First", "States": {
        "First": {"Type": "Pass", "Next": "Both"},
        "Both": {"Type": "Parallel", "End": True, "Branches": [
            {"StartAt": name, "States": {name: {"Type": "Pass", "End": True}}} for name in ("Left", "Right")]},
    }}  # fmt: skip
    arn = run_machine(definition)["executionArn"]
    assert entered_states(states, arn) == {"First", "Both", "Left", "Right"}


CHILD = {
    "StartAt": "Bad?",
    "States": {
        "Bad?": {"Type": "Choice", "Choices": [{"Variable": "$.bad", "BooleanEquals": True, "Next": "Bad"}], "Default": "Good"},
        "Bad": {"Type": "Fail", "Error": "Permanent", "Cause": "told to"},
        "Good": {"Type": "Pass", "Result": {"answer": 42}, "End": True},
    },
}  # fmt: skip


@pytest.mark.parametrize(("bad", "status"), [(False, "SUCCEEDED"), (True, "FAILED")])
def test_a_task_starts_an_execution_and_waits_for_its_end(
    states: Any, run_machine: Any, bad: bool, status: str
) -> None:
    machine = states.create_state_machine(name=f"child-{bad}", definition=json.dumps(CHILD), roleArn=ROLE)
    given = {"StateMachineArn": machine["stateMachineArn"], "Name": f"child-{bad}", "Input": {"bad": bad}}
    waiting = task("arn:aws:states:::states:startExecution.sync:2", Parameters=given)
    done = run_machine(waiting, {})
    assert done["status"] == status
    if bad:
        assert (done["error"], json.loads(done["cause"])["Cause"]) == ("States.TaskFailed", "told to")
    else:
        assert (done["output"]["Name"], done["output"]["Output"]) == ("child-False", {"answer": 42})


def test_each_child_of_a_map_has_a_history_of_its_own(run_machine: Any, states: Any) -> None:
    done = run_machine(distributed_map(FAIL_ON_2), {"items": [1, 3]})
    (run,) = states.list_map_runs(executionArn=done["executionArn"])["mapRuns"]
    children = states.list_executions(mapRunArn=run["mapRunArn"])["executions"]
    entered = [entered_states(states, child["executionArn"]) for child in children]
    assert entered == [{"Two?", "Fine"}, {"Two?", "Fine"}]
    parents = states.list_executions(stateMachineArn=done["stateMachineArn"])["executions"]
    assert [of["executionArn"] for of in parents] == [done["executionArn"]]


def test_a_function_that_is_tried_again_is_there_for_each_try(
    run_machine: Any, states: Any, make_function: Any
) -> None:
    function = make_function(RAISES + "def handler(event, context): raise Retryable('x')")
    retry = [{"ErrorEquals": ["Retryable"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 1.0}]
    done = run_machine(task(function, Retry=retry))
    events = states.get_execution_history(executionArn=done["executionArn"])["events"]
    assert [name for name, _ in list_invocations(events)] == [function] * 3
    assert count_transitions(events) == 3


def test_machines_and_paths_are_parsed_and_clients_made_once() -> None:
    make_once()
    parse = asl_parser.AmazonStateLanguageParser.parse
    passing, failing = (
        json.dumps({"StartAt": "A", "States": {"A": of}}) for of in ({"Type": "Pass", "End": True}, {"Type": "Fail"})
    )
    (program, tree), (other, same) = parse(passing), parse(passing)
    assert tree is same
    assert program is not other
    assert parse(failing)[1] is not tree
    paths: Any = json_path
    assert paths.parse("$.a") is paths.parse("$.a")
    assert [paths.extract_json(f"$.{name}", {"a": 1, "b": 2}) for name in "ab"] == [1, 2]
    calls: Any = lambda_eval_utils
    client, again = (calls.boto_client_for("us-east-1", "lambda", state_credentials=None) for _ in range(2))
    assert client is again
