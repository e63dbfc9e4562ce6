"""Reconcile a batch at any time: what source, DynamoDB and target hold now, as a table; and mend it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from dataops.batch import Batch
from dataops.core.compare import open_comparison
from dataops.core.difference import STORES, Difference, Store, Tally
from dataops.core.mend import Mended, RepairLease, mend, require_mendable
from dataops.workbook.table import Table


class Reconciled(msgspec.Struct, frozen=True):
    """What a comparison found: all counted in `tally`, the first of them in `listed`.

    `notes` say what one line says better than a list; `mended` what a repair did before this comparison.
    """

    tally: Tally
    listed: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    mended: Mended | None = None

    @property
    def exit_status(self) -> int:
        """0 where all three stores agree, else 1."""
        return 1 if self.tally.differences or self.notes else 0

    def table(self) -> Table:
        """The listed differences."""
        rows = [(_spell(of.key), of.store, of.kind, ", ".join(of.columns) or "-") for of in self.listed]
        return Table(("key", "store", "what", "columns"), rows)

    def summary(self) -> str:
        """One line of counts."""
        tally = self.tally
        aside = {"dropped": tally.dropped, "rejected": tally.rejected, "outside the partition": tally.outside}
        shown = "".join(f", {count:,} {name}" for name, count in aside.items() if count)
        found = [
            f"{store} {count:,} {kind}" for store in STORES for kind, count in tally.counts[store].items() if count
        ]
        verdict = f"{tally.differences:,} differences: {', '.join(found)}" if found else "they agree"
        return (
            f"{tally.source_rows:,} source rows{shown}; {tally.dynamodb_items:,} items; "
            f"{tally.target_rows:,} target rows; {verdict if found or not self.notes else 'they do not agree'}"
        )

    def to_json(self) -> dict[str, Any]:
        """All of it; of row values the keys only."""
        tally = self.tally
        differences = [{"key": of.key, "store": of.store, "kind": of.kind, "columns": of.columns} for of in self.listed]
        counts: dict[str, Any] = {"dropped": tally.dropped, "rejected": tally.rejected, "outside": tally.outside}
        return {
            "source_rows": tally.source_rows, "dynamodb_items": tally.dynamodb_items, "target_rows": tally.target_rows,
            "differences": differences, "counts": {**counts, **tally.counts}, "notes": self.notes,
            "repaired": msgspec.to_builtins(self.mended),
        }  # fmt: skip


def compare_batch(batch: Batch, limit: int = 100, mended: Mended | None = None) -> Reconciled:
    """Compare the three stores of a batch and list at most `limit` differences. Writes nothing."""
    comparison = open_comparison(batch)
    with comparison.task:
        listed = list(_first(comparison.differences(), limit))
    tally, notes = comparison.tally, []
    names = {"dynamodb": f"DynamoDB table {batch.dynamodb.table}", "target": f"target table {batch.target.table}"}
    for store in STORES:
        expected = tally.expected[store]
        if store in comparison.absent:
            notes.append(f"{names[store]} is not there")
        elif expected and tally.counts[store]["missing"] == expected > limit:
            notes.append(f"{names[store]} holds nothing of what was expected: {expected:,} keys")
            listed = [of for of in listed if (of.store, of.kind) != (store, "missing")]
    return Reconciled(tally, tuple(listed[:limit]), tuple(notes), mended)


def repair_batch(batch: Batch, limit: int = 100) -> Reconciled:
    """Mend the keys that differ, under the batch's lease, and compare again.

    Raises LeaseHeld when a run has the lease, Permanent when no run has written yet.
    """
    comparison = open_comparison(batch)
    with comparison.task as task:
        require_mendable(task, comparison.absent)
        with RepairLease(task.control, task) as lease:
            mended = mend(task, comparison.target_key, comparison.differences(), lease)
    return compare_batch(batch, limit, mended)


def _first(differences: Iterable[Difference], limit: int) -> Iterator[Difference]:
    """The first `limit` of each store and kind, without what should be or is there; the rest is but counted."""
    seen: Counter[tuple[Store, str]] = Counter()
    for of in differences:
        seen[of.store, of.kind] += 1
        if seen[of.store, of.kind] <= limit:
            yield of._replace(expected=None, found=None)


def _spell(key: dict[str, str | None]) -> str:
    return ", ".join(f"{name}={text}" for name, text in key.items())
