"""Pictures of a run: they must be made whatever the run was like, and tell nothing to a notebook's reader but themselves."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from PIL import Image

from dataops.core.records import Record
from dataops.workbook.charts import Bars, draw_bars
from dataops.workbook.result import RunResult, StateTime, Visit, Work
from dataops.workbook.timeline import draw_timeline, rates


def result(visits=(), copied=(), loaded=()) -> RunResult:
    states = tuple(StateTime(visit.name, "succeeded", "", 1.0, 1) for visit in visits)
    return RunResult(Record("run", "orders"), "succeeded", 1.0, states, (), None, "{}", visits, copied, loaded)


VISITS = (Visit("Plan", 100.0, 101.0), Visit("Copy Chunks", 101.0, 104.0), Visit("Copy Chunks", 104.0, 0.0))


def height(picture) -> int:
    return Image.open(io.BytesIO(picture.png)).height


@pytest.mark.parametrize("visits", [(), VISITS], ids=["none", "some"])
def test_a_timeline_is_drawn_of_every_run(visits):
    picture = draw_timeline(result(visits))
    assert picture.png.startswith(b"\x89PNG")
    assert repr(picture) == "<orders: timeline>"


def test_rates_are_told():
    works = (Work("chunk 0", 1000, 101.0, 102.0), Work("chunk 1", 3000, 101.5, 103.0), Work("chunk 2", 0, 0.0, 0.0))
    assert list(rates(result(VISITS, works, works[:0]))) == ["; copied 2,000 rows a second"]


def test_very_many_chunks_share_a_lane():
    few = tuple(Work(f"chunk {n}", 10, 101.0, 102.0) for n in range(40))
    many = tuple(Work(f"chunk {n}", 10, 101.0, 102.0) for n in range(1000))
    assert height(draw_timeline(result(VISITS, many))) < height(draw_timeline(result(VISITS, few)))


def test_the_same_chart_is_the_same_picture():
    one, two = (draw_bars([Bars("部署", [1, 2], "東京都", "🎁")], "t") for _ in range(2))
    assert one.png == two.png


def test_nothing_is_told_beside_the_picture(tmp_path):
    code = "from dataops.workbook.charts import *; draw_bars([Bars('a 部署 $x$ 🎁', [1], '', '')], 't')"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"MPLCONFIGDIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")
