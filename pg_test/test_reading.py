"""What can be read, by whom, and where: on a standby, without a lock, without a right to run anything."""

from __future__ import annotations

import psycopg
import pytest

from harness.session import expect_error
from ledger import load

READING = ("migrate_status", "migrate_plan", "migrate_check", "migrate_validate", "migrate_history", "last_run")
LOOK = "SELECT count(*) FROM belay.{}()"
SECRET = "hunter2"


def states(db) -> dict[str, str]:
    return dict(db.rows("SELECT name, state FROM belay.migrate_status()"))


def test_status_tells_what_is_applied_pending_late_and_blocked(db):
    load(db, {"1_a.sql": "SELECT 1", "3_c.sql": "SELECT 3"})
    db.execute("CALL belay.migrate_up()")
    db.execute("SELECT belay.migrate_register('2_b', 'SELECT 2')")
    db.execute("SELECT belay.migrate_register('4_d', E'-- belay: requires 9_z\\nSELECT 4')")
    db.execute("SELECT belay.migrate_register('5_e', 'SELECT 5')")
    assert states(db) == {"1_a": "applied", "2_b": "late", "3_c": "applied", "4_d": "blocked", "5_e": "pending"}


def test_the_next_command_of_a_pending_migration_applies_it(db):
    load(db, {"1_a.sql": "CREATE TABLE a ()"})
    db.execute(db.one("SELECT next_command FROM belay.migrate_status()"))
    assert states(db) == {"1_a": "applied"}


def test_the_next_command_of_a_dirty_migration_resumes_it(db):
    db.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1)")
    load(db, {"1_a.sql": "CREATE UNIQUE INDEX CONCURRENTLY i ON t (id)"})
    with expect_error("23505"):
        db.execute("CALL belay.migrate_up()")
    assert states(db) == {"1_a": "dirty"}
    assert ("1_a", "invalid index") in db.rows("SELECT name, problem FROM belay.migrate_validate()")
    db.execute("TRUNCATE t")
    db.execute(db.one("SELECT next_command FROM belay.migrate_status()"))
    assert states(db) == {"1_a": "applied"}
    assert db.rows("SELECT * FROM belay.migrate_validate()") == []


def test_what_the_last_load_lacked_is_missing(db):
    load(db, {"1_a.sql": "SELECT 1", "2_b.sql": "SELECT 2"})
    db.execute("CALL belay.migrate_up()")
    load(db, {"2_b.sql": "SELECT 2"}, on_missing="allow")
    assert states(db) == {"1_a": "missing", "2_b": "applied"}
    assert db.rows("SELECT name, problem FROM belay.migrate_validate()") == [("1_a", "missing")]


def test_validate_finds_a_text_that_somebody_changed(db):
    load(db, {"1_a.sql": "SELECT 1"})
    db.execute("CALL belay.migrate_up()")
    assert db.rows("SELECT * FROM belay.migrate_validate()") == []
    db.execute("ALTER TABLE belay.definition DISABLE TRIGGER ALL; UPDATE belay.definition SET up = 'SELECT 2'")
    assert db.rows("SELECT name, problem FROM belay.migrate_validate()") == [("1_a", "checksum")]


def test_history_is_narrowed_by_migration_run_and_number(db):
    load(db, {"1_a.sql": "SELECT 1", "2_b.sql": "SELECT 2"})
    db.execute("CALL belay.migrate_up()")
    run = db.one("SELECT id FROM belay.last_run()")
    assert db.rows("SELECT name FROM belay.migrate_history()") == [("1_a",), ("2_b",)]
    assert db.rows("SELECT name FROM belay.migrate_history(newest => 1)") == [("2_b",)]
    assert db.rows("SELECT name FROM belay.migrate_history(migration => '1_a')") == [("1_a",)]
    assert db.rows("SELECT name FROM belay.migrate_history(of_run => %s)", [run + 1]) == []


@pytest.mark.parametrize("function", READING)
def test_a_hot_standby_can_be_asked(db, standby, function):
    load(db, {"1_a.sql": "SELECT 1", "2_b.sql": "SELECT 2"})
    db.execute("CALL belay.migrate_up(steps => 1)")
    copy = standby.database(db)
    assert copy.one(LOOK.format(function)) == (1 if function == "last_run" else db.one(LOOK.format(function)))


@pytest.mark.parametrize("function", READING)
def test_nobody_waits_for_a_run_to_look(db, function):
    load(db, {"1_a.sql": "SELECT 1"})
    db.connect().execute("SELECT pg_advisory_lock(1651270009, (SELECT id FROM belay.project))")
    reader = db.connect(options="-c statement_timeout=5s -c lock_timeout=1s")
    reader.execute(LOOK.format(function))


def test_nobody_may_call_anything_until_it_is_granted(db):
    stranger = db.connect(user=db.role("stranger", options="LOGIN"))
    for (routine,) in db.rows("SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'belay'::regnamespace"):
        assert stranger.one("SELECT has_function_privilege(%s::regprocedure, 'EXECUTE')", [routine]) is False, routine


def test_what_everybody_may_read_holds_no_sql_and_no_message(db):
    load(db, {"1_a.sql": f"DO $$ BEGIN RAISE EXCEPTION '{SECRET}' USING DETAIL = '{SECRET}'; END $$"})
    with expect_error("P0001"):
        db.execute("CALL belay.migrate_up()")
    stranger = db.connect(user=db.role("stranger", options="LOGIN"))
    readable = 0
    for (table,) in db.rows("SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'belay'::regnamespace AND relkind = 'r'"):
        if stranger.one("SELECT has_table_privilege(%s, 'SELECT')", [table]):
            readable += 1
            assert SECRET not in str(stranger.rows(f"SELECT t::text FROM {table} t")), table
    assert readable == 14
    assert SECRET in str(db.rows("SELECT t::text FROM belay.definition t")) and SECRET in str(db.rows("SELECT t::text FROM belay.step_error t"))


def test_a_superuser_does_not_run_what_an_ordinary_role_registered(db):
    role = db.role("deployer", options="LOGIN")
    db.execute(f"GRANT EXECUTE ON FUNCTION belay.migrate_register TO {role}")
    db.connect(user=role).execute("SELECT belay.migrate_register('1_a', 'ALTER ROLE postgres SUPERUSER')")
    with pytest.raises(psycopg.Error) as error:
        db.execute("CALL belay.migrate_up()")
    diag = error.value.diag
    assert (diag.sqlstate, diag.message_detail) == ("42501", f"1_a was registered by {role}")
    assert f"trust => '{{{role}}}'" in diag.message_hint
    assert states(db) == {"1_a": "pending"}
    db.execute("CALL belay.migrate_up(trust => %s)", [[role]])
    assert states(db) == {"1_a": "applied"}
