"""Non-transactional migrations: statement by statement, each committed with its progress, resumed where they stopped."""

from __future__ import annotations

import re

import pytest

from harness.database import Database
from harness.session import expect_error

RESUMES = "the statements before it are committed; the next run resumes at this one"


def register(db: Database, up: str, down: str | None = None, name: str = "0001_a", replace: bool = False) -> None:
    db.execute("SELECT belay.migrate_register(%s, %s, %s, replace => %s)", [name, up, down, replace])


def up(db: Database) -> list[str]:
    """Runs what is pending; the notices, without times."""
    db.session.notices.clear()
    db.execute("CALL belay.migrate_up()")
    return [re.sub(r"\([0-9.]+ m?s\)", "(…)", message) for message in db.session.messages]


def status(db: Database, name: str = "0001_a") -> tuple:
    return db.rows("SELECT state, detail, next_command FROM belay.migrate_status() WHERE name = %s", [name])[0]


def indexes(db: Database) -> list[tuple]:
    return db.rows("""SELECT c.relname::text, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                      WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1""")


def assert_quiet(db: Database) -> None:
    """Nothing is left of a run but its rows."""
    assert db.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory'") == []
    assert db.rows("TABLE belay.unfinished") == []
    assert db.one("SELECT count(*) FROM belay.step WHERE outcome IS NULL") == 0
    assert db.one("SELECT count(*) FROM belay.run WHERE outcome IS NULL") == 0


ORDERS = "CREATE TABLE orders (id int, customer int); INSERT INTO orders SELECT g, g % 3 FROM generate_series(1, 30) g"

# ── what commits by itself ───────────────────────────────────────────────────────────────────────────────────────────

PARTITIONS = "; CREATE TABLE parts (id int) PARTITION BY RANGE (id); CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (9); CREATE INDEX ON parts (id)"

#: text, and what must hold afterwards
ALONE = {
    "named index": ("CREATE INDEX CONCURRENTLY i ON orders (id)", "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"),
    "unnamed index": ("CREATE INDEX CONCURRENTLY ON orders (id, (customer + 1))", "SELECT indisvalid FROM pg_index WHERE indexrelid = 'orders_id_expr_idx'::regclass"),
    "second unnamed index": (
        "CREATE INDEX CONCURRENTLY ON orders (id); CREATE INDEX CONCURRENTLY ON orders (id)",
        "SELECT bool_and(indisvalid) FROM pg_index WHERE indexrelid IN ('orders_id_idx'::regclass, 'orders_id_idx1'::regclass)",
    ),
    "unnamed unique index": ("CREATE UNIQUE INDEX CONCURRENTLY ON orders (id)", "SELECT indisunique FROM pg_index WHERE indexrelid = 'orders_id_idx'::regclass"),
    "index IF NOT EXISTS": ("CREATE INDEX i ON orders (id); CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON orders (id)", "SELECT true"),
    "drop": ("CREATE INDEX i ON orders (id); DROP INDEX CONCURRENTLY i", "SELECT to_regclass('i') IS NULL"),
    "drop IF EXISTS": ("DROP INDEX CONCURRENTLY IF EXISTS i", "SELECT true"),
    "reindex": (
        "CREATE INDEX i ON orders (id); REINDEX INDEX CONCURRENTLY i; REINDEX TABLE CONCURRENTLY orders; REINDEX (CONCURRENTLY, VERBOSE off) TABLE orders",
        "SELECT count(*) = 1 FROM pg_index WHERE indrelid = 'orders'::regclass",
    ),
    "reindex schema": ("REINDEX SCHEMA public", "SELECT true"),
    "vacuum": ("VACUUM; VACUUM FULL orders; VACUUM (ANALYZE) orders", "SELECT reltuples = 30 FROM pg_class WHERE oid = 'orders'::regclass"),
    "cluster": ("CLUSTER", "SELECT true"),
    "detach": (
        "ALTER TABLE parts DETACH PARTITION part_1 CONCURRENTLY",
        "SELECT NOT relispartition FROM pg_class WHERE oid = 'part_1'::regclass",
    ),
    "subscription without a slot": ("CREATE SUBSCRIPTION belay_s CONNECTION '' PUBLICATION p WITH (connect = false); DROP SUBSCRIPTION belay_s", "SELECT NOT EXISTS (SELECT FROM pg_subscription WHERE subname = 'belay_s')"),
}  # fmt: skip



