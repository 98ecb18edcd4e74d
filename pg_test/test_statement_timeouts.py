"""What ends a run and what does not: the session's timeouts, cancels. Limits of single statements are in test_faults.py."""

from __future__ import annotations

import time

import psycopg
import pytest

from harness.database import Database, Running
from harness.session import expect_error
from harness.waiting import poll_until
from ledger import applied, history

IDLE = ["idle_in_transaction_session_timeout", "idle_session_timeout"]
WAYS = {
    "per migration": ("", "CALL belay.migrate_up()"),
    "per run": ("", "CALL belay.migrate_up(transaction => 'per_run')"),
    "statement by statement": ("-- belay: transaction off\n", "CALL belay.migrate_up()"),
    "from a block": ("", "DO $$ BEGIN CALL belay.migrate_up(); END $$"),
}


@pytest.mark.parametrize("timeout", IDLE)
@pytest.mark.parametrize("head, call", WAYS.values(), ids=WAYS)
def test_the_callers_idle_timeout_does_not_end_a_run_and_holds_again_after_it(db, head, call, timeout):
    for name in ("0001", "0002"):
        db.execute("SELECT belay.migrate_register(%s, %s)", [name, f"{head}SELECT pg_sleep(0.15)"])
    session = db.connect(options=f"-c {timeout}=50ms")
    session.execute(f"{call}; " if head else call)
    assert db.one("SELECT count(*) FROM belay.applied") == 2
    if timeout == "idle_session_timeout":
        db.wait_until_gone(session.pid)


def test_an_idle_timeout_does_not_end_who_waits_for_the_project(db):
    db.execute("SELECT belay.migrate_register('0001', 'SELECT 1')")
    holder = db.connect()
    holder.execute("SELECT pg_advisory_lock(1651270009, id) FROM belay.project")
    waiting = db.start("CALL belay.migrate_up()", options="-c idle_session_timeout=50ms -c idle_in_transaction_session_timeout=50ms -c statement_timeout=50ms -c lock_timeout=50ms")
    poll_until(lambda: waiting.session.messages, what="the notice that it waits")
    db.wait_for("SELECT clock_timestamp() - query_start > interval '300 ms' FROM pg_stat_activity WHERE pid = %s", [waiting.pid])
    holder.execute("SELECT pg_advisory_unlock_all()")
    waiting.finish()
    assert applied(db) == ["0001"]


@pytest.mark.parametrize("limit", ["SET statement_timeout = '50ms'", "SET LOCAL statement_timeout = '50ms'"])
def test_a_limit_that_a_migration_sets_for_itself_holds_for_its_statements(db, limit):
    db.execute("SELECT belay.migrate_register('0001', %s)", [f"{limit}; SELECT pg_sleep(60)"])
    with expect_error("57014", message="canceling statement due to statement timeout"):
        db.execute("CALL belay.migrate_up()")
    assert db.rows("SELECT statement, sqlstate FROM belay.migrate_history()") == [(2, "57014")]


# ── cancels ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def sleeping(db: Database, head: str, call: str) -> Running:
    db.execute("SELECT belay.migrate_register('0001', %s)", [f"{head}CREATE TABLE a (); SELECT pg_sleep(60)"])
    run = db.start(call)
    db.wait_for("SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = %s", [run.pid])
    return run


@pytest.mark.parametrize("how", ["by the client", "by pg_cancel_backend"])
@pytest.mark.parametrize("head, call", WAYS.values(), ids=WAYS)
def test_a_cancel_ends_a_run_within_a_second(db, head, call, how):
    run = sleeping(db, head, call)
    began = time.monotonic()
    run.cancel() if how == "by the client" else db.execute("SELECT pg_cancel_backend(%s)", [run.pid])
    with expect_error("57014", message="canceling statement due to user request"):
        run.finish()
    assert time.monotonic() - began < 1
    assert history(db) == [("0001", "up", "failed")] and db.rows("SELECT outcome FROM belay.run") == [("failed",)]
    assert db.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory'") == []
    assert run.session.one("SELECT current_user = session_user") is True


def test_a_cancel_ends_a_wait_for_the_project_within_a_second(db):
    """Also when it has waited long enough to look only once in a second."""
    db.execute("SELECT belay.migrate_register('0001', 'SELECT 1')")
    db.connect().execute("SELECT pg_advisory_lock(1651270009, id) FROM belay.project")
    waiting = db.start("CALL belay.migrate_up()")
    poll_until(lambda: waiting.session.messages, what="the notice that it waits")
    db.wait_for("SELECT clock_timestamp() - query_start > interval '2.5 s' FROM pg_stat_activity WHERE pid = %s", [waiting.pid])
    began = time.monotonic()
    waiting.cancel()
    with expect_error("57014"):
        waiting.finish()
    assert time.monotonic() - began < 1




def test_a_cancel_at_any_moment_among_many_small_migrations_leaves_whole_ones_and_a_free_lock(db):
    """Twenty cancels, each as soon as the run has applied something: they meet it in bodies, commits and notices."""
    for number in range(3_000):
        db.execute("SELECT belay.migrate_register(%s, %s)", [f"{number:05}", f"INSERT INTO log VALUES ({number})"])
    db.execute("CREATE TABLE log (number int)")
    found = []
    for _ in range(20):
        before = db.one("SELECT count(*) FROM belay.applied")
        run = db.start("CALL belay.migrate_up()")
        db.wait_for("SELECT count(*) > %s FROM belay.applied", [before])
        run.cancel()
        with expect_error("57014"):
            run.finish()
        locks = db.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        open_runs = db.one("SELECT count(*) FROM belay.run WHERE outcome IS NULL")
        try:
            run.session.execute("CALL belay.migrate_up(steps => 1)")
            again = None
        except psycopg.Error as error:
            again = error.sqlstate
        found.append((locks, open_runs, again))
        run.session.close()
        db.wait_until_gone(run.pid)
    assert set(found) == {(0, 0, None)}
    assert db.rows("SELECT count(*), count(DISTINCT number), max(number) + 1 FROM log") == [(db.one("SELECT count(*) FROM belay.applied"),) * 3]
