"""moto's Step Functions interpreter, with the defects mended that would hide a failure.

Every patch here names the defect it mends; a test fails without it. They touch private code, so moto's version is
exact in pyproject.toml and checked by `dataops.local.emulators`.
"""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from dataops.local.sandbox import FunctionSpec, SandboxPool


def apply_patches(pool: SandboxPool) -> None:
    """Mend moto, and hand its Lambda invocations to the sandboxes."""
    invoke_in_sandbox(pool)
    fail_map_with_failed_children()
    take_single_element_from_root_array()
    evaluate_jsonata_in_python()
    name_service_errors()
    fail_with_error_path_on_states_errors()
    stop_at_once()
    stay_stopped()
    keep_reason_of_stop()
    describe_ends()
    spell_start_execution()
    list_children_of_maps()
    make_once()


def invoke_in_sandbox(pool: SandboxPool) -> None:
    """moto runs functions in Docker; run them in our sandboxes instead, with moto's own record of the function."""
    from moto.awslambda.models import LambdaFunction

    def invoke(function: Any, event: Any = None) -> tuple[str, bool, str]:
        payload = event if isinstance(event, str) else json.dumps({} if event is None else event)
        outcome = pool.invoke(spec_of(function), payload)
        return outcome.payload, outcome.failed, ""

    setattr(LambdaFunction, "_invoke_lambda", invoke)  # noqa: B010 - a method, to mypy


def spec_of(function: Any) -> FunctionSpec:
    """The sandbox's view of a function that moto holds."""
    content = function.code_bytes
    if isinstance(content, str):
        content = base64.b64decode(content)
    environment = tuple(sorted(function.environment_vars.items()))
    return FunctionSpec(
        function.function_name, function.handler, content, int(function.timeout), int(function.memory_size),
        environment, function.function_arn,
    )  # fmt: skip


def fail_map_with_failed_children() -> None:
    """Defect: a DISTRIBUTED Map whose children failed ends as succeeded, with null results."""
    from moto.stepfunctions.parser.api import ExecutionFailedEventDetails, HistoryEventType
    from moto.stepfunctions.parser.asl.component.common.error_name import failure_event
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
    from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import distributed_iteration_component
    from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

    details: Any = EventDetails
    component = distributed_iteration_component.DistributedIterationComponent
    original = getattr(component._map_run, "original", component._map_run)

    def map_run(self: Any, env: Any, eval_input: Any) -> None:
        original(self, env, eval_input)
        counter = eval_input.map_run_record.item_counter
        failed = counter.failed.get() + counter.timed_out.get() + counter.aborted.get()
        share = 100 * failed / max(1, counter.total.get())
        if not _exceeds(failed, share, eval_input.tolerated_failure_count, eval_input.tolerated_failure_percentage):
            return
        kind = StatesErrorNameType.StatesExceedToleratedFailureThreshold
        cause = f"The specified tolerated failure threshold was exceeded: {failed} failed"
        raise failure_event.FailureEventException(
            failure_event.FailureEvent(
                env=env, error_name=StatesErrorName(typ=kind), event_type=HistoryEventType.MapStateFailed,
                event_details=details(
                    executionFailedEventDetails=ExecutionFailedEventDetails(error=kind.to_name(), cause=cause)
                ),
            )
        )  # fmt: skip

    map_run.original = original  # type: ignore[attr-defined]  # mypy gives functions no attributes
    setattr(component, "_map_run", map_run)  # noqa: B010


def _exceeds(failed: int, share: float, tolerated: int | None, tolerated_share: float | None) -> bool:
    """Either threshold may be exceeded; one that is 0 was not given, unless both are 0: then nothing may fail."""
    if not tolerated and not tolerated_share:
        return failed > 0
    return bool((tolerated and failed > tolerated) or (tolerated_share and share > tolerated_share))


def take_single_element_from_root_array() -> None:
    """Defect: `$[0].n` gives `[2]` where AWS gives `2`; only a path that ends in `[0]` was unwrapped."""
    from moto.stepfunctions.parser.asl.utils import json_path

    def is_singleton(path: str) -> bool:
        return bool(re.search(r"\[\d+\]", path)) and not re.search(r"\[\*\]|\.\.|\[\d*:\d*\]|\[\?|\[\d+,", path)

    json_path._is_singleton_array_access = is_singleton


def evaluate_jsonata_in_python() -> None:
    """Defect: every JSONata expression crashes, for want of a Java bridge."""
    from jsonata import Jsonata
    from moto.stepfunctions.parser.asl.jsonata import jsonata

    def evaluate(expression: str) -> Any:
        try:
            return json.loads(json.dumps(Jsonata(expression).evaluate(None), default=_plain))
        except Exception as error:
            raise jsonata.JSONataException("UNKNOWN", str(error)) from error

    jsonata._eval_jsonata = evaluate


