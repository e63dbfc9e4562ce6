"""A run's report: one HTML file that needs no network, in light and dark."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from dataops.core.records import FlowRecord, Record
from dataops.core.stopwatch import SIDES, limiting_side
from dataops.errors import Permanent
from dataops.workbook.bill import bill_flow, bill_run, bill_table, total_of
from dataops.workbook.cost import Prices
from dataops.workbook.diagram import Svg, draw_machine
from dataops.workbook.notebook import Outcome
from dataops.workbook.result import FlowResult, RunResult, StateTime
from dataops.workbook.table import Table

COST_NOTE = (
    "List prices of us-east-1. Not in it: the units of sweep and comparison and of the control table, logs, the databases, "
    "and the network. The estimate for boto3's <code>batch_writer</code> adds the CPU that it takes more, by <code>dataops bench</code>, for the rows that went the "
    "fast way."
)
BAR_WIDTH, BAR_HEIGHT = 380, 22


def write_report(result: RunResult, folder: Path) -> Path:
    """Write `report.html` into `folder`; gives its path. Every value in it is escaped."""
    path = folder / "report.html"
    record = result.record
    body = "".join(_parts(result))
    title = escape(f"{record.batch}: {result.status}")
    path.write_text(_PAGE.format(title=title, style=_STYLE, body=body), "utf-8")
    return path


def write_flow_report(result: FlowResult, folder: Path) -> Path:
    """Write a flow's `report.html` into `folder`; gives its path. It links to those of its batches' runs."""
    path = folder / "report.html"
    record = result.record
    title = escape(f"{record.flow}: {result.status}")
    path.write_text(_PAGE.format(title=title, style=_STYLE, body="".join(_flow_parts(result))), "utf-8")
    return path


def members_table(result: FlowResult) -> Table:
    """What became of each batch of a flow."""
    rows = [
        (
            of.record.batch,
            of.status,
            of.record.source_rows,
            of.record.target_rows,
            of.record.rejected,
            f"{of.seconds:.1f}",
        )
        for of in result.runs
    ]
    return Table(("batch", "status", "source rows", "target rows", "rejected", "seconds"), rows, right=("seconds",))


def describe_publication(result: FlowResult) -> str:
    """In one sentence, what readers of the targets saw."""
    if result.status == "skipped":
        return "Another execution has this scheduled instant."
    if result.record.publish == "each":
        return "Each batch published by itself."
    if result.record.published:
        tables = len(result.record.runs)
        return f"{f'All {tables} tables' if tables > 1 else 'The table'} changed in one RENAME."
    return "No table was changed."


def counts_table(result: RunResult) -> Table:
    """What the run read, wrote, rejected and published, as a table."""
    rows = list(result.counts.items())
    if result.record.outside:
        rows.insert(3, ("outside the partition read", result.record.outside))
    rows += [(f"'' became NULL in {column}", cells) for column, cells in result.record.emptied.items()]
    return Table(("what", "count"), rows)


def describe_units(record: Record) -> str:
    """What a run took of DynamoDB, in one sentence."""
    return (
        f"DynamoDB took {record.write_units:,.0f} write units for the copy and {record.read_units:,.0f} read units for the "
        f"load; it throttled {record.throttles:,} times, and {record.retries:,} calls were made again."
        + "".join(f" {rows:,} rows did not go the fast way: {why}." for why, rows in sorted(record.plain.items()))
    )


def describe_limits(record: Record) -> list[str]:
    """What limited the copy and the load, a sentence each: the side that took most of their workers' time, and the others."""
    lines = []
    for work, spent in (("Copying", record.copying), ("Loading", record.loading)):
        total = sum(spent.values())
        shares = {side: f"{seconds / total:.0%}" for side, seconds in spent.items()}
        first = limiting_side(spent)
        rest = "".join(f", {SIDES[side]} {share}" for side, share in shares.items() if side != first and share != "0%")
        if spent:
            lines.append(f"{work} was limited by {SIDES[first]}: {shares[first]} of its workers' {total:,.1f} s{rest}.")
    return lines


def cost_table(result: RunResult | FlowResult, prices: Prices | None = None) -> Table:
    """What a run cost: amounts as measured, at list prices, beside an estimate for boto3's `batch_writer`.

    Without rows where the executions' histories or the functions could not be read.
    """
    if isinstance(result, RunResult):
        return bill_table(bill_run(result.record, prices))
    return bill_table(bill_flow(result.usage, [run.record for run in result.runs], prices))


