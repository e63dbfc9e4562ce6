"""Definitions in the Amazon States Language: what AWS takes has no error, and each fault is told where it stands."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataops.deploy.asl import check_machine
from dataops.deploy.asl.path import find_path_fault, find_template_fault
from dataops.deploy.asl.state import FIELDS
from dataops.deploy.machine import DEFINITION
from tests.deploy.definitions import DISTRIBUTED, PASS, SCOPE, TASK, faults, machine

NAMES = st.sampled_from(sorted({name for of in FIELDS.values() for name in of})) | st.text()


def test_our_own_machine_has_no_fault_at_all():
    assert check_machine(DEFINITION.read_text()) == []


@pytest.mark.parametrize(
    "valid",
    [
        machine(A=TASK),
        machine(A={**TASK, "Resource": "${Function}"}),
        machine(A={**TASK, "Resource": TASK["Resource"] + ":$LATEST"}),
        machine(A={**TASK, "Resource": "arn:aws:lambda:${AWS::Region}:${Account}:function:${Name}:live"}),
        machine(A={**TASK, "Resource": "arn:aws:states:::states:startExecution.sync:2"}),
        machine(A={**TASK, "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem", "Credentials": {"RoleArn.$": "$.role"}}),
        machine(A={"Type": "Parallel", "QueryLanguage": "JSONata", "Branches": [machine(B={**PASS, "InputPath": "$.x"})], "End": True}),
        machine(A={"Type": "Pass", "Parameters": {"x.$": "States.ArrayGetItem($.r[?(@.k == F)].v, 0)", "y.$": "$.v[3:]"}, "End": True}),
        machine(A={**PASS, "Parameters": {"n.$": "States.ArrayLength($.a[?(@.b[0]==1)])", "m.$": "States.Format('{}', $['a'][0])"}}),
        {**machine(A={"Type": "Pass", "Output": "{% 1 /* one */ %}", "End": True}), "QueryLanguage": "JSONata"},
        machine(A={"Type": "Wait", "Timestamp": "2026-02-28T09:00:00+09:00", "End": True}),
        machine(A={**PASS, "Result": "ö" * 131_071}),
        machine(A={**PASS, "Result": "ö" * 131_072, "ResultPath": None}),
        machine(A={**PASS, "Parameters": {"x.$": "States.Array($['a]'], $.b[0])"}}),
        machine(A={"Type": "Map", "ItemProcessor": DISTRIBUTED, "Label": "copy-chunks_1", "End": True}),
        machine(A={**TASK, "Catch": [{"ErrorEquals": ["X"], "Next": "A", "ResultPath": "$.x"}]}),
        {**machine(A=PASS), "Version": "1.0", "TimeoutSeconds": 10, "Comment": "c"},
        machine(A={**TASK, "Resource": "${Function}:${Alias}"}),
        machine(A={**TASK, "Resource": "${Function}:3"}),
        machine(A={**TASK, "Resource": "${Prefix}:function:f"}),
        machine(A={**TASK, "Resource": "arn:aws:lambda:${RegionAndAccount}:function:f:$LATEST"}),
        machine(A={**TASK, "Resource": "arn:${AWS::Partition}:states:::dynamodb:putItem"}),
        machine(A={**TASK, "Parameters": {"s.$": "$.a.length()", "m.$": "States.Format('{}', $.a[*].n.max())"}}),
        machine(A={**PASS, "ResultPath": "$.store\\.book.&Ж中"}),
        machine(A={"Type": "Succeed"}),
        machine(A={"Type": "Fail"}),
        machine(A={"Type": "Fail", "ErrorPath": "$.e", "CausePath": "States.Format('{}', $.x)"}),
        machine(A={"Type": "Wait", "SecondsPath": "$.s", "Next": "B"}, B={"Type": "Succeed"}),
        machine(A={**TASK, "InputPath": None, "OutputPath": None, "ResultPath": None}),
        machine(A={**TASK, "Parameters": {"a.$": "$$.Execution.Id", "b": [{"c.$": "States.UUID()"}], "d": "$.not a path"}}),
        machine(A={**TASK, "Assign": {"x.$": "$.y"}, "Parameters": {"z.$": "$x.y"}}),
        machine(A={**TASK, "Retry": [{"ErrorEquals": ["Mine"]}, {"ErrorEquals": ["States.ALL"], "BackoffRate": 1.5}]}),
        machine(A={**TASK, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}]}, B={"Type": "Fail"}),
        machine(A={"Type": "Parallel", "Branches": [SCOPE, machine(Other=PASS)], "End": True}),
        machine(A={"Type": "Map", "Iterator": SCOPE, "Parameters": {"v.$": "$$.Map.Item.Value"}, "End": True}),
        machine(A={"Type": "Map", "ItemProcessor": SCOPE, "ItemsPath": "$.a[?(@.n > 1)]", "MaxConcurrency": 0, "End": True}),
        machine(A={"Type": "Choice", "Choices": [
            {"And": [{"Variable": "$.a", "IsPresent": True}, {"Not": {"Variable": "$.a", "NumericLessThanPath": "$.b"}}], "Next": "B"},
            {"Variable": "$.t", "TimestampGreaterThan": "2016-03-14T01:59:00Z", "Next": "A"}]}, B={"Type": "Succeed"}),
        {**machine(A={"Type": "Pass", "Output": "{% $states.input.x + 1 %}", "End": True}), "QueryLanguage": "JSONata"},
        machine(A={"Type": "Choice", "QueryLanguage": "JSONata", "Default": "A",
                   "Choices": [{"Condition": "{% $states.input.n > 3 %}", "Next": "B"}]}, B={"Type": "Succeed"}),
    ],
)  # fmt: skip
def test_what_aws_takes_has_no_error(valid):
    assert faults(valid) == []


@pytest.mark.parametrize(
    ("wrong", "where", "what"),
    [
        ("{", "line 1, column 2", "not JSON"),
        ("[]", "", "expected an object"),
        ('{"StartAt": "A", "StartAt": "A", "States": {"A": {"Type": "Succeed"}}}', "StartAt", "stands twice"),
        ('{"StartAt": "A", "States": {"A": {"Type": "Succeed", "Type": "Pass"}}}', "States.A.Type", "stands twice"),
        ('{"StartAt": "NaN",\n"TimeoutSeconds": -Infinity}', "line 2", "-Infinity is no value"),
        ({**machine(A=PASS), "Version": "2.0"}, "Version", "expected 1.0"),
        (machine(A={"Type": "Parallel", "Branches": [SCOPE, "x"], "End": True}), "States.A.Branches[1]", "expected an object"),
        (machine(A={"Type": "Wait", "Timestamp": "tomorrow", "End": True}), "States.A.Timestamp", "ISO-8601"),
        (machine(A={"Type": "Wait", "Timestamp": 1, "End": True}), "States.A.Timestamp", "ISO-8601"),
        ('{"TimeoutSeconds": %s}' % ("9" * 5000), "", "too many digits"),
        ({**machine(A={**PASS, "Output": "ö" * 131_072}), "QueryLanguage": "JSONata"}, "States.A.Output", "at most 262,144 bytes"),
        (machine(A={**PASS, "Result": "ö" * 131_072}), "States.A.Result", "at most 262,144 bytes"),
        (machine(A={**TASK, "Catch": [{"ErrorEquals": ["X"], "Next": "A", "Output": "x"}]}), "States.A.Catch[0].Output", "query language is JSONPath"),
        ({**machine(A={**TASK, "Catch": [{"ErrorEquals": ["X"], "Next": "A", "ResultPath": "$.x"}]}), "QueryLanguage": "JSONata"}, "States.A.Catch[0].ResultPath", "query language is JSONata"),
        (machine(A={"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "A", "Assign": {"x.$": "y"}}]}), "States.A.Choices[0].Assign.x.$", "since its key ends in .$"),
        (machine(A={"Type": "Map", "ItemProcessor": DISTRIBUTED, "Label": "n" * 41, "End": True}), "States.A.Label", "1 to 40 characters"),
        (machine(A={"Type": "Map", "ItemProcessor": DISTRIBUTED, "Label": "a b", "End": True}), "States.A.Label", "without spaces"),
        ({}, "States", "at least one state"),
        ({"States": {"A": PASS}}, "StartAt", "required"),
        ({"StartAt": "Plam", "States": {"Plan": PASS}}, "StartAt", "'Plam' (did you mean Plan?)"),
        ({**machine(A=PASS), "Staets": {}}, "Staets", "unknown field here (did you mean States?)"),
        ({**machine(A=PASS), "TimeoutSeconds": True}, "TimeoutSeconds", "whole number"),
        ({**machine(A=PASS), "QueryLanguage": "XPath"}, "QueryLanguage", "JSONPath or JSONata"),
        (machine(**{"n" * 81: PASS}), f"States.{'n' * 81}", "1 to 80 characters, found 81"),
        (machine(A={"Type": "Taks"}), "States.A.Type", "(did you mean Task?)"),
        (machine(A={"End": True}), "States.A.Type", "expected one of"),
        (machine(A=[]), "States.A", "expected an object"),
        (machine(A={**PASS, "Next": "A"}), "States.A", "either Next or End: true, has both"),
        (machine(A={"Type": "Pass"}), "States.A", "has neither"),
        (machine(A={"Type": "Pass", "Next": "B"}, C=PASS), "States.A.Next", "no state here is called 'B'"),
        (machine(A=PASS, B=PASS), "States.B", "cannot be reached from StartAt"),
        (machine(A={"Type": "Succeed", "End": True}), "States.A.End", "unknown field here"),
        (machine(A={**PASS, "Retry": []}), "States.A.Retry", "unknown field here"),
        (machine(A={**PASS, "Resource": "x"}), "States.A.Resource", "unknown field here"),
        (machine(A={"Type": "Pass", "Next": "A"}), "States", "expected a state that ends it"),
        (machine(A={"Type": "Task", "End": True}), "States.A.Resource", "required: an ARN"),
        (machine(A={**TASK, "Resource": "${Function"}), "States.A.Resource", "required: an ARN"),
        (machine(A={**TASK, "Resource": "${Function}:"}), "States.A.Resource", "required: an ARN"),
        (machine(A={**TASK, "Resource": "${Function} :live"}), "States.A.Resource", "required: an ARN"),
        (machine(A={**TASK, "Resource": "My${Function}"}), "States.A.Resource", "required: an ARN"),
        (machine(A={**TASK, "Resource": "arn:aws:lambda:${R}:${A}:function:${F}:"}), "States.A.Resource", "required: an ARN"),
        (machine(A={**TASK, "Resource": "MyFunction"}), "States.A.Resource", "required: an ARN"),
        (machine(A={**TASK, "Resource": TASK["Resource"] + ":"}), "States.A.Resource", "required: an ARN"),
        (machine(A={**TASK, "Resource": TASK["Resource"] + ":$NEWEST"}), "States.A.Resource", "required: an ARN"),
        (machine(A={**TASK, "Credentials": True}), "States.A.Credentials", "RoleArn"),
        (machine(A={"Type": "Parallel", "QueryLanguage": "JSONata", "End": True,
                    "Branches": [machine(B={**PASS, "Output": "{% 1 %}"})]}), "States.A.Branches[0].States.B.Output", "query language is JSONPath"),
        (machine(A={**TASK, "TimeoutSeconds": 0}), "States.A.TimeoutSeconds", "1 to 99,999,999"),
        (machine(A={**TASK, "TimeoutSecondsPath": "$.t"}), "States.A", "exclude each other"),
        (machine(A={**TASK, "HeartbeatSeconds": 60}), "States.A.HeartbeatSeconds", "less than TimeoutSeconds"),
        (machine(A={**TASK, "ResultPath": "$.a[*]"}), "States.A.ResultPath", "expected a reference path"),
        (machine(A={**TASK, "ResultPath": "$.a.length()"}), "States.A.ResultPath", "expected a reference path"),
        (machine(A={"Type": "Wait", "SecondsPath": "$.a.length()", "End": True}), "States.A.SecondsPath", "expected a reference path"),
        (machine(A={**TASK, "ResultPath": "$x"}), "States.A.ResultPath", "the variable cannot be written"),
        (machine(A={**TASK, "ResultPath": "$$.x"}), "States.A.ResultPath", "cannot be written"),
        (machine(A={**TASK, "InputPath": "a.b"}), "States.A.InputPath", "begins with $"),
        (machine(A={**TASK, "Parameters": {"b": {"a.$": "x"}}}), "States.A.Parameters.b.a.$", "since its key ends in .$"),
        (machine(A={**TASK, "Parameters": {"a.$": 1}}), "States.A.Parameters.a.$", "since its key ends in .$"),
        (machine(A={**TASK, "ResultSelector": {"a.$": "States.Formt('x')"}}), "States.A.ResultSelector.a.$", "mean States.Format?"),
        (machine(A={**TASK, "Arguments": {}}), "States.A.Arguments", "query language is JSONPath"),
        (machine(A={**TASK, "Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["X"]}]}), "States.A.Retry[0].ErrorEquals", "in the last entry"),
        (machine(A={**TASK, "Retry": [{"ErrorEquals": ["States.ALL", "X"]}]}), "States.A.Retry[0].ErrorEquals", "stands alone"),
        (machine(A={**TASK, "Retry": [{"ErrorEquals": []}]}), "States.A.Retry[0].ErrorEquals", "required"),
        (machine(A={**TASK, "Retry": [{"ErrorEquals": ["X"], "BackoffRate": 0.5}]}), "States.A.Retry[0].BackoffRate", "at least 1.0"),
        (machine(A={**TASK, "Retry": [{"ErrorEquals": ["X"], "MaxAttempt": 1}]}), "States.A.Retry[0].MaxAttempt", "did you mean MaxAttempts?"),
        (machine(A={**TASK, "Catch": [{"ErrorEquals": ["X"]}]}), "States.A.Catch[0].Next", "expected the name of a state"),
        (machine(A={**TASK, "Catch": [{"ErrorEquals": ["X"], "Next": "Z"}]}), "States.A.Catch[0].Next", "called 'Z'"),
        (machine(A={"Type": "Wait", "End": True}), "States.A", "required: Seconds or SecondsPath"),
        (machine(A={"Type": "Wait", "Seconds": 1, "Timestamp": "x", "End": True}), "States.A", "exclude each other"),
        (machine(A={"Type": "Fail", "Error": "x", "ErrorPath": "$.x"}), "States.A", "exclude each other"),
        (machine(A={"Type": "Parallel", "Branches": [], "End": True}), "States.A.Branches", "at least one branch"),
        (machine(A={"Type": "Parallel", "Branches": [SCOPE, SCOPE], "End": True}), "States.A.Branches[1].States.Inner", "taken by States.A.Branches[0]"),
        (machine(A={"Type": "Parallel", "Branches": [machine(X={"Type": "Pass", "Next": "A"})], "End": True}), "States.A.Branches[0].States.X.Next", "no state here"),
        (machine(A={"Type": "Map", "End": True}), "States.A", "required: ItemProcessor or Iterator"),
        (machine(A={"Type": "Map", "ItemProcessor": {**SCOPE, "ProcessorConfig": {"Mode": "DISTRIBUTED"}}, "End": True}), "States.A.ItemProcessor.ProcessorConfig.ExecutionType", "STANDARD or EXPRESS"),
        (machine(A={"Type": "Map", "ItemProcessor": SCOPE, "ItemReader": {}, "End": True}), "States.A.ItemReader", "distributed map only"),
        (machine(A={"Type": "Choice", "Choices": []}), "States.A.Choices", "at least one rule"),
        (machine(A={"Type": "Choice", "Choices": [{"Variable": "$.a", "StringEquals": 1, "Next": "A"}]}), "States.A.Choices[0].StringEquals", "expected a text"),
        (machine(A={"Type": "Choice", "Choices": [{"Variable": "$.a", "NumericEquals": True, "Next": "A"}]}), "States.A.Choices[0].NumericEquals", "expected a number"),
        (machine(A={"Type": "Choice", "Choices": [{"Variable": "$.a", "TimestampEquals": "today", "Next": "A"}]}), "States.A.Choices[0].TimestampEquals", "ISO-8601"),
        (machine(A={"Type": "Choice", "Choices": [{"Variable": "$.a", "StringEqual": "x", "Next": "A"}]}), "States.A.Choices[0].StringEqual", "did you mean StringEquals?"),
        (machine(A={"Type": "Choice", "Choices": [{"Variable": "$.a", "StringEquals": "x", "IsNull": True, "Next": "A"}]}), "States.A.Choices[0]", "exactly one comparison"),
        (machine(A={"Type": "Choice", "Choices": [{"Not": {"Variable": "$.a", "IsNull": True, "Next": "A"}, "Next": "A"}]}), "States.A.Choices[0].Not.Next", "only the outermost rule"),
        (machine(A={"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "Q"}]}), "States.A.Choices[0].Next", "called 'Q'"),
        (machine(A={"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "A"}], "Default": "Q"}), "States.A.Default", "called 'Q'"),
        ({**machine(A={"Type": "Pass", "Output": "{% $a := %}", "End": True}), "QueryLanguage": "JSONata"}, "States.A.Output", "not JSONata"),
        ({**machine(A={**PASS, "ResultPath": "$.a"}), "QueryLanguage": "JSONata"}, "States.A.ResultPath", "query language is JSONata"),
        ({**machine(A={**PASS, "QueryLanguage": "JSONPath"}), "QueryLanguage": "JSONata"}, "States.A.QueryLanguage", "cannot go back"),
    ],
)  # fmt: skip
def test_a_fault_is_told_where_it_stands(wrong, where, what):
    assert any(place == where and what in told for place, told in faults(wrong)), faults(wrong)


@pytest.mark.parametrize(
    ("hurts", "what"),
    [
        (machine(A={**TASK, "TimeoutSeconds": 1} | {}), ""),
        (machine(A={key: value for key, value in TASK.items() if key != "TimeoutSeconds"}), "has no TimeoutSeconds"),
        (
            machine(A={**TASK, "Retry": [{"ErrorEquals": ["X"], "MaxDelaySeconds": 5, "IntervalSeconds": 5}]}),
            "more than IntervalSeconds",
        ),
        (machine(A={**TASK, "Retry": [{"ErrorEquals": ["X"], "MaxAttempts": 9_000}]}), "may write 27,007 events"),
        (machine(A={**TASK, "Retry": [{"ErrorEquals": ["States.Timeouts"]}]}), "no error that Step Functions raises"),
        (machine(A={**TASK, "Parameters": {"s.$": "$.a.length()"}}), ".length() may fail in a run"),
        (machine(A={**PASS, "InputPath": "$.a.max()"}), ".max() may fail in a run"),
        (machine(A={"Type": "Wait", "SecondsPath": "$.a[*]", "End": True}), "expected a reference path"),
    ],
)
def test_what_aws_takes_and_may_hurt_is_a_warning(hurts, what):
    assert faults(hurts) == []
    told = faults(hurts, "warning")
    assert [what in text for _, text in told] == ([True] if what else [])


def every_place(value: Any, path: tuple[Any, ...] = ()):
    """The path of each value in a definition."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in pairs:
        yield (*path, key)
        yield from every_place(part, (*path, key))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda of: st.lists(of) | st.dictionaries(NAMES, of),
        max_leaves=30,
    )
)
def test_whatever_json_says_nothing_breaks(value):
    check_machine(json.dumps(value))
    check_machine(json.dumps(machine(A=value)))


