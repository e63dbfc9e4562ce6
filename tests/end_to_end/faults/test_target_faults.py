"""A target that locks, refuses, fills up, breaks off or is killed: before, in and after the change of its rows."""

import threading
import time
from collections import Counter
from contextlib import closing

import pytest

from dataops.core.control import Control
from dataops.workbook.demo import open_server
from tests.end_to_end.faults.conftest import ROWS, assert_failed, assert_survived, fill, is_old
from tests.end_to_end.faults.mysql_proxy import begins, cut_after, cut_before

CHANGES = {"swap": "RENAME TABLE", "upsert": "DELETE t"}
"""Mode -> how the first statement begins that changes the target."""


@pytest.fixture(autouse=True)
def target(mortal):
    """The proxy before a target of these tests' own."""
    return mortal


@pytest.fixture
def root(mortal_server):
    """Runs a statement as the target's administrator; gives its rows."""

    def run(sql):
        with closing(mortal_server.connect_root()) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    return run


@pytest.fixture
def other(mortal_server, rows):
    """A session of somebody else's on the target."""
    with closing(open_server(mortal_server.info)) as connection, connection.cursor() as cursor:
        yield lambda sql: cursor.execute(sql.format(t=rows.name))


def await_row(root, sql):
    """Return when the statement gives a row."""
    while not root(sql):
        time.sleep(0.01)


def is_waiting(root, word):
    """Whether a statement that begins so waits for a lock on a table's definition."""
    return any(
        row[6] and "metadata lock" in row[6] and str(row[7]).startswith(word) for row in root("SHOW PROCESSLIST")
    )


# --- connections -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [cut_before, cut_after])
@pytest.mark.parametrize(
    ("mode", "statements"),
    [
        ("swap", ("CREATE TABLE", "LOAD DATA", "RENAME TABLE", "DROP TABLE")),
        ("upsert", ("DELETE t", "UPDATE", "INSERT INTO", "COMMIT")),
    ],
)
def test_a_connection_that_breaks_at_a_statement_is_made_again(rows, target, mode, statements, rule):
    cut = [target.add(rule, begins(statement), [0]) for statement in statements]
    assert_survived(rows, rows.run(rows.batch(target__mode=mode)))
    assert all(cut)


# --- locks -----------------------------------------------------------------------------------------------------------


def test_a_merge_that_loses_a_deadlock_is_done_again(rows, other, root, target):
    """The other session has changed more rows, so that the server rolls back the merge, and not it."""
    rows.target("CREATE TABLE {t}_heavy (id INT PRIMARY KEY AUTO_INCREMENT, v INT)")
    other("START TRANSACTION")
    other("INSERT INTO {t}_heavy (v) VALUES " + ", ".join(["(1)"] * 20_000))
    other("UPDATE {t} SET v = 'theirs' WHERE id = 1")
    collided = []

    def collide(statement):
        waiting = threading.Thread(target=statement.send)
        waiting.start()
        await_row(root, "SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'")
        other("UPDATE {t} SET v = 'theirs' WHERE id = 0")
        waiting.join()
        collided.append(root("SHOW ENGINE INNODB STATUS")[0][2])
        other("ROLLBACK")
        return True

    target.add(collide, begins("DELETE t"), [0])
    assert_survived(rows, rows.run(rows.batch(target__mode="upsert")))
    assert "LATEST DETECTED DEADLOCK" in collided[0]


@pytest.mark.parametrize("mode", CHANGES)
def test_a_lock_that_somebody_holds_for_a_while_is_waited_for(rows, other, target, mode):
    def let_go(_):
        threading.Timer(1.0, other, ["ROLLBACK"]).start()
        return True

    other("START TRANSACTION")
    other("SELECT * FROM {t} FOR UPDATE")
    waited = target.add(let_go, begins(CHANGES[mode]), [0])
    assert_survived(rows, rows.run(rows.batch(target__mode=mode)))
    assert waited


