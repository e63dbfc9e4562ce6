"""Roles and policies that somebody adds to a template: narrow ones are taken, wide ones told with their place."""

from __future__ import annotations

import pytest

from dataops.deploy.iam import check_roles
from dataops.deploy.template import parse_template

TEMPLATE = """
Parameters:
  Anything: {{Type: String, Default: "*"}}
  Prefix: {{Type: String, Default: ""}}
Conditions: {{A: !Equals [a, b]}}
Resources:
  Table: {{Type: AWS::DynamoDB::Table}}
  Policy: {{Type: AWS::IAM::ManagedPolicy, Properties: {{PolicyDocument: {{Statement: []}}}}}}
  Own:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {{Statement: [{{Effect: Allow, Action: "sts:AssumeRole", {trust}}}]}}
      ManagedPolicyArns: [{managed}]
      Policies:
        - PolicyDocument:
            Statement:
              {comment}
              - {statement}
"""
GIVEN = {
    "trust": "Principal: {Service: lambda.amazonaws.com}",
    "managed": "!Ref Policy",
    "comment": "",
    "statement": '{Effect: Allow, Action: ["dynamodb:PutItem"], Resource: !GetAtt Table.Arn}',
}


def on(resource, action="dynamodb:PutItem"):
    """A statement on a resource."""
    return f'{{Effect: Allow, Action: ["{action}"], Resource: {resource}}}'


def faults(**changes):
    """Places within the role's properties of what is found in a template with such a role."""
    text = TEMPLATE.format(**{**GIVEN, **changes})
    return [fault.where.removeprefix("Resources.Own.Properties.") for fault in check_roles(parse_template(text), text)]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"trust": 'Principal: {Service: [ecs-tasks.amazonaws.com, !Sub "lambda.${AWS::URLSuffix}"]}'},
        {"managed": "!If [A, !Ref Policy, !Ref AWS::NoValue]"},
        {"statement": on('[!Sub "${Table.Arn}/index/*", !Sub "arn:aws:s3:::${AWS::StackName}-reports/*"]')},
        {"statement": on('"arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-??????"')},
        {"statement": on('!If [A, !GetAtt Table.Arn, {"Fn::Join": ["/", [!GetAtt Table.Arn, "index/*"]]}]')},
        {"statement": on('"*"', "cloudwatch:PutMetricData"), "comment": "# AWS knows no narrower resource."},
        {"statement": f"!If\n{' ' * 16}- A\n{' ' * 16}- {on('!ImportValue Table')}\n{' ' * 16}- []", "comment": "# It is shared by all."},
        {"statement": f"!If [A, {on('!ImportValue Table')}, !Ref AWS::NoValue]", "comment": "# The table of another stack."},
    ],
    ids=str,
)  # fmt: skip
def test_a_narrow_role_is_taken(change):
    assert faults(**change) == []


RESOURCE = "Policies[0].PolicyDocument.Statement[0].Resource"


@pytest.mark.parametrize(
    "resource",
    [
        '"*"', '!If [A, "*", !GetAtt Table.Arn]', '!Join ["", ["*"]]', '!Sub ["${X}", {X: "*"}]', '{"Fn::Sub": "arn:aws:s3:::*"}',
        '"arn:aws:dynamodb:*:*:table/payroll"', '!Sub "arn:aws:s3:::${Prefix}*"', '"{{resolve:ssm:/payroll}}"', "!ImportValue Table",
        '!Sub "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/*"', '"arn:aws:s3:::${Table}*"',
    ],
)  # fmt: skip
def test_a_resource_that_names_nothing_of_the_stack_takes_a_comment(resource):
    assert faults(statement=on(resource)) == [RESOURCE]
    for comment in ("# x", "# why not", "# ----------- ---"):
        assert faults(statement=on(resource), comment=comment) == [RESOURCE]
    assert faults(statement=on(resource), comment="# It is shared by all.") == []


def test_a_statement_under_a_condition_in_its_long_form_is_read():
    everything = on('"*"')
    statement = f'{{"Fn::If": [A, {everything}, {{Ref: "AWS::NoValue"}}]}}'
    assert faults(statement=statement) == ["Policies[0].PolicyDocument.Statement[0][1].Resource"]


