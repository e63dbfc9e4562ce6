"""Where the states and transitions of a state machine go on a page. Pure geometry; `diagram` draws it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from unicodedata import east_asian_width

WIDTH, HEIGHT, GAP, PAD, HEAD, LANE = 180, 34, 28, 16, 36, 18
"""Pixels: a state's least width, its height, the space between two, around all, above a frame's states, between lines."""
SHOWN = 32
"""Characters of a condition that are shown on its line."""


class Edge(NamedTuple):
    """A transition. `kind`: next, choice (Default is one) or catch."""

    source: str
    target: str
    kind: str
    label: str = ""


class Line(NamedTuple):
    """A drawn transition: its corners in pixels. Without `arrow` it joins another line to the same state."""

    edge: Edge
    points: tuple[tuple[float, float], ...]
    arrow: bool = True
    label: tuple[float, float, str] | None = None


class Box(NamedTuple):
    """A drawn state: its place within its scope, the scopes inside it with theirs, and what each of its Retry does."""

    name: str
    kind: str
    note: str
    comment: str
    x: float
    y: float
    width: float
    height: float
    inner: tuple[tuple[float, float, Scope], ...] = ()
    retries: tuple[str, ...] = ()

    @property
    def right(self) -> float:
        """The x of its right edge."""
        return self.x + self.width

    @property
    def middle(self) -> float:
        """The x of its vertical axis."""
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.y + self.height

    @property
    def port(self) -> float:
        """The y where lines enter and leave at its sides."""
        return self.y + HEIGHT / 2

    @property
    def slack(self) -> float:
        """How far from `port` a line that goes round may leave; a Choice has but its tip."""
        return 0 if self.kind == "Choice" else 6


class Scope(NamedTuple):
    """A machine, a Map's processor or a branch, laid out; all numbers are pixels from its own corner."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    left: float
    width: float
    height: float


def lay_out(machine: dict[str, Any]) -> Scope:
    """Places for the states of one scope and lines for its transitions.

    One column in run order; beside it what only a Catch reaches, and ends that a Choice goes to. Transitions that
    skip or go back run left of the column, errors between the two columns.
    """
    states, edges = machine["States"], edges_of(machine["States"])
    order = _run_order(machine.get("StartAt", ""), states, edges)
    side = _side_states(machine, order, edges)
    main: dict[str, Box] = {}
    for name in (name for name in order if name not in side):
        y = max((box.bottom + GAP for box in main.values()), default=0)
        box = _measure(name, states[name], y)
        main[name] = box._replace(x=-box.width / 2)
    beside = _place_beside(states, [name for name in order if name in side], main, edges)
    lines, beside = _route(main, beside, edges)
    boxes = (*main.values(), *beside.values())
    xs = [x for box in boxes for x in (box.x, box.right)] + [x for line in lines for x, _ in line.points]
    xs += [x for line in lines if line.label for x in _label_span(line.label)]
    ys = [box.bottom for box in boxes]
    left = min(xs, default=0)
    return Scope(boxes, tuple(lines), left, max(xs, default=0) - left, max(ys, default=0))


def edges_of(states: dict[str, Any]) -> list[Edge]:
    """The transitions between the states of one scope; those with the same ends and kind are one."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for name, state in states.items():
        for choice in state.get("Choices", []):
            found.setdefault((name, choice["Next"], "choice"), []).append(_condition(choice))
        if "Default" in state:
            found.setdefault((name, state["Default"], "choice"), []).append("otherwise")
        if "Next" in state:
            found.setdefault((name, state["Next"], "next"), []).append("")
        for catch in state.get("Catch", []):
            found.setdefault((name, catch["Next"], "catch"), []).append(", ".join(catch["ErrorEquals"]))
    return [Edge(*ends, " or ".join(labels)) for ends, labels in found.items() if ends[1] in states]


def _run_order(start: str, states: dict[str, Any], edges: Sequence[Edge]) -> list[str]:
    """Every state after those that lead to it (loops aside); those that nothing but an error reaches come last."""
    following: dict[str, list[str]] = {name: [] for name in states}
    for edge in edges:
        if edge.kind != "catch":
            following[edge.source].append(edge.target)
    done: list[str] = []
    seen: set[str] = set()
    waiting = [(start, False)] if start in states else []
    while waiting:
        name, finished = waiting.pop()
        if finished:
            done.append(name)
        elif name not in seen:
            seen.add(name)
            waiting.append((name, True))
            waiting += [(target, False) for target in following[name]]
    return [*reversed(done), *(name for name in states if name not in seen)]


def _side_states(machine: dict[str, Any], order: Sequence[str], edges: Sequence[Edge]) -> set[str]:
    reached = {machine.get("StartAt", order[0])}
    for name in order:
        if name in reached:
            reached |= {edge.target for edge in edges if edge.source == name and edge.kind != "catch"}
    chosen = {edge.target for edge in edges if edge.kind == "choice"}
    ends = {name for name in chosen if machine["States"][name].get("Type") in ("Succeed", "Fail")}
    return (set(order) - reached) | ends


def _place_beside(states: dict[str, Any], names: list[str], main: dict[str, Box], edges: list[Edge]) -> dict[str, Box]:
    """The side column's states, each as near as may be to the row that leads to it."""
    placed: dict[str, Box] = {}
    below = 0.0

    def wanted(name: str) -> float:
        known = {**main, **placed}
        into = [edge for edge in edges if edge.target == name and edge.source in known]
        plain = [known[edge.source].y for edge in into if edge.kind != "catch"]
        return min(plain) if plain else max((known[edge.source].y for edge in into), default=float("inf"))

    while names:
        name = min(names, key=wanted)
        names = [other for other in names if other != name]
        y = wanted(name)
        placed[name] = _measure(name, states[name], below if y == float("inf") else max(below, y))
        below = placed[name].bottom + GAP
    return placed


