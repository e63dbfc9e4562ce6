"""What a deployment would change: a change set of CloudFormation, read and deleted again."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from dataops.deploy.cloudformation import Change, drop_change_set
from dataops.deploy.release import Release, prepare, read_parameters, require_name
from dataops.errors import Permanent, StackError
from dataops.workbook.stack import EMBEDDED_BUCKET, attach
from dataops.workbook.table import Table

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_WORDS = {"Modify": "modified", "Remove": "removed", "Add": "new in the stack", "Import": "new in the stack"}
"""What happens to a resource, the gravest first; the stack gains a table that is taken over like any other."""
_BY_REFERENCE = "modified by reference only"
_ORDER = (*dict.fromkeys(_WORDS.values()), _BY_REFERENCE)
_COLUMNS = ("what happens", "type", "resources", "what changes", "replacement")


class Changes(NamedTuple):
    """What a change set holds; `untried` says why none could be asked for, `refused` why CloudFormation made none."""

    stack: str
    changes: tuple[Change, ...] = ()
    untried: str = ""
    refused: str = ""

    def summary(self) -> str:
        """The counts in one line, or why there are none."""
        if self.untried or self.refused:
            return f"no change set was made: {self.untried or self.refused}"
        counts = Counter(map(_word, self.changes))
        told = ", ".join(f"{counts[word]} {word}" for word in _ORDER if counts[word])
        return f"stack {self.stack}: {told or 'nothing changes'}"

    def table(self) -> Table:
        """A line for all resources of a type to which the same happens, and one for all that only refer to others.

        What may go, or be refused, comes first.
        """
        grouped: dict[tuple[bool, int, str, str, str], list[str]] = {}
        for of in self.changes:
            told = ("-", "what they refer to", "") if of.by_reference else (of.type, of.what, of.replacement)
            grouped.setdefault((not of.is_risky, _ORDER.index(_word(of)), *told), []).append(of.resource)
        rows = [
            (_ORDER[word], kind.removeprefix("AWS::"), ", ".join(sorted(names)), what or "-", f"! {gone}" if gone else "-")
            for (_, word, kind, what, gone), names in sorted(grouped.items())
        ]  # fmt: skip
        return Table(_COLUMNS, rows, self.summary(), wrapped=_COLUMNS[2:])

    def taken_over(self) -> Table:
        """The new resources that are in the account already and keep what they hold."""
        rows = [(of.type.removeprefix("AWS::"), of.resource) for of in self.changes if of.action == "Import"]
        return Table(("type", "resource"), sorted(rows), "in the account already; the stack takes them over")

    def _repr_html_(self) -> str:
        return self.table()._repr_html_() if self.changes else f"<div>{escape(self.summary())}</div>"

    def __repr__(self) -> str:
        return repr(self.table()) if self.changes else self.summary()


def preview_changes(release: Release, stack: str = "dataops", bucket: str = "", given: str = "") -> Changes:
    """What `dataops deploy --dry-run` shows: upload the release, make a change set, read it, and delete it.

    `stack` empty asks for none. `bucket` empty is DATAOPS_BUCKET, or the embedded stack's. `given` has the parameters
    NAME=VALUE that `dataops deploy -P` takes, separated by spaces. Raises BatchFileError for a name that cannot be.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    if not stack:
        return Changes(stack, untried="no stack was named")
    parameters = read_parameters(shlex.split(given), release)
    require_name(stack)
    try:
        bucket = bucket or os.environ.get("DATAOPS_BUCKET") or (EMBEDDED_BUCKET if attach() else "")
        if not bucket:
            return Changes(stack, untried="name a bucket in this region (bucket, or DATAOPS_BUCKET)")
        return Changes(stack, _ask(release, stack, bucket, parameters))
    except (BotoCoreError, ClientError, StackError) as error:
        return Changes(stack, untried=_one_line(error))
    except Permanent as error:
        cause = error.__cause__
        if isinstance(cause, BotoCoreError) or (isinstance(cause, ClientError) and _is_access(cause)):
            return Changes(stack, untried=_one_line(error))
        return Changes(stack, refused=_one_line(error))


def require_changes(found: Changes) -> str:
    """What the verdict says of a change set. Raises Permanent where it was refused."""
    if found.refused:
        raise Permanent(found.refused)
    if found.untried:
        return f"no change set was made: {found.untried}"
    risky = [f"{of.resource} {of.replacement}" for of in found.changes if of.is_risky]
    return (
        f"LOOK at what the change set does: {', '.join(risky)}"
        if risky
        else "the change set replaces and removes nothing"
    )


def _word(change: Change) -> str:
    return _BY_REFERENCE if change.by_reference else _WORDS[change.action]


def _ask(release: Release, stack: str, bucket: str, parameters: dict[str, str]) -> tuple[Change, ...]:
    import boto3

    client = boto3.client("cloudformation")
    made = prepare({"s3": boto3.client("s3"), "cloudformation": client}, release, stack, bucket, parameters)
    if made is None:
        return ()
    drop_change_set(client, made)
    return made.changes


def _is_access(error: ClientError) -> bool:
    """Whether the account, not the release, is what stands in the way: its bucket or a permission."""
    return error.operation_name == "PutObject" or "AccessDenied" in error.response["Error"]["Code"]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
