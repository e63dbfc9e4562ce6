"""The whole template: template.yml with the batches' own ARNs in it, and for each batch its table, schedule and alarms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from dataops.batch import Batch
from dataops.core.normalize import Codec
from dataops.deploy.alarms import batch_alarms, flow_alarms
from dataops.deploy.flow import flow_definition
from dataops.deploy.machine import placeholder_of
from dataops.deploy.package import OF_FLOWS
from dataops.deploy.starts import flow_schedule_resource, parse_start, schedule_resource
from dataops.deploy.tables import table_definition
from dataops.deploy.template import Tagged, read_template
from dataops.errors import BatchFileError
from dataops.flow import Flow

_PLAIN = re.compile(r"[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*")

LISTS = ("SourceSecrets", "TargetSecrets", "BatchTables", "BatchIndexes")
"""The parameters of template.yml that hold what depends on batch files."""


def compose(
    batches: Sequence[Batch],
    codecs: Mapping[str, Codec] | None = None,
    *,
    workers: int = 4,
    flows: Sequence[Flow] = (),
) -> dict[str, Any]:
    """The template for these batches; `codecs`, by batch, give key types that a batch does not declare.

    `workers` is how many chunks a scheduled run copies at once. `flows` have their steps, all of these batches; a batch of
    a scheduled flow is started by that alone. Raises BatchFileError where a schedule is wrong, where two batches contradict
    each other about a table, where a key's type is not known, or an input is too large for its schedule.
    """
    started: list[Batch | Flow] = [*batches, *flows]
    for of in started:
        parse_start(of)
    template = read_template()
    held = {"batches": sorted(batch.batch for batch in batches), "flows": sorted(flow.flow for flow in flows)}
    template["Metadata"] = {"dataops": {kind: names for kind, names in held.items() if names}}
    tables = _tables(batches, codecs or {})
    lists = {
        "SourceSecrets": [_secret_arn(name) for name in _sorted(batch.source.secret for batch in batches)],
        "TargetSecrets": [_secret_arn(name) for name in _sorted(batch.target.secret for batch in batches)],
        "BatchTables": [Tagged("GetAtt", f"{_table_id(name)}.Arn") for name in tables],
        "BatchIndexes": [Tagged("Sub", arn) for arn in _sorted(map(_index_arn, batches))],
    }
    for name in LISTS:
        del template["Parameters"][name]
    template["Resources"] = _put_lists(template["Resources"], lists)
    for name, definition in tables.items():
        _add(template, _table_id(name), table_resource(definition))
    in_flow = {name: flow for flow in flows if flow.schedule for name in flow.names}
    for batch in batches:
        for ending, resource in _batch_resources(batch, workers, in_flow.get(batch.batch)).items():
            _add(template, logical_name(batch.batch) + ending, resource)
    for flow in flows:
        _add_flow(template, flow, {batch.batch: batch for batch in batches})
    return template


def logical_name(name: str) -> str:
    """A name as a part of a logical id: order-items is OrderItems; other spellings end with a digest, so none collide."""
    plain = re.sub(r"[^A-Za-z0-9]", "", "".join(word.capitalize() for word in name.split("-")))
    return plain if _PLAIN.fullmatch(name) else plain + sha256(name.encode()).hexdigest()[:8]


def table_resource(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A DynamoDB table of these arguments of CreateTable, which stays when the stack goes."""
    safe = {
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}, "SSESpecification": {"SSEEnabled": True},
    }  # fmt: skip
    kept = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    return {"Type": "AWS::DynamoDB::Table", **kept, "Properties": {**definition, **safe}}


def machine_id(flow: str) -> str:
    """The logical id of a flow's machine."""
    return f"{logical_name(flow)}FlowMachine"