@pytest.mark.parametrize("junk", [None, 7, [], {}, "", "x", True, [None], {"x": None}], ids=repr)
def test_whatever_stands_in_a_place_nothing_breaks(junk):
    definition = json.loads(DEFINITION.read_text())
    for path in every_place(definition):
        broken = deepcopy(definition)
        holder = broken
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = junk
        check_machine(json.dumps(broken))


@pytest.mark.parametrize(
    "path",
    [
        "$",
        "$.a.b",
        "$.a-b",
        "$$.Execution.Name",
        "$.a[0]['b c'].d",
        "$[?(@.x > 1)]",
        "$..x",
        "$.a[0:2]",
        "$v.x",
        "$['a','b']",
        "$.[?(@.n > 0)]",
        "$.a[?(@.n=='x]')].z",
        "$.a[*].n.sum()",
        "$.foo\\@bar.baz\\[\\[.\\?pretty",
    ],
)
def test_a_path_is_a_path(path):
    assert find_path_fault(path) == ""


@pytest.mark.parametrize(
    "path", ["", "a", "$.", "$.a[", "$.a b", "$.a]", "$.a[x]", "$a.", "$.a.size_of()", "$.a.length().b(", "$.a[?(@.b]"]
)
def test_what_is_no_path_is_told(path):
    assert find_path_fault(path) != ""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("States.Array(1, -2.5e3, true, null, 'it\\'s', $.a[?(@.b==1)], States.UUID())", ""),
        ("States.UUID( )", ""),
        ("States.MathAdd($.a)", "States.MathAdd: expected 2 arguments, found 1"),
        ("States.UUID() x", "not an intrinsic function from character 14 on"),
        ("States.UUID", "States.UUID: expected ( after it"),
        ("States.Format('a'", "expected , or ) at character 18"),
        ("States.Format(a)", "expected a path, a 'text', a number or a function at character 15"),
        ("States.Array(" * 11 + "1" + ")" * 11, "nested deeper than 10"),
    ],
)
def test_an_intrinsic_function_is_read_whole(text, fault):
    assert fault in find_template_fault(text)
    assert bool(fault) == bool(find_template_fault(text))
