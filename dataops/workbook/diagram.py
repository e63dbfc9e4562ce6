"""A state machine drawn as SVG: its own boxes and lines, no network, one light panel for any theme."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

from dataops.workbook.run import StateTime

WIDTH, HEIGHT, GAP, PAD, HEAD = 200, 34, 26, 16, 30
LANE = 18
LABEL_ROOM = 80
"""Pixels beside a column for the label of a transition that leads back."""
COLORS = {
    "succeeded": ("#e3f4e6", "#2b8a3e"),
    "failed": ("#fde8e8", "#c92a2a"),
    "aborted": ("#fff3d6", "#b8860b"),
    "": ("#f4f5f7", "#8a93a0"),
}


class Svg:
    """A picture; notebooks and reports show it as it is."""

    def __init__(self, text: str, title: str = "picture") -> None:
        self.text, self.title = text, title

    def __repr__(self) -> str:
        return f"<{self.title}>"

    def _repr_svg_(self) -> str:
        return self.text


class Edge(NamedTuple):
    """A transition. `kind`: next, choice, default or catch."""

    source: str
    target: str
    kind: str
    label: str = ""


class Box(NamedTuple):
    """A drawn state: its place in pixels, and the states inside it."""

    name: str
    kind: str
    note: str
    x: float
    y: float
    width: float
    height: float
    inner: tuple[Box, ...] = ()
    edges: tuple[Edge, ...] = ()

    @property
    def middle(self) -> float:
        """The x of its vertical axis."""
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.y + self.height


def draw_machine(definition: str, states: Sequence[StateTime] = (), timed: bool = False) -> Svg:
    """The machine of an ASL definition (JSON text); states that an execution passed are coloured by how they went.

    With `timed` each state shows its seconds.
    """
    machine = json.loads(definition)
    boxes, edges = lay_out(machine)
    status = {state.name: state.status for state in states}
    notes = {state.name: f"{state.seconds:.1f} s" for state in states if timed and state.visits}
    width = max(box.x + box.width for box in boxes) + PAD
    height = max(box.bottom for box in boxes) + PAD
    parts = [*_lines(boxes, edges), *(part for box in boxes for part in _box(box, status, notes))]
    return Svg(_STYLE.format(width=width, height=height) + "".join(parts) + "</svg>\n", "state machine")


def lay_out(machine: dict[str, Any]) -> tuple[list[Box], list[Edge]]:
    """Boxes and edges of a machine's top level; the boxes of Map and Parallel states hold the inner ones."""
    edges = list(edges_of(machine["States"]))
    side = _side_states(machine, edges)
    main = [name for name in machine["States"] if name not in side]
    lanes = sum(1 for edge in edges if edge.kind != "catch" and _jumps(main, edge))
    left = PAD + LANE * lanes + LABEL_ROOM - LANE
    column = _column(machine["States"], main, left, PAD)
    places = {box.name: box for box in column}
    right = max((box.x + box.width for box in column), default=left) + 3.2 * LANE + 40
    below: float = PAD
    boxes = list(column)
    for name in (name for name in machine["States"] if name in side):
        sources = [places[edge.source] for edge in edges if edge.target == name and edge.source in places]
        plain = [places[e.source] for e in edges if e.target == name and e.source in places and e.kind != "catch"]
        wanted = plain[0].y if plain else max((box.y for box in sources), default=below)
        box = _measure(name, machine["States"][name], right, max(below, wanted))
        boxes.append(box)
        places[name] = box
        below = box.bottom + GAP
    return boxes, edges


def edges_of(states: dict[str, Any]) -> Iterator[Edge]:
    """The transitions between the states of one scope."""
    for name, state in states.items():
        for number, choice in enumerate(state.get("Choices", [])):
            yield Edge(name, choice["Next"], "choice", _condition(choice) or f"choice {number + 1}")
        if "Default" in state:
            yield Edge(name, state["Default"], "default", "otherwise")
        if "Next" in state:
            yield Edge(name, state["Next"], "next")
        for catch in state.get("Catch", []):
            yield Edge(name, catch["Next"], "catch", ", ".join(catch["ErrorEquals"]))


