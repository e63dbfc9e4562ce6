"""The states' work, done step by step in this process."""

from __future__ import annotations

import os

import msgspec

from dataops.core.account import account_rows
from dataops.core.close import close_run
from dataops.core.control import Control
from dataops.core.copy import copy_chunk
from dataops.core.dynamodb import dynamodb_client
from dataops.core.load import load_segment, prepare_staging
from dataops.core.normalize import Codec
from dataops.core.plan import PlanRequest, plan_run
from dataops.core.publish import publish
from dataops.core.reconcile import verify_source, verify_staging
from dataops.core.sweep import sweep_stale
from dataops.core.task import Task
from dataops.deploy.tables import ensure_table
from dataops.workbook.stack import deploy_to_stack


def at_once():
    return True


def never():
    return False


def killed(*_):
    """What a step is replaced by to end the process right there."""
    raise KeyboardInterrupt


def execution_of(run):
    """The ARN of an execution that Step Functions has forgotten."""
    return os.environ["DATAOPS_STATE_MACHINE_ARN"].replace(":stateMachine:", ":execution:") + f":{run}"


def planned(case, run, batch=None, **options):
    """The task of a run that has been planned; planned again, it is the same."""
    run, batch = f"{case.name}-{run}", batch or case.batch()
    deploy_to_stack(batch)
    declared = msgspec.to_builtins(batch)
    request = {"workers": 1, "create_target": True, **options}
    plan_run(PlanRequest(run, execution_of(run), "2026-11-23T00:00:00Z", declared, **request))
    return Task.open(run)


def copy_all(task):
    for chunk in task.control.chunks():
        while not copy_chunk(task, chunk.id, never):
            pass


def load_all(task):
    sweep_stale(task, never)
    for segment in prepare_staging(task):
        while not load_segment(task, segment, never):
            pass


def run_here(batch, source):
    """A whole run of a batch that has not run before, in this process; its record and all its rejections."""
    run = f"{batch.batch}-run"
    ensure_table(dynamodb_client(), batch, Codec(batch, source, None, None))
    plan_run(
        PlanRequest(run, execution_of(run), "2026-11-23T00:00:00Z", msgspec.to_builtins(batch), 1, create_target=True)
    )
    with Task.open(run) as task:
        copy_all(task)
        account_rows(task)
        load_all(task)
        assert verify_source(task, never) == []
        assert verify_staging(task, never)
        publish(task)
        return close_run(run, execution_of(run)), Control(run).rejections()
