"""Deploy batches as one CloudFormation stack, in AWS or on the embedded stack."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataops.cli.options import as_json
from dataops.errors import BatchFileError, StackError

if TYPE_CHECKING:
    from dataops.batch import Batch
    from dataops.deploy.cloudformation import Change, Event
    from dataops.deploy.release import Release
    from dataops.flow import Flow, FlowFile


@click.command()
@click.argument("batches", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the composed template.")
@click.option("--stack", default="dataops", show_default=True, help="The stack's name; all names begin with it.")
@click.option("--bucket", envvar="DATAOPS_BUCKET", help="The bucket for zip and template  [env: DATAOPS_BUCKET].")
@click.option(
    "-P", "--parameter", "given", multiple=True, metavar="NAME=VALUE", help="A parameter of the template; repeatable."
)
@click.option(
    "--remove", "removed", multiple=True, metavar="NAME", help="A batch or flow that the stack is to hold no longer."
)
@click.option(
    "--zip",
    "zip_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Deploy this zip, if it is what the checkout gives.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 1000),
    default=4,
    show_default=True,
    help="Chunks that a scheduled run copies at once.",
)
@click.option("--delete", is_flag=True, help="Delete the stack; tables stay.")
@click.option("--yes", is_flag=True, help="Ask nothing before deleting.")
@as_json
def deploy(
    batches: tuple[str, ...],
    dry_run: bool,
    output: Path | None,
    stack: str,
    bucket: str | None,
    given: tuple[str, ...],
    removed: tuple[str, ...],
    zip_path: Path | None,
    workers: int,
    delete: bool,
    yes: bool,
    json_: bool,
) -> int:
    """Deploy BATCHES and flows (without any: all of stepfunctions) as one stack: functions, machines, tables, schedules.

    Shows what changes, then the events as they come. Nothing is dropped by omission: a batch that the stack holds is
    named, or removed with --remove. Refuses a zip that is not the code of this checkout.
    Without AWS and without a stack, --dry-run tells what the template holds: exit status 3 when a flow is left out of it.
    """
    from dataops.deploy.flow import resolve_flow
    from dataops.deploy.release import build_release, require_name
    from dataops.workbook.stack import EMBEDDED_BUCKET, attach

    require_name(stack)
    try:
        embedded, offline = attach(), False
    except StackError:
        if not dry_run or delete:
            raise
        embedded, offline = None, True
    if delete:
        return _delete(stack, yes, dry_run, json_)
    declared, files = _named(batches) if batches else _all_but(removed)
    flows, left_out = _resolve_some(files, output) if offline else ([resolve_flow(*of) for of in files], [])
    release = build_release(declared, zip_path, workers, flows)
    if output:
        output.write_text(release.template_text, "utf-8")
        click.echo(str(output), err=True)
    if offline:
        return _summarize(release, left_out, json_)
    return _deploy(release, stack, bucket or (EMBEDDED_BUCKET if embedded else None), given, removed, dry_run, json_)


def _resolve_some(files: Sequence[FlowFile], output: Path | None) -> tuple[list[Flow], list[str]]:
    """The flows whose order is known from here, and why the others' is not: a template without them is not written."""
    from dataops.workbook.flow import resolve_flows

    flows, left_out = resolve_flows(files)
    if left_out and output:
        raise BatchFileError(
            f"{left_out[0]}: without this flow its batches would start apart from each other, so {output} is not written"
        )
    for told in left_out:
        click.echo(f"left out: {told}", err=True)
    return flows, left_out


def _named(names: Iterable[str]) -> tuple[list[Batch], list[FlowFile]]:
    """The batches of these names with those of the flows, and the flows."""
    from dataops.flow import FlowFile
    from dataops.workbook.flow import find_batch_or_flow

    found = [find_batch_or_flow(name) for name in names]
    flows = {of.flow.flow: of for of in found if isinstance(of, FlowFile)}
    batches = {of.batch: of for of in found if not isinstance(of, FlowFile)}
    for flow in flows.values():
        batches = {**flow.batches, **batches}
    return list(batches.values()), list(flows.values())


def _all_but(removed: Sequence[str]) -> tuple[list[Batch], list[FlowFile]]:
    from dataops.workbook.flow import list_flows
    from dataops.workbook.run import list_batches

    batches = [batch for batch in list_batches() if batch.batch not in removed]
    return batches, [of for of in list_flows() if of.flow.flow not in removed]


