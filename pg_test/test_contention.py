"""Several sessions at one project: who waits, who fails, what either is told, and that the lock comes free."""

from __future__ import annotations

import contextlib
import re

import psycopg
import pytest

from harness.database import Database, Running
from harness.session import expect_error
from harness.waiting import poll_until
from ledger import applied, history, load, nothing_changes, numbered, tables

BUSY = 'project "default" is being migrated by another session'
LATER = re.compile(r"^run again when it has ended, or with wait => '5 min'; SELECT query FROM pg_stat_activity WHERE pid = \d+ shows")
#: Of what has no argument wait.
LATER_WITHOUT_WAIT = re.compile(r"^run again when it has ended; SELECT query FROM pg_stat_activity WHERE pid = \d+ shows")
LOCK = "SELECT pg_advisory_lock(1651270009, id) FROM belay.project WHERE name = 'default'"


def locks(db: Database) -> list[tuple]:
    return db.rows(
        "SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )


def untimed(messages: list[str]) -> list[str]:
    return [re.sub(r"\(?\d[0-9.]* m?s\)?|run \d+", "…", message) for message in messages]


def blocked_run(db: Database, second: str = "ALTER TABLE orders ADD x int", **how) -> tuple[Running, psycopg.Connection]:
    """A run that has applied 0001_a and waits in 0002_b for a transaction; 0003_c is pending."""
    db.execute("CREATE TABLE orders (id int)")
    for name, up in (("0001_a", "CREATE TABLE a ()"), ("0002_b", second), ("0003_c", "CREATE TABLE c ()")):
        db.execute("SELECT belay.migrate_register(%s, %s, 'SELECT 1')", [name, up])
    blocker = db.connect(autocommit=False)
    blocker.execute("INSERT INTO orders VALUES (1)")
    run = db.start("CALL belay.migrate_up()", **how)
    db.wait_until_blocked(run.pid)
    return run, blocker


def start_waiting(db: Database, call: str = "CALL belay.migrate_up()") -> Running:
    run = db.start(call)
    poll_until(lambda: run.session.messages, what="the notice that it waits")
    return run


def test_sg_02_07_an_up_to_the_latest_waits_and_then_finds_nothing_to_do(db):
    first, blocker = blocked_run(db, application_name="deploy 1")
    run_id = db.one("SELECT max(id) FROM belay.run")
    second = start_waiting(db)
    assert re.fullmatch(
        rf'waiting for project "default": pid {first.pid}, role postgres, application deploy 1, run {run_id} \(up\), for [0-9.]+ s, applying "0002_b" for [0-9.]+ s',
        second.session.messages[0],
    )
    blocker.rollback()
    first.finish()
    second.finish()
    assert untimed(second.session.messages)[1:] == ['project "default" is free after …', "nothing to do, 0 pending"]
    assert applied(db) == ["0001_a", "0002_b", "0003_c"] and locks(db) == []
    assert db.one("SELECT count(*) FROM belay.run") == 1


def test_sg_07_who_has_waited_plans_again(db):
    first, blocker = blocked_run(db)
    second = start_waiting(db)
    db.execute("SELECT belay.migrate_register('0004_d', 'CREATE TABLE d ()')")
    blocker.rollback()
    first.finish()
    second.finish()
    assert untimed(second.session.messages)[1:] == [
        'project "default" is free after …', "applied 0004_d …", "1 applied, 0 pending, …",
    ]  # fmt: skip
    assert applied(db) == ["0001_a", "0002_b", "0003_c", "0004_d"]


def test_who_has_waited_for_a_run_that_failed_tries_it_itself(db):
    first, blocker = blocked_run(db)
    second = start_waiting(db)
    first.cancel()
    with expect_error("57014"):
        first.finish()
    db.wait_until_blocked(second.pid)
    blocker.rollback()
    second.finish()
    assert history(db) == [("0001_a", "up", "applied"), ("0002_b", "up", "failed"), ("0002_b", "up", "applied"), ("0003_c", "up", "applied")]


@pytest.mark.parametrize(
    "call",
    [
        "CALL belay.migrate_up(target => '0002_b')",
        "CALL belay.migrate_up(steps => 1)",
        "CALL belay.migrate_up(on_contention => 'fail')",
        "CALL belay.migrate_up(on_contention => 'fail', wait => '5 min')",
        "CALL belay.migrate_up(transaction => 'per_run', steps => 1)",
        "CALL belay.migrate_down()",
        "CALL belay.migrate_to('0003_c')",
        "CALL belay.migrate_to('@none')",
        "CALL belay.migrate_redo()",
        "SELECT belay.migrate_mark('0003_c', 'applied')",
        "CALL belay.migrate_baseline('0003_c')",
        "CALL belay.migrate_repair()",
        "CALL belay.migrate_repair(dry_run => true)",
        "BEGIN; CALL belay.migrate_down()",
        "DO $$ BEGIN CALL belay.migrate_down(); END $$",
    ],
)
def test_sg_04_what_asks_for_a_certain_state_fails_at_once_and_says_who_runs(db, call):
    run, blocker = blocked_run(db, user=db.role("deployer", "LOGIN SUPERUSER"), application_name="ci")
    session = db.connect()
    waits = re.search(r"migrate_(up|down|to|redo)", call)
    with nothing_changes(db), expect_error("55P03", message=BUSY, hint=LATER if waits else LATER_WITHOUT_WAIT) as error:
        session.execute(call)
    who = rf"pid {run.pid}, role deployer_{db.name}, application ci, run \d+ \(up\), for [0-9.]+ s, applying \"0002_b\" for [0-9.]+ s"
    assert re.fullmatch(who, error.detail)
    assert f"pid = {run.pid} " in error.hint
    assert session.messages == []
    session.rollback()
    assert session.one("SELECT 1") == 1
    blocker.rollback()
    run.finish()
    assert applied(db) == ["0001_a", "0002_b", "0003_c"] and locks(db) == []


@pytest.mark.parametrize(
    "call",
    [
        "CALL belay.migrate_up(steps => 1, on_contention => 'wait')",
        "CALL belay.migrate_up(target => '0004_d', wait => '5 min')",
        "CALL belay.migrate_to('0004_d', on_contention => 'wait')",
        "DO $$ BEGIN CALL belay.migrate_up(); END $$",
    ],
)
def test_sg_04_what_is_told_to_wait_waits(db, call):
    first, blocker = blocked_run(db)
    db.execute("SELECT belay.migrate_register('0004_d', 'SELECT 1')")
    second = start_waiting(db, call)
    blocker.rollback()
    first.finish()
    second.finish()
    assert untimed(second.session.messages)[1:] == [
        'project "default" is free after …', "applied 0004_d …", "1 applied, 0 pending, …",
    ]  # fmt: skip
    assert applied(db) == ["0001_a", "0002_b", "0003_c", "0004_d"]


def test_a_wait_ends_after_its_interval(db):
    run, _blocker = blocked_run(db)
    with expect_error("55P03", message=re.compile(rf"^{BUSY} after waiting (2[0-9][0-9] ms|[0-9.]+ s)$"), hint=LATER) as error:
        db.execute("CALL belay.migrate_up(wait => '200 ms')")
    assert error.detail.startswith(f"pid {run.pid}, role postgres, application pg_test, run ")
    assert db.session.messages[0].startswith('waiting for project "default": pid ')
    with expect_error("55P03", message=BUSY):
        db.execute("CALL belay.migrate_up(wait => '0')")
    assert run.is_running and locks(db) == [(run.pid,)]


@pytest.mark.parametrize(
    "arguments, message",
    [("wait => '-1 s'", "wait must not be negative"), ("on_contention => 'queue'", re.compile("on_contention"))],
)
def test_senseless_waiting_is_refused(db, arguments, message):
    load(db, numbered(1))
    with nothing_changes(db), expect_error("22023", message=message, hint=re.compile("on_contention|'wait' or 'fail'")):
        db.execute(f"CALL belay.migrate_up({arguments})")


def test_sg_06_who_waits_does_not_hold_up_the_concurrent_build_it_waits_for(db):
    """CREATE INDEX CONCURRENTLY waits for every older snapshot: a waiter with one would wait for itself."""
    first, blocker = blocked_run(db, "CREATE INDEX CONCURRENTLY i ON orders (id)")
    waiters = [start_waiting(db) for _ in range(3)]
    holds_nothing = "SELECT bool_and(backend_xmin IS NULL AND backend_xid IS NULL) FROM pg_stat_activity WHERE pid = ANY (%s)"
    db.wait_for(holds_nothing, [[waiter.pid for waiter in waiters]])
    blocker.commit()
    first.finish()
    for waiter in waiters:
        waiter.finish()
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]
    assert db.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass") is True