def flows_table(records: Sequence[FlowRecord]) -> Table:
    """Which flows ran, when, with what result, in the order given."""
    rows = [(of.run, of.started[:19] or "-", of.status, len(of.runs), of.cause or "-") for of in records]
    return Table(("flow run", "started", "status", "batches", "cause"), rows)


def runs_table(records: Sequence[Record]) -> Table:
    """What ran, when, with what result, in the order given."""
    heads = ("run", "started", "status", "source rows", "target rows", "rejected", "$ measured", "cause")
    rows = [
        (record.run, record.started[:19] or "-", record.status, record.source_rows, record.target_rows,
         record.rejected, f"{total_of(bill_run(record)):.4f}" if record.usage else "-", record.cause or "-")
        for record in records
    ]  # fmt: skip
    return Table(heads, rows, right=("$ measured",))


def notebooks_table(outcomes: Sequence[tuple[str, Outcome]]) -> Table:
    """Which notebooks ran unattended, when, with what result, in the order given."""
    rows = [(folder, of.started, of.status, round(of.seconds, 1), of.cause or "-") for folder, of in outcomes]
    return Table(("notebook", "started", "status", "seconds", "cause"), rows)


def rejections_table(result: RunResult) -> Table:
    """The rejected rows, at most as many as the result carries."""
    rows = [(json.dumps(fault.key, ensure_ascii=False), fault.column, fault.reason) for fault in result.rejections]
    return Table(("key", "column", "reason"), rows)


def draw_outcome(result: RunResult) -> Svg:
    """The state machine with the states that the run passed."""
    return draw_machine(result.definition, result.states)


def require_success(result: RunResult) -> str:
    """The verdict on a run. Raises Permanent when it failed or its rows do not add up."""
    record = result.record
    if result.exit_status == 1:
        raise Permanent(f"{record.batch}: {result.status}: {record.cause}")
    if result.status != "skipped" and not record.adds_up:
        raise Permanent(f"{record.batch}: {record.source_rows:,} source rows, {record.accounted:,} accounted for")
    return (
        f"{record.batch}: {result.status}; {record.source_rows:,} source rows = {record.target_rows:,} target + "
        f"{record.rejected:,} rejected + {record.dropped:,} dropped."
    )


def draw_times(states: tuple[StateTime, ...]) -> str:
    """A bar for the seconds of each state, as SVG."""
    names = max((7 * len(state.name) for state in states), default=0) + 8
    longest = max((state.seconds for state in states), default=1.0)
    height = BAR_HEIGHT * len(states) + 4
    bars = "".join(_bar(number, state, longest, names) for number, state in enumerate(states))
    width = names + BAR_WIDTH + 140
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="seconds per state">{bars}</svg>'


def _bar(number: int, state: StateTime, longest: float, left: int) -> str:
    y, width = number * BAR_HEIGHT, max(2.0, BAR_WIDTH * state.seconds / longest)
    color = {"succeeded": "#4c9a5b", "failed": "#cf4b4b"}.get(state.status, "#c99a2e")
    times = f"{state.seconds:.2f} s" + (f" in {state.visits} visits" if state.visits > 1 else "")
    return (
        f'<text x="{left}" y="{y + 15}" text-anchor="end" class="bar">{escape(state.name)}</text>'
        f'<rect x="{left + 8}" y="{y + 4}" width="{width:.1f}" height="{BAR_HEIGHT - 8}" rx="3" fill="{color}"/>'
        f'<text x="{left + 14 + width:.1f}" y="{y + 15}" class="bar">{times}</text>'
    )