def _add_flow(template: dict[str, Any], flow: Flow, batches: Mapping[str, Batch]) -> None:
    """A flow's machine, its alarms and what starts it; the schedules' role may start it as well."""
    machine, name = machine_id(flow.flow), logical_name(flow.flow)
    functions = {placeholder_of(of): Tagged("GetAtt", placeholder_of(of).replace("Arn", ".Arn")) for of in OF_FLOWS}
    properties = {
        "StateMachineName": Tagged("Sub", f"${{AWS::StackName}}-flow-{flow.flow}"),
        "RoleArn": Tagged("GetAtt", "FlowMachineRole.Arn"),
        "DefinitionString": flow_definition(flow),
        "DefinitionSubstitutions": {"BatchMachineArn": Tagged("Ref", "BatchMachine"), **functions},
        "LoggingConfiguration": template["Resources"]["BatchMachine"]["Properties"]["LoggingConfiguration"],
    }
    _add(template, machine, {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties})
    for ending, alarm in flow_alarms(flow.flow, machine):
        _add(template, name + ending, alarm)
    if flow.schedule:
        _add(template, f"{name}FlowSchedule", flow_schedule_resource(flow, batches, machine))
        role = template["Resources"]["ScheduleRole"]["Properties"]["Policies"][0]["PolicyDocument"]
        role["Statement"][0]["Resource"].append(Tagged("Ref", machine))


def _batch_resources(batch: Batch, workers: int, flow: Flow | None) -> dict[str, dict[str, Any]]:
    """What a batch has besides its table, by the ending of its logical id; `flow` is the one that starts it."""
    resources = dict(batch_alarms(msgspec.structs.replace(batch, schedule=flow.schedule) if flow else batch))
    if batch.schedule and not flow:
        resources["Schedule"] = schedule_resource(batch, workers)
    return resources


def _tables(batches: Iterable[Batch], codecs: Mapping[str, Codec]) -> dict[str, dict[str, Any]]:
    """The batches' tables by name; batches may share one, with indexes of their own."""
    tables: dict[str, dict[str, Any]] = {}
    for batch in batches:
        definition = table_definition(batch, codecs.get(batch.batch))
        there = tables.setdefault(batch.dynamodb.table, definition)
        if there is not definition:
            tables[batch.dynamodb.table] = _merge(batch, there, definition)
    return dict(sorted(tables.items()))


def _merge(batch: Batch, one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """One table for two batches. Raises BatchFileError where they declare one thing in two ways."""
    merged = {**one, **other}
    for part, name in (("AttributeDefinitions", "AttributeName"), ("GlobalSecondaryIndexes", "IndexName")):
        found = {of[name]: of for of in one.get(part, [])}
        for of in other.get(part, []):
            if found.setdefault(of[name], of) != of:
                raise _contradiction(batch, f"{'attribute' if part[0] == 'A' else 'index'} {of[name]}")
        merged |= {part: list(found.values())} if found else {}
    if one["KeySchema"] != other["KeySchema"]:
        raise _contradiction(batch, "the keys")
    return merged


def _contradiction(batch: Batch, what: str) -> BatchFileError:
    table = batch.dynamodb.table
    return BatchFileError(f"batch {batch.batch}: dynamodb: another batch on table {table} declares {what} differently")


def _put_lists(value: Any, lists: Mapping[str, list[Any]]) -> Any:
    """`value` with each `!Ref` to one of the lists replaced; a statement on an empty one is left out."""
    if isinstance(value, Tagged):
        return Tagged(value.tag, _put_lists(value.value, lists))
    if isinstance(value, dict):
        return {key: _list_of(part, lists) or _put_lists(part, lists) for key, part in value.items()}
    if isinstance(value, list):
        return [_put_lists(part, lists) for part in value if not _is_empty(part, lists)]
    return value


def _list_of(value: Any, lists: Mapping[str, list[Any]]) -> list[Any] | None:
    return lists.get(value.value) if isinstance(value, Tagged) and value.tag == "Ref" else None


def _is_empty(statement: Any, lists: Mapping[str, list[Any]]) -> bool:
    return isinstance(statement, dict) and _list_of(statement.get("Resource"), lists) == []


def _add(template: dict[str, Any], name: str, resource: dict[str, Any]) -> None:
    if name in template["Resources"]:
        raise BatchFileError(f"template.yml: already has a resource {name}, which a batch needs; choose another name")
    template["Resources"][name] = resource


def _secret_arn(name: str) -> Any:
    """The ARN of a secret; Secrets Manager ends it with six characters of its own."""
    if name.startswith("arn:"):
        return name
    arn = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:"
    return Tagged("Sub", arn + name.replace("${", "${!") + "-??????")


def _table_id(table: str) -> str:
    return f"{logical_name(table)}BatchTable"


def _index_arn(batch: Batch) -> str:
    """The index that the target is read back through; empty without one."""
    index = batch.read_index
    return f"${{{_table_id(batch.dynamodb.table)}.Arn}}/index/{index.name}" if index else ""


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name})
