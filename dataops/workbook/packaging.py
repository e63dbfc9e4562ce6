"""What a deployment will consist of: the code proven, what each function may do, the resources, the firings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from dataops.batch import Batch
from dataops.deploy.alarms import batch_alarms
from dataops.deploy.compose import logical_name
from dataops.deploy.iam import check_roles, list_grants
from dataops.deploy.proof import FileProof, require_same_code
from dataops.deploy.release import Release, build_release
from dataops.deploy.schedule import find_zone, list_firings, parse_schedule
from dataops.deploy.template import TEMPLATE, Tagged, of_type, walk, write_template
from dataops.errors import BatchFileError, Permanent
from dataops.flow import Flow, FlowFile
from dataops.workbook.changes import Changes, require_changes
from dataops.workbook.flow import list_flows, resolve_flows
from dataops.workbook.outline import Outline, Part
from dataops.workbook.preflight import Preflight, require_ready
from dataops.workbook.run import list_batches
from dataops.workbook.table import Table

_ARN = re.compile(r"arn:\$\{AWS::Partition\}:([\w-]+):\$\{AWS::Region\}:\$\{AWS::AccountId\}:")


class Packaging(NamedTuple):
    """A release of all batches and flows, seen from one batch, with the proof of every file of its zip.

    `left_out` says which flows are not in it, and why.
    """

    batch: Batch
    others: tuple[Batch, ...]
    flows: tuple[Flow, ...]
    left_out: tuple[str, ...]
    release: Release
    proofs: tuple[FileProof, ...]

    def parts(self) -> Table:
        """Each part of the zip: whether all that is imported here is the same."""
        parts: dict[str, list[FileProof]] = {}
        for proof in self.proofs:
            if proof.imported != "not imported":
                parts.setdefault(_part_of(proof), []).append(proof)
        rows = [
            (part, _same(of), "the code that ran" if of[0].is_ours else "the file now") for part, of in parts.items()
        ]
        return Table(("part of the zip", "imported here", "compared by"), rows, "every module of ours was imported")

    def contents(self) -> Table:
        """Every file of the zip with its bytes and digest; the caption has the zip's own."""
        rows = [(proof.file, proof.size, proof.imported, proof.sha256[:16]) for proof in self.proofs]
        caption = f"{self.release.keys['CodeKey']}: {len(self.release.zip):,} bytes"
        return Table(("file", "bytes", "imported here", "sha256 begins"), rows, caption)

    def grants(self, stack: str = "dataops") -> Table:
        """A line for each IAM statement: whose, what it allows or denies, on what, and both kinds of conditions.

        `stack` is the name that names of functions, machines and tables begin with (empty: the default).
        The stack has a statement only if its condition of the template holds, told with the parameter that decides it;
        then come what the statement itself asks of a call, as key, operator and value.
        """
        named = partial(_spell, stack=stack or "dataops")
        rows = [
            (
                self._whose(grant.owner),
                "allow" if grant.allows else "deny",
                ", ".join(map(str, grant.actions)),
                ", ".join(map(named, grant.resources)),
                "; ".join([*map(self._condition, grant.conditions), *_call_conditions(grant.statement, named)]) or "-",
            )
            for grant in list_grants(self.release.template)
        ]
        columns = ("function or role", "effect", "actions", "resources", "only if")
        return Table(columns, rows, f"{len(rows)} statements", wrapped=columns[2:])

    def resources(self) -> Table:
        """How many resources of each type the stack has, and the names of those that this batch brings."""
        own: dict[str, list[str]] = {}
        for name in self._own(self.batch):
            own.setdefault(self.release.template["Resources"][name]["Type"], []).append(name)
        rows = [(kind, count, ", ".join(own.get(kind, ["-"]))) for kind, count in self.release.counts.items()]
        caption = "; ".join(
            [f"{', '.join(self.release.names)}: {sum(self.release.counts.values())} resources", *self._omissions]
        )
        return Table(
            ("type", "in all", f"of batch {self.batch.batch}"), rows, caption, wrapped=(f"of batch {self.batch.batch}",)
        )

    def firings(self, since: str, count: int = 10) -> Table:
        """The next firings of the batch, or of the flow that starts it, after an ISO-8601 instant, in UTC and local time. Raises BatchFileError for another text."""
        flow = next((of for of in self.flows if of.schedule and self.batch.batch in of.names), None)
        schedule = flow.schedule if flow else self.batch.schedule
        if schedule is None:
            return Table(("UTC", "local"), [], "no schedule: the batch starts by hand")
        try:
            start = datetime.fromisoformat(since)
        except ValueError:
            raise BatchFileError(
                "firings_from: expected an instant such as 2026-12-01T00:00:00Z, found another text"
            ) from None
        expression, zone = schedule.expression, schedule.timezone or ""
        start = start if start.tzinfo else start.replace(tzinfo=UTC)
        instants = list_firings(parse_schedule(expression, zone), start, zone, count)
        rows = [
            (f"{at:%Y-%m-%d %H:%M:%S}", f"{at.astimezone(find_zone(zone)):%Y-%m-%d %H:%M:%S %a}") for at in instants
        ]
        by = f", by flow {flow.flow}" if flow else ""
        return Table(("UTC", zone or "UTC, by name of day"), rows, f"{expression}, {zone or 'UTC'}{by}; after {since}")

    def template(self) -> Outline:
        """The template that would be deployed: what this batch brings in full, all else to be unfolded."""
        resources = self.release.template["Resources"]
        left = dict(resources)
        parts = []
        for batch in (self.batch, *self.others):
            own = {name: resources[name] for name in self._own(batch)}
            parts.append(_part(f"batch {batch.batch}: {', '.join(own)}", own, is_open=batch is self.batch))
            left = {name: of for name, of in left.items() if name not in own}
        for flow in self.flows:
            own = {name: of for name, of in left.items() if name.startswith(f"{logical_name(flow.flow)}Flow")}
            parts.append(_part(f"flow {flow.flow}: {', '.join(own)}", own))
            left = {name: of for name, of in left.items() if name not in own}
        for kind in sorted({of["Type"] for of in left.values()}):
            shared = {name: of for name, of in left.items() if of["Type"] == kind}
            parts.append(_part(f"{kind}: {', '.join(shared)}", shared))
        sections = [_part(name, {name: of}) for name, of in self.release.template.items() if name != "Resources"]
        lines = len(self.release.template_text.splitlines())
        return Outline(f"the composed template: {len(resources)} resources, {lines:,} lines", [*parts, *sections])

    @property
    def _omissions(self) -> list[str]:
        return [f"left out: {of}" for of in self.left_out]

    def _own(self, batch: Batch) -> Iterator[str]:
        """The logical ids of what a batch brings; batches may share a table."""
        tables = of_type(self.release.template, "AWS::DynamoDB::Table")
        yield from (name for name, of in tables if of.get("TableName") == batch.dynamodb.table)
        names = [logical_name(batch.batch) + ending for ending in (*dict(batch_alarms(batch)), "Schedule")]
        yield from (name for name in names if name in self.release.template["Resources"])

    def _whose(self, owner: str) -> str:
        """The function of a role, or the role; of a policy with how many roles it goes."""
        for name, of in of_type(self.release.template, "AWS::Lambda::Function"):
            if of["Role"].value == f"{owner}.Arn":
                return name
        roles = [of for _, of in of_type(self.release.template, "AWS::IAM::Role")]
        held = sum(owner in walk(of.get("ManagedPolicyArns", []), "Ref") for of in roles)
        return f"{owner} (of {held} roles)" if held else owner

    def _condition(self, name: str) -> str:
        """A condition with the parameters that it asks about."""
        plain = name.removeprefix("not ")
        asked = [str(of) for of in walk(self.release.template["Conditions"][plain], "Ref")]
        return f"{name} ({', '.join(asked)})"


