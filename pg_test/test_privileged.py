"""Migrations that take rights which a deploying role may lack: said or found at registration, and refused as a whole.

`belay.migration.privileged` says that up or down is; `on_privileged => 'refuse'` runs none if one is among them.
"""

from __future__ import annotations

import re

import pytest

from harness.database import Database
from harness.session import expect_error
from ledger import applied, nothing_changes

DIRECTIVE = "-- belay: privileged\n"
REFUSE = "CALL belay.migrate_up(on_privileged => 'refuse')"


def register(db: Database, name: str, up: str, down: str | None = None, **options: object) -> None:
    given = "".join(f", {option} => %({option})s" for option in options)
    db.execute(f"SELECT belay.migrate_register(%(name)s, %(up)s, %(down)s{given})", {"name": name, "up": up, "down": down, **options})


def privileged(db: Database) -> list[str]:
    return [name for (name,) in db.rows("SELECT name FROM belay.migration WHERE privileged ORDER BY sort_key")]


#: What takes a superuser, or an extension's rights, by the statement alone.
FOUND = {
    "CREATE EXTENSION": "CREATE EXTENSION IF NOT EXISTS plpgsql",
    "DROP EXTENSION": "DROP EXTENSION IF EXISTS nowhere",
    "COMMENT ON EXTENSION": "COMMENT ON EXTENSION plpgsql IS 'x'",
    "ALTER EXTENSION": "ALTER EXTENSION plpgsql UPDATE",
    "ALTER SYSTEM": "ALTER SYSTEM SET work_mem = '5MB'",
    "CREATE EVENT TRIGGER": "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
    "CREATE TABLESPACE": "CREATE TABLESPACE s LOCATION '/nowhere'",
    "CREATE ACCESS METHOD": "CREATE ACCESS METHOD m TYPE INDEX HANDLER h",
    "CREATE FOREIGN DATA WRAPPER": "CREATE FOREIGN DATA WRAPPER w",
    "a function in C": "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'lib', 'f'",
    "an untrusted language": "CREATE LANGUAGE l HANDLER h",
    "a role with all rights": "CREATE ROLE r SUPERUSER",
    "COPY from a program": "CREATE TABLE t (); COPY t FROM PROGRAM 'true'",
    "in the middle, in small letters": "SELECT 1; create /* x */ extension if not exists plpgsql; SELECT 2",
}


@pytest.mark.parametrize("text", FOUND.values(), ids=FOUND)
def test_sg_33_what_takes_a_superuser_is_found_by_parsing(db, text):
    register(db, "0001", text)
    register(db, "0002", "SELECT 'CREATE EXTENSION x'; -- CREATE EXTENSION y\n SELECT 2")
    assert privileged(db) == ["0001"]


def test_sg_33_a_down_counts_too(db):
    register(db, "0001", "SELECT 1", "DROP EXTENSION IF EXISTS nowhere")
    assert privileged(db) == ["0001"]


def test_sg_33_the_directive_says_so_where_the_text_does_not(db):
    register(db, "0001", DIRECTIVE + "SELECT set_up_everything()")
    assert privileged(db) == ["0001"]


@pytest.mark.parametrize("value", ["maybe", "on on"])
def test_a_senseless_directive_is_refused(db, value):
    register(db, "0000", DIRECTIVE + "SELECT 1")
    with expect_error("MG009", message=re.compile("privileged")):
        register(db, "0001", f"-- belay: privileged {value}\nSELECT 1")


def test_another_directive_is_another_definition(db):
    register(db, "0001", "SELECT 1")
    with expect_error("MG003"):
        register(db, "0001", DIRECTIVE + "SELECT 1")


@pytest.mark.parametrize("arguments", ["", "on_privileged => 'apply'"])
def test_sg_22_by_default_they_run_with_the_others(db, arguments):
    register(db, "0001", FOUND["COMMENT ON EXTENSION"])
    register(db, "0002", "CREATE TABLE b ()")
    assert privileged(db) == ["0001"]
    db.execute(f"CALL belay.migrate_up({arguments})")
    assert applied(db) == ["0001", "0002"]


@pytest.mark.parametrize(
    "call",
    [
        REFUSE,
        "CALL belay.migrate_up(on_privileged => 'refuse', transaction => 'per_run')",
        "CALL belay.migrate_to('0004', on_privileged => 'refuse')",
        "BEGIN; CALL belay.migrate_up(on_privileged => 'refuse')",
    ],
)
def test_sg_22_refuse_lists_them_all_with_their_sql_before_anything_runs(db, call):
    register(db, "0001", "CREATE TABLE a ()")
    register(db, "0002", FOUND["COMMENT ON EXTENSION"])
    register(db, "0003", DIRECTIVE + "CREATE TABLE c ()")
    register(db, "0004", "CREATE TABLE d ()")
    with nothing_changes(db), expect_error("42501", message=re.compile("2 .*privileged"), hint=re.compile(r"migrate_mark\(")) as error:
        db.connect().execute(call)
    for told in ("0002", FOUND["COMMENT ON EXTENSION"], "0003", "CREATE TABLE c ()"):
        assert told in error.detail
    for untold in ("0001", "CREATE TABLE a ()", "0004"):
        assert untold not in error.detail


def test_sg_22_only_what_would_run_is_refused(db):
    register(db, "0001", "CREATE TABLE a ()")
    register(db, "0002", DIRECTIVE + "CREATE TABLE b ()")
    db.execute("CALL belay.migrate_up(target => '0001', on_privileged => 'refuse')")
    assert applied(db) == ["0001"]


@pytest.mark.parametrize("call", ["migrate_down(steps => 2, on_privileged => 'refuse')", "migrate_to('@none', on_privileged => 'refuse')", "migrate_redo(steps => 2, on_privileged => 'refuse')"])  # fmt: skip
def test_sg_22_a_down_is_refused_before_it_reaches_one(db, call):
    """The origin reverted up to it and failed there."""
    register(db, "0001", DIRECTIVE + "CREATE TABLE a ()", DIRECTIVE + "DROP TABLE a")
    register(db, "0002", "CREATE TABLE b ()", "DROP TABLE b")
    db.execute("CALL belay.migrate_up()")
    with nothing_changes(db), expect_error("42501", detail=re.compile("DROP TABLE a")):
        db.execute(f"CALL belay.{call}")
    db.execute("CALL belay.migrate_down(on_privileged => 'refuse')")
    assert applied(db) == ["0001"]


def test_sg_22_somebody_with_the_rights_runs_them_and_marks_them(db):
    role = db.role("deployer")
    db.execute(f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA belay TO {role}; GRANT CREATE ON SCHEMA public TO {role}")
    session = db.connect(user=role)
    session.execute("SELECT belay.migrate_register('0001', %s)", [FOUND["COMMENT ON EXTENSION"]])
    session.execute("SELECT belay.migrate_register('0002', 'CREATE TABLE b ()')")
    with nothing_changes(db), expect_error("42501") as error:
        session.execute(REFUSE)
    db.execute(FOUND["COMMENT ON EXTENSION"])
    db.execute(re.search(r"SELECT belay\.migrate_mark\('0001', 'applied'[^)]*\)", error.hint)[0])
    session.execute(REFUSE)
    assert applied(db) == ["0001", "0002"]


@pytest.mark.parametrize("given", ["noop", "", "Refuse"])
def test_an_unknown_word_is_refused(db, given):
    register(db, "0001", "SELECT 1")
    with nothing_changes(db), expect_error("22023", message=re.compile("on_privileged"), hint=re.compile("'apply' or 'refuse'")):
        db.execute("CALL belay.migrate_up(on_privileged => %s)", [given])
