"""Migrations that take rights which a deploying role may lack: said or found at registration, and refused as a whole.

`belay.migration.privileged` says that up or down is; `on_privileged => 'refuse'` runs none if one is among them.
"""

from __future__ import annotations

import re

import psycopg
import pytest

from harness.database import Database
from harness.session import describe, expect_error
from ledger import applied, load, nothing_changes, tables

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
    "COPY to a program": "COPY (SELECT 1) TO PROGRAM 'cat'",
    "COPY from a file": "COPY t FROM '/nowhere'",
    "ALTER EXTENSION SET SCHEMA": "ALTER EXTENSION x SET SCHEMA y",
    "ALTER EXTENSION ADD": "ALTER EXTENSION x ADD TABLE t",
    "DROP EVENT TRIGGER": "DROP EVENT TRIGGER e",
    "ALTER EVENT TRIGGER": "ALTER EVENT TRIGGER e DISABLE",
    "the name of an event trigger": "ALTER EVENT TRIGGER e RENAME TO f",
    "the owner of a wrapper": "ALTER FOREIGN DATA WRAPPER w OWNER TO x",
    "an operator class": "CREATE OPERATOR CLASS o FOR TYPE int USING btree AS OPERATOR 1 <",
    "a type with functions of its own": "CREATE TYPE t (INPUT = f, OUTPUT = g)",
    "a text search parser": "CREATE TEXT SEARCH PARSER p (START = a, GETTOKEN = b, END = c, LEXTYPES = d)",
    "a cast without a function": "CREATE CAST (a AS b) WITHOUT FUNCTION",
    "a leakproof function": "CREATE FUNCTION f() RETURNS int LEAKPROOF LANGUAGE sql AS 'SELECT 1'",
    "a function made leakproof": "ALTER FUNCTION f() LEAKPROOF",
    "DO in an untrusted language": "DO LANGUAGE plpython3u 'pass'",
    "a role that gets all rights": "ALTER ROLE r NOLOGIN SUPERUSER",
    "all tables published": "CREATE PUBLICATION p FOR ALL TABLES",
    "a schema's tables published": "CREATE PUBLICATION p FOR TABLES IN SCHEMA public",
    "a schema's tables published, too": "ALTER PUBLICATION p ADD TABLES IN SCHEMA CURRENT_SCHEMA",
    "a subscription": "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = false)",
    "CHECKPOINT": "CHECKPOINT",
    "COPY from a program": "CREATE TABLE t (); COPY t FROM PROGRAM 'true'",
    "in the middle, in small letters": "SELECT 1; create /* x */ extension if not exists plpgsql; SELECT 2",
}


@pytest.mark.parametrize("text", FOUND.values(), ids=FOUND)
def test_sg_33_what_takes_a_superuser_is_found_by_parsing(db, text):
    register(db, "0001", text)
    register(db, "0002", "SELECT 'CREATE EXTENSION x'; -- CREATE EXTENSION y\n SELECT 2")
    assert privileged(db) == ["0001"]


#: What looks like it and takes no more than rights on one's own objects.
NOT_FOUND = [
    "CREATE TABLE extension (system int, superuser text); COMMENT ON TABLE extension IS 'CREATE EXTENSION x'; DROP TABLE extension",
    "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'; ALTER FUNCTION f() NOT LEAKPROOF",
    "CREATE FUNCTION f() RETURNS int RETURN 1",
    "DO 'BEGIN NULL; END'",
    "DO LANGUAGE plpgsql 'BEGIN NULL; END'",
    "CREATE ROLE r LOGIN NOSUPERUSER; ALTER ROLE r NOLOGIN; ALTER ROLE r SET work_mem = '5MB'",
    "CREATE CAST (a AS b) WITH FUNCTION f(a); CREATE CAST (a AS c) WITH INOUT",
    "CREATE TYPE t AS (a int); CREATE TYPE u AS ENUM ('a'); CREATE TYPE v AS RANGE (SUBTYPE = int)",
    "CREATE AGGREGATE a (int) (SFUNC = f, STYPE = int); CREATE OPERATOR <<< (LEFTARG = int, FUNCTION = f)",
    "CREATE PUBLICATION p FOR TABLE t; ALTER PUBLICATION p ADD TABLE u; CREATE PUBLICATION q",
    "ALTER TABLE t OWNER TO r; ALTER TABLE t RENAME TO u; ALTER TABLE u SET SCHEMA v; ALTER DATABASE d RENAME TO e",
    "CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW EXECUTE FUNCTION f(); CREATE SERVER s FOREIGN DATA WRAPPER w",
    "SELECT 'COPY t FROM PROGRAM'; SET work_mem = '5MB'; VACUUM",
]


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_takes_no_superuser_is_not_taken_for_it(db, text):
    register(db, "0001", text, text)
    assert privileged(db) == []


def directions(db: Database) -> list[tuple[bool, bool, bool]]:
    return db.rows("SELECT privileged, up_privileged, down_privileged FROM belay.migration ORDER BY sort_key")


def test_up_and_down_are_told_apart(db):
    comment = FOUND["COMMENT ON EXTENSION"]
    register(db, "0001", comment, "SELECT 1")
    register(db, "0002", "SELECT 1", comment)
    register(db, "0003", DIRECTIVE + "SELECT 1", "SELECT 1")
    register(db, "0004", DIRECTIVE + "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 1")  # the file's head
    register(db, "0005", "-- migrate:up\n" + DIRECTIVE + "SELECT 1;\n-- migrate:down\nSELECT 1")
    register(db, "0006", comment)
    assert directions(db) == [(True, True, False), (True, False, True), (True, True, False), (True, True, True), (True, True, False), (True, True, False)]


