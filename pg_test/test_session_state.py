"""What a migration does to the session ends with it, and what keeps the ledger cannot be switched off from inside."""

from __future__ import annotations

import re

import psycopg
import pytest

from harness.database import Database
from harness.session import Session, describe, expect_error

# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#: What a migration does to the session. {role} is a role without rights of its own.
DISTURBING = {
    "SET": "SET work_mem = '7MB'",
    "SET LOCAL": "SET LOCAL work_mem = '7MB'",
    "set_config": "SELECT set_config('work_mem', '7MB', false)",
    "set_config for the transaction": "SELECT set_config('work_mem', '7MB', true)",
    "set_config from PL/pgSQL": "DO $$ BEGIN PERFORM set_config('work_mem', '7MB', false); PERFORM set_config('app.set', 'z', false); END $$",
    "RESET": "RESET work_mem",
    "RESET ALL": "RESET ALL",
    "SET TO DEFAULT": "SET work_mem TO DEFAULT; SET app.kept TO DEFAULT",
    "SET SCHEMA": "SET search_path = nowhere",
    "SET app": "SET app.kept = 'changed'; SET app.made = 'new'",
    "SET ROLE": "SET ROLE {role}",
    "SET LOCAL ROLE": "SET LOCAL ROLE {role}",
    "SET ROLE by set_config": "SELECT set_config('role', '{role}', false)",
    "SET SESSION AUTHORIZATION": "SET SESSION AUTHORIZATION {role}",
    "SET SESSION AUTHORIZATION by set_config": "SELECT set_config('session_authorization', '{role}', false)",
    "session_replication_role": "SET session_replication_role = replica",
    "timeouts": "SET statement_timeout = '1h'; SET lock_timeout = '1h'; SET idle_in_transaction_session_timeout = '1h'",
    "transaction defaults": "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, DEFERRABLE",
    "read-only by default": "SET default_transaction_read_only = on",
    "how values are written": "SET TIME ZONE 'Asia/Tokyo'; SET DateStyle = 'German'; SET bytea_output = 'escape'; SET extra_float_digits = -5",
    "names": "SET application_name = 'a migration'",
    "Belay's own": "SET belay.notify = off; SET belay.lock_timeout = '9s'",
    "a superuser's": "SET log_statement = 'all'; SET row_security = off",
    "standard_conforming_strings": "SET standard_conforming_strings = off",
}

#: What the caller has set before.
CALLERS_OWN = """
    LOAD 'plpgsql'; LOAD 'pg_belay';
    SET work_mem = '5MB'; SET search_path = public, pg_catalog; SET app.kept = 'kept'; SET statement_timeout = '59min';
    SET lock_timeout = '58min'; SET TIME ZONE 'Europe/Paris'; SET application_name = 'the caller'
"""

WAYS_OUT = {"success": "", "error": "SELECT 1/0", "cancel": "SELECT public.cancel_me(), pg_sleep(20)"}
#: A role without rights may use it, too.
CANCEL = """
    CREATE FUNCTION public.cancel_me() RETURNS bool LANGUAGE sql SECURITY DEFINER AS $$ SELECT pg_cancel_backend(pg_backend_pid()) $$
"""
CALLS = {
    "per_migration": "CALL belay.migrate_up()",
    "per_run": "CALL belay.migrate_up(transaction => 'per_run')",
    "transaction off": "CALL belay.migrate_up()",
    "caller": "BEGIN; CALL belay.migrate_up()",
    "DO": "DO $$ BEGIN CALL belay.migrate_up(); END $$",
}


#: The settings of a library are listed once it is loaded.
LOAD = "LOAD 'plpgsql'; LOAD 'pg_belay'"


