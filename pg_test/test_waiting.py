"""What a run looks like from another session while it is going on, and projects that run side by side.

Who waits for whom, and what either is told, is in test_contention.py.
"""

from __future__ import annotations

import re

import psycopg
import pytest

from harness.database import Database, Running
from harness.session import expect_error
from harness.waiting import poll_until
from ledger import applied, history, load, nothing_changes, numbered

CLASS = 1651270009


def locks(db: Database) -> list[tuple]:
    return db.rows(
        "SELECT classid::int, objid::int, objsubid, mode, granted FROM pg_locks WHERE locktype = 'advisory' AND classid = %s "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        [CLASS],
    )


def blocked_run(db: Database, head: str = "", call: str = "CALL belay.migrate_up()", **how) -> tuple[Running, psycopg.Connection]:
    """A run that has applied 0001_a and waits in the second statement of 0002_b; 0003_c is pending."""
    db.execute("CREATE TABLE orders (id int)")
    for name, up in (("0001_a", "CREATE TABLE a ()"), ("0002_b", f"{head}CREATE TABLE b (); ALTER TABLE orders ADD x int"), ("0003_c", "CREATE TABLE c ()")):
        db.execute("SELECT belay.migrate_register(%s, %s, 'SELECT 1')", [name, up])
    blocker = db.connect(autocommit=False)
    blocker.execute("INSERT INTO orders VALUES (1)")
    run = db.start(call, **how)
    db.wait_until_blocked(run.pid)
    return run, blocker


def test_sg_01_the_lock_comes_before_the_run_and_is_given_back_after_it(db):
    assert locks(db) == []
    run, blocker = blocked_run(db)
    project = db.one("SELECT id FROM belay.project")
    assert locks(db) == [(CLASS, project, 2, "ExclusiveLock", True)]
    assert db.rows("SELECT project_id, verb, outcome, pid FROM belay.run") == [(project, "up", None, run.pid)]
    blocker.rollback()
    run.finish()
    assert db.rows("SELECT outcome FROM belay.run") == [("succeeded",)] and locks(db) == []


@pytest.mark.parametrize(
    "head, seen",
    [
        ("", [("0001_a", "applied")]),
        ("-- belay: transaction off\n", [("0001_a", "applied"), ("0002_b", None)]),
    ],
)
def test_sg_09_what_has_begun_is_written_before_it_where_it_could_not_be_taken_back(db, head, seen):
    """A transactional migration leaves nothing behind, so that it needs no row before it; its run has one."""
    run, blocker = blocked_run(db, head)
    assert db.rows("SELECT name, outcome FROM belay.step ORDER BY id") == seen
    assert db.one("SELECT count(*) FROM belay.unfinished") == len(seen) - 1
    blocker.rollback()
    run.finish()
    assert history(db) == [("0001_a", "up", "applied"), ("0002_b", "up", "applied"), ("0003_c", "up", "applied")]
    assert db.one("SELECT count(*) FROM belay.step WHERE finished_at IS NULL OR started_at > finished_at") == 0


@pytest.mark.parametrize("call", ["CALL belay.migrate_up()", "CALL belay.migrate_up(wait => '1 min', target => '0003_c')"])
def test_sg_02_half_done_while_somebody_works_on_it_is_not_dirty(db, call):
    """Whether it is running is decided by the lock: who comes waits, and raises nothing."""
    run, blocker = blocked_run(db, "-- belay: transaction off\n")
    assert db.rows("SELECT name, state, detail FROM belay.migrate_status() WHERE name = '0002_b'") == [
        ("0002_b", "running", "going up, at statement 2 of 2")
    ]
    second = db.start(call)
    poll_until(lambda: second.session.messages, what="the notice that it waits")
    assert second.is_running
    blocker.rollback()
    run.finish()
    second.finish()
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]


def test_sg_02_half_done_and_nobody_works_on_it_is_dirty(db):
    run, blocker = blocked_run(db, "-- belay: transaction off\n")
    db.execute("SELECT pg_terminate_backend(%s)", [run.pid])
    db.wait_until_gone(run.pid)
    blocker.rollback()
    assert db.one("SELECT state FROM belay.migrate_status() WHERE name = '0002_b'") == "dirty"


def test_sg_16_half_done_is_never_called_dirty_before_its_work_can_be_seen(db):
    """The intent is committed, the build has made nothing yet: it waits for its table."""
    db.execute("CREATE TABLE orders (id int)")
    db.execute("SELECT belay.migrate_register('0001_a', 'CREATE INDEX CONCURRENTLY i ON orders (id)')")
    blocker = db.connect(autocommit=False)
    blocker.execute("LOCK TABLE orders")
    run = db.start("CALL belay.migrate_up()", options="-c belay.lock_timeout=1min")
    db.wait_until_blocked(run.pid)
    assert db.one("SELECT to_regclass('i')") is None and db.one("SELECT count(*) FROM belay.unfinished") == 1
    assert db.rows("SELECT state FROM belay.migrate_status()") == [("running",)]
    blocker.rollback()
    run.finish()