def test_off_goes_before_what_was_found(db):
    """A trusted extension, for example: whoever may create in the database may create it."""
    register(db, "0001", "-- belay: privileged off\nCREATE EXTENSION IF NOT EXISTS plpgsql", "SELECT 1")
    assert privileged(db) == []
    db.execute(REFUSE)
    assert applied(db) == ["0001"]


def test_a_directive_that_comes_or_goes_is_another_definition_to_a_load_too(db):
    comment = FOUND["COMMENT ON EXTENSION"]
    plain, on, off = "SELECT 1", DIRECTIVE + "SELECT 1", f"-- belay: privileged off\n{comment}"
    assert load(db, {"1.sql": plain, "2.sql": comment}) == [("1", "added"), ("2", "added")]
    assert load(db, {"1.sql": on, "2.sql": off}) == [("1", "replaced"), ("2", "replaced")]
    assert directions(db) == [(True, True, False), (False, False, False)]
    assert load(db, {"1.sql": on, "2.sql": off}) == []
    assert load(db, {"1.sql": plain, "2.sql": comment}) == [("1", "replaced"), ("2", "replaced")]
    assert directions(db) == [(False, False, False), (True, True, False)]
    assert load(db, {"1.sql": plain, "2.sql": comment}) == []
    db.execute("CALL belay.migrate_up()")
    assert load(db, {"1.sql": on, "2.sql": off}) == []  # what is applied stays as it is


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


def commands(hint: str) -> list[str]:
    """What a hint says to run, in its order."""
    return re.findall(r"(?:CALL|SELECT) belay\.\w+\([^)]*\)", hint)


def obey(db: Database, call: str) -> None:
    """Calls, and does what the hint says, until nothing is refused."""
    for _ in range(10):
        try:
            db.execute(call)
            return
        except psycopg.Error as error:
            assert error.sqlstate == "42501", describe(error)
            told = commands(error.diag.message_hint)
            listed = re.split("^(?=-- [0-9]+, (?:up|down)$)", error.diag.message_detail, flags=re.MULTILINE)[1:]
            by_hand = "".join(listed[: sum(command.startswith("SELECT") for command in told)])
            for command in told:
                if command.startswith("SELECT") and by_hand:
                    db.psql(by_hand, check=True)
                    by_hand = None
                db.execute(command)
    raise AssertionError("it is refused for ever")


@pytest.mark.parametrize("project", ["default", "it's"])
def test_the_hints_lead_through(db, project):
    db.execute("SELECT belay.project_create(%s) WHERE %s <> 'default'", [project, project])
    for number, directive in enumerate(["", DIRECTIVE, DIRECTIVE, "", DIRECTIVE, ""], 1):
        register(db, f"{number}", f"{directive}CREATE TABLE t{number} (); -- the end;", f"{directive}DROP TABLE t{number}", project=project)
    tail = "" if project == "default" else ", project => 'it''s'"
    names = ["1", "2", "3", "4", "5", "6"]
    obey(db, f"CALL belay.migrate_up(on_privileged => 'refuse'{tail})")
    assert applied(db, project) == names and tables(db) == [f"t{name}" for name in names]
    verbs = "SELECT DISTINCT verb FROM belay.run ORDER BY 1"
    assert db.rows(verbs) == [("mark",), ("up",)]
    obey(db, f"CALL belay.migrate_to('1', on_privileged => 'refuse'{tail})")
    assert applied(db, project) == ["1"] and tables(db) == ["t1"]


def test_the_hint_of_a_phase_stays_in_the_phase(db):
    for name, directive in (("01.00.00_01_pre_a", ""), ("01.00.00_50_post_b", ""), ("01.01.00_01_pre_c", DIRECTIVE)):
        register(db, name, f"{directive}SELECT 1")
    db.execute("SELECT belay.project_alter('default', ordering => 'permissive')")
    with nothing_changes(db), expect_error("42501") as error:
        db.execute("CALL belay.migrate_up(phase => 'pre', on_privileged => 'refuse')")
    assert commands(error.hint)[0] == "CALL belay.migrate_up(target => '01.00.00_01_pre_a', phase => 'pre')"
    db.execute(commands(error.hint)[0])
    assert applied(db) == ["01.00.00_01_pre_a"]


def test_what_is_left_of_an_unfinished_one_is_refused_with_its_statement(db):
    register(db, "0001", "-- belay: transaction off\n" + DIRECTIVE + "CREATE TABLE a ();\nSELECT 1 / (SELECT count(*) FROM b)")
    db.execute("CREATE TABLE b ()")
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    with nothing_changes(db), expect_error("42501", detail=re.compile("^-- 0001, up, from statement 2 on\n")):
        db.execute(REFUSE)


def test_the_argument_of_a_call_does_not_outlive_it(db):
    register(db, "0001", DIRECTIVE + "SELECT 1")
    session = db.connect()
    with expect_error("42501"):
        session.execute(REFUSE)
    session.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001"]


@pytest.mark.parametrize("call", ["DO $$ BEGIN CALL belay.migrate_up(on_privileged => 'refuse'); END $$", "CALL belay.migrate_up(on_privileged => NULL, target => '0002', on_contention => 'wait', wait => '1 s', trust => '{a,b}', reason => 'r', steps => 2)"])  # fmt: skip
def test_every_argument_arrives_where_it_belongs(db, call):
    register(db, "0001", "SELECT 1")
    register(db, "0002", "SELECT 2")
    db.execute(call)
    assert applied(db) == ["0001", "0002"]
    given = db.one("SELECT arguments FROM belay.run")
    assert given == ({"target": "0002", "steps": 2} if "target" in call else {})
    assert db.one("SELECT reason FROM belay.run") == ("r" if "reason" in call else None)