def state(session: Session) -> dict[str, object]:
    """Who the session is and everything that is set, where it came from included: a session's own value hides the file's."""
    found: dict[str, object] = {
        name: (setting, source) for name, setting, source in session.rows("SELECT name, setting, source FROM pg_settings")
    }
    who = "SELECT current_user, session_user, current_setting('role'), current_setting('session_authorization')"
    found["(who)"] = session.rows(who)[0]
    # A custom setting that was made stays known to the server; it is empty from then on.
    custom = "SELECT " + ", ".join(f"coalesce(current_setting('app.{name}', true), '')" for name in ("kept", "made", "set"))
    found["(custom)"] = session.rows(custom)[0]
    return found


#: These follow the transaction that asks.
OF_THE_TRANSACTION = {"transaction_isolation", "transaction_read_only", "transaction_deferrable"}


def difference(before: dict, after: dict) -> dict:
    names = (before.keys() | after.keys()) - OF_THE_TRANSACTION
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def run_disturbing(db: Database, number: int, body: str, mode: str, way: str) -> tuple[Session, dict, str | None]:
    """Runs one migration with that body and one after it, on a session of its own; what changed, and the SQLSTATE."""
    directive = "-- belay: transaction off\n" if mode == "transaction off" else ""
    name = f"{number:04}"
    text = directive + "; ".join(part for part in (body, WAYS_OUT[way]) if part)
    db.execute("SELECT belay.migrate_register(%s, %s)", [f"{name}_a", text])
    session = db.connect()
    session.execute(CALLERS_OWN)
    before = state(session)
    sqlstate = None
    try:
        session.execute(CALLS[mode])
    except psycopg.Error as error:
        sqlstate = error.sqlstate
    if mode == "caller":
        session.execute("COMMIT")
    return session, difference(before, state(session)), sqlstate


@pytest.mark.parametrize("body", DISTURBING.values(), ids=DISTURBING)
def test_the_session_is_as_before_on_every_way_out(db, body):
    body = body.format(role=db.role("weak"))
    db.execute(CANCEL)
    leaks, outcomes, number = {}, {}, 0
    for mode in CALLS:
        for way in WAYS_OUT:
            number += 1
            session, leak, sqlstate = run_disturbing(db, number, body, mode, way)
            if leak:
                leaks[mode, way] = leak
            outcomes[mode, way] = sqlstate
            assert session.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()") == 0
            session.close()
            # What failed half-way must not stand in the way of the next one.
            db.execute("SELECT belay.migrate_register(%s, 'SELECT 1', replace => true)", [f"{number:04}_a"]) if sqlstate else None
            if sqlstate and mode == "transaction off":
                mend(db, f"{number:04}_a", body)
            db.execute("CALL belay.migrate_up()")
    assert leaks == {}
    assert outcomes == {(mode, way): {"success": None, "error": "22012", "cancel": "57014"}[way] for mode in CALLS for way in WAYS_OUT}


def mend(db: Database, name: str, body: str) -> None:
    """Gives an unfinished migration a text that ends well: what ran stays as it was."""
    text = "-- belay: transaction off\n" + body + "; SELECT 2"
    db.execute("SELECT belay.migrate_register(%s, %s, replace => true)", [name, text])


@pytest.mark.thinned
@pytest.mark.parametrize(
    "body, mode",
    [
        pytest.param(body, mode, id=f"{title}, {mode}")
        for title, body in DISTURBING.items()
        for mode in CALLS
        for lost in [mode == "transaction off" and title in ("RESET ALL", "read-only by default")]
    ],
)
def test_the_next_migration_finds_the_session_as_the_caller_left_it(db, mode, body):
    directive = "-- belay: transaction off\n" if mode == "transaction off" else ""
    body = body.format(role=db.role("weak"))
    see = "CREATE TABLE public.seen{} AS SELECT name, setting FROM pg_settings UNION ALL SELECT '(who)', concat_ws(' ', current_user, session_user, current_setting('app.kept', true))"
    db.execute("SELECT belay.migrate_register('0001_before', %s)", [see.format("_before")])
    db.execute("SELECT belay.migrate_register('0002_disturbing', %s)", [directive + body])
    db.execute("SELECT belay.migrate_register('0003_after', %s)", [see.format("_after")])
    with db.connect() as session:
        session.execute(CALLERS_OWN)
        session.execute(CALLS[mode])
        session.execute("COMMIT") if mode == "caller" else None
    assert db.rows("SELECT * FROM seen_before EXCEPT TABLE seen_after UNION ALL (SELECT * FROM seen_after EXCEPT TABLE seen_before)") == []


