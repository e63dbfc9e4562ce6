"""A target that Plan makes: there as a whole or not at all, and never one that somebody else has made."""

import pytest

import dataops.core.plan
from dataops.core.control import Control
from dataops.core.publish import roll_back
from dataops.errors import Permanent, SchemaMismatch
from tests.end_to_end.steps import execution_of, killed, planned


@pytest.mark.parametrize("statement", ["ALTER", "RENAME"])
def test_a_plan_killed_while_it_makes_the_target_leaves_no_half_table(numbers, monkeypatch, statement):
    batch = numbers.batch(source__columns=["id", "kind"])
    kill_at(monkeypatch, statement)
    with pytest.raises(KeyboardInterrupt):
        planned(numbers, "run", batch)
    assert numbers.target("SHOW TABLES LIKE '{t}'") == []
    monkeypatch.undo()
    with planned(numbers, "run", batch) as task:
        assert task.plan.created_target
        assert task.plan.target.name == numbers.name
        assert [column.name for column in task.plan.target.columns] == ["id", "kind"]
    assert [row[0] for row in numbers.target("SHOW COLUMNS FROM {t}")] == ["id", "kind"]
    assert numbers.leftovers() == ["lease"]


def kill_at(monkeypatch, statement):
    """Kill whatever sends a statement of that kind to a MySQL server."""
    from pymysql.cursors import Cursor

    execute = Cursor.execute

    def guarded(cursor, sql, arguments=None):
        return killed() if sql.startswith(statement) else execute(cursor, sql, arguments)

    monkeypatch.setattr(Cursor, "execute", guarded)


def test_a_plan_that_fails_late_leaves_no_target_behind(numbers, monkeypatch):
    monkeypatch.setattr(Control, "save_plan", killed)
    with pytest.raises(KeyboardInterrupt):
        planned(numbers, "run")
    assert numbers.target("SHOW TABLES LIKE '{t}'") == []


def test_a_plan_that_fails_at_the_cut_has_made_no_table(numbers, monkeypatch):
    monkeypatch.setattr(dataops.core.plan, "cut_chunks", killed)
    with pytest.raises(KeyboardInterrupt):
        planned(numbers, "run")
    assert numbers.target("SHOW TABLES LIKE '{t}'") == []
    assert numbers.leftovers() == ["lease"]


def test_a_target_that_would_not_do_is_not_put_in_place(case):
    case.source("CREATE TABLE {t} (id INT NOT NULL)")
    with pytest.raises(SchemaMismatch, match="has no primary or unique key"):
        planned(case, "run")
    assert case.target("SHOW TABLES LIKE '{t}'") == []
    assert case.leftovers() == ["lease"]


def test_roll_back_leaves_a_target_alone_that_somebody_else_made_meanwhile(numbers, monkeypatch):
    kill_at(monkeypatch, "RENAME")
    with pytest.raises(KeyboardInterrupt):
        planned(numbers, "run")
    monkeypatch.undo()
    numbers.target("CREATE TABLE {t} (theirs INT)")
    with pytest.raises(Permanent, match="TABLE_EXISTS"):
        planned(numbers, "run")
    run = f"{numbers.name}-run"
    roll_back(run, execution_of(run), "Permanent", "plan: it went wrong")
    assert [row[0] for row in numbers.target("SHOW COLUMNS FROM {t}")] == ["theirs"]
    assert numbers.leftovers() == []
