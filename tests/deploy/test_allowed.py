"""The table of what roles may do: the template has all of it, and whatever is added to a role of the template is told."""

from __future__ import annotations

import copy

import pytest

from dataops.deploy.compose import compose
from dataops.deploy.iam import check_roles, list_grants
from dataops.deploy.iam.allowed import ALLOWED, actions_on, names_of
from dataops.deploy.iam.intrinsic import spell_out
from dataops.deploy.template import TEMPLATE, Tagged, of_type, read_template
from tests.samples import batch_of

TEXT, WHOLE = TEMPLATE.read_text(), read_template()
ROLES = [name for name, _ in of_type(WHOLE, "AWS::IAM::Role")]
CONTROL, PLAN = Tagged("GetAtt", "ControlTable.Arn"), Tagged("GetAtt", "Plan.Arn")
EXECUTIONS = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:stateMachine:${AWS::StackName}-*"


def allow(action, resource, **others):
    return {"Effect": "Allow", "Action": [action], "Resource": resource, **others}


TRUST = "Resources.{}.Properties.AssumeRolePolicyDocument.Statement"


ADDITIONS = {
    "another action on a resource it has": lambda own: allow("dynamodb:DeleteTable", own[0].resources[-1]),
    "an action it has on another resource": lambda own: allow(own[0].actions[0], Tagged("Ref", "MachineLog")),
    "an action it has on another account's table": lambda own: allow(
        own[-1].actions[0], "arn:aws:dynamodb:eu-west-1:999999999999:table/payroll"
    ),
    "an action it has on the stack's own and more": lambda own: allow(own[0].actions[0], Tagged("Sub", EXECUTIONS)),
    "an action it has on everything": lambda own: allow(own[0].actions[0], "*"),
    "an action that is worked out later": lambda own: allow(Tagged("Ref", "AlarmEmail"), own[0].resources[0]),
    "an effect that is worked out later": lambda own: allow("iam:PassRole", CONTROL, Effect=Tagged("Ref", "AlarmEmail")),
    "NotAction": lambda own: {"Effect": "Allow", "NotAction": ["iam:PassRole"], "Resource": own[0].resources[0]},
    "NotResource": lambda own: {"Effect": "Allow", "Action": own[0].actions, "NotResource": CONTROL},
    "under a condition": lambda own: Tagged("If", ["InVpc", allow("dynamodb:DeleteTable", CONTROL), Tagged("Ref", "AWS::NoValue")]),
    "a condition in its long form": lambda own: {"Fn::If": ["InVpc", allow("iam:PassRole", CONTROL), {"Ref": "AWS::NoValue"}]},
}  # fmt: skip


def changed(role, change, place):
    """Faults at a place of the template with a change to a role's properties; no comment gives a reason."""
    template = copy.deepcopy(WHOLE)
    change(template["Resources"], template["Resources"][role]["Properties"])
    return [fault for fault in check_roles(template, "Resources: {}") if fault.where.startswith(place)]


@pytest.mark.parametrize("addition", ADDITIONS)
@pytest.mark.parametrize("role", ROLES)
def test_a_statement_added_to_a_role_is_one_fault_with_its_place(role, addition):
    added = ADDITIONS[addition]([grant for grant in list_grants(WHOLE) if grant.owner == role])
    place = f"Resources.{role}.Properties.Policies[0].PolicyDocument.Statement[0]"
    faults = changed(role, lambda _, of: of["Policies"][0]["PolicyDocument"]["Statement"].insert(0, added), place)
    assert len(faults) == 1


@pytest.mark.parametrize("role", ROLES)
def test_a_policy_put_on_a_role_is_told(role):
    document = {"PolicyDocument": {"Statement": [allow("dynamodb:DeleteTable", CONTROL)]}}

    def attach(kind, **part):
        return lambda resources, properties: resources.update(More={"Type": kind, "Properties": {**document, **part}})

    def name_policy(policy):
        return lambda resources, properties: properties.setdefault("ManagedPolicyArns", []).append(policy)

    reference, aws = Tagged("Ref", role), "arn:${AWS::Partition}:iam::aws:policy/ReadOnlyAccess"
    assert changed(role, attach("AWS::IAM::ManagedPolicy", Roles=[reference]), "Resources.More.")
    assert changed(
        role, attach("AWS::IAM::Policy", Roles=[Tagged("If", ["InVpc", reference, "other"])]), "Resources.More."
    )
    assert changed(role, attach("AWS::IAM::RolePolicy", RoleName=reference), "Resources.More.")
    for policy in (Tagged("Ref", "More"), Tagged("Sub", aws), aws, Tagged("If", ["InVpc", Tagged("Ref", "More"), aws])):
        assert changed(role, name_policy(policy), f"Resources.{role}.Properties.ManagedPolicyArns[")


