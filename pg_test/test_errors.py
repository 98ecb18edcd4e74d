"""The user's own error reaches the client whole, and the ledger keeps what the client was told."""

from __future__ import annotations

import json
import re

import psycopg
import pytest

from harness.database import Database
from harness.session import Session, describe, expect_error

OFF_HINT = 'put "-- belay: transaction off" at the head of the migration'

SETUP = """
    CREATE TABLE parent (id int PRIMARY KEY);
    CREATE TABLE child (id int NOT NULL, parent_id int REFERENCES parent, n int CONSTRAINT n_small CHECK (n < 10));
    CREATE TABLE late (id int CONSTRAINT late_id UNIQUE DEFERRABLE INITIALLY DEFERRED,
                       parent_id int CONSTRAINT late_parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
    CREATE DOMAIN positive AS int CONSTRAINT above_zero CHECK (VALUE > 0);
    CREATE FUNCTION inner_frame() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1 / 0; END $$;
    CREATE FUNCTION outer_frame() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN inner_frame(); END $$;
    CREATE FUNCTION in_sql() RETURNS int LANGUAGE sql AS $$ SELECT 1; SELECT inner_frame() $$;
    CREATE FUNCTION late_failure() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'too late' USING ERRCODE = 'MY003', HINT = 'be earlier'; END $$;
    CREATE CONSTRAINT TRIGGER late_trigger AFTER INSERT ON child DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.n = 7) EXECUTE FUNCTION late_failure();
"""

#: Text whose characters are longer than a byte: a position counted in bytes would miss.
WIDE = "/* größer € 日本語 😀 */"

#: What fails, as any client could send it. Each also runs without Belay, and both must tell the same.
FAILING = {
    "raise with every field": """DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'MY001', MESSAGE = 'no luck', DETAIL = E'one\ntwo',
        HINT = 'try again', SCHEMA = 's', TABLE = 't', COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 'd'; END $$""",
    "an SQLSTATE nobody knows": "DO $$ BEGIN RAISE SQLSTATE 'ZZ9ZZ' USING MESSAGE = ''; END $$",
    "unique violation": "INSERT INTO parent VALUES (1); INSERT INTO parent VALUES (1)",
    "not-null violation": "INSERT INTO child VALUES (NULL)",
    "check violation": "INSERT INTO child VALUES (1, NULL, 11)",
    "foreign key violation": "INSERT INTO child VALUES (1, 1)",
    "domain violation": "SELECT (-1)::positive",
    "unknown column": "SELECT 1;\nSELECT nope FROM parent",
    "unknown column behind wide characters": f"{WIDE} SELECT '日本', 1;\n{WIDE} SELECT 'é', nope FROM parent",
    "unknown table in the first line": "SELECT FROM nowhere",
    "unknown table far behind": "-- " + "ä" * 3000 + "\n" + f"SELECT 'é'; {WIDE}\n" * 500 + "SELECT 'é', * FROM nowhere -- " + "€" * 3000,
    "unknown table in one long line": "SELECT '" + "ö" * 5000 + "', 1 FROM nowhere WHERE '" + "ü" * 5000 + "' = ''",
    "hint of the server's own": "SELECT lenght('x')",
    "frames of PL/pgSQL": "SELECT outer_frame()",
    "frame of an SQL function": "SELECT in_sql()",
    "syntax error inside EXECUTE": "DO $$ BEGIN EXECUTE 'SELECT ''é'' FROM FROM'; END $$",
    "unknown column inside EXECUTE": "DO $$ BEGIN EXECUTE 'SELECT ''é'', nope'; END $$",
    "syntax error in a PL/pgSQL body": f"{WIDE} CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  -- é\n  RETRN 1;\nEND $$",
    "unknown column in an SQL body": f"SELECT 1; {WIDE} CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 'é', nope $$",
    "an exception caught before": """DO $$ BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END $$;
        INSERT INTO parent VALUES (1), (1)""",
    "an exception caught in the same block": """DO $$ BEGIN
        BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END;
        RAISE EXCEPTION 'second' USING ERRCODE = 'MY002'; END $$""",
    "an exception raised from a handler": """DO $$ BEGIN PERFORM 1 / 0;
        EXCEPTION WHEN division_by_zero THEN RAISE EXCEPTION 'from the handler' USING ERRCODE = 'MY002', DETAIL = SQLERRM; END $$""",
    "an exception raised again": """DO $$ BEGIN RAISE EXCEPTION 'first' USING ERRCODE = 'MY001', DETAIL = 'd', HINT = 'h', TABLE = 't';
        EXCEPTION WHEN OTHERS THEN RAISE; END $$""",
    "an exception raised again after another was caught": """DO $$ BEGIN
        RAISE EXCEPTION 'first' USING ERRCODE = 'MY001', DETAIL = 'd', HINT = 'h', TABLE = 't';
        EXCEPTION WHEN OTHERS THEN
            BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END;
            RAISE; END $$""",
    "an exception raised again after a notice": """DO $$ BEGIN
        RAISE EXCEPTION 'first' USING ERRCODE = 'MY001', DETAIL = 'd', HINT = 'h', TABLE = 't';
        EXCEPTION WHEN OTHERS THEN RAISE NOTICE 'seen'; RAISE; END $$""",
    "a notice before": "DO $$ BEGIN RAISE NOTICE 'n'; RAISE WARNING 'w'; RAISE EXCEPTION 'after notices' USING ERRCODE = 'MY002'; END $$",
    "statement timeout of its own": "SET statement_timeout = '20ms'; SELECT pg_sleep(30)",
    "deferred unique violation": "INSERT INTO late VALUES (1), (1)",
    "deferred foreign key violation": "INSERT INTO late VALUES (1, 5); SELECT 1",
    "deferred trigger": "INSERT INTO child VALUES (1, NULL, 7); SELECT 1",
}

