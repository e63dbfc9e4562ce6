"""A state machine drawn as SVG: no network, no script, on no ground of its own, readable on a light and a dark one."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

from dataops.workbook.layout import PAD, Box, Line, Scope, lay_out, text_width
from dataops.workbook.result import StateTime

STATUSES = ("succeeded", "failed", "aborted")


class Svg:
    """A picture. Reports hold its `text`; a notebook shows it as an image.

    JupyterLab shows no SVG output of a notebook that it does not trust, such as one just cloned; an image it does.
    """

    def __init__(self, text: str, title: str = "picture") -> None:
        self.text, self.title = text, title

    def __repr__(self) -> str:
        return f"<{self.title}>"

    def _repr_html_(self) -> str:
        data = b64encode(self.text.encode()).decode()
        return f'<img alt="{escape(self.title)}" style="max-width:100%" src="data:image/svg+xml;base64,{data}">'


def draw_machine(definition: str, states: Sequence[StateTime] = (), timed: bool = False) -> Svg:
    """The machine of an ASL definition (JSON text); states that an execution passed are coloured by how they went.

    With `timed` each state shows its seconds; without, the same passage always gives the same text.
    """
    scope = lay_out(json.loads(definition))
    status = {state.name: state.status for state in states}
    notes = {state.name: f"{state.seconds:.1f} s" for state in states if timed and state.visits}
    size = {"width": f"{scope.width + 2 * PAD:g}", "height": f"{scope.height + 2 * PAD:g}"}
    body = "".join(_draw(scope, PAD - scope.left, PAD, status, notes))
    return Svg(_HEADER.format(**size) + _STYLE + body + "</svg>\n", "state machine")


def _draw(scope: Scope, x: float, y: float, status: dict[str, str], notes: dict[str, str]) -> Iterator[str]:
    yield f'<g transform="translate({x:g} {y:g})">\n'
    for line in scope.lines:
        yield _draw_line(line)
    for box in scope.boxes:
        yield from _draw_box(box, status, notes)
    for line in scope.lines:
        if line.label:
            yield _draw_label(*line.label)
    yield "</g>\n"


def _draw_label(x: float, y: float, text: str) -> str:
    """A condition on a light tag, which hides the lines beneath it on any ground."""
    tag = (
        f'<rect x="{x - 4:g}" y="{y - 11:g}" width="{text_width(text, 6.2) + 8:g}" height="15" rx="4" class="asl-tag"/>'
    )
    return f'{tag}<text x="{x:g}" y="{y:g}" class="asl-label">{escape(text)}</text>\n'


def _draw_line(line: Line) -> str:
    style = "asl-catch" if line.edge.kind == "catch" else "asl-next"
    way = " L".join(f"{x:g} {y:g}" for x, y in line.points)
    why = f" ({line.edge.label})" if line.edge.label else ""
    title = escape(f"{line.edge.source} → {line.edge.target}{why}")
    tip = f' marker-end="url(#{style})"' if line.arrow else ""
    return f'<path d="M{way}" class="{style}"{tip}><title>{title}</title></path>\n'


def _draw_box(box: Box, status: dict[str, str], notes: dict[str, str]) -> Iterator[str]:
    passed = status.get(box.name, "")
    style = f"asl-{passed}" if passed in STATUSES else "asl-unvisited"
    told = [box.name, passed or "not reached" if status else "", box.comment, "; ".join(box.retries)]
    title = escape(": ".join(filter(None, told)))
    yield f'<g class="{style}{" asl-frame" if box.inner else ""}"><title>{title}</title>{_outline(box)}'
    seconds = f'<tspan class="asl-note" dx="6">{escape(notes[box.name])}</tspan>' if box.name in notes else ""
    seconds = ('<tspan class="asl-note" dx="6">↻</tspan>' if box.retries else "") + seconds
    if box.inner:
        note = f'<tspan class="asl-note" dx="8">{escape(box.note)}</tspan>'
        yield f'<path d="{_head_of(box)}"/>'
        yield f'<text x="{box.x + 12:g}" y="{box.y + 17:g}" class="asl-head">{escape(box.name)}{note}{seconds}</text></g>\n'
    else:
        mark = {"Fail": "✕ ", "Succeed": "✓ "}.get(box.kind, "")
        yield f'<text x="{box.middle:g}" y="{box.port + 4.5:g}" class="asl-name">{mark}{escape(box.name)}{seconds}</text></g>\n'
    for x, y, scope in box.inner:
        yield from _draw(scope, box.x + x, box.y + y, status, notes)


def _head_of(box: Box) -> str:
    """The band at the top of a frame that holds its name: a path with two round corners."""
    round_ends = f"a6 6 0 0 1 6 -6 H{box.right - 6:g} a6 6 0 0 1 6 6"
    return f"M{box.x:g} {box.y + 25:g} V{box.y + 6:g} {round_ends} V{box.y + 25:g} z"


def _outline(box: Box) -> str:
    if box.kind == "Choice":
        corners = [(box.x, box.port), (box.x + 14, box.y), (box.right - 14, box.y)]
        corners += [(box.right, box.port), (box.right - 14, box.bottom), (box.x + 14, box.bottom)]
        return f'<path d="M{" L".join(f"{x:g} {y:g}" for x, y in corners)} z"/>'
    radius = 17 if box.kind in ("Succeed", "Fail") else 6
    dash = ' stroke-dasharray="6 3"' if box.kind == "Map" else ""
    return f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="{radius}"{dash}/>'


_HEADER = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" \
style="max-width:100%;height:auto" font-family="system-ui, -apple-system, 'Segoe UI', sans-serif">
"""
_STYLE = """\
<style>
.asl-next, .asl-catch { fill: none; stroke: #7b8794; stroke-width: 1.4; stroke-linejoin: round }
.asl-catch { stroke: #cc7a74; stroke-width: 1; stroke-dasharray: 4 3 }
.asl-name, .asl-head { font-size: 13px; fill: #1f2933; text-anchor: middle }
.asl-head { font-weight: 600; text-anchor: start }
.asl-note { font-size: 11px; font-weight: 400; fill: #48525e }
.asl-label { font-size: 11px; fill: #2f3a46 }
.asl-tag { fill: #eef1f4 }
.asl-succeeded { fill: #d8f0dd; stroke: #2f9a46; stroke-width: 1.6 }
.asl-failed { fill: #fbdcdc; stroke: #d64545; stroke-width: 2.4 }
.asl-aborted { fill: #fdebc4; stroke: #c08a12; stroke-width: 1.6 }
.asl-unvisited { fill: #e9ecf0; stroke: #7b8794; stroke-width: 1.6 }
.asl-frame > rect { fill: none }
.asl-name, .asl-head, .asl-note { stroke: none }
.asl-tip { fill: #7b8794 }
.asl-tip-catch { fill: #cc7a74 }
</style>
<defs>
<marker id="asl-next" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L8 4 L0 8 z" class="asl-tip"/></marker>
<marker id="asl-catch" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L8 4 L0 8 z" class="asl-tip-catch"/></marker>
</defs>
"""