# ── the lock comes free ──────────────────────────────────────────────────────────────────────────────────────────────

#: What is registered, what is called (each on a session of its own), and the SQLSTATE if it fails.
WAYS_OUT = {
    "applied": (["SELECT 1"], "CALL belay.migrate_up()", None),
    "nothing to do": (["SELECT 1"], "CALL belay.migrate_up(); CALL belay.migrate_up()", None),
    "all in one transaction": (["SELECT 1"], "CALL belay.migrate_up(transaction => 'per_run')", None),
    "a failed statement": (["SELECT 1/0"], "CALL belay.migrate_up()", "22012"),
    "a failed run in one transaction": (["SELECT 1/0"], "CALL belay.migrate_up(transaction => 'per_run')", "22012"),
    "a failed statement outside a transaction": (["-- belay: transaction off\nSELECT 1/0"], "CALL belay.migrate_up()", "22012"),
    "a failed build": (["CREATE INDEX CONCURRENTLY i ON nowhere (id)"], "CALL belay.migrate_up()", "42P01"),
    "a syntax error in what runs later": (["DO $$ BEGIN EXECUTE 'SELEC'; END $$"], "CALL belay.migrate_up()", "42601"),
    "a deferred violation": (
        ["CREATE TABLE u (i int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO u VALUES (1), (1)"],
        "CALL belay.migrate_up()", "23505",
    ),
    "a refused plan": (["SELECT 1"], "CALL belay.migrate_up(); CALL belay.migrate_down()", "MG004"),
    "an unknown target": (["SELECT 1"], "CALL belay.migrate_up(target => 'nope')", "MG011"),
    "a lock given back by the migration": (["SELECT pg_advisory_unlock_all()"], "CALL belay.migrate_up()", None),
    "a lock taken twice by the migration": ([LOCK], "CALL belay.migrate_up()", None),
    "a lock taken twice by the migration that fails": ([LOCK + "; SELECT 1/0"], "CALL belay.migrate_up()", "22012"),
    "a lock taken twice outside a transaction": (["-- belay: transaction off\n" + LOCK], "CALL belay.migrate_up()", None),
    "a lock taken for the transaction, too": ([LOCK.replace("lock(", "xact_lock(")], "CALL belay.migrate_up()", None),
    "a lock taken twice from a block": ([LOCK], "DO $$ BEGIN CALL belay.migrate_up(); END $$", None),
    "a lock taken for the transaction from a block": (
        [LOCK.replace("lock(", "xact_lock(") + "; SELECT 1/0"], "DO $$ BEGIN CALL belay.migrate_up(); END $$", "22012",
    ),
    "everything discarded by the migration": (["-- belay: transaction off\nDISCARD ALL"], "CALL belay.migrate_up()", None),
    "a committed transaction of the caller": (["SELECT 1"], "BEGIN; CALL belay.migrate_up(); COMMIT", None),
    "a rolled back transaction of the caller": (["SELECT 1"], "BEGIN; CALL belay.migrate_up(); ROLLBACK", None),
    "a failure in the caller's transaction": (["SELECT 1/0"], "BEGIN; CALL belay.migrate_up()", "22012"),
    "a block": (["SELECT 1"], "DO $$ BEGIN CALL belay.migrate_up(); END $$", None),
    "a failure in a block": (["SELECT 1/0"], "DO $$ BEGIN CALL belay.migrate_up(); END $$", "22012"),
    "a failure that a block catches": (
        ["SELECT 1/0"], "DO $$ BEGIN CALL belay.migrate_up(); EXCEPTION WHEN division_by_zero THEN NULL; END $$", None,
    ),
    "a loop in a block": (["SELECT 1"], "DO $$ BEGIN FOR i IN 1..2 LOOP CALL belay.migrate_up(); END LOOP; END $$", None),
}  # fmt: skip