#: Belay re-raises these after a handler has run; the copy it keeps is the handler's.

def register(db: Database, up: str, down: str | None = None, name: str = "0001_a", replace: bool = False) -> None:
    db.execute("SELECT belay.migrate_register(%s, %s, %s, replace => %s)", [name, up, down, replace])


def caught(session: Session, sql: str) -> psycopg.Error:
    """The error of a statement, or of the COMMIT after it."""
    with pytest.raises(psycopg.Error) as error:
        session.execute(sql)
        session.commit()
    return error.value


def told_by_server(db: Database, sql: str) -> psycopg.Error:
    """What the server says when a client runs the text itself, in one transaction that leaves nothing."""
    session = db.connect(autocommit=False)
    error = caught(session, sql)
    session.rollback()
    return error


FIELDS = (
    "sqlstate", "message_primary", "message_detail", "message_hint",
    "schema_name", "table_name", "column_name", "datatype_name", "constraint_name",
)  # fmt: skip


def fields(error: psycopg.Error) -> dict[str, str | None]:
    return {name: getattr(error.diag, name) for name in FIELDS}


def behind_caret(query: str | None, position: str | None) -> str | None:
    """The text that a client's caret points at."""
    return None if query is None or position is None else query[int(position) - 1 :][:12]


@pytest.mark.parametrize("sql", FAILING.values(), ids=FAILING)
def test_an_error_tells_what_the_server_tells_without_belay(db, sql):
    db.execute(SETUP)
    expected = told_by_server(db, sql)
    register(db, sql)
    error = caught(db.session, "CALL belay.migrate_up()")
    assert fields(error) == fields(expected), describe(error)
    # A position of the client's own query would point into the CALL.
    assert error.diag.statement_position is None, describe(error)
    if expected.diag.internal_query is not None:
        assert error.diag.internal_query == expected.diag.internal_query
        assert error.diag.internal_position == expected.diag.internal_position
    else:
        found = behind_caret(error.diag.internal_query, error.diag.internal_position)
        assert found == behind_caret(sql, expected.diag.statement_position), describe(error)
    frames = (expected.diag.context or "").splitlines()
    assert (error.diag.context or "").splitlines()[: len(frames)] == frames, describe(error)
    assert error.diag.context.splitlines()[len(frames)].startswith('migration "0001_a" of project "default", up'), describe(error)
    assert len(error.diag.context.splitlines()) == len(frames) + 1
    # The ledger keeps what the client was told, and nothing else of the migration is left.
    kept = db.rows("SELECT sqlstate, message, detail, hint, context FROM belay.step_error")
    assert kept == [(*(fields(error)[name] for name in FIELDS[:4]), error.diag.context)]
    assert db.rows("SELECT outcome, sqlstate FROM belay.step") == [("failed", error.sqlstate)]
    assert db.rows("TABLE belay.applied") == [] == db.rows("TABLE parent")
    db.execute("SELECT 1")


