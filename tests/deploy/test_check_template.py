"""The template's check: every widening of a role is told with its place, and so is what cfn-lint overlooks."""

import re

import pytest

from dataops.deploy.check_template import check_template
from dataops.deploy.template import TEMPLATE

TEXT = TEMPLATE.read_text()
LOG = "{Effect: Allow, Action: [logs:CreateLogStream, logs:PutLogEvents], Resource: !GetAtt PlanLog.Arn}"
START = "{Effect: Allow, Action: [states:StartExecution], Resource: [!Ref BatchMachine]}"
PLAN = r"Resources.PlanRole.Properties.Policies[0].PolicyDocument.Statement[0]"
MACHINE = "Resources.MachineRole.Properties.Policies[0].PolicyDocument.Statement[0].Resource"
SCHEDULE = "Resources.ScheduleRole.Properties.Policies[0].PolicyDocument.Statement[0]"


def found(tmp_path, old, new, lint=False, monkeypatch=None):
    """Places and messages of the faults in the template with a change, cfn-lint's left out unless it is wanted."""
    assert old in TEXT
    path = tmp_path / "template.yml"
    path.write_text(TEXT.replace(old, new, 1))
    return [fault[:2] for fault in check_template(path) if lint or "cfn-lint" not in fault.what]


@pytest.fixture
def unlinted(monkeypatch):
    """Without cfn-lint, which takes seconds."""
    monkeypatch.setattr("dataops.deploy.check_template.has_linter", lambda: False)


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        (LOG, LOG.replace("!GetAtt PlanLog.Arn", '"*"'), PLAN, "logs:CreateLogStream, logs:PutLogEvents on *: PlanRole needs"),
        (LOG, LOG.replace("!GetAtt PlanLog.Arn", '!Sub "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*"'),
         PLAN, "logs:CreateLogStream, logs:PutLogEvents on arn:${AWS::Partition}:logs"),
        (LOG, LOG.replace("logs:PutLogEvents", '"logs:Put*"'), f"{PLAN}.Action", "logs:Put*: a wildcard"),
        (LOG, LOG.replace("logs:PutLogEvents", "logs:DeleteLogGroup"), PLAN,
         "logs:DeleteLogGroup on ${PlanLog.Arn}: PlanRole needs no such thing"),
        (LOG, LOG.replace("Action", "NotAction"), f"{PLAN}.NotAction", "allows all but what it names"),
        ("                  - !GetAtt Plan.Arn\n", "                  - !GetAtt Plan.Arn\n                  - !GetAtt Preflight.Arn\n",
         MACHINE.removesuffix(".Resource"), "lambda:InvokeFunction on ${Preflight.Arn}: MachineRole needs no such thing"),
        ("                  - !GetAtt Plan.Arn\n", "", MACHINE, "machine BatchMachine also needs lambda:InvokeFunction on Plan"),
        (START, START.replace("[!Ref BatchMachine]", '["*"]'), SCHEDULE, "states:StartExecution on *: ScheduleRole needs no such thing"),
        ("ManagedPolicyArns: [!If", 'ManagedPolicyArns: ["arn:aws:iam::aws:policy/AdministratorAccess", !If',
         "Resources.PlanRole.Properties.ManagedPolicyArns[0]", "a managed policy of somebody else's"),
        ("Principal: {Service: lambda.amazonaws.com}", 'Principal: "*"',
         "Resources.PlanRole.Properties.AssumeRolePolicyDocument.Statement[0].Principal", "anybody may take this role"),
    ],
    ids=lambda value: "",
)  # fmt: skip
def test_a_role_that_is_wider_than_needed_is_told_with_its_place(unlinted, tmp_path, old, new, where, what):
    faults = found(tmp_path, old, new)
    assert where in [place for place, _ in faults]
    assert any(place == where and told.startswith(what) for place, told in faults)


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("dataops.handlers.plan.handler", "dataops.handlers.plann.handler", "Resources.Plan.Properties.Handler", "is no handler"),
        ('"${AWS::StackName}-plan"\n', '"${AWS::StackName}-plann"\n', "Resources.Plan.Properties.FunctionName", "expected !Sub"),
        ("Resources:\n", "Resources:\n  R: {Type: AWS::Scheduler::Schedule, Properties: {ScheduleExpression: \"cron(61 25 32 13 ? *)\"}}\n",
         "Resources.R.Properties.ScheduleExpression", "schedule: cron: field 1, minutes"),
        ("Resources:\n", "Resources:\n  R: {Type: AWS::Events::Rule, Properties: {ScheduleExpression: rate(1 days)}}\n",
         "Resources.R.Properties.ScheduleExpression", "schedule: rate: expected rate(1 day)"),
        ("Resources:\n", "Resources:\n  R: {Type: AWS::Events::Rule, Properties: {ScheduleExpression: \"at(2027-01-01T00:00:00)\"}}\n",
         "Resources.R.Properties.ScheduleExpression", "schedule: at() is Scheduler's"),
        ("Resources:\n", 'Resources:\n  M: {Type: AWS::StepFunctions::StateMachine, Properties: {DefinitionString: \'{"StartAt": "A", '
         '"States": {"A": {"Type": "Pass", "Next": "B"}}}\'}}\n', "Resources.M.Properties.DefinitionString: States.A.Next", "no state"),
    ],
    ids=lambda value: "",
)  # fmt: skip
def test_what_cfn_lint_overlooks_is_told_with_its_place(unlinted, tmp_path, old, new, where, what):
    assert any(place == where and what in told for place, told in found(tmp_path, old, new))


def test_cfn_lints_errors_are_told_with_resource_and_property(tmp_path):
    (fault, *_) = [of for of in found(tmp_path, "Statistic: Sum", "Statistic: Summ", lint=True) if "cfn-lint" in of[1]]
    assert fault[0] == "Resources.RunsFailed.Properties.Statistic"
    assert re.match(r"'Summ' is not one of .*\(cfn-lint E3030\)", fault[1])


def test_a_part_of_another_shape_is_one_fault(unlinted, tmp_path):
    ((where, what),) = found(tmp_path, "Resources:\n", "Resources:\n  Odd: 3\n")
    assert where == "Resources"
    assert what.startswith("a part is not shaped as CloudFormation wants it")