@pytest.mark.parametrize("ups, calls, sqlstate", [pytest.param(*WAYS_OUT[title], id=title) for title in WAYS_OUT])
def test_sg_01_06_the_lock_is_free_after(db, ups, calls, sqlstate):
    for number, text in enumerate(ups):
        db.execute("SELECT belay.migrate_register(%s, %s)", [f"000{number}", text])
    session = db.connect()
    failed = None
    try:
        for call in calls.split("; CALL") if not calls.startswith(("BEGIN", "DO")) else [calls]:
            session.execute(call if call.startswith(("CALL", "BEGIN", "DO")) else "CALL" + call)
    except psycopg.Error as error:
        failed = error.sqlstate
        session.rollback()
        session.execute("ROLLBACK")
    assert failed == sqlstate
    assert locks(db) == []
    assert session.one("SELECT current_user = session_user") is True
    # Another session gets in, without waiting.
    try:
        db.execute("CALL belay.migrate_up(on_contention => 'fail')")
    except psycopg.Error as error:
        assert error.sqlstate == (sqlstate or "22012")  # one that a block has caught
    assert locks(db) == []


# ── strangers ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["pg_advisory_lock", "pg_advisory_lock_shared"])
@pytest.mark.parametrize("application", ["psql by hand", ""])
def test_a_stranger_that_holds_the_lock_is_named(db, kind, application):
    load(db, numbered(1, 2))
    role = db.role("stranger")
    stranger = db.connect(role, application_name=application)
    stranger.execute(LOCK.replace("pg_advisory_lock", kind))
    who = f"pid {stranger.pid}, role {role}{', application ' + application if application else ''}, holds the lock without a run"
    with expect_error("55P03", message=BUSY, hint=LATER, detail=who):
        db.execute("CALL belay.migrate_up(steps => 1)")
    waiting = start_waiting(db)
    assert waiting.session.messages == [f'waiting for project "default": {who}']
    stranger.execute("SELECT pg_advisory_unlock_all()")
    waiting.finish()
    assert applied(db) == ["migration1", "migration2"] and locks(db) == []


