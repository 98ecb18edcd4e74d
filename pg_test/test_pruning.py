"""History may be made shorter by its owner, never changed, and what is in force keeps its own."""

from __future__ import annotations

import re

import psycopg
import pytest

from harness.database import Database
from harness.session import expect_error
from ledger import applied, history, load, nothing_changes, numbered


def steps(db: Database) -> int:
    return db.one("SELECT count(*) FROM belay.step")


def a_long_history(db: Database) -> None:
    """migration1 was applied three times and reverted twice, migration2 failed, migration1 is in force."""
    load(db, numbered(1) | {"migration2.sql": "SELECT 1/0"})
    for call in ("migrate_up(steps => 1)", "migrate_redo()", "migrate_redo()"):
        db.execute(f"CALL belay.{call}")
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    assert steps(db) == 6


def standing(db: Database) -> tuple:
    """What is in force, and how everything stands."""
    return (
        db.rows("SELECT * FROM belay.applied ORDER BY position"),
        db.rows("SELECT name, state, position, applied_at, applied_by, duration FROM belay.migrate_status()"),
        db.rows("SELECT * FROM belay.migrate_validate()"),
        db.rows("TABLE belay.migration"), db.rows("TABLE belay.pending"), db.rows("TABLE belay.unfinished"),
    )  # fmt: skip


def test_everything_goes_but_what_is_in_force(db):
    a_long_history(db)
    before = standing(db)
    assert db.one("SELECT belay.history_prune(now())") == 5
    assert steps(db) == 1 and history(db) == [("migration1", "up", "applied")]
    found = standing(db)
    assert found[0] == before[0] and [row[:6] for row in found[1]] == [row[:6] for row in before[1]]
    assert db.one("SELECT belay.history_prune(now())") == 0
    db.execute("CALL belay.migrate_down()")
    assert applied(db) == []


def test_what_is_younger_stays(db):
    a_long_history(db)
    middle = db.one("SELECT finished_at FROM belay.step ORDER BY id OFFSET 2 LIMIT 1")
    kept = db.rows("SELECT * FROM belay.step WHERE finished_at >= %s", [middle])
    gone = 6 - len(kept)
    assert db.one("SELECT belay.history_prune(%s)", [middle]) == gone > 0
    assert db.rows("SELECT * FROM belay.step ORDER BY id") == sorted(kept)


def test_nothing_is_old_enough(db):
    a_long_history(db)
    with nothing_changes(db):
        assert db.one("SELECT belay.history_prune('1999-01-01')") == 0


def test_errors_go_with_their_steps_and_runs_without_steps_go_too(db):
    a_long_history(db)
    db.one("SELECT belay.history_prune(now())")
    assert db.rows("TABLE belay.step_error") == []
    assert db.rows("SELECT r.id FROM belay.run r WHERE NOT EXISTS (SELECT FROM belay.step s WHERE s.run_id = r.id) AND r.finished_at < now()") == []


def test_what_is_unfinished_keeps_its_history(db):
    load(db, {"1_a.sql": "-- belay: transaction off\nCREATE TABLE a ();\nSELECT 1/0"})
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    before = standing(db)
    assert db.one("SELECT belay.history_prune(now())") == 0
    assert standing(db) == before
    load(db, {"1_a.sql": "-- belay: transaction off\nCREATE TABLE a ();\nSELECT 1"})
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["1_a"]


def test_a_run_that_is_going_on_keeps_its_history(db):
    db.execute("CREATE TABLE orders ()")
    db.execute("SELECT belay.migrate_register('1_a', 'CREATE TABLE a ()')")
    db.execute("SELECT belay.migrate_register('2_b', E'-- belay: transaction off\\nALTER TABLE orders ADD x int')")
    blocker = db.connect(autocommit=False)
    blocker.execute("SELECT FROM orders")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    try:
        db.execute("SELECT belay.history_prune(now())")
    except psycopg.Error as error:
        assert error.sqlstate == "55P03"
    blocker.rollback()
    run.finish()
    assert history(db) == [("1_a", "up", "applied"), ("2_b", "up", "applied")]