@pytest.mark.parametrize("project", ["default", "tenant \"1\" é"])
def test_context_names_project_migration_direction_statement_and_line(db, project):
    db.execute("SELECT belay.project_create(%s)", [project]) if project != "default" else None
    up = "\n\nCREATE TABLE t ();\n-- a comment\nSELECT 1;\n  SELECT\n 1/0;\nSELECT 2"
    db.execute("SELECT belay.migrate_register('0001_a', %s, 'SELECT 1;\nDROP TABLE nope', project => %s)", [up, project])
    error = caught(db.session, f"CALL belay.migrate_up(project => $p${project}$p$)")
    assert error.diag.context == f'migration "0001_a" of project "{project}", up, statement 3 of 4, line 6'
    assert db.rows("SELECT statement, line FROM belay.step_error") == [(3, 6)]
    assert db.rows("SELECT statement, statements, direction FROM belay.step") == [(3, 4, "up")]
    db.execute("SELECT belay.migrate_register('0001_a', 'CREATE TABLE t ()', 'SELECT 1;\nDROP TABLE nope', replace => true, project => %s)", [project])
    db.execute("CALL belay.migrate_up(project => %s)", [project])
    error = caught(db.session, f"CALL belay.migrate_down(project => $p${project}$p$)")
    assert error.sqlstate == "42P01"
    assert error.diag.context == f'migration "0001_a" of project "{project}", down, statement 2 of 2, line 2'


def test_line_and_file_of_a_loaded_migration_are_those_of_its_file(db):
    files = {"0001_a.sql": "-- migrate:up\nCREATE TABLE t ();\nSELECT 1/0;\n-- migrate:down\n\nSELECT 2/0;\n"}
    db.execute("SELECT * FROM belay.migrate_load_files(%s)", [json.dumps(files)])
    error = caught(db.session, "CALL belay.migrate_up()")
    assert error.diag.context == 'migration "0001_a" of project "default", up, statement 2 of 2, line 3 of 0001_a.sql'
    assert db.rows("SELECT statement, line FROM belay.step_error") == [(2, 3)]


def test_line_of_a_down_section_counts_from_the_top_of_the_file(db):
    files = {"0001_a.sql": "-- migrate:up\nCREATE TABLE t ();\n-- migrate:down\n\nSELECT 2/0;\n"}
    db.execute("SELECT * FROM belay.migrate_load_files(%s)", [json.dumps(files)])
    db.execute("CALL belay.migrate_up()")
    error = caught(db.session, "CALL belay.migrate_down()")
    assert error.diag.context == 'migration "0001_a" of project "default", down, statement 1 of 1, line 5 of 0001_a.sql'


@pytest.mark.parametrize(
    "call",
    [
        "DO $x$ BEGIN PERFORM 1; CALL belay.migrate_up(); END $x$",
        "DO $x$ BEGIN BEGIN CALL belay.migrate_up(); EXCEPTION WHEN no_data_found THEN NULL; END; END $x$",
    ],
    ids=["may commit", "block with EXCEPTION"],
)
def test_context_ends_with_the_callers_own_frames(db, call):
    db.execute(SETUP)
    register(db, "SELECT outer_frame()")
    error = caught(db.session, call)
    assert error.sqlstate == "22012"
    # Some majors also name the expression.
    frames = [frame for frame in error.diag.context.splitlines() if not frame.startswith(("PL/pgSQL expression", "SQL expression"))]
    assert frames[:3] == [
        "PL/pgSQL function inner_frame() line 1 at RETURN",
        "PL/pgSQL function outer_frame() line 1 at RETURN",
        'migration "0001_a" of project "default", up, statement 1 of 1, line 1',
    ]
    assert frames[3:] == ['SQL statement "CALL belay.migrate_up()"', "PL/pgSQL function inline_code_block line 1 at CALL"]


def test_psql_shows_the_line_and_a_caret_below_the_offending_word(db):
    register(db, f"SELECT 1;\n{WIDE} SELECT 'é', nope")
    done = db.psql("CALL belay.migrate_up()")
    assert done.returncode == 3
    shown = done.stderr.splitlines()
    line = next(number for number, text in enumerate(shown) if text.startswith("LINE 2:"))
    assert shown[line].endswith("nope")
    # psql counts the columns of wide characters as the terminal shows them: 2 each for CJK and the emoji.
    assert len(shown[line + 1]) >= len(shown[line]) - len("nope") + 1 and shown[line + 1].strip() == "^"
    assert any(text.startswith("CONTEXT:") and "statement 2 of 2, line 2" in text for text in shown), done.stderr


# ── what the server cannot do in a transaction ───────────────────────────────────────────────────────────────────────

NEEDS_NO_TRANSACTION = {
    "REINDEX of a partitioned table": ("REINDEX TABLE parts", "25001"),
    "a procedure that commits": ("CALL commits()", "2D000"),
    "a procedure that rolls back": ("CALL rolls_back()", "2D000"),
    "DO that commits": ("DO $$ BEGIN COMMIT; END $$", "2D000"),
}

COMMITTING = """
    CREATE TABLE parts (id int) PARTITION BY RANGE (id);
    CREATE INDEX ON parts (id);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
    CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;
    CREATE PROCEDURE rolls_back() LANGUAGE plpgsql AS $$ BEGIN ROLLBACK; END $$;
"""


