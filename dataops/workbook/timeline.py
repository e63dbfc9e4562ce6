"""Where a run's time and units went, as pictures: they differ from run to run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dataops.workbook.charts import AMBER, BLUE, GREEN, GREY, RED, Picture, Span, draw_compared, draw_spans
from dataops.workbook.cost import dollars
from dataops.workbook.projection import ProjectionPreview
from dataops.workbook.report import describe_limits
from dataops.workbook.result import RunResult, Work

MOST_WORKS = 40
"""Chunks or segments that have a lane each; more of them share one."""


def draw_timeline(result: RunResult) -> Picture:
    """When each state ran, and each chunk and segment, with its rows a second; above, what limited them."""
    started = min((visit.began for visit in result.visits), default=0.0)
    ended = max((visit.ended for visit in result.visits), default=started)
    color_of = {state.name: _color(state.status) for state in result.states}
    lanes: list[tuple[str, list[Span]]] = []
    for name in dict.fromkeys(visit.name for visit in result.visits):
        visits = [visit for visit in result.visits if visit.name == name]
        seconds = sum((visit.ended or ended) - visit.began for visit in visits)
        if seconds < 0.005:
            continue
        note = f"{seconds:.2f} s" + (f" in {len(visits)} visits" if len(visits) > 1 else "")
        spans = [
            Span(name, visit.began - started, (visit.ended or ended) - started, color_of.get(name, GREY), note)
            for visit in visits
        ]
        lanes.append((name, spans))
    lanes += [
        *_lanes(result.copied, started, BLUE, "all chunks"),
        *_lanes(result.loaded, started, AMBER, "all segments"),
    ]
    title = f"{result.record.batch}: {result.status} in {ended - started:.1f} s{''.join(rates(result))}"
    title = "\n".join([title, *describe_limits(result.record)])
    return draw_spans(lanes, title, f"{result.record.batch}: timeline")


def draw_consumption(result: RunResult, forecast: ProjectionPreview) -> Picture:
    """Write units that the run's copy took beside what notebook 03 forecasts: for a first load, for an unchanged refresh.

    A run that found older items lies between the two: an index is written where what it shows has changed.
    """
    taken, prices = result.record.write_units, forecast.prices
    note = f"WCU, $ {dollars(prices.writes(taken))}"
    rows = [
        ("beside a first load", forecast.write_units, taken, note),
        ("beside an unchanged refresh", forecast.refresh_units, taken, note),
    ]
    reads = (
        f"; a run reads about {forecast.run_read_units:,.0f} RCU, $ {dollars(prices.reads(forecast.run_read_units))}"
    )
    name = f"{result.record.batch}: write units of the copy"
    return draw_compared(rows, f"{name}{reads}", ("forecast", "this run"), name)


def _lanes(works: Sequence[Work], started: float, color: str, name: str) -> Iterator[tuple[str, list[Span]]]:
    timed = [work for work in works if work.ended]
    spans = [Span(of.name, of.began - started, of.ended - started, color, _speed(of)) for of in timed]
    if len(spans) > MOST_WORKS:
        yield f"{name} ({len(spans):,})", [span._replace(note="") for span in spans]
    else:
        yield from ((f"   {span.name}", [span]) for span in spans)


def rates(result: RunResult) -> Iterator[str]:
    """How many rows a second were copied and loaded, each as the end of a sentence."""
    for word, works in (("copied", result.copied), ("loaded", result.loaded)):
        timed = [work for work in works if work.ended]
        seconds = max((of.ended for of in timed), default=0) - min((of.began for of in timed), default=0)
        if seconds > 0:
            yield f"; {word} {sum(of.rows for of in timed) / seconds:,.0f} rows a second"


def _speed(work: Work) -> str:
    seconds = work.ended - work.began
    return f"{work.rows:,} rows" + (f", {work.rows / seconds:,.0f} a second" if seconds > 0.001 else "")


def _color(status: str) -> str:
    return {"succeeded": GREEN, "failed": RED}.get(status, AMBER)
