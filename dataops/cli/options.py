"""Options that several commands take."""

from __future__ import annotations

import click

as_json = click.option("--json", "json_", is_flag=True, help="Print the result as JSON, on the last line.")
stack_name = click.option("--name", default="default", show_default=True, help="The stack's name.")
server_flavor = click.option(
    "--server", type=click.Choice(["mariadb", "mysql"]), help="The kind of database servers (default: what there is)."
)