def _measure(name: str, state: dict[str, Any], y: float) -> Box:
    """The box of a state, with everything inside it, at x = 0."""
    kind, comment = state.get("Type", ""), state.get("Comment", "")
    processor = state.get("ItemProcessor") or state.get("Iterator")
    scopes = [lay_out(scope) for scope in ([processor] if processor else state.get("Branches", []))]
    retries = tuple(_spell_retry(of) for of in state.get("Retry", []))
    if not scopes:
        width = max(WIDTH, text_width(name, 7.4) + 36 + (40 if retries else 0))
        return Box(name, kind, "", comment, 0, y, width, HEIGHT, (), retries)
    note = _note(state)
    head = text_width(name, 7.9) + text_width(note, 6.2) + 36 + (24 if retries else 0)
    width = max(head, sum(scope.width + 1.5 * PAD for scope in scopes) + PAD / 2)
    x = (width - sum(scope.width + 1.5 * PAD for scope in scopes) + 1.5 * PAD) / 2
    inner = []
    for scope in scopes:
        inner.append((x - scope.left, float(HEAD), scope))
        x += scope.width + 1.5 * PAD
    height = HEAD + max(s.height for s in scopes) + PAD
    return Box(name, kind, note, comment, 0, y, width, height, tuple(inner), retries)


def _spell_retry(retry: dict[str, Any]) -> str:
    """A retrier in words; Step Functions tries three times more where it does not say."""
    return f"up to {retry.get('MaxAttempts', 3)} more tries on {', '.join(retry['ErrorEquals'])}"


def _route(main: dict[str, Box], side: dict[str, Box], edges: list[Edge]) -> tuple[list[Line], dict[str, Box]]:
    """Lines for all transitions, and the side column moved to where the lines between the columns leave room."""
    between = [edge for edge in edges if (edge.source in main) != (edge.target in main)]
    between += [edge for edge in edges if edge.kind == "catch" and edge.source in main and edge.target in main]
    buses = _Lanes(main.values(), 1)
    rows = {**main, **side}
    bus_of: dict[tuple[str, bool], float] = {}
    for edge in between:
        key = (edge.target, edge.kind == "catch")
        if key not in bus_of:
            ends = [rows[e.source].port for e in between if (e.target, e.kind == "catch") == key]
            bus_of[key] = buses.take([*ends, rows[edge.target].port], whole=True)
    names = [edge.source for edge in between if edge.label and edge.kind != "catch"]
    wide = max((text_width(_short(e.label), 6.2) for e in between if e.kind != "catch"), default=0)
    inner = buses.outermost if len(set(names)) < len(names) else buses.innermost
    x = max(buses.outermost, inner + wide) + 2 * LANE
    width = max((box.width for box in side.values()), default=0)
    side = {name: box._replace(x=x + (width - box.width) / 2) for name, box in side.items()}
    lines = [_elbow(e, main, side, bus_of[e.target, e.kind == "catch"], names.count(e.source) == 1) for e in between]
    lines = _join(lines)
    for column, sign in ((main, -1), (side, 1)):
        own = [e for e in edges if e.source in column and e.target in column and e not in between]
        lines += _column_lines(column, own, sign)
    return lines, side


def _elbow(edge: Edge, main: dict[str, Box], side: dict[str, Box], bus: float, alone: bool) -> Line:
    """A line between the columns: out, along its bus, in. Its label stands where it leaves if it does so `alone`."""
    source = main.get(edge.source) or side[edge.source]
    target = main.get(edge.target) or side[edge.target]
    ahead, inward = edge.source in main, edge.target in main
    out, into = source.right if ahead else source.x, target.right if inward else target.x
    start, end = source.port + (0 if ahead else source.slack), target.port - (target.slack if inward else 0)
    label = None
    if edge.label and edge.kind != "catch":
        text = _short(edge.label)
        label = (out + 8, start - 5, text) if alone else (into - 12 - text_width(text, 6.2), end - 5, text)
    return Line(edge, ((out, start), (bus, start), (bus, end), (into, end)), True, label)


