"""Preflight: ask the deployed function whether all that a run of a batch needs is there, and show its answer."""

from __future__ import annotations

import json
import os
from typing import Any

import msgspec

from dataops.batch import Batch
from dataops.core.checks import Check
from dataops.errors import Permanent
from dataops.workbook.run import list_batches
from dataops.workbook.stack import attach, deploy_to_stack
from dataops.workbook.table import Badge, Table

WAIT_SECONDS = 900
MARKS = {
    "ok": Badge("✓ ok", "#387a48"), "warning": Badge("! warning", "#8a6a1b"), "failed": Badge("✗ failed", "#b93a32"),
    "not tried": Badge("- not tried", "#626c78"),
}  # fmt: skip


class Preflight(msgspec.Struct, frozen=True):
    """What a preflight found; shows itself in a notebook, with addresses that differ from stack to stack."""

    batch: str
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The red lines."""
        return tuple(check for check in self.checks if check.status == "failed")

    @property
    def exit_status(self) -> int:
        """0 when nothing failed, 1 otherwise."""
        return 1 if self.failed else 0

    @property
    def counts(self) -> str:
        """How many lines there are of each status."""
        counts = {status: sum(check.status == status for check in self.checks) for status in MARKS}
        return ", ".join(f"{number} {status}" for status, number in counts.items() if number or status == "ok")

    def summary(self) -> str:
        """The counts in one line."""
        return f"{self.batch}: {self.counts}"

    def table(self) -> Table:
        """A line for each check: side, check, how it is, what was found, what to do."""
        rows = [
            (check.side, check.check, MARKS[check.status], check.found or "–", check.remedy or "–")
            for check in self.checks
        ]
        columns = ("side", "check", "status", "found", "what to do")
        return Table(columns, rows, self.summary(), wrapped=columns[3:])

    def to_json(self) -> dict[str, Any]:
        """The preflight as one mapping of plain values."""
        return {"batch": self.batch, "ok": not self.failed, "checks": msgspec.to_builtins(self.checks)}

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def __repr__(self) -> str:
        return self.table().text()


def preflight(batch: Batch, workers: int = 4) -> Preflight:
    """Invoke `dataops-preflight` with the batch, on the embedded stack or in AWS.

    Raises Permanent when the function is not there or ends without an answer.
    """
    if attach():
        deploy_to_stack(batch, list_batches())
    checks = [*_invoke({"batch": msgspec.to_builtins(batch)}), _check_concurrency(workers)]
    sides = list(dict.fromkeys(check.side for check in checks))
    return Preflight(batch.batch, tuple(sorted(checks, key=lambda check: sides.index(check.side))))


def require_ready(found: Preflight) -> str:
    """The verdict. Raises Permanent with the first red line."""
    if found.failed:
        first = found.failed[0]
        raise Permanent(f"{found.batch}: {first.side}: {first.check}: {first.found}; {first.remedy}")
    return f"{found.batch}: ready to run; {found.counts}."


def _function() -> str:
    """The name of the function: that of the state machine says which stack's."""
    machine = os.environ.get("DATAOPS_STATE_MACHINE_ARN", "dataops-batch").rpartition(":")[2]
    return f"{machine.removesuffix('-batch')}-preflight"


def _client() -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client("lambda", config=Config(read_timeout=WAIT_SECONDS, retries={"total_max_attempts": 1}))


def _invoke(event: dict[str, Any]) -> list[Check]:
    client, name = _client(), _function()
    try:
        reply = client.invoke(FunctionName=name, Payload=json.dumps(event))
    except client.exceptions.ResourceNotFoundException as error:
        raise Permanent(f"function {name}: is not there; deploy it first") from error
    told = json.loads(reply["Payload"].read())
    if reply.get("FunctionError"):
        raise Permanent(f"function {name}: {told.get('errorMessage', 'ended without an answer')}")
    return msgspec.convert(told["checks"], list[Check])


def _check_concurrency(workers: int) -> Check:
    """Whether the account lets as many functions run at once; asked from here, for there is no endpoint in a VPC."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        most = _client().get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    except (ClientError, BotoCoreError, KeyError):
        return Check("quota", "Lambda concurrency", "not tried", "", "the service would not say; see Service Quotas")
    if most > workers:
        return Check("quota", "Lambda concurrency", "ok", f"{most:,} at once, {workers:,} workers")
    remedy = "run with fewer workers, or ask for a higher quota of Concurrent executions"
    return Check("quota", "Lambda concurrency", "warning", f"{most:,} at once, {workers:,} workers", remedy)