@pytest.mark.parametrize(
    "text, holds", [pytest.param(*ALONE[title], id=title) for title in ALONE]
)
def test_what_cannot_run_in_a_transaction_runs(db, text, holds):
    if "SUBSCRIPTION" in text:
        text = text.replace("; DROP", "; ALTER SUBSCRIPTION belay_s SET (slot_name = NONE); DROP")
    db.execute(ORDERS + PARTITIONS)
    register(db, "CREATE TABLE first_one ();\n" + text + ";\nCREATE TABLE last_one ()")
    up(db)
    assert db.one(holds) is True
    assert db.one("SELECT to_regclass('first_one') IS NOT NULL AND to_regclass('last_one') IS NOT NULL")
    assert status(db)[0] == "applied"
    assert_quiet(db)


def test_alter_system_and_databases_of_the_whole_server(private_server, new_database):
    db = new_database(on=private_server())
    register(db, "ALTER SYSTEM SET work_mem = '5MB'; CREATE DATABASE made; ALTER SYSTEM RESET ALL; DROP DATABASE made")
    up(db)
    assert status(db)[0] == "applied" and not db.one("SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'made')")
    assert_quiet(db)


def test_a_procedure_and_a_block_may_commit_with_transaction_off(db):
    db.execute("CREATE TABLE n (i int)")
    body = "BEGIN FOR i IN 1..3 LOOP INSERT INTO n VALUES (i); COMMIT; INSERT INTO n VALUES (-i); ROLLBACK; END LOOP; END"
    register(db, f"-- belay: transaction off\nCREATE PROCEDURE p() LANGUAGE plpgsql AS $$ {body} $$; CALL p(); DO $$ {body} $$")
    up(db)
    assert db.rows("SELECT i, count(DISTINCT xmin::text) FROM n GROUP BY 1 ORDER BY 1") == [(1, 2), (2, 2), (3, 2)]
    assert_quiet(db)


# ── failing and resuming ─────────────────────────────────────────────────────────────────────────────────────────────


def test_sg_14_a_failed_unique_build_is_cleared_away_and_repeated(db):
    db.execute(ORDERS)
    register(db, "CREATE TABLE a ();\nCREATE UNIQUE INDEX CONCURRENTLY orders_customer ON orders (customer);\nCREATE TABLE b ()")
    with expect_error("23505", message='could not create unique index "orders_customer"', hint=RESUMES) as error:
        up(db)
    assert error.context == 'migration "0001_a" of project "default", up, statement 2 of 3, line 2'
    assert indexes(db) == [("orders_customer", False)]
    assert db.one("SELECT to_regclass('a')") == "a" and db.one("SELECT to_regclass('b')") is None
    assert status(db) == (
        "dirty",
        'went up and stopped at statement 2 of 3: could not create unique index "orders_customer"; the next run resumes there',
        "CALL belay.migrate_up()",
    )
    assert db.rows("SELECT problem FROM belay.migrate_validate() ORDER BY 1") == [("dirty",), ("invalid index",)]
    db.execute("DELETE FROM orders WHERE id > 3")
    notices = up(db)
    assert notices[:2] == ['0001_a: resuming at statement 2 of 3; removed invalid index "orders_customer"', "applied 0001_a (…)"]
    assert indexes(db) == [("orders_customer", True)] and db.one("SELECT to_regclass('b')") == "b"
    assert db.rows("SELECT outcome, statement FROM belay.step ORDER BY id") == [("failed", 2), ("applied", None)]
    assert_quiet(db)


