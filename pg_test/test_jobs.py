"""Jobs as they are registered: what a definition may hold and when it may change, what a start may give, and as whom it runs."""

from __future__ import annotations

import json
import re

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from copies import plain
from harness.database import Database
from harness.jobs import deployer, errors, make_gate, open_gate, register, start, state, wait_for_end
from harness.session import Session, describe, expect_error
from harness.waiting import poll_until

#: Where jobs are kept.
TABLES = ("job", "job_definition", "job_error", "job_batch")


def kept(db: Database) -> dict[str, list]:
    """All that is kept of jobs."""
    return {table: db.rows(f"SELECT t::text FROM belay.{table} t ORDER BY 1") for table in TABLES}


def register_json(session: Session, name: object, operations: object, **more: object) -> None:
    """Operations are whatever JSON can say."""
    given = "".join(f", {key} => %({key})s" for key in more)
    values = {"name": name, "operations": None if operations is None else json.dumps(operations), **more}
    session.execute(f"SELECT belay.job_register(%(name)s, %(operations)s{given})", values)


def start_with(session: Session, name: str, **parameters: object) -> None:
    given = json.dumps(parameters)
    assert session.one("SELECT belay.job_start(%s, parameters => %s)", [name, given]) == "starting"


def grantee(db: Database, name: str, rights: str = "deployer", options: str = "LOGIN") -> str:
    """A further role with rights."""
    role = db.role(name, options)
    db.execute("SELECT belay.grant_role(%s, %s)", [role, rights])
    db.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
    return role


def has_table(db: Database, name: str) -> bool:
    return db.one("SELECT to_regclass(%s) IS NOT NULL", [name])


def tick_until_completed(db: Database, name: str) -> None:
    """As a scheduler would."""

    def is_completed() -> bool:
        db.one("SELECT belay.job_tick()")
        return state(db, name) == "completed"

    poll_until(is_completed, 60, f"job {name} is completed")


def bring(db: Database, app: Session, wanted: str) -> None:
    """A job fill in that state."""
    make_gate(app)
    operation = {"completed": "SELECT 1", "rolled_back": "SELECT 1/0"}.get(wanted, "SELECT pass()")
    precheck = {"failed_at_startup": "SELECT false", "starting": "SELECT pass()"}.get(wanted)
    register(app, "fill", operation, "SELECT 2", precheck=precheck)
    if wanted == "not_started":
        return
    start(app, "fill")
    if wanted in ("completed", "rolled_back", "failed_at_startup"):
        wait_for_end(db, "fill", wanted)
        return
    stays = "starting" if wanted == "starting" else "running"
    db.wait_for("SELECT worker IS NOT NULL AND state = %s FROM belay.job_status() WHERE name = 'fill'", [stays], 60)
    if wanted == "errored":
        assert app.one("SELECT belay.job_stop('fill', rollback => false)") == "stopping"
        wait_for_end(db, "fill", "errored")
    if wanted == "paused":
        assert app.one("SELECT belay.job_pause('fill')") == "paused"
        open_gate(db)
        wait_for_end(db, "fill", "paused")


# ── the same again, and another one ──────────────────────────────────────────────────────────────────────────────────

ORDERED = '[{"sql": "CREATE TABLE made ()", "rollback": "DROP TABLE IF EXISTS made", "timeout": "30s"}]'
DISORDERED = """
    [ { "timeout":"30s",
        "rollback" : "DROP TABLE IF EXISTS made","sql":"CREATE TABLE made ()" } ]
"""


def test_registering_the_same_again_changes_nothing_before_and_after_it_ran(db):
    app = deployer(db)
    parameters = ['{"a": {"default": 1, "description": "x"}, "b": {}}', '{"b":{ }, "a":{"description":"x","default":1}}']
    call = "SELECT belay.job_register('fill', %s, precheck => 'SELECT true', parameters => %s)"

    def register_again() -> None:
        before = kept(db)
        for operations in (ORDERED, DISORDERED):
            for given in parameters:
                app.execute(call, [operations, given])
                assert kept(db) == before
        app.execute("SET search_path = pg_temp")
        app.execute(call, [ORDERED, parameters[0]])
        app.execute("RESET search_path")
        assert kept(db) == before

    app.execute(call, [ORDERED, parameters[0]])
    register_again()
    start(app, "fill")
    wait_for_end(db, "fill")
    register_again()
    assert has_table(db, "public.made")


#: Whatever a definition says is part of it.
DIFFERENCES = {
    "description": "another one",
    "depends_on": ["other"],
    "min_release": "3.0.0",
    "max_release": "3.0.0",
    "precheck": "SELECT true",
    "healthcheck": "SELECT true",
    "is_required": "SELECT true",
    "progress": "SELECT 50",
    "parameters": '{"a": {}}',
    "auto_start": True,
}


@pytest.mark.parametrize("key", DIFFERENCES)
def test_another_definition_replaces_one_that_has_not_begun(db, key):
    app = deployer(db)
    register(app, "other", "SELECT 1")
    register(app, "fill", "SELECT 1", max_release="4.0.0")
    checksum = "SELECT checksum FROM belay.job WHERE name = 'fill'"
    before = db.one(checksum)
    register(app, "fill", "SELECT 1", **{"max_release": "4.0.0", key: DIFFERENCES[key]})
    assert db.one(checksum) != before
    register(app, "fill", "SELECT 1", max_release="4.0.0")
    assert db.one(checksum) == before


