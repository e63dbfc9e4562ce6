"""A flow's run in the control table."""

from __future__ import annotations

from dataops.core.control import Control
from dataops.core.records import FlowRecord


class FlowControl(Control):
    """A flow's run in the control table."""

    def record_of_flow(self) -> FlowRecord | None:
        """The record of the flow's run."""
        return self._get(f"run#{self.run}", "flow", FlowRecord)

    def save_flow(self, record: FlowRecord) -> None:
        """Write the record of the flow's run, and the pointer that lists it."""
        self._put(f"run#{self.run}", "flow", record)
        self._put("flows", f"{record.started}#{record.run}", record)

    def flows(self, limit: int = 100) -> list[FlowRecord]:
        """The newest runs of flows first."""
        return self._newest("flows", FlowRecord, limit)
