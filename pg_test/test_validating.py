"""Is the project in order, and when will it be: migrate_validate looks, migrate_wait waits."""

from __future__ import annotations

import re
import time

import psycopg
import pytest

from harness.database import Database, Running
from harness.session import expect_error
from harness.waiting import poll_until
from ledger import applied, load, nothing_changes, numbered


OF_THE_PROJECT = re.compile("^MG")


def problems(db: Database, arguments: str = "") -> list[tuple]:
    return db.rows(f"SELECT name, problem FROM belay.migrate_validate({arguments}) ORDER BY 1, 2")


def blocked_run(db: Database, second: str = "ALTER TABLE orders ADD x int", **how) -> tuple[Running, psycopg.Connection]:
    """A run that has applied 0001_a and waits in 0002_b; 0003_c is pending."""
    db.execute("CREATE TABLE orders (id int)")
    for name, up in (("0001_a", "CREATE TABLE a ()"), ("0002_b", second), ("0003_c", "CREATE TABLE c ()")):
        db.execute("SELECT belay.migrate_register(%s, %s)", [name, up])
    blocker = db.connect(autocommit=False)
    blocker.execute("INSERT INTO orders VALUES (1)")
    run = db.start("CALL belay.migrate_up()", **how)
    db.wait_until_blocked(run.pid)
    return run, blocker


def dirty(db: Database) -> None:
    """0001_a is applied, 0002_b has left an invalid index, 0003_c is pending."""
    db.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1)")
    for name, up in (("0001_a", "CREATE TABLE a ()"), ("0002_b", "CREATE UNIQUE INDEX CONCURRENTLY i ON t (id)"), ("0003_c", "CREATE TABLE c ()")):
        db.execute("SELECT belay.migrate_register(%s, %s)", [name, up])
    with expect_error("23505"):
        db.execute("CALL belay.migrate_up()")


# ── migrate_validate ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_sg_21_what_is_missing_for_a_target_is_named_and_nothing_else(db):
    load(db, numbered(1, 2, 3, 4))
    db.execute("CALL belay.migrate_up(steps => 2)")
    assert problems(db, "target => 'migration2'") == []
    assert problems(db, "target => 'migration3'") == [("migration3", "pending")]
    assert problems(db) == [("migration3", "pending"), ("migration4", "pending")]


def test_sg_21_what_is_missing_for_a_release_is_named_and_nothing_else(db):
    names = ["1.0.0_01_pre_a", "1.0.0_50_post_b", "1.1.0_01_pre_c"]
    db.execute("SELECT belay.project_create('default', naming => 'release')")
    for name in names:
        db.execute("SELECT belay.migrate_register(%s, 'SELECT 1')", [name])
    db.execute("CALL belay.migrate_up(steps => 1)")
    assert problems(db, "release => '1.0.0'") == [(names[1], "pending")]
    assert problems(db, "release => '1.1.0'") == [(names[1], "pending"), (names[2], "pending")]


def test_sg_03_dirt_ahead_of_what_is_asked_for_does_not_count(db):
    dirty(db)
    assert problems(db) == [("0002_b", "dirty"), ("0002_b", "invalid index"), ("0003_c", "pending")]
    assert problems(db, "target => '0001_a'") == []


def test_sg_03_a_failure_ahead_of_what_is_asked_for_does_not_count(db):
    load(db, numbered(1) | {"migration2.sql": "SELECT 1/0"})
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    assert problems(db, "target => 'migration1'") == []
    assert problems(db) == [("migration2", "pending")]


def test_sg_03_what_another_instance_has_applied_ahead_does_not_count(db):
    load(db, numbered(1, 2))
    db.execute("CALL belay.migrate_up()")
    load(db, numbered(1))  # an older instance starts
    assert problems(db) == []


@pytest.mark.parametrize("second", ["ALTER TABLE orders ADD x int", "-- belay: transaction off\nALTER TABLE orders ADD x int", "CREATE INDEX CONCURRENTLY i ON orders (id)"])
def test_sg_05_while_a_run_is_going_on_it_says_so_and_neither_out_of_date_nor_dirty(db, second):
    run, blocker = blocked_run(db, second)
    assert {problem for _, problem in problems(db)} == {"running"}
    assert problems(db, "target => '0001_a'") == []
    detail = db.one("SELECT detail FROM belay.migrate_validate() LIMIT 1")
    assert str(run.pid) in detail and "0002_b" in detail
    blocker.rollback()
    run.finish()
    assert problems(db) == []