def test_a_registration_returns_the_job(db):
    app = deployer(db)
    columns = "name, state, operations, role::text, session_role::text, loaded, missing, auto_start, description"
    row = app.rows(f"SELECT {columns} FROM belay.job_register('fill', %s, description => 'fills')", [ORDERED])
    assert row == [("fill", "not_started", 1, app.info.user, app.info.user, False, False, False, "fills")]
    assert db.one("SELECT checksum ~ '^[0-9a-f]{64}$' FROM belay.job")


@pytest.mark.parametrize("wanted", ["not_started", "failed_at_startup", "rolled_back"])
def test_what_has_not_begun_or_is_rolled_back_takes_another_definition_and_runs_it(db, wanted):
    app = deployer(db)
    bring(db, app, wanted)
    before = db.rows("SELECT id, checksum, registered_at FROM belay.job")[0]
    register(app, "fill", "CREATE TABLE fresh ()")
    after = db.rows("SELECT id, checksum, registered_at FROM belay.job")[0]
    assert after[0] == before[0] and after[1] != before[1] and after[2] > before[2]
    assert db.one("SELECT operations FROM belay.job") == 1
    start(app, "fill")
    wait_for_end(db, "fill")
    assert has_table(db, "public.fresh")


@pytest.mark.parametrize("wanted", ["starting", "running", "paused", "errored", "completed"])
def test_what_has_begun_takes_no_other_definition_not_even_from_a_superuser(db, wanted):
    app = deployer(db)
    bring(db, app, wanted)

    def kept_now() -> tuple:
        return db.rows("SELECT checksum, registered_at, operations, state FROM belay.job"), db.rows("TABLE belay.job_definition")

    before = kept_now()
    with expect_error("MG003", message=re.compile("fill")) as error:
        register(app, "fill", "CREATE TABLE fresh ()")
    assert error.hint
    for options in ("", "-c session_replication_role=replica"):
        with expect_error("MG003", message=re.compile("fill")):
            db.connect(options=options).execute("UPDATE belay.job SET checksum = 'x'")
    assert kept_now() == before


# ── what a definition may hold ───────────────────────────────────────────────────────────────────────────────────────

STEP = {"sql": "SELECT 1"}
PASS = {"table": "public.t", "set": "n = 1"}

#: Operations, and where the message says that something is wrong.
WRONG_OPERATIONS = {
    "no list": (STEP, "operations"),
    "a text": ("SELECT 1", "operations"),
    "empty": ([], "operations"),
    "a text in the list": (["SELECT 1"], "operations[0]"),
    "an unknown key": ([STEP, STEP | {"on_error": "go on"}], "operations[1]"),
    "an empty operation": ([{}], "operations[0]"),
    "a rollback only": ([{"rollback": "SELECT 1"}], "operations[0]"),
    "sql and batch": ([STEP | {"batch": PASS}], "operations[0]"),
    "sql that is empty": ([{"sql": "  "}], "operations[0].sql"),
    "sql that is no text": ([{"sql": ["SELECT 1"]}], "operations[0].sql"),
    "a timeout that is no time": ([STEP | {"timeout": "soon"}], "operations[0].timeout"),
    "a timeout without a unit": ([STEP | {"timeout": "30"}], "operations[0].timeout"),
    "a timeout that is a number": ([STEP | {"timeout": 30}], "operations[0].timeout"),
    "a batch that is a text": ([{"batch": "public.t"}], "operations[0].batch"),
    "an unknown key of a batch": ([{"batch": PASS | {"step": 5}}], "operations[0].batch"),
    "a batch without a table": ([{"batch": {"set": "n = 1"}}], "operations[0].batch"),
    "a batch that does nothing": ([{"batch": {"table": "public.t"}}], "operations[0].batch"),
    "set and select": ([{"batch": PASS | {"select": "f(n)"}}], "operations[0].batch"),
    "set and procedure": ([{"batch": PASS | {"procedure": "public.f"}}], "operations[0].batch"),
    "where with a procedure": (
        [{"batch": {"table": "public.t", "procedure": "public.f", "where": "n > 0"}}], "operations[0].batch.where",
    ),
    "size 0": ([{"batch": PASS | {"size": 0}}], "operations[0].batch.size"),
    "half a row": ([{"batch": PASS | {"size": 1.5}}], "operations[0].batch.size"),
    "a size in words": ([{"batch": PASS | {"size": "many"}}], "operations[0].batch.size"),
    "a negative sub-batch": ([{"batch": PASS | {"sub_batch": -1}}], "operations[0].batch.sub_batch"),
    "a size over all bounds": ([{"batch": PASS | {"max_size": 3_000_000_000}}], "operations[0].batch.max_size"),
    "a pause that is no time": ([{"batch": PASS | {"pause": "a while"}}], "operations[0].batch.pause"),
    "an interval that is a number": ([{"batch": PASS | {"interval": 120}}], "operations[0].batch.interval"),
    "a rollback that is a list": ([STEP | {"rollback": ["SELECT 1"]}], "operations[0].rollback"),
    "a rollback without a batch": ([STEP | {"rollback": {}}], "operations[0].rollback"),
    "an unknown key of a rollback": ([STEP | {"rollback": {"sql": "SELECT 1"}}], "operations[0].rollback"),
    "a rollback's batch without a table": (
        [STEP | {"rollback": {"batch": {"set": "n = 0"}}}], "operations[0].rollback.batch",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_OPERATIONS)
def test_operations_that_cannot_be_read_are_refused_with_their_place(db, case):
    operations, place = WRONG_OPERATIONS[case]
    app = deployer(db)
    with expect_error("22023", message=re.compile(re.escape(place) + r"(?![\w.\[])")) as error:
        register_json(app, "fill", operations)
    assert error.hint
    assert db.one("SELECT count(*) FROM belay.job") == 0


#: Other arguments, and what the message names.
WRONG_ARGUMENTS = {
    "parameters in a list": ({"parameters": '["limit"]'}, "parameters"),
    "a parameter that is a value": ({"parameters": '{"limit": 10}'}, "parameters.limit"),
    "an unknown key of a parameter": ({"parameters": '{"limit": {"type": "int"}}'}, "parameters.limit"),
    "a precheck that is empty": ({"precheck": " "}, "precheck"),
    "a dependency on NULL": ({"depends_on": [None]}, "depends_on"),
    "a window upside down": ({"min_release": "3.1.0", "max_release": "3.0.0"}, "max_release"),
}


@pytest.mark.parametrize("case", WRONG_ARGUMENTS)
def test_other_arguments_that_cannot_be_read_are_refused_with_their_name(db, case):
    arguments, place = WRONG_ARGUMENTS[case]
    app = deployer(db)
    with expect_error("22023", message=re.compile(re.escape(place))) as error:
        register_json(app, "fill", [STEP], **arguments)
    assert error.hint
    assert db.one("SELECT count(*) FROM belay.job") == 0


NO_NAMES = {"NULL": None, "empty": "", "blank": "  ", "too long": "x" * 501, "two lines": "a\nb"}


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES)
def test_a_name_that_is_none_is_refused(db, name):
    app = deployer(db)
    with expect_error("22023", message=re.compile("name")) as error:
        register_json(app, name, [STEP])
    assert error.hint
    assert db.one("SELECT count(*) FROM belay.job") == 0


