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
    each = {file: check_file(file) for file in files}
    found = [finding for findings in each.values() for finding in findings]
    sound = [file for file, findings in each.items() if all(of.level != "error" for of in findings)]
    forecasts = list(filter(None, map(forecast, sound)))
    errors, warnings = ([of for of in found if of.level == level] for level in ("error", "warning"))
    if json_:
        names = {"errors": errors, "warnings": warnings}
        told = {
            name: [{"file": of.file, "where": of.where, "error": of.error} for of in listed]
            for name, listed in names.items()
        }
        click.echo(json.dumps({"valid": not errors, **told, "forecast": forecasts}, ensure_ascii=False))
    else:
        for finding in found:
            click.echo(str(finding))
        for line in forecasts:
            click.echo(line, err=True)
        click.echo(f"files checked: {len(each):,}; errors: {len(errors):,}; warnings: {len(warnings):,}", err=True)
    return 2 if errors else 0
