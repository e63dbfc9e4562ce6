"""Variables in a definition: names that Assign may set, and what of $states is there in which field."""

from __future__ import annotations

import pytest

from tests.deploy.definitions import PASS, TASK, faults, jsonata, machine

CATCH = {"ErrorEquals": ["States.ALL"], "Next": "B"}
RULE = {"Condition": "{% true %}", "Next": "B"}
B = {"Type": "Succeed"}


@pytest.mark.parametrize(
    "valid",
    [
        machine(A={**PASS, "Assign": {"größe_2.$": "$.x", "_x": 1}}),
        jsonata(A={**TASK, "Assign": {"x": ["{% $states.result.y %}"]}, "Output": "{% $states.result %}"}),
        jsonata(A={**TASK, "Catch": [{**CATCH, "Output": {"why": "{% $states.errorOutput.Cause %}"}}]}, B=B),
        jsonata(A={**PASS, "Output": "{% 'of $states.result' & \"$states.errorOutput\" /* $states.result */ %}"}),
        jsonata(A={**PASS, "Output": "{% $states.input.result %}", "Comment": "{% $states.result %}"}),
        jsonata(A={"Type": "Choice", "Choices": [{**RULE, "Comment": "{% of no interest", "Assign": {"x": 1}}]}, B=B),
    ],
)
def test_a_variable_that_is_there_may_be_used(valid):
    assert faults(valid) == []


@pytest.mark.parametrize(
    ("wrong", "where", "what"),
    [
        (machine(A={**PASS, "Assign": {"states": 1}}), "Assign.states", "reserved"),
        (machine(A={**PASS, "Assign": {"states.$": "$.x"}}), "Assign.states.$", "reserved"),
        (machine(A={**PASS, "Assign": {"x.y": 1}}), "Assign.x.y", "expected a variable's name"),
        (machine(A={**PASS, "Assign": {"x" * 81: 1}}), f"Assign.{'x' * 81}", "80 at most"),
        (machine(A={**PASS, "Assign": []}), "Assign", "expected an object"),
        (machine(A={**TASK, "Catch": [{**CATCH, "Assign": {"states": 1}}]}, B=B), "Catch[0].Assign.states", "reserved"),
        (jsonata(A={"Type": "Choice", "Choices": [{**RULE, "Assign": {"states": 1}}]}, B=B), "Choices[0].Assign.states", "reserved"),
        (machine(A={"Type": "Succeed", "Assign": {"x": 1}}), "Assign", "unknown field"),
        (machine(A={"Type": "Fail", "Assign": {"x": 1}}), "Assign", "unknown field"),
        (jsonata(A={**TASK, "Arguments": {"x": ["{% $states.result %}"]}}), "Arguments.x[0]", "$states.result is not there"),
        (jsonata(A={**TASK, "Arguments": {"Type": "{% $states.result %}"}}), "Arguments.Type", "$states.result is not there"),
        (jsonata(A={**PASS, "Output": "{% $states . result %}"}), "Output", "$states.result is not there"),
        (jsonata(A={**TASK, "Output": "{% $states.errorOutput %}"}), "Output", "$states.errorOutput is not there"),
        (jsonata(A={**TASK, "Catch": [{**CATCH, "Output": "{% $states.result %}"}]}, B=B), "Catch[0].Output", "$states.result is not there"),
        (jsonata(A={"Type": "Choice", "Choices": [{**RULE, "Output": "{% $states.result %}"}]}, B=B), "Choices[0].Output", "$states.result is not there"),
    ],
)  # fmt: skip
def test_a_variable_that_is_not_there_is_told_where_it_stands(wrong, where, what):
    assert any(place == f"States.A.{where}" and what in told for place, told in faults(wrong)), faults(wrong)