def test_a_name_may_have_500_characters_of_any_script(db):
    app = deployer(db)
    name = "Größe 'of' \"it\" " + "ü" * 484
    register(app, name, "SELECT 1")
    start(app, name)
    wait_for_end(db, name)


def test_operations_that_are_null_are_refused(db):
    with expect_error("22023", message=re.compile("operations")):
        register_json(deployer(db), "fill", None)


def test_a_project_that_does_not_exist_is_told(db):
    with expect_error("MG011"):
        register(deployer(db), "fill", "SELECT 1", project="nowhere")


#: SQL in every place that takes some: the place as it is told, operations, other arguments.
def in_every_place(statement: str) -> dict[str, tuple[list, dict]]:
    return {
        "operations[0]": ([{"sql": f"SELECT 1; {statement}"}], {}),
        "operations[1]": ([STEP, STEP | {"rollback": statement}], {}),
        "precheck": ([STEP], {"precheck": statement}),
        "healthcheck": ([STEP], {"healthcheck": statement}),
        "is_required": ([STEP], {"is_required": statement}),
        "progress": ([STEP], {"progress": statement}),
    }


NOT_SQL = in_every_place("SELEC true") | {
    "operations[0] set": ([{"batch": PASS | {"set": "n = = 1"}}], {}),
    "operations[0] select": ([{"batch": {"table": "public.t", "select": "f(n"}}], {}),
    "operations[0] where": ([{"batch": PASS | {"where": "n >"}}], {}),
}


@pytest.mark.parametrize("place", NOT_SQL)
def test_what_is_no_sql_is_refused_when_it_is_registered(db, place):
    operations, more = NOT_SQL[place]
    app = deployer(db)
    with expect_error("42601") as error:
        register_json(app, "fill", operations, **more)
    told = f"{error.message}\n{error.detail}\n{error.context}"
    assert place.split()[0] in told, told
    assert db.one("SELECT count(*) FROM belay.job") == 0


#: Statements that commit, or that need a client.
FORBIDDEN = [
    "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "PREPARE TRANSACTION 'x'",
    "COPY t FROM STDIN", "COPY t TO STDOUT", "\\d", "\\i other.sql",
]  # fmt: skip


@pytest.mark.parametrize("place", ["sql", "rollback"])
@pytest.mark.parametrize("statement", FORBIDDEN)
def test_statements_that_no_migration_may_hold_no_job_may_hold_either(db, statement, place):
    app = deployer(db)
    text = f"SELECT 1;\n{statement};\nSELECT 2" if not statement.startswith("\\") else f"SELECT 1;\n{statement}\nSELECT 2"
    with expect_error("MG010") as error:
        register_json(app, "fill", [STEP | {place: text}])
    assert error.hint
    assert db.one("SELECT count(*) FROM belay.job") == 0


def test_a_statement_that_commits_by_itself_is_the_only_one_of_its_operation(db):
    app = deployer(db)
    app.execute("CREATE TABLE t (a int)")
    with expect_error("MG010", hint=re.compile("operation")):
        register(app, "fill", "CREATE INDEX CONCURRENTLY i ON public.t (a); SELECT 1")
    register(app, "fill", "CREATE INDEX CONCURRENTLY i ON public.t (a)", "VACUUM public.t")
    start(app, "fill")
    wait_for_end(db, "fill")
    assert db.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'public.i'::regclass")


# ── what it depends on ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dependency_has_to_be_registered_in_the_same_project(db):
    db.execute("SELECT belay.project_create('shop')")
    app = deployer(db)
    register(app, "first", "SELECT 1")
    with expect_error("MG011", message=re.compile("nowhere")) as error:
        register(app, "second", "SELECT 1", depends_on=["first", "nowhere"])
    assert error.hint
    with expect_error("MG011", message=re.compile("first")):
        register(app, "second", "SELECT 1", depends_on=["first"], project="shop")
    assert db.rows("SELECT name FROM belay.job") == [("first",)]


