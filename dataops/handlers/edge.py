"""The edge of every handler: what leaves it is a small reply, or exactly `Retryable` or `Permanent`."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from dataops.core.aws import forget_clients
from dataops.core.control import Control
from dataops.core.dynamodb import dynamodb_error
from dataops.core.telemetry import invocation, log, tell_for_interpreter
from dataops.errors import DataOpsError, Permanent, Retryable

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from pymysql import MySQLError

Handler: TypeAlias = Callable[[dict[str, Any], Any], dict[str, Any]]

SERVICES = ("dynamodb", "secretsmanager", "sns", "stepfunctions")
"""The services that handlers call."""

if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    tell_for_interpreter()

MARGIN_SECONDS = 10.0
"""A handler begins no new page when less than this, or half of its time-out, is left."""


def edge(handler: Handler) -> Handler:
    """The handler, with every error turned into `Retryable` or `Permanent` and its cause kept for the run's record.

    Lambda reports the class name of what is raised, and the state machine matches that name exactly.
    """

    @functools.wraps(handler)
    def guarded(event: dict[str, Any], context: Any) -> dict[str, Any]:
        state = handler.__module__.rpartition(".")[2]
        with invocation(lambda: _milliseconds_left(context), **_labels(state, event, context)):
            try:
                return handler(event, context)
            except Exception as error:
                ours = _ours(error)
                where = f"{state}{_part(event)}"
                kind = Permanent if isinstance(ours, Permanent) else Retryable
                log("ERROR", str(ours), error=kind.__name__)
                _keep(event, kind is Permanent, f"{where}: {ours}")
                forget_clients()
                raise kind(f"{where}: {ours}") from None

    return guarded


def time_is_short(context: Any) -> Callable[[], bool]:
    """A function that says when a handler should stop and let the state machine call it again."""
    whole = context.get_remaining_time_in_millis() / 1000
    margin = min(MARGIN_SECONDS, whole / 2)
    return lambda: context.get_remaining_time_in_millis() / 1000 < margin


def _labels(state: str, event: dict[str, Any], context: Any) -> dict[str, str | int | None]:
    """What every line of an invocation carries, beside the batch that the run's plan tells."""
    named = {name: event[name] for name in ("run", "chunk", "segment") if isinstance(event.get(name), str | int)}
    request = getattr(context, "aws_request_id", None)
    return {"state": state, **named, "request": request}


def _milliseconds_left(context: Any) -> int | None:
    return int(context.get_remaining_time_in_millis()) if hasattr(context, "get_remaining_time_in_millis") else None


def _ours(error: Exception) -> DataOpsError:
    if isinstance(error, DataOpsError):
        return error
    from botocore.exceptions import BotoCoreError, ClientError

    if _is_of_mysql(error):
        from dataops.core.mysql import located_error

        return located_error("MySQL", error)
    if isinstance(error, ClientError):
        return _aws_error(error)
    if isinstance(error, BotoCoreError):
        return Retryable(f"an AWS service did not answer ({type(error).__name__})")
    at = traceback.extract_tb(sys.exc_info()[2])[-1]
    place = f"{at.filename.rpartition('/')[2]}:{at.lineno}"
    return Permanent(f"unexpected {type(error).__name__} at {place}; this is a fault in dataops, please report it")


def _is_of_mysql(error: Exception) -> TypeGuard[MySQLError]:
    """Whether pymysql raised it: not where nobody has imported that."""
    pymysql = sys.modules.get("pymysql")
    return pymysql is not None and isinstance(error, pymysql.MySQLError)


def _aws_error(error: ClientError) -> DataOpsError:
    """The error of ours for a call that no edge has located; which codes may pass is the same as for DynamoDB."""
    code = error.response["Error"]["Code"]
    kind = Retryable if isinstance(dynamodb_error("", code), Retryable) else Permanent
    return kind(f"{_service_of(error.operation_name)} {error.operation_name}: {code}")


def _service_of(operation: str) -> str:
    """The service that has this operation; an error does not say where it came from."""
    import botocore.session

    session = botocore.session.get_session()
    models = (session.get_service_model(name) for name in SERVICES)
    return next((str(model.service_id) for model in models if operation in model.operation_names), "AWS")


def _part(event: dict[str, Any]) -> str:
    return "".join(f", {part} {event[part]}" for part in ("chunk", "segment") if part in event)


def _keep(event: dict[str, Any], permanent: bool, cause: str) -> None:
    """Keep the cause in the control table; a Map's parent does not see its children's errors."""
    if "run" not in event:
        return
    try:
        Control(str(event["run"])).save_trouble(permanent, cause)
    except Exception as error:  # the cause still reaches the state machine as the raised error
        log("WARNING", f"the cause was not kept: {type(error).__name__}")
