"""What can be said to be wrong before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dataops.cli.options import as_json


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@as_json
def check(paths: tuple[Path, ...], json_: bool) -> int:
    """Check batch files, flows, schedules, state machines, the template and its roles offline; each fault with its place.

    PATHS are batch files and flows (.yml), CloudFormation templates (.yml with Resources), definitions in the Amazon States
    Language (.json) or folders; without any, everything in stepfunctions/ is checked. Exit status 2 when there is an error; warnings alone give 0.
    """
    from dataops.deploy.check import check_file, find_checked, forecast
    from dataops.deploy.check_template import LINTER, has_linter, is_template

    files = find_checked(paths)
    if not has_linter() and any(map(is_template, files)):
        click.echo(f"dataops: {LINTER}", err=True)
    found = [finding for file in files for finding in check_file(file)]
    errors, warnings = ([of for of in found if of.level == level] for level in ("error", "warning"))
    if json_:
        names = {"errors": errors, "warnings": warnings}
        told = {
            name: [{"file": of.file, "where": of.where, "error": of.error} for of in listed]
            for name, listed in names.items()
        }
        said = list(filter(None, map(forecast, files)))
        click.echo(json.dumps({"valid": not errors, **told, "forecast": said}, ensure_ascii=False))
    else:
        for finding in found:
            click.echo(str(finding))
        for line in filter(None, map(forecast, files)):
            click.echo(line, err=True)
        click.echo(f"{len(files):,} files checked: {len(errors):,} errors, {len(warnings):,} warnings", err=True)
    return 2 if errors else 0