def test_while_a_run_is_going_on_what_is_pending_is_told_with_who_runs_what(db):
    run, blocker = blocked_run(db, application_name="ci")
    found = {name: (problem, detail, command) for name, problem, detail, command in db.rows("SELECT * FROM belay.migrate_validate()")}
    who = rf'pid {run.pid}, role postgres, application ci, run \d+ \(up\), for [0-9.]+ s, applying "0002_b" for [0-9.]+ s'
    assert re.fullmatch(rf"going up, for [0-9.]+ s; {who}", found["0002_b"][1])
    assert re.fullmatch(rf"pending; {who}", found["0003_c"][1])
    assert found.keys() == {"0002_b", "0003_c"} and {command for *_, command in found.values()} == {None}
    blocker.rollback()
    run.finish()


def test_what_a_run_does_not_mend_is_told_while_it_is_going_on(db):
    run, blocker = blocked_run(db)
    db.execute("SELECT belay.migrate_register('0000_z', 'SELECT 1')")
    db.execute("SELECT belay.migrate_register('0009_r', E'-- belay: requires nobody\nSELECT 1')")
    assert problems(db) == [("0000_z", "late"), ("0002_b", "running"), ("0003_c", "running"), ("0009_r", "blocked")]
    run.cancel()
    with expect_error("57014"):
        run.finish()
    blocker.rollback()


def test_the_callers_own_run_does_not_hide_what_it_left_pending(db):
    load(db, numbered(1, 2))
    session = db.connect(autocommit=False)
    session.execute("CALL belay.migrate_up(steps => 1)")
    assert session.rows("SELECT name, problem FROM belay.migrate_validate()") == [("migration2", "pending")]
    assert problems(db) == [("migration1", "running"), ("migration2", "running")]
    session.rollback()
    assert problems(db) == [("migration1", "pending"), ("migration2", "pending")]


GATE = 4711


@pytest.mark.parametrize(
    "second, kept",
    [
        ("ALTER TABLE orders ADD x int", [("0001_a", "applied")]),
        ("-- belay: transaction off\nALTER TABLE orders ADD x int", [("0001_a", "applied"), ("0002_b", "running")]),
    ],
)
def test_a_run_that_ends_while_somebody_looks_has_left_nothing_dirty_or_out_of_date(db, second, kept):
    """The snapshot is taken while the run is going on, the lock is looked at when it has ended."""
    run, blocker = blocked_run(db, second)
    gate = db.connect()
    gate.execute("SELECT pg_advisory_lock(%s)", [GATE])
    opened = f"(SELECT pg_advisory_lock_shared({GATE})::text AS gate OFFSET 0) g"
    looks = [
        db.start(f"SELECT v.name, v.problem FROM {opened}, LATERAL belay.migrate_validate(project => 'default' || g.gate) v"),
        db.start(f"SELECT s.name, s.state FROM {opened}, LATERAL belay.migrate_status('default' || g.gate) s WHERE s.state <> 'pending'"),
    ]
    for look in looks:
        db.wait_until_blocked(look.pid)
    blocker.rollback()
    run.finish()
    gate.execute("SELECT pg_advisory_unlock_all()")
    validated, stands = (look.finish() for look in looks)
    assert stands == kept
    assert validated == [row for row in kept if row[1] == "running"]
    assert problems(db) == []


@pytest.mark.parametrize("release", ["9.9.9", "1.0", ""])
def test_validation_of_a_release_that_nothing_belongs_to_is_an_error(db, release):
    db.execute("SELECT belay.migrate_register('1.0.0_01_pre_a', 'SELECT 1')")
    with expect_error("MG011", message=f'no migration of project "default" belongs to release "{release}"', hint=re.compile("name the last release")):
        problems(db, f"release => '{release}'")


def test_a_run_of_another_project_is_not_this_ones(db):
    run, blocker = blocked_run(db)
    db.execute("SELECT belay.project_create('other')")
    load(db, numbered(1), project="other")
    assert problems(db, "project => 'other'") == [("migration1", "pending")]
    blocker.rollback()
    run.finish()