def test_an_unnamed_build_that_failed_is_found_again(db):
    db.execute(ORDERS)
    register(db, "CREATE UNIQUE INDEX CONCURRENTLY ON orders (customer)")
    for _ in range(3):
        with expect_error("23505", message='could not create unique index "orders_customer_idx"'):
            up(db)
        assert indexes(db) == [("orders_customer_idx", False)]
    db.execute("DELETE FROM orders WHERE id > 3")
    up(db)
    assert indexes(db) == [("orders_customer_idx", True)]


def test_statements_before_the_failed_one_run_once(db):
    db.execute("CREATE TABLE log (n int)")
    register(db, "-- belay: transaction off\nINSERT INTO log VALUES (1);\nINSERT INTO log VALUES (2);\nSELECT 1/0;\nINSERT INTO log VALUES (4)")
    for _ in range(3):
        with expect_error("22012", hint=RESUMES) as error:
            up(db)
        assert error.context.endswith("statement 3 of 4, line 4")
        assert db.rows("TABLE log") == [(1,), (2,)]
    register(db, "-- belay: transaction off\nINSERT INTO log VALUES (1);\nINSERT INTO log VALUES (2);\nINSERT INTO log VALUES (3)", replace=True)
    assert up(db)[0] == "0001_a: resuming at statement 3 of 3"
    assert db.rows("TABLE log") == [(1,), (2,), (3,)]
    assert_quiet(db)


def test_an_edit_of_what_ran_already_is_refused(db):
    text = "-- belay: transaction off\nCREATE TABLE a ();\nCREATE TABLE b ();\nSELECT 1/0"
    register(db, text)
    with expect_error("22012"):
        up(db)
    register(db, text.replace("TABLE b ()", "TABLE b (x int)").replace("1/0", "1"), replace=True)
    with expect_error("MG003", message='migration "0001_a" was edited at statement 2, which has run already') as error:
        up(db)
    assert error.detail == "statement 2 ran as: CREATE TABLE b ()\nstatement 2 is now: CREATE TABLE b (x int)"
    register(db, text.replace("CREATE TABLE a", "  CREATE  TABLE a /* only white space */").replace("1/0", "1"), replace=True)
    up(db)
    assert_quiet(db)


def test_settings_before_the_failed_statement_are_set_again(db):
    db.execute("CREATE SCHEMA s")
    text = "-- belay: transaction off\nSET search_path = s; SET app.x = 'set'; SELECT 1/0; CREATE TABLE here AS SELECT current_setting('app.x') AS x"
    register(db, text)
    with expect_error("22012"):
        up(db)
    db.reconnect()
    register(db, text.replace("1/0", "1"), replace=True)
    up(db)
    assert db.rows("TABLE s.here") == [("set",)]
    assert db.one("SHOW search_path") == '"$user", public'


#: A statement that failed for sure must fail again, whatever the catalog holds under its names.
CERTAIN = {
    "drop of an index that is not there": ("", "DROP INDEX CONCURRENTLY nope", "42704"),
    "index whose name another table's has": ("CREATE INDEX i ON orders (customer)", "CREATE INDEX CONCURRENTLY i ON orders (id)", "42P07"),
    "index whose name a table has": ("CREATE TABLE i ()", "CREATE INDEX CONCURRENTLY i ON orders (id)", "42P07"),
    "detach of what is no partition": ("CREATE TABLE parts (id int) PARTITION BY RANGE (id); CREATE TABLE p ()", "ALTER TABLE parts DETACH PARTITION p CONCURRENTLY", "42P01"),
    "reindex of nothing": ("", "REINDEX INDEX CONCURRENTLY nope", "42P01"),
    "index on nothing": ("", "CREATE INDEX CONCURRENTLY i ON nowhere (id)", "42P01"),
    "database that is there": ("", "CREATE DATABASE postgres", "42P04"),
}  # fmt: skip