def _join(lines: Sequence[Line]) -> list[Line]:
    """The same lines, but of those that end alike only the longest goes all the way; the others join its bus."""
    groups: dict[tuple[float, float, bool], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.points[1][0], line.points[-1][1], line.edge.kind == "catch"), []).append(line)
    joined = []
    for (_, into, _), group in groups.items():
        above = [line for line in group if line.points[0][1] <= into]
        below = [line for line in group if line.points[0][1] > into]
        for number, part in enumerate(filter(None, (above, below))):
            first, *others = sorted(part, key=lambda line: -abs(line.points[0][1] - into))
            joined.append(first if number == 0 else first._replace(points=first.points[:3], arrow=False))
            joined += [line._replace(points=line.points[:2], arrow=False) for line in others]
    return joined


def _column_lines(column: dict[str, Box], edges: Sequence[Edge], sign: int) -> Iterator[Line]:
    """Lines within one column: straight down to the next state, else round by a lane, the short ones nearest."""
    lanes, names = _Lanes(column.values(), sign), list(column)
    around = []
    for edge in edges:
        source, target = column[edge.source], column[edge.target]
        if names.index(edge.target) == names.index(edge.source) + 1 and edge.kind != "catch":
            label = (source.middle + 8, (source.bottom + target.y) / 2 + 3, _short(edge.label)) if edge.label else None
            yield Line(edge, ((source.middle, source.bottom), (source.middle, target.y)), True, label)
        else:
            around.append((abs(target.port - source.port), edge))
    for _, edge in sorted(around, key=lambda span: span[0]):
        source, target = column[edge.source], column[edge.target]
        out, into = source.port + source.slack, target.port - target.slack
        text = "" if edge.kind == "catch" else _short(edge.label)
        x = lanes.take([out, into], room=text_width(text, 6.2))
        ends = (source.right, target.right) if sign > 0 else (source.x, target.x)
        place = x + 5 if sign > 0 else x - 5 - text_width(text, 6.2)
        label = (place, out + (18 if into > out else -10), text) if text else None
        yield Line(edge, ((ends[0], out), (x, out), (x, into), (ends[1], into)), True, label)


class _Lanes:
    """Vertical lines beside a column that keep clear of its boxes and of each other."""

    def __init__(self, column: Iterable[Box], sign: int) -> None:
        self._sign = sign
        self._boxes = [(box.y, box.bottom, max(sign * box.x, sign * box.right)) for box in column]
        self._taken: list[tuple[float, float, float, float]] = []
        self.innermost = max((edge for *_, edge in self._boxes), default=0.0)
        self.outermost = self.innermost

    def take(self, ys: Sequence[float], room: float = 0, whole: bool = False) -> float:
        """The x of a free lane over the rows of `ys`, with `room` for a label outside of it."""
        top, bottom = min(ys), max(ys)
        u = LANE + max((edge for y, end, edge in self._boxes if whole or (y <= bottom and end >= top)), default=0.0)
        for first, last, start, end in sorted(self._taken, key=lambda taken: taken[2]):
            if first - 4 < bottom and last + 4 > top and u < end + LANE and u + room > start - LANE:
                u = end + LANE
        self._taken.append((top, bottom, u, u + room))
        self.outermost = max(self.outermost, u)
        return self._sign * u


def text_width(text: str, pixels: float) -> float:
    """About how wide a text is, `pixels` for a narrow letter."""
    return pixels * sum(1.8 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _label_span(label: tuple[float, float, str]) -> tuple[float, float]:
    return label[0], label[0] + text_width(label[2], 6.2)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _note(state: dict[str, Any]) -> str:
    if state["Type"] == "Parallel":
        return f"parallel, {len(state['Branches'])} branches"
    mode = (state.get("ItemProcessor") or {}).get("ProcessorConfig", {}).get("Mode", "INLINE").lower()
    limit = state.get("MaxConcurrency") or str(state.get("MaxConcurrencyPath", "")).removeprefix("$.")
    return f"map, {mode}" + (f", {limit} at once" if limit else "")


_SIGNS = {"Equals": "=", "LessThan": "<", "GreaterThan": ">", "LessThanEquals": "≤", "GreaterThanEquals": "≥"}


def _condition(choice: dict[str, Any]) -> str:
    """A Choice rule in a few words, such as `done` or `total > 3`."""
    path = str(choice.get("Variable", "")).removeprefix("$.").rpartition(".")[2].removesuffix("[0]")
    for operator, value in choice.items():
        compared = re.fullmatch(r"(?:String|Numeric|Boolean|Timestamp)([A-Z]\w*?)(?:Path)?", operator)
        if operator == "BooleanEquals":
            return path if value else f"not {path}"
        if operator == "IsPresent":
            return f"has {path}" if value else f"no {path}"
        if compared:
            return f"{path} {_SIGNS.get(compared[1], 'matches')} {value}"
        if operator.startswith("Is"):
            return f"{path} is {'' if value else 'not '}{operator[2:].lower()}"
        if operator in ("And", "Or"):
            return f" {operator.lower()} ".join(map(_condition, value))
    return f"not ({_condition(choice['Not'])})" if "Not" in choice else str(choice.get("Condition", "chosen"))