def test_a_lock_that_somebody_holds_for_long_is_waited_for_again(rows, other, target):
    """The first statement gives up (1205), since it may not outlive its function; the next finds the table free."""

    def give_up(statement):
        statement.send()
        other("ROLLBACK")
        return True

    other("START TRANSACTION")
    other("SELECT * FROM {t}")
    gave_up = target.add(give_up, begins("RENAME TABLE"), [0])
    assert_survived(rows, rows.run())
    assert gave_up
    assert sum(sql.startswith("RENAME TABLE") for sql in target.seen) == 2


def test_what_a_killed_function_had_asked_for_is_waited_for_before_the_run_goes_on(rows, other, root, target):
    """The server works on for a client that is gone; what it does late must not be taken for the old target."""
    killed = []

    def kill_waiting(statement):
        sending = threading.Thread(target=statement.send)
        sending.start()
        while not is_waiting(root, "RENAME"):
            time.sleep(0.01)
        killed.append(statement.kill_caller())
        threading.Timer(3.0, other, ["ROLLBACK"]).start()
        sending.join()
        return False

    other("START TRANSACTION")
    other("SELECT * FROM {t}")
    target.add(kill_waiting, begins("RENAME TABLE"), [0])
    assert_survived(rows, rows.run())
    assert killed


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", CHANGES)
def test_a_target_that_is_read_only_after_a_failover_is_tried_again(rows, root, target, mode):
    def fail_over(_):
        root("SET GLOBAL read_only = 1")
        threading.Timer(1.5, root, ["SET GLOBAL read_only = 0"]).start()
        return True

    refused = target.add(fail_over, begins(CHANGES[mode]), [0])
    assert_survived(rows, rows.run(rows.batch(target__mode=mode)))
    assert refused
    assert sum(sql.startswith(CHANGES[mode]) for sql in target.seen) > 1


def test_a_target_that_stays_read_only_is_left_as_it_was(rows, root):
    root("SET GLOBAL read_only = 1")
    assert_failed(rows, rows.run(), "MySQL error 1290", mend=lambda: root("SET GLOBAL read_only = 0"))


def test_a_target_that_is_full_is_left_as_it_was(rows, root):
    """MEMORY tables are full at a size that the server's administrator sets; 1114 is what a full disk gives, too."""
    rows.target("ALTER TABLE {t} ENGINE = MEMORY")
    root("SET GLOBAL max_heap_table_size = 65536")
    result = rows.run()
    root("SET GLOBAL max_heap_table_size = 16777216")
    assert (result.status, is_old(rows), rows.leftovers()) == ("failed", True, [])
    assert "loading staging: MySQL error 1114 (RECORD_FILE_FULL)" in result.record.cause
    assert rows.run().record.target_rows == ROWS
    assert rows.source("SELECT * FROM {t} ORDER BY id") == rows.target("SELECT * FROM {t} ORDER BY id")


def test_rows_go_in_statements_that_the_target_takes(rows, root):
    """Half a megabyte a statement, where the rows of one page have one megabyte."""
    root("SET GLOBAL max_allowed_packet = 524288")
    rows.source("UPDATE {t} SET v = REPEAT('\\'', 60)")
    result = rows.run()
    root("SET GLOBAL max_allowed_packet = 16777216")
    assert_survived(rows, result)


def test_a_row_that_is_too_large_for_the_targets_packets_is_told_before_it_is_sent(rows, root):
    for execute in (rows.source, rows.target):
        execute("ALTER TABLE {t} MODIFY v LONGTEXT")
    rows.source("UPDATE {t} SET v = REPEAT('x', 300000) WHERE id = 77")
    root("SET GLOBAL max_allowed_packet = 131072, GLOBAL local_infile = 0")
    result = rows.run()
    mend = lambda: root("SET GLOBAL max_allowed_packet = 16777216, GLOBAL local_infile = 1")  # noqa: E731
    assert_failed(rows, result, "a row of 300,0", "max_allowed_packet", "found 131,072", mend=mend)