def test_a_session_that_holds_the_lock_by_hand_is_told_so(db):
    load(db, numbered(1))
    db.execute(LOCK)
    with nothing_changes(db), expect_error(
        "MG012",
        message='this session holds the lock of project "default" already',
        hint="SELECT pg_advisory_unlock_all() releases what this session took by hand",
    ):
        db.execute("CALL belay.migrate_up()")
    assert locks(db) == [(db.session.pid,)]
    db.execute("SELECT pg_advisory_unlock_all()")
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["migration1"] and locks(db) == []


def test_a_lock_that_was_given_away_and_taken_by_another_ends_the_run_with_nothing_kept(db):
    body = "DO $$ BEGIN CREATE TABLE half (); PERFORM pg_advisory_unlock_all(); ALTER TABLE orders ADD x int; END $$"
    run, blocker = blocked_run(db, body)
    stranger = db.connect()
    stranger.execute(LOCK)
    blocker.rollback()
    with expect_error(
        "MG013",
        message='the lock of project "default" was lost and another session has taken it',
        hint="take pg_advisory_unlock_all() or DISCARD ALL out of the migration, then run again",
    ):
        run.finish()
    assert applied(db) == ["0001_a"] and tables(db) == ["a", "orders"]
    assert history(db) == [("0001_a", "up", "applied"), ("0002_b", "up", "failed")]
    assert locks(db) == [(stranger.pid,)]


#: Gives the lock away, then waits for a transaction, then writes.
GIVE_AWAY = """
    CREATE TABLE log (pid int);
    CREATE FUNCTION give_away(who text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        IF current_setting('application_name') LIKE who THEN PERFORM pg_advisory_unlock_all(); END IF;
        LOCK TABLE orders;
        INSERT INTO log VALUES (pg_backend_pid());
    END $$
"""


