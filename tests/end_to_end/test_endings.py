"""How a run ends when it is killed or asked to stop at the worst moment: the truth is told, nothing is left behind."""

import pytest

from dataops.core.control import Control
from dataops.core.publish import publish, roll_back
from dataops.errors import Cancelled
from tests.end_to_end.steps import copy_all, execution_of, killed, load_all, planned


def publish_killed_before_its_record(task, monkeypatch):
    copy_all(task)
    load_all(task)
    with monkeypatch.context() as patched:
        patched.setattr(Control, "save_record", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(task)


@pytest.mark.parametrize("mode", ["swap", "upsert"])
def test_a_publish_that_was_done_is_not_cancelled_any_more(numbers, monkeypatch, mode):
    with planned(numbers, "run", numbers.batch(target__mode=mode)) as task:
        publish_killed_before_its_record(task, monkeypatch)
        task.control.ask_to_stop()
        publish(task)
    record = task.control.record()
    assert (record.status, record.target_rows) == ("published", 3)
    assert numbers.leftovers() == ["lease"]


@pytest.mark.parametrize("mode", ["swap", "upsert"])
def test_a_publish_that_was_not_done_is_cancelled(numbers, mode):
    with planned(numbers, "run", numbers.batch(target__mode=mode)) as task:
        copy_all(task)
        load_all(task)
        task.control.ask_to_stop()
        with pytest.raises(Cancelled):
            publish(task)
    assert list(numbers.target("SELECT * FROM {t}")) == []


@pytest.mark.parametrize("mode", ["swap", "upsert"])
def test_roll_back_says_that_the_new_rows_are_in_place_when_they_are(numbers, monkeypatch, mode):
    with planned(numbers, "run", numbers.batch(target__mode=mode)) as task:
        publish_killed_before_its_record(task, monkeypatch)
    run = task.plan.run
    for _ in range(2):
        record = roll_back(run, execution_of(run), "Permanent", "publish: it went wrong")
        assert (record.status, record.target_rows, record.published) == ("failed", 3, True)
        assert record.cause == (
            f"target {numbers.name}: the new rows are in place, only what follows failed: publish: it went wrong"
        )
    assert len(numbers.target("SELECT * FROM {t}")) == 3
    assert numbers.leftovers() == []


def test_roll_back_keeps_a_created_target_that_was_published_empty(numbers, monkeypatch):
    numbers.source("DELETE FROM {t}")
    with planned(numbers, "run") as task:
        publish_killed_before_its_record(task, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(Control, "release_lease", killed)
        with pytest.raises(KeyboardInterrupt):
            roll_back(task.plan.run, execution_of(task.plan.run), "Permanent", "killed")
    assert roll_back(task.plan.run, execution_of(task.plan.run), "Permanent", "killed").published
    assert numbers.target("SHOW TABLES LIKE '{t}'")
