"""A state machine drawn as SVG: no network, no script, one light panel that any theme can show."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

from dataops.workbook.layout import PAD, Box, Line, Scope, lay_out
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
            yield f'<text x="{line.label[0]:g}" y="{line.label[1]:g}" class="asl-label">{escape(line.label[2])}</text>\n'
    yield "</g>\n"


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
    title = escape(": ".join(filter(None, [box.name, passed or "not reached" if status else "", box.comment])))
    yield f'<g class="{style}{" asl-frame" if box.inner else ""}"><title>{title}</title>{_outline(box)}'
    seconds = f'<tspan class="asl-note" dx="6">{escape(notes[box.name])}</tspan>' if box.name in notes else ""
    if box.inner:
        note = f'<tspan class="asl-note" dx="8">{escape(box.note)}</tspan>'
        yield f'<text x="{box.x + 12:g}" y="{box.y + 20:g}" class="asl-head">{escape(box.name)}{note}{seconds}</text></g>\n'
    else:
        mark = {"Fail": "✕ ", "Succeed": "✓ "}.get(box.kind, "")
        yield f'<text x="{box.middle:g}" y="{box.port + 4.5:g}" class="asl-name">{mark}{escape(box.name)}{seconds}</text></g>\n'
    for x, y, scope in box.inner:
        yield from _draw(scope, box.x + x, box.y + y, status, notes)


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
<rect width="{width}" height="{height}" rx="8" class="asl-panel"/>
"""
_STYLE = """\
<style>
.asl-panel { fill: #ffffff }
.asl-next, .asl-catch { fill: none; stroke: #5c6773; stroke-width: 1.4; stroke-linejoin: round }
.asl-catch { stroke: #c0756f; stroke-width: 1; stroke-dasharray: 4 3 }
.asl-name, .asl-head { font-size: 13px; fill: #1f2933; text-anchor: middle }
.asl-head { font-weight: 600; text-anchor: start }
.asl-note { font-size: 11px; font-weight: 400; fill: #5c6773 }
.asl-label { font-size: 11px; fill: #48525e; stroke: #ffffff; stroke-width: 4px; paint-order: stroke }
.asl-succeeded { fill: #e3f4e6; stroke: #2b8a3e; stroke-width: 1.6 }
.asl-failed { fill: #fde8e8; stroke: #c92a2a; stroke-width: 2.4 }
.asl-aborted { fill: #fff3d6; stroke: #b8860b; stroke-width: 1.6 }
.asl-unvisited { fill: #f4f5f7; stroke: #8a93a0; stroke-width: 1.6 }
.asl-frame { fill: #ffffff }
.asl-name, .asl-head, .asl-note { stroke: none }
.asl-tip { fill: #5c6773 }
.asl-tip-catch { fill: #c0756f }
</style>
<defs>
<marker id="asl-next" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L8 4 L0 8 z" class="asl-tip"/></marker>
<marker id="asl-catch" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L8 4 L0 8 z" class="asl-tip-catch"/></marker>
</defs>
"""
