"""A lock that somebody holds: how often it is tried again, what is kept meanwhile, and what is said in the end.

`belay.lock_retries` is the number of attempts after the first one; each is a step of the history.
"""

from __future__ import annotations

import re

import psycopg
import pytest

from harness.database import Database, Running
from harness.session import expect_error
from harness.waiting import poll_until
from ledger import applied, history, tables


TIMEOUT = "canceling statement due to lock timeout"
SECRET = "a query with a secret"


def orders(db: Database, *texts: str) -> None:
    """The table that is fought for, and migrations 0001, 0002, ..."""
    db.execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1); CREATE TABLE log (line text)")
    for number, text in enumerate(texts, 1):
        db.execute("SELECT belay.migrate_register(%s, %s)", [f"{number:04}", text])


def hold(db: Database, query: str = "SELECT FROM orders", **how) -> psycopg.Connection:
    blocker = db.connect(autocommit=False, **how)
    blocker.execute(query)
    return blocker


def start(db: Database, retries: int | None = 3, timeout: str = "50ms", call: str = "CALL belay.migrate_up()", **how) -> Running:
    """A run on a session with these settings."""
    options = f"-c belay.lock_timeout={timeout}" + ("" if retries is None else f" -c belay.lock_retries={retries}")
    return db.start(call, options=options, **how)


def failures(db: Database) -> list[tuple]:
    return db.rows("SELECT name, statement, sqlstate FROM belay.migrate_history(newest => NULL) WHERE outcome = 'failed'")


def wait_for_failures(db: Database, run: Running, number: int) -> None:
    """Waits until so many attempts have failed, and the run goes on."""
    enough = "SELECT count(*) >= %s FROM belay.step WHERE outcome = 'failed'"
    poll_until(lambda: not run.is_running or db.one(enough, [number]), what=f"{number} failed attempts are recorded")
    assert run.is_running


def assert_quiet(db: Database, run: Running) -> None:
    """The session is usable and nothing is held."""
    assert db.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1651270009::oid") == []
    assert run.session.one("SELECT current_setting('lock_timeout')") == "0"
    assert db.one("SELECT count(*) FROM belay.run WHERE outcome IS NULL") == 0


def test_the_settings_have_their_defaults(db):
    db.execute("LOAD 'pg_belay'")
    assert db.rows("SELECT name, setting, context FROM pg_settings WHERE name = 'belay.lock_retries'") == [("belay.lock_retries", "5", "user")]
    with expect_error("22023"):
        db.execute("SET belay.lock_retries = -1")


def test_a_transactional_migration_is_tried_again_as_a_whole(db):
    orders(db, "INSERT INTO log VALUES ('first'); ALTER TABLE orders ADD x int; INSERT INTO log VALUES ('last')", "CREATE TABLE b ()")
    blocker = hold(db)
    run = start(db, retries=100)
    wait_for_failures(db, run, 2)
    blocker.rollback()
    run.finish()
    tried = len(failures(db))
    assert failures(db) == [("0001", 2, "55P03")] * tried and tried >= 2
    assert history(db) == [("0001", "up", "failed")] * tried + [("0001", "up", "applied"), ("0002", "up", "applied")]
    assert db.rows("TABLE log") == [("first",), ("last",)]
    assert db.rows("SELECT outcome, applied FROM belay.run") == [("succeeded", 2)]
    assert_quiet(db, run)


def test_a_migration_outside_a_transaction_is_tried_again_at_its_statement(db):
    orders(db, "-- belay: transaction off\nINSERT INTO log VALUES ('first'); ALTER TABLE orders ADD x int; INSERT INTO log VALUES ('last')")
    blocker = hold(db)
    run = start(db, retries=100)
    wait_for_failures(db, run, 2)
    assert db.rows("TABLE log") == [("first",)]
    blocker.rollback()
    run.finish()
    assert {failure for failure in failures(db)} == {("0001", 2, "55P03")}
    assert db.rows("TABLE log") == [("first",), ("last",)] and applied(db) == ["0001"]
    assert db.rows("TABLE belay.unfinished") == []
    assert_quiet(db, run)