def _side_states(machine: dict[str, Any], edges: list[Edge]) -> set[str]:
    """States beside the main line: reached by Catch only, or ends that a Choice goes to."""
    reached, waiting = set(), [machine["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [edge.target for edge in edges if edge.source == name and edge.kind != "catch"]
    chosen = {edge.target for edge in edges if edge.kind in ("choice", "default")}
    ends = {name for name in chosen if machine["States"].get(name, {}).get("Type") in ("Succeed", "Fail")}
    return (set(machine["States"]) - reached) | ends


def _column(states: dict[str, Any], names: Sequence[str], x: float, y: float) -> list[Box]:
    sizes = [_measure(name, states[name], 0, 0) for name in names]
    width = max((box.width for box in sizes), default=WIDTH)
    boxes = []
    for size in sizes:
        boxes.append(_measure(size.name, states[size.name], x + (width - size.width) / 2, y))
        y = boxes[-1].bottom + GAP
    return boxes


def _measure(name: str, state: dict[str, Any], x: float, y: float) -> Box:
    """The box of a state at a place, with everything inside it."""
    scopes = _scopes(state)
    if not scopes:
        return Box(name, state["Type"], "", x, y, WIDTH, HEIGHT)
    inner: list[Box] = []
    left, bottom = x + PAD, y + HEAD
    for scope in scopes:
        back = sum(1 for edge in edges_of(scope["States"]) if _jumps(list(scope["States"]), edge))
        room = LABEL_ROOM + LANE * (back - 1) if back else 0
        column = _column(scope["States"], list(scope["States"]), left + room, y + HEAD)
        inner += column
        left = max(box.x + box.width for box in column) + PAD
        bottom = max(bottom, column[-1].bottom)
    edges = tuple(edge for scope in scopes for edge in edges_of(scope["States"]))
    wide = max(left - x, 7.6 * len(name) + 5.8 * len(_note(state)) + 40)
    return Box(name, state["Type"], _note(state), x, y, wide, bottom + PAD - y, tuple(inner), edges)


def _scopes(state: dict[str, Any]) -> list[dict[str, Any]]:
    processor = state.get("ItemProcessor") or state.get("Iterator")
    return [processor] if processor else list(state.get("Branches", []))


def _note(state: dict[str, Any]) -> str:
    if state["Type"] == "Parallel":
        return "parallel"
    mode = (state.get("ItemProcessor") or {}).get("ProcessorConfig", {}).get("Mode", "INLINE").lower()
    limit = state.get("MaxConcurrency") or str(state.get("MaxConcurrencyPath", "")).removeprefix("$.")
    return f"map, {mode}" + (f", {limit} at once" if limit else "")


def _condition(choice: dict[str, Any]) -> str:
    names = {"BooleanEquals": "is", "StringEquals": "is", "NumericEquals": "is", "IsPresent": "is present"}
    path = str(choice.get("Variable", "")).removeprefix("$.").rpartition(".")[2]
    for operator, word in names.items():
        if operator in choice and path:
            value = json.dumps(choice[operator])
            if value == "true":
                return f"{path.split('[')[0]} yes" if operator == "IsPresent" else path
            return f"{path} {word} {value}"
    return path


def _jumps(order: Sequence[str], edge: Edge) -> bool:
    """Whether an edge does not lead to the very next box of its column."""
    if edge.source not in order or edge.target not in order:
        return False
    return order.index(edge.target) != order.index(edge.source) + 1


def _lines(boxes: Sequence[Box], edges: Sequence[Edge]) -> Iterator[str]:
    places = {box.name: box for box in boxes}
    lanes: dict[float, int] = {}
    caught: dict[str, list[Box]] = {}
    first = min((box.middle for box in boxes), default=0)
    bus = max((box.x + box.width for box in boxes if abs(box.middle - first) < 1), default=0) + 1.5 * LANE
    for edge in edges:
        source, target = places.get(edge.source), places.get(edge.target)
        if source is None or target is None:
            continue
        if edge.kind == "catch":
            caught.setdefault(edge.target, []).append(source)
        elif target.x > source.x + source.width and target.y <= source.y + HEIGHT:
            yield _path([(source.x + source.width, source.y + HEIGHT / 2), (target.x, target.y + HEIGHT / 2)], "line")
            yield _label(source.x + source.width + 8, source.y + HEIGHT / 2 - 5, edge.label)
        elif abs(target.middle - source.middle) < 1 and 0 <= target.y - source.bottom <= GAP + 1:
            yield _path([(source.middle, source.bottom), (target.middle, target.y)], "line")
            yield _label(source.middle + 8, source.bottom + 16, edge.label)
        else:
            lanes[target.middle] = lanes.get(target.middle, 0) + 1
            left = min(box.x for box in boxes if abs(box.middle - target.middle) < 1) - LANE * lanes[target.middle]
            yield from _detour(source, target, left, edge.label)
    for number, (name, sources) in enumerate(caught.items()):
        yield from _catch(sources, places[name], bus + LANE * number)


def _detour(source: Box, target: Box, x: float, label: str) -> Iterator[str]:
    out, back = source.y + HEIGHT / 2, target.y + min(target.height, HEIGHT) / 2
    yield _path([(source.x, out), (x, out), (x, back), (target.x, back)], "line")
    if label:
        near = source.x - x < 3 * LANE
        yield _label(*((x - 5, (out + back) / 2 + 4) if near else (source.x - 6, out - 5)), label, "end")


def _catch(sources: Sequence[Box], target: Box, bus: float) -> Iterator[str]:
    """All Catch transitions to one state: a stub from each source to one line that leads there."""
    into = target.y + HEIGHT / 2
    near = [source for source in sources if target.x > source.x + source.width]
    for source in near:
        out, right = source.y + HEIGHT / 2, source.x + source.width
        yield f'<path d="M{right:g} {out:g} H{bus:g}" class="catch"/>'
    if near:
        top = min(source.y for source in near) + HEIGHT / 2
        bottom = max(source.y for source in near) + HEIGHT / 2
        if bottom > into:
            yield f'<path d="M{bus:g} {bottom:g} V{into:g}" class="catch"/>'
        yield _path([(bus, min(top, into)), (bus, into), (target.x, into)], "catch")
    for source in (source for source in sources if source not in near):
        out, side = source.y + HEIGHT / 2, source.x + source.width
        yield _path([(side, out), (side + 12, out), (side + 12, into), (target.x + target.width, into)], "catch")


def _box(box: Box, status: dict[str, str], notes: dict[str, str]) -> Iterator[str]:
    fill, stroke = COLORS[status.get(box.name, "")]
    radius = {"Choice": 17, "Succeed": 17, "Fail": 17}.get(box.kind, 6)
    dash = ' stroke-dasharray="5 3"' if box.inner and box.kind == "Map" else ""
    inside = "#ffffff" if box.inner else fill
    yield (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="{radius}" '
        f'fill="{inside}" stroke="{stroke}" stroke-width="1.6"{dash}/>'
    )
    if box.inner:
        yield f'<text x="{box.x + 12:g}" y="{box.y + 19:g}" class="head">{escape(box.name)}'
        yield f'<tspan class="note" dx="8">{escape(box.note)}</tspan></text>'
        yield from _lines(box.inner, box.edges)
        for inner in box.inner:
            yield from _box(inner, status, notes)
    else:
        mark = {"Fail": "✕ ", "Succeed": "✓ "}.get(box.kind, "")
        yield f'<text x="{box.middle:g}" y="{box.y + 21:g}" class="name">{mark}{escape(box.name)}</text>'
    if box.name in notes:
        yield f'<text x="{box.x + box.width - 8:g}" y="{box.y - 4:g}" class="time">{escape(notes[box.name])}</text>'


def _path(points: Sequence[tuple[float, float]], style: str) -> str:
    way = " L".join(f"{x:g} {y:g}" for x, y in points)
    return f'<path d="M{way}" class="{style}" marker-end="url(#{style})"/>'


def _label(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="label" text-anchor="{anchor}">{escape(text)}</text>' if text else ""


_STYLE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" \
font-family="system-ui, -apple-system, 'Segoe UI', sans-serif">
<style>
.line {{ fill: none; stroke: #5c6773; stroke-width: 1.4 }}
.catch {{ fill: none; stroke: #c0756f; stroke-width: 1.1; stroke-dasharray: 4 3 }}
.name {{ font-size: 13px; text-anchor: middle; fill: #1f2933 }}
.head {{ font-size: 13px; font-weight: 600; fill: #1f2933 }}
.note {{ font-size: 11px; font-weight: 400; fill: #66707c }}
.label {{ font-size: 11px; fill: #48525e }}
.time {{ font-size: 11px; fill: #48525e; text-anchor: end }}
</style>
<defs>
<marker id="line" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L8 4 L0 8 z" fill="#5c6773"/></marker>
<marker id="catch" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L8 4 L0 8 z" fill="#c0756f"/></marker>
</defs>
<rect width="{width:g}" height="{height:g}" rx="8" fill="#ffffff"/>
"""