@pytest.mark.parametrize("function", ["migrate_validate", "migrate_status"])
def test_on_a_standby_an_unfinished_run_is_unknown_and_never_dirty(db, standby, function):
    run, blocker = blocked_run(db, "-- belay: transaction off\nALTER TABLE orders ADD x int")
    copy = standby.database(db)
    column = "problem" if function == "migrate_validate" else "state"
    found = dict(copy.rows(f"SELECT name, {column} FROM belay.{function}()"))
    assert found["0002_b"] == "unknown (primary)" and "dirty" not in found.values()
    blocker.rollback()
    run.finish()
    standby.catch_up()
    assert copy.rows("SELECT * FROM belay.migrate_validate()") == []


@pytest.mark.parametrize("second, of_second", [("ALTER TABLE orders ADD x int", "pending"), ("CREATE INDEX CONCURRENTLY i ON orders (id)", "going up, at statement 1 of 1, when this standby last heard")])
def test_on_a_standby_what_a_run_of_the_primary_may_be_doing_is_unknown(db, standby, second, of_second):
    run, blocker = blocked_run(db, second, options="-c belay.lock_timeout=1min")
    copy = standby.database(db)
    number = db.one("SELECT max(id) FROM belay.run")
    heard = f"run {number} (up) was going on when this standby last heard"
    assert copy.rows("SELECT name, problem, detail FROM belay.migrate_validate()") == [
        ("0002_b", "unknown (primary)", f"{of_second}; {heard}"),
        ("0003_c", "unknown (primary)", f"pending; {heard}"),
    ]
    # What is locked on the standby is no run.
    copy.execute("SELECT pg_advisory_lock(1651270009, id) FROM belay.project")
    assert copy.one("SELECT belay.is_running(id) FROM belay.project") is False
    blocker.rollback()
    run.finish()
    standby.catch_up()
    assert copy.rows("SELECT * FROM belay.migrate_validate()") == []


@pytest.mark.parametrize("arguments, sqlstate", [("target => 'nope'", "MG011"), ("project => 'nope'", "MG011"), ("project => NULL", "22023")])
def test_validation_of_what_does_not_exist_is_an_error(db, arguments, sqlstate):
    load(db, numbered(1))
    with expect_error(sqlstate, hint=re.compile(".")):
        problems(db, arguments)


# ── migrate_wait ─────────────────────────────────────────────────────────────────────────────────────────────────────


def wait(arguments: str = "") -> str:
    return f"CALL belay.migrate_wait({arguments})"


def waits(db: Database, running: Running) -> None:
    """It polls: between two looks it holds no snapshot and no transaction, and no lock at all."""
    holds_nothing = "SELECT backend_xmin IS NULL AND backend_xid IS NULL FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Extension'"
    for _ in range(3):
        poll_until(lambda: not running.is_running or db.one(holds_nothing, [running.pid]), what="it sleeps without a snapshot")
        assert running.is_running
    assert db.rows("SELECT locktype FROM pg_locks WHERE pid = %s AND locktype IN ('advisory', 'relation') AND mode <> 'AccessShareLock'", [running.pid]) == []
    assert running.is_running


@pytest.mark.parametrize("arguments", ["", "target => 'migration2'", "wait => '0'", "target => 'migration1', wait => '1 ms'"])
def test_who_waits_for_what_is_there_is_through_at_once(db, arguments):
    load(db, numbered(1, 2))
    db.execute("CALL belay.migrate_up()")
    with nothing_changes(db):
        db.execute(wait(arguments))


@pytest.mark.parametrize("arguments", ["", "target => '0003_c'"])
def test_sg_05_who_waits_while_a_run_is_going_on_is_through_when_it_has_ended(db, arguments):
    run, blocker = blocked_run(db)
    waiting = db.start(wait(arguments))
    waits(db, waiting)
    blocker.rollback()
    run.finish()
    waiting.finish()
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]


def test_who_waits_does_not_hold_up_a_concurrent_build(db):
    run, blocker = blocked_run(db, "CREATE INDEX CONCURRENTLY i ON orders (id)")
    waiting = [db.start(wait()) for _ in range(3)]
    for one in waiting:
        waits(db, one)
    blocker.rollback()
    run.finish()
    for one in waiting:
        one.finish()


def test_who_waits_before_anybody_has_begun_is_through_when_somebody_has(db):
    """An application's instance that starts before the deployment."""
    load(db, numbered(1, 2))
    waiting = db.start(wait())
    waits(db, waiting)
    db.execute("CALL belay.migrate_up(steps => 1)")
    waits(db, waiting)
    db.execute("CALL belay.migrate_up()")
    waiting.finish()


