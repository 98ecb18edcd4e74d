"""Runs by a worker: migrate_start, migrate_wait(run => ...) and run_cancel."""

from __future__ import annotations

import re

import psycopg
import pytest

from harness.database import Database
from harness.session import Session, expect_error
from ledger import applied


def deployer(db: Database) -> Session:
    role = db.role("app")
    db.execute("SELECT belay.grant_role(%s, 'deployer')", [role])
    db.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
    return db.connect(user=role)


def register(session: Session, *texts: str) -> None:
    for number, text in enumerate(texts, 1):
        session.execute("SELECT belay.migrate_register(%s, %s, 'SELECT 1')", [f"{number}_a", text])


def start(session: Session, arguments: str = "") -> int:
    return session.one(f"SELECT belay.migrate_start({arguments})")


def wait(session: Session, run: int) -> None:
    session.execute("CALL belay.migrate_wait(run => %s, wait => '60 s')", [run])


def make_gate(session: Session) -> None:
    session.execute("CREATE TABLE go ()")
    session.execute(
        """
        CREATE FUNCTION pass() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
            WHILE NOT EXISTS (SELECT FROM public.go) LOOP PERFORM pg_sleep(0.02); END LOOP;
            RETURN true;
        END $$
        """
    )


def wait_until_running(db: Database, run: int) -> int:
    """The pid of its session."""
    query = "SELECT pid FROM belay.run WHERE id = %s AND finished_at IS NULL"
    return db.wait_for(query, [run], 60, f"run {run} goes on")


def test_a_run_by_a_worker_has_the_number_that_was_told_at_once(db):
    app = deployer(db)
    register(app, "CREATE TABLE a ()", "CREATE TABLE b ()")
    run = start(app)
    wait(app, run)
    assert applied(db) == ["1_a", "2_a"]
    columns = "verb, outcome, applied, role::text, session_role::text, pid <> pg_backend_pid()"
    assert app.rows(f"SELECT {columns} FROM belay.run WHERE id = %s", [run]) == [
        ("up", "succeeded", 2, app.info.user, app.info.user, True)
    ]
    assert db.rows("SELECT tableowner::text FROM pg_tables WHERE tablename IN ('a', 'b')") == [(app.info.user,)] * 2


def test_its_arguments_are_those_of_migrate_up(db):
    app = deployer(db)
    register(app, "CREATE TABLE a ()", "CREATE TABLE b ()", "CREATE TABLE c ()")
    wait(app, start(app, "steps => 1"))
    assert applied(db) == ["1_a"]
    run = start(app, "target => '2_a', transaction => 'per_run', reason => 'at night', wait => '1 min'")
    wait(app, run)
    assert applied(db) == ["1_a", "2_a"]
    kept = app.rows("SELECT transaction, arguments, reason FROM belay.run WHERE id = %s", [run])
    assert kept == [("per_run", {"target": "2_a"}, "at night")]


@pytest.mark.parametrize("arguments", ["steps => 0", "phase => 'later'", "gate => 'wide'", "gate => 'off'", "release => '3'", "project => NULL"])
def test_what_cannot_be_asked_for_is_refused_at_once(db, arguments):
    register(db.session, "CREATE TABLE a ()")
    with expect_error("22023"):
        start(db.session, arguments)
    assert db.one("SELECT count(*) FROM belay.run_request") == 0


def test_who_waits_from_before_its_begin_to_its_end_never_takes_a_run_for_lost(db):
    """The looks of the wait fall between any two steps of the worker."""
    app = deployer(db)
    register(app, *[f"CREATE TABLE t{number} ()" for number in range(60)])
    for _ in range(60):
        wait(app, start(app, "steps => 1"))
    assert db.one("SELECT count(*) FROM belay.applied") == 60


def test_a_start_that_is_rolled_back_never_runs(db):
    app = deployer(db)
    register(app, "CREATE TABLE a ()")
    with app.transaction() as transaction:
        run = start(app)
        raise psycopg.Rollback(transaction)
    with expect_error("MG011"):
        wait(app, run)
    wait(app, start(app, "steps => 1"))
    assert app.one("SELECT count(*) FROM belay.run WHERE verb = 'up'") == 1


def test_nothing_to_do_is_done_at_once(db):
    app = deployer(db)
    register(app, "CREATE TABLE a ()")
    wait(app, start(app))
    run = start(app)
    wait(app, run)
    assert app.one("SELECT count(*) FROM belay.run WHERE id = %s", [run]) == 0


def test_what_fails_is_told_to_who_waits_and_kept_in_the_history(db):
    app = deployer(db)
    register(app, "CREATE TABLE a ()", "SELECT 1/0")
    run = start(app)
    with expect_error("MG016", message=re.compile(f"run {run} .*failed")):
        wait(app, run)
    assert applied(db) == ["1_a"]
    assert app.one("SELECT outcome FROM belay.run WHERE id = %s", [run]) == "failed"
    found = db.rows("SELECT state, sqlstate, message FROM belay.run_request WHERE run_id = %s", [run])
    assert found == [("ended", "22012", "division by zero")]