def test_without_local_infile_the_load_goes_by_statements_and_the_run_says_so(rows, root):
    root("SET GLOBAL local_infile = 0")
    result = rows.run()
    root("SET GLOBAL local_infile = 1")
    assert_survived(rows, result)
    plain = Counter()
    for segment in Control(result.record.run).segments():
        plain.update(segment.plain)
    assert plain == {"the target server has local_infile off": result.record.items}


# --- the server's death ----------------------------------------------------------------------------------------------


def restart(server, proxy, then=int):
    """Kill the server, start it again and do what is to be done then; until that is done nobody gets through."""
    with proxy.closed():
        server.kill()
        server.restart()
        then()


def kill_server(server, proxy, when):
    """A rule that kills the server before a statement, while it is at work on it, or after it, and starts it again."""

    def rule(statement):
        if when != "before":
            sending = threading.Thread(target=statement.send)
            sending.start()
            sending.join(None if when == "after" else 0.0005)
        restart(server, proxy)
        return False

    return rule


@pytest.mark.parametrize("when", ["before", "in", "after"])
@pytest.mark.parametrize(
    ("mode", "statements"),
    [("swap", ("LOAD DATA", "RENAME TABLE", "DROP TABLE")), ("upsert", ("UPDATE", "COMMIT"))],
)
def test_a_server_killed_at_a_statement_loses_nothing(rows, mortal_server, target, mode, statements, when):
    killed = [target.add(kill_server(mortal_server, target, when), begins(statement), [0]) for statement in statements]
    result = rows.run(rows.batch(target__mode=mode))
    rows.connect_target(mortal_server.info)
    assert_survived(rows, result)
    assert all(killed)


def test_a_server_killed_while_its_rename_waits_has_the_old_rows(rows, mortal_server, other, root, target):
    def kill_waiting(statement):
        threading.Thread(target=statement.send).start()
        while not is_waiting(root, "RENAME"):
            time.sleep(0.01)
        restart(mortal_server, target, look)
        return False

    def look():
        rows.connect_target(mortal_server.info)
        old.append(list(rows.target("SELECT id, v FROM {t} ORDER BY id")))

    old = []
    other("START TRANSACTION")
    other("SELECT * FROM {t}")
    target.add(kill_waiting, begins("RENAME TABLE"), [0])
    assert_survived(rows, rows.run())
    assert old == [[(0, "old"), (1, "old")]]


def test_a_server_that_does_not_come_back_leaves_the_next_run_to_clean_up(rows, mortal_server, target):
    def kill(_):
        mortal_server.kill()
        return False

    target.add(kill, begins("RENAME TABLE"), [0])
    result = rows.run()
    mortal_server.restart()
    rows.connect_target(mortal_server.info)
    assert_failed(rows, result, "publish: ", "staging is left for the next run to drop")


# --- readers ---------------------------------------------------------------------------------------------------------


def test_a_reader_sees_all_old_or_all_new_rows_at_every_instant(rows, mortal_server, target):
    stopped, seen = threading.Event(), set()

    def watch():
        with closing(open_server(mortal_server.info)) as connection, connection.cursor() as cursor:
            while not stopped.is_set():
                cursor.execute(f"SELECT COUNT(*), SUM(v = 'old'), MAX(id) FROM {rows.name}")
                seen.add(tuple(map(int, cursor.fetchone())))
                connection.commit()

    watcher = threading.Thread(target=watch)
    watcher.start()
    for mode in ("swap", "upsert"):
        fill(rows.source, 5000, 5010) if mode == "upsert" else None
        assert_survived(rows, rows.run(rows.batch(target__mode=mode)))
    stopped.set()
    watcher.join()
    assert seen == {(2, 2, 1), (3000, 0, 3000), (3011, 0, 5010)}