@pytest.mark.parametrize("mode", CALLS)
def test_a_setting_holds_until_the_end_of_its_migration(db, mode):
    directive = "-- belay: transaction off\n" if mode == "transaction off" else ""
    body = "SET work_mem = '7MB'; SET app.x = 'here'; CREATE TABLE seen AS SELECT current_setting('work_mem') AS m, current_setting('app.x') AS x"
    db.execute("SELECT belay.migrate_register('0001', %s)", [directive + body])
    db.execute(CALLS[mode])
    db.execute("COMMIT") if mode == "caller" else None
    assert db.rows("TABLE seen") == [("7MB", "here")]


@pytest.mark.parametrize("mode", CALLS)
@pytest.mark.parametrize("body", ["RESET ROLE", "SET ROLE {other}", "SET SESSION AUTHORIZATION DEFAULT", "RESET ALL", "DO $$ BEGIN RESET ROLE; END $$"])
def test_a_role_that_the_caller_had_set_is_set_again(db, mode, body):
    deployer, other = db.role("deployer"), db.role("other")
    db.execute(f"GRANT CREATE ON SCHEMA public TO {deployer}, {other}; GRANT EXECUTE ON ALL ROUTINES IN SCHEMA belay TO {deployer}, {other}")
    directive = "-- belay: transaction off\n" if mode == "transaction off" else ""
    leaks = {}
    session = db.connect()
    session.execute(f"{LOAD}; SET ROLE {deployer}")
    for number, way in enumerate(["success", "error"], 1):
        text = directive + body.format(other=other) + (";" + WAYS_OUT[way] if WAYS_OUT[way] else "")
        session.execute("SELECT belay.migrate_register(%s, %s)", [f"000{number}", text])
        db.execute("SELECT belay.project_alter('default', trusted => %s)", [[deployer]])
        before = state(session)
        try:
            session.execute(CALLS[mode])
        except psycopg.Error as error:
            assert (way, error.sqlstate) == ("error", "22012"), describe(error)
        session.execute("COMMIT") if mode == "caller" else None
        if leak := difference(before, state(session)):
            leaks[way] = leak
    assert leaks == {}


@pytest.mark.parametrize("later", ["SELECT 1/0", "SET work_mem = '8MB'; SELECT 1/0"])
def test_a_setting_of_a_migration_does_not_come_back_when_a_later_one_fails(db, later):
    db.execute("SELECT belay.migrate_register('0001_a', %s)", ["-- belay: transaction off\nSET work_mem = '7MB'; SELECT 1"])
    db.execute("SELECT belay.migrate_register('0002_b', %s)", [later])
    session = db.connect()
    session.execute(LOAD)
    before = state(session)
    with expect_error("22012"):
        session.execute("CALL belay.migrate_up()")
    assert difference(before, state(session)) == {}


# ── search_path ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", CALLS)
def test_a_projects_search_path_is_used_and_recorded(db, mode):
    db.execute("CREATE SCHEMA tenant; SELECT belay.project_create('p', search_path => 'tenant, public')")
    directive = "-- belay: transaction off\n" if mode == "transaction off" else ""
    db.execute("SELECT belay.migrate_register('0001', %s, project => 'p')", [directive + "CREATE TABLE here (); SET search_path = nowhere; SELECT 1"])
    db.execute("SELECT belay.migrate_register('0002', %s, project => 'p')", [directive + "CREATE TABLE here_too ()"])
    db.execute(CALLS[mode].replace("migrate_up()", "migrate_up(project => 'p')").replace("'per_run'", "'per_run', project => 'p'"))
    db.execute("COMMIT") if mode == "caller" else None
    assert db.rows("SELECT oid::regclass::text FROM pg_class WHERE relname LIKE 'here%'") == [("tenant.here",), ("tenant.here_too",)]
    assert db.rows("SELECT search_path FROM belay.step ORDER BY id") == [("tenant, public",)] * 2
    assert db.one("SHOW search_path") == '"$user", public'


