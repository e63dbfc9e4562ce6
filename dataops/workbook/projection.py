"""Preview how a batch's items will lie in DynamoDB and what they will cost, before one is written."""

from __future__ import annotations

from collections import Counter

from dataops.batch import Batch
from dataops.core.item import MAX_ITEM_BYTES, Item, item_size
from dataops.core.records import STAMP_ATTEMPTS, STAMP_CHUNKS
from dataops.errors import SchemaMismatch
from dataops.workbook.access import Proof, Reads, plan_patterns, prove
from dataops.workbook.charts import Picture, draw_histogram
from dataops.workbook.cost import DAYS, STORED_BYTES, Prices, dollars, read_units_of
from dataops.workbook.heaviest import Load
from dataops.workbook.normalization import spell_attribute
from dataops.workbook.table import Table, Tables
from dataops.workbook.views import View
from dataops.workbook.walk import SourceWalk

SAMPLE_ITEMS, SAMPLE_BYTES = 2000, 8 * 1024 * 1024
PARTITION_UNITS = 1000
"""Write units that one partition serves in a second. Source: AWS, "Best practices for designing partition keys"."""
NEW_TABLE_UNITS = 4000
"""Write units a second that a new on-demand table serves at once. Source: AWS, "On-demand capacity mode"."""
STAMP = (1000 * STAMP_CHUNKS + 1) * STAMP_ATTEMPTS
"""The stamp that sizes are counted with: that of generation 1,000; a stamp of an older one may be a byte shorter."""
BARS = 24