def test_nothing_depends_on_itself_by_whatever_way(db):
    app = deployer(db)
    with expect_error("22023", message=re.compile("first")) as error:
        register(app, "first", "SELECT 1", depends_on=["first"])
    assert error.hint
    assert db.one("SELECT count(*) FROM belay.job") == 0

    register(app, "first", "SELECT 1")
    register(app, "second", "SELECT 1", depends_on=["first"])
    register(app, "third", "SELECT 1", depends_on=["first", "second"])  # two ways are no circle
    before = kept(db)
    for child in ("first", "second", "third"):
        with expect_error("22023"):
            register(app, "first", "SELECT 1", depends_on=[child])
        assert kept(db) == before


# ── taking one out ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wanted", ["not_started", "failed_at_startup", "rolled_back", "errored", "completed"])
def test_what_is_not_under_way_can_be_taken_out_with_all_that_belongs_to_it(db, wanted):
    app = deployer(db)
    bring(db, app, wanted)
    assert app.one("SELECT belay.job_unregister('fill')") == wanted
    assert kept(db) == {table: [] for table in TABLES}
    with expect_error("MG011"):
        app.execute("SELECT belay.job_unregister('fill')")
    register(app, "fill", "CREATE TABLE fresh ()")
    start(app, "fill")
    wait_for_end(db, "fill")


@pytest.mark.parametrize("wanted", ["starting", "running", "paused"])
def test_what_is_under_way_stays(db, wanted):
    app = deployer(db)
    bring(db, app, wanted)
    with expect_error("MG020", message=re.compile("fill")) as error:
        app.execute("SELECT belay.job_unregister('fill')")
    assert error.hint
    assert state(db, "fill") == wanted and db.one("SELECT count(*) FROM belay.job_definition") == 1


def test_what_another_depends_on_stays_as_long_as_that_one_does(db):
    app = deployer(db)
    register(app, "first", "SELECT 1")
    register(app, "second", "SELECT 1", depends_on=["first"])
    with expect_error("MG020", message=re.compile("second")):
        app.execute("SELECT belay.job_unregister('first')")
    for name in ("second", "first"):
        assert app.one("SELECT belay.job_unregister(%s)", [name]) == "not_started"


def test_batches_go_with_their_job_and_those_of_others_stay(db):
    app = deployer(db)
    app.execute("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT generate_series(1, 50)")
    for name in ("fill", "other"):
        register(app, name, {"batch": PASS | {"pause": "1ms"}})
        start(app, name)
        wait_for_end(db, name)
    app.execute("SELECT belay.job_unregister('fill')")
    assert db.rows("SELECT DISTINCT job FROM belay.job_batches") == [("other",)]
    assert db.one("SELECT count(DISTINCT job_id) FROM belay.job_batch") == 1


# ── parameters ───────────────────────────────────────────────────────────────────────────────────────────────────────

PARAMETERS = json.dumps({"limit": {"default": 10, "description": "rows"}, "word": {"default": "it's"}, "none": {}})
NOTE = """
    INSERT INTO public.noted
    VALUES (belay.job_parameter('limit'), belay.job_parameter('word'), belay.job_parameter('none'))
"""


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({}, ("10", "it's", None)),
        ({"limit": 20, "none": "some"}, ("20", "it's", "some")),
        ({"limit": None, "word": "", "none": True}, (None, "", "true")),
        ({"limit": -1.5, "word": "Größe \\ {\"x\"}", "none": [1, "a"]}, ("-1.5", "Größe \\ {\"x\"}", '[1,"a"]')),
    ],
)
def test_what_a_start_is_given_is_what_its_sql_reads_as_text(db, given, read):
    app = deployer(db)
    app.execute('CREATE TABLE noted ("limit" text, word text, "none" text)')
    register(app, "fill", NOTE, parameters=PARAMETERS)
    start_with(app, "fill", **given)
    wait_for_end(db, "fill")
    ((limit, word, none),) = db.rows("TABLE noted")
    assert (limit, word, none and none.replace(", ", ",")) == read


def test_without_parameters_a_start_takes_the_defaults(db):
    app = deployer(db)
    app.execute('CREATE TABLE noted ("limit" text, word text, "none" text)')
    for name in ("by_start", "by_finalize", "by_tick"):
        register(app, name, NOTE, parameters=PARAMETERS, auto_start=name == "by_tick")
    start(app, "by_start")
    wait_for_end(db, "by_start")
    app.execute("CALL belay.job_finalize('by_finalize')")
    tick_until_completed(db, "by_tick")
    assert db.rows("SELECT *, count(*)::int FROM noted GROUP BY 1, 2, 3") == [("10", "it's", None, 3)]
    with expect_error("22023"):
        app.one("SELECT belay.job_parameter('limit')")