@pytest.mark.parametrize("where", ["last", "in the middle"])
@pytest.mark.parametrize(
    "setup, text, sqlstate",
    [pytest.param(*CERTAIN[t], id=t) for t in CERTAIN],
)
def test_a_statement_that_failed_fails_again(db, setup, text, sqlstate, where):
    db.execute(ORDERS + ";" + setup)
    register(db, "CREATE TABLE a ();" + text + ("; CREATE TABLE b ()" if where == "in the middle" else ""))
    for _ in range(2):
        with expect_error(sqlstate):
            up(db)
        assert status(db)[0] == "dirty" and db.one("SELECT to_regclass('b')") is None


@pytest.mark.parametrize(
    "text, made",
    [
        ("CREATE INDEX CONCURRENTLY i ON orders (id)", "CREATE INDEX i ON orders (id)"),
        ("DROP INDEX CONCURRENTLY j", "DROP INDEX j"),
        ("ALTER TABLE parts DETACH PARTITION part_1 CONCURRENTLY", "ALTER TABLE parts DETACH PARTITION part_1"),
    ],
)
@pytest.mark.parametrize(
    "where", ["last", "in the middle"]
)
def test_a_statement_that_ended_before_its_session_died_is_not_repeated(db, text, made, where):
    """Its progress row says that it had begun; the catalog says that it ended."""
    db.execute(ORDERS + PARTITIONS + "; CREATE INDEX j ON orders (id)")
    register(db, text + ("; CREATE TABLE b ()" if where == "in the middle" else ""))
    lock = "DETACH" not in text
    blocker = db.connect(autocommit=False)
    blocker.execute("LOCK TABLE orders IN ROW EXCLUSIVE MODE" if lock else "SELECT * FROM parts")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    db.execute("SELECT pg_terminate_backend(%s)", [run.pid])
    db.wait_until_gone(run.pid)
    blocker.rollback()
    db.execute("DROP INDEX IF EXISTS i")
    db.execute(made + (" FINALIZE" if "DETACH" in made else ""))
    notices = up(db)
    assert notices[0].startswith("0001_a: resuming at statement 1 of "), notices
    assert notices[1:2] == ["applied 0001_a (…)"]
    assert status(db)[0] == "applied"
    assert_quiet(db)


# ── dirty ────────────────────────────────────────────────────────────────────────────────────────────────────────────

NOT_FINISHED = 'migration "0001_a" began to go {} and has not finished; statement 2 is next'


@pytest.mark.parametrize("call", ["CALL belay.migrate_down()", "CALL belay.migrate_to('@none')", "CALL belay.migrate_redo()"])
@pytest.mark.parametrize("before", [True, False])
def test_a_down_is_refused_while_an_up_is_unfinished(db, call, before):
    register(db, "SELECT 1", "SELECT 1", name="0000") if before else None
    register(db, "-- belay: transaction off\nCREATE TABLE a (); SELECT 1/0", "DROP TABLE a")
    with expect_error("22012"):
        up(db)
    with expect_error("MG007", message=NOT_FINISHED.format("up"), hint=re.compile(r"CALL belay\.migrate_up\(\)")):
        db.execute(call)


def test_a_down_that_stopped_is_resumed_by_down(db):
    register(db, "CREATE TABLE a (); CREATE TABLE b ()", "-- belay: transaction off\nDROP TABLE a; DROP VIEW v; DROP TABLE b")
    up(db)
    with expect_error("42P01", hint=RESUMES):
        db.execute("CALL belay.migrate_down()")
    assert status(db)[0] == "dirty" and status(db)[2] == "CALL belay.migrate_down()"
    db.execute("CREATE VIEW v AS SELECT 1")
    db.execute("CALL belay.migrate_down()")
    assert "0001_a: resuming at statement 2 of 3" in db.session.messages
    assert status(db)[0] == "pending" and db.one("SELECT to_regclass('b')") is None
    assert_quiet(db)


