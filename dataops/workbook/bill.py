"""What a run cost, in dollars by what was measured, beside what it would have cost with boto3's `batch_writer`.

The second is an estimate: the same units, transitions and invocations, and what the run's functions took, more by the CPU
that the rows which went the fast way take as people write it. How long that waits for DynamoDB call by call is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dataops.core.records import Invoked, Record, Usage
from dataops.workbook.cost import MILLION, Prices
from dataops.workbook.table import Table

MORE_MICROSECONDS = {"rds_to_dynamodb": 118.2 - 4.5, "dynamodb_to_rds": 67.1 - 4.3}
"""CPU that a row takes more: by `batch_writer` than by our copy, by a resource scan and `executemany` than by our load.

From `dataops bench`, as docs/fast-path.md has it; Lambda's processors may be slower.
"""
WHOSE = {"DynamoDB write units": " of the copy", "DynamoDB read units": " of the load"}
"""Of which part of a run a record has the units: what else a run reads and writes is in no line (docs/architecture.md)."""
PROCESSOR_MEMORY = 1769
"""MB at which a function has one whole processor (AWS, "Configure Lambda function memory"); with less it has a share."""


class Line(NamedTuple):
    """One thing that AWS bills: how much of it and in dollars; the same with `batch_writer`."""

    name: str
    amount: float
    dollars: float
    instead: float
    dollars_instead: float


def bill_run(record: Record, prices: Prices | None = None) -> tuple[Line, ...]:
    """What a run cost; empty where its usage was not measured."""
    if record.usage is None:
        return ()
    return _lines(record.usage, record.write_units, record.read_units, prices or Prices())


def bill_flow(usage: Usage | None, records: Iterable[Record], prices: Prices | None = None) -> tuple[Line, ...]:
    """What a flow cost, its batches' runs together with its own states; empty where any was not measured."""
    own = _lines(usage, 0.0, 0.0, prices or Prices()) if usage else ()
    bills = [own, *(bill_run(record, prices) for record in records)]
    return tuple(_add(lines) for lines in zip(*bills, strict=True)) if all(bills) else ()


def total_of(bill: Sequence[Line]) -> float:
    """All of a bill's dollars."""
    return sum(line.dollars for line in bill)


def bill_json(bill: Sequence[Line]) -> dict[str, object] | None:
    """A bill as plain values; None where nothing was measured."""
    if not bill:
        return None
    lines = {line.name: {"amount": round(line.amount, 6), "dollars": round(line.dollars, 9)} for line in bill}
    instead = sum(line.dollars_instead for line in bill)
    return {**lines, "dollars": round(total_of(bill), 9), "batch_writer_dollars_estimated": round(instead, 9)}


def bill_table(bill: Sequence[Line]) -> Table:
    """A bill to read, the sum of its lines last."""
    columns = ("measured", "amount", "$", "with batch_writer (estimate)", "$ (estimate)")
    rows = [
        (
            of.name + WHOSE.get(of.name, ""),
            _shorten(of.amount),
            f"{of.dollars:.6f}",
            _shorten(of.instead),
            f"{of.dollars_instead:.6f}",
        )
        for of in bill
    ]
    if bill:
        instead = sum(line.dollars_instead for line in bill)
        rows.append(("all of the above", "-", f"{total_of(bill):.6f}", "-", f"{instead:.6f}"))
    return Table(columns, rows, right=columns[1:])


def _shorten(amount: float) -> str:
    return f"{amount:,.0f}" if amount == int(amount) else f"{amount:,.2f}"


def _lines(usage: Usage, writes: float, reads: float, prices: Prices) -> tuple[Line, ...]:
    time, instead = Prices.functions, _instead(usage)
    spent = [(of.gb_seconds, of.architecture, instead[name]) for name, of in usage.functions.items()]
    calls = sum(of.invocations for of in usage.functions.values())
    return (
        Line(
            "Lambda GB-seconds",
            sum(taken for taken, _, _ in spent), sum(time(prices, taken, kind) for taken, kind, _ in spent),
            sum(other for _, _, other in spent), sum(time(prices, other, kind) for _, kind, other in spent),
        ),
        _same("Lambda invocations", calls, prices.invocations(calls)),
        _same("state transitions", usage.transitions, prices.transitions(usage.transitions)),
        _same("DynamoDB write units", writes, prices.writes(writes)),
        _same("DynamoDB read units", reads, prices.reads(reads)),
    )  # fmt: skip


def _same(name: str, amount: float, dollars: float) -> Line:
    return Line(name, amount, dollars, amount, dollars)


def _instead(usage: Usage) -> dict[str, float]:
    """GB-seconds of each function with `batch_writer`: with less than a whole processor CPU time takes longer."""
    return {
        name: of.gb_seconds
        + MORE_MICROSECONDS.get(name, 0.0) * usage.fast_rows.get(name, 0) / MILLION * _processor_gb(of)
        for name, of in usage.functions.items()
    }


def _processor_gb(function: Invoked) -> float:
    return max(function.memory, PROCESSOR_MEMORY) / 1024


def _add(lines: Sequence[Line]) -> Line:
    return Line(lines[0].name, *(sum(numbers) for numbers in zip(*(line[1:] for line in lines), strict=True)))