def _deploy(
    release: Release,
    stack: str,
    bucket: str | None,
    given: Sequence[str],
    removed: Sequence[str],
    dry_run: bool,
    json_: bool,
) -> int:
    import boto3

    from dataops.deploy.cloudformation import drop_change_set, execute, find_stack
    from dataops.deploy.release import prepare, read_parameters

    if bucket is None:
        raise click.UsageError("name a bucket in this region for zip and template: --bucket, or DATAOPS_BUCKET")
    client: Any = boto3.client("cloudformation")
    parameters = read_parameters(given, release)
    _echo_proof(release)
    clients = {"s3": boto3.client("s3"), "cloudformation": client}
    change_set = prepare(clients, release, stack, bucket, parameters, removed)
    changes = change_set.changes if change_set else ()
    if not json_:
        _echo_changes(changes, stack)
    events: list[Event] = []
    if change_set and dry_run:
        drop_change_set(client, change_set)
    elif change_set:
        events = [_echo_event(event) for event in execute(client, change_set)]
    if not dry_run:
        _mirror(stack)
    there = find_stack(client, stack)
    told: dict[str, Any] = {
        "stack": stack,
        "status": there.status if there else "not there",
        "outputs": there.outputs if there else {},
    }
    if json_:
        told |= {
            "batches": list(release.batches),
            "flows": list(release.flows),
            "zip": release.keys["CodeKey"],
            "executed": bool(events),
        }
        told |= {"changes": [of._asdict() for of in changes], "events": [of._asdict() for of in events]}
        click.echo(json.dumps(told, ensure_ascii=False))
    elif not dry_run:
        click.echo(f"stack {stack}: {told['status']}")
        for name, value in sorted(told["outputs"].items()):
            click.echo(f"  {name}  {value}")
    return 0


def _mirror(stack: str) -> None:
    """On the embedded stack, put what was made where it runs."""
    from dataops.local.stack import find

    running = find(os.environ["DATAOPS_STACK"]) if os.environ.get("DATAOPS_STACK") else None
    if running:
        from dataops.local.bridge import mirror_stack

        mirrored = mirror_stack(running.info.variables, stack)
        counts = f"{len(mirrored.functions)} functions and {len(mirrored.machines)} machines"
        click.echo(f"embedded stack {running.info.name}: {counts} run as they were deployed", err=True)


def _delete(stack: str, yes: bool, dry_run: bool, json_: bool) -> int:
    import boto3

    from dataops.deploy.cloudformation import delete_stack, find_stack, list_kept

    client: Any = boto3.client("cloudformation")
    if find_stack(client, stack) is None:
        raise StackError(f"stack {stack}: is not there")
    kept = list_kept(client, stack)
    click.echo(f"stack {stack}: these stay: {', '.join(kept) or 'nothing'}", err=True)
    if not dry_run and not yes:
        click.confirm(f"Delete stack {stack}?", abort=True, err=True)
    if not dry_run:
        for event in delete_stack(client, stack):
            _echo_event(event)
    if json_:
        click.echo(json.dumps({"stack": stack, "deleted": not dry_run, "kept": kept}))
    return 0


def _summarize(release: Release, left_out: Sequence[str], json_: bool) -> int:
    """What the composed template holds, for a look without AWS and without a stack; 3 where not all is in it."""
    from dataops.workbook.table import Table

    status = 3 if left_out else 0
    if json_:
        told = {
            "batches": list(release.batches),
            "flows": list(release.flows),
            "zip": release.keys["CodeKey"],
            "resources": release.counts,
            "left_out": list(left_out),
        }
        click.echo(json.dumps(told))
        return status
    _echo_proof(release)
    click.echo(Table(["resource type", "how many"], list(release.counts.items())).text())
    click.echo(
        "there are no AWS credentials and no stack is up: this is what the template holds, compared with nothing",
        err=True,
    )
    return status


def _echo_proof(release: Release) -> None:
    ours = [proof for proof in release.proofs if proof.is_ours]
    same = sum(proof.imported == "same" for proof in ours)
    click.echo(
        f"{release.keys['CodeKey']}: {len(release.zip):,} bytes; {same} of its {len(ours)} own files are imported here, "
        "all the same",
        err=True,
    )


def _echo_changes(changes: Sequence[Change], stack: str) -> None:
    from dataops.workbook.table import Table

    if not changes:
        click.echo(f"stack {stack}: nothing changes")
        return
    columns = ["action", "resource", "type", "what changes", "replacement"]
    rows = [
        [of.action, of.resource, of.type.removeprefix("AWS::"), of.what or "-", of.replacement or "-"]
        for of in changes
        if not of.by_reference
    ]
    click.echo(Table(columns, rows, wrapped=[*columns[1:]]).text())
    if more := [of.resource for of in changes if of.by_reference]:
        click.echo(f"{len(more)} more change by reference only: {', '.join(more)}")
    for change in changes:
        if change.is_risky:
            click.echo(f"warning: {change.resource} {change.replacement}", err=True)


def _echo_event(event: Event) -> Event:
    click.echo(
        f"{event.time}  {event.status:<20} {event.resource}  {event.type.removeprefix('AWS::')}  {event.reason}".rstrip(),
        err=True,
    )
    return event