@pytest.mark.parametrize("retries", [0, 1, 3])
@pytest.mark.parametrize("head", ["", "-- belay: transaction off\n"])
def test_it_is_tried_as_often_as_the_setting_says_and_each_attempt_is_a_step(db, head, retries):
    orders(db, f"{head}CREATE TABLE a (); ALTER TABLE orders ADD x int", "CREATE TABLE b ()")
    blocker = hold(db)
    run = start(db, retries=retries)
    with expect_error("55P03"):
        run.finish()
    assert failures(db) == [("0001", 2, "55P03")] * (retries + 1)
    assert history(db) == [("0001", "up", "failed")] * (retries + 1)
    assert db.rows("SELECT outcome FROM belay.run") == [("failed",)]
    assert_quiet(db, run)
    blocker.rollback()
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001", "0002"]


def test_a_down_is_tried_again(db):
    db.execute("CREATE TABLE orders (x int)")
    db.execute("SELECT belay.migrate_register('0001', 'SELECT 1', 'ALTER TABLE orders DROP x')")
    db.execute("CALL belay.migrate_up()")
    blocker = hold(db)
    run = start(db, retries=100, call="CALL belay.migrate_down()")
    wait_for_failures(db, run, 2)
    blocker.rollback()
    run.finish()
    assert history(db)[-1] == ("0001", "down", "reverted") and applied(db) == []


def test_each_migration_has_its_own_number_of_retries(db):
    orders(db, "ALTER TABLE orders ADD x int", "-- belay: lock-retries 2\nALTER TABLE log ADD x int")
    blocker, other = hold(db), hold(db, "SELECT FROM log")
    run = start(db, retries=100)
    wait_for_failures(db, run, 3)
    blocker.rollback()
    with expect_error("55P03"):
        run.finish()
    assert [failure for failure in failures(db) if failure[0] == "0002"] == [("0002", 1, "55P03")] * 3
    other.rollback()


@pytest.mark.parametrize("directive, setting, attempts", [("lock-retries 0", 5, 1), ("lock-retries 2", 0, 3)])
def test_the_directive_goes_before_the_setting(db, directive, setting, attempts):
    orders(db, f"-- belay: {directive}\nALTER TABLE orders ADD x int")
    blocker = hold(db)
    with expect_error("55P03"):
        start(db, retries=setting).finish()
    assert len(failures(db)) == attempts
    blocker.rollback()


@pytest.mark.parametrize("value", ["", "-1", "many", "1.5", "3 times"])
def test_a_senseless_directive_is_refused(db, value):
    with expect_error("MG009", message=re.compile("lock-retries"), hint=re.compile("expects|number|takes")):
        db.execute("SELECT belay.migrate_register('0001', %s)", [f"-- belay: lock-retries {value}\nSELECT 1"])


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_what_the_server_asks_to_try_again_is_tried_again(db, sqlstate):
    """A sequence keeps its value when the attempt is rolled back."""
    db.execute("CREATE SEQUENCE attempt")
    body = f"CREATE TABLE a (); DO $$ BEGIN IF nextval('attempt') < 3 THEN RAISE 'again' USING ERRCODE = '{sqlstate}'; END IF; END $$"
    db.execute("SELECT belay.migrate_register('0001', %s)", [body])
    start(db).finish()
    assert failures(db) == [("0001", 2, sqlstate)] * 2 and applied(db) == ["0001"] and tables(db) == ["a"]


def test_a_deadlock_is_tried_again(db):
    """The run is the one that closes the circle, and so the one that the server ends."""
    orders(db, "LOCK TABLE orders; SELECT pg_advisory_xact_lock(7); LOCK TABLE log; INSERT INTO log VALUES ('run')")
    gate = hold(db, "SELECT pg_advisory_lock(7)")
    run = start(db, timeout="20s", retries=2)
    db.wait_until_blocked(run.pid)
    other = hold(db, "SET deadlock_timeout = '10min'")
    other.execute("LOCK TABLE log")
    second = Running(other, "LOCK TABLE orders; INSERT INTO log VALUES ('other'); COMMIT", None)
    db.wait_until_blocked(other.pid)
    gate.execute("SELECT pg_advisory_unlock(7)")
    gate.commit()
    run.finish()
    second.finish()
    assert failures(db) == [("0001", 3, "40P01")] and applied(db) == ["0001"]
    assert db.rows("TABLE log") == [("other",), ("run",)]


@pytest.mark.parametrize("error, sqlstate", [("SELECT 1/0", "22012"), ("ALTER TABLE nowhere ADD x int", "42P01"), ("DO $$ BEGIN RAISE SQLSTATE '57014'; END $$", "57014")])
def test_any_other_error_is_not_tried_again(db, error, sqlstate):
    orders(db, error)
    with expect_error(sqlstate):
        start(db, retries=None).finish()
    assert failures(db) == [("0001", 1, sqlstate)]


