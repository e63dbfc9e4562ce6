"""Resume: begin a run with the chunks that a failed run of the same batch has copied."""

from __future__ import annotations

import msgspec

from dataops.batch import Batch
from dataops.core.control import Control
from dataops.core.records import STAMP_ATTEMPTS, Chunk, Plan
from dataops.core.schema import Table
from dataops.errors import BatchFileError, Permanent, SchemaMismatch


def resumable_plan(batch: Batch, failed: Control, by: str) -> Plan:
    """The plan of a failed run that run `by` may continue: nothing that decides what its items hold has changed.

    Raises Permanent when the run did not fail, has published, was resumed already or has been overtaken by a later
    run; BatchFileError when the batch is another one. `on_reject` and the schedule may differ.
    """
    plan, record, name = failed.find_plan(), failed.record(), failed.run
    if plan is None or record is None:
        raise Permanent(f"run {name}: has no plan, so there is nothing to resume; run the batch again")
    if record.published or record.status not in ("failed", "cut off"):
        raise Permanent(f"run {name}: is '{record.status}'; only a run that failed before it published can be resumed")
    if record.resumed_by not in ("", by):
        raise Permanent(f"run {name}: was resumed as {record.resumed_by}; resume that")
    if msgspec.structs.replace(plan.batch, on_reject=batch.on_reject, schedule=batch.schedule) != batch:
        raise BatchFileError(f"batch {batch.batch}: is not as it was in run {name}; run it anew, without --resume")
    if failed.newest_generation(batch.batch) != plan.generation:
        raise Permanent(f"run {name}: a later run of the batch has begun since; run it anew, without --resume")
    return plan


def inherit_chunks(control: Control, batch: Batch, failed: Control, plan: Plan, source: Table) -> list[Chunk]:
    """The failed run's chunks as this run begins with them, with their rejections; may be repeated.

    Chunks that were done stay as they are and are compared with the source again (where `on_reject: fail` forbids their
    rejections they are copied again); others start over under a stamp of their own, so that a late write for the failed
    run is told from this one's. Raises SchemaMismatch when the source
    table is not as it was.
    """
    if plan.source != source:
        raise SchemaMismatch(f"source.table: {source.name} has changed since run {plan.run}; run it anew")
    chunks = []
    for chunk in failed.chunks():
        if chunk.attempt + 1 >= STAMP_ATTEMPTS:
            raise Permanent(f"run {plan.run}: chunk {chunk.id} was begun too often; run it anew, without --resume")
        stays = chunk.done and not chunk.drifted and not (chunk.rejected and batch.on_reject == "fail")
        if stays:
            chunk.verified, chunk.write_units, chunk.began, chunk.ended = False, 0.0, 0.0, 0.0
            chunk.throttles, chunk.retries, chunk.milliseconds_left, chunk.spent = 0, 0, None, {}
            control.save_rejections(chunk, 0, failed.rejections_of(chunk))
        else:
            chunk = chunk.begin_again()
        chunks.append(chunk)
    return chunks


def mark_resumed(failed: Control, by: str) -> None:
    """Say in the failed run's record which run goes on from it: there can be one only."""
    record = failed.record()
    assert record is not None
    record.resumed_by = by
    failed.save_record(record)
