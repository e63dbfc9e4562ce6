"""Notebook 06's tables, against the zip and template that they tell of."""

from __future__ import annotations

import pytest

from dataops.core.checks import Check
from dataops.deploy.template import Tagged
from dataops.errors import BatchFileError, Permanent
from dataops.workbook.packaging import package_batch, require_deployable
from dataops.workbook.preflight import Preflight
from dataops.workbook.run import find_batch

GREEN = Preflight("orders", (Check("source", "login", "ok"),))


@pytest.fixture(scope="module")
def packaging():
    return package_batch(find_batch("orders"))


def test_every_module_of_ours_is_proven(packaging):
    ours = [proof for proof in packaging.proofs if proof.is_ours and proof.file.endswith(".py")]
    assert {proof.imported for proof in ours} == {"same"}
    assert {"dataops/core", "dataops/handlers", "pymysql"} <= {row[0] for row in packaging.parts().rows}


def test_a_statement_is_told_with_what_it_reaches(packaging):
    rows = packaging.grants().rows
    assert ("RollBack", "allow", "sns:Publish", "Failures", "-") in rows
    assert ("Plan", "allow", "rds-db:connect", "SourceDatabaseUsers", "WithSourceTokens") in rows


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


def test_the_verdict_fails_on_what_is_wrong(packaging, monkeypatch):
    assert require_deployable(packaging, GREEN).startswith("orders: ")
    with pytest.raises(Permanent, match="source: login"):
        require_deployable(packaging, Preflight("orders", (Check("source", "login", "failed", "refused", "look"),)))
    monkeypatch.setattr("dataops.core.dynamodb.dynamodb_client", lambda: None)
    with pytest.raises(Permanent, match="what is imported here is not what the zip holds"):
        require_deployable(packaging, GREEN)


def test_the_verdict_fails_on_a_role_that_is_too_wide(packaging, monkeypatch):
    role = packaging.release.template["Resources"]["RollBackRole"]["Properties"]
    statements = role["Policies"][0]["PolicyDocument"]["Statement"]
    (place,) = [n for n, of in enumerate(statements) if isinstance(of, dict) and of["Action"] == ["sns:Publish"]]
    assert statements[place]["Resource"] == Tagged("Ref", "Failures")
    monkeypatch.setitem(statements[place], "Resource", "*")
    with pytest.raises(Permanent, match=r"RollBackRole.*names nothing of this stack"):
        require_deployable(packaging, GREEN)