def test_checks_and_batches_read_parameters_too(db):
    app = deployer(db)
    app.execute("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT generate_series(1, 50)")
    register(
        app, "fill", {"batch": PASS | {"set": "n = belay.job_parameter('n')::int", "pause": "1ms"}},
        parameters='{"n": {"default": 1}, "go": {"default": true}, "needed": {"default": true}}',
        precheck="SELECT belay.job_parameter('go')::boolean, 'it was told not to'",
        healthcheck="SELECT belay.job_parameter('go')::boolean",
        is_required="SELECT belay.job_parameter('needed')::boolean",
    )  # fmt: skip
    start_with(app, "fill", go=False)
    wait_for_end(db, "fill", "failed_at_startup")
    assert "it was told not to" in db.one("SELECT message FROM belay.job_errors")
    start_with(app, "fill", n=7)
    wait_for_end(db, "fill")
    assert db.rows("SELECT DISTINCT n FROM t") == [(7,)]
    needed = "SELECT belay.job_parameter('needed')::boolean"
    register(app, "again", "SELECT 1/0", parameters='{"needed": {}}', is_required=needed)
    start_with(app, "again", needed=False)
    wait_for_end(db, "again")


def test_a_resumed_job_reads_what_its_last_start_was_given(db):
    app = deployer(db)
    make_gate(app)
    app.execute("CREATE TABLE noted (n text)")
    note = {"sql": "INSERT INTO public.noted SELECT belay.job_parameter('n') WHERE pass()", "rollback": "SELECT 1"}
    register(app, "fill", note, parameters='{"n": {"default": "none"}}')
    for given in ({"n": "first"}, {"n": "second"}, {}):
        start_with(app, "fill", **given)
        db.wait_for("SELECT state = 'running' AND worker IS NOT NULL FROM belay.job_status()", bound=60)
        app.execute("SELECT belay.job_stop('fill', rollback => false)")
        wait_for_end(db, "fill", "errored")
        db.execute("TRUNCATE go")
        if given.get("n") != "second":  # that one is taken back, the others go on
            open_gate(db)
            assert app.one("SELECT belay.job_resume('fill')") == "running"
            wait_for_end(db, "fill")
            db.execute("TRUNCATE go")
            assert app.one("SELECT belay.job_rollback('fill', force => true)") == "rolling_back"
        else:
            assert app.one("SELECT belay.job_rollback('fill')") == "rolling_back"
        wait_for_end(db, "fill", "rolled_back")
    assert db.rows("TABLE noted") == [("first",), ("none",)]


@pytest.mark.parametrize("given", ['{"limits": 1}', '{"limit": 1, "x": 2}', "[1]", '"limit"', "1"])
def test_parameters_that_the_definition_does_not_have_are_refused(db, given):
    app = deployer(db)
    register(app, "fill", "SELECT 1", parameters=PARAMETERS)
    with expect_error("22023") as error:
        app.execute("SELECT belay.job_start('fill', parameters => %s)", [given])
    assert error.hint
    assert state(db, "fill") == "not_started"


def test_sql_that_reads_a_parameter_that_is_not_there_fails_as_an_operation_does(db):
    app = deployer(db)
    register(app, "fill", "SELECT belay.job_parameter('limits')", parameters=PARAMETERS)
    start(app, "fill")
    wait_for_end(db, "fill", "rolled_back")
    assert db.rows("SELECT sqlstate, message ~ 'limits' FROM belay.job_errors") == [("22023", True)]


def test_where_no_job_runs_there_are_no_parameters(db):
    for session in (deployer(db), db.session):
        with expect_error("22023") as error:
            session.execute("SELECT belay.job_parameter('limit')")
        assert error.hint


# ── as whom, and under what ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_search_path_of_the_registration_is_what_runs(db):
    app = deployer(db)
    role = app.info.user
    for schema in ("one", "two"):
        db.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {role}; CREATE TABLE {schema}.here AS SELECT '{schema}' AS name")
        db.execute(f"GRANT SELECT ON {schema}.here TO {role}")
    db.execute(f"ALTER ROLE {role} SET search_path = two")
    app.execute("SET search_path = one, public")
    check = "SELECT (SELECT name FROM here) = 'one'"
    made = {"sql": "CREATE TABLE made AS TABLE here", "rollback": "DROP TABLE made"}
    register(app, "fill", made, precheck=check, is_required=check)
    other = db.connect(user=role)  # whose search_path is two
    start(other, "fill")
    wait_for_end(db, "fill")
    assert (has_table(db, "one.made"), has_table(db, "two.made")) == (True, False)
    assert db.rows("TABLE one.made") == [("one",)]
    assert other.one("SELECT belay.job_rollback('fill', force => true)") == "rolling_back"
    wait_for_end(db, "fill", "rolled_back")
    assert not has_table(db, "one.made")


SEEN = """
    CREATE TABLE public.seen (step int, who text, session text, is_superuser boolean);
    GRANT ALL ON public.seen TO PUBLIC;
"""


def look(step: int) -> str:
    return f"""
        INSERT INTO public.seen
        SELECT {step}, current_user, session_user, current_setting('is_superuser')::boolean
               OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    """


def seen(db: Database) -> list[tuple]:
    return db.rows("SELECT step, who, session, is_superuser FROM seen ORDER BY step")


def test_it_runs_as_its_registrant_whoever_is_there(db):
    app = deployer(db)
    db.execute(SEEN)
    precheck = "SELECT current_user = session_user AND current_user LIKE 'app%'"
    register(app, "fill", look(1), "CREATE TABLE made ()", precheck=precheck)
    start(app, "fill")
    wait_for_end(db, "fill")
    assert seen(db) == [(1, app.info.user, app.info.user, False)]
    assert db.one("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'made'") == app.info.user


def team(db: Database) -> tuple[Session, str, str]:
    """A session of a member that has taken on the role of its team, which cannot log in; and both roles."""
    role, member = grantee(db, "crew", options="NOLOGIN"), grantee(db, "person")
    db.execute(f"GRANT {role} TO {member}")
    session = db.connect(user=member)
    session.execute(f"SET ROLE {role}")
    return session, role, member


