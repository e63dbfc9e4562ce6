"""The page of any state machine: nothing overlaps, nothing is missing, no line runs through a state."""

from __future__ import annotations

import json
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataops.workbook.layout import Scope, edges_of, lay_out

ROOT = Path(__file__).parent.parent.parent
OURS = json.loads((ROOT / "stepfunctions" / "batch.asl.json").read_text())


@st.composite
def machines(draw, depth=2):
    """Any scope: loops, skips, dead ends, Catches to anywhere, frames in frames, names of any length."""
    count = draw(st.integers(1, 6))
    prefix = draw(st.sampled_from(["S", "とても長い名前の状態", "A state of a very long name that goes on and on"]))
    names = [f"{prefix} {depth}.{number}" for number in range(count)]
    anywhere = st.sampled_from(names)
    kinds = ["Task", "Task", "Choice", "Succeed", "Fail", "Pass", "Wait"] + (["Map", "Parallel"] if depth else [])
    states = {}
    for name in names:
        kind = draw(st.sampled_from(kinds))
        state = states[name] = {"Type": kind}
        if kind == "Choice":
            rules = draw(st.lists(anywhere, min_size=1, max_size=3))
            state["Choices"] = [
                {"Variable": "$.a.b", "NumericGreaterThan": n, "Next": to} for n, to in enumerate(rules)
            ]
            state["Default"] = draw(anywhere)
        elif kind not in ("Succeed", "Fail"):
            state |= {"Next": draw(anywhere)} if draw(st.booleans()) else {"End": True}
            caught = draw(st.lists(anywhere, max_size=2))
            state["Catch"] = [{"ErrorEquals": [f"E{n}"], "Next": to} for n, to in enumerate(caught)]
        if kind == "Map":
            state["ItemProcessor"] = draw(machines(depth=depth - 1))
        if kind == "Parallel":
            state["Branches"] = draw(st.lists(machines(depth=depth - 1), min_size=1, max_size=3))
    return {"StartAt": draw(anywhere), "States": states}


def scopes_of(machine):
    """Every scope of a definition, outermost first."""
    yield machine
    for state in machine["States"].values():
        for inner in [*filter(None, [state.get("ItemProcessor")]), *state.get("Branches", [])]:
            yield from scopes_of(inner)


def drawn_scopes(scope: Scope):
    yield scope
    for box in scope.boxes:
        for _, _, inner in box.inner:
            yield from drawn_scopes(inner)


@settings(max_examples=150, deadline=None)
@given(machines())
def test_every_state_and_every_transition_has_its_place(machine):
    drawn = list(drawn_scopes(lay_out(machine)))
    assert sorted(box.name for scope in drawn for box in scope.boxes) == sorted(
        name for scope in scopes_of(machine) for name in scope["States"]
    )
    assert sorted(line.edge for scope in drawn for line in scope.lines) == sorted(
        edge for scope in scopes_of(machine) for edge in edges_of(scope["States"])
    )


@settings(max_examples=150, deadline=None)
@given(machines())
def test_no_two_boxes_overlap(machine):
    for scope in drawn_scopes(lay_out(machine)):
        for one, other in combinations(scope.boxes, 2):
            assert one.right < other.x or other.right < one.x or one.bottom < other.y or other.bottom < one.y


@settings(max_examples=150, deadline=None)
@given(machines())
def test_a_frame_holds_all_that_is_in_it(machine):
    for scope in drawn_scopes(lay_out(machine)):
        for box in scope.boxes:
            for x, y, inner in box.inner:
                assert x + inner.left > 0
                assert x + inner.left + inner.width < box.width
                assert y >= 30
                assert y + inner.height < box.height


@settings(max_examples=150, deadline=None)
@given(machines())
def test_no_line_runs_through_a_box(machine):
    for scope in drawn_scopes(lay_out(machine)):
        for line in scope.lines:
            for (x0, y0), (x1, y1) in pairwise(line.points):
                assert x0 == x1 or y0 == y1
                crossed = [
                    box.name
                    for box in scope.boxes
                    if min(x0, x1) < box.right
                    and max(x0, x1) > box.x
                    and min(y0, y1) < box.bottom
                    and max(y0, y1) > box.y
                ]
                assert not crossed, line


@settings(max_examples=150, deadline=None)
@given(machines())
def test_the_lines_into_a_state_end_in_an_arrow_or_join_one_that_does(machine):
    for scope in drawn_scopes(lay_out(machine)):
        for target in {line.edge.target for line in scope.lines}:
            assert any(line.arrow for line in scope.lines if line.edge.target == target)


def test_our_states_stand_in_the_order_that_they_are_written_in():
    boxes = lay_out(OURS).boxes
    axis = boxes[0].middle
    column = [box.name for box in sorted(boxes, key=lambda box: box.y) if abs(box.middle - axis) < 1]
    assert column == [name for name in OURS["States"] if name in column]
    beside = [box.name for box in boxes if abs(box.middle - axis) >= 1]
    assert beside == ["Skipped", "Roll Back", "Failed", "Not Rolled Back", "Not Closed"]


def test_in_our_machine_no_label_touches_a_box_or_another_label():
    for scope in drawn_scopes(lay_out(OURS)):
        labels = [line.label for line in scope.lines if line.label]
        spots = [(x, y - 9, x + 6.2 * len(text), y + 2) for x, y, text in labels]
        spots += [(box.x, box.y, box.right, box.bottom) for box in scope.boxes]
        for one, other in combinations(spots, 2):
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1], (one, other)


def test_states_written_in_any_order_are_laid_out_in_the_order_that_they_run_in():
    states = {"C": {"Type": "Succeed"}, "B": {"Type": "Pass", "Next": "C"}, "A": {"Type": "Pass", "Next": "B"}}
    assert [box.name for box in lay_out({"StartAt": "A", "States": states}).boxes] == ["A", "B", "C"]


def test_a_chain_of_thousands_of_states_is_laid_out():
    states = {str(n): {"Type": "Pass", "Next": str(n + 1)} for n in range(3000)} | {"3000": {"Type": "Succeed"}}
    assert len(lay_out({"StartAt": "0", "States": states}).boxes) == 3001


@pytest.mark.parametrize(
    ("rule", "label"),
    [
        ({"Variable": "$.copied.done", "BooleanEquals": True}, "done"),
        ({"Variable": "$.copied.done", "BooleanEquals": False}, "not done"),
        ({"Variable": "$.r.drifted[0]", "IsPresent": True}, "has drifted"),
        ({"Variable": "$.n", "NumericGreaterThanEquals": 3}, "n ≥ 3"),
        ({"Variable": "$.status", "StringEquals": "ok"}, "status = ok"),
        ({"Variable": "$.status", "StringMatches": "a*"}, "status matches a*"),
        ({"Variable": "$.cursor", "IsNull": False}, "cursor is not null"),
        ({"And": [{"Variable": "$.a", "BooleanEquals": True}, {"Variable": "$.b", "IsNull": True}]}, "a and b is null"),
        ({"Not": {"Variable": "$.a", "BooleanEquals": True}}, "not (a)"),
        ({"Condition": "{% $n > 3 %}"}, "{% $n > 3 %}"),
    ],
)
def test_a_choice_says_its_condition_in_few_words(rule, label):
    states = {"A": {"Type": "Choice", "Choices": [{**rule, "Next": "B"}]}, "B": {"Type": "Succeed"}}
    assert [edge.label for edge in edges_of(states)] == [label]
