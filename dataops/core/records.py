"""What a run keeps of itself in the control table, as values; each is one JSON text there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from dataops.batch import Batch
from dataops.core.schema import Table

STAMP_CHUNKS, STAMP_ATTEMPTS = 1000, 100


class Rejection(msgspec.Struct, frozen=True):
    """A row that cannot be stored: its key, the column at fault, and why."""

    key: dict[str, str | None]
    column: str
    reason: str


class Plan(msgspec.Struct, frozen=True):
    """What Plan decided; it never changes afterwards. `key` are the columns that rows are read in order of.

    `flow` is the execution (ARN) of the flow that publishes the run's rows, where the run does not do so itself.
    """

    run: str
    batch: Batch
    source: Table
    target: Table
    generation: int
    key: tuple[str, ...]
    chunks: int
    workers: int
    created_target: bool = False
    left_out: tuple[str, ...] = ()
    page_rows: int = 1000
    flow: str = ""

    def stamp_of(self, chunk: int, attempt: int) -> int:
        """The number that marks an item: generation, chunk and attempt in one, growing with the generation."""
        return (self.generation * STAMP_CHUNKS + chunk) * STAMP_ATTEMPTS + attempt


class Chunk(msgspec.Struct):
    """A key range (over `lower`, up to `upper`) and what has been copied of it. Bounds and cursor are packed keys.

    `refused` of the `rejected` rows were refused by DynamoDB itself, and `refused_digest` is the digest of their items;
    `digest` is that of the items written; `write_units` are what DynamoDB said that they took, indexes included;
    `throttles` counts the calls or batches that it turned away meanwhile, `retries` those that were repeated. `began` and `ended` are seconds since 1970 by the workers' clocks: shown, and never compared; `milliseconds_left` is the least that one of its functions had left of its time. `drifts` counts how often its source had changed since it was copied. `partitions` counts the items by the partition
    that the target reads them from, where it reads by query or index. `plain` counts the rows that did not go the fast
    way, by the reason; `spent` are the seconds of its workers, by what they went to (see `stopwatch`).
    """

    id: int
    lower: list[str] | None = None
    upper: list[str] | None = None
    cursor: list[str] | None = None
    attempt: int = 0
    rows: int = 0
    items: int = 0
    rejected: int = 0
    refused: int = 0
    dropped: int = 0
    emptied: dict[str, int] = {}
    digest: str = "0"
    refused_digest: str = "0"
    partitions: dict[str, int] = {}
    done: bool = False
    verified: bool = False
    drifted: bool = False
    drifts: int = 0
    write_units: float = 0.0
    throttles: int = 0
    retries: int = 0
    began: float = 0.0
    ended: float = 0.0
    milliseconds_left: int | None = None
    plain: dict[str, int] = {}
    spent: dict[str, float] = {}

    def begin_again(self) -> Chunk:
        """The chunk before anything of it was copied, one attempt later."""
        return Chunk(self.id, self.lower, self.upper, attempt=self.attempt + 1, drifts=self.drifts)


class Stuck(msgspec.Struct, frozen=True):
    """The rows, at most 25, that DynamoDB did not take when a chunk stood at this attempt and cursor."""

    chunk: int
    attempt: int
    cursor: list[str] | None
    rows: tuple[Rejection, ...]

    def is_at(self, chunk: Chunk) -> bool:
        """Whether the chunk has not come past these rows since."""
        return not chunk.done and (self.attempt, self.cursor) == (chunk.attempt, chunk.cursor)


class Segment(msgspec.Struct):
    """A part of the items that one worker loads.

    Of an index it is `partitions` (packed attributes); `found` items have been read of the one at `place`. `throttles`,
    `retries`, `began`, `ended` and `milliseconds_left` are as in `Chunk`. `plain` counts the rows that did not go the fast
    way, by the reason; `spent` is as in `Chunk`.
    """

    id: int
    partitions: list[str] = []
    cursor: str | None = None
    rows: int = 0
    done: bool = False
    place: int = 0
    found: int = 0
    read_units: float = 0.0
    throttles: int = 0
    retries: int = 0
    began: float = 0.0
    ended: float = 0.0
    milliseconds_left: int | None = None
    plain: dict[str, int] = {}
    spent: dict[str, float] = {}


class Sweep(msgspec.Struct):
    """How far the sweep has come."""

    cursor: str | None = None
    deleted: int = 0


class Verification(msgspec.Struct):
    """How far the comparison of items and staging rows has come, with its sums so far."""

    cursor: str | None = None
    items: int = 0
    items_digest: str = "0"
    in_scope: int = 0
    rows_digest: str = "0"
    staging_cursor: list[str] | None = None
    staging_rows: int = 0
    staging_digest: str = "0"
    scanned: bool = False


class Invoked(msgspec.Struct, frozen=True):
    """What was invoked of one function: how often, its milliseconds together, its memory in MB, its processor."""

    invocations: int
    milliseconds: int
    memory: int
    architecture: str = "x86_64"

    @property
    def gb_seconds(self) -> float:
        """What Lambda bills of them, beside the invocations."""
        return self.milliseconds / 1000 * self.memory / 1024


class Usage(msgspec.Struct, frozen=True):
    """What a run took of Step Functions and Lambda, by its executions' histories; functions by their handlers' names.

    `fast_rows` are the rows that the copy and the load carried the fast way.
    """

    transitions: int
    functions: dict[str, Invoked]
    fast_rows: dict[str, int] = {}


class Record(msgspec.Struct):
    """What ran, with what result: shown by `dataops runs`. Times are the state machine's, ISO-8601.

    `published` says that the target has this run's rows, whatever became of the run afterwards; `as_of` is the instant
    of the source's clock that they are those of, where the batch reads in one snapshot. `write_units` are those that
    the copy's last attempts took, `read_units` those of the load; `throttles`, `retries`, `milliseconds_left` (the least)
    and `plain` (the rows that did not go the fast way, by the reason) are of both. `copying` and `loading` are
    the seconds of the workers that did so, by what they went to (see `stopwatch`). `flow` is the flow's run that this
    one is a part of. `usage` is measured and put here by who started the run, when it has ended.
    """

    run: str
    batch: str
    status: str = "running"
    execution: str = ""
    started: str = ""
    source_rows: int = 0
    items: int = 0
    target_rows: int = 0
    rejected: int = 0
    dropped: int = 0
    outside: int = 0
    emptied: dict[str, int] = {}
    stale_deleted: int = 0
    created_target: bool = False
    left_out: list[str] = []
    cause: str = ""
    published: bool = False
    resumed_by: str = ""
    as_of: str = ""
    write_units: float = 0.0
    read_units: float = 0.0
    throttles: int = 0
    retries: int = 0
    milliseconds_left: int | None = None
    plain: dict[str, int] = {}
    copying: dict[str, float] = {}
    loading: dict[str, float] = {}
    flow: str = ""
    usage: Usage | None = None

    @property
    def accounted(self) -> int:
        """The source rows whose whereabouts are known."""
        return self.target_rows + self.rejected + self.dropped + self.outside

    @property
    def resumable(self) -> bool:
        """Whether another run could go on from what this one has copied."""
        return self.status == "failed" and bool(self.source_rows) and not self.published and not self.resumed_by

    @property
    def adds_up(self) -> bool:
        """Whether every source row is in the target, rejected, dropped or outside the partition that is read."""
        return self.source_rows == self.accounted


class FlowRecord(msgspec.Struct):
    """A flow's run: the run of each of its batches, in the order of its steps, and what became of them together.

    `unchecked` says which of the source's foreign keys were not looked after, and why.
    """

    run: str
    flow: str
    status: str = "running"
    execution: str = ""
    started: str = ""
    publish: str = "together"
    references: str = "check"
    runs: dict[str, str] = {}
    published: bool = False
    unchecked: list[str] = []
    cause: str = ""


def pack_key(values: Sequence[Any]) -> list[str]:
    """Key values (`str` or `bytes`) as texts that JSON keeps."""
    return [f"b{value.hex()}" if isinstance(value, bytes) else f"s{value}" for value in values]


def unpack_key(packed: Sequence[str] | None) -> tuple[Any, ...] | None:
    """The inverse of `pack_key`."""
    if packed is None:
        return None
    return tuple(bytes.fromhex(text[1:]) if text[0] == "b" else text[1:] for text in packed)
