"""`CALL belay.with_lock_retries(sql)`: anybody's statements by the runner's attempts."""

from __future__ import annotations

import re

import psycopg
import pytest

from harness.database import Database, Running
from harness.session import expect_error
from harness.waiting import poll_until

TIMEOUT = "canceling statement due to lock timeout"
CALL = "CALL belay.with_lock_retries({})"


def call(sql: str) -> str:
    return CALL.format(psycopg.sql.Literal(sql).as_string())


def orders(db: Database) -> None:
    db.execute("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1); CREATE TABLE log (line text)")


def hold(db: Database, query: str = "SELECT FROM orders") -> psycopg.Connection:
    blocker = db.connect(autocommit=False)
    blocker.execute(query)
    return blocker


def start(db: Database, sql: str, retries: int, timeout: str = "50ms", **how) -> Running:
    return db.start(call(sql), options=f"-c belay.lock_timeout={timeout} -c belay.lock_retries={retries}", **how)


def columns(db: Database) -> list[str]:
    query = "SELECT attname::text FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    return [name for (name,) in db.rows(query)]


def test_all_statements_are_tried_again_until_the_lock_is_free(db):
    orders(db)
    blocker = hold(db)
    run = start(db, "INSERT INTO log VALUES ('a'); ALTER TABLE orders ADD x int", retries=200)
    poll_until(lambda: len(run.session.messages) >= 2 or not run.is_running, what="two attempts have failed")
    assert run.is_running
    blocker.rollback()
    run.finish()
    assert columns(db) == ["id", "x"]
    assert db.rows("TABLE log") == [("a",)]
    assert re.fullmatch(rf"with_lock_retries: attempt 1 of 201 failed: {TIMEOUT}; the next one follows in \d+ ms", run.session.messages[0])
    assert run.session.one("SHOW lock_timeout") == "0"


def test_gl_20_there_is_no_last_attempt_without_a_limit(db):
    """GitLab's helper runs once more without lock_timeout when its attempts are used up."""
    orders(db)
    blocker = hold(db)
    run = start(db, "ALTER TABLE orders ADD x int", retries=2)
    with expect_error("55P03", message=TIMEOUT, hint=re.compile("belay.lock_retries")) as error:
        run.finish()
    assert error.detail.startswith('waited for AccessExclusiveLock on relation "public.orders"\n')
    assert f"pid {blocker.info.backend_pid}" in error.detail
    assert "belay.with_lock_retries, statement 1 of 1" in error.context
    assert len(run.session.messages) == 2
    assert columns(db) == ["id"]


def test_a_failure_of_another_kind_is_the_statements_own_and_not_repeated(db):
    orders(db)
    session = db.connect()
    with expect_error("23505") as error:
        session.execute(call("INSERT INTO log VALUES ('a'); INSERT INTO orders VALUES (1)"))
    assert error.constraint_name == "orders_pkey"
    assert "belay.with_lock_retries, statement 2 of 2" in error.context
    assert session.messages == []
    assert db.rows("TABLE log") == []


def test_the_position_of_an_error_points_into_the_text(db):
    with expect_error("42703") as error:
        db.connect().execute(call("SELECT 1; SELECT nonsense"))
    assert (error.position, error.internal_query, error.internal_position) == (None, "SELECT 1; SELECT nonsense", "18")


@pytest.mark.parametrize("how", ["a block", "a function", "a handler"])
def test_it_is_refused_where_it_cannot_commit(db, how):
    inner = call("SELECT 1")
    calls = {
        "a block": f"BEGIN; {inner}",
        "a function": f"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$BEGIN {inner}; END$$; SELECT f()",
        "a handler": f"DO $$BEGIN {inner}; EXCEPTION WHEN division_by_zero THEN NULL; END$$",
    }
    with expect_error("25001", message=re.compile("belay.with_lock_retries commits on its way"), hint=re.compile("autocommit")):
        db.connect().execute(calls[how])


def test_it_works_from_a_procedure_that_may_commit(db):
    orders(db)
    db.execute(f"CREATE PROCEDURE p() LANGUAGE plpgsql AS $$BEGIN FOR i IN 1..2 LOOP {call('INSERT INTO log VALUES (1)')}; END LOOP; END$$")
    db.connect().execute("CALL p()")
    assert db.rows("TABLE log") == [("1",), ("1",)]


@pytest.mark.parametrize(
    ("sql", "sqlstate"), [("VACUUM", "25001"), ("SELECT 1; CREATE INDEX CONCURRENTLY ON orders (id)", "25001"), ("COMMIT", "MG010"), (None, "22023")]
)
def test_what_cannot_be_tried_again_as_a_whole_is_refused(db, sql, sqlstate):
    orders(db)
    with expect_error(sqlstate):
        db.connect().execute("CALL belay.with_lock_retries(%s)", [sql])


def test_settings_end_with_it_and_the_callers_timeout_does_not_end_it(db):
    orders(db)
    session = db.connect(options="-c statement_timeout=200ms")
    session.execute(call("SET work_mem = '77MB'; SELECT pg_sleep(0.4); SET LOCAL lock_timeout = 1"))
    assert session.one("SHOW work_mem") != "77MB"
    with expect_error("57014", message=re.compile("statement timeout")):
        session.execute("SET belay.statement_timeout = '50ms'")
        session.execute(call("SELECT pg_sleep(5)"))


def test_a_cancel_between_attempts_ends_it(db):
    orders(db)
    hold(db)
    run = start(db, "ALTER TABLE orders ADD x int", retries=1000)
    poll_until(lambda: len(run.session.messages) >= 1 or not run.is_running, what="an attempt has failed")
    db.execute("SELECT pg_cancel_backend(%s)", [run.session.pid])
    # One that meets the timeout of a lock is taken for it by the server: whoever is not heard asks again.
    poll_until(lambda: not run.is_running or not db.one("SELECT pg_cancel_backend(%s)", [run.session.pid]), what="the cancel is heard")
    with expect_error("57014"):
        run.finish()


def test_within_a_migration_it_leaves_the_migration_whole(db):
    orders(db)
    text = "-- belay: transaction off\n" + call("INSERT INTO log VALUES ('in')") + ";\nINSERT INTO log VALUES ('after');\n" + call("SELECT 1")
    db.execute("SELECT belay.migrate_register('1', %s)", [text])
    db.connect().execute("CALL belay.migrate_up()")
    assert db.rows("TABLE log") == [("in",), ("after",)]