@pytest.mark.parametrize(
    "call", ["CALL belay.migrate_up(transaction => 'per_run')", "BEGIN; CALL belay.migrate_up()", "DO $$ BEGIN CALL belay.migrate_up(transaction => 'per_run'); END $$"]
)
def test_where_all_would_have_to_be_done_again_a_lock_timeout_fails_at_once(db, call):
    orders(db, "INSERT INTO log VALUES ('first')", "CREATE SEQUENCE attempt; ALTER TABLE orders ADD x int")
    blocker = hold(db)
    run = start(db, retries=None, call=call)
    with expect_error("55P03", message=TIMEOUT):
        run.finish()
    run.session.execute("ROLLBACK")
    assert len(failures(db)) == (0 if "BEGIN; " in call else 1)
    assert db.rows("TABLE log") == [] and applied(db) == []
    blocker.rollback()


def test_between_the_attempts_nobody_queues_behind_the_run(db):
    """That is what the retries are for: who only reads gets in while the run waits for its next attempt."""
    orders(db, "ALTER TABLE orders ADD x int")
    blocker = hold(db)
    run = start(db, retries=1000, timeout="100ms")
    wait_for_failures(db, run, 1)
    for _ in range(5):
        db.connect(options="-c statement_timeout=10s").execute("SELECT FROM orders")
    idle = "SELECT backend_xmin IS NULL AND backend_xid IS NULL FROM pg_stat_activity WHERE pid = %s"
    db.wait_for(idle, [run.pid], what="no snapshot and no transaction between two attempts")
    assert run.is_running
    blocker.rollback()
    run.finish()


def test_the_project_stays_locked_between_the_attempts(db):
    orders(db, "ALTER TABLE orders ADD x int")
    blocker = hold(db)
    run = start(db, retries=1000)
    wait_for_failures(db, run, 3)
    with expect_error("55P03", message='project "default" is being migrated by another session'):
        db.execute("CALL belay.migrate_up(on_contention => 'fail')")
    blocker.rollback()
    run.finish()


def test_a_cancel_between_two_attempts_ends_the_run(db):
    orders(db, "ALTER TABLE orders ADD x int")
    blocker = hold(db)
    run = start(db, retries=1000)
    wait_for_failures(db, run, 2)
    # One that meets the timeout is taken for it by the server: whoever is not heard asks again.
    poll_until(lambda: not run.is_running or not db.execute("SELECT pg_cancel_backend(%s)", [run.pid]), what="the cancel is heard")
    with expect_error("57014", message="canceling statement due to user request"):
        run.finish()
    assert applied(db) == [] and db.rows("SELECT outcome FROM belay.run") == [("failed",)]
    assert_quiet(db, run)
    blocker.rollback()


def test_the_pauses_between_the_attempts_grow(db):
    """The last of eight pauses is longer than the first, whatever the jitter adds."""
    orders(db, "ALTER TABLE orders ADD x int")
    blocker = hold(db)
    with expect_error("55P03"):
        start(db, retries=8, timeout="10ms").finish(bound=60)
    pauses = db.rows("""
        SELECT extract(epoch FROM lead(started_at) OVER (ORDER BY id) - finished_at)::float FROM belay.step ORDER BY id LIMIT 8
    """)
    assert pauses[-1][0] > 1.5 * pauses[0][0] > 0
    blocker.rollback()


# ── what is said in the end ──────────────────────────────────────────────────────────────────────────────────────────

#: Long enough for a busy machine to tell what is waited for before it tells that the time is over.
LONG = "500ms"


def held_by(blocker: psycopg.Connection, role: str, application: str) -> re.Pattern:
    return re.compile(rf"pid {blocker.pid}, role {role}, application {application}, .*\d")