def test_what_is_refused_before_it_begins_is_told_with_its_message_to_its_role_only(db):
    """A pending migration of somebody else, who does not hold the rights of the role that runs."""
    register(deployer(db), "CREATE TABLE a ()")
    app = db.connect(user=db.role("other"))
    db.execute("SELECT belay.grant_role(%s, 'deployer')", [app.info.user])
    run = start(app)
    with expect_error("MG016", message=re.compile(f"run {run} has failed: .*rights.*42501")):
        wait(app, run)
    stranger = db.connect(user=db.role("stranger"))
    db.execute("SELECT belay.grant_role(%s, 'reader')", [stranger.info.user])
    with expect_error("MG016", message=f"run {run} has failed: 42501"):
        wait(stranger, run)
    assert applied(db) == []


def test_a_run_that_goes_on_is_cancelled_and_what_is_applied_stays(db):
    app = deployer(db)
    make_gate(app)
    register(app, "CREATE TABLE a ()", "CREATE TABLE b (); SELECT pass()")
    run = start(app)
    wait_until_running(db, run)
    db.wait_for("SELECT count(*) = 1 FROM belay.applied")
    stranger = db.connect(user=db.role("stranger"))
    db.execute("SELECT belay.grant_role(%s, 'deployer')", [stranger.info.user])
    with expect_error("42501"):
        stranger.execute("SELECT belay.run_cancel(%s)", [run])
    assert app.one("SELECT belay.run_cancel(%s)", [run]) == "cancelling"
    with expect_error("MG016"):
        wait(app, run)
    assert applied(db) == ["1_a"]
    assert db.one("SELECT to_regclass('public.b') IS NULL")
    with expect_error("55000", message=re.compile(f"run {run} has ended")):
        app.execute("SELECT belay.run_cancel(%s)", [run])


def test_a_run_of_a_client_is_cancelled_too(db):
    app = deployer(db)
    make_gate(app)
    register(app, "SELECT pass()")
    waiting = db.start("CALL belay.migrate_up()", user=app.info.user)
    run = db.wait_for("SELECT id FROM belay.run WHERE finished_at IS NULL")
    assert app.one("SELECT belay.run_cancel(%s)", [run]) == "cancelling"
    with expect_error("57014"):
        waiting.finish()


def test_a_run_that_waits_for_a_worker_is_withdrawn(private_server, new_database):
    db = new_database(on=private_server(settings={"belay.max_workers": 0}))
    app = deployer(db)
    register(app, "CREATE TABLE a ()")
    app.notices.clear()
    run = start(app)
    assert [notice.severity for notice in app.notices] == ["WARNING"]
    with expect_error("55P03", detail=re.compile(f"run {run} waits for a worker")):
        app.execute("CALL belay.migrate_wait(run => %s, wait => '0')", [run])
    assert app.one("SELECT belay.run_cancel(%s)", [run]) == "withdrawn"
    with expect_error("MG016", message=re.compile("withdrawn")):
        wait(app, run)
    with expect_error("MG011"):
        app.execute("SELECT belay.run_cancel(999999)")


def test_a_tick_starts_what_waits_for_a_worker(private_server, new_database):
    server = private_server(settings={"belay.max_workers": 0})
    db = new_database(on=server)
    app = deployer(db)
    register(app, "CREATE TABLE a ()")
    run = start(app)
    assert app.one("SELECT belay.job_tick()") == 0
    server.configure({"belay.max_workers": 1})
    server.reload()
    db.wait_for("SELECT current_setting('belay.max_workers') = '1'")
    assert app.one("SELECT belay.job_tick()") == 1
    wait(app, run)
    assert applied(db) == ["1_a"]


def test_a_run_whose_worker_dies_is_lost_and_the_next_one_goes_on(db):
    app = deployer(db)
    make_gate(app)
    register(app, "CREATE TABLE a ()", "SELECT pass()")
    run = start(app)
    pid = wait_until_running(db, run)
    db.execute("SELECT pg_terminate_backend(%s)", [pid])
    db.wait_until_gone(pid)
    with expect_error("MG016", message=re.compile(f"run {run} .*lost")):
        wait(app, run)
    app.execute("SELECT belay.job_tick()")
    assert db.rows("SELECT state, sqlstate FROM belay.run_request") == [("ended", "MG016")]
    db.execute("INSERT INTO go DEFAULT VALUES")
    wait(app, start(app))
    assert applied(db) == ["1_a", "2_a"]


def test_a_superuser_who_stepped_down_cannot_ask_a_worker(db):
    role = deployer(db).info.user
    register(db.session, "CREATE TABLE a ()")
    with db.session.transaction():
        db.execute(f"SET LOCAL ROLE {role}")
        with expect_error("42501"):
            start(db.session)


def test_a_release_that_a_job_stands_in_the_way_of_is_refused(db):
    app = deployer(db)
    app.execute("SELECT belay.migrate_register('3.2.0_01_pre_a', 'CREATE TABLE a ()')")
    app.execute("""SELECT belay.job_register('fill', '[{"sql": "SELECT 1"}]', max_release => '3.1.0')""")
    with expect_error("MG021"):
        start(app, "release => '3.2.0'")
    assert applied(db) == []