def test_who_waits_for_a_target_does_not_wait_for_what_comes_after_it(db):
    run, blocker = blocked_run(db)
    db.connect(options="-c statement_timeout=20s").execute(wait("target => '0001_a'"))
    assert run.is_running
    blocker.rollback()
    run.finish()


def test_sg_03_who_waits_is_not_held_up_by_dirt_ahead_of_it(db):
    dirty(db)
    db.execute(wait("target => '0001_a', wait => '5 s'"))


def test_who_waits_for_a_release_is_through_when_the_release_is_there(db):
    db.execute("SELECT belay.project_create('default', naming => 'release')")
    for name in ("1.0.0_01_pre_a", "1.0.0_50_post_b", "1.1.0_01_pre_c"):
        db.execute("SELECT belay.migrate_register(%s, 'SELECT 1')", [name])
    waiting = db.start(wait("release => '1.0.0'"))
    waits(db, waiting)
    db.execute("CALL belay.migrate_up(release => '1.0.0')")
    waiting.finish()
    assert problems(db) == [("1.1.0_01_pre_c", "pending")]


def test_who_waits_for_a_run_is_through_when_that_run_has_succeeded(db):
    run, blocker = blocked_run(db)
    number = db.one("SELECT max(id) FROM belay.run")
    waiting = db.start(wait(f"run => {number}"))
    waits(db, waiting)
    blocker.rollback()
    run.finish()
    waiting.finish()
    db.execute(wait(f"run => {number}"))


@pytest.mark.parametrize("end", ["pg_cancel_backend", "pg_terminate_backend"])
def test_who_waits_for_a_run_is_told_when_that_run_has_failed(db, end):
    run, blocker = blocked_run(db)
    number = db.one("SELECT max(id) FROM belay.run")
    waiting = db.start(wait(f"run => {number}"))
    waits(db, waiting)
    db.execute(f"SELECT {end}(%s)", [run.pid])
    with pytest.raises(psycopg.Error):
        run.finish()
    blocker.rollback()
    with pytest.raises(psycopg.Error) as raised:
        waiting.finish()
    assert OF_THE_PROJECT.match(raised.value.sqlstate) and str(number) in raised.value.diag.message_primary


def test_a_wait_ends_after_its_interval_and_says_what_is_lacking(db):
    load(db, numbered(1, 2))
    db.execute("CALL belay.migrate_up(steps => 1)")
    began = time.monotonic()
    with expect_error("55P03", message=re.compile("after waiting|waited"), detail=re.compile("migration2"), hint=re.compile(".")):
        db.execute(wait("wait => '200 ms'"))
    assert time.monotonic() - began >= 0.2
    assert db.one("SELECT 1") == 1


def test_a_wait_that_ends_while_a_run_is_going_on_says_who_runs(db):
    run, blocker = blocked_run(db, application_name="ci")
    with expect_error("55P03", detail=re.compile(rf"pid {run.pid}, role postgres, application ci")):
        db.execute(wait("wait => '200 ms'"))
    blocker.rollback()
    run.finish()


#: What will not come by waiting.
NEVER = {
    "an unknown target": ("target => 'nope'", "SELECT 1"),
    "an unknown release": ("release => '9.9.9'", "SELECT 1"),
    "an unknown run": ("run => 4711", "SELECT 1"),
    "an unknown project": ("project => 'nope'", "SELECT 1"),
    "a late one": ("", "CALL belay.migrate_up(); SELECT belay.migrate_register('migration0', 'SELECT 1')"),
    "a requirement that nobody has": ("", "SELECT belay.migrate_register('migration9', E'-- belay: requires migration10\\nSELECT 1')"),
}


@pytest.mark.parametrize("arguments, before", NEVER.values(), ids=NEVER)
def test_a_wait_for_what_cannot_come_fails_at_once(db, arguments, before):
    load(db, numbered(1))
    for statement in before.split("; "):
        db.execute(statement)
    session = db.connect(options="-c statement_timeout=30s")
    with pytest.raises(psycopg.Error) as raised:
        session.execute(wait(arguments))
    assert OF_THE_PROJECT.match(raised.value.sqlstate) or raised.value.sqlstate == "22023"
    assert raised.value.diag.message_hint


@pytest.mark.parametrize("arguments, argument", [("wait => '-1 s'", "wait"), ("project => NULL", "project"), ("target => ''", "target")])
def test_a_senseless_wait_is_refused(db, arguments, argument):
    load(db, numbered(1))
    with expect_error("22023", message=re.compile(argument), hint=re.compile(".")):
        db.execute(wait(arguments))