@pytest.mark.parametrize("call", ["CALL belay.migrate_up()", "CALL belay.migrate_up(target => 'migration2')", "CALL belay.migrate_to('migration2')"])
def test_sg_08_where_nothing_is_to_be_done_nobody_waits_for_the_lock(db, call):
    load(db, numbered(1, 2))
    db.execute("CALL belay.migrate_up()")
    holder = db.connect()
    holder.execute("SELECT pg_advisory_lock(%s, id) FROM belay.project", [CLASS])
    session = db.connect(options="-c statement_timeout=20s")
    with nothing_changes(db):
        session.execute(call)
    assert len(session.messages) == 1 and "nothing to do" in session.messages[0]


def test_sg_08_where_nothing_is_to_be_reverted_nobody_waits_for_the_lock(db):
    load(db, numbered(1))
    db.connect().execute("SELECT pg_advisory_lock(%s, id) FROM belay.project", [CLASS])
    session = db.connect(options="-c statement_timeout=20s")
    with nothing_changes(db):
        session.execute("CALL belay.migrate_down()")
    assert session.messages == ["nothing to do, 1 pending"]


def test_sg_18_release_and_phase_without_a_target_wait_like_a_run_to_the_latest(db):
    db.execute("SELECT belay.project_create('app', naming => 'release')")
    for name in ("1.0.0_01_pre_a", "1.0.0_50_post_b"):
        db.execute("SELECT belay.migrate_register(%s, 'SELECT 1', project => 'app')", [name])
    holder = db.connect()
    holder.execute("SELECT pg_advisory_lock(%s, id) FROM belay.project", [CLASS])
    runs = [db.start(f"CALL belay.migrate_up({narrowed}, project => 'app')") for narrowed in ("phase => 'pre'", "release => '1.0.0'")]
    for run in runs:
        poll_until(lambda run=run: run.session.messages, what="the notice that it waits")
        assert run.session.messages[0].startswith('waiting for project "app": ')
    holder.execute("SELECT pg_advisory_unlock_all()")
    for run in runs:
        run.finish()
    assert applied(db, "app") == ["1.0.0_01_pre_a", "1.0.0_50_post_b"]


@pytest.mark.parametrize("head", ["", "-- belay: transaction off\n"])
def test_sg_04_who_fails_is_told_which_migration_is_in_hand(db, head):
    run, blocker = blocked_run(db, head)
    with expect_error("55P03", detail=re.compile("0002_b")):
        db.execute("CALL belay.migrate_up(steps => 1)")
    blocker.rollback()
    run.finish()


def who_runs(db: Database) -> str | None:
    """What the next in turn is told."""
    with expect_error("55P03") as error:
        db.execute("CALL belay.migrate_up(on_contention => 'fail')")
    return error.detail


def state_of(db: Database, name: str) -> str:
    return db.one("SELECT state FROM belay.migrate_status() WHERE name = %s", [name])


def test_a_transactional_migration_in_hand_is_running(db):
    run, blocker = blocked_run(db)
    states = db.rows("SELECT name, state FROM belay.migrate_status()")
    assert states == [("0001_a", "applied"), ("0002_b", "running"), ("0003_c", "pending")]
    assert re.fullmatch("going up, for [0-9.]+ s", db.one("SELECT detail FROM belay.migrate_status() WHERE name = '0002_b'"))
    blocker.rollback()
    run.finish()


def test_a_migration_that_is_being_reverted_is_running(db):
    db.execute("CREATE TABLE orders (id int)")
    db.execute("SELECT belay.migrate_register('0001_a', 'SELECT 1', 'ALTER TABLE orders ADD x int')")
    db.execute("CALL belay.migrate_up()")
    blocker = db.connect(autocommit=False)
    blocker.execute("INSERT INTO orders VALUES (1)")
    run = db.start("CALL belay.migrate_down()")
    db.wait_until_blocked(run.pid)
    assert state_of(db, "0001_a") == "running"
    db.execute("SELECT belay.migrate_register('0002_b', 'SELECT 1')")
    assert re.search(r'run \d+ \(down\), for [0-9.]+ s, reverting "0001_a" for [0-9.]+ s$', who_runs(db))
    blocker.rollback()
    run.finish()
    assert state_of(db, "0001_a") == "pending"


def test_what_is_in_hand_is_told_with_its_own_age_and_not_that_of_its_run(db):
    db.execute("SELECT belay.migrate_register('0000_slow', 'SELECT pg_sleep(1.1)')")
    run, blocker = blocked_run(db)
    of_run, of_migration = re.search(r'for ([0-9.]+) s, applying "0002_b" for ([0-9.]+) s', who_runs(db)).groups()
    assert float(of_run) - float(of_migration) >= 1
    blocker.rollback()
    run.finish()


