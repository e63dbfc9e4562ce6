"""The command line. Exit status: 0 succeeded, 1 failed, 2 wrong use or wrong input, 3 succeeded with rejections or omissions."""

from __future__ import annotations

import sys

import click

from dataops.cli import batches, checks, deployment, operations, proofs, schedules, stack
from dataops.errors import BatchFileError, DataOpsError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="dataops")
def cli(debug: bool) -> None:
    """Move MySQL tables through DynamoDB into another MySQL, and look at every step."""


for command in (
    stack.demo, stack.up, stack.down, stack.status, stack.sql, stack.lab,
    batches.infer, batches.run, batches.reconcile, batches.package, batches.runs, batches.notebook, batches.code,
    operations.preflight, proofs.roundtrip, proofs.bench, checks.check, schedules.schedule, deployment.deploy,
):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Run the command line; an error of ours is one line on standard error."""
    try:
        status = cli(standalone_mode=False)
    except click.exceptions.Abort:
        status = _fail("stopped", 1)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except BatchFileError as error:
        status = _fail(error, 2)
    except (DataOpsError, OSError) as error:
        status = _fail(error, 1)
    except KeyboardInterrupt:
        status = _fail("stopped", 1)
    except Exception as error:
        status = _fail_unexpected(error)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(error: object, status: int) -> int:
    if "--debug" in sys.argv and isinstance(error, BaseException):
        raise error
    click.echo(f"dataops: {error}", err=True)
    return status


def _fail_unexpected(error: Exception) -> int:
    """AWS's and the driver's errors are told by kind, never with what they carry; the rest is a fault of ours."""
    import pymysql
    from botocore.exceptions import BotoCoreError, ClientError

    if "--debug" in sys.argv:
        raise error
    if isinstance(error, ClientError):
        return _fail(f"AWS refused {error.operation_name}: {error.response['Error']['Code']}", 1)
    if isinstance(error, BotoCoreError):
        return _fail(
            f"AWS could not be reached ({type(error).__name__}); is the endpoint up, are there credentials?", 1
        )
    if isinstance(error, pymysql.MySQLError):
        from dataops.core.mysql import located_error

        return _fail(located_error("MySQL", error), 1)
    return _fail(f"unexpected {type(error).__name__}; run again with --debug, and please report it", 1)