@pytest.mark.parametrize(
    "begin, call",
    [
        ("BEGIN", wait()),
        ("BEGIN; SAVEPOINT s", wait()),
        ("SELECT 1", "DO $$ BEGIN CALL belay.migrate_wait(); EXCEPTION WHEN division_by_zero THEN NULL; END $$"),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS 'BEGIN CALL belay.migrate_wait(); END'", "SELECT f()"),
    ],
)
def test_a_wait_that_would_hold_a_snapshot_is_refused(db, begin, call):
    load(db, numbered(1))
    session = db.connect()
    session.execute(begin)
    with expect_error("25001", hint=re.compile("transaction block|top level|autocommit")):
        session.execute(call)
    session.execute("ROLLBACK")


def test_a_wait_can_be_cancelled(db):
    load(db, numbered(1))
    waiting = db.start(wait())
    waits(db, waiting)
    began = time.monotonic()
    waiting.cancel()
    with expect_error("57014"):
        waiting.finish()
    assert time.monotonic() - began < 1
    assert waiting.session.one("SELECT 1") == 1


def test_a_wait_ends_when_its_client_is_killed(db):
    load(db, numbered(1))
    client = db.start_psql(wait())
    pid = db.wait_for("SELECT pid FROM pg_stat_activity WHERE application_name = 'psql' AND datname = current_database() AND wait_event_type = 'Extension'")
    client.kill()
    client.wait()
    db.wait_until_gone(pid)


def test_on_a_standby_a_wait_ends_when_the_standby_has_replayed_it(db, standby):
    load(db, numbered(1, 2))
    copy = standby.database(db)
    waiting = copy.start(wait())
    copy.wait_for("SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = %s", [waiting.pid])
    copy.execute("SELECT pg_wal_replay_pause()")
    try:
        copy.wait_for("SELECT pg_get_wal_replay_pause_state() = 'paused'")
        db.execute("CALL belay.migrate_up()")
        with expect_error("55P03"):
            copy.execute(wait("wait => '300 ms'"))
        assert waiting.is_running
    finally:
        copy.execute("SELECT pg_wal_replay_resume()")
    waiting.finish()
    assert copy.rows("SELECT * FROM belay.migrate_validate()") == []


def test_on_a_standby_a_wait_outlives_what_replay_takes_away(db, standby):
    """A wait with a snapshot would be ended by the conflict with replay after a second."""
    load(db, numbered(1))
    copy = standby.database(db)
    waiting = copy.start(wait())
    copy.wait_for("SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = %s", [waiting.pid])
    db.execute("CREATE TABLE busy (x int); INSERT INTO busy SELECT generate_series(1, 1000); DELETE FROM busy")
    db.execute("VACUUM FULL busy")
    db.execute("DROP TABLE busy")
    standby.catch_up()
    db.execute("CALL belay.migrate_up()")
    waiting.finish()


# ── what else may happen while one waits ─────────────────────────────────────────────────────────────────────────────


def started(db: Database, arguments: str = "", **how) -> Running:
    """A wait that has told that it waits."""
    waiting = db.start(wait(arguments), **how)
    poll_until(lambda: waiting.session.messages, what="the notice that it waits")
    return waiting


def test_a_wait_tells_why_it_waits_and_when_it_has_ended(db):
    load(db, numbered(1, 2))
    alone, reaching = started(db), started(db, "target => 'migration1'")
    assert alone.session.messages == ['waiting for project "default": 2 migrations are not in force, the first is "migration1"']
    assert reaching.session.messages == ['waiting for project "default": migration "migration1" is not in force']
    db.execute("CALL belay.migrate_up()")
    alone.finish()
    reaching.finish()
    assert re.fullmatch(r'project "default" has been brought up to date after [0-9.]+ m?s', alone.session.messages[1])
    assert re.fullmatch(r'project "default" has reached migration "migration1" after [0-9.]+ m?s', reaching.session.messages[1])


def test_who_waits_while_a_run_is_going_on_is_told_who_runs(db):
    run, blocker = blocked_run(db, application_name="ci")
    number = db.one("SELECT max(id) FROM belay.run")
    for arguments in ("", f"run => {number}"):
        told = started(db, arguments).session.messages[0]
        assert re.fullmatch(rf'waiting for project "default": pid {run.pid}, .* application ci, run {number} .*, applying "0002_b" for [0-9.]+ s', told)
    blocker.rollback()
    run.finish()


