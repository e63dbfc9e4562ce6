"""Intrinsic functions as text: one spelling for all the ways to write the same."""

from __future__ import annotations

import pytest

from dataops.deploy.iam.intrinsic import find_target, spell_out
from dataops.deploy.template import Tagged, parse_template


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("!Ref Topic", "${Topic}"),
        ("{Ref: Topic}", "${Topic}"),
        ("!GetAtt Table.Arn", "${Table.Arn}"),
        ("!GetAtt [Table, Arn]", "${Table.Arn}"),
        ('{"Fn::GetAtt": [Table, Arn]}', "${Table.Arn}"),
        ('!Sub "${Table.Arn}/index/*"', "${Table.Arn}/index/*"),
        ('!Sub ["a:${X}/${Table}", {X: "*"}]', "a:*/${Table}"),
        ('{"Fn::Sub": ["a:${X}", {X: !Ref Topic}]}', "a:${Topic}"),
        ('!Join [":", [a, !Ref Topic, {Ref: "AWS::NoValue"}, "*"]]', "a:${Topic}:*"),
        ('"${Topic}"', "${!Topic}"),
        ('!Join [",", !Ref SubnetIds]', Tagged("Join", [",", "${SubnetIds}"])),
        ('{"Fn::If": [A, {Ref: Topic}, {"Fn::ImportValue": b}]}', Tagged("If", ["A", "${Topic}", Tagged("ImportValue", "b")])),
        ("[1, {a: !Ref Topic, b: null}]", [1, {"a": "${Topic}", "b": None}]),
    ],
)  # fmt: skip
def test_a_function_is_the_text_that_sub_would_take_for_it(written, text):
    assert spell_out(parse_template(f"Resources: {{R: {written}}}"))["Resources"]["R"] == text


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("${Role.Arn}", "Role"),
        ("${Topic}", "Topic"),
        ("${Table.StreamArn}", ""),
        ("${Table.Arn}/index/*", ""),
        ("${!Topic}", ""),
        (Tagged("ImportValue", "Role"), ""),
    ],
)
def test_a_target_is_what_is_named_and_nothing_else(text, target):
    assert find_target(text) == target