@pytest.mark.parametrize("head", ["", "-- belay: transaction off\n"])
@pytest.mark.parametrize(
    "statement, mode",
    [("ALTER TABLE orders ADD x int", "AccessExclusiveLock"), ("LOCK TABLE orders IN SHARE MODE", "ShareLock"), ("DROP TABLE orders", "AccessExclusiveLock")],
)
def test_the_error_names_relation_mode_and_holder(db, statement, mode, head):
    orders(db, f"{head}{statement if not (head and 'LOCK' in statement) else 'CREATE TRIGGER t BEFORE INSERT ON orders EXECUTE FUNCTION f()'}")
    if head and "LOCK" in statement:
        mode = "ShareRowExclusiveLock"
        db.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    role = db.role("clerk")
    db.execute(f"GRANT ALL ON orders TO {role}")
    blocker = hold(db, "INSERT INTO orders VALUES (2)", user=role, application_name="till 7")
    with expect_error("55P03", message=TIMEOUT, detail=held_by(blocker, role, "till 7"), hint=re.compile(r"lock.timeout")) as error:
        start(db, retries=1 if head else 0, timeout=LONG).finish()
    assert "orders" in error.detail and mode in error.detail
    assert db.rows("SELECT detail FROM belay.step_error ORDER BY step_id DESC LIMIT 1") == [(error.detail,)]
    blocker.rollback()


def test_the_error_names_every_holder(db):
    orders(db, "ALTER TABLE orders ADD x int")
    blockers = [hold(db, application_name=f"reader {number}") for number in range(3)]
    with expect_error("55P03") as error:
        start(db, retries=1, timeout=LONG).finish()
    for number, blocker in enumerate(blockers):
        assert held_by(blocker, "postgres", f"reader {number}").search(error.detail)


def test_a_prepared_transaction_that_holds_the_lock_is_named(db):
    """It has no process: only its name leads to it."""
    orders(db, "ALTER TABLE orders ADD x int")
    forgotten = f"forgotten_{db.name}"
    db.execute(f"BEGIN; INSERT INTO orders VALUES (2); PREPARE TRANSACTION '{forgotten}'")
    try:
        with expect_error("55P03", detail=re.compile(forgotten)):
            start(db, retries=1, timeout=LONG).finish()
    finally:
        db.execute(f"ROLLBACK PREPARED '{forgotten}'")