def test_nobody_has_used_the_project_so_nothing_is_waited_for(db):
    db.execute(wait())
    assert db.session.messages == []


@pytest.mark.parametrize("interval", ["NULL", "'infinity'", "'178000000 years'"])
def test_a_wait_may_be_without_limit(db, interval):
    if interval == "'infinity'" and db.session.info.server_version < 170000:
        pytest.skip("intervals are finite before 17")
    load(db, numbered(1))
    waiting = started(db, f"wait => {interval}")
    waits(db, waiting)
    db.execute("CALL belay.migrate_up()")
    waiting.finish()


def test_what_has_failed_may_be_repaired_while_somebody_waits(db):
    load(db, {"migration1.sql": "SELECT 1 / count(*) FROM pg_class WHERE relname = 'repaired'"})
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    with expect_error("55P03", detail='"migration1" is pending: the last attempt failed: division by zero', hint=re.compile(r"^CALL belay.migrate_up\(\); or wait longer")):
        db.execute(wait("wait => '50 ms'"))
    waiting = started(db)
    db.execute("CREATE TABLE repaired ()")
    db.execute("CALL belay.migrate_up()")
    waiting.finish()


def test_what_is_half_done_may_be_repaired_while_somebody_waits(db):
    dirty(db)
    detail = re.compile('^"0002_b" is dirty: went up and stopped at statement 1 of 1: could not create unique index "i"; the next run resumes there\n"0003_c" is pending$')
    with expect_error("55P03", detail=detail):
        db.execute(wait("wait => '50 ms'"))
    waiting = started(db)
    db.execute("DELETE FROM t")
    db.execute("CALL belay.migrate_up()")
    waiting.finish()


def test_a_target_that_is_half_reverted_is_not_there(db):
    db.execute("SELECT belay.migrate_register('0001_a', 'SELECT 1', E'-- belay: transaction off\nSELECT 1; SELECT 1/0')")
    db.execute("CALL belay.migrate_up()")
    with expect_error("22012"):
        db.execute("CALL belay.migrate_down()")
    with expect_error("55P03", detail=re.compile('^"0001_a" is dirty: went down and stopped at statement 2 of 2')):
        db.execute(wait("target => '0001_a', wait => '50 ms'"))
    db.execute("SELECT belay.migrate_mark('0001_a', 'applied')")
    db.execute(wait("target => '0001_a', wait => '0'"))


def test_many_that_are_lacking_are_not_all_listed(db):
    load(db, numbered(*range(1, 26)))
    with expect_error("55P03", message='project "default" has not been brought up to date') as error:
        db.execute(wait("wait => '0'"))
    assert error.detail.splitlines()[19:] == ['"migration20" is pending', "and 5 more"]


def test_what_a_loosened_run_is_about_to_apply_is_not_late(db):
    db.execute("CREATE TABLE orders (id int)")
    load(db, numbered(5))
    db.execute("CALL belay.migrate_up()")
    db.execute("SELECT belay.migrate_register('migration1', 'ALTER TABLE orders ADD x int')")
    with expect_error("MG001"):
        db.execute(wait())
    blocker = db.connect(autocommit=False)
    blocker.execute("INSERT INTO orders VALUES (1)")
    run = db.start("CALL belay.migrate_up(ordering => 'permissive', reason => 'reviewed')")
    db.wait_until_blocked(run.pid)
    waiting = started(db)
    blocker.rollback()
    run.finish()
    waiting.finish()


def test_target_and_release_narrow_each_other_and_a_run_comes_first(db):
    for name in ("1.0.0_01_pre_a", "1.1.0_01_pre_b", "1.1.0_50_post_c"):
        db.execute("SELECT belay.migrate_register(%s, 'SELECT 1')", [name])
    db.execute("CALL belay.migrate_up(steps => 1)")
    number = db.one("SELECT max(id) FROM belay.run")
    db.execute(wait("release => '01.00.00', target => '1.1.0_50_post_c', wait => '0'"))
    db.execute(wait(f"run => {number}, release => '1.0.0', wait => '0'"))
    with expect_error("55P03", message='project "default" has not reached release 1.1.0'):
        db.execute(wait(f"run => {number}, release => '1.1.0', wait => '0'"))


