"""Statements of a template's roles and policies: found wherever they stand, and compared."""

from __future__ import annotations

import pytest

from dataops.deploy.iam.grants import is_within, list_grants
from dataops.deploy.template import Tagged, parse_template


def test_a_statement_is_told_with_the_conditions_that_it_is_under():
    one, other = ({"Effect": "Allow", "Action": action, "Resource": "*"} for action in ("a:One", "b:Other"))
    either = Tagged("If", ["Sunny", Tagged("If", ["Windy", one, other]), Tagged("Ref", "AWS::NoValue")])
    properties = {"PolicyDocument": {"Statement": [either]}}
    policy = {"Type": "AWS::IAM::ManagedPolicy", "Condition": "Open", "Properties": properties}
    grants = list_grants({"Resources": {"Policy": policy}})
    assert [(grant.actions, grant.conditions) for grant in grants] == [
        (["a:One"], ("Open", "Sunny", "Windy")),
        (["b:Other"], ("Open", "Sunny", "not Windy")),
    ]


@pytest.mark.parametrize(
    ("kind", "properties", "place"),
    [
        ("Role", "Policies: [{PolicyDocument: {Statement: %s}}]", "Policies[0].PolicyDocument.Statement"),
        (
            "Role",
            "Policies: !If [A, [{PolicyDocument: {Statement: %s}}], []]",
            "Policies[1][0].PolicyDocument.Statement",
        ),
        ("Policy", "PolicyDocument: {Statement: [%s]}", "PolicyDocument.Statement[0]"),
        ("ManagedPolicy", "PolicyDocument: !If [A, {}, {Statement: %s}]", "PolicyDocument[2].Statement"),
        ("RolePolicy", "PolicyDocument: {Statement: !If [A, [%s], []]}", "PolicyDocument.Statement[1][0]"),
    ],
)
def test_a_statement_is_found_wherever_it_stands(kind, properties, place):
    statement = "{Effect: Allow, Action: [a:One], Resource: !If [A, [b, c], d]}"
    text = f"Resources: {{R: {{Type: AWS::IAM::{kind}, Properties: {{{properties % statement}}}}}}}"
    (grant,) = list_grants(parse_template(text))
    assert (grant.where, grant.resources) == (f"Resources.R.Properties.{place}", ["b", "c", "d"])


TABLE = {"Effect": "Allow", "Principal": {"Service": ["a", "b"]}, "Action": "s:A", "Condition": {"Is": {"key": "x"}}}


@pytest.mark.parametrize(
    ("change", "within"),
    [
        ({"Sid": "Any", "Action": ["s:A"]}, True),
        ({"Principal": {"Service": "a"}}, True),
        ({"Condition": {"Is": {"key": "x", "other": "y"}, "Not": {"key": "z"}}}, True),
        ({"Principal": {"Service": ["a", "c"]}}, False),
        ({"Principal": {"AWS": "a"}}, False),
        ({"Principal": "*"}, False),
        ({"NotPrincipal": {"Service": "a"}}, False),
        ({"Action": ["s:A", "s:B"]}, False),
        ({"Effect": Tagged("Ref", "Effect")}, False),
        ({"Condition": {}}, False),
        ({"Condition": {"Is": {"key": ["x", "y"]}}}, False),
        ({"Condition": {"Like": {"key": "x"}}}, False),
    ],
)
def test_a_statement_is_within_one_that_says_more_under_fewer_conditions(change, within):
    assert is_within({**TABLE, **change}, TABLE) == within
