"""What stopped halfway: how it is told, how an operator settles it, and how what it left is cleared away."""

from __future__ import annotations

import re

import pytest

from harness.database import Database
from harness.session import expect_error
from ledger import applied, history, load, nothing_changes, numbered



def register(db: Database, name: str, up: str, **options: object) -> None:
    given = "".join(f", {option} => %({option})s" for option in options)
    db.execute(f"SELECT belay.migrate_register(%(name)s, %(up)s{given})", {"name": name, "up": up, **options})


def indexes(db: Database) -> list[tuple]:
    return db.rows("""SELECT c.relname::text, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                      WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1""")


def failed_build(db: Database) -> None:
    """0001 has left an invalid index i; 0002 is pending."""
    db.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1)")
    register(db, "0001", "CREATE TABLE a ();\nCREATE UNIQUE INDEX CONCURRENTLY i ON t (id)")
    register(db, "0002", "CREATE TABLE b ()")
    with expect_error("23505"):
        db.execute("CALL belay.migrate_up()")
    assert indexes(db) == [("i", False)]


def cancelled(db: Database, statement: str) -> None:
    """Runs a statement by hand and cancels it while it waits for a writer of t."""
    writer = db.connect(autocommit=False)
    writer.execute("INSERT INTO t VALUES (99)")
    running = db.start(statement)
    db.wait_until_blocked(running.pid)
    running.cancel()
    with expect_error("57014"):
        running.finish()
    writer.rollback()


# ── dirty ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("call", ["migrate_up()", "migrate_up(transaction => 'per_run')"])
def test_sg_11_a_transactional_migration_that_failed_is_not_dirty(db, call):
    """It has left nothing: it may simply be run again."""
    load(db, numbered(1) | {"migration2.sql": "CREATE TABLE half (); SELECT 1/0"})
    with expect_error("22012"):
        db.execute(f"CALL belay.{call}")
    assert db.rows("SELECT state FROM belay.migrate_status() WHERE name = 'migration2'") == [("pending",)]
    assert db.rows("TABLE belay.unfinished") == [] and db.one("SELECT to_regclass('half')") is None
    load(db, numbered(1) | {"migration2.sql": "CREATE TABLE half ()"})
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["migration1", "migration2"]


def test_sg_11_dirty_names_the_statement_the_error_and_what_comes_next(db):
    failed_build(db)
    assert db.rows("SELECT name, state, detail, next_command FROM belay.migrate_status()") == [
        (
            "0001", "dirty",
            'went up and stopped at statement 2 of 2: could not create unique index "i"; the next run resumes there',
            "CALL belay.migrate_up()",
        ),
        ("0002", "pending", None, "CALL belay.migrate_up()"),
    ]  # fmt: skip


def test_sg_11_dirty_says_that_the_operator_is_asked_where_the_outcome_cannot_be_known(db):
    db.execute("CREATE TABLE t ()")
    register(db, "0001", "-- belay: transaction off\nCREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; LOCK TABLE t; END $$;\nCALL p()")
    blocker = db.connect(autocommit=False)
    blocker.execute("LOCK TABLE t")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    db.execute("SELECT pg_terminate_backend(%s)", [run.pid])
    db.wait_until_gone(run.pid)
    blocker.rollback()
    detail, command = db.rows("SELECT detail, next_command FROM belay.migrate_status()")[0]
    assert "resumes" not in detail and "migrate_mark('0001', 'pending', statement => 2" in command


def test_an_edit_of_what_ran_already_is_shown_beside_what_ran(db):
    text = "-- belay: transaction off\nCREATE TABLE a ();\nCREATE TABLE b ();\nSELECT 1/0"
    register(db, "0001", text)
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    register(db, "0001", text.replace("TABLE b ()", "TABLE b (x int)"), replace=True)
    with expect_error("MG003", message='migration "0001" was edited at statement 2, which has run already') as error:
        db.execute("CALL belay.migrate_up()")
    assert "CREATE TABLE b ()" in error.detail and "CREATE TABLE b (x int)" in error.detail