@pytest.mark.parametrize("name", ["it's (project default, run 1)", 'a "b" %s %', "naïve — 0002", "belay: applying x"])
def test_a_migration_of_any_name_is_told(db, name):
    db.execute("CREATE TABLE orders (id int)")
    db.execute("SELECT belay.migrate_register(%s, 'ALTER TABLE orders ADD x int')", [name])
    blocker = db.connect(autocommit=False)
    blocker.execute("INSERT INTO orders VALUES (1)")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    assert f'applying "{name}" for ' in who_runs(db) and state_of(db, name) == "running"
    blocker.rollback()
    run.finish()


@pytest.mark.parametrize("head, told", [("", False), ("-- belay: transaction off\n", True)])
def test_where_activity_is_not_tracked_only_what_the_ledger_knows_is_told(db, head, told):
    run, blocker = blocked_run(db, head, options="-c track_activities=off")
    assert ('applying "0002_b"' in who_runs(db)) is told
    assert state_of(db, "0002_b") == ("running" if told else "pending")
    blocker.rollback()
    run.finish()


def test_a_name_that_activity_cuts_off_is_not_told(db):
    name = "日" * 500
    assert int(db.one("SELECT setting FROM pg_settings WHERE name = 'track_activity_query_size'")) < len(name.encode())
    db.execute("CREATE TABLE orders (id int)")
    db.execute("SELECT belay.migrate_register(%s, 'ALTER TABLE orders ADD x int')", [name])
    blocker = db.connect(autocommit=False)
    blocker.execute("INSERT INTO orders VALUES (1)")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    assert "applying" not in who_runs(db)
    blocker.rollback()
    run.finish()


def test_what_a_stranger_shows_of_itself_is_not_believed(db):
    """It holds the lock and shows a run's text as its own: that run is not its."""
    load(db, numbered(1, 2))
    db.execute("CALL belay.migrate_up(steps => 1)")
    number = db.one("SELECT max(id) FROM belay.run")
    stranger = db.connect(db.role("stranger"))
    stranger.execute("SELECT pg_advisory_lock(%s, id) FROM belay.project", [CLASS])
    text = f"belay: applying migration2 (project default, run {number})"
    with expect_error("42601"):
        stranger.execute(text)
    assert db.backend_state()[stranger.pid] == text
    assert who_runs(db).endswith(", holds the lock without a run")
    assert state_of(db, "migration2") == "pending"


def test_sg_10_the_newest_attempt_decides_how_a_migration_stands(db):
    db.execute("CREATE TABLE ok (x int)")
    db.execute("SELECT belay.migrate_register('0001', 'SELECT 1 / count(*) FROM ok', 'SELECT 1 / count(*) FROM ok')")

    def try_to(call: str, succeed: bool) -> str:
        db.execute("TRUNCATE ok; INSERT INTO ok VALUES (1)" if succeed else "TRUNCATE ok")
        try:
            db.execute(f"CALL belay.{call}")
        except psycopg.Error as error:
            assert error.sqlstate == "22012" and not succeed
        return db.one("SELECT state FROM belay.migrate_status()")

    assert try_to("migrate_up()", False) == "pending"
    assert db.one("SELECT detail FROM belay.migrate_status()") == "the last attempt failed: division by zero"
    assert try_to("migrate_up()", True) == "applied"
    assert try_to("migrate_down()", False) == "applied"
    assert try_to("migrate_down()", True) == "pending"
    assert db.one("SELECT detail FROM belay.migrate_status()") is None
    assert try_to("migrate_up()", False) == "pending"
    assert [outcome for *_, outcome in history(db)] == ["failed", "applied", "failed", "reverted", "failed"]


def test_sg_20_twenty_projects_run_in_twenty_sessions_at_once(db):
    """Nobody waits and nobody fails; each finds its own lock."""
    projects = [f"p{number:02}" for number in range(20)]
    for project in projects:
        db.execute("SELECT belay.project_create(%s)", [project])
        for number in range(5):
            text = f"CREATE TABLE {project}_{number} (); SELECT pg_sleep(0.01)"
            db.execute("SELECT belay.migrate_register(%s, %s, project => %s)", [f"{number:04}", text, project])
    sessions = [db.connect() for _ in projects]
    runs = [Running(session, "CALL belay.migrate_up(project => %s)", [project]) for session, project in zip(sessions, projects)]
    for run in runs:
        run.finish()
        assert [message for message in run.session.messages if "waiting" in message] == []
        assert run.session.messages[-1].startswith("5 applied, 0 pending, run ")
    assert db.rows("SELECT outcome, applied, count(*) FROM belay.run GROUP BY 1, 2") == [("succeeded", 5, 20)]
    assert locks(db) == []
