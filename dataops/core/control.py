"""The control table: what a run knows of itself, so that state payloads carry names and numbers only.

    pk                sk                 holds
    batch#<batch>     lease              the execution that may write now, and the run that it does so for
    batch#<batch>     generation         the number of the newest generation
    batch#<batch>     instant#<time>     the run that claimed a scheduled instant
    flow#<flow>       instant#<time>     the flow's run that claimed a scheduled instant
    runs, flows       <started>#<run>    a pointer, so that runs of batches and of flows can be listed
    run#<run>         record             `Record`: status, counts, why it failed
    run#<run>         flow               `FlowRecord` (core/flow.py): the runs of a flow's batches, status, why it failed
    run#<run>         plan               `Plan`: the batch and both tables as they were, written once
    run#<run>         cancel             somebody asked for the run to stop
    run#<run>         failure, trouble   why a state failed: the first permanent cause, the last retryable one
    run#<run>         chunk#<id>         `Chunk`: bounds, cursor, counts and digest of what was copied
    run#<run>         segment#<id>       `Segment`: cursor and counts of what was loaded
    run#<run>         sweep, verify      progress of the states that scan the whole table
    run#<run>         rejection#<chunk>#<attempt>#<number>
    run#<run>         offender#<number>  a row for whose key Plan refused the batch
    run#<run>         stuck#<chunk>      `Stuck`: the rows that DynamoDB did not take

Every record is one JSON text in `data` and is overwritten whole: a repeated invocation leaves the same record. What a run
holds of its rows and their parts also has the number `expires`, by which DynamoDB's time to live removes it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from dataops.core.aws import kept
from dataops.core.records import Chunk, Plan, Record, Rejection, Segment, Stuck, Sweep, Verification
from dataops.core.telemetry import label, least_left
from dataops.errors import Cancelled, LeaseHeld, Permanent

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

_Record = TypeVar("_Record", bound=msgspec.Struct)

EXPIRING = ("chunk#", "segment#", "rejection#", "offender#", "stuck#")
KEPT_SECONDS = 400 * 24 * 3600
"""How long these are kept after they were last written: longer than the year that an execution may take at most."""


class Control:
    """One run's view of the control table (name: `DATAOPS_CONTROL_TABLE`). All reads are consistent."""

    def __init__(self, run: str, client: DynamoDBClient | None = None) -> None:
        from dataops.core.dynamodb import dynamodb_client

        self.run = run
        self.client = client or kept(dynamodb_client)
        self.table = os.environ.get("DATAOPS_CONTROL_TABLE", "")
        if not self.table:
            raise Permanent("DATAOPS_CONTROL_TABLE: expected the control table's name, found nothing")

    # --- records -------------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """The run's plan; raises Cancelled when somebody asked for the run to stop."""
        self.require_wanted()
        return self.require_plan()

    def require_plan(self) -> Plan:
        """The run's plan, whether or not the run is still wanted."""
        plan = self._require("plan", Plan)
        label(batch=plan.batch.batch)
        return plan

    def find_plan(self) -> Plan | None:
        """The run's plan, if it has come so far."""
        if plan := self._get(f"run#{self.run}", "plan", Plan):
            label(batch=plan.batch.batch)
        return plan

    def save_plan(self, plan: Plan) -> None:
        """Write the plan."""
        self._put(f"run#{self.run}", "plan", plan)

    def record(self) -> Record | None:
        """The run's record."""
        return self._get(f"run#{self.run}", "record", Record)

    def save_record(self, record: Record) -> None:
        """Write the run's record, and the pointer that lists it."""
        self._put(f"run#{self.run}", "record", record)
        self._put("runs", f"{record.started}#{record.run}", record)

    def records(self, limit: int = 100) -> list[Record]:
        """The newest runs of batches first."""
        return self._newest("runs", Record, limit)

    def _newest(self, pk: str, of: type[_Record], limit: int) -> list[_Record]:
        reply = self.client.query(
            TableName=self.table, KeyConditionExpression="pk = :pk", ScanIndexForward=False, Limit=limit,
            ExpressionAttributeValues={":pk": {"S": pk}}, ConsistentRead=True,
        )  # fmt: skip
        return [msgspec.json.decode(item["data"]["S"], type=of) for item in reply["Items"]]

    def chunk(self, number: int) -> Chunk:
        """One chunk's record."""
        return self._require(f"chunk#{number:04d}", Chunk)

    def chunks(self) -> list[Chunk]:
        """All chunks, in order."""
        return list(self._list("chunk#", Chunk))

    def save_chunk(self, chunk: Chunk) -> None:
        """Overwrite one chunk's record."""
        chunk.milliseconds_left = least_left(chunk.milliseconds_left)
        self._put(f"run#{self.run}", f"chunk#{chunk.id:04d}", chunk)

    def segment(self, number: int) -> Segment:
        """One segment's record."""
        return self._require(f"segment#{number:04d}", Segment)

    def segments(self) -> list[Segment]:
        """All segments, in order."""
        return list(self._list("segment#", Segment))

    def save_segment(self, segment: Segment) -> None:
        """Overwrite one segment's record."""
        segment.milliseconds_left = least_left(segment.milliseconds_left)
        self._put(f"run#{self.run}", f"segment#{segment.id:04d}", segment)

    def sweep(self) -> Sweep:
        """How far the sweep has come."""
        return self._get(f"run#{self.run}", "sweep", Sweep) or Sweep()

    def save_sweep(self, sweep: Sweep) -> None:
        """Overwrite the sweep's progress."""
        self._put(f"run#{self.run}", "sweep", sweep)

    def verification(self) -> Verification:
        """How far the comparison of items and staging rows has come."""
        return self._get(f"run#{self.run}", "verify", Verification) or Verification()

    def save_verification(self, verification: Verification) -> None:
        """Overwrite the comparison's progress."""
        self._put(f"run#{self.run}", "verify", verification)

    def save_rejections(self, chunk: Chunk, first: int, rejections: Sequence[Rejection]) -> None:
        """Write rejections, numbered from `first`; written again they overwrite themselves."""
        for number, rejection in enumerate(rejections, first):
            self._put(f"run#{self.run}", f"rejection#{chunk.id:04d}#{chunk.attempt:02d}#{number:09d}", rejection)

    def save_offenders(self, rejections: Sequence[Rejection]) -> None:
        """Write the rows for whose keys Plan refuses the batch."""
        for number, rejection in enumerate(rejections):
            self._put(f"run#{self.run}", f"offender#{number:04d}", rejection)

    def save_unprocessed(self, chunk: Chunk, keys: Sequence[dict[str, str | None]]) -> None:
        """Overwrite which rows of a chunk DynamoDB did not take."""
        rows = tuple(Rejection(key, "", "stayed unprocessed in DynamoDB") for key in keys)
        self._put(f"run#{self.run}", f"stuck#{chunk.id:04d}", Stuck(chunk.id, chunk.attempt, chunk.cursor, rows))

    def unprocessed(self) -> list[Rejection]:
        """The rows that DynamoDB did not take and that no later attempt has written, by chunk."""
        stuck = list(self._list("stuck#", Stuck))
        chunks = {chunk.id: chunk for chunk in self.chunks()} if stuck else {}
        return [row for of in stuck if of.is_at(chunks[of.chunk]) for row in of.rows]

    def rejections(self, limit: int | None = None) -> list[Rejection]:
        """What Plan refused, then the rejections of each chunk's last attempt, in order of key, at most `limit`."""
        return list(islice(self.walk_rejections(), limit))

    def walk_rejections(self) -> Iterator[Rejection]:
        """All of them, one by one: there may be more than memory holds."""
        yield from self._list("offender#", Rejection)
        for chunk in self.chunks():
            if chunk.rejected:
                yield from self._rejections_of(chunk)

    def rejections_of(self, chunk: Chunk) -> list[Rejection]:
        """The rejections of one chunk's last attempt, in order of key."""
        return list(self._rejections_of(chunk))

    def _rejections_of(self, chunk: Chunk) -> Iterator[Rejection]:
        return islice(self._list(f"rejection#{chunk.id:04d}#{chunk.attempt:02d}#", Rejection), chunk.rejected)

    # --- stopping ------------------------------------------------------------------------------------------------

    def save_trouble(self, permanent: bool, cause: str) -> None:
        """Keep why a state failed: the first permanent cause, else the last retryable one."""
        if permanent:
            self._put_if(f"run#{self.run}", "failure", cause)
        else:
            self._put_item({"pk": {"S": f"run#{self.run}"}, "sk": {"S": "trouble"}, "data": {"S": cause}})

    def trouble(self) -> str | None:
        """Why a state failed, if one did."""
        item = self._read(f"run#{self.run}", "failure") or self._read(f"run#{self.run}", "trouble")
        return item["data"]["S"] if item else None

    def ask_to_stop(self) -> None:
        """Ask the run to stop; its next page sees it and the state machine rolls back."""
        self._put_item({"pk": {"S": f"run#{self.run}"}, "sk": {"S": "cancel"}})

    def require_wanted(self) -> None:
        """Raises Cancelled when somebody asked for the run to stop."""
        if self._read(f"run#{self.run}", "cancel"):
            raise Cancelled(f"run {self.run}: was asked to stop")

    # --- claims --------------------------------------------------------------------------------------------------

    def claim_instant(self, name: str, instant: str, kind: str = "batch") -> bool:
        """Claim a scheduled instant of a batch, or of a flow, for this run; False when another run already has it."""
        return self._put_if(f"{kind}#{name}", f"instant#{instant}", self.run)

    def take_lease(self, batch: str, execution: str) -> str | None:
        """Take the batch's lease for an execution (ARN); None when it is ours, else the execution that holds it."""
        if self._put_if(f"batch#{batch}", "lease", execution, run=self.run):
            return None
        return self.lease_holder(batch) or self.take_lease(batch, execution)

    def take_over(self, batch: str, execution: str, holder: str) -> None:
        """Take the lease from another execution, for this run. Raises LeaseHeld when a third was quicker."""
        if not self._put_if(f"batch#{batch}", "lease", execution, run=self.run, instead_of=holder):
            raise LeaseHeld(f"batch {batch}: another run took it over first; try again when that has ended")

    def lease_holder(self, batch: str) -> str | None:
        """The execution that holds the batch's lease."""
        held = self._read(f"batch#{batch}", "lease")
        return held["data"]["S"] if held else None

    def leased_run(self, batch: str) -> str | None:
        """The run that the batch's lease is held for: its execution's own, or one whose flow publishes it."""
        held = self._read(f"batch#{batch}", "lease")
        return held.get("run", {}).get("S") if held else None

    def release_lease(self, batch: str, execution: str) -> None:
        """Give the lease back if this execution still holds it."""
        from botocore.exceptions import ClientError

        try:
            self.client.delete_item(
                TableName=self.table, Key={"pk": {"S": f"batch#{batch}"}, "sk": {"S": "lease"}},
                ConditionExpression="#data = :mine", ExpressionAttributeNames={"#data": "data"},
                ExpressionAttributeValues={":mine": {"S": execution}},
            )  # fmt: skip
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise

    def open_generation(self, batch: str) -> int:
        """A number higher than every generation of this batch before."""
        reply = self.client.update_item(
            TableName=self.table, Key={"pk": {"S": f"batch#{batch}"}, "sk": {"S": "generation"}},
            UpdateExpression="ADD #n :one", ExpressionAttributeNames={"#n": "number"},
            ExpressionAttributeValues={":one": {"N": "1"}}, ReturnValues="UPDATED_NEW",
        )  # fmt: skip
        return int(reply["Attributes"]["number"]["N"])

    def newest_generation(self, batch: str) -> int | None:
        """The number of the newest generation of this batch; None where no run has opened one."""
        item = self._read(f"batch#{batch}", "generation")
        return int(item["number"]["N"]) if item else None

    def now(self) -> float:
        """Seconds since 1970 by DynamoDB's clock: workers' clocks may differ, so none of them decides anything."""
        reply = self.client.get_item(TableName=self.table, Key={"pk": {"S": "now"}, "sk": {"S": "now"}})
        return parsedate_to_datetime(reply["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()

    # --- plumbing ------------------------------------------------------------------------------------------------

    def _put_item(self, item: dict[str, Any]) -> None:
        self.client.put_item(TableName=self.table, Item=item)

    def _put(self, pk: str, sk: str, record: msgspec.Struct) -> None:
        expires = {"expires": {"N": f"{time.time() + KEPT_SECONDS:.0f}"}} if sk.startswith(EXPIRING) else {}
        self._put_item(
            {"pk": {"S": pk}, "sk": {"S": sk}, "data": {"S": msgspec.json.encode(record).decode()}, **expires}
        )

    def _put_if(self, pk: str, sk: str, data: str, *, run: str = "", instead_of: str | None = None) -> bool:
        """Write `data` where it is itself already, or `instead_of` is; without one, where nothing is. False elsewhere."""
        from botocore.exceptions import ClientError

        allowed = {":mine": {"S": data}} | ({":old": {"S": instead_of}} if instead_of else {})
        more = {"run": {"S": run}} if run else {}
        try:
            self.client.put_item(
                TableName=self.table, Item={"pk": {"S": pk}, "sk": {"S": sk}, "data": {"S": data}, **more},
                ConditionExpression=f"{'' if instead_of else 'attribute_not_exists(pk) OR '}#data IN ({', '.join(allowed)})",
                ExpressionAttributeNames={"#data": "data"}, ExpressionAttributeValues=allowed,
            )  # fmt: skip
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _read(self, pk: str, sk: str) -> dict[str, Any] | None:
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        return self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item")

    def _get(self, pk: str, sk: str, of: type[_Record]) -> _Record | None:
        item = self._read(pk, sk)
        return msgspec.json.decode(item["data"]["S"], type=of) if item else None

    def _require(self, sk: str, of: type[_Record]) -> _Record:
        record = self._get(f"run#{self.run}", sk, of)
        if record is None:
            raise Permanent(f"run {self.run}: has no {sk} in control table {self.table}")
        return record

    def _list(self, prefix: str, of: type[_Record]) -> Iterator[_Record]:
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table, KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)", ConsistentRead=True,
            ExpressionAttributeValues={":pk": {"S": f"run#{self.run}"}, ":sk": {"S": prefix}},
        )  # fmt: skip
        for page in pages:
            for item in page["Items"]:
                yield msgspec.json.decode(item["data"]["S"], type=of)
