"""The calls that functions made in AWS's emulators, held against the roles of the template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dataops.batch import Batch
from dataops.deploy.machine import placeholder_of
from dataops.deploy.package import handlers
from dataops.local.calls import SUFFIX, Call, read_trail
from dataops.local.registry import ACCOUNT
from dataops.local.stack import REGION
from tests.deploy.policies import Allowed, Roles

_TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/"
_SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
NOBODY = "of-no-test"
"""What the roles are for beside the batches, so that every action has a resource."""


def calls_of_functions(folder: Path) -> set[Call]:
    """What our functions called, of all that a stack in this folder has seen."""
    ours = set(handlers())
    return {call for call in read_trail(folder) if call.function in ours}


def allowed_by_role(batches: Sequence[Batch]) -> dict[str, list[Allowed]]:
    """What each function's role allows in a template for these batches."""
    names = {side: {NOBODY, *(getattr(of, side).secret for of in batches)} for side in ("source", "target")}
    secrets = {side: sorted(f"{_SECRET}{name}-??????" for name in of) for side, of in names.items()}
    read = {f"{of.dynamodb.table}/index/{of.read_index.name}" for of in batches if of.read_index}
    roles = Roles(
        SourceSecrets=secrets["source"], TargetSecrets=secrets["target"],
        BatchTables=sorted({_TABLE + NOBODY, *(_TABLE + of.dynamodb.table for of in batches)}),
        BatchIndexes=sorted(_TABLE + name for name in {f"{NOBODY}/index/{NOBODY}", *read}),
    )  # fmt: skip
    return {function: roles.allowed(f"{placeholder_of(function).removesuffix('Arn')}Role") for function in handlers()}


def refused_calls(calls: set[Call], batches: Sequence[Batch] = ()) -> list[Call]:
    """Calls that a function's role would have refused; of the tables and secrets of other batches only what is no action
    on that kind of resource."""
    allowed = allowed_by_role(batches)
    known = {_TABLE + of.dynamodb.table for of in batches} | {f"{_TABLE}dataops-control"}
    known |= {f"{_SECRET}{secret}{SUFFIX}" for of in batches for secret in (of.source.secret, of.target.secret)}
    return sorted(call for call in calls if not any(_allows(one, call, known) for one in allowed[call.function]))


def _allows(one: Allowed, call: Call, known: set[str]) -> bool:
    if one.allows(call.action, call.resource):
        return True
    foreign = call.resource.startswith((_TABLE, _SECRET)) and call.resource.partition("/index/")[0] not in known
    service = call.resource.split(":")[2:3]
    same_kind = any(of.split(":")[2:3] == service and "-control" not in of for of in one.resources)
    return foreign and one.action == call.action and same_kind
