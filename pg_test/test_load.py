"""Many sessions at once: every migration runs once, and nobody sees an error. How long it takes is measured by bench/."""

from __future__ import annotations

import json
import threading

import psycopg
import pytest

from harness.database import Database
from harness.session import Session
from harness.waiting import poll_until
from ledger import applied, history

LOCKS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1651270009"


def slow_set(count: int) -> dict[str, str]:
    """Each migration takes 20 ms and says that it ran, and where."""
    body = "INSERT INTO log VALUES ({0}, pg_backend_pid()); CREATE TABLE made{0} (); SELECT pg_sleep(0.02)"
    return {f"{number:04}.sql": body.format(number) for number in range(1, count + 1)}


def all_at_once(sessions: list[Session], *statements: str) -> list[psycopg.Error]:
    """Runs the statements in each session, beginning at the same moment; the errors."""
    errors: list[psycopg.Error] = []
    start = threading.Barrier(len(sessions))

    def run(session: Session) -> None:
        start.wait(60)
        try:
            for statement in statements:
                session.execute(statement)
        except psycopg.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=[session]) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    return errors


def assert_ran_once(db: Database, count: int) -> None:
    names = [f"{number:04}" for number in range(1, count + 1)]
    assert db.rows("SELECT number, count(*) FROM log GROUP BY 1 ORDER BY 1") == [(number, 1) for number in range(1, count + 1)]
    assert applied(db) == names and history(db) == [(name, "up", "applied") for name in names]
    assert {outcome for (outcome,) in db.rows("SELECT outcome FROM belay.run WHERE verb = 'up'")} == {"succeeded"}
    assert db.rows(LOCKS) == []


def test_a_hundred_sessions_at_once_run_each_of_fifty_migrations_once(private_server, new_database):
    db = new_database(on=private_server(settings={"max_connections": 130}))
    db.execute("CREATE TABLE log (number int, pid int)")
    db.execute("SELECT belay.migrate_load_files(%s)", [json.dumps(slow_set(50))])
    sessions = [db.connect() for _ in range(100)]
    errors = all_at_once(sessions, "CALL belay.migrate_up()")
    assert errors == []
    assert_ran_once(db, 50)
    last = [session.messages[-1] for session in sessions]
    assert all(message == "nothing to do, 0 pending" or " applied, 0 pending, run " in message for message in last)


@pytest.mark.parametrize("size", [1, 20])
def test_five_callers_on_a_cold_start_load_and_run_each_migration_once(db, size):
    """As five containers that start together do: nothing is registered, and no session has the library loaded."""
    db.execute("CREATE TABLE log (number int, pid int)")
    files = json.dumps(slow_set(size)).replace("'", "''")
    sessions = [db.connect() for _ in range(5)]
    errors = all_at_once(sessions, f"SELECT belay.migrate_load_files('{files}')", "CALL belay.migrate_up()")
    assert errors == []
    assert_ran_once(db, size)


def test_five_callers_on_a_cold_start_create_and_fill_a_project_of_their_own(db):
    db.execute("CREATE TABLE log (number int, pid int)")
    db.execute("SELECT belay.project_create('app')")
    files = json.dumps(slow_set(5)).replace("'", "''")
    sessions = [db.connect() for _ in range(5)]
    errors = all_at_once(
        sessions, f"SELECT belay.migrate_load_files('{files}', project => 'app')", "CALL belay.migrate_up(project => 'app')"
    )
    assert errors == []
    assert db.rows("SELECT number, count(*) FROM log GROUP BY 1 ORDER BY 1") == [(number, 1) for number in range(1, 6)]
    assert applied(db, "app") == [f"{number:04}" for number in range(1, 6)]


def test_twenty_projects_run_in_twenty_sessions_at_once_without_waiting_for_each_other(db):
    """All twenty are inside a migration at the same time: none of them waits for another."""
    projects = [f"app{number}" for number in range(20)]
    for project in projects:
        db.execute("SELECT belay.project_create(%s)", [project])
        for name, up in {
            "0001_table": f"CREATE TABLE {project} (id int)",
            "0002_all_here": "SELECT pg_advisory_xact_lock_shared(42, 1)",
            "0003_index": f"CREATE INDEX CONCURRENTLY {project}_id ON {project} (id)",
            "0004_rest": f"ALTER TABLE {project} ADD word text",
        }.items():
            db.execute("SELECT belay.migrate_register(%s, %s, project => %s)", [name, up, project])
    gate = db.connect()
    gate.execute("SELECT pg_advisory_lock(42, 1)")
    runs = [db.start(f"CALL belay.migrate_up(on_contention => 'fail', project => '{project}')") for project in projects]
    blocked = "SELECT count(*) = 20 FROM pg_locks WHERE locktype = 'advisory' AND classid = 42 AND NOT granted"
    poll_until(lambda: db.one(blocked) or not all(run.is_running for run in runs), what="all projects are inside their second migration")
    gate.execute("SELECT pg_advisory_unlock(42, 1)")
    for run in runs:
        run.finish(60)
        assert not [message for message in run.session.messages if "waiting" in message]
    for project in projects:
        assert applied(db, project) == ["0001_table", "0002_all_here", "0003_index", "0004_rest"]
    assert db.rows("SELECT outcome, count(*) FROM belay.run GROUP BY 1") == [("succeeded", 20)]
    assert db.rows(LOCKS) == []