def test_after_set_role_it_connects_as_the_session_and_runs_as_the_role(db):
    session, role, member = team(db)
    db.execute(SEEN)
    register(session, "fill", look(1), "CREATE TABLE made ()", look(2))
    assert db.rows("SELECT role::text, session_role::text FROM belay.job") == [(role, member)]
    start(session, "fill")
    wait_for_end(db, "fill")
    assert seen(db) == [(step, role, member, False) for step in (1, 2)]
    assert db.one("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'made'") == role


#: Ways to become somebody else.
WAYS_UP = [
    "RESET ROLE",
    "SET ROLE NONE",
    "SET ROLE postgres",
    "SET LOCAL ROLE postgres",
    "RESET ALL",
    "RESET SESSION AUTHORIZATION",
    "SET SESSION AUTHORIZATION DEFAULT",
    "SET SESSION AUTHORIZATION postgres",
    "DO $$ BEGIN RESET ROLE; END $$",
    "DO $$ BEGIN SET SESSION AUTHORIZATION postgres; EXCEPTION WHEN OTHERS THEN NULL; END $$",
    "SELECT set_config('role', 'none', false)",
    "SELECT set_config('session_authorization', 'postgres', false)",
]


def run_to_its_end(db: Database, session: Session, way: str) -> None:
    """Two operations, the first of which tries that; refused or not."""
    db.execute(SEEN)
    register(session, "fill", f"{way}; {look(1)}", look(2))
    start(session, "fill")
    ended = "SELECT state FROM belay.job_status() WHERE state IN ('completed', 'errored', 'rolled_back') AND worker IS NULL"
    if db.wait_for(ended, bound=60) == "completed":
        assert [step for step, *_ in seen(db)] == [1, 2]
    else:
        assert {sqlstate for (sqlstate,) in db.rows("SELECT sqlstate FROM belay.job_errors")} <= {"42501", "MG010"}


@pytest.mark.parametrize("way", WAYS_UP)
def test_no_operation_becomes_more_than_its_registrant(db, way):
    app = deployer(db)
    run_to_its_end(db, app, way)
    assert {row[1:] for row in seen(db)} <= {(app.info.user, app.info.user, False)}


@pytest.mark.parametrize("way", WAYS_UP)
def test_no_operation_climbs_back_to_who_took_on_its_registrants_role(db, way):
    session, role, member = team(db)
    run_to_its_end(db, session, way)
    assert {row[1:] for row in seen(db)} <= {(role, member, False)}


def test_settings_of_the_role_and_the_database_hold_and_those_of_a_session_do_not(db):
    app = deployer(db)
    role = app.info.user
    db.execute(f"ALTER DATABASE {db.name} SET app.of_database = 'yes'")
    db.execute(f"ALTER ROLE {role} SET app.of_role = 'yes'")
    db.execute(f"ALTER ROLE {role} IN DATABASE {db.name} SET work_mem = '7MB'")
    app.execute("SET app.of_session = 'yes'; SET maintenance_work_mem = '3MB'")
    names = ["app.of_database", "app.of_role", "app.of_session", "work_mem"]
    columns = ", ".join(f"current_setting('{name}', true) AS \"{name}\"" for name in names)
    register(app, "fill", f"CREATE TABLE found AS SELECT {columns}, current_setting('maintenance_work_mem') AS other")
    start(app, "fill")
    wait_for_end(db, "fill")
    ((of_database, of_role, of_session, work_mem, other),) = db.rows("TABLE found")
    assert (of_database, of_role, of_session or None, work_mem) == ("yes", "yes", None, "7MB")
    assert other != "3MB"


def test_what_an_operation_sets_ends_with_it(db):
    app = deployer(db)
    values = ", ".join(f"current_setting('{name}', true)" for name in ("work_mem", "search_path", "app.x"))
    note = f"INSERT INTO public.found SELECT {values}"
    sets = "SET work_mem = '7MB'; SET search_path = pg_catalog; SET app.x = 'y'"
    register(app, "fill", f"CREATE TABLE public.found (a text, b text, c text); {note}", f"{sets}; {note}", note)
    start(app, "fill")
    wait_for_end(db, "fill")
    first, within, after = [(a, b, c or None) for a, b, c in db.rows("TABLE found")]
    assert within == ("7MB", "pg_catalog", "y") and after == first


def said(db: Database, session: Session | None = None) -> str:
    """All that anybody is told of the job fill: notices, errors, its status."""
    lines = [f"{notice.message} {notice.hint}" for one in (session, db.session) if one for notice in one.notices]
    lines += [str(row) for row in errors(db, "fill")]
    lines += [str(row) for row in db.rows("SELECT waits_for, last_error FROM belay.job_status()")]
    return "\n".join(lines)