def test_without_a_projects_own_the_callers_search_path_is_used_and_recorded(db):
    db.execute("CREATE SCHEMA mine; SET search_path = mine")
    db.execute("SELECT belay.migrate_register('0001', 'CREATE TABLE here ()')")
    db.execute("CALL belay.migrate_up()")
    assert db.one("SELECT 'mine.here'::regclass::text") == "here"
    assert db.rows("SELECT search_path FROM belay.step") == [("mine",)]


@pytest.mark.parametrize("mode", CALLS)
def test_operators_and_functions_before_pg_catalog_do_not_reach_belays_own_queries(db, mode):
    db.execute("""
        CREATE SCHEMA trap;
        CREATE FUNCTION trap.bad(anyelement, anyelement) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
        CREATE FUNCTION trap.bad_text(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
        CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.bad_text);
        CREATE OPERATOR trap.= (LEFTARG = anyelement, RIGHTARG = anyelement, FUNCTION = trap.bad);
        CREATE FUNCTION trap.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
        CREATE FUNCTION trap.count(anyelement) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
        CREATE TABLE trap.pg_extension (extname text); CREATE TABLE trap.pg_class (relname text)""")
    directive = "-- belay: transaction off\n" if mode == "transaction off" else ""
    db.execute("SET search_path = trap, pg_catalog, public")
    db.execute("SELECT belay.migrate_register('0001', %s, 'SELECT 1')", [directive + "SELECT 1; SET search_path = trap, pg_catalog; SELECT 2"])
    db.execute(CALLS[mode])
    db.execute("COMMIT") if mode == "caller" else None
    assert db.rows("SELECT name, state FROM belay.migrate_status()") == [("0001", "applied")]
    db.execute("CALL belay.migrate_down()")


# ── what is not a setting ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["per_migration", "per_run", "transaction off", "DO"])
@pytest.mark.parametrize("unlock", ["SELECT pg_advisory_unlock_all()", "DO $$ BEGIN PERFORM pg_advisory_unlock_all(); END $$"])
def test_unlocking_everything_does_not_lose_the_lock(db, mode, unlock):
    directive = "-- belay: transaction off\n" if mode == "transaction off" else ""
    db.execute("SELECT belay.migrate_register('0001', %s)", [directive + unlock + "; CREATE TABLE a (); SELECT pg_advisory_lock(7)"])
    db.execute("SELECT belay.migrate_register('0002', 'CREATE TABLE b ()')")
    db.execute("SELECT pg_advisory_lock(7)")
    run = db.start(CALLS[mode])
    db.wait_until_blocked(run.pid)
    with expect_error("55P03"):
        db.execute("CALL belay.migrate_up(on_contention => 'fail')")
    db.execute("SELECT pg_advisory_unlock(7)")
    run.finish()
    assert db.rows("SELECT state FROM belay.migrate_status()") == [("applied",)] * 2
    assert db.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1651270009::oid") == []


