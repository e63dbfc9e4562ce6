"""A table of so many rows, everything that is done with it, and the memory that each of it took."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import boto3
import msgspec

from dataops.batch import Batch
from dataops.core.control import Control
from dataops.core.plan import STARTED_BY
from dataops.core.records import Chunk
from dataops.core.task import pack_cursor
from dataops.deploy.package import build_zip
from dataops.local.registry import ROLE
from dataops.workbook.stack import deploy_to_stack
from tests.end_to_end.conftest import Case
from tests.end_to_end.memory.endpoint import Held, NullDynamoDB
from tests.end_to_end.memory.processes import ROOT, Functions, run_module
from tests.end_to_end.memory.rows import COLUMNS, fill
from tests.end_to_end.steps import execution_of
from tests.samples import declared

CHUNK = 10_000
BY_INDEX, RECONCILE = "dynamodb_to_rds, by index", "dataops reconcile"
PREVIEWS = [path.name for path in sorted((ROOT / "notebooks").glob("0[1-3]-*.ipynb"))]

WAITS = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}


class Subject:
    """A case with a table of `rows` rows, of which `copied` chunks are copied; `peaks` tells what took how many MiB."""

    def __init__(self, case: Case, endpoint: NullDynamoDB, rows: int, copied: int) -> None:
        self.case, self.endpoint, self.rows, self.copied = case, endpoint, rows, copied
        self.peaks: dict[str, float] = {}
        self._zip = build_zip()
        case.source(f"CREATE TABLE {{t}} {COLUMNS}")
        fill(case.source, rows)

    def call_handlers(self) -> None:
        """Have every handler do its part of one run, and the last one undo another."""
        functions, batch = self._functions("run"), self.case.batch()
        self._call_flow(functions, batch)
        run = self._plan(functions, batch, "1")
        self._hold(run, batch, self._leave_out(run, self.copied))
        for chunk in range(self.copied):
            functions.call("rds_to_dynamodb", run=run, chunk=chunk)
        functions.call("take_snapshot", run=run)
        functions.call("account_rows", run=run)
        functions.call("sweep_stale", run=run)
        self._load(functions, run)
        assert functions.call("source_vs_dynamodb", run=run)["drifted"] == []
        functions.call("dynamodb_vs_staging", run=run)
        functions.call("publish", run=run)
        closed = functions.call("close_run", run=run, execution=execution_of(run))
        assert (closed["source_rows"], closed["target_rows"]) == (self.rows, self.copied * CHUNK)
        run = self._plan(functions, batch, "2")
        functions.call("roll_back", run=run, execution=execution_of(run), error={"Error": "Test", "Cause": "a test"})
        self.peaks |= functions.close()

    def _call_flow(self, functions: Functions, batch: Batch) -> None:
        """Have a flow's handlers do their part of a run all of whose rows were dropped."""
        sfn, name = boto3.client("stepfunctions"), f"{batch.batch}-flow"
        machine = sfn.create_state_machine(name=f"dataops-flow-{name}", definition=json.dumps(WAITS), roleArn=ROLE)
        flow = sfn.start_execution(stateMachineArn=machine["stateMachineArn"], name=name)["executionArn"]
        declared = {batch.batch: msgspec.to_builtins(batch)}
        given = {"flow": {"flow": "memory", "steps": [batch.batch]}, "batches": declared, "create_target": True}
        claimed = functions.call("claim_flow", run=name, execution=flow, started="2026-11-23T00:00:00Z", input=given)
        run = self._plan(functions, batch, "0", run=claimed["runs"][batch.batch], publish="defer", **{STARTED_BY: flow})
        self._hold(run, batch, self._leave_out(run, 0))
        self._load(functions, run)
        functions.call("hold_run", run=run, execution=execution_of(run))
        functions.call("publish_flow", run=name, execution=flow)
        assert functions.call("close_flow", run=name, execution=flow)["status"] == "succeeded"
        names = {"execution": flow, "started": "2026-11-23T00:00:00Z", "machine": "dataops-flow-memory"}
        functions.call("roll_back_flow", run=f"{name}-2", error="Test", **names)
        sfn.stop_execution(executionArn=flow)

    def read_index(self, chunks: int) -> None:
        """Load one partition of an index that holds the items of so many chunks: a quarter of them."""
        name, functions = f"{self.case.name}_index", self._functions("index")
        index = {"name": "by-status", "partition_key": "status", "sort_key": "id", "projection": "ALL"}
        changes = {"batch": name, "dynamodb__table": name, "dynamodb__indexes": [index], "target__table": name}
        batch = self.case.batch(**changes, target__read={"index": "by-status"})
        run = self._plan(functions, batch, "1")
        first, *_ = kept = self._leave_out(run, chunks)
        first.partitions = {str(pack_cursor({"status": {"S": "open"}})): chunks * CHUNK // 4}
        Control(run).save_chunk(first)
        self._hold(run, batch, kept)
        self._load(functions, run)
        assert sum(segment.rows for segment in Control(run).segments()) == chunks * CHUNK // 4
        self.peaks[BY_INDEX] = functions.close()["dynamodb_to_rds"]

    def preview(self) -> None:
        """Run the notebooks that only look; compare the three stores over half of what was copied."""
        name, rows = self.case.name, self.copied * CHUNK // 2
        batch = declared(batch=name, source__table=name, target__table=name, dynamodb__table=name)
        for notebook in PREVIEWS:
            self._look(notebook, str(ROOT / "notebooks" / notebook), batch)
        batch["source"]["where"] = f"id <= {rows}"
        self.case.target(f"DELETE FROM {{t}} WHERE id > {rows}")
        self.endpoint.held[name] = self.endpoint.held[name]._replace(rows=rows)
        assert f"{rows:,} target rows; they agree" in self._look(RECONCILE, "reconcile", batch)

    def _functions(self, name: str) -> Functions:
        environment = {name: os.environ[name] for name in ("DATAOPS_CONTROL_TABLE", "DATAOPS_TOPIC_ARN")}
        environment["AWS_ENDPOINT_URL_DYNAMODB"] = self.endpoint.url
        return Functions(self._zip, self.case.folder / name, environment)

    def _plan(self, functions: Functions, batch: Batch, number: str, run: str = "", **more: str) -> str:
        """Plan a run; gives its name."""
        deploy_to_stack(batch)
        run = run or f"{batch.batch}-{number}"
        given = {"batch": msgspec.to_builtins(batch), "workers": 1, "create_target": True, **more}
        names = {"run": run, "execution": execution_of(run), "started": "2026-11-23T00:00:00Z"}
        assert len(functions.call("plan", **names, input=given)["chunks"]) == self.rows // CHUNK
        return run

    def _leave_out(self, run: str, kept: int) -> list[Chunk]:
        """Mark all rows as dropped but those of the first chunks, which it gives."""
        control = Control(run)
        chunks = control.chunks()
        for chunk in chunks[kept:]:
            chunk.rows = chunk.dropped = CHUNK
            chunk.done = chunk.verified = True
            control.save_chunk(chunk)
        return chunks[:kept]

    def _hold(self, run: str, batch: Batch, chunks: list[Chunk]) -> None:
        """Have the endpoint hold the items that the run writes for these chunks."""
        plan = Control(run).require_plan()
        stamps = [plan.stamp_of(chunk.id, chunk.attempt) for chunk in chunks]
        held = Held(len(chunks) * CHUNK, batch.stamp, lambda number: stamps[(number - 1) // CHUNK])
        self.endpoint.held[batch.dynamodb.table] = held

    def _load(self, functions: Functions, run: str) -> None:
        for segment in functions.call("prepare_staging", run=run)["segments"]:
            functions.call("dynamodb_to_rds", run=run, segment=segment)

    def _look(self, name: str, what: str, batch: dict[str, Any]) -> str:
        """Run a preview in an interpreter of its own; gives what it said."""
        path: Path = self.case.folder / "batch.yml"
        path.write_text(json.dumps(batch))
        variables = {**os.environ, "AWS_ENDPOINT_URL_DYNAMODB": self.endpoint.url}
        *said, peak = run_module("tests.end_to_end.memory.preview", what, str(path), environment=variables)
        self.peaks[name] = float(peak)
        return "\n".join(said)