def _plain(value: Any) -> Any:
    return list(value) if hasattr(value, "__iter__") else str(value)


def name_service_errors() -> None:
    """Defect: InvalidDefinition and its like reach the client without an error code."""
    from moto.core.exceptions import AWSError
    from moto.stepfunctions.parser import api

    for error in vars(api).values():
        if isinstance(error, type) and issubclass(error, AWSError) and "code" in vars(error):
            setattr(error, "TYPE", vars(error)["code"])  # noqa: B010 - moto's own annotation says otherwise
            setattr(error, "STATUS", vars(error)["status_code"])  # noqa: B010


def fail_with_error_path_on_states_errors() -> None:
    """Defect: a Fail state whose ErrorPath gives a `States.*` name breaks the interpreter."""
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
    from moto.stepfunctions.parser.asl.component.state.fail import state_fail as module

    state_fail: Any = module
    custom = getattr(state_fail.CustomErrorName, "original", state_fail.CustomErrorName)
    known = {kind.to_name(): kind for kind in StatesErrorNameType}

    def error_name(name: str) -> Any:
        return StatesErrorName(typ=known[name]) if name in known else custom(name)

    error_name.original = custom  # type: ignore[attr-defined]  # mypy gives functions no attributes
    state_fail.CustomErrorName = error_name


def stop_at_once() -> None:
    """Defect: a stopped execution goes on RUNNING until the function under way ends; in its first instant it crashes.

    In AWS it is ABORTED at once, and a function under way goes on by itself.
    """
    from moto.stepfunctions.parser.api import ExecutionStatus
    from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped
    from moto.stepfunctions.parser.backend import execution as module

    def stop(self: Any, stop_date: Any, error: str | None, cause: str | None) -> None:
        deadline = time.monotonic() + 5
        while self.exec_worker.env is None or self.exec_worker.env.program_state() is None:
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)
        self.exec_worker.stop(stop_date=stop_date, error=error, cause=cause)
        if isinstance(self.exec_worker.env.program_state(), ProgramStopped):
            self.exec_status, self.stop_date = ExecutionStatus.ABORTED, stop_date

    setattr(module.Execution, "stop", stop)  # noqa: B010


def stay_stopped() -> None:
    """Defect: what fails while a stopped or timed-out execution winds down turns its end into FAILED."""
    from moto.stepfunctions.parser.api import ExecutionStatus
    from moto.stepfunctions.parser.asl.eval.environment import Environment
    from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped, ProgramTimedOut
    from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication as Told

    set_error = getattr(Environment.set_error, "original", Environment.set_error)
    reflect = getattr(Told._reflect_execution_status, "original", Told._reflect_execution_status)

    def set_error_while_running(self: Any, error: Any) -> None:
        if not isinstance(self._program_state, ProgramStopped | ProgramTimedOut):
            set_error(self, error)

    def reflect_unless_stopped(self: Any) -> None:
        if self.execution.exec_status != ExecutionStatus.ABORTED:
            reflect(self)

    set_error_while_running.original = set_error  # type: ignore[attr-defined]  # mypy gives functions no attributes
    reflect_unless_stopped.original = reflect  # type: ignore[attr-defined]  # mypy gives functions no attributes
    setattr(Environment, "set_error", set_error_while_running)  # noqa: B010
    setattr(Told, "_reflect_execution_status", reflect_unless_stopped)  # noqa: B010


def describe_ends() -> None:
    """Defect: DescribeExecution tells no stop date of a timed-out execution, and a text output is not JSON."""
    from moto.stepfunctions.responses import StepFunctionResponse

    original = getattr(StepFunctionResponse.describe_execution, "original", StepFunctionResponse.describe_execution)

    def describe_execution(self: Any) -> Any:
        reply: Any = original(self)
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        if execution.stop_date is not None:
            reply.result["stopDate"] = execution.stop_date
        if execution.status == "SUCCEEDED":
            reply.result["output"] = json.dumps(execution.output)
        return reply

    describe_execution.original = original  # type: ignore[attr-defined]  # mypy gives functions no attributes
    setattr(StepFunctionResponse, "describe_execution", describe_execution)  # noqa: B010