def test_a_lock_that_another_session_takes_meanwhile_stops_the_run_before_it_commits(db):
    project = db.one("SELECT project_id FROM belay.migrate_register('0001', 'CREATE TABLE a (); SELECT pg_advisory_unlock_all(), pg_advisory_lock(7)')")
    db.execute("SELECT belay.migrate_register('0002', 'CREATE TABLE b ()')")
    db.execute("SELECT pg_advisory_lock(7)")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    thief = db.connect()
    assert thief.one("SELECT pg_try_advisory_lock(1651270009, %s)", [project])
    db.execute("SELECT pg_advisory_unlock(7)")
    with expect_error(
        "MG013",
        message='the lock of project "default" was lost and another session has taken it',
        hint=re.compile("pg_advisory_unlock_all"),
    ):
        run.finish()
    assert db.one("SELECT to_regclass('a')") is None
    assert db.rows("SELECT outcome, sqlstate FROM belay.step") == [("failed", "MG013")]


def test_discard_all_keeps_the_callers_settings(db):
    db.execute("SELECT belay.migrate_register('0001', 'DISCARD ALL')")
    session = db.connect()
    session.execute(CALLERS_OWN)
    before = state(session)
    session.execute("CALL belay.migrate_up()")
    assert difference(before, state(session)) == {}


def test_discard_all_is_survived(db):
    db.execute("SELECT belay.migrate_register('0001', %s)", ["CREATE TABLE a (); DISCARD ALL; CREATE TABLE b ()"])
    db.execute("SELECT belay.migrate_register('0002', 'CREATE TABLE c ()')")
    assert db.rows("SELECT transactional FROM belay.migrate_plan()") == [(False,), (True,)]
    session = db.connect()
    session.execute("CALL belay.migrate_up()")
    assert db.rows("SELECT state FROM belay.migrate_status()") == [("applied",)] * 2
    session.execute("SELECT belay.migrate_register('0003', 'SELECT 1')")
    session.execute("CALL belay.migrate_up()")
    assert session.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


@pytest.mark.parametrize("what", ["TEMP", "PLANS", "SEQUENCES"])
def test_discarding_parts_of_the_session_is_survived(db, what):
    db.execute("SELECT belay.migrate_register('0001', %s)", [f"DISCARD {what}; CREATE TABLE a ()"])
    for _ in range(2):
        db.execute("CALL belay.migrate_up()")
    assert db.rows("SELECT state FROM belay.migrate_status()") == [("applied",)]


def test_session_state_that_a_transactional_migration_leaves_does_not_disturb_the_next_run(db):
    body = "CREATE TEMP TABLE t (x int); PREPARE p AS SELECT 1; LISTEN l; DECLARE c CURSOR WITH HOLD FOR SELECT 1; SELECT pg_advisory_lock(9)"
    db.execute("SELECT belay.migrate_register('0001', %s)", [body])
    db.execute("SELECT belay.migrate_register('0002', 'CREATE TABLE a ()')")
    db.execute("CALL belay.migrate_up()")
    assert db.rows("SELECT state FROM belay.migrate_status()") == [("applied",)] * 2
    assert db.rows("SELECT objid FROM pg_locks WHERE locktype = 'advisory'") == [(9,)]


# ── calling Belay from a migration ───────────────────────────────────────────────────────────────────────────────────

NESTED = {
    "CALL": "CALL belay.migrate_up()",
    "another project": "CALL belay.migrate_up(project => 'other')",
    "down": "CALL belay.migrate_down()",
    "to": "CALL belay.migrate_to('@none')",
    "redo": "CALL belay.migrate_redo()",
    "DO": "DO $$ BEGIN CALL belay.migrate_up(); END $$",
    "EXECUTE": "DO $$ BEGIN EXECUTE 'CALL ' || 'belay.migrate_up()'; END $$",
    "a function": "SELECT sneaky()",
    "a procedure": "CALL sneaky_too()",
}