def test_a_run_of_another_project_is_named_as_such(db):
    load(db, numbered(1))
    db.execute("CALL belay.migrate_up()")
    db.execute("SELECT belay.project_create('it''s')")
    with expect_error("22023", message='run 1 is one of project "default"', hint="pass project => 'default'"):
        db.execute(wait("run => 1, project => 'it''s'"))


def test_a_wait_may_stand_in_a_block_that_may_commit(db):
    load(db, numbered(1, 2))
    for block in ("BEGIN CALL belay.migrate_wait(); END", "DECLARE r record; BEGIN FOR r IN SELECT 1 LOOP CALL belay.migrate_wait(target => 'migration2'); END LOOP; END"):
        waiting = db.start(f"DO $$ {block} $$")
        waits(db, waiting)
        db.execute("CALL belay.migrate_up()")
        waiting.finish()
        db.execute("CALL belay.migrate_down(steps => 2)")


SETTINGS = (
    "SELECT current_setting('transaction_isolation') || ' ' || current_setting('transaction_read_only') || ' ' || current_setting('transaction_deferrable')"
)


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_a_wait_does_not_depend_on_the_sessions_transactions_and_leaves_them_alone(db, isolation):
    load(db, numbered(1))
    session = db.connect()
    session.execute(f"SET default_transaction_isolation = '{isolation}'; SET default_transaction_read_only = on; SET default_transaction_deferrable = on")
    before = session.one(SETTINGS)
    waiting = Running(session, f"DO $$ BEGIN CALL belay.migrate_wait(); RAISE NOTICE '%', ({SETTINGS}); END $$", None)
    waits(db, waiting)
    db.execute("CALL belay.migrate_up()")
    waiting.finish()
    assert session.messages[-1] == session.one(SETTINGS) == before == f"{isolation} on on"


def test_a_wait_is_ended_by_the_callers_statement_timeout_and_not_by_a_timeout_of_transactions(db):
    load(db, numbered(1))
    timeouts = "-c statement_timeout=700"
    if db.session.info.server_version >= 170000:
        timeouts += " -c transaction_timeout=200"
    session = db.connect(options=timeouts)
    began = time.monotonic()
    with expect_error("57014", message=re.compile("statement timeout")):
        session.execute(wait())
    assert 0.6 < time.monotonic() - began < 5
    assert session.one("SELECT 1") == 1


@pytest.mark.parametrize("head", ["", "-- belay: transaction off\n"])
def test_a_migration_does_not_wait_for_itself(db, head):
    db.execute("SELECT belay.migrate_register('0001', %s)", [f"{head}CALL belay.migrate_wait()"])
    with expect_error("MG012", message=re.compile("^a migration cannot wait"), hint=re.compile("take the call out")):
        db.execute("CALL belay.migrate_up()")


def test_a_wait_looks_at_the_registry_as_it_becomes(db):
    load(db, numbered(1))
    waiting, reaching = started(db), started(db, "target => 'migration1'")
    db.execute("SELECT belay.migrate_unregister('migration1')")
    waiting.finish()
    with expect_error("MG011", message='migration "migration1" is not registered'):
        reaching.finish()


def test_on_a_standby_what_is_not_known_yet_may_come_by_replay(db, standby):
    copy = standby.database(db)
    waiting = [started(copy, arguments) for arguments in ("target => 'migration1'", "run => 1", "project => 'app'")]
    assert 'on this standby project "app" does not exist' in waiting[2].session.messages[0]
    with expect_error("55P03", detail=re.compile("does not exist"), hint=re.compile("replay")):
        copy.execute(wait("run => 1, wait => '50 ms'"))
    load(db, numbered(1))
    db.execute("CALL belay.migrate_up()")
    db.execute("SELECT belay.project_create('app')")
    for one in waiting:
        one.finish()


def test_on_a_standby_a_run_that_has_failed_is_told(db, standby):
    run, blocker = blocked_run(db, options="-c belay.lock_timeout=1min")
    copy = standby.database(db)
    number = db.one("SELECT max(id) FROM belay.run")
    waiting = started(copy, f"run => {number}")
    assert waiting.session.messages == [f'waiting for project "default": run {number} (up) has not ended']
    run.cancel()
    with expect_error("57014"):
        run.finish()
    blocker.rollback()
    with expect_error("MG016", message=f"run {number} (up) has failed", hint=re.compile("migrate_history")):
        waiting.finish()