def two_in_one_migration(db: Database, head: str, who: str) -> tuple[Running, Running]:
    """The second gets the lock that the first gave away, and both wait in the migration for the same table."""
    db.execute(GIVE_AWAY)
    first, blocker = blocked_run(db, f"{head}SELECT give_away('{who}')", application_name="first")
    second = db.start("CALL belay.migrate_up()", application_name="second")
    db.wait_for("SELECT count(*) = 2 FROM pg_locks WHERE relation = 'orders'::regclass AND NOT granted")
    blocker.rollback()
    return first, second


@pytest.mark.parametrize("head", ["", "-- belay: transaction off\n"])
def test_who_gave_the_lock_away_keeps_nothing_when_a_second_runner_has_it(db, head):
    first, second = two_in_one_migration(db, head, "first")
    with expect_error("MG013", message='the lock of project "default" was lost and another session has taken it'):
        first.finish()
    second.finish()
    assert db.rows("SELECT pid FROM log") == [(second.pid,)]
    assert applied(db) == ["0001_a", "0002_b", "0003_c"] and locks(db) == []
    assert None not in {outcome for (outcome,) in db.rows("SELECT outcome FROM belay.run")}


@pytest.mark.parametrize("head", ["", "-- belay: transaction off\n"])
def test_two_that_both_gave_the_lock_away_keep_it_once_at_most_and_the_next_run_completes(db, head):
    """Outside a transaction the second may have told the first one's attempt as lost, so that neither can end it."""
    first, second = two_in_one_migration(db, head, "%")
    for run in (first, second):
        with contextlib.suppress(psycopg.Error):
            run.finish()
    succeeded = [run for run in (first, second) if run.error is None]
    assert db.rows("SELECT pid FROM log") == [(run.pid,) for run in succeeded] and len(succeeded) <= 1
    assert locks(db) == []
    db.execute("CALL belay.migrate_up()")
    assert db.one("SELECT count(*) FROM log") == 1
    assert applied(db) == ["0001_a", "0002_b", "0003_c"] and locks(db) == []
    assert None not in {outcome for (outcome,) in db.rows("SELECT outcome FROM belay.run")}


# ── many ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sg_20_two_projects_run_at_the_same_time(db):
    first, blocker = blocked_run(db)
    db.execute("SELECT belay.project_create('other')")
    load(db, numbered(1, 2), project="other")
    session = db.connect()
    session.execute("CALL belay.migrate_up(project => 'other')")
    session.execute("CALL belay.migrate_down(project => 'other')")
    assert first.is_running and applied(db, "other") == ["migration1"] and not [m for m in session.messages if "waiting" in m]
    assert locks(db) == [(first.pid,)]
    blocker.rollback()
    first.finish()
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]


def test_two_databases_run_at_the_same_time(db, new_database):
    first, blocker = blocked_run(db)
    other = new_database()
    load(other, numbered(1))
    other.execute("CALL belay.migrate_up(steps => 1)")
    assert first.is_running and applied(other) == ["migration1"]
    blocker.rollback()
    first.finish()


def test_thirty_sessions_at_once_run_each_migration_once(db):
    db.execute("CREATE TABLE log (number int, pid int)")
    for number in range(1, 11):
        text = f"CREATE TABLE t{number} (); INSERT INTO log VALUES ({number}, pg_backend_pid())"
        db.execute("SELECT belay.migrate_register(%s, %s)", [f"{number:04}", text])
    holder = db.connect()
    holder.execute(LOCK)  # so that all of them are there before the first begins
    running = [db.start("CALL belay.migrate_up()") for _ in range(30)]
    for run in running:
        poll_until(lambda run=run: run.session.messages, what="the notice that it waits")
    holder.execute("SELECT pg_advisory_unlock_all()")
    for run in running:
        run.finish()
    assert db.rows("SELECT number, count(*) FROM log GROUP BY 1 ORDER BY 1") == [(number, 1) for number in range(1, 11)]
    assert db.one("SELECT count(DISTINCT pid) FROM log") == 1
    assert db.rows("SELECT outcome, applied FROM belay.run") == [("succeeded", 10)]
    assert history(db) == [(f"{number:04}", "up", "applied") for number in range(1, 11)] and locks(db) == []
    last = [untimed(run.session.messages)[-1] for run in running]
    assert sorted(set(last)) == ["10 applied, 0 pending, …", "nothing to do, 0 pending"]
    assert last.count("nothing to do, 0 pending") == 29