def keep_reason_of_stop() -> None:
    """Defect: the error and the cause that StopExecution is given are forgotten."""
    from moto.stepfunctions.responses import StepFunctionResponse

    original = getattr(StepFunctionResponse.stop_execution, "original", StepFunctionResponse.stop_execution)

    def stop_execution(self: Any) -> Any:
        reply = original(self)
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        if execution.status == "ABORTED":
            execution.error, execution.cause = self._get_param("error"), self._get_param("cause")
        return reply

    stop_execution.original = original  # type: ignore[attr-defined]  # mypy gives functions no attributes
    setattr(StepFunctionResponse, "stop_execution", stop_execution)  # noqa: B010


def spell_start_execution() -> None:
    """Defect: a Task that starts an execution crashes: names such as StateMachineArn are not spelt as the API does."""
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (
        StateTaskServiceSfn,
    )

    def spell_parameters(self: Any, parameters: dict[str, Any], *_: Any, **__: Any) -> None:
        for name in list(parameters):
            value = parameters.pop(name)
            text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            parameters[name[0].lower() + name[1:]] = text

    def spell_response(self: Any, response: dict[str, Any], *_: Any, **__: Any) -> None:
        for name in list(response):
            value = response.pop(name)
            response[name[0].upper() + name[1:]] = value.isoformat() if isinstance(value, datetime) else value

    setattr(StateTaskServiceSfn, "_normalise_parameters", spell_parameters)  # noqa: B010
    setattr(StateTaskServiceSfn, "_normalise_response", spell_response)  # noqa: B010


def list_children_of_maps() -> None:
    """Defect: the executions of a DISTRIBUTED Map cannot be listed, and their histories are thrown away."""
    from moto.core.responses import ActionResult
    from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor import (
        distributed_item_processor_worker as module,
    )
    from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager
    from moto.stepfunctions.responses import StepFunctionResponse as Response

    worker = module.DistributedItemProcessorWorker
    eval_job = getattr(worker._eval_job, "original", worker._eval_job)
    list_executions = getattr(Response.list_executions, "original", Response.list_executions)
    get_history = getattr(Response.get_execution_history, "original", Response.get_execution_history)
    children: dict[str, tuple[str, EventManager]] = {}

    def eval_job_with_history(self: Any, env: Any, job: Any) -> None:
        machine = self._map_run_record.map_state_machine_arn.replace(":stateMachine:", ":execution:")
        env.event_manager = EventManager()
        children[f"{machine}:{uuid.uuid4()}"] = self._map_run_record.map_run_arn, env.event_manager
        eval_job(self, env, job)

    def list_executions_of_map(self: Any) -> Any:
        wanted = self._get_param("mapRunArn")
        if not wanted:
            return list_executions(self)
        found = [{"executionArn": arn, "mapRunArn": run} for arn, (run, _) in list(children.items()) if run == wanted]
        return ActionResult({"executions": found})

    def get_history_of_child(self: Any) -> Any:
        child = children.get(self._get_param("executionArn"))
        return ActionResult({"events": child[1].get_event_history()}) if child else get_history(self)

    eval_job_with_history.original = eval_job  # type: ignore[attr-defined]  # mypy gives functions no attributes
    list_executions_of_map.original = list_executions  # type: ignore[attr-defined]  # mypy gives functions no attributes
    get_history_of_child.original = get_history  # type: ignore[attr-defined]  # mypy gives functions no attributes
    setattr(worker, "_eval_job", eval_job_with_history)  # noqa: B010
    setattr(Response, "list_executions", list_executions_of_map)  # noqa: B010
    setattr(Response, "get_execution_history", get_history_of_child)  # noqa: B010


def make_once() -> None:
    """Defect: each execution parses its machine anew, each access its path, and each invocation makes a client."""
    from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
    from moto.stepfunctions.parser.asl.parse import asl_parser, preprocessor
    from moto.stepfunctions.parser.asl.utils import boto_client, json_path

    parser, calls, paths = asl_parser.AmazonStateLanguageParser, cast("Any", lambda_eval_utils), cast("Any", json_path)
    original = vars(asl_parser).setdefault("original", parser.parse)
    tree_of = lru_cache(64)(lambda definition: original(definition)[1])
    client_for = lru_cache(16)(boto_client.boto_client_for)

    def parse(definition: str) -> Any:
        tree = tree_of(definition)
        return preprocessor.Preprocessor().visit(tree), tree  # each execution has a program of its own: it keeps state

    setattr(parser, "parse", staticmethod(parse))  # noqa: B010 - a method, to mypy
    calls.boto_client_for = lambda region, service, state_credentials: client_for(region, service)  # all are alike
    paths.parse = lru_cache(1024)(getattr(paths.parse, "__wrapped__", paths.parse))