@pytest.mark.parametrize(
    "sql, sqlstate",
    [
        pytest.param(*case, id=title)
        for title, case in NEEDS_NO_TRANSACTION.items()
    ],
)
def test_what_needs_no_transaction_is_told_to_switch_it_off(db, sql, sqlstate):
    db.execute(COMMITTING)
    register(db, "CREATE TABLE t ();\n" + sql)
    with expect_error(sqlstate, hint=re.compile(re.escape(OFF_HINT))) as error:
        db.execute("CALL belay.migrate_up()")
    assert "statement 2 of 2, line 2" in error.context
    assert db.one("SELECT to_regclass('t')") is None
    register(db, "-- belay: transaction off\nCREATE TABLE t ();\n" + sql, replace=True)
    db.execute("CALL belay.migrate_up()")
    assert db.one("SELECT to_regclass('t')") == "t"
    assert db.one("SELECT state FROM belay.migrate_status()") == "applied"


# ── while registering ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_syntax_error_while_registering_points_at_line_and_word(db):
    with expect_error("42601", message='syntax error at or near "SELEC"', hint=re.compile("nothing was registered")) as error:
        register(db, f"CREATE TABLE ä ();\n{WIDE} SELECT 1;\n  SELEC 1")
    assert error.context == 'migration "0001_a", up, line 3'
    assert behind_caret(error.internal_query, error.internal_position) == "SELEC 1"
    assert db.rows("TABLE belay.migration") == []


def test_a_syntax_error_in_a_down_says_so(db):
    with expect_error("42601", message='syntax error at or near "DORP"') as error:
        register(db, "CREATE TABLE t ()", "\nDORP TABLE t")
    assert error.context == 'migration "0001_a", down, line 2'


def test_a_syntax_error_while_loading_names_file_and_line_and_keeps_all_out(db):
    files = {
        "0001_good.sql": "CREATE TABLE t ();",
        "0002_bad.sql": "-- migrate:up\n\nCREATE TABLE é ();\nSELEC 1;\n-- migrate:down\nSELECT 1;\n",
    }
    with expect_error("42601", message='syntax error at or near "SELEC"', hint=re.compile("nothing was registered")) as error:
        db.execute("SELECT * FROM belay.migrate_load_files(%s)", [json.dumps(files)])
    assert error.context == 'migration "0002_bad", up, line 4 of 0002_bad.sql'
    assert behind_caret(error.internal_query, error.internal_position).startswith("SELEC 1")
    assert db.rows("TABLE belay.migration") == []


# ── what is not the migration's own error ────────────────────────────────────────────────────────────────────────────


def test_exceptions_that_are_caught_leave_no_trace_in_a_migration_that_succeeds(db):
    register(db, "CREATE TABLE t (); DO $$ BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END $$")
    db.execute("CALL belay.migrate_up()")
    assert db.rows("SELECT outcome, sqlstate FROM belay.step") == [("applied", None)]
    assert db.rows("TABLE belay.step_error") == []


def test_an_error_of_belays_own_is_not_mistaken_for_one_that_was_caught_before(db):
    register(db, "DO $$ BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END $$; SET SESSION AUTHORIZATION DEFAULT; CALL belay.migrate_up()")
    with expect_error("MG012", message="a migration cannot run migrations: a run is active in this session", hint=re.compile("requires NAME")):
        db.execute("CALL belay.migrate_up()")


def test_many_caught_exceptions_do_not_pile_up_in_the_backends_memory(db):
    loop = "DO $$ BEGIN FOR i IN 1..%s LOOP BEGIN RAISE EXCEPTION '%%', repeat('x', 1000); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$"
    used = "SELECT sum(total_bytes) FROM pg_backend_memory_contexts"
    register(db, loop % 100, name="0001_warm")
    db.execute("CALL belay.migrate_up()")
    before = db.one(used)
    register(db, loop % 20_000, name="0002_many")
    db.execute("CALL belay.migrate_up()")
    assert db.one(used) - before < 1_000_000


def test_each_failed_attempt_keeps_its_own_error(db):
    register(db, "SELECT 1/0")
    caught(db.session, "CALL belay.migrate_up()")
    register(db, "SELECT nope", replace=True)
    caught(db.session, "CALL belay.migrate_up()")
    register(db, "SELECT 1", replace=True)
    db.execute("CALL belay.migrate_up()")
    assert db.rows("SELECT s.outcome, e.sqlstate FROM belay.step s LEFT JOIN belay.step_error e ON e.step_id = s.id ORDER BY s.id") == [
        ("failed", "22012"),
        ("failed", "42703"),
        ("applied", None),
    ]
    assert db.rows("SELECT outcome FROM belay.run ORDER BY id") == [("failed",), ("failed",), ("succeeded",)]
