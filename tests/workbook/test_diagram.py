"""The picture of a machine: everything drawn, nothing overlapping, every text escaped."""

import itertools
import json
from xml.etree import ElementTree

import pytest

from dataops.deploy.machine import DEFINITION
from dataops.workbook.diagram import draw_machine, lay_out
from dataops.workbook.run import StateTime

TEXT = DEFINITION.read_text()
NESTED = json.dumps({
    "StartAt": "Each <b>",
    "States": {
        "Each <b>": {
            "Type": "Map", "MaxConcurrency": 3, "Next": "End",
            "ItemProcessor": {"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "End": True, "Branches": [
                {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "x", "Next": "B"}, "B": {"Type": "Pass", "End": True}}},
                {"StartAt": "C", "States": {"C": {"Type": "Wait", "Seconds": 1, "End": True}}},
            ]}}},
        },
        "End": {"Type": "Succeed"},
    },
})  # fmt: skip


def all_boxes(boxes):
    for box in boxes:
        yield box
        yield from all_boxes(box.inner)


def overlap(one, other):
    apart = one.x + one.width <= other.x or other.x + other.width <= one.x
    return not (apart or one.bottom <= other.y or other.bottom <= one.y)


def inside(inner, outer):
    return outer.x < inner.x and inner.x + inner.width < outer.x + outer.width and inner.bottom < outer.bottom


@pytest.mark.parametrize("definition", [TEXT, NESTED], ids=["batch", "nested"])
def test_boxes_never_overlap_and_lie_inside_their_frame(definition):
    boxes, _ = lay_out(json.loads(definition))
    for group in [boxes, *(box.inner for box in all_boxes(boxes))]:
        assert [pair for pair in itertools.combinations(group, 2) if overlap(*pair)] == []
    assert all(inside(inner, box) for box in all_boxes(boxes) for inner in box.inner)


@pytest.mark.parametrize("definition", [TEXT, NESTED], ids=["batch", "nested"])
def test_every_state_is_drawn_as_sound_xml(definition):
    drawn = "".join(ElementTree.fromstring(draw_machine(definition).text).itertext())
    boxes, _ = lay_out(json.loads(definition))
    assert [box.name for box in all_boxes(boxes) if box.name not in drawn] == []


def test_every_transition_is_drawn():
    boxes, edges = lay_out(json.loads(TEXT))
    inner = [edge for box in all_boxes(boxes) for edge in box.edges]
    plain = [edge for edge in [*edges, *inner] if edge.kind != "catch"]
    caught = {edge.target for edge in edges if edge.kind == "catch"}
    picture = draw_machine(TEXT).text
    assert picture.count('marker-end="url(#line)"') == len(plain)
    assert picture.count('marker-end="url(#catch)"') == len(caught)


def test_states_are_coloured_by_how_they_went():
    def colours(*states):
        return draw_machine(TEXT, [StateTime(name, status, "", 1.0, 1) for name, status in states]).text

    assert colours(("Plan", "succeeded")).count("#e3f4e6") == 1
    assert colours(("Plan", "failed"), ("Roll Back", "succeeded")).count("#fde8e8") == 1


def test_times_are_shown_only_when_asked_for():
    states = [StateTime("Plan", "succeeded", "", 1.25, 1)]
    assert "1.2 s" in draw_machine(TEXT, states, timed=True).text
    assert draw_machine(TEXT, states).text == draw_machine(TEXT, [StateTime("Plan", "succeeded", "", 9, 3)]).text
