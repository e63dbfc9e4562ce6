"""Reconcile a batch at any time: what source, DynamoDB and target hold now, as a table; and mend it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from dataops.batch import Batch
from dataops.core.compare import open_comparison
from dataops.core.difference import KINDS, STORES, Difference, Store, Tally
from dataops.core.mend import Mended, RepairLease, mend, require_mendable
from dataops.errors import Unaccounted
from dataops.workbook.normalization import spell_cell
from dataops.workbook.stack import attach
from dataops.workbook.table import Table


class Reconciled(msgspec.Struct, frozen=True):
    """What a comparison found: all counted in `tally`, the first of them in `listed`.

    `notes` say what one line says better than a list; `mended` what a repair did before this comparison.
    """

    tally: Tally
    listed: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    mended: Mended | None = None
    batch: str = ""

    @property
    def exit_status(self) -> int:
        """0 where all three stores agree, else 1."""
        return 1 if self.tally.differences or self.notes else 0

    def table(self) -> Table:
        """The listed differences."""
        rows = [(_spell(of.key), of.store, of.kind, ", ".join(of.columns) or "-") for of in self.listed]
        return Table(("key", "store", "what", "columns"), rows)

    def stores(self) -> Table:
        """What each store holds, what the source's rows stand for there, and how many keys are not so."""
        tally = self.tally
        held = {"dynamodb": tally.dynamodb_items, "target": tally.target_rows}
        rows: list[tuple[Any, ...]] = [("source", tally.source_rows, "-", *["-"] * len(KINDS))]
        rows += [(store, held[store], tally.expected[store], *tally.counts[store].values()) for store in STORES]
        aside = f"of the source's rows {tally.dropped:,} are dropped by the transform and {tally.rejected:,} rejected"
        aside += f"; {tally.outside:,} lie outside the partition read" if tally.outside else ""
        return Table(("store", "rows or items", "expected", *KINDS), rows, aside, right=("expected", *KINDS))

    def cells(self) -> Table:
        """The listed differences down to the cell: what the source says should be there, and what is."""
        rows: list[tuple[Any, ...]] = []
        for of in self.listed:
            names = zip(of.columns, of.cells, strict=False)
            told = [(name, spell_cell(expected), spell_cell(found)) for name, (expected, found) in names]
            rows += [(_spell(of.key), of.store, of.kind, *cell) for cell in told or [("-", "-", "-")]]
        shown = (
            f"the first {len(self.listed):,} of {self.tally.differences:,} differences" if rows else "no differences"
        )
        return Table(("key", "store", "what", "column", "expected", "found"), rows, "; ".join((shown, *self.notes)))

    def repaired(self) -> Table:
        """What a repair did; nothing where none was asked for."""
        done = self.mended
        rows = (
            [
                ("items put or deleted", done.items),
                ("target rows changed", done.rows),
                ("items left as they are", done.left),
            ]
            if done
            else []
        )
        return Table(("repair", "count"), rows)

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
    return Reconciled(tally, tuple(listed[:limit]), tuple(notes), mended, batch.batch)


def reconcile_batch(batch: Batch, *, repair: bool = False, limit: int = 100) -> Reconciled:
    """Compare the three stores of a batch as they are now, after a repair where one is asked for.

    Raises what `repair_batch` raises.
    """
    attach()
    return repair_batch(batch, limit) if repair else compare_batch(batch, limit)


def require_agreement(found: Reconciled) -> str:
    """The verdict on a comparison. Raises Unaccounted when the stores do not agree."""
    told = f"{found.batch}: {'; '.join((*found.notes, found.summary()))}"
    if found.exit_status:
        raise Unaccounted(told)
    return told


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
            yield of._replace(expected=None, found=None)  # whole items and rows; `cells` are what is shown


def _spell(key: dict[str, str | None]) -> str:
    return ", ".join(f"{name}={text}" for name, text in key.items())