class ProjectionPreview:
    """A batch's items as DynamoDB will hold them, learnt in one walk over its source. Nothing is written.

    Kept are counts, a bounded sample of items, and the heaviest partitions: memory does not grow with the table.
    """

    def __init__(self, batch: Batch, rows: int = 0, prices: Prices | None = None) -> None:
        self.batch, self.prices = batch, prices or Prices()
        self._walk = SourceWalk(batch, rows)
        self.views = [View(batch, None), *(View(batch, index) for index in batch.dynamodb.indexes)]
        self._sizes: Counter[int] = Counter()
        self._sample: list[Item] = []
        self._sampled = self.rejected = 0
        stamp = {batch.stamp: {"N": str(STAMP)}}
        for row in self._walk.rows():
            result = self._walk.codec.encode(row)
            if isinstance(result, dict):
                self._add(result | stamp)
            else:
                self.rejected += result is not None
        self._proofs: list[Proof] | None = None

    def _add(self, item: Item) -> None:
        for view in self.views:
            view.add(item)
        size = item_size(item)
        self._sizes[size] += 1
        if len(self._sample) < SAMPLE_ITEMS and self._sampled + size <= SAMPLE_BYTES:
            self._sampled += size
            self._sample.append(item)

    @property
    def scale(self) -> float:
        """What counts are multiplied by when only the first rows were read."""
        return self._walk.total / self._walk.read if self._walk.read else 1.0

    @property
    def write_units(self) -> float:
        """Write units of the load into an empty table, indexes included."""
        return self.scale * sum(view.load_units for view in self.views)

    @property
    def refresh_units(self) -> float:
        """Write units of a full refresh that changes nothing, indexes included."""
        return self.scale * sum(view.refresh_units for view in self.views)

    @property
    def run_read_units(self) -> float:
        """Read units of one run: consistent scans to sweep and to reconcile, and the load of the target.

        The load is one more scan, or the pages of an index and, where that does not hold the items, each of them by key.
        """
        table = self.views[0]
        scan = read_units_of(table.bytes, consistent=True)
        index = next(
            (view for view in self.views if self.batch.read_index and view.index == self.batch.read_index), None
        )
        if index is None:
            return self.scale * 3 * scan
        fetched = 0.0 if index.projection == "ALL" else 2 * table.read_units
        return self.scale * (2 * scan + read_units_of(index.bytes) + fetched)

    # --- what is shown -------------------------------------------------------------------------------------------

    def items(self, rows: int = 5) -> Tables:
        """The first items, in the table and as each index shows them: `-` where an attribute is not there."""
        return Tables([self._items(view, rows) for view in self.views])

    def _items(self, view: View, rows: int) -> Table:
        shown = [of for of in map(view.show, self._sample) if of][:rows]
        names = dict.fromkeys((*view.keys, *(name for item in shown for name in item)))
        heads = [f"{name} ({_role(view, name)})" if name in view.keys else name for name in names]
        cells = [[spell_attribute(item.get(name)) for name in names] for item in shown]
        numbers = [
            head for head, name in zip(heads, names, strict=True) if all("N" in item.get(name, {}) for item in shown)
        ]
        absent = self.views[0].items - view.items
        sparse = f"; {absent:,} items are not in it" if absent else ""
        return Table(heads, cells, f"{view.name} ({view.what}): {view.items:,} items{sparse}", right=numbers)

    def sizes(self) -> Picture:
        """A histogram of the items' sizes."""
        return draw_histogram(
            _bars(self._sizes), f"{self.batch.dynamodb.table}: bytes of an item", "bytes", (1024, "1 KB")
        )

    def size_table(self) -> Table:
        """How large the items are, exactly, and how many write units that makes."""
        heads = ("items", "least", "median", "mean", "99 %", "greatest", "over 1 KB", "limit")
        count = sum(self._sizes.values())
        ordered = sorted(self._sizes)
        row = (count, ordered[0], _quantile(self._sizes, 0.5), round(self.views[0].bytes / count),
               _quantile(self._sizes, 0.99), ordered[-1], sum(n for size, n in self._sizes.items() if size > 1024),
               MAX_ITEM_BYTES) if count else (0, *[None] * 6, MAX_ITEM_BYTES)  # fmt: skip
        return Table(
            heads, [row], f"{self.batch.dynamodb.table}: bytes of an item in {self._walk.what}, stamp included"
        )

    def cost(self, refreshes: int = 30) -> Table:
        """Units and dollars of the table and each index; `refreshes` are full refreshes a month."""
        rows = [self._cost(view, refreshes) for view in self.views]
        if len(rows) > 1:
            counts = [sum(_number(row[place]) for row in rows) for place in range(1, 6)]
            amounts = zip(*(self._dollars(view, refreshes) for view in self.views), strict=True)
            rows.append(("all", *counts, *(dollars(sum(of)) for of in amounts)))
        heads = ("table or index", "items", "bytes stored", "WCU of a load", "WCU of a refresh", "of it for the stamp",
                 "$ a load", f"$ {refreshes:,} refreshes", "$ storage a month")  # fmt: skip
        extrapolated = f", extrapolated to {self._walk.total:,}" if self._walk.partial else ""
        caption = f"from {self._walk.what}{extrapolated}; on demand, us-east-1"
        caption += f" x {self.prices.factor:g}" if self.prices.factor != 1 else ""
        return Table(heads, rows, caption, right=heads[6:])

    def _cost(self, view: View, refreshes: int) -> tuple[str | int, ...]:
        stored = view.bytes + STORED_BYTES * view.items
        counts = (view.items, stored, view.load_units, view.refresh_units, view.stamp_units)
        money = map(dollars, self._dollars(view, refreshes))
        return (f"{view.name} ({view.what})", *(round(self.scale * of) for of in counts), *money)

    def _dollars(self, view: View, refreshes: int) -> tuple[float, float, float]:
        stored = self.scale * (view.bytes + STORED_BYTES * view.items)
        load, refresh = self.scale * view.load_units, self.scale * view.refresh_units
        return self.prices.writes(load), self.prices.writes(refresh) * refreshes, self.prices.stored(stored)

    def heat(self) -> Table:
        """The hottest partition of the table and each index, and the units it would get at the batch's rate."""
        rate = self.batch.dynamodb.max_write_units or NEW_TABLE_UNITS
        rows = []
        for view in self.views:
            hottest, share = view.partitions.hottest(), self.hottest_share(view)
            count = f"{view.partitions.distinct:,}" if view.partitions.exact else f"over {view.partitions.distinct:,}"
            spelt = spell_attribute(hottest.attribute) if hottest else "-"
            forecast = share * rate * view.load_units / max(1, self.views[0].load_units)
            word = "throttled" if forecast > PARTITION_UNITS else "fits"
            rows.append((f"{view.name} ({view.keys[0]})", count, spelt, hottest.load.items if hottest else 0,
                         f"{100 * share:.2g} %", round(forecast), word))  # fmt: skip
        heads = (
            "table or index",
            "partitions",
            "the hottest",
            "its items",
            "share of units",
            "WCU a second",
            f"of {PARTITION_UNITS:,}",
        )
        return Table(heads, rows, f"written at {rate:,} units a second in random order", right=(heads[1], heads[4]))

    def hottest_share(self, view: View) -> float:
        """The share of a view's write units that its hottest partition gets, at most."""
        hottest = view.partitions.hottest()
        return min(1.0, hottest.load.units / view.load_units) if hottest and view.load_units else 0.0

    def access(self) -> Table:
        """Each access pattern, the operation it takes, what that reads and costs, and whether it gave the right items."""
        rows = []
        for proof in self.proofs():
            reads = proof.reads
            units = self._read_units(reads)
            monthly = self.prices.reads(units[0]) * reads.pattern.reads_per_day * DAYS
            rows.append((reads.pattern.name, reads.operation, *self._items_read(reads), *(f"{of:,.1f}" for of in units),
                         dollars(monthly) if reads.pattern.reads_per_day else "-", proof.told))  # fmt: skip
        heads = (
            "access pattern",
            "operation",
            "items, mean",
            "items, most",
            "RCU, mean",
            "RCU, most",
            "$ a month",
            "run on the embedded DynamoDB",
        )
        caption = f"eventually consistent; run over the first {len(self._sample):,} items"
        return Table(heads, rows, caption, right=heads[2:7], wrapped=heads[1:2])

    def proofs(self) -> list[Proof]:
        """Every access pattern with what came of running it on the embedded DynamoDB."""
        if self._proofs is None:
            self._proofs = prove(self.batch, self._walk.codec, self._sample, plan_patterns(self.batch))
        return self._proofs

    def _view_of(self, reads: Reads) -> View:
        return next(view for view in self.views if view.index == reads.over)

    def _items_read(self, reads: Reads) -> tuple[str, str]:
        view = self._view_of(reads)
        if reads.kind == "get":
            return "1", "1"
        if reads.kind == "scan":
            return (f"{round(self.scale * view.items):,}",) * 2
        hottest = view.partitions.hottest()
        mean = view.items / max(1, view.partitions.distinct)
        return f"{mean:,.1f}", f"{hottest.load.items if hottest else 0:,}"

    def _read_units(self, reads: Reads) -> tuple[float, float]:
        view, table = self._view_of(reads), self.views[0]
        each = table.read_units / max(1, table.items)
        if reads.kind == "get":
            return each, each
        if reads.kind == "scan":
            return (read_units_of(self.scale * view.bytes),) * 2
        hottest, count = view.partitions.hottest(), max(1, view.partitions.distinct)
        most = hottest.load if hottest else Load(0, 0, 0)
        fetched = each if reads.fetches else 0.0
        return (
            read_units_of(view.bytes / count) + fetched * view.items / count,
            read_units_of(most.size) + fetched * most.items,
        )

    def verdict(self) -> str:
        """One line of counts."""
        bad = [view.name for view in self.views if self._throttles(view)]
        hot = f"; the hottest partition of {', '.join(bad)} may be throttled" if bad else ""
        table = self.views[0]
        return (
            f"{self.batch.batch}: {round(self.scale * table.items):,} items take {round(self.write_units):,} write units "
            f"to load, {round(self.refresh_units):,} to refresh unchanged{hot}; "
            f"{len(self.proofs())} access patterns hold."
        )

    def _throttles(self, view: View) -> bool:
        rate = self.batch.dynamodb.max_write_units or NEW_TABLE_UNITS
        return self.hottest_share(view) * rate * view.load_units / max(1, self.views[0].load_units) > PARTITION_UNITS


