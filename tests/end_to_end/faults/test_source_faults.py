"""A source that breaks off, stalls, changes under the reading, or has been altered since the last run."""

import threading
import time
from functools import partial

import pytest

from dataops.core.control import Control
from dataops.local import registry
from tests.end_to_end.faults.conftest import ROWS, assert_failed, assert_survived, fill, is_old
from tests.end_to_end.faults.mysql_proxy import begins, cut_after, cut_before, cut_reply

PAGE = "SELECT `id`, `v`"
"""What every reading of a page of rows begins with."""
CHUNKS = ROWS // 1000


@pytest.mark.parametrize("rule", [cut_before, cut_after, cut_reply(20_000)], ids=["before", "after", "at a row"])
@pytest.mark.parametrize("page", [2, CHUNKS * 2 + 2], ids=["copying", "comparing"])
def test_a_connection_that_breaks_while_rows_are_read_is_made_again(rows, proxied, page, rule):
    cut = proxied("source").add(rule, begins(PAGE), [page])
    assert_survived(rows, rows.run())
    assert cut


def test_a_source_that_breaks_off_every_time_ends_the_run(rows, proxied):
    proxy = proxied("source")
    proxy.add(cut_reply(20_000), begins(PAGE))
    assert_failed(rows, rows.run(), "chunk", "MySQL error 2013 (connection lost)", mend=proxy.clear)


@pytest.mark.one_server
def test_a_source_that_stalls_is_cut_off_by_the_time_out_of_the_function(rows, proxied, monkeypatch):
    monkeypatch.setattr(registry, "register", partial(registry.register, timeout=6))
    released = threading.Event()

    def stall(statement):
        released.wait(60)
        return False

    stalled = proxied("source").add(stall, begins(PAGE), [1])
    result = rows.run()
    released.set()
    assert_survived(rows, result)
    assert stalled


def change(case):
    """Update, delete, insert and re-key rows of the first and the last chunk."""
    case.source(f"UPDATE {{t}} SET v = CONCAT(v, '!') WHERE id IN (5, {ROWS - 1})")
    case.source(f"DELETE FROM {{t}} WHERE id IN (7, {ROWS - 2})")
    case.source(f"UPDATE {{t}} SET id = id + {ROWS} WHERE id = 9")
    fill(case.source, 2 * ROWS, 2 * ROWS + 5)


@pytest.mark.parametrize("consistency", ["chunk", "snapshot"])
def test_only_chunks_that_changed_after_they_were_copied_are_copied_again(rows, proxied, consistency):
    def change_now(statement):
        change(rows)
        return True

    changed = proxied("source").add(change_now, begins("START TRANSACTION"), [0])
    result = rows.run(rows.batch(source__consistency=consistency))
    assert_survived(rows, result)
    attempts = [chunk.attempt for chunk in Control(result.record.run).chunks()]
    assert (changed, attempts[0], attempts[-1]) == ([0], 1, 1)
    assert set(attempts[1:-1]) == {0}
    assert bool(result.record.as_of) == (consistency == "snapshot")


class Writer(threading.Thread):
    """Moves amounts between rows of different chunks, and gives rows other keys, until it is stopped."""

    def __init__(self, case):
        super().__init__(daemon=True)
        self.case, self.stopped, self.moves = case, threading.Event(), 0

    def run(self):
        while not self.stopped.is_set():
            one, other = self.moves % 900 + 1, ROWS - self.moves % 900
            self.case.source(f"UPDATE {{t}} SET n = n + IF(id = {one}, 1, -1) WHERE id IN ({one}, {other})")
            self.case.source(
                f"UPDATE {{t}} SET id = {ROWS + 1} + {ROWS} - id WHERE id IN ({ROWS // 2}, {ROWS // 2 + 1})"
            )
            self.moves += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.join()


SUMS = "SELECT COUNT(*), SUM(n), COUNT(DISTINCT v) FROM {t}"
"""What no transaction of the writer changes."""


def test_a_snapshot_is_the_source_at_one_instant_whatever_is_written_meanwhile(rows):
    before = rows.source(SUMS)
    with Writer(rows) as writer:
        results = [rows.run(rows.batch(source__consistency="snapshot")) for _ in range(2)]
        at_end = writer.moves
    assert at_end > 20
    for result in results:
        assert (result.status, result.record.target_rows) == ("succeeded", ROWS)
    assert rows.target(SUMS) == before
    assert results[0].record.started < results[0].record.as_of < results[1].record.started
    assert_survived(rows, rows.run())


def test_without_one_a_source_that_is_written_to_all_the_time_is_refused(rows):
    with Writer(rows) as writer:
        result = rows.run()
    assert writer.moves > 20
    assert_failed(rows, result, "changed each of the 3 times it was copied", "source.consistency: snapshot")


def test_a_snapshot_that_takes_longer_than_a_function_may_run_is_refused(rows, proxied, monkeypatch):
    monkeypatch.setattr(registry, "register", partial(registry.register, timeout=4))

    def wait(statement):
        time.sleep(3)
        return True

    proxy = proxied("source")
    proxy.add(wait, lambda statement: "UTC_TIMESTAMP" in statement.sql)
    result = rows.run(rows.batch(source__consistency="snapshot"))
    assert "take_snapshot: source" in result.record.cause
    assert "too large to be read in one snapshot within a function's time-out" in result.record.cause
    assert is_old(rows)
    assert rows.leftovers() == []


def test_a_column_added_to_the_source_between_runs_is_told_in_plan_and_then_copied(rows):
    rows.source("ALTER TABLE {t} ADD COLUMN extra INT DEFAULT 3")
    result = rows.run()
    assert "plan: target.table: column 'extra' is not in target table" in result.record.cause
    rows.target("ALTER TABLE {t} ADD COLUMN extra INT")
    assert_survived(rows, rows.run())


def test_a_column_dropped_while_rows_are_copied_ends_the_run(rows, proxied):
    def drop(statement):
        rows.source("ALTER TABLE {t} DROP COLUMN d")
        return True

    proxied("source").add(drop, begins(PAGE), [3])
    result = rows.run()
    assert "Unknown column" in result.record.cause
    assert is_old(rows)
    rows.target("ALTER TABLE {t} DROP COLUMN d")
    assert_survived(rows, rows.run())