@pytest.mark.parametrize("role", ROLES)
def test_nobody_else_may_take_a_role(role):
    for principal in ({"AWS": "arn:aws:iam::999999999999:root"}, {"Service": "ec2.amazonaws.com"}, "*"):
        trusted = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        (fault,) = changed(
            role, lambda _, of, one=trusted: of["AssumeRolePolicyDocument"]["Statement"].append(one), TRUST.format(role)
        )
        assert fault.where.removesuffix(".Principal") == TRUST.format(role) + "[1]"


@pytest.mark.parametrize("role", ["MachineRole", "FlowMachineRole", "ScheduleRole"])
def test_a_service_takes_a_role_for_this_account_only(role):
    (fault,) = changed(
        role, lambda _, of: of["AssumeRolePolicyDocument"]["Statement"][0].pop("Condition"), f"Resources.{role}"
    )
    assert fault.where == TRUST.format(role) + "[0]"
    assert "aws:SourceAccount" in fault.what


VIA = {"StringEquals": {"kms:ViaService": Tagged("Sub", "secretsmanager.${AWS::Region}.amazonaws.com")}}


@pytest.mark.parametrize(
    ("condition", "faults"),
    [
        (VIA, 0),
        (VIA | {"Bool": {"aws:SecureTransport": "true"}}, 0),
        ({}, 1),
        ({"StringLike": {"kms:ViaService": "*"}}, 1),
        ({"StringEquals": {"kms:ViaService": ["s3.amazonaws.com", *VIA["StringEquals"].values()]}}, 1),
        (Tagged("If", ["InVpc", VIA, Tagged("Ref", "AWS::NoValue")]), 1),
    ],
)
def test_keys_are_used_through_secrets_manager_only(condition, faults):
    added = allow("kms:Decrypt", Tagged("Ref", "SecretsKey"), Condition=condition)
    place = "Resources.PlanRole.Properties.Policies[0].PolicyDocument.Statement[0]"
    found = changed("PlanRole", lambda _, of: of["Policies"][0]["PolicyDocument"]["Statement"].insert(0, added), place)
    assert len(found) == faults


DENY = WHOLE["Resources"]["NetworkPolicy"]["Properties"]["PolicyDocument"]["Statement"][2]


@pytest.mark.parametrize(
    ("statement", "faults"),
    [
        ({**DENY, "Sid": "Deny"}, 0),
        ({**DENY, "Action": DENY["Action"][:-1]}, 1),
        ({**DENY, "Condition": {**DENY["Condition"], "Bool": {"aws:SecureTransport": "false"}}}, 1),
        (Tagged("If", ["WithEmail", DENY, Tagged("Ref", "AWS::NoValue")]), 1),
    ],
)
def test_code_of_functions_is_kept_from_network_interfaces(statement, faults):
    template = copy.deepcopy(WHOLE)
    template["Resources"]["NetworkPolicy"]["Properties"]["PolicyDocument"]["Statement"][2] = statement
    assert len(list(check_roles(template, TEXT))) == faults


def test_the_template_has_what_the_table_allows_and_nothing_else():
    assert list(check_roles(WHOLE, TEXT)) == []
    spelled = spell_out(WHOLE)
    there = {
        (grant.owner, name, str(action))
        for grant in list_grants(spelled)
        if grant.allows
        for resource in grant.resources
        for name in names_of(resource, spelled)
        for action in grant.actions
    }
    table = {(owner, name, of) for owner, may in ALLOWED.items() for name in may for of in actions_on(owner, name)}
    assert table - there == {("ScheduleRole", "FlowMachines", "states:StartExecution")}
    assert there - table == set()


def made(name, **changes):
    return batch_of(batch=name, dynamodb__table=name, dynamodb__key_types={"id": "N"}, **changes)


def test_a_batch_s_own_table_and_secrets_are_allowed_and_no_others():
    template = compose(
        [made("one"), made("two", target__secret="arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf")]
    )
    assert list(check_roles(template, TEXT)) == []
    role = template["Resources"]["PlanRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    for other in ("arn:aws:dynamodb:eu-west-1:999999999999:table/payroll", "arn:aws:secretsmanager:r:1:secret:*"):
        role.append(allow("dynamodb:DescribeTable", other))
        (fault,) = check_roles(template, TEXT)
        assert other in fault.what
        role.pop()