def test_what_is_not_trusted_is_counted_once_in_a_redo(db):
    role = db.role("deployer")
    db.execute(f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA belay TO {role}")
    session = db.connect(user=role)
    session.execute("SELECT belay.migrate_register('0001', 'SELECT 1', 'SELECT 1')")
    session.execute("CALL belay.migrate_up()")
    with expect_error("42501", message=re.compile("^a migration would run"), detail=f"0001 was registered by {role}"):
        db.execute("CALL belay.migrate_redo()")


# ── marks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sg_25_a_mark_says_who_when_and_why(db):
    role = db.role("operator")
    db.execute(f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA belay TO {role}")
    load(db, numbered(1))
    session = db.connect(user=role, application_name="runbook 7")
    before = db.one("SELECT clock_timestamp()")
    session.execute("SELECT belay.migrate_mark('migration1', 'applied', reason => 'restored by hand')")
    assert db.rows("""
        SELECT name, direction, outcome, role::text, application_name, reason, started_at BETWEEN %s AND clock_timestamp()
        FROM belay.migrate_history()""", [before]) == [("migration1", "up", "applied", role, "runbook 7", "restored by hand", True)]  # fmt: skip
    assert db.rows("SELECT applied_by::text FROM belay.applied") == [(role,)]


def test_sg_25_a_mark_ends_dirt_that_was_repaired_by_hand(db):
    failed_build(db)
    db.execute("DROP INDEX i; DELETE FROM t; CREATE UNIQUE INDEX i ON t (id)")
    db.execute("SELECT belay.migrate_mark('0001', 'applied', reason => 'built by hand')")
    assert db.rows("SELECT name, state FROM belay.migrate_status()") == [("0001", "applied"), ("0002", "pending")]
    assert db.rows("TABLE belay.unfinished") == []
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001", "0002"]


def test_sg_25_a_mark_takes_back_what_was_undone_by_hand(db):
    failed_build(db)
    db.execute("DROP INDEX i; DROP TABLE a; DELETE FROM t")
    db.execute("SELECT belay.migrate_mark('0001', 'pending', reason => 'undone by hand')")
    db.session.notices.clear()
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001", "0002"] and not [m for m in db.session.messages if "resuming" in m]


def test_sg_25_a_mark_keeps_the_order(db):
    load(db, numbered(1, 2))
    with nothing_changes(db), expect_error("MG001", hint=re.compile(".")):
        db.execute("SELECT belay.migrate_mark('migration2', 'applied')")


# ── migrate_repair ───────────────────────────────────────────────────────────────────────────────────────────────────


def removed(messages: list[str], name: str) -> bool:
    return any(name in message and "removed" in message for message in messages)


def test_what_a_failed_build_left_is_removed_and_the_next_run_resumes(db):
    failed_build(db)
    session = db.connect()
    session.execute("CALL belay.migrate_repair()")
    assert indexes(db) == [] and removed(session.messages, '"i"')
    assert db.rows("SELECT name, state FROM belay.migrate_status()")[0] == ("0001", "dirty")
    assert db.rows("SELECT problem FROM belay.migrate_validate() ORDER BY 1") == [("dirty",), ("pending",)]
    db.execute("DELETE FROM t")
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001", "0002"] and indexes(db) == [("i", True)]


def test_a_dry_run_says_what_it_would_remove_and_changes_nothing(db):
    failed_build(db)
    session = db.connect()
    with nothing_changes(db):
        session.execute("CALL belay.migrate_repair(dry_run => true)")
    assert indexes(db) == [("i", False)]
    assert any('"i"' in message and "would" in message for message in session.messages), session.messages


def test_what_a_failed_reindex_left_is_removed(db):
    db.execute("CREATE TABLE t (id int); CREATE INDEX i ON t (id)")
    register(db, "0001", "REINDEX INDEX CONCURRENTLY i")
    cancelled(db, "CALL belay.migrate_up()")
    assert indexes(db) == [("i", True), ("i_ccnew", False)]
    session = db.connect()
    session.execute("CALL belay.migrate_repair()")
    assert indexes(db) == [("i", True)] and removed(session.messages, "i_ccnew")


@pytest.mark.parametrize("statement, left", [("CREATE INDEX CONCURRENTLY mine ON t (id)", "mine"), ("REINDEX INDEX CONCURRENTLY u", "u_ccnew")])
def test_what_a_colleague_left_is_not_touched(db, statement, left):
    failed_build(db)
    db.execute("CREATE INDEX u ON t (id)")
    cancelled(db, statement)
    assert (left, False) in indexes(db)
    db.execute("CALL belay.migrate_repair()")
    assert (left, False) in indexes(db) and ("i", False) not in indexes(db)


def test_an_invalid_index_of_another_project_is_not_touched(db):
    failed_build(db)
    db.execute("SELECT belay.project_create('other')")
    db.execute("CALL belay.migrate_repair(project => 'other')")
    assert indexes(db) == [("i", False)]


def test_a_valid_index_is_never_removed(db):
    failed_build(db)
    db.execute("DELETE FROM t; REINDEX INDEX i")
    assert indexes(db) == [("i", True)]
    db.execute("CALL belay.migrate_repair()")
    assert indexes(db) == [("i", True)]
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001", "0002"]


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_where_nothing_is_left_it_says_so(db, dry_run):
    load(db, numbered(1))
    db.execute("CALL belay.migrate_up()")
    session = db.connect()
    with nothing_changes(db):
        session.execute(f"CALL belay.migrate_repair(dry_run => {dry_run})")
    assert [message for message in session.messages if "nothing" in message]


def test_a_repair_beside_a_run_fails_at_once_and_touches_nothing(db):
    """What is invalid may be what the run is building."""
    db.execute("CREATE TABLE t (id int)")
    register(db, "0001", "CREATE INDEX CONCURRENTLY i ON t (id)")
    writer = db.connect(autocommit=False)
    writer.execute("INSERT INTO t VALUES (1)")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    with expect_error("55P03", message='project "default" is being migrated by another session', detail=re.compile(f"^pid {run.pid}, ")):
        db.execute("CALL belay.migrate_repair()")
    writer.commit()
    run.finish()
    assert indexes(db) == [("i", True)]


@pytest.mark.parametrize("call", ["BEGIN; CALL belay.migrate_repair()", "DO $$ BEGIN CALL belay.migrate_repair(); END $$"])
def test_a_repair_where_nothing_may_commit_is_refused(db, call):
    failed_build(db)
    with nothing_changes(db), expect_error("25001", hint=re.compile("top level|transaction block|autocommit")):
        db.connect().execute(call)


def test_a_repair_by_somebody_who_does_not_own_the_index_is_the_servers_error(db):
    failed_build(db)
    role = db.role("deployer")
    db.execute(f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA belay TO {role}")
    with expect_error("42501"):
        db.connect(user=role).execute("CALL belay.migrate_repair()")
    assert indexes(db) == [("i", False)]


@pytest.mark.parametrize("arguments, sqlstate", [("project => 'nope'", "MG011"), ("project => NULL", "22023"), ("dry_run => NULL", "22023")])
def test_a_senseless_repair_is_refused(db, arguments, sqlstate):
    failed_build(db)
    with nothing_changes(db), expect_error(sqlstate, hint=re.compile(".")):
        db.execute(f"CALL belay.migrate_repair({arguments})")
