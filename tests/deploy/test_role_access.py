"""Access beside roles' statements: roles from elsewhere, what lets somebody in, defaults that are everything."""

from __future__ import annotations

import pytest

from dataops.deploy.iam import check_roles
from dataops.deploy.template import TEMPLATE, parse_template, read_template, write_template

WHOLE = TEMPLATE.read_text()
TRUST = '{Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}]}'
ROLE = f"{{Type: AWS::IAM::Role, Properties: {{AssumeRolePolicyDocument: {TRUST}}}}}"
ADMIN = "arn:aws:iam::123456789012:role/Admin"
OPEN = '{Statement: [{Effect: Allow, Principal: "*", Action: "sqs:*", Resource: "*"}]}'


def places(resources, **parts):
    """Where something is found in a template of these resources, in YAML."""
    text = "Resources:\n" + "".join(f"  {name}: {resource}\n" for name, resource in resources.items())
    return [fault.where for fault in check_roles({**parse_template(text), **parts}, text)]


@pytest.mark.parametrize(
    ("kind", "properties", "place"),
    [
        ("AWS::Lambda::Function", "Role: %s", "Role"),
        ("AWS::StepFunctions::StateMachine", "RoleArn: %s", "RoleArn"),
        ("AWS::Scheduler::Schedule", "Target: {RoleArn: %s}", "Target.RoleArn"),
        ("AWS::Events::Rule", "Targets: [{RoleArn: %s}]", "Targets[0].RoleArn"),
        ("AWS::ECS::TaskDefinition", "ExecutionRoleArn: %s", "ExecutionRoleArn"),
    ],
)
def test_whatever_takes_a_role_takes_one_of_this_template(kind, properties, place):
    def taking(role):
        return places({"Own": ROLE, "Taker": f"{{Type: {kind}, Properties: {{{properties % role}}}}}"})

    for role in ("!GetAtt Own.Arn", '{"Fn::GetAtt": [Own, Arn]}', "!If [A, !GetAtt Own.Arn, !Ref AWS::NoValue]"):
        assert taking(role) == []
    for role in (ADMIN, "!ImportValue Admin", "!Ref Own", "!Ref Admin", "!GetAtt Taker.Arn", f'!Sub "{ADMIN}"'):
        assert taking(role) == [f"Resources.Taker.Properties.{place}"]
    assert taking(f"!If [A, !GetAtt Own.Arn, {ADMIN}]") == [f"Resources.Taker.Properties.{place}[2]"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Plan.Properties.Role: !GetAtt PlanRole.Arn", "!GetAtt RollBackRole.Arn"),
        ("Plan.Properties.Role: !GetAtt PlanRole.Arn", "!GetAtt MachineRole.Arn"),
        ("BatchMachine.Properties.RoleArn: !GetAtt MachineRole.Arn", "!GetAtt FlowMachineRole.Arn"),
    ],
)
def test_each_function_and_the_machine_take_the_role_that_is_theirs(old, new):
    place, role = old.split(": ")
    text = WHOLE.replace(f"{place.rpartition('.')[2]}: {role}", f"{place.rpartition('.')[2]}: {new}", 1)
    assert f"Resources.{place}" in [fault.where for fault in check_roles(parse_template(text), text)]


def test_nobody_else_takes_a_functions_role():
    other = "{Type: AWS::Lambda::Function, Properties: {Role: !GetAtt PlanRole.Arn}}"
    assert places({"PlanRole": ROLE, "Other": other}) == ["Resources.Other.Properties.Role"]


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::IAM::User", "{}"),
        ("AWS::IAM::Group", "{ManagedPolicyArns: [a]}"),
        ("AWS::IAM::UserPolicy", f"{{PolicyDocument: {OPEN}}}"),
        ("AWS::IAM::GroupPolicy", "{}"),
        ("AWS::IAM::AccessKey", "{}"),
        ("AWS::Lambda::Permission", '{Principal: "*"}'),
        ("AWS::Lambda::Url", "{AuthType: NONE}"),
        ("AWS::Events::EventBusPolicy", '{Action: "events:PutEvents", Principal: "*"}'),
        ("AWS::Logs::ResourcePolicy", "{PolicyDocument: '{}'}"),
        ("AWS::SNS::TopicPolicy", "{PolicyDocument: '{}'}"),
    ],
)
def test_a_type_that_is_there_to_let_somebody_in_is_told(kind, properties):
    assert places({"More": f"{{Type: {kind}, Properties: {properties}}}"}) == ["Resources.More"]


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("AWS::SQS::QueuePolicy", "PolicyDocument"),
        ("AWS::SNS::TopicPolicy", "PolicyDocument"),
        ("AWS::SecretsManager::ResourcePolicy", "ResourcePolicy"),
        ("AWS::S3::BucketPolicy", "PolicyDocument"),
        ("AWS::KMS::Key", "KeyPolicy"),
        ("AWS::ECR::Repository", "RepositoryPolicyText"),
    ],
)
def test_a_statement_that_lets_somebody_in_is_told_and_a_deny_is_not(kind, key):
    resource = f"{{Type: {kind}, Properties: {{{key}: {OPEN}}}}}"
    assert places({"More": resource}) == [f"Resources.More.Properties.{key}.Statement[0]"]
    assert places({"More": resource.replace("Allow", "Deny")}) == []


def test_an_endpoint_s_policy_only_takes_away():
    assert places({"More": f"{{Type: AWS::EC2::VPCEndpoint, Properties: {{PolicyDocument: {OPEN}}}}}"}) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('Principal: {Service: events.amazonaws.com}, Action: "sqs:SendMessage"', 'Principal: "*", Action: "sqs:SendMessage"'),
        ('Action: "sqs:SendMessage"', 'Action: "sqs:*"'),
        ("rule/${AWS::StackName}-*", "*"),
        ('ArnLike: {"aws:SourceArn"', 'ArnLikeIfExists: {"aws:SourceArn"'),
    ],
)  # fmt: skip
def test_the_dead_letters_come_from_the_stack_s_own_rules(old, new):
    text = WHOLE.replace(old, new)
    assert text != WHOLE
    (fault,) = check_roles(parse_template(text), text)
    assert fault.where == "Resources.DeadLettersPolicy.Properties.PolicyDocument.Statement[0]"


@pytest.mark.parametrize(
    ("more", "place"), [('Default: "*",', "Default"), ("Default: 'a,*',", "Default"), ('AllowedValues: ["*"],', "AllowedValues")]
)  # fmt: skip
def test_what_a_role_reaches_is_not_everything_by_default(more, place):
    text = WHOLE.replace("SourceSecrets: {", f"SourceSecrets: {{{more} ")
    (fault,) = check_roles(parse_template(text), text)
    assert fault.where == f"Parameters.SourceSecrets.{place}"


def test_a_macro_is_told():
    assert places({"Own": ROLE}, Transform="AWS::Serverless-2016-10-31") == ["Transform"]


def test_the_template_needs_none_of_its_comments():
    text = write_template(read_template())
    assert "#" not in text
    assert list(check_roles(parse_template(text), text)) == []
