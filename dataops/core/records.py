"""What a run keeps of itself in the control table, as values; each is one JSON text there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from dataops.batch import Batch
from dataops.core.normalize import Rejection
from dataops.core.schema import Table

STAMP_CHUNKS, STAMP_ATTEMPTS = 1000, 100


class Plan(msgspec.Struct, frozen=True):
    """What Plan decided; it never changes afterwards. `key` are the columns that rows are read in order of."""

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

    def stamp_of(self, chunk: int, attempt: int) -> int:
        """The number that marks an item: generation, chunk and attempt in one, growing with the generation."""
        return (self.generation * STAMP_CHUNKS + chunk) * STAMP_ATTEMPTS + attempt


class Chunk(msgspec.Struct):
    """A key range (over `lower`, up to `upper`) and what has been copied of it. Bounds and cursor are packed keys.

    `refused` of the `rejected` rows were refused by DynamoDB itself, and `refused_digest` is the digest of their items;
    `digest` is that of the items written; `write_units` are what DynamoDB said that they took, indexes included;
    `throttles` counts the calls or batches that it turned away meanwhile, `retries` those that were repeated. `began` and `ended` are seconds since 1970 by the workers' clocks: shown, and never compared. `drifts` counts how often its source had changed since it was copied. `partitions` counts the items by the partition
    that the target reads them from, where it reads by query or index.
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
    `retries`, `began` and `ended` are as in `Chunk`.
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


class Record(msgspec.Struct):
    """What ran, with what result: shown by `dataops runs`. Times are the state machine's, ISO-8601.

    `published` says that the target has this run's rows, whatever became of the run afterwards; `as_of` is the instant
    of the source's clock that they are those of, where the batch reads in one snapshot. `write_units` are those that
    the copy's last attempts took, `read_units` those of the load; `throttles` and `retries` are of both.
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


def pack_key(values: Sequence[Any]) -> list[str]:
    """Key values (`str` or `bytes`) as texts that JSON keeps."""
    return [f"b{value.hex()}" if isinstance(value, bytes) else f"s{value}" for value in values]


def unpack_key(packed: Sequence[str] | None) -> tuple[Any, ...] | None:
    """The inverse of `pack_key`."""
    if packed is None:
        return None
    return tuple(bytes.fromhex(text[1:]) if text[0] == "b" else text[1:] for text in packed)
