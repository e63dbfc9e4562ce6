"""Notebook 06's tables, against the zip and template that they tell of."""

from __future__ import annotations

import re
from textwrap import indent

import pytest

from dataops.core.checks import Check
from dataops.deploy import imported
from dataops.deploy.template import TEMPLATE, Tagged, parse_template
from dataops.errors import BatchFileError, Permanent
from dataops.flow import FlowFile, parse_flow
from dataops.workbook.changes import Changes
from dataops.workbook.packaging import package_batch, require_deployable
from dataops.workbook.preflight import Preflight
from dataops.workbook.run import find_batch
from tests.samples import batch_of

UNMADE = Changes("dataops", untried="name a bucket")
CHECKS = [Check("source", of, status) for of, status in (("login", "ok"), ("grants", "warning"))]
GREEN = Preflight("orders", (*CHECKS, *[Check("quota", of, "not tried") for of in ("units", "concurrency")]))


@pytest.fixture(scope="module")
def packaging():
    return package_batch(find_batch("orders"), flows=[])


@pytest.fixture(scope="module")
def in_flow():
    """The same, with a flow that starts two of the batches."""
    steps = {"flow": "evening", "steps": ["orders", "customers"], "schedule": {"expression": "cron(30 9 * * ? *)"}}
    names = {name: find_batch(name) for name in steps["steps"]}
    return package_batch(names["orders"], flows=[FlowFile(parse_flow(steps), names)])


def test_every_module_of_ours_is_proven(packaging):
    ours = [proof for proof in packaging.proofs if proof.is_ours and proof.file.endswith(".py")]
    assert {proof.imported for proof in ours} == {"same"}
    assert {"dataops/core", "dataops/handlers", "pymysql"} <= {row[0] for row in packaging.parts().rows}


VIA_SECRETS = "kms:ViaService StringEquals secretsmanager.AWS::Region.amazonaws.com"


@pytest.mark.parametrize(
    "row",
    [
        ("RollBack", "allow", "sns:Publish", "Failures", "-"),
        ("Plan", "allow", "rds-db:connect", "SourceDatabaseUsers", "WithSourceTokens (SourceDatabaseUsers)"),
        ("RollBack", "allow", "kms:Decrypt", "SecretsKey", f"WithSecretsKey (SecretsKey); {VIA_SECRETS}"),
    ],
    ids=["plain", "in the stack under a condition", "for some calls only"],
)
def test_a_statement_is_told_with_what_it_reaches_and_when(packaging, row):
    assert row in packaging.grants().rows


def test_names_begin_with_the_stacks(packaging):
    told = {row[3] for row in packaging.grants("staging").rows if row[0] == "MachineRole"}
    assert "states stateMachine:staging-batch" in told
    assert packaging.grants("").rows == packaging.grants().rows
    assert "dataops-" not in repr(packaging.grants("staging").rows)


def test_the_network_is_told_with_its_condition_and_denied_to_our_code(packaging):
    rows = [row for row in packaging.grants().rows if row[0].startswith("NetworkPolicy (of ")]
    denied = "InVpc (SubnetIds); lambda:SourceFunctionArn ArnLike lambda function:dataops-*"
    assert [(row[1], row[4]) for row in rows] == [("allow", "InVpc (SubnetIds)")] * 2 + [("deny", denied)]


def test_every_condition_of_the_template_is_told(packaging):
    text, told = TEMPLATE.read_text("utf-8"), packaging.grants().rows
    statements = [line for line in text.splitlines() if re.search(r"!If .*Effect: ", line)]
    assert len([row for row in told if row[4] != "-" and "NetworkPolicy" not in row[0]]) == len(statements) > 0