def package_batch(batch: Batch, flows: Sequence[FlowFile] | None = None) -> Packaging:
    """Build what `dataops deploy` would upload, import every module of ours in it, and prove them.

    `batch` stands in for the one of its name in stepfunctions/batches; `flows` are all of stepfunctions/flows unless they
    are given, without those whose order cannot be worked out from here. Raises Permanent where imported code differs.
    """
    others = [other for other in list_batches() if other.batch != batch.batch]
    resolved, left_out = resolve_flows(list_flows() if flows is None else flows)
    release = build_release([*others, batch], flows=resolved)
    for proof in release.proofs:
        if proof.is_ours and proof.file.endswith(".py"):
            import_module(proof.file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    proofs = tuple(require_same_code(release.zip))
    return Packaging(batch, tuple(others), tuple(resolved), tuple(left_out), release, proofs)


def require_deployable(packaging: Packaging, changes: Changes, found: Preflight) -> str:
    """The verdict. Raises Permanent where code differs, a role is too wide, no change set can be, or the preflight is red."""
    name = packaging.batch.batch
    require_same_code(packaging.release.zip)
    for fault in check_roles(packaging.release.template, TEMPLATE.read_text("utf-8")):
        raise Permanent(f"{name}: {fault.where}: {fault.what}")
    told = require_changes(changes)
    require_ready(found)
    code = "the code that this kernel imported is the code in the zip"
    told = "; ".join([code, "no role is wider than needed", told, f"preflight: {found.counts}", *packaging._omissions])
    return f"{name}: {told}."


def _part(title: str, section: Mapping[str, Any], *, is_open: bool = False) -> Part:
    return Part(title, write_template(dict(section)).rstrip(), is_open)


def _call_conditions(statement: Mapping[str, Any], named: Callable[[Any], str]) -> Iterator[str]:
    """The conditions that a statement puts on a call, each as key, operator and value."""
    for operator, keys in statement.get("Condition", {}).items():
        for key, value in keys.items():
            values = value if isinstance(value, list) else [value]
            yield f"{key} {operator} {', '.join(map(named, values))}"


def _part_of(proof: FileProof) -> str:
    folders = proof.file.split("/")[:-1]
    return "/".join(folders[:2]) if proof.is_ours else folders[0]


def _same(proofs: list[FileProof]) -> str:
    differing = [proof.file for proof in proofs if proof.imported != "same"]
    return f"✗ {differing[0]} differs" if differing else "✓ the same"


def _spell(resource: Any, stack: str) -> str:
    """A resource in short: its logical id, or its ARN without what every ARN of the account shares."""
    text = str(resource.value if isinstance(resource, Tagged) else resource)
    short = _ARN.sub(r"\1 ", text).replace("${AWS::StackName}", stack).replace(".Arn", "")
    return short.replace("${", "").replace("}", "")