def preview_projection(batch: Batch, rows: int = 0, price_factor: float = 1.0) -> ProjectionPreview:
    """Preview the items of all rows of a batch, or of the first `rows` of them, from which the rest is extrapolated.

    `price_factor` is what your region charges as a multiple of us-east-1.
    """
    return ProjectionPreview(batch, rows, Prices(factor=price_factor))


def require_projection(preview: ProjectionPreview) -> str:
    """The verdict on a preview. Raises SchemaMismatch when an access pattern did not give the items that it should."""
    wrong = [proof for proof in preview.proofs() if not proof.holds]
    if wrong:
        raise SchemaMismatch(f"{preview.batch.batch}: access pattern {wrong[0].reads.pattern.name!r}: {wrong[0].told}")
    return preview.verdict()


def _role(view: View, name: str) -> str:
    return "PK" if name == view.keys[0] else "SK"


def _number(value: str | int) -> int:
    return value if isinstance(value, int) else 0


def _quantile(sizes: Counter[int], part: float) -> int:
    """The least size that `part` of all items do not exceed."""
    wanted, seen = part * sum(sizes.values()), 0
    for size in sorted(sizes):
        seen += sizes[size]
        if seen >= wanted:
            return size
    return 0


def _bars(sizes: Counter[int]) -> list[tuple[float, float]]:
    if not sizes:
        return []
    low, high = min(sizes), max(sizes)
    width = max(1, -(-(high - low + 1) // BARS))
    heights = Counter({low + width * number: 0 for number in range(-(-(high - low + 1) // width))})
    for size, count in sizes.items():
        heights[low + (size - low) // width * width] += count
    return [(float(edge), float(heights[edge])) for edge in sorted(heights)]
