"""Close Run: a run has succeeded."""

from __future__ import annotations

from dataops.core.control import Control
from dataops.core.records import Record
from dataops.core.telemetry import count, label


def close_run(run: str, execution: str) -> Record:
    """Release the lease and write the run's final record."""
    control = Control(run)
    record = control.record()
    assert record is not None
    label(batch=record.batch)
    end_run(control, record, execution)
    count(runs_succeeded=1)
    return record


def end_run(control: Control, record: Record, execution: str) -> None:
    """Say in the record that the run has succeeded, and give its lease back."""
    record.status = "succeeded with rejections" if record.rejected else "succeeded"
    control.save_record(record)
    control.release_lease(record.batch, execution)