def _parts(result: RunResult) -> Iterator[str]:
    record = result.record
    tone = {"succeeded": "good", "succeeded with rejections": "warn", "skipped": "warn"}.get(result.status, "bad")
    yield f'<h1>{escape(record.batch)} <span class="{tone}">{escape(result.status)}</span></h1>'
    started = f", started {record.started[:19].replace('T', ' ')} UTC" if record.started else ""
    as_of = f"; the source as of {record.as_of[:-1].replace('T', ' ')} UTC" if record.as_of else ""
    yield f'<p class="quiet">run {escape(record.run)}{escape(started)}, {result.seconds:.1f} s{escape(as_of)}</p>'
    if record.cause:
        yield f'<p class="cause">{escape(record.cause)}</p>'
    yield f'<p class="quiet">{describe_units(record)}</p>'
    yield "".join(f'<p class="quiet">{escape(line)}</p>' for line in describe_limits(record))
    if record.milliseconds_left is not None:
        left = f"{record.milliseconds_left / 1000:,.0f} s"
        yield f'<p class="quiet">No function that copied or loaded had less than {left} of its time left.</p>'
    yield _equation(result)
    yield f"<h2>Counts</h2>{counts_table(result)._repr_html_()}"
    yield from _cost(result)
    if record.left_out:
        yield "<h2>Left out of the target table that was created</h2><ul>"
        yield "".join(f"<li>{escape(name)}</li>" for name in record.left_out) + "</ul>"
    if result.rejections:
        shown = f"{len(result.rejections):,} shown; all are in rejections.jsonl"
        yield f'<h2>Rejected rows</h2><p class="quiet">{shown}</p>{rejections_table(result)._repr_html_()}'
    if result.timed_states:
        yield f"<h2>Seconds per state</h2>{draw_times(result.timed_states)}"
    yield f"<h2>The state machine</h2>{draw_machine(result.definition, result.states).text}"


def _flow_parts(result: FlowResult) -> Iterator[str]:
    record = result.record
    tone = {0: "good", 3: "warn"}.get(result.exit_status, "bad")
    yield f'<h1>{escape(record.flow)} <span class="{tone}">{escape(result.status)}</span></h1>'
    started = f", started {record.started[:19].replace('T', ' ')} UTC" if record.started else ""
    yield f'<p class="quiet">run {escape(record.run)}{escape(started)}, {result.seconds:.1f} s</p>'
    if record.cause:
        yield f'<p class="cause">{escape(record.cause)}</p>'
    yield f'<p class="sum">{escape(describe_publication(result))}</p>'
    yield "".join(f'<p class="quiet">{escape(line)}</p>' for line in record.unchecked)
    yield f"<h2>Batches</h2>{members_table(result)._repr_html_()}<ul>"
    for of in result.runs:
        yield f'<li><a href="../{escape(of.record.run)}/report.html">{escape(of.record.run)}</a></li>'
    yield "</ul>"
    yield from _cost(result)
    if result.timed_states:
        yield f"<h2>Seconds per state</h2>{draw_times(result.timed_states)}"
    yield f"<h2>The state machine</h2>{draw_machine(result.definition, result.states).text}"


def _cost(result: RunResult | FlowResult) -> Iterator[str]:
    if result.bill:
        yield f'<h2>Cost</h2><p class="quiet">{COST_NOTE}</p>{cost_table(result)._repr_html_()}'


def _equation(result: RunResult) -> str:
    record = result.record
    terms = [("target", record.target_rows), ("rejected", record.rejected), ("dropped", record.dropped)]
    if record.outside:
        terms.append(("outside the partition", record.outside))
    right = " + ".join(f"<b>{count:,}</b> {name}" for name, count in terms)
    sign = "=" if record.adds_up else "≠"
    return f'<p class="sum"><b>{record.source_rows:,}</b> source rows {sign} {right}</p>'


_STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --paper: #ffffff; --quiet: #66707c; --line: #d7dce2 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --paper: #16191d; --quiet: #9aa5b1; --line: #363c44 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem;
       margin: 2rem auto; padding: 0 1.25rem }
h1 { font-size: 1.5rem; margin: 0 0 .25rem } h2 { font-size: 1.05rem; margin: 1.75rem 0 .5rem }
h1 span { font-size: .9rem; padding: .15rem .6rem; border-radius: 1rem; vertical-align: middle; color: #fff }
.good { background: #2b8a3e } .warn { background: #b8860b } .bad { background: #c92a2a }
.quiet { color: var(--quiet); margin: 0 0 .5rem; font-size: .9rem }
.sum { font-size: 1.1rem; border: 1px solid var(--line); border-radius: .5rem; padding: .6rem 1rem; display: inline-block }
.cause { border-left: 4px solid #c92a2a; padding: .3rem .8rem; margin: 1rem 0 }
.bar { font-size: 12px; fill: currentColor } svg { max-width: 100%; height: auto }
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style></head>
<body>
{body}
</body></html>
"""