@pytest.mark.parametrize(
    "action",
    [
        "iam:PassRole", "IAM:PutRolePolicy", "sts:AssumeRole", "lambda:AddPermission", "kms:CreateGrant", "s3:PutBucketPolicy",
        "secretsmanager:PutResourcePolicy", "dynamodb:*", "dynamodb", "${Anything}",
    ],
)  # fmt: skip
def test_an_action_that_hands_on_rights_or_cannot_be_read_is_told(action):
    assert faults(statement=on("!GetAtt Table.Arn", action), comment="# It is shared by all.") == [
        "Policies[0].PolicyDocument.Statement[0].Action"
    ]


@pytest.mark.parametrize(
    "trust",
    [
        'Principal: "*"', "NotPrincipal: {Service: lambda.amazonaws.com}", 'Principal: {AWS: "arn:aws:iam::999999999999:root"}',
        "Principal: {Service: lambda.amazonaws.com, AWS: !Ref AWS::AccountId}", "Principal: {Service: !Ref Prefix}",
        "Principal: {Federated: cognito-identity.amazonaws.com}", 'Principal: {Service: "*.amazonaws.com"}',
    ],
)  # fmt: skip
def test_a_role_is_taken_by_services_only(trust):
    assert faults(trust=trust) == ["AssumeRolePolicyDocument.Statement[0].Principal"]


@pytest.mark.parametrize(
    "policy",
    [
        '!Sub "arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess"', '"arn:aws:iam::aws:policy/AdministratorAccess"',
        "!Ref Anything", "!ImportValue Policy", '{"Fn::Join": ["", ["arn:aws:iam::aws:policy/", "AdministratorAccess"]]}',
    ],
)  # fmt: skip
def test_a_managed_policy_is_one_of_the_template(policy):
    assert faults(managed=policy) == ["ManagedPolicyArns[0]"]


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("!Ref Anything", ""),
        ('!FindInMap [Statements, "all", "one"]', ""),
        ('{effect: Allow, action: "*", resource: "*"}', ""),
        ('{Effect: Allow, NotAction: "iam:*", Resource: "*"}', ".NotAction"),
        ('{Effect: !Ref Prefix, Action: ["dynamodb:*"], Resource: !GetAtt Table.Arn}', ".Action"),
    ],
)
def test_a_statement_is_in_plain_words(statement, place):
    assert faults(statement=statement) == [f"Policies[0].PolicyDocument.Statement[0]{place}"]


def test_a_parameter_that_is_everything_by_default_is_told():
    assert faults(statement=on("!Ref Anything")) == ["Parameters.Anything.Default"]
    assert faults(statement=on("!Ref Prefix")) == []


@pytest.mark.parametrize(
    ("kind", "properties", "places"),
    [
        ("RolePolicy", "RoleName: !Ref Own", []),
        ("Policy", "Roles: [!Ref Own]", []),
        ("RolePolicy", "RoleName: somerole", ["RoleName"]),
        ("Policy", "Roles: [!If [A, !Ref Own, somerole]]", ["Roles[0][2]"]),
        ("ManagedPolicy", "Users: [bob], Groups: [all]", ["Groups[0]", "Users[0]"]),
        ("RolePolicy", "RoleName: !Ref Own, PolicyDocument: !Ref Anything", ["PolicyDocument"]),
        ("RolePolicy", 'RoleName: !Ref Own, PolicyDocument: {Statement: {Effect: Allow, Action: "*", Resource: "*"}}',
         ["PolicyDocument.Statement.Action"]),
    ],
)  # fmt: skip
def test_a_policy_is_put_on_the_template_s_own_roles(kind, properties, places):
    more = f"  More: {{Type: AWS::IAM::{kind}, Properties: {{{properties}}}}}"
    text = TEMPLATE.format(**GIVEN) + more
    found = [fault.where for fault in check_roles(parse_template(text), text)]
    assert sorted(found) == [f"Resources.More.Properties.{place}" for place in places]