#: What a registrant can lose, and a word of what is told.
LOSSES = {
    "the login": ("ALTER ROLE {member} NOLOGIN", "ALTER ROLE {member} LOGIN", "log in|LOGIN"),
    "the membership": ("REVOKE {role} FROM {member}", "GRANT {role} TO {member}", "may not SET ROLE"),
    "the connection": (
        "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC", "GRANT CONNECT ON DATABASE {database} TO PUBLIC", "connect",
    ),
    "itself": ("REASSIGN OWNED BY {member} TO postgres; DROP OWNED BY {member}; DROP ROLE {member}", None, "exist"),
}  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
def test_a_registrant_that_cannot_work_any_more_is_told_and_nothing_runs(db, loss):
    session, role, member = team(db)
    make_gate(session)
    lose, give_back, told = LOSSES[loss]
    names = {"role": role, "member": member, "database": db.name}
    register(session, "fill", "SELECT pass()", "CREATE TABLE made ()")
    start(session, "fill")
    pid = db.wait_for("SELECT worker FROM belay.job_status() WHERE state = 'running'", bound=60)
    db.execute("SELECT pg_terminate_backend(%s)", [pid])
    db.wait_until_gone(pid)
    db.execute(lose.format(**names))
    open_gate(db)

    def ticked() -> bool:
        db.one("SELECT belay.job_tick()")
        return re.search(told, said(db)) is not None

    poll_until(ticked, 60, f"it is told: {told}")
    assert not has_table(db, "public.made")
    assert state(db, "fill") in ("running", "errored")
    if give_back:
        db.execute(give_back.format(**names))
        if state(db, "fill") == "errored":
            session.execute(f"SET ROLE {role}")
            assert session.one("SELECT belay.job_retry('fill')") == "running"
        tick_until_completed(db, "fill")
        assert has_table(db, "public.made")


@pytest.mark.parametrize("by", ["a start", "itself"])
def test_what_begins_after_its_registrant_has_lost_the_login_says_so_and_does_not_run(db, by):
    app = deployer(db)
    register(app, "fill", "CREATE TABLE made ()", auto_start=by == "itself")
    db.execute(f"ALTER ROLE {app.info.user} NOLOGIN")
    refused = ""
    if by == "a start":
        try:
            app.execute("SELECT belay.job_start('fill')")
        except psycopg.Error as error:
            refused = describe(error)
    else:
        assert db.one("SELECT belay.job_tick()") == 0, "it counts as a worker that was started"

    def is_told() -> bool:
        db.one("SELECT belay.job_tick()")
        return re.search("log in|LOGIN", refused + said(db, app)) is not None

    poll_until(is_told, 60, "it is told that the role may not log in")
    assert not has_table(db, "public.made")
    assert state(db, "fill") in ("not_started", "starting", "failed_at_startup")


def test_jobs_of_superusers_are_refused_unless_one_has_allowed_them(db):
    session, role = db.session, deployer(db).info.user
    with expect_error("42501", message=re.compile("superuser"), hint=re.compile("belay.allow_superuser_jobs")):
        register(session, "fill", "SELECT 1")
    # Whom it would connect as is a superuser still.
    session.execute(SQL("SET ROLE {}").format(Identifier(role)))
    with expect_error("42501"):
        register(session, "fill", "SELECT 1")
    session.execute("RESET ROLE")
    assert db.one("SELECT count(*) FROM belay.job") == 0

    session.execute("SET belay.allow_superuser_jobs = on")
    db.execute(SEEN)
    register(session, "fill", look(1))
    start(session, "fill")
    wait_for_end(db, "fill")
    assert seen(db) == [(1, "postgres", "postgres", True)]


def test_only_a_superuser_allows_jobs_of_superusers(db):
    app = deployer(db)
    register(app, "fill", "SELECT 1")
    with expect_error("42501"):
        app.execute("SET belay.allow_superuser_jobs = on")


# ── whose it is ──────────────────────────────────────────────────────────────────────────────────────────────────────


def filled_and_failed(db: Database) -> Session:
    """A job with batches and one with an error, of one role."""
    app = deployer(db)
    app.execute("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT generate_series(1, 50)")
    register(app, "filled", {"batch": PASS | {"pause": "1ms"}})
    register(app, "failed", "SELECT 'secret'::int")
    start(app, "filled")
    wait_for_end(db, "filled")
    start(app, "failed")
    wait_for_end(db, "failed", "rolled_back")
    return app


def test_errors_and_batches_are_for_the_registrant_its_members_and_monitors(db):
    app = filled_and_failed(db)
    monitor, member = db.role("monitor"), db.role("member")
    db.execute(f"GRANT pg_monitor TO {monitor}; GRANT {app.info.user} TO {member}")
    for role in (app.info.user, monitor, member):
        session = db.connect(user=role)
        assert session.rows("SELECT job, sqlstate FROM belay.job_errors") == [("failed", "22P02")], role
        assert session.rows("SELECT DISTINCT job, state FROM belay.job_batches") == [("filled", "succeeded")], role
    for role in (grantee(db, "stranger"), grantee(db, "client", "client"), db.role("nobody")):
        session = db.connect(user=role)
        assert session.rows("TABLE belay.job_errors") == [] == session.rows("TABLE belay.job_batches"), role
        # A condition that tells what it sees is asked of no row of somebody else's.
        session.execute(
            """
            CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001
            AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$
            """
        )
        session.execute("SELECT FROM belay.job_errors WHERE pg_temp.tell(message)")
        session.execute("SELECT FROM belay.job_batches WHERE pg_temp.tell(state)")
        assert session.messages == [], role


def test_a_stranger_reads_no_definition_error_or_batch_as_it_is_kept(db):
    app = filled_and_failed(db)
    monitor, reader = db.role("monitor"), grantee(db, "reader", "reader")
    db.execute(f"GRANT pg_monitor TO {monitor}")
    refused = {
        app.info.user: {"job_definition", "job_error", "job_batch"},
        grantee(db, "stranger"): {"job_definition", "job_error", "job_batch"},
        monitor: {"job_definition"},
        reader: set(),
    }
    for role, tables in refused.items():
        session = db.connect(user=role)
        for table in ("job_definition", "job_error", "job_batch"):
            if table in tables:
                with expect_error("42501"):
                    session.execute(f"TABLE belay.{table}")
            else:
                assert session.rows(f"TABLE belay.{table}") != [], (role, table)


