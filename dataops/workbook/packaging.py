"""What a deployment will consist of: the code proven, what each function may do, the resources, the firings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, NamedTuple

from dataops.batch import Batch
from dataops.deploy.alarms import batch_alarms
from dataops.deploy.compose import logical_name
from dataops.deploy.proof import FileProof, require_same_code
from dataops.deploy.release import Release, build_release
from dataops.deploy.roles import Grant, check_roles, list_grants
from dataops.deploy.schedule import find_zone, list_firings, parse_schedule
from dataops.deploy.template import TEMPLATE, Tagged, of_type, read_template
from dataops.errors import BatchFileError, Permanent
from dataops.workbook.preflight import Preflight, require_ready
from dataops.workbook.run import list_batches
from dataops.workbook.table import Table

_ARN = re.compile(r"arn:\$\{AWS::Partition\}:([\w-]+):\$\{AWS::Region\}:\$\{AWS::AccountId\}:")


class Packaging(NamedTuple):
    """A release of all batches, seen from one of them, with the proof of every file of its zip."""

    batch: Batch
    release: Release
    proofs: tuple[FileProof, ...]

    def parts(self) -> Table:
        """Each part of the zip: whether all that is imported here is the same."""
        parts: dict[str, list[FileProof]] = {}
        for proof in self.proofs:
            if proof.imported != "not imported":
                parts.setdefault(_part(proof), []).append(proof)
        rows = [(part, _same(of), "what functions do" if of[0].is_ours else "bytes") for part, of in parts.items()]
        return Table(("part of the zip", "imported here", "compared by"), rows, "every module of ours was imported")

    def contents(self) -> Table:
        """Every file of the zip with its bytes and digest; the caption has the zip's own."""
        rows = [(proof.file, proof.size, proof.imported, proof.sha256[:16]) for proof in self.proofs]
        caption = f"{self.release.keys['CodeKey']}: {len(self.release.zip):,} bytes"
        return Table(("file", "bytes", "imported here", "sha256 begins"), rows, caption)

    def grants(self) -> Table:
        """A line for each IAM statement: whose, what it allows, on what, and the condition under which it is there."""
        functions = {
            str(of["Role"].value).removesuffix(".Arn"): name
            for name, of in of_type(self.release.template, "AWS::Lambda::Function")
        }
        rows = [
            (
                functions.get(grant.owner, grant.owner),
                "allow" if grant.allows else "deny",
                ", ".join(map(str, grant.actions)),
                ", ".join(map(_spell, grant.resources)),
                self._condition(grant),
            )
            for grant in list_grants(self.release.template)
        ]
        columns = ("function or role", "effect", "actions", "resources", "only if")
        return Table(columns, rows, f"{len(rows)} statements", wrapped=("actions", "resources"))

    def resources(self) -> Table:
        """How many resources of each type the stack has, and the names of those that this batch brings."""
        own: dict[str, list[str]] = {}
        for name in self._own():
            own.setdefault(self.release.template["Resources"][name]["Type"], []).append(name)
        rows = [(kind, count, ", ".join(own.get(kind, ["-"]))) for kind, count in self.release.counts.items()]
        caption = f"batches {', '.join(self.release.batches)}: {sum(self.release.counts.values())} resources"
        return Table(
            ("type", "in all", f"of batch {self.batch.batch}"), rows, caption, wrapped=(f"of batch {self.batch.batch}",)
        )

    def firings(self, since: str, count: int = 10) -> Table:
        """The next firings after an ISO-8601 instant, in UTC and local time. Raises BatchFileError for another text."""
        if self.batch.schedule is None:
            return Table(("UTC", "local"), [], "no schedule: the batch starts by hand")
        try:
            start = datetime.fromisoformat(since)
        except ValueError:
            raise BatchFileError(
                "firings_from: expected an instant such as 2026-12-01T00:00:00Z, found another text"
            ) from None
        expression, zone = self.batch.schedule.expression, self.batch.schedule.timezone or ""
        start = start if start.tzinfo else start.replace(tzinfo=UTC)
        instants = list_firings(parse_schedule(expression, zone), start, zone, count)
        rows = [
            (f"{at:%Y-%m-%d %H:%M:%S}", f"{at.astimezone(find_zone(zone)):%Y-%m-%d %H:%M:%S %a}") for at in instants
        ]
        return Table(("UTC", zone or "UTC, by name of day"), rows, f"{expression}, {zone or 'UTC'}; after {since}")

    def _own(self) -> Iterator[str]:
        tables = of_type(self.release.template, "AWS::DynamoDB::Table")
        yield from (name for name, of in tables if of.get("TableName") == self.batch.dynamodb.table)
        endings = [*dict(batch_alarms(self.batch)), *(["Schedule"] if self.batch.schedule else [])]
        yield from (logical_name(self.batch.batch) + ending for ending in endings)

    def _condition(self, grant: Grant) -> str:
        found: Any = self.release.template
        for step in grant.path:
            found = found[step]
        return str(found.value[0]) if isinstance(found, Tagged) else "-"


def package_batch(batch: Batch) -> Packaging:
    """Build what `dataops deploy` would upload, import every module of ours in it, and prove them.

    `batch` stands in for the one of its name in stepfunctions/batches. Raises Permanent where imported code differs.
    """
    others = [other for other in list_batches() if other.batch != batch.batch]
    release = build_release([*others, batch])
    for proof in release.proofs:
        if proof.is_ours and proof.file.endswith(".py"):
            import_module(proof.file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    return Packaging(batch, release, tuple(require_same_code(release.zip)))


def require_deployable(packaging: Packaging, found: Preflight) -> str:
    """The verdict. Raises Permanent where code differs, a role is wider than needed, or the preflight is red."""
    name = packaging.batch.batch
    require_same_code(packaging.release.zip)
    for fault in check_roles(packaging.release.template, TEMPLATE.read_text("utf-8"), read_template()):
        raise Permanent(f"{name}: {fault.where}: {fault.what}")
    require_ready(found)
    return f"{name}: the code here is the code in the zip; no role is wider than needed; the preflight is green."


def _part(proof: FileProof) -> str:
    folders = proof.file.split("/")[:-1]
    return "/".join(folders[:2]) if proof.is_ours else folders[0]


def _same(proofs: list[FileProof]) -> str:
    differing = [proof.file for proof in proofs if proof.imported != "same"]
    return f"✗ {differing[0]} differs" if differing else "✓ the same"


def _spell(resource: Any) -> str:
    """A resource in short: its logical id, or its ARN without what every ARN of the account shares."""
    text = str(resource.value if isinstance(resource, Tagged) else resource)
    short = _ARN.sub(r"\1 ", text).replace("${AWS::StackName}", "dataops").replace(".Arn", "")
    return short.replace("${", "").replace("}", "")