def test_an_up_is_refused_while_a_down_is_unfinished(db):
    register(db, "CREATE TABLE a ()", "-- belay: transaction off\nDROP TABLE a; SELECT 1/0")
    up(db)
    with expect_error("22012"):
        db.execute("CALL belay.migrate_down()")
    with expect_error("MG007", message=NOT_FINISHED.format("down"), hint=re.compile(r"CALL belay\.migrate_down\(\)")):
        up(db)


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "what, text",
    [
        ("a temporary object", "CREATE TEMP TABLE t ()"),
        ("a temporary object", "CREATE TEMP TABLE t AS SELECT 1"),
        ("a temporary object", "SELECT 1 AS x INTO TEMP t"),
        ("a temporary object", "CREATE TABLE pg_temp.t ()"),
        ("a temporary object", "CREATE TEMP VIEW v AS SELECT 1"),
        ("PREPARE", "PREPARE p AS SELECT 1"),
        ("LISTEN", "LISTEN l"),
        ("DECLARE CURSOR", "DECLARE c CURSOR WITH HOLD FOR SELECT 1"),
    ],
)
def test_state_of_the_session_before_a_statement_that_commits_by_itself_is_refused(db, what, text):
    register(db, f"CREATE TABLE a (); {text}; VACUUM")
    with expect_error("MG010", message=f"{what} may not stand before a statement that commits by itself", hint=re.compile("of its own")) as error:
        up(db)
    assert "statement 2 of 3" in error.context
    assert db.one("SELECT to_regclass('a')") is None and status(db)[0] == "pending"
    register(db, f"CREATE TABLE a (); VACUUM; {text}", replace=True)
    up(db)


@pytest.mark.parametrize(
    "call, message, hint",
    [
        ("BEGIN; CALL belay.migrate_up(); COMMIT", "cannot run inside the caller's transaction", "CALL it outside a transaction block (autocommit)"),
        ("DO $$ BEGIN CALL belay.migrate_up(); END $$", "cannot run from a procedure or DO block", "CALL it from the client, at top level"),
        ("CALL belay.migrate_up(transaction => 'per_run')", "cannot run with transaction => 'per_run'", "leave transaction out: each migration then commits by itself"),
    ],
)
def test_where_nothing_may_commit_it_is_refused_before_anything_runs(db, call, message, hint):
    register(db, "CREATE TABLE zero ()", name="0000")
    register(db, "CREATE TABLE a (); VACUUM")
    session = db.connect()
    with expect_error("25001", message=f'migration "0001_a" {message}', hint=hint):
        session.execute(call)
    session.execute("ROLLBACK")
    assert db.one("SELECT to_regclass('zero')") is None
    assert db.rows("TABLE belay.step") == [] == db.rows("TABLE belay.run")
    assert db.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory'") == []


def test_a_directive_that_contradicts_the_text_is_refused_while_registering(db):
    with expect_error("MG010", hint=re.compile("take the directive out")):
        register(db, "-- belay: transaction on\nVACUUM")


# ── waiting for locks ────────────────────────────────────────────────────────────────────────────────────────────────


def test_sg_14_a_short_lock_timeout_does_not_end_a_build_that_waits_for_an_older_transaction(db):
    db.execute(ORDERS)
    register(db, "-- belay: lock-timeout 20ms\nCREATE INDEX CONCURRENTLY i ON orders (id); CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS t")
    writer = db.connect(autocommit=False)
    writer.execute("INSERT INTO orders VALUES (99, 9)")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    waited = "SELECT now() - waitstart > interval '200 ms' FROM pg_locks WHERE pid = %s AND NOT granted"
    db.wait_for(waited, [run.pid])
    assert run.is_running
    writer.commit()
    run.finish()
    assert indexes(db) == [("i", True)]
    assert db.rows("TABLE seen") == [("20ms",)]
    assert_quiet(db)
