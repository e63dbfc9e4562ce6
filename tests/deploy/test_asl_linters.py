"""docs/deploying.md's tables of what checkers find in definitions: `dataops check` and cfn-lint really do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint_all

from dataops.deploy.check_template import check_template
from tests.deploy.definitions import PASS, TASK, distributed_map, faults, jsonata, machine

PAGE = (Path(__file__).parents[2] / "docs/deploying.md").read_text("utf-8")
ROWS = {
    row[0]: row
    for row in re.findall(r"^\| (an? .*?|no .*?|`.*?|JSONata .*?) \| (\S+) \| (\S+) \| (\S+) \|$", PAGE, re.MULTILINE)
}
LIMITED = {key: value for key, value in TASK.items() if key != "TimeoutSeconds"}
CHOICE = {"Type": "Choice", "Default": "B"}
RULE = {"Variable": "$.a", "IsNull": True, "Next": "B"}
CASES: dict[str, dict[str, Any]] = {
    "a `Next` to a state that is not there": machine(A={"Type": "Pass", "Next": "C"}, B=PASS),
    "a state that nothing leads to": machine(A=PASS, B=PASS),
    "a branch whose `Next` leads out of it": machine(
        A={"Type": "Parallel", "Branches": [machine(B={"Type": "Pass", "Next": "A"})], "End": True}),
    "no state that ends it": machine(A={"Type": "Pass", "Next": "A"}),
    "`States.ALL` before other entries, or beside other names": machine(
        A={**TASK, "Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["States.ALL", "X"]}]}),
    "`MaxAttempt` for `MaxAttempts` in a Retry": machine(A={**TASK, "Retry": [{"ErrorEquals": ["X"], "MaxAttempt": 1}]}),
    "`BackoffRate` below 1": machine(A={**TASK, "Retry": [{"ErrorEquals": ["X"], "BackoffRate": 0.5}]}),
    "`HeartbeatSeconds` as long as `TimeoutSeconds`": machine(A={**TASK, "HeartbeatSeconds": 60}),
    "a second `Next` within a Choice's rule": machine(A={**CHOICE, "Choices": [{"Not": RULE, "Next": "B"}]}, B=PASS),
    "an intrinsic function that is not there, `States.Formt('x')`": machine(A={**TASK, "Parameters": {"a.$": "States.Formt('x')"}}),
    "a `ResultPath` with a wildcard": machine(A={**TASK, "ResultPath": "$.a[*]"}),
    "JSONata that cannot be read": jsonata(A={**PASS, "Output": "{% $a := %}"}),
    "`$states.result` in Arguments": jsonata(A={**TASK, "Arguments": "{% $states.result %}"}),
    "`$states.errorOutput` outside a Catch": jsonata(A={**TASK, "Output": "{% $states.errorOutput %}"}),
    "an `Assign` of the reserved variable `states`": machine(A={**PASS, "Assign": {"states": 1}}),
    "a `MaxItemsPerBatchPath` that is no path": distributed_map(ItemBatcher={"MaxItemsPerBatchPath": "n"}),
    "an ItemReader without Resource": distributed_map(ItemReader={}),
    "a `ToleratedFailureCount` below 0": distributed_map(ToleratedFailureCount=-1),
    "a `Label` with a space": distributed_map(Label="a b"),
    "a `Result` of more than 262,144 bytes": machine(A={**PASS, "Result": "x" * 262_143}),
    "a Task without `TimeoutSeconds`": machine(A=LIMITED),
    "an ItemBatcher without a limit": distributed_map(ItemBatcher={}),
    "an `Assign` in a Succeed": machine(A={"Type": "Succeed", "Assign": {"a": 1}}),
    "a field that no state has": machine(A={**PASS, "Resutl": 1}),
    "a Resource that is no ARN": machine(A={**TASK, "Resource": "MyFunction"}),
    "a Resource of two placeholders, `${Function}:${Alias}`": machine(A={**TASK, "Resource": "${Function}:${Alias}"}),
    "a Resource in `arn:${AWS::Partition}:states:::...`": machine(
        A={**TASK, "Resource": "arn:${AWS::Partition}:states:::dynamodb:putItem"}),
    "JSONata in `TimeoutSeconds`": jsonata(A={**TASK, "TimeoutSeconds": "{% 60 %}"}),
    "an Output that is a list": jsonata(A={**PASS, "Output": [1, "{% 2 %}"]}),
    "a Condition that is `true`": jsonata(A={**CHOICE, "Choices": [{"Condition": True, "Next": "B"}]}, B=PASS),
    "a `ToleratedFailurePercentage` of 33.3": distributed_map(ToleratedFailurePercentage=33.3),
    "a ResultWriter with WriterConfig alone": distributed_map(ResultWriter={"WriterConfig": {"OutputType": "JSONL"}}),
}  # fmt: skip
"""By the rows of both tables."""


def template() -> str:
    """A template with every definition, in a machine named by its number."""
    common = {
        "RoleArn": "arn:aws:iam::123456789012:role/r",
        "DefinitionSubstitutions": {"Function": "f", "Alias": "live"},
    }
    machines = {
        f"M{number}": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {**common, "DefinitionString": json.dumps(definition)},
        }
        for number, definition in enumerate(CASES.values())
    }
    return json.dumps({"Resources": machines})


def test_every_row_has_its_definition():
    assert ROWS.keys() == CASES.keys()


@pytest.mark.parametrize("row", CASES)
def test_our_column_says_what_our_check_finds(row):
    levels = [level for level in ("error", "warning") if faults(CASES[row], level)]
    assert (levels or ["-"])[0] == ROWS[row][3]


def test_cfn_lints_column_says_what_cfn_lint_finds():
    told = {str(match.path[1]) for match in lint_all(template()) if match.rule.id == "E3601" and match.path}
    found = {row for number, row in enumerate(CASES) if f"M{number}" in told}
    assert found == {row for row, columns in ROWS.items() if columns[1] != "-"}


def test_what_cfn_lint_says_of_a_definitions_text_is_left_out(tmp_path):
    path = tmp_path / "template.yml"
    path.write_text(template())
    found = list(check_template(path))
    assert any("no state here is called" in fault.what for fault in found)
    assert [fault.what for fault in found if "E3601" in fault.what] == []
