"""Where a run happens: in AWS, or on the embedded stack of this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence

from dataops.batch import Batch
from dataops.errors import DataOpsError, Permanent, StackError
from dataops.flow import Flow

EMBEDDED_BUCKET = "dataops-artifacts"
"""Where the embedded stack takes zip and template from."""
LOOK_SECONDS = 10
"""How long a look at the source may take when a missing DynamoDB table is to be made."""


def attach() -> str | None:
    """Point this process at a running embedded stack and give its name; None when it is to work on AWS.

    Variables that are already exported decide (`AWS_ENDPOINT_URL`); else a running stack is used; else AWS, when
    there are credentials for it. Raises StackError when there is neither.
    """
    from dataops.local.stack import find

    if os.environ.get("AWS_ENDPOINT_URL"):
        named = os.environ.get("DATAOPS_STACK")
        if named and find(named) is None:
            raise StackError(f"the exported variables point to stack {named}, which is down: start it, or unset them")
        return named
    stack = find()
    if stack is not None:
        os.environ.update(stack.info.variables)
        return stack.info.name
    if _has_credentials():
        return None
    raise StackError("no embedded stack is up and there are no AWS credentials: start one with `dataops up`")


def deploy_to_stack(batch: Batch, others: Sequence[Batch] = (), flow: Flow | None = None) -> None:
    """Put the zip, the functions and the state machine on the embedded stack, where they changed; that of a flow as well.

    The zip holds the transforms of `batch` and of `others`. Creates the batch's DynamoDB table where it is missing;
    in AWS the template does that.
    """
    from dataops.deploy.flow import fill_flow, flow_definition
    from dataops.deploy.machine import definition
    from dataops.deploy.package import build_zip, handlers
    from dataops.local.registry import ACCOUNT, interpreter_client, put_machine, register
    from dataops.local.stack import find

    stack = find(os.environ["DATAOPS_STACK"])
    if stack is None:
        raise StackError(f"the embedded stack {os.environ['DATAOPS_STACK']} is not up: start it with `dataops up`")
    if os.environ["DATAOPS_STATE_MACHINE_ARN"] != stack.info.variables["DATAOPS_STATE_MACHINE_ARN"]:
        return  # what runs there was deployed by `dataops deploy`
    functions = handlers()
    region = os.environ["AWS_REGION"]
    arns = {name: f"arn:aws:lambda:{region}:{ACCOUNT}:function:{name}" for name in functions}
    register(stack.info, zip_bytes=build_zip([*others, batch]), functions=functions, definition=definition(arns))
    _ensure_table(batch)
    if flow:
        machine = os.environ["DATAOPS_STATE_MACHINE_ARN"]
        filled = fill_flow(flow_definition(flow), machine, arns)
        put_machine(interpreter_client("stepfunctions", stack.info.variables), flow_arn(machine, flow.flow), filled)


def flow_arn(machine: str, flow: str) -> str:
    """The ARN of a flow's machine beside the batch machine. Raises Permanent where that is not one that was deployed here."""
    if not machine.endswith("-batch"):
        raise Permanent(f"DATAOPS_STATE_MACHINE_ARN: expected a name that ends with -batch, found {machine}")
    return f"{machine.removesuffix('-batch')}-flow-{flow}"


def _ensure_table(batch: Batch) -> None:
    """Create the DynamoDB table if the source can be read; if it cannot, Plan says why."""
    from dataops.core.connection import open_connection
    from dataops.core.describe import describe_table
    from dataops.core.dynamodb import dynamodb_client
    from dataops.core.normalize import Codec
    from dataops.deploy.tables import ensure_table

    try:
        with open_connection(batch.source.secret, LOOK_SECONDS) as connection:
            source = describe_table(connection, batch.source.table, batch.source.database)
        ensure_table(dynamodb_client(), batch, Codec(batch, source, None, None))
    except (DataOpsError, KeyError):
        return


def _has_credentials() -> bool:
    import botocore.session

    return botocore.session.get_session().get_credentials() is not None
