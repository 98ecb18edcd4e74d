"""Where a run commits: by its own mode, and by the way it is called."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import psycopg
import pytest
from psycopg.rows import tuple_row

from harness.database import Database
from harness.server import TREE
from harness.session import expect_error

AUTOCOMMIT_HINT = (
    "this ran in the caller's transaction, so nothing of it is recorded; with autocommit the history keeps failures"
)
NOT_PERMANENT = "this is the caller's transaction: nothing is permanent until COMMIT"


def register(db: Database, *migrations: tuple[str, ...], replace: bool = False) -> None:
    for name, up, *down in migrations:
        db.execute("SELECT belay.migrate_register(%s, %s, %s, replace => %s)", [name, up, *(down or [None]), replace])


def three(db: Database, middle: str = "CREATE TABLE b ()") -> None:
    register(
        db,
        ("0001_a", "CREATE TABLE a ()", "DROP TABLE a"),
        ("0002_b", middle, "DROP TABLE b"),
        ("0003_c", "CREATE TABLE c ()", "DROP TABLE c"),
    )


def tables(db: Database) -> list[str]:
    return [name for (name,) in db.rows("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1")]


def applied(db: Database) -> list[str]:
    return [name for (name,) in db.rows("SELECT m.name FROM belay.applied a JOIN belay.migration m ON m.id = a.migration_id ORDER BY a.position")]


def steps(db: Database) -> list[tuple]:
    return db.rows("SELECT name, direction, outcome, sqlstate FROM belay.step ORDER BY id")


def untimed(messages: list[str]) -> list[str]:
    return [re.sub(r"\([0-9.]+ m?s\)", "(…)", message) for message in messages]


def locks(db: Database) -> list[tuple]:
    return db.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1651270009::oid")


# ── per_migration, per_run ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("option", ["", "transaction => 'per_migration'"])
def test_per_migration_keeps_what_went_before_a_failure_and_nothing_of_it(db, option):
    three(db, "CREATE TABLE half (); INSERT INTO half SELECT; SELECT 1/0")
    with expect_error("22012", message="division by zero"):
        db.execute(f"CALL belay.migrate_up({option})")
    assert tables(db) == ["a"] and applied(db) == ["0001_a"] and locks(db) == []
    assert steps(db) == [("0001_a", "up", "applied", None), ("0002_b", "up", "failed", "22012")]
    assert db.rows("SELECT outcome, transaction, applied, reverted FROM belay.run") == [("failed", "per_migration", 1, 0)]
    assert untimed(db.session.messages) == ["applied 0001_a (…)"]
    register(db, ("0002_b", "CREATE TABLE b ()"), replace=True)
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]


def test_sg_09_another_session_sees_each_migration_as_soon_as_it_is_committed(db):
    three(db, "SELECT pg_advisory_lock(7)")
    db.execute("SELECT pg_advisory_lock(7)")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    assert applied(db) == ["0001_a"] and tables(db) == ["a"]
    db.execute("SELECT pg_advisory_unlock(7)")
    run.finish()
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]


def test_per_run_keeps_all(db):
    three(db)
    db.execute("CALL belay.migrate_up(transaction => 'per_run')")
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]
    assert db.rows("SELECT outcome, transaction, applied FROM belay.run") == [("succeeded", "per_run", 3)]
    # One transaction wrote all of it.
    assert db.one("SELECT count(DISTINCT xmin::text) FROM belay.applied") == 1


def test_per_run_keeps_nothing_after_a_failure_and_the_history_says_so(db):
    three(db, "CREATE TABLE half (); SELECT 1/0")
    with expect_error("22012") as error:
        db.execute("CALL belay.migrate_up(transaction => 'per_run')")
    assert error.context == 'migration "0002_b" of project "default", up, statement 2 of 2, line 1'
    assert tables(db) == [] and applied(db) == [] and locks(db) == []
    assert steps(db) == [("0001_a", "up", "rolled back", None), ("0002_b", "up", "failed", "22012")]
    assert db.rows("SELECT outcome, applied, reverted FROM belay.run") == [("failed", 0, 0)]
    assert db.rows("SELECT state FROM belay.migrate_status()") == [("pending",)] * 3


def test_per_run_down_keeps_nothing_after_a_failure(db):
    three(db)
    register(db, ("0004_d", "CREATE TABLE d ()", "DROP TABLE d"))
    db.execute("CALL belay.migrate_up()")
    db.execute("CREATE VIEW holds AS TABLE b")
    with expect_error("2BP01"):
        db.execute("CALL belay.migrate_to('@none', transaction => 'per_run')")
    assert applied(db) == ["0001_a", "0002_b", "0003_c", "0004_d"]
    assert steps(db)[4:] == [
        ("0004_d", "down", "rolled back", None),
        ("0003_c", "down", "rolled back", None),
        ("0002_b", "down", "failed", "2BP01"),
    ]
    with expect_error("2BP01"):
        db.execute("CALL belay.migrate_to('@none')")
    assert applied(db) == ["0001_a", "0002_b"]


def test_a_deferred_violation_ends_its_own_migration_in_per_run(db):
    register(
        db,
        ("0001_a", "CREATE TABLE a (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)"),
        ("0002_b", "INSERT INTO a VALUES (1), (1)"),
        ("0003_c", "CREATE TABLE c ()"),
    )
    with expect_error("23505") as error:
        db.execute("CALL belay.migrate_up(transaction => 'per_run')")
    assert error.constraint_name == "a_id_key" and 'migration "0002_b"' in error.context
    assert [(name, outcome) for name, _, outcome, _ in steps(db)] == [("0001_a", "rolled back"), ("0002_b", "failed")]


def test_deferred_checks_are_deferred_again_in_the_next_migration(db):
    register(
        db,
        ("0001_a", "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int REFERENCES a DEFERRABLE INITIALLY DEFERRED)"),
        ("0002_b", "INSERT INTO b VALUES (1); INSERT INTO a VALUES (1)"),
        ("0003_c", "INSERT INTO b VALUES (2); INSERT INTO a VALUES (2)"),
    )
    db.execute("CALL belay.migrate_up(transaction => 'per_run')")
    assert db.one("SELECT count(*) FROM b") == 2


def test_the_callers_own_deferred_checks_stay_deferred(db):
    db.execute("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int REFERENCES a DEFERRABLE INITIALLY DEFERRED)")
    register(db, ("0001_a", "CREATE TABLE c ()"))
    session = db.connect(autocommit=False)
    session.execute("CALL belay.migrate_up()")
    session.execute("INSERT INTO b VALUES (1)")
    session.execute("INSERT INTO a VALUES (1)")
    session.commit()
    assert applied(db) == ["0001_a"]


# ── inside the caller's transaction ──────────────────────────────────────────────────────────────────────────────────


def test_in_a_transaction_block_all_is_permanent_with_commit_only(db):
    three(db)
    session = db.connect(autocommit=False)
    session.execute("CALL belay.migrate_up()")
    assert untimed(session.messages) == [
        "applied 0001_a (…)", "applied 0002_b (…)", "applied 0003_c (…)", session.messages[3], NOT_PERMANENT,
    ]  # fmt: skip
    assert re.fullmatch(r"3 applied, 0 pending, run \d+", session.messages[3])
    assert applied(db) == [] and locks(db) == [(session.pid,)]
    session.commit()
    assert applied(db) == ["0001_a", "0002_b", "0003_c"] and locks(db) == []
    assert db.rows("SELECT outcome, transaction, applied FROM belay.run") == [("succeeded", "caller", 3)]


def test_a_rollback_of_the_caller_leaves_nothing(db):
    three(db)
    session = db.connect(autocommit=False)
    session.execute("CREATE TABLE own ()")
    session.execute("CALL belay.migrate_up()")
    session.rollback()
    assert tables(db) == [] and applied(db) == [] and locks(db) == []
    assert steps(db) == [] == db.rows("TABLE belay.run")
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]


def test_a_savepoint_of_the_caller_undoes_a_run_with_its_ledger(db):
    three(db)
    session = db.connect(autocommit=False)
    session.execute("CALL belay.migrate_up(steps => 1)")
    session.execute("SAVEPOINT s")
    session.execute("CALL belay.migrate_up()")
    session.execute("CALL belay.migrate_down(steps => 2)")
    session.execute("CALL belay.migrate_up(target => '0002_b')")
    assert session.rows("SELECT state FROM belay.migrate_status()") == [("applied",), ("applied",), ("pending",)]
    session.execute("ROLLBACK TO s")
    assert session.rows("SELECT state FROM belay.migrate_status()") == [("applied",), ("pending",), ("pending",)]
    session.commit()
    assert applied(db) == ["0001_a"] and tables(db) == ["a"] and locks(db) == []


def test_a_failure_in_the_callers_transaction_says_that_nothing_is_recorded(db):
    three(db, "SELECT 1/0")
    session = db.connect(autocommit=False)
    with expect_error("22012", message="division by zero", hint=AUTOCOMMIT_HINT) as error:
        session.execute("CALL belay.migrate_up()")
    assert error.context == 'migration "0002_b" of project "default", up, statement 1 of 1, line 1'
    with expect_error("25P02"):
        session.execute("SELECT 1")
    session.rollback()
    assert tables(db) == [] and steps(db) == [] == db.rows("TABLE belay.run") and locks(db) == []
    session.execute("CALL belay.migrate_up(steps => 1)")
    session.commit()
    assert applied(db) == ["0001_a"]


def test_a_hint_of_the_migrations_own_stays_before_the_one_about_autocommit(db):
    register(db, ("0001_a", "DO $$ BEGIN RAISE EXCEPTION 'x' USING HINT = 'first this'; END $$"))
    session = db.connect(autocommit=False)
    with expect_error("P0001", hint="first this; " + AUTOCOMMIT_HINT):
        session.execute("CALL belay.migrate_up()")


def test_a_caller_survives_a_failed_run_behind_a_savepoint(db):
    three(db, "SELECT 1/0")
    session = db.connect(autocommit=False)
    session.execute("CREATE TABLE own ()")
    session.execute("SAVEPOINT s")
    with expect_error("22012"):
        session.execute("CALL belay.migrate_up()")
    session.execute("ROLLBACK TO s")
    session.execute("CALL belay.migrate_up(steps => 1)")
    session.commit()
    assert tables(db) == ["a", "own"] and applied(db) == ["0001_a"] and locks(db) == []


def test_per_migration_in_a_transaction_block_is_refused(db):
    three(db)
    session = db.connect(autocommit=False)
    with expect_error(
        "25001",
        message="transaction => 'per_migration' cannot commit inside the caller's transaction",
        hint="call it outside a transaction block (autocommit), or leave the argument out",
    ):
        session.execute("CALL belay.migrate_up(transaction => 'per_migration')")
    session.rollback()
    assert steps(db) == []


def test_per_run_in_a_transaction_block_is_what_happens_anyway(db):
    three(db)
    session = db.connect(autocommit=False)
    session.execute("CALL belay.migrate_up(transaction => 'per_run')")
    session.commit()
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]


def test_an_old_snapshot_of_the_caller_does_not_apply_twice(db):
    register(db, ("0001_a", "CREATE TABLE IF NOT EXISTS a (n int); INSERT INTO a VALUES (1)"))
    old = db.connect(autocommit=False)
    old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    assert old.rows("SELECT state FROM belay.migrate_status()") == [("pending",)]
    db.execute("CALL belay.migrate_up()")
    with expect_error("40001"):
        old.execute("CALL belay.migrate_up()")
    old.rollback()
    assert db.rows("TABLE a") == [(1,)] and len(steps(db)) == 1


def test_a_prepared_transaction_of_the_caller_keeps_the_lock_until_it_is_committed(db):
    three(db)
    session = db.connect()
    session.execute("BEGIN")
    session.execute("CALL belay.migrate_up()")
    session.execute("PREPARE TRANSACTION 'belay_two_phase'")
    with expect_error("55P03"):
        db.execute("CALL belay.migrate_up(steps => 1)")
    db.execute("COMMIT PREPARED 'belay_two_phase'")
    assert applied(db) == ["0001_a", "0002_b", "0003_c"] and locks(db) == []


# ── from PL/pgSQL ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_do_block_commits_each_migration(db):
    three(db, "SELECT 1/0")
    with expect_error("22012") as error:
        db.execute("DO $$ BEGIN CALL belay.migrate_up(); END $$")
    assert error.hint is None
    assert applied(db) == ["0001_a"] and tables(db) == ["a"] and locks(db) == []
    assert steps(db) == [("0001_a", "up", "applied", None), ("0002_b", "up", "failed", "22012")]
    assert db.rows("SELECT outcome, transaction, applied FROM belay.run") == [("failed", "per_migration", 1)]


def test_per_run_from_a_do_block_keeps_nothing_after_a_failure(db):
    three(db, "SELECT 1/0")
    with expect_error("22012"):
        db.execute("DO $$ BEGIN CALL belay.migrate_up(transaction => 'per_run'); END $$")
    assert applied(db) == [] and tables(db) == [] and locks(db) == []
    assert [outcome for _, _, outcome, _ in steps(db)] == ["rolled back", "failed"]
    register(db, ("0002_b", "CREATE TABLE b ()", "DROP TABLE b"), replace=True)
    db.execute("DO $$ BEGIN CALL belay.migrate_up(transaction => 'per_run'); END $$")
    assert db.one("SELECT count(DISTINCT xmin::text) FROM belay.applied") == 1


def test_a_procedure_keeps_its_loop_and_its_variables_across_the_commits(db):
    three(db)
    db.execute("CREATE TABLE words (w text); INSERT INTO words VALUES ('one'), ('two'), ('three')")
    db.execute("""
        CREATE PROCEDURE ups(said INOUT text) LANGUAGE plpgsql AS $$
        DECLARE r record; n int := 0; list text[] := '{}';
        BEGIN
            FOR r IN SELECT w, repeat(w, 5000) AS long FROM words LOOP
                n := n + 1; list := list || r.w;
                CALL belay.migrate_up(steps => 1);
                ASSERT r.long = repeat(r.w, 5000) AND cardinality(list) = n;
                COMMIT;
            END LOOP;
            said := said || array_to_string(list, ',');
        END $$""")
    assert db.rows("CALL ups('said: ')") == [("said: one,two,three",)]
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]
    assert db.one("SELECT count(DISTINCT xmin::text) FROM belay.applied") == 3


def test_a_procedure_in_a_procedure_commits_too(db):
    three(db, "SELECT 1/0")
    db.execute("CREATE PROCEDURE inner_p() LANGUAGE plpgsql AS $$ BEGIN CALL belay.migrate_up(); END $$")
    db.execute("CREATE PROCEDURE outer_p() LANGUAGE plpgsql AS $$ BEGIN CALL inner_p(); END $$")
    with expect_error("22012"):
        db.execute("CALL outer_p()")
    assert applied(db) == ["0001_a"]


def test_a_block_with_exception_is_atomic_and_can_catch_the_failure(db):
    three(db, "SELECT 1/0")
    db.execute("""
        DO $$ DECLARE hint text; context text; BEGIN
            CALL belay.migrate_up();
            RAISE 'not reached';
        EXCEPTION WHEN division_by_zero THEN
            GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
            RAISE NOTICE '%', hint; RAISE NOTICE '%', context;
        END $$""")
    assert db.session.messages[-2] == AUTOCOMMIT_HINT
    assert db.session.messages[-1].startswith('migration "0002_b" of project "default", up, statement 1 of 1, line 1')
    assert applied(db) == [] and tables(db) == [] and steps(db) == [] and locks(db) == []
    register(db, ("0002_b", "CREATE TABLE b ()", "DROP TABLE b"), replace=True)
    db.execute("DO $$ BEGIN CALL belay.migrate_up(); EXCEPTION WHEN division_by_zero THEN NULL; END $$")
    assert applied(db) == ["0001_a", "0002_b", "0003_c"] and locks(db) == []


def test_a_do_block_inside_a_transaction_block_is_the_callers_transaction(db):
    three(db)
    session = db.connect(autocommit=False)
    session.execute("DO $$ BEGIN CALL belay.migrate_up(); END $$")
    assert session.messages[-1] == NOT_PERMANENT
    session.rollback()
    assert applied(db) == [] and steps(db) == []


def test_a_do_block_goes_on_after_a_failure_in_an_earlier_call(db):
    three(db, "SELECT 1/0")
    for _ in range(3):
        with expect_error("22012"):
            db.execute("DO $$ BEGIN FOR i IN 1..5 LOOP CALL belay.migrate_up(steps => 1); END LOOP; END $$")
    assert applied(db) == ["0001_a"] and len(steps(db)) == 4 and locks(db) == []


# ── protocols and clients ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_extended_protocol_with_parameters(db):
    three(db)
    db.execute("CALL belay.migrate_up(target => %s)", ["0002_b"])
    assert applied(db) == ["0001_a", "0002_b"]
    db.execute("CALL belay.migrate_down(steps => %s, project => %s)", [1, "default"])
    assert applied(db) == ["0001_a"]
    db.execute("CALL belay.migrate_to(%b)", ["0003_c"])
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]


def test_a_prepared_statement_runs_many_times(db):
    three(db)
    session = db.connect()
    for _ in range(4):
        session.execute("CALL belay.migrate_up(steps => %s)", [3], prepare=True)
        session.execute("CALL belay.migrate_down(steps => %s)", [3], prepare=True)
    assert len(session.rows("SELECT FROM pg_prepared_statements WHERE statement LIKE 'CALL%%'")) == 2
    assert len(steps(db)) == 24 and applied(db) == []
    register(db, ("0002_b", "SELECT 1/0"), replace=True)
    for _ in range(2):
        with expect_error("22012"):
            session.execute("CALL belay.migrate_up(steps => %s)", [3], prepare=True)
        session.execute("CALL belay.migrate_down(steps => %s)", [1], prepare=True)


def test_a_pipeline_runs_it_between_other_statements(db):
    three(db)
    session = db.connect()
    with session.pipeline():
        before = session.execute("SELECT %s::int", [1])
        session.execute("CALL belay.migrate_up(project => %s)", ["default"])
        after = session.execute("SELECT count(*) FROM belay.applied")
    assert before.fetchone() == (1,) and after.fetchone() == (3,)
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]


def test_a_failure_in_a_pipeline_leaves_the_connection_usable(db):
    three(db, "SELECT 1/0")
    session = db.connect()
    with expect_error("22012"), session.pipeline():
        session.execute("CALL belay.migrate_up(project => %s)", ["default"])
        session.execute("SELECT 1")
    assert session.one("SELECT 1") == 1 and locks(db) == []


@pytest.mark.parametrize(
    "text, sqlstate, left",
    [
        ("CREATE TABLE own (); CALL belay.migrate_up()", None, ["a", "b", "c", "own"]),
        ("CALL belay.migrate_up(); CREATE TABLE own ()", None, ["a", "b", "c", "own"]),
        ("CALL belay.migrate_up(); SELECT 1/0", "22012", []),
        ("BEGIN; CALL belay.migrate_up(); COMMIT; SELECT 1/0", "22012", ["a", "b", "c"]),
        ("BEGIN; CALL belay.migrate_up(); ROLLBACK", None, []),
        ("CALL belay.migrate_up(steps => 1); CALL belay.migrate_up(steps => 1); CALL belay.migrate_down()", None, ["a"]),
    ],
)
def test_a_string_of_several_statements_is_one_transaction(db, text, sqlstate, left):
    three(db)
    if sqlstate is None:
        db.execute(text)
    else:
        with expect_error(sqlstate):
            db.execute(text)
    assert tables(db) == left and locks(db) == []
    assert applied(db) == [f"000{'abc'.index(name) + 1}_{name}" for name in left if name != "own"]


@pytest.mark.parametrize("autocommit", ["on", "off"])
def test_psql_with_autocommit_on_and_off(db, autocommit):
    three(db)
    done = db.psql(f"\\set AUTOCOMMIT {autocommit}\nCALL belay.migrate_up();\n\\echo before\nROLLBACK;\nTABLE a;", "--set", "ON_ERROR_STOP=0")
    assert (NOT_PERMANENT in done.stderr) == (autocommit == "off"), done.stderr
    assert applied(db) == (["0001_a", "0002_b", "0003_c"] if autocommit == "on" else [])


def test_psql_single_transaction_is_all_or_nothing(db):
    three(db)
    done = db.psql("CALL belay.migrate_up();\nSELECT 1/0;", "--single-transaction")
    assert done.returncode == 3 and applied(db) == []


def test_a_row_factory_and_a_server_side_cursor_of_the_client_do_not_disturb(db):
    three(db)
    session = db.connect(autocommit=False)
    cursor = session.cursor(name="held", row_factory=tuple_row, withhold=True)
    cursor.execute("SELECT * FROM generate_series(1, 1000)")
    session.commit()
    session.autocommit = True
    session.execute("CALL belay.migrate_up()")
    assert len(cursor.fetchall()) == 1000
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]


NODE = """
const { Client } = require('pg');
(async () => {
  const client = new Client({ connectionString: process.argv[1] });
  const said = [];
  client.on('notice', n => said.push(n.message));
  await client.connect();
  await client.query('CALL belay.migrate_up(target => $1)', ['0001_a']);
  await client.query('BEGIN');
  await client.query('CALL belay.migrate_up()').catch(e => said.push([e.code, e.hint, e.internalQuery, e.where]));
  await client.query('ROLLBACK');
  await client.query('CALL belay.migrate_up()').catch(e => said.push([e.code, e.hint, e.internalQuery, e.where]));
  const { rows } = await client.query('SELECT name, state FROM belay.migrate_status()');
  await client.end();
  console.log(JSON.stringify({ said, rows }));
})();
"""


@pytest.mark.skipif(
    not (TREE / ".belay/node/node_modules/pg").exists() or shutil.which("node") is None,
    reason="node-postgres is not set up: apt-get install nodejs npm; tools/setup --tests",
)
def test_node_postgres(db):
    three(db, "SELECT nope")
    done = subprocess.run(
        ["node", "-e", NODE, db.url()], capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"NODE_PATH": str(TREE / ".belay/node/node_modules")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    context = 'migration "0002_b" of project "default", up, statement 1 of 1, line 1'
    assert untimed([s for s in told["said"] if isinstance(s, str)])[0] == "applied 0001_a (…)"
    assert [s for s in told["said"] if not isinstance(s, str)] == [
        ["42703", AUTOCOMMIT_HINT, "SELECT nope", context],
        ["42703", None, "SELECT nope", context],
    ]
    assert [row["state"] for row in told["rows"]] == ["applied", "pending", "pending"]


# ── defaults of the session, read-only servers ───────────────────────────────────────────────────────────────────────

SEES = """CREATE TABLE seen AS SELECT current_setting('transaction_isolation') AS isolation,
    current_setting('transaction_read_only') AS read_only, current_setting('transaction_deferrable') AS deferrable"""


@pytest.mark.parametrize("call", ["CALL belay.migrate_up()", "CALL belay.migrate_up(transaction => 'per_run')", "DO $$ BEGIN CALL belay.migrate_up(); END $$"])
@pytest.mark.parametrize("isolation", ["serializable", "repeatable read"])
def test_belays_own_transactions_are_read_committed_and_read_write(db, isolation, call):
    register(db, ("0001_a", "SELECT 1"), ("0002_b", SEES))
    session = db.connect()
    session.execute(f"SET default_transaction_isolation = '{isolation}'; SET default_transaction_deferrable = on")
    session.execute(call)
    assert db.rows("TABLE seen") == [("read committed", "off", "off")]
    assert session.one("SHOW transaction_isolation") == isolation


def test_the_callers_transaction_keeps_its_isolation(db):
    register(db, ("0001_a", SEES))
    db.execute("BEGIN ISOLATION LEVEL SERIALIZABLE; CALL belay.migrate_up(); COMMIT")
    assert db.rows("TABLE seen") == [("serializable", "off", "off")]


READ_ONLY = {
    "sqlstate": "25006",
    "message": "migrations cannot run in a read-only transaction",
    "hint": re.compile("SET default_transaction_read_only = off"),
}


@pytest.mark.parametrize(
    "before, call",
    [
        ("SET default_transaction_read_only = on", "CALL belay.migrate_up()"),
        ("SET default_transaction_read_only = on", "DO $$ BEGIN CALL belay.migrate_up(); END $$"),
        ("SET default_transaction_read_only = on", "CALL belay.migrate_down()"),
        ("SET default_transaction_read_only = on", "BEGIN; CALL belay.migrate_up()"),
        ("BEGIN READ ONLY", "CALL belay.migrate_up()"),
    ],
)
def test_a_read_only_session_is_refused_before_anything_runs(db, before, call):
    three(db)
    session = db.connect()
    session.execute(before)
    with expect_error(**READ_ONLY):
        session.execute(call)
    assert steps(db) == [] == db.rows("TABLE belay.run") and locks(db) == []


def test_a_read_write_block_of_a_read_only_session_may_migrate(db):
    three(db)
    session = db.connect()
    session.execute("SET default_transaction_read_only = on")
    session.execute("BEGIN READ WRITE; CALL belay.migrate_up(); COMMIT")
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]


def test_a_standby_refuses_the_verbs_and_answers_the_questions(db, standby):
    three(db)
    db.execute("CALL belay.migrate_up(steps => 1)")
    copy = standby.database(db)
    for call in (
        "CALL belay.migrate_up()", "CALL belay.migrate_down()", "CALL belay.migrate_to('@none')", "CALL belay.migrate_redo()",
        "CALL belay.migrate_up(transaction => 'per_run')", "DO $$ BEGIN CALL belay.migrate_up(); END $$",
    ):  # fmt: skip
        with expect_error(
            "25006",
            message="migrations cannot run on a standby",
            hint="connect to the primary; reading (migrate_status, migrate_plan) works here",
        ):
            copy.execute(call)
    with expect_error("25006"), copy.connect(autocommit=False) as block:
        block.execute("CALL belay.migrate_up()")
    assert copy.rows("SELECT name, state FROM belay.migrate_status()") == [
        ("0001_a", "applied"), ("0002_b", "pending"), ("0003_c", "pending"),
    ]  # fmt: skip
    assert copy.rows("SELECT name FROM belay.migrate_plan()") == [("0002_b",), ("0003_c",)]
    assert copy.rows("SELECT name FROM belay.migrate_plan(verb => 'down', steps => 1)") == [("0001_a",)]
    assert copy.rows("SELECT name, problem FROM belay.migrate_validate()") == [("0002_b", "pending"), ("0003_c", "pending")]
    assert copy.rows("SELECT name, outcome FROM belay.migrate_history()") == [("0001_a", "applied")]
    assert copy.one("SELECT belay.migrate_check()") == 2
    assert copy.one("SELECT (belay.last_run()).id") is None


@pytest.mark.parametrize(
    "change",
    [
        "SELECT belay.migrate_register('0004', 'SELECT 1')",
        "SELECT * FROM belay.migrate_load_files('{\"0001_a.sql\": \"SELECT 1\"}')",
        "SELECT belay.migrate_unregister('0002_b')",
        "SELECT belay.migrate_rename('0002_b', '0002_x')",
        "SELECT belay.project_create('p')",
        "SELECT belay.project_alter('default', allow_down => false)",
    ],
)
def test_a_standby_refuses_registration_with_a_hint(db, standby, change):
    three(db)
    copy = standby.database(db)
    with expect_error("25006", hint=re.compile("primary")):
        copy.execute(change)


def test_a_run_ends_with_the_session_idle_and_no_snapshot_held(db):
    three(db)
    session = db.connect()
    session.execute("CALL belay.migrate_up()")
    assert session.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    query = "SELECT state, backend_xmin, backend_xid FROM pg_stat_activity WHERE pid = %s"
    db.wait_for("SELECT state = 'idle' FROM pg_stat_activity WHERE pid = %s", [session.pid])
    assert db.rows(query, [session.pid]) == [("idle", None, None)]