def test_other_projects_keep_theirs(db):
    a_long_history(db)
    db.execute("SELECT belay.project_create('other')")
    load(db, numbered(7), project="other")
    db.execute("CALL belay.migrate_up(project => 'other')")
    db.execute("CALL belay.migrate_redo(project => 'other')")
    assert db.one("SELECT belay.history_prune(now(), project => 'other')") == 2
    assert len(history(db)) == 6 and len(history(db, "other")) == 1


def test_the_texts_that_ran_and_are_in_force_stay(db):
    a_long_history(db)
    db.execute("SELECT belay.history_prune(now())")
    assert db.rows("SELECT m.name FROM belay.migration m JOIN belay.definition d ON d.id = m.definition_id ORDER BY 1") == [("migration1",), ("migration2",)]
    assert db.one("SELECT count(*) FROM belay.step s LEFT JOIN belay.definition d ON d.id = s.definition_id WHERE d.id IS NULL") == 0


@pytest.mark.parametrize("statement", ["DELETE FROM belay.step", "DELETE FROM belay.run", "DELETE FROM belay.step_error", "TRUNCATE belay.step CASCADE"])
@pytest.mark.parametrize("before", ["", "SELECT belay.history_prune('1999-01-01'); ", "SET session_replication_role = replica; "])
def test_it_opens_no_door_to_history(db, before, statement):
    """Neither beside it in one transaction, nor by what it may have set."""
    a_long_history(db)
    session = db.connect()
    session.execute("SELECT belay.history_prune('1999-01-01')")
    with nothing_changes(db), expect_error("MG015"):
        session.execute(f"BEGIN; {before}{statement}")


