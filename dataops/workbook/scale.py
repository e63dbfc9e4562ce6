"""What a row costs in tables of different sizes: CPU, memory, and the time to plan; every row is checked."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dataops.core.records import STAMP_CHUNKS
from dataops.local.bench.worker import OURS
from dataops.workbook.bench import MICRO, Bench, open_bench
from dataops.workbook.table import Table

if TYPE_CHECKING:
    from dataops.local.mysqld import Flavor
    from dataops.workbook.charts import Picture

LEAST, FACTOR = 10_000, 10


class Point(msgspec.Struct, frozen=True):
    """A run of so many rows: microseconds of CPU a row, most resident memory in MiB, chunks, seconds of Plan."""

    rows: int
    chunks: int
    plan_seconds: float
    plan_mib: float
    copy_us_per_row: float
    copy_mib: float
    load_us_per_row: float
    load_mib: float
    differences: int


class Scale(msgspec.Struct, frozen=True):
    """The same for all sizes."""

    points: tuple[Point, ...]

    @property
    def differences(self) -> int:
        """Rows that were not, somewhere, what they should be."""
        return sum(point.differences for point in self.points)

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        return {"sizes": [msgspec.to_builtins(point) for point in self.points], "differences": self.differences}

    def table(self) -> Table:
        """The figures, a line for each size."""
        heads = (
            "rows", "chunks", "Plan s", "Plan MiB", "copy us/row", "copy MiB", "load us/row", "load MiB", "rows differ",
        )  # fmt: skip
        rows = [
            (of.rows, of.chunks, f"{of.plan_seconds:.2f}", f"{of.plan_mib:.1f}", f"{of.copy_us_per_row:.2f}",
             f"{of.copy_mib:.1f}", f"{of.load_us_per_row:.2f}", f"{of.load_mib:.1f}", of.differences)
            for of in self.points
        ]  # fmt: skip
        return Table(heads, rows, right=heads[2:8])

    def draw(self) -> Picture:
        """The figures as curves over the number of rows."""
        from dataops.workbook.charts import Curves, draw_curves

        def curve(field: str) -> list[float]:
            return [getattr(point, field) for point in self.points]

        costs = {"copy": curve("copy_us_per_row"), "load": curve("load_us_per_row")}
        memory = {"copy": curve("copy_mib"), "load": curve("load_mib"), "plan": curve("plan_mib")}
        planning = [point.plan_seconds / point.rows * MICRO for point in self.points]
        charts = (
            Curves("client CPU, microseconds a row", costs),
            Curves("most resident memory, MiB", memory),
            Curves(f"Plan, microseconds a row; {self.points[-1].plan_seconds:.0f} s at the end", {"plan": planning}),
        )
        return draw_curves(charts, [point.rows for point in self.points], "What the number of rows changes")


def sizes_up_to(most: int) -> list[int]:
    """10,000 rows, ten times as many, and so on, up to `most`."""
    sizes = [LEAST]
    while sizes[-1] * FACTOR <= most:
        sizes.append(sizes[-1] * FACTOR)
    return sizes


def measure_scale(sizes: Sequence[int], tell: Callable[[str], None], flavor: Flavor | None = None) -> Scale:
    """Plan, copy and load a table of each size, in rising order. `tell` is given a line for each. Raises StackError."""
    points = []
    with tempfile.TemporaryDirectory(prefix="dataops-bench-") as folder, open_bench(Path(folder), flavor) as bench:
        for rows in sizes:
            bench.fill(rows)
            points.append(_measure(bench, rows))
            tell(
                f"{rows:,} rows: copied for {points[-1].copy_us_per_row:.2f} us a row, "
                f"loaded for {points[-1].load_us_per_row:.2f}"
            )
    return Scale(tuple(points))


def _measure(bench: Bench, rows: int) -> Point:
    bench.hold(rows, chunks=STAMP_CHUNKS)
    planned, copied = (bench.work(stage, OURS, rows) for stage in ("plan", "copy"))
    wrong = bench.check_items()
    loaded = bench.work("load", OURS, rows)
    return Point(
        rows, planned.chunks, planned.wall, planned.memory, copied.cpu / rows * MICRO, copied.memory,
        loaded.cpu / rows * MICRO, loaded.memory, wrong + bench.compare(loaded.table, rows),
    )  # fmt: skip