@pytest.mark.parametrize("mode", CALLS)
@pytest.mark.parametrize("sql", NESTED.values(), ids=NESTED)
def test_a_migration_cannot_run_migrations(db, sql, mode):
    db.execute("""
        SELECT belay.project_create('other');
        CREATE FUNCTION sneaky() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL belay.migrate_up(); END $$;
        CREATE PROCEDURE sneaky_too() LANGUAGE plpgsql AS $$ BEGIN CALL belay.migrate_up(); END $$;
    """)
    directive = "-- belay: transaction off\n" if mode == "transaction off" else ""
    db.execute("SELECT belay.migrate_register('0001', %s)", [directive + sql])
    db.execute("SELECT belay.migrate_register('0002', 'CREATE TABLE b ()')")
    with expect_error(
        "MG012",
        message="a migration cannot run migrations: a run is active in this session",
        hint=re.compile("take the call out of the migration"),
    ):
        db.execute(CALLS[mode])
    db.execute("ROLLBACK") if mode == "caller" else None
    assert db.one("SELECT to_regclass('b')") is None and db.rows("TABLE belay.applied") == []
    assert db.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    db.execute("SELECT belay.migrate_register('0001', 'SELECT 1', replace => true)") if mode != "transaction off" else None
    if mode != "transaction off":
        db.execute("CALL belay.migrate_up()")
        assert db.rows("SELECT state FROM belay.migrate_status()") == [("applied",)] * 2


def test_looking_from_a_migration_is_allowed(db):
    body = "CREATE TABLE seen AS SELECT name, state FROM belay.migrate_status(); SELECT * FROM belay.migrate_plan(); SELECT * FROM belay.migrate_history()"
    db.execute("SELECT belay.migrate_register('0001', %s)", [body])
    db.execute("CALL belay.migrate_up()")
    assert db.rows("TABLE seen") == [("0001", "running")]


# ── taking the ledger away ───────────────────────────────────────────────────────────────────────────────────────────

ATTACKS = {
    "drop the extension": "DROP EXTENSION pg_belay",
    "drop the extension and what hangs on it": "DROP EXTENSION pg_belay CASCADE",
    "drop the schema": "DROP SCHEMA belay CASCADE",
    "drop a table": "DROP TABLE belay.step CASCADE",
    "drop a function": "DROP FUNCTION belay.judge_applied() CASCADE",
    "drop a procedure": "DROP PROCEDURE belay.migrate_up CASCADE",
    "drop a trigger": "DROP TRIGGER applied_inserted ON belay.applied",
    "drop a constraint": "ALTER TABLE belay.applied DROP CONSTRAINT applied_pkey",
    "drop an index": "DROP INDEX belay.step_migration",
    "drop what is owned": "DROP OWNED BY CURRENT_USER CASCADE",
    "disable a trigger": "ALTER TABLE belay.applied DISABLE TRIGGER applied_frozen",
    "disable all triggers": "ALTER TABLE belay.step DISABLE TRIGGER ALL",
    "add a column": "ALTER TABLE belay.applied ADD COLUMN x int",
    "add a trigger": "CREATE TRIGGER t BEFORE INSERT ON belay.step FOR EACH ROW EXECUTE FUNCTION trap()",
    "add a rule": "CREATE RULE r AS ON INSERT TO belay.step DO INSTEAD NOTHING",
    "row security": "ALTER TABLE belay.applied ENABLE ROW LEVEL SECURITY",
    "rename a table": "ALTER TABLE belay.applied RENAME TO gone",
    "rename the schema": "ALTER SCHEMA belay RENAME TO gone",
    "another schema": "ALTER TABLE belay.applied SET SCHEMA public",
    "another owner": "ALTER TABLE belay.applied OWNER TO {role}",
    "another owner of the schema": "ALTER SCHEMA belay OWNER TO {role}",
    "take it out of the extension": "ALTER EXTENSION pg_belay DROP TABLE belay.applied",
    "update the extension": "ALTER EXTENSION pg_belay UPDATE TO '0.0.9'",
    "replace a function": "CREATE OR REPLACE FUNCTION belay.judge_applied() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    "alter a function": "ALTER FUNCTION belay.judge_applied() SET search_path = trap",
    "empty the history": "TRUNCATE belay.step CASCADE",
    "empty the registry": "TRUNCATE belay.migration CASCADE",
    "delete history": "DELETE FROM belay.step",
    "rewrite history": "UPDATE belay.step SET outcome = 'failed', name = 'x'",
    "forget what is applied": "DELETE FROM belay.applied WHERE position = (SELECT min(position) FROM belay.applied)",
    "change a definition": "UPDATE belay.definition SET up = 'SELECT 1'",
    "reassign what is owned": "REASSIGN OWNED BY CURRENT_USER TO {role}",
    "behind replication": "SET session_replication_role = replica; DELETE FROM belay.step",
}