def test_the_state_of_all_jobs_is_for_readers_deployers_and_monitors(db):
    app = filled_and_failed(db)
    monitor = db.role("monitor")
    db.execute(f"GRANT pg_monitor TO {monitor}")
    for role in (app.info.user, monitor, grantee(db, "reader", "reader"), grantee(db, "stranger")):
        session = db.connect(user=role)
        found = session.rows("SELECT name, state FROM belay.job_status()")
        assert found == [("failed", "rolled_back"), ("filled", "completed")], role
        assert len(session.rows("TABLE belay.job")) == 2
    with expect_error("42501"):
        db.connect(user=db.role("nobody")).execute("SELECT * FROM belay.job_status()")


VERBS = [
    "SELECT belay.job_start('fill')",
    "SELECT belay.job_skip('fill', 'not mine')",
    "SELECT belay.job_unregister('fill')",
    "CALL belay.job_finalize('fill')",
    """SELECT belay.job_register('fill', '[{"sql": "SELECT current_user"}]')""",
]


def test_another_role_steers_no_job_and_takes_none_over(db):
    app = deployer(db)
    register(app, "fill", "SELECT 1")
    before = kept(db)
    other = db.connect(user=grantee(db, "stranger"))
    for verb in VERBS:
        with expect_error("42501") as error:
            other.execute(verb)
        assert error.hint, verb
    assert kept(db) == before


@pytest.mark.parametrize("rights", ["client", "reader"])
def test_who_does_not_deploy_registers_and_steers_nothing(db, rights):
    register(deployer(db), "fill", "SELECT 1")
    session = db.connect(user=grantee(db, "other", rights))
    for verb in [*VERBS, "SELECT belay.job_tick()", "SELECT belay.jobs_release()", "CALL belay.job_work(1)"]:
        with expect_error("42501"):
            session.execute(verb)


def test_in_a_read_only_transaction_nothing_is_registered_or_steered(db):
    app = deployer(db)
    register(app, "fill", "SELECT 1")
    before = kept(db)
    session = db.connect(user=app.info.user, options="-c default_transaction_read_only=on")
    for verb in [verb for verb in VERBS if verb.startswith("SELECT")]:
        with expect_error("25006"):
            session.execute(verb)
    with expect_error("25006"):
        register(session, "other", "SELECT 1")
    assert kept(db) == before


def test_a_deployer_writes_no_table_of_jobs_by_hand(db):
    app = filled_and_failed(db)
    before = kept(db)
    changes = {
        "job": "note = 'x'",
        "job_definition": "parameters = '{}'",
        "job_error": "message = 'x'",
        "job_batch": "rows = 0",
        "job_home": "released_by = 'x'",
        "job_transition": "happens = 'x'",
    }
    for table, change in changes.items():
        for write in (f"UPDATE belay.{table} SET {change}", f"DELETE FROM belay.{table}", f"TRUNCATE belay.{table}"):
            with expect_error("42501"):
                app.execute(write)
        with expect_error("42501"):
            app.execute(f"INSERT INTO belay.{table} DEFAULT VALUES")
    assert kept(db) == before


# ── a dump ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dump_keeps_jobs_in_whatever_state_with_their_errors_and_batches(db, new_database, request):
    app = filled_and_failed(db)
    make_gate(app)
    later = {"depends_on": ["filled"], "min_release": "3.0.0", "description": "soon"}
    register(app, "coming", "SELECT 1", parameters=PARAMETERS, **later)
    register(app, "refused", "SELECT 1", precheck="SELECT false, 'no'")
    start(app, "refused")
    wait_for_end(db, "refused", "failed_at_startup")
    register(app, "resting", {"batch": PASS | {"size": 10, "sub_batch": 5, "pause": "300ms"}}, "SELECT 1")
    start(app, "resting")
    db.wait_for("SELECT rows > 0 FROM belay.job WHERE name = 'resting'", bound=60)
    assert app.one("SELECT belay.job_pause('resting')") == "paused"
    wait_for_end(db, "resting", "paused")

    copy = new_database(on=db.server, extension=False)
    request.addfinalizer(copy.remove)  # before the role, which owns what is in it
    plain(db, copy)
    assert kept(copy) == kept(db)
    assert dict(copy.rows("SELECT name, state FROM belay.job")) == {
        "coming": "not_started",
        "failed": "rolled_back",
        "filled": "completed",
        "refused": "failed_at_startup",
        "resting": "paused",
    }

    # What was registered is known, and new ones get numbers of their own.
    there = copy.connect(user=app.info.user)
    register(there, "failed", "SELECT 'secret'::int")
    assert kept(copy) == kept(db)
    register(there, "another", "SELECT 1")
    assert copy.one("SELECT count(DISTINCT id) FROM belay.job") == 6

    # It goes on where it was, as soon as somebody says that it may.
    assert there.one("SELECT belay.job_resume('resting')") == "running"
    assert copy.one("SELECT belay.job_tick()") == 0
    assert "jobs_release" in copy.one("SELECT waits_for FROM belay.job_status() WHERE name = 'resting'")
    assert copy.one("SELECT belay.jobs_release()") == 1
    tick_until_completed(copy, "resting")
    assert copy.one("SELECT rows FROM belay.job WHERE name = 'resting'") == 50
    assert state(db, "resting") == "paused"