def test_only_the_owner_prunes(db):
    role, owner = db.role("deployer"), db.role("owner")
    db.execute(f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA belay TO {role}, {owner}")
    a_long_history(db)
    db.execute("SELECT belay.project_alter('default', owner => %s)", [owner])
    with nothing_changes(db), expect_error("42501", message=re.compile("owner"), hint=re.compile(f"SET ROLE {owner}")):
        db.connect(user=role).execute("SELECT belay.history_prune(now())")
    assert db.connect(user=owner).one("SELECT belay.history_prune(now())") == 5


@pytest.mark.parametrize("arguments, sqlstate", [("NULL", "22023"), ("now(), project => NULL", "22023"), ("now(), project => 'nope'", "MG011")])
def test_a_senseless_pruning_is_refused(db, arguments, sqlstate):
    a_long_history(db)
    with nothing_changes(db), expect_error(sqlstate, hint=re.compile(".")):
        db.execute(f"SELECT belay.history_prune({arguments})")


def test_a_pruned_history_survives_a_dump(db, new_database):
    a_long_history(db)
    db.execute("SELECT belay.history_prune(now())")
    copy = new_database(extension=False)
    copy.server.psql(db.dump(), database=copy.name, check=True)
    assert history(copy) == history(db) and applied(copy) == applied(db)


@pytest.mark.parametrize("before, gone", [("infinity", 5), ("-infinity", 0)])
def test_any_time_will_do(db, before, gone):
    a_long_history(db)
    assert db.one("SELECT belay.history_prune(%s)", [before]) == gone
    assert db.one("SELECT belay.find_contradiction()") is None


def test_a_project_that_nobody_has_used_has_nothing_to_prune(db):
    assert db.one("SELECT belay.history_prune(now())") == 0


def test_a_pruning_that_is_rolled_back_has_not_happened(db):
    a_long_history(db)
    session = db.connect()
    with nothing_changes(db):
        session.execute("BEGIN")
        assert session.one("SELECT belay.history_prune(now())") == 5
        assert session.one("SELECT count(*) FROM belay.step") == 1
        session.execute("ROLLBACK")


def test_what_this_transaction_has_run_is_pruned_but_for_what_is_in_force(db):
    a_long_history(db)
    session = db.connect()
    session.execute("BEGIN")
    session.execute("CALL belay.migrate_redo()")
    assert session.one("SELECT belay.history_prune('infinity')") == 7
    session.execute("COMMIT")
    assert history(db) == [("migration1", "up", "applied")]
    assert db.one("SELECT count(*) FROM belay.run") == 1
    assert db.one("SELECT belay.find_contradiction()") is None


def test_all_steps_of_what_is_unfinished_stay(db):
    load(db, {"1_a.sql": "-- belay: transaction off\nCREATE TABLE a ();\nSELECT 1/0"})
    for _ in range(3):
        with expect_error("22012"):
            db.execute("CALL belay.migrate_up()")
    with nothing_changes(db):
        assert db.one("SELECT belay.history_prune(now())") == 0
    db.execute("SELECT belay.migrate_mark('1_a', 'applied')")
    assert db.one("SELECT belay.history_prune(now())") == 3
    assert db.one("SELECT belay.find_contradiction()") is None


def test_texts_that_nothing_refers_to_any_more_go(db):
    """A text that ran stays as long as its step; then nobody needs it."""
    db.execute("SELECT belay.migrate_register('1_a', 'SELECT 1/0')")
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    db.execute("SELECT belay.migrate_register('1_a', 'SELECT 1', replace => true)")
    db.execute("SELECT belay.migrate_register('2_b', 'SELECT 2/0')")
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    db.execute("SELECT belay.migrate_unregister('2_b')")
    texts = "SELECT up FROM belay.definition ORDER BY 1"
    assert db.rows(texts) == [("SELECT 1",), ("SELECT 1/0",), ("SELECT 2/0",)]
    assert db.one("SELECT belay.history_prune(now())") == 2
    assert db.rows(texts) == [("SELECT 1",)]


@pytest.mark.parametrize("text", ["SELECT belay.history_prune('infinity')", "-- belay: transaction off\nSELECT belay.history_prune('infinity', project => 'other')"])
def test_no_migration_prunes(db, text):
    """Not even in the session that holds the lock, whose run is going on."""
    db.execute("SELECT belay.project_create('other')")
    db.execute("SELECT belay.migrate_register('1_a', 'SELECT 1', 'SELECT 1')")
    for call in ("migrate_up()", "migrate_redo()"):
        db.execute(f"CALL belay.{call}")
    db.execute("SELECT belay.migrate_register('2_b', %s)", [text])
    before = history(db)
    with expect_error("MG012", message=re.compile("cannot prune the history"), hint=re.compile("take the call out")):
        db.execute("CALL belay.migrate_up()")
    assert history(db) == [*before, ("2_b", "up", "failed")]


def test_a_snapshot_that_is_older_than_a_run_prunes_nothing(db):
    a_long_history(db)
    session = db.connect()
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    session.execute("SELECT FROM belay.step")
    db.execute("CALL belay.migrate_redo()")
    with nothing_changes(db), expect_error("40001"):
        session.execute("SELECT belay.history_prune(now())")


def test_a_read_only_transaction_prunes_nothing(db):
    a_long_history(db)
    with nothing_changes(db), expect_error("25006"):
        db.connect().execute("BEGIN READ ONLY; SELECT belay.history_prune(now())")


def test_a_long_history_is_pruned_in_seconds(db):
    """Each row is found by an index."""
    load(db, {f"{n}.sql": "SELECT 1;\n-- migrate:down\nSELECT 1" for n in range(300)})
    for call in ("migrate_up()", "migrate_redo(steps => 300)", "migrate_redo(steps => 300)"):
        db.execute(f"CALL belay.{call}")
    session = db.connect()
    session.execute("SET statement_timeout = '20 s'")
    assert session.one("SELECT belay.history_prune(now())") == 1200
    assert len(history(db)) == 300 and db.one("SELECT belay.find_contradiction()") is None
