"""Each side is made slow in turn: a run's record names the one that limited it."""

import time

import pytest

from dataops.core.copy import copy_chunk
from dataops.core.publish import summarize
from dataops.core.stopwatch import limiting_side
from tests.end_to_end.faults.conftest import fill
from tests.end_to_end.steps import killed, load_all, never, planned

pytestmark = pytest.mark.one_server

SLOW_ROW = "SLEEP(0.002 + id * 0) = 0"
TRANSFORM = """
from hashlib import pbkdf2_hmac

def digest(row):
    return row | {"v": pbkdf2_hmac("sha256", row["v"].encode(), b"salt", 2000).hex()[:60]}
"""


@pytest.fixture
def some(case):
    """A case of some hundred rows."""
    case.source("CREATE TABLE {t} (id INT PRIMARY KEY, v VARCHAR(60), d DATETIME(3), n DECIMAL(12,4))")
    fill(case.source, 1, 800)
    return case


def run(case, **changes):
    """The result of a run by one worker."""
    result = case.run(case.batch(**changes), workers=1)
    assert (result.status, result.record.cause) == ("succeeded", "")
    return result


def test_a_slow_source(some):
    result = run(some, source__where=SLOW_ROW)
    assert limiting_side(result.record.copying) == "source"
    assert result.to_json()["copying"] == {"limited_by": "source", "seconds": result.record.copying}
    report = (result.folder / "report.html").read_text()
    assert "Copying was limited by the source: " in report
    assert "Loading was limited by " in report


def test_a_transform_that_computes(some, tmp_path, monkeypatch):
    (tmp_path / "computing.py").write_text(TRANSFORM)
    monkeypatch.syspath_prepend(tmp_path)
    assert limiting_side(run(some, transform="computing:digest").record.copying) == "computing"


def test_the_limit_that_the_batch_sets(some):
    assert limiting_side(run(some, dynamodb__max_write_units=300).record.copying) == "limit"


def test_the_time_of_a_page_that_is_copied_again_counts_once(some, monkeypatch):
    with planned(some, "run", some.batch(source__where=SLOW_ROW)) as task:
        with monkeypatch.context() as patch:
            patch.setattr("dataops.core.copy._copy_page", killed)
            with pytest.raises(KeyboardInterrupt):
                copy_chunk(task, 0, never)
        began = time.perf_counter()
        assert copy_chunk(task, 0, never)
        seconds = time.perf_counter() - began
        load_all(task)
        record = summarize(task)
    assert record.copying["source"] <= sum(record.copying.values()) <= seconds
    assert record.loading