@pytest.mark.parametrize("superuser", [True, False])
def test_the_holders_query_is_told_to_who_may_see_it(db, superuser):
    orders(db, "SELECT 1")
    role = db.role("deployer", "LOGIN")
    db.execute(f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA belay TO {role}; GRANT ALL ON orders TO {role}")
    session = db.connect(user="postgres" if superuser else role)
    session.execute("SELECT belay.migrate_unregister('0001')")
    session.execute("SELECT belay.migrate_register('0001', 'LOCK TABLE orders')")
    blocker = hold(db, f"SELECT id, '{SECRET}' FROM orders")
    session.execute("SET belay.lock_timeout = '500ms'; SET belay.lock_retries = 0")
    with expect_error("55P03", detail=held_by(blocker, "postgres", "pg_test")) as error:
        session.execute("CALL belay.migrate_up()")
    assert (SECRET in error.detail) is superuser
    stranger = db.connect(user=db.role("stranger"))
    assert SECRET not in str(stranger.rows("SELECT t::text FROM belay.step t UNION ALL SELECT t::text FROM belay.run t"))


# ── builds ───────────────────────────────────────────────────────────────────────────────────────────────────────────

BUILD = "CREATE INDEX CONCURRENTLY i ON orders (id)"


def test_a_build_takes_its_tables_lock_under_the_limit_and_leaves_nothing(db):
    """ShareUpdateExclusive is what VACUUM and another build hold: the build is not begun without it."""
    orders(db, BUILD)
    blocker = hold(db, "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
    run = start(db, retries=2)
    with expect_error("55P03", message=TIMEOUT):
        run.finish(bound=20)
    assert db.one("SELECT to_regclass('i')") is None and len(failures(db)) == 3
    assert_quiet(db, run)
    blocker.rollback()
    db.execute("CALL belay.migrate_up()")
    assert db.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass") is True


def test_a_build_is_tried_again_until_its_table_is_free(db):
    orders(db, BUILD)
    blocker = hold(db, "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
    run = start(db, retries=1000)
    wait_for_failures(db, run, 2)
    blocker.rollback()
    run.finish()
    assert applied(db) == ["0001"] and history(db)[-1] == ("0001", "up", "applied")


def test_a_build_holds_no_lock_when_it_has_ended(db):
    orders(db, BUILD, "-- belay: transaction off\nREINDEX INDEX CONCURRENTLY i", "DROP INDEX CONCURRENTLY i")
    session = db.connect()
    session.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001", "0002", "0003"]
    assert db.rows("SELECT * FROM pg_locks WHERE pid = %s AND relation = 'orders'::regclass", [session.pid]) == []


def test_who_does_not_own_the_table_does_not_get_its_lock_by_a_build(db):
    """The build itself would be refused, without any lock."""
    orders(db, "SELECT 1")
    role = db.role("deployer")
    db.execute(f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA belay TO {role}; GRANT SELECT ON orders TO {role}")
    session = db.connect(user=role)
    session.execute("SELECT belay.migrate_register('0001', %s, replace => true)", [BUILD])
    blocker = hold(db, "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
    with expect_error("42501", message="must be owner of table orders"):
        session.execute("CALL belay.migrate_up()")
    blocker.rollback()


# ── what is said of other waits ──────────────────────────────────────────────────────────────────────────────────────


def test_who_has_changed_the_row_that_is_wanted_is_named(db):
    orders(db, "UPDATE orders SET id = 3")
    blocker = hold(db, "UPDATE orders SET id = 2", application_name="till 7")
    with expect_error("55P03", detail=held_by(blocker, "postgres", "till 7")) as error:
        start(db, retries=0, timeout=LONG).finish()
    assert "ShareLock on transaction" in error.detail
    blocker.rollback()


def test_a_wait_that_ended_well_is_not_taken_for_the_one_that_failed(db):
    orders(db, "LOCK TABLE orders; LOCK TABLE log NOWAIT")
    blocker, other = hold(db), hold(db, "SELECT FROM log")
    options = "-c deadlock_timeout=20ms -c belay.lock_timeout=30s -c belay.lock_retries=0"
    run = db.start("CALL belay.migrate_up()", options=options)
    noted = "SELECT clock_timestamp() - waitstart > '500 ms' FROM pg_locks WHERE pid = %s AND NOT granted"
    db.wait_for(noted, [run.pid], what="the wait is long enough to have been noted")
    blocker.rollback()
    with expect_error("55P03", message='could not obtain lock on relation "log"') as error:
        run.finish()
    assert error.detail is None
    other.rollback()


def test_a_run_from_a_block_tries_again_as_well(db):
    orders(db, "ALTER TABLE orders ADD x int")
    blocker = hold(db)
    run = start(db, retries=100, call="DO $$ BEGIN CALL belay.migrate_up(); END $$")
    wait_for_failures(db, run, 2)
    blocker.rollback()
    run.finish()
    assert applied(db) == ["0001"] and db.rows("SELECT outcome FROM belay.run") == [("succeeded",)]


@pytest.mark.parametrize("retries", [0, 2])
def test_the_sessions_own_settings_come_back(db, retries):
    orders(db, "ALTER TABLE orders ADD x int")
    blocker = hold(db)
    session = db.connect(options=f"-c deadlock_timeout=7s -c log_lock_waits=off -c belay.lock_timeout=50ms -c belay.lock_retries={retries}")
    with expect_error("55P03"):
        session.execute("CALL belay.migrate_up()")
    blocker.rollback()
    for _ in range(2):
        shown = [session.one(f"SHOW {name}") for name in ("deadlock_timeout", "log_lock_waits", "lock_timeout")]
        assert shown == ["7s", "off", "0"]
        session.execute("CALL belay.migrate_up()")


def test_each_failed_attempt_is_told_with_what_follows(db):
    orders(db, "ALTER TABLE orders ADD x int")
    blocker = hold(db, application_name="till 7")
    run = start(db, retries=1, timeout=LONG)
    with expect_error("55P03"):
        run.finish()
    told = [notice for notice in run.session.notices if "attempt" in notice.message]
    assert len(told) == 1
    assert re.fullmatch(r"0001: attempt 1 of 2 failed: canceling statement due to lock timeout; the next one follows in \d+ ms", told[0].message)
    assert held_by(blocker, "postgres", "till 7").search(told[0].detail)
    blocker.rollback()


def test_what_a_build_left_is_removed_under_the_lock_of_its_own_table(db):
    """The text was edited since, and is about another table now."""
    orders(db, "CREATE UNIQUE INDEX CONCURRENTLY i ON orders (id)")
    db.execute("INSERT INTO orders VALUES (1)")
    with expect_error("23505"):
        db.execute("CALL belay.migrate_up()")
    db.execute("SELECT belay.migrate_register('0001', 'CREATE INDEX CONCURRENTLY l ON log (line)', replace => true)")
    blocker = hold(db, "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
    run = start(db, retries=0)
    with expect_error("55P03", message=TIMEOUT):
        run.finish(bound=20)
    assert_quiet(db, run)
    blocker.rollback()
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001"] and db.one("SELECT to_regclass('i')") is None