HOWS = ("plain", "EXECUTE", "transaction off")


@pytest.mark.thinned
@pytest.mark.parametrize(
    "attack, how",
    [
        pytest.param(attack, how, id=f"{title}, {how}")
        for title, attack in ATTACKS.items()
        for how in HOWS
        if not (how == "EXECUTE" and "BEGIN" in attack)  # its body would have to be quoted
    ],
)
def test_a_migration_cannot_take_the_ledger_away(db, attack, how):
    db.execute("CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
    db.execute("SELECT belay.migrate_register('0000', 'CREATE TABLE zero ()')")
    db.execute("SELECT belay.migrate_register('0001', 'CREATE TABLE one ()')")
    db.execute("CALL belay.migrate_up()")
    attack = attack.format(role=db.role("thief"))
    if how == "EXECUTE":
        attack = "DO $do$ BEGIN " + " ".join(f"EXECUTE $ex${part}$ex$;" for part in attack.split("; ")) + " END $do$"
    directive = "-- belay: transaction off\n" if how == "transaction off" else ""
    db.execute("SELECT belay.migrate_register('0002', %s)", [directive + attack])
    catalog = ledger_catalog(db)
    try:
        db.execute("CALL belay.migrate_up()")
        raise AssertionError("the attack ran to its end")
    except psycopg.Error as error:
        refused = error
    assert ledger_catalog(db) == catalog, describe(refused)
    assert refused.sqlstate in ("MG012", "MG015", "MG001", "2BP01", "0A000", "22023"), describe(refused)
    assert db.rows("SELECT m.name FROM belay.applied a JOIN belay.migration m ON m.id = a.migration_id ORDER BY 1") == [("0000",), ("0001",)]
    assert db.rows("SELECT name, outcome FROM belay.step ORDER BY id") == [("0000", "applied"), ("0001", "applied"), ("0002", "failed")]
    assert db.rows("SELECT sqlstate FROM belay.step_error") == [(refused.sqlstate,)]
    db.execute("SELECT belay.migrate_status()")


def ledger_catalog(db: Database) -> list[tuple]:
    """The ledger's objects with what an attack would change of them."""
    return db.rows("""
        SELECT 'relation', c.relname::text, c.relowner::regrole::text, c.relrowsecurity::text, c.relhasrules::text, c.relnatts::text
          FROM pg_class c WHERE c.relnamespace = to_regnamespace('belay')
        UNION ALL SELECT 'trigger', t.tgrelid::regclass::text, t.tgname::text, t.tgenabled::text, '', ''
          FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = to_regnamespace('belay') AND NOT t.tgisinternal
        UNION ALL SELECT 'function', p.proname::text, md5(p.prosrc), p.proowner::regrole::text, p.proconfig::text, ''
          FROM pg_proc p WHERE p.pronamespace = to_regnamespace('belay')
        UNION ALL SELECT 'schema', nspname::text, nspowner::regrole::text, '', '', '' FROM pg_namespace WHERE nspname IN ('belay', 'gone')
        UNION ALL SELECT 'extension', extname::text, extversion, extowner::regrole::text,
                         (SELECT count(*)::text FROM pg_depend d WHERE d.refobjid = e.oid AND d.deptype = 'e'), ''
          FROM pg_extension e ORDER BY 1, 2, 3, 4, 5, 6""")