def test_the_template_is_told_whole_and_the_batchs_own_part_is_open(packaging):
    parts = packaging.template().parts
    texts = [part.text for part in parts if part.title.startswith(("batch ", "AWS::"))]
    told = parse_template("Resources:\n" + indent("\n".join(texts), "  "))
    assert told["Resources"] == parse_template(packaging.release.template_text)["Resources"]
    (opened,) = [part for part in parts if part.is_open]
    assert opened.title.endswith("orders: OrdersBatchTable, OrdersRowsRejected, OrdersRunMissing, OrdersSchedule")
    assert opened.text.splitlines()[-1] in repr(packaging.template())
    assert "ControlTable:" not in repr(packaging.template())
    assert {"Parameters", "Conditions", "Outputs"} <= {part.title for part in parts}


def test_a_batch_is_told_what_it_brings(packaging):
    brought = {kind: names for kind, _, names in packaging.resources().rows if names != "-"}
    assert brought["AWS::DynamoDB::Table"] == "OrdersBatchTable"
    assert brought["AWS::Scheduler::Schedule"] == "OrdersSchedule"


def test_firings_are_told_in_both_times(packaging):
    rows = packaging.firings("2026-12-01T00:00:00Z").rows
    assert rows[0] == ("2026-12-01 18:00:00", "2026-12-02 03:00:00 Wed")
    assert len(rows) == 10
    with pytest.raises(BatchFileError, match="firings_from"):
        packaging.firings("tomorrow")


def test_a_batch_that_a_flow_starts_fires_when_that_does(in_flow):
    assert in_flow.firings("2026-12-01T00:00:00Z").rows[0] == ("2026-12-01 09:30:00", "2026-12-01 09:30:00 Tue")
    assert "by flow evening" in in_flow.firings("2026-12-01T00:00:00Z").caption
    titles = [part.title for part in in_flow.template().parts]
    assert titles[0].endswith("orders: OrdersBatchTable, OrdersRowsRejected, OrdersRunMissing")
    (flow,) = [title for title in titles if title.startswith("flow evening: ")]
    assert flow.startswith("flow evening: EveningFlowMachine, EveningFlowFailed")


def test_a_flow_that_cannot_be_worked_out_from_here_is_noted():
    lost = batch_of(batch="lost", source__secret="dataops/nosuch")
    left = package_batch(
        find_batch("orders"), flows=[FlowFile(parse_flow({"flow": "f", "batches": ["lost"]}), {"lost": lost})]
    )
    assert "; left out: flow f: batches: give steps instead" in left.resources().caption
    assert "; left out: flow f: batches: give steps instead" in require_deployable(left, UNMADE, GREEN)


def test_the_verdict_fails_on_what_is_wrong(packaging, monkeypatch):
    verdict = require_deployable(packaging, UNMADE, GREEN)
    assert verdict.endswith("; no change set was made: name a bucket; preflight: 1 ok, 1 warning, 2 not tried.")
    with pytest.raises(Permanent, match="CloudFormation refuses it"):
        require_deployable(packaging, Changes("dataops", refused="CloudFormation refuses it"), GREEN)
    with pytest.raises(Permanent, match="source: login"):
        require_deployable(
            packaging, UNMADE, Preflight("orders", (Check("source", "login", "failed", "refused", "look"),))
        )
    other = compile("LIMIT = 3", "dynamodb.py", "exec")
    monkeypatch.setitem(imported._EXECUTED, "dataops.core.dynamodb", [other])
    with pytest.raises(Permanent, match=r"core/dynamodb\.py: what was imported here is not what the zip holds"):
        require_deployable(packaging, UNMADE, GREEN)


def test_the_verdict_fails_on_a_role_that_is_too_wide(packaging, monkeypatch):
    role = packaging.release.template["Resources"]["RollBackRole"]["Properties"]
    statements = role["Policies"][0]["PolicyDocument"]["Statement"]
    (place,) = [n for n, of in enumerate(statements) if isinstance(of, dict) and of["Action"] == ["sns:Publish"]]
    assert statements[place]["Resource"] == Tagged("Ref", "Failures")
    monkeypatch.setitem(statements[place], "Resource", "*")
    with pytest.raises(Permanent, match=r"sns:Publish on \*: RollBackRole needs no such thing"):
        require_deployable(packaging, UNMADE, GREEN)
