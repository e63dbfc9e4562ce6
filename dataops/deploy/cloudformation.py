"""The CloudFormation edge: the stack in place, a change set as a readable difference, and events as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dataops.deploy.template import parse_template
from dataops.errors import BatchFileError, Permanent

POLL_SECONDS = 2.0
CAPABILITIES = ("CAPABILITY_IAM",)
_REPLACEMENT = {"True": "is replaced", "Conditional": "may be replaced"}


class StackInPlace(NamedTuple):
    """A stack as it is: its status, the names of its parameters, its outputs and its template."""

    status: str
    parameters: frozenset[str]
    outputs: dict[str, str]
    template: dict[str, Any]

    @property
    def held(self) -> tuple[str, ...]:
        """The batches and flows that it holds."""
        ours = self.template["Metadata"]["dataops"]
        return (*ours["batches"], *ours.get("flows", ()))


class Change(NamedTuple):
    """One line of a difference: `what` names the properties that change, `replacement` says in words what of it.

    `by_reference` is a change of nothing but what the resource refers to, as far as CloudFormation can tell beforehand.
    """

    action: str
    resource: str
    type: str
    what: str
    replacement: str
    by_reference: bool = False

    @property
    def is_risky(self) -> bool:
        """Whether what is there may go, or the change be refused."""
        return bool(self.replacement)


class ChangeSet(NamedTuple):
    """What a deployment would change; `creates` when the stack is not there yet."""

    arn: str
    stack: str
    creates: bool
    changes: tuple[Change, ...]


class Event(NamedTuple):
    """Something that happened to a resource of a stack, as CloudFormation says it."""

    time: str
    resource: str
    type: str
    status: str
    reason: str


def find_stack(client: Any, name: str) -> StackInPlace | None:
    """The stack of that name, None where there is none, or only what a change set left that was never executed."""
    from botocore.exceptions import ClientError

    try:
        (found,) = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    if found["StackStatus"] in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE"):
        return None
    parameters = frozenset(of["ParameterKey"] for of in found.get("Parameters", []))
    outputs = {of["OutputKey"]: of["OutputValue"] for of in found.get("Outputs", [])}
    return StackInPlace(found["StackStatus"], parameters, outputs, _own_template(client, name))


def make_change_set(
    client: Any, name: str, url: str, parameters: Mapping[str, str], there: StackInPlace | None, wanted: frozenset[str]
) -> ChangeSet | None:
    """The change set that brings the stack to the template at `url`; None when there is nothing to change.

    Parameters that are not given (of the template's, `wanted`) stay as they are. Tables that an earlier stack has left
    are taken over. Raises Permanent with CloudFormation's reason.
    """
    from botocore.exceptions import ClientError

    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in sorted(parameters.items())]
    kept = sorted((there.parameters if there else frozenset()) & wanted - parameters.keys())
    try:
        created = client.create_change_set(
            StackName=name, ChangeSetName=f"dataops-{time.time_ns()}", ChangeSetType="UPDATE" if there else "CREATE",
            TemplateURL=url, Capabilities=list(CAPABILITIES), ImportExistingResources=True,
            Parameters=[*given, *({"ParameterKey": key, "UsePreviousValue": True} for key in kept)],
        )  # fmt: skip
    except ClientError as error:
        raise Permanent(f"stack {name}: CloudFormation refuses it: {error.response['Error']['Message']}") from error
    change_set = ChangeSet(created["Id"], name, there is None, ())
    try:
        described = _await_change_set(client, change_set.arn)
        if described["Status"] != "FAILED":
            return change_set._replace(changes=tuple(map(_change, _changes(client, change_set.arn))))
        reason = str(described.get("StatusReason", "no reason given"))
        if "didn't contain changes" not in reason and "No updates" not in reason:
            raise Permanent(f"stack {name}: CloudFormation refuses the change set: {reason}")
    except BaseException:
        drop_change_set(client, change_set)
        raise
    drop_change_set(client, change_set)
    return None


def drop_change_set(client: Any, change_set: ChangeSet) -> None:
    """Delete a change set that is not to be executed, and the empty stack that it was made with.

    That stack stays while it holds somebody else's change set, or when one has been executed meanwhile.
    """
    client.delete_change_set(ChangeSetName=change_set.arn)
    if not change_set.creates:
        return
    (stack,) = client.describe_stacks(StackName=change_set.stack)["Stacks"]
    others = client.list_change_sets(StackName=change_set.stack)["Summaries"]
    if stack["StackStatus"] == "REVIEW_IN_PROGRESS" and not others:
        client.delete_stack(StackName=stack["StackId"])


def execute(client: Any, change_set: ChangeSet, poll: float = POLL_SECONDS) -> Iterator[Event]:
    """Execute a change set and give the events as they come. Raises Permanent with the first failure's reason."""
    before = set() if change_set.creates else {event["EventId"] for event in _events(client, change_set.stack)}
    client.execute_change_set(ChangeSetName=change_set.arn)
    yield from _follow(client, change_set.stack, before, poll)


def delete_stack(client: Any, name: str, poll: float = POLL_SECONDS) -> Iterator[Event]:
    """Delete a stack and give the events as they come; what is retained stays. Raises Permanent where it fails."""
    (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    before = {event["EventId"] for event in _events(client, stack["StackId"])}
    client.delete_stack(StackName=name)
    yield from _follow(client, stack["StackId"], before, poll)


def list_kept(client: Any, name: str) -> list[str]:
    """What stays when the stack goes: the names of its resources that are retained."""
    template = _template(client, name)
    kept = {of for of, resource in template["Resources"].items() if resource.get("DeletionPolicy") == "Retain"}
    pages = client.get_paginator("list_stack_resources").paginate(StackName=name)
    resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return sorted(str(of["PhysicalResourceId"]) for of in resources if of["LogicalResourceId"] in kept)


def _follow(client: Any, name: str, seen: set[str], poll: float) -> Iterator[Event]:
    failed: Event | None = None
    while True:
        (stack,) = client.describe_stacks(StackName=name)["Stacks"]
        for told in reversed(_events(client, name)):
            if told["EventId"] in seen:
                continue
            seen.add(told["EventId"])
            event = _event(told)
            if failed is None and event.status.endswith("_FAILED") and "cancelled" not in event.reason.lower():
                failed = event
            yield event
        status = str(stack["StackStatus"])
        if not status.endswith("_IN_PROGRESS"):
            break
        time.sleep(poll)
    if failed or status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE", "IMPORT_COMPLETE"):
        where = f"{failed.resource} ({failed.type}): {failed.reason}" if failed else f"ended as {status}"
        raise Permanent(f"stack {name}: {where}; the stack is {status}")


def _await_change_set(client: Any, arn: str) -> dict[str, Any]:
    pause = 0.1
    while True:
        described: dict[str, Any] = client.describe_change_set(ChangeSetName=arn)
        if described["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            return described
        time.sleep(pause)
        pause = min(POLL_SECONDS, pause * 1.5)


def _changes(client: Any, arn: str) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator("describe_change_set").paginate(ChangeSetName=arn):
        yield from (change["ResourceChange"] for change in page["Changes"])


def _change(told: Mapping[str, Any]) -> Change:
    details = told.get("Details", [])
    targets = [detail.get("Target", {}) for detail in details]
    names = {str(target.get("Name") or target.get("Attribute", "")) for target in targets}
    replacement = _REPLACEMENT.get(str(told.get("Replacement", "")), "")
    if told["Action"] == "Remove":
        replacement = "is left behind" if told.get("PolicyAction") == "Retain" else "is deleted"
    return Change(
        told["Action"],
        told["LogicalResourceId"],
        told["ResourceType"],
        ", ".join(sorted(filter(None, names))),
        replacement,
        not replacement and bool(details) and all(detail.get("Evaluation") == "Dynamic" for detail in details),
    )


def _events(client: Any, name: str) -> list[dict[str, Any]]:
    """All events of a stack, the newest first."""
    pages = client.get_paginator("describe_stack_events").paginate(StackName=name)
    return [event for page in pages for event in page["StackEvents"]]


def _event(told: Mapping[str, Any]) -> Event:
    at = told["Timestamp"].strftime("%H:%M:%S")
    reason = " ".join(str(told.get("ResourceStatusReason", "")).split())
    return Event(at, told["LogicalResourceId"], told["ResourceType"], told["ResourceStatus"], reason)


def _template(client: Any, name: str) -> dict[str, Any]:
    body = client.get_template(StackName=name)["TemplateBody"]
    return body if isinstance(body, dict) else parse_template(str(body))


def _own_template(client: Any, name: str) -> dict[str, Any]:
    """The stack's template. Raises Permanent where it does not say which batches it holds."""
    try:
        template = _template(client, name)
    except BatchFileError as error:
        raise Permanent(f"stack {name}: was not made by `dataops deploy`: {error}") from error
    if template.get("Metadata", {}).get("dataops") is None:
        raise Permanent(f"stack {name}: was not made by `dataops deploy`; choose another name with --stack")
    return template
