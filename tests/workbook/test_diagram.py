"""The picture of a state machine: complete, coloured by an execution, safe to show, the same every time."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dataops.workbook.diagram import draw_machine
from dataops.workbook.layout import Scope, lay_out
from dataops.workbook.result import StateTime

DEFINITION = (Path(__file__).parent.parent.parent / "stepfunctions" / "batch.asl.json").read_text()
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
SPACE = {"svg": "http://www.w3.org/2000/svg"}
EVIL = "<script>alert(1)</script>&\"'"


def passed(name: str, status: str, seconds: float = 1.25, visits: int = 1) -> StateTime:
    return StateTime(name, status, "2026-11-23T00:00:00+00:00", seconds, visits)


def groups(text: str) -> dict[str, str]:
    """CSS class by drawn state."""
    root = ElementTree.fromstring(text)
    states = [group for group in root.iter("{http://www.w3.org/2000/svg}g") if group.get("class")]
    titles = [group.find("svg:title", SPACE).text for group in states]
    return {title.split(": ")[0]: group.get("class") for title, group in zip(titles, states, strict=True)}


def all_scopes(scope: Scope) -> list[Scope]:
    return [scope, *(deep for box in scope.boxes for *_, inner in box.inner for deep in all_scopes(inner))]


@pytest.mark.parametrize("definition", [DEFINITION, NESTED], ids=["batch", "nested"])
def test_every_state_is_drawn_as_sound_xml(definition):
    root = ElementTree.fromstring(draw_machine(definition).text)
    drawn = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    boxes = [box for scope in all_scopes(lay_out(json.loads(definition))) for box in scope.boxes]
    assert [box.name for box in boxes if not any(box.name in text for text in drawn)] == []


def test_every_transition_is_drawn():
    lines = [line for scope in all_scopes(lay_out(json.loads(DEFINITION))) for line in scope.lines]
    plain = [line for line in lines if line.edge.kind != "catch"]
    caught = {line.edge.target for line in lines if line.edge.kind == "catch"}
    picture = draw_machine(DEFINITION).text
    assert picture.count('marker-end="url(#asl-next)"') == len(plain)
    assert picture.count('marker-end="url(#asl-catch)"') == len(caught)
    assert picture.count('class="asl-next"') + picture.count('class="asl-catch"') == len(lines)


@pytest.mark.parametrize("status", ["succeeded", "failed", "aborted"])
def test_a_state_is_coloured_by_how_it_went_and_the_others_are_grey(status):
    drawn = groups(draw_machine(DEFINITION, [passed("Publish", status)]).text)
    assert drawn.pop("Publish") == f"asl-{status}"
    assert {style.removesuffix(" asl-frame") for style in drawn.values()} == {"asl-unvisited"}


def test_a_status_that_nobody_knows_is_grey():
    assert groups(draw_machine(DEFINITION, [passed("Publish", '"><b>')]).text)["Publish"] == "asl-unvisited"


def test_without_timed_the_same_passage_gives_the_same_text():
    one, other = (draw_machine(DEFINITION, [passed("Plan", "succeeded", seconds)]).text for seconds in (1.0, 7.5))
    assert one == other


def test_timed_shows_the_seconds_of_the_states_that_were_visited():
    states = [passed("Plan", "succeeded", 7.46), passed("Publish", "succeeded", 0.0, visits=0)]
    text = draw_machine(DEFINITION, states, timed=True).text
    assert "7.5 s</tspan>" in text
    assert "0.0 s" not in text


def test_names_comments_and_conditions_are_escaped():
    states = {
        EVIL: {"Type": "Choice", "Comment": EVIL, "Choices": [{"Condition": EVIL, "Next": "B"}], "Default": "B"},
        "B": {"Type": "Fail"},
    }
    text = draw_machine(json.dumps({"StartAt": EVIL, "States": states})).text
    assert "<script" not in text
    assert EVIL in next(iter(groups(text)))


def test_every_transition_can_be_read_from_the_picture():
    text = draw_machine(DEFINITION).text
    titles = {title.text for title in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}title")}
    assert {"Plan → Roll Back (States.ALL)", "Chunk Done? → Rds To Dynamodb (otherwise)"} <= titles
    assert "Copy Drifted Again → Copy Chunks" in titles


def test_the_picture_needs_no_network_and_no_script():
    text = draw_machine(DEFINITION).text
    assert text.count("http") == text.count("http://www.w3.org/2000/svg") == 1
    assert "<script" not in text


def test_a_state_that_is_tried_again_is_marked_and_says_on_what():
    machine = {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "x", "End": True}}}
    assert "↻" not in draw_machine(json.dumps(machine)).text
    machine["States"]["A"]["Retry"] = [{"ErrorEquals": ["Busy", "Slow"], "MaxAttempts": 5}]
    drawn = draw_machine(json.dumps(machine)).text
    assert drawn.count("↻") == 1
    assert "up to 5 more tries on Busy, Slow" in drawn


def test_a_transition_to_a_state_that_is_not_there_is_left_out():
    states = {"A": {"Type": "Task", "Next": "Gone"}}
    assert set(groups(draw_machine(json.dumps({"StartAt": "Gone", "States": states})).text)) == {"A"}


def test_a_notebook_shows_it_as_an_image_since_an_untrusted_one_shows_no_svg():
    picture = draw_machine(DEFINITION)
    html = picture._repr_html_()
    assert html.startswith('<img alt="state machine"')
    assert b64decode(html.partition("base64,")[2].partition('"')[0]).decode() == picture.text
    assert not hasattr(picture, "_repr_svg_")
