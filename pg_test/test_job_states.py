"""States of jobs: what each verb makes of each state, what the catalog refuses, and operations forward and back.

The ids are those of behaviours/async-jobs.md.
"""

from __future__ import annotations

import json
import re

import pytest

from harness.database import Database
from harness.jobs import deployer, errors, make_gate, open_gate, register, start, state, wait_for_end, wait_for_worker
from harness.session import Session, expect_error

# ── every verb in every state ────────────────────────────────────────────────────────────────────────────────────────

VERBS = {
    "start": "SELECT belay.job_start('job')",
    "stop": "SELECT belay.job_stop('job')",
    "stop here": "SELECT belay.job_stop('job', rollback => false)",
    "pause": "SELECT belay.job_pause('job')",
    "resume": "SELECT belay.job_resume('job')",
    "retry": "SELECT belay.job_retry('job')",
    "rollback": "SELECT belay.job_rollback('job')",
    "force rollback": "SELECT belay.job_rollback('job', force => true)",
    "skip": "SELECT belay.job_skip('job', 'a test')",
}

#: State → what each verb makes of it; a verb that is not there is refused.
AFTER = {
    "not_started": {"start": "starting", "skip": "completed"},
    "failed_at_startup": {"start": "starting", "retry": "starting", "skip": "completed"},
    "rolled_back": {"start": "starting", "skip": "completed"},
    "starting": {"stop": "rolled_back", "stop here": "rolled_back"},
    "running": {"stop": "stopping", "stop here": "stopping", "pause": "paused"},
    "paused": {
        "resume": "running", "stop": "rolling_back", "stop here": "errored", "rollback": "rolling_back", "force rollback": "rolling_back",
    },
    "errored": {
        "resume": "running", "retry": "running", "rollback": "rolling_back", "force rollback": "rolling_back", "skip": "completed",
    },
    "rolling_back": {},
    "completed": {"force rollback": "rolling_back"},
}  # fmt: skip


def bring(db: Database, app: Session, wanted: str) -> None:
    """The job into that state, by what users do; what it runs waits at the gate."""
    make_gate(app)
    db.execute(f"ALTER DATABASE {db.name} SET belay.job_auto_rollback = off")
    app.execute("SET belay.job_auto_rollback = off")
    more = {"failed_at_startup": {"precheck": "SELECT false"}, "starting": {"precheck": "SELECT pass()"}}.get(wanted, {})
    work = {"completed": "SELECT 1", "errored": "SELECT 1/0", "rolled_back": "SELECT 1/0", "rolling_back": "SELECT 1/0"}
    operation = {"sql": work.get(wanted, "SELECT pass()"), "rollback": "SELECT pass()" if wanted == "rolling_back" else None}
    register(app, "job", operation, **more)
    if wanted == "not_started":
        return
    if wanted in ("starting", "running", "paused"):
        start(app, "job")
        wait_for_worker(db, "job")
        db.wait_for("SELECT state = %s FROM belay.job", ["starting" if wanted == "starting" else "running"], 60)
        if wanted == "paused":
            assert app.one(VERBS["pause"]) == "paused"
        return
    if wanted == "completed":
        app.execute("CALL belay.job_finalize('job')")
        return
    with expect_error("MG020" if wanted == "failed_at_startup" else "22012"):
        app.execute("CALL belay.job_finalize('job')")
    if wanted in ("rolled_back", "rolling_back"):
        assert app.one(VERBS["rollback"]) == "rolling_back"
        if wanted == "rolled_back":
            wait_for_end(db, "job", "rolled_back")


ALLOWED = [(before, verb) for before, verbs in AFTER.items() for verb in verbs]


@pytest.mark.parametrize(("before", "verb"), ALLOWED)
def test_ph_2_ph_13_ph_14_ph_15_what_a_state_allows(db, before, verb):
    app = deployer(db)
    bring(db, app, before)
    # Seen before any worker does anything about it.
    with app.transaction():
        assert app.one(VERBS[verb]) == AFTER[before][verb]
        assert app.one("SELECT state FROM belay.job") == AFTER[before][verb]


@pytest.mark.parametrize("before", AFTER)
def test_what_a_state_does_not_allow_is_refused_and_told_what_it_does(db, before):
    app = deployer(db)
    bring(db, app, before)
    possible = {re.match(r"SELECT belay\.(\w+)", VERBS[verb])[1] for verb in AFTER[before]}
    for verb in VERBS.keys() - AFTER[before].keys():
        with expect_error("MG020") as error:
            app.execute(VERBS[verb])
        assert before in error.message, verb
        assert all(name in error.hint for name in possible), error.hint
        assert state(db, "job") == before, verb


def lose_worker(db: Database) -> None:
    pid = wait_for_worker(db, "job")
    db.execute("SELECT pg_terminate_backend(%s)", [pid])
    db.wait_until_gone(pid)


def wait_until_it_is_at_the_gate(db: Database) -> None:
    """Its worker is within the operation, not on the way there."""
    asleep = "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = %s"
    db.wait_for(asleep, [wait_for_worker(db, "job")], 60, "the worker waits at the gate")


def start_stubborn(db: Database, app: Session) -> None:
    """A job whose only operation is under way, and is not cancelled by anybody before the gate is open."""
    make_gate(app)
    app.execute("CREATE TABLE log (direction text)")
    app.execute(
        """
        CREATE FUNCTION pass_anyway() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
            LOOP
                BEGIN
                    WHILE NOT EXISTS (SELECT FROM public.go) LOOP PERFORM pg_sleep(0.05); END LOOP;
                    RETURN true;
                EXCEPTION WHEN query_canceled THEN NULL;
                END;
            END LOOP;
        END $$
        """
    )
    register(app, "job", {"sql": f"{FORWARD}; SELECT pass_anyway()", "rollback": BACK})
    start(app, "job")
    wait_until_it_is_at_the_gate(db)


@pytest.mark.parametrize("last", ["stop", "stop here"])
def test_ph_26_a_stop_during_the_last_operation_never_ends_completed_and_the_last_word_counts(db, last):
    app = deployer(db)
    start_stubborn(db, app)
    first = {"stop": "stop here", "stop here": "stop"}[last]
    for verb in (first, last):
        assert app.one(VERBS[verb]) == "stopping"
    for verb in VERBS.keys() - {"stop", "stop here"}:
        with expect_error("MG020", message=re.compile("stopping"), hint=re.compile("possible now")):
            app.execute(VERBS[verb])
    with expect_error("55P03"):
        app.execute("CALL belay.job_finalize('job')")
    assert state(db, "job") == "stopping"
    open_gate(db)
    wait_for_end(db, "job", "rolled_back" if last == "stop" else "errored")
    ((_, direction, sqlstate, message),) = errors(db, "job")
    assert (direction, sqlstate) == ("forward", "MG020") and "stopped" in message
    # The operation has ended, and is noted as done.
    assert counted(db) == (1, 1 if last == "stop" else 0)
    if last == "stop here":
        assert app.one(VERBS["resume"]) == "running"
        wait_for_end(db, "job")
        assert counted(db) == (1, 0)


@pytest.mark.parametrize("verb", ["stop", "stop here"])
def test_ph_7_a_stop_while_the_checks_are_made_leaves_no_error_and_nothing_has_run(db, verb):
    app = deployer(db)
    make_gate(app)
    register(app, "job", precheck="SELECT pass()")
    start(app, "job")
    wait_for_worker(db, "job")
    assert app.one(VERBS[verb]) == "rolled_back"
    wait_for_end(db, "job", "rolled_back", bound=20)
    assert errors(db, "job") == [] and app.one("SELECT belay.job_tick()") == 0
    open_gate(db)
    assert db.one("SELECT to_regclass('public.job') IS NULL")
    start(app, "job")
    wait_for_end(db, "job")
    assert db.one("SELECT to_regclass('public.job') IS NOT NULL")


def test_ph_4_of_two_who_start_a_job_at_once_one_does(db):
    app = deployer(db)
    app.execute("CREATE TABLE log (direction text)")
    register(app, "job", FORWARD)
    with app.transaction():
        start(app, "job")
        other = db.start(VERBS["start"], user=app.info.user)
        db.wait_until_blocked(other.pid)
    with expect_error("MG020"):
        other.finish()
    wait_for_end(db, "job")
    assert counted(db) == (1, 0)


def test_a_pause_lets_the_operation_in_hand_end_and_rests_before_the_next_one(db):
    app = deployer(db)
    make_gate(app)
    register(app, "job", "SELECT pass()", "CREATE TABLE after ()")
    start(app, "job")
    wait_until_it_is_at_the_gate(db)
    assert app.one(VERBS["pause"]) == "paused"
    open_gate(db)
    wait_for_end(db, "job", "paused")
    assert standing(db) == ("paused", 1, 50, 0) and app.one("SELECT belay.job_tick()") == 0
    assert db.one("SELECT to_regclass('after') IS NULL")
    assert app.one(VERBS["resume"]) == "running"
    wait_for_end(db, "job")
    assert db.one("SELECT to_regclass('after') IS NOT NULL")


def test_an_operation_that_fails_when_it_was_told_to_pause_is_an_error_like_any_other(db):
    app = deployer(db)
    make_gate(app)
    app.execute("CREATE TABLE divisor AS SELECT 0 AS by")
    register(app, "job", "SELECT pass(); SELECT 1 / by FROM divisor")
    start(app, "job")
    wait_until_it_is_at_the_gate(db)
    assert app.one(VERBS["pause"]) == "paused"
    open_gate(db)
    wait_for_end(db, "job", "rolled_back")
    assert [error[:3] for error in errors(db, "job")] == [(1, "forward", "22012")]


@pytest.mark.parametrize("verb", ["resume", "retry"])
def test_ph_13_who_goes_on_is_asked_no_check_of_the_start(db, verb):
    app = deployer(db)
    app.execute("CREATE TABLE divisor AS SELECT 0 AS by")
    app.execute("SET belay.job_auto_rollback = off")
    was = "SELECT by = 0 FROM divisor"
    register(app, "job", "SELECT 1 / by FROM divisor", precheck=was, is_required=was, max_release="3.0.0")
    app.execute("SELECT belay.release_announce('3.0.0')")
    with expect_error("22012"):
        app.execute("CALL belay.job_finalize('job')")
    app.execute("SELECT belay.release_announce('3.1.0')")
    app.execute("UPDATE divisor SET by = 1")
    assert app.one(VERBS[verb]) == "running"
    wait_for_end(db, "job")
    assert db.rows("SELECT note, errors FROM belay.job") == [(None, 1)]


def test_a_retry_of_what_has_failed_at_startup_makes_the_checks_again(db):
    app = deployer(db)
    app.execute("CREATE TABLE answer AS SELECT false AS yes")
    register(app, "job", precheck="SELECT yes, 'not yet' FROM answer")
    start(app, "job")
    wait_for_end(db, "job", "failed_at_startup")
    assert app.one(VERBS["retry"]) == "starting"
    wait_for_end(db, "job", "failed_at_startup")
    assert len(errors(db, "job")) == 2
    app.execute("UPDATE answer SET yes = true")
    assert app.one(VERBS["retry"]) == "starting"
    wait_for_end(db, "job")
    assert db.one("SELECT to_regclass('public.job') IS NOT NULL")


# ── the catalog ──────────────────────────────────────────────────────────────────────────────────────────────────────

#: What may become of each.
TRANSITIONS = {
    "not_started": {"starting", "completed"},
    "starting": {"running", "completed", "failed_at_startup", "rolled_back"},
    "failed_at_startup": {"starting", "completed"},
    "running": {"completed", "errored", "stopping", "paused"},
    "stopping": {"errored", "rolling_back"},
    "paused": {"running", "errored", "rolling_back"},
    "errored": {"running", "rolling_back", "completed"},
    "completed": {"rolling_back"},
    "rolling_back": {"rolled_back", "errored"},
    "rolled_back": {"starting", "completed"},
}


def test_the_catalog_has_these_transitions_and_keeps_them(db):
    rows = db.rows("SELECT from_state, to_state FROM belay.job_transition")
    assert set(rows) == {(before, after) for before, afters in TRANSITIONS.items() for after in afters}
    for statement in (
        "INSERT INTO belay.job_transition VALUES ('completed', 'running', 'x')",
        "UPDATE belay.job_transition SET happens = 'x'",
        "DELETE FROM belay.job_transition",
        "TRUNCATE belay.job_transition",
        "UPDATE belay.job_error SET message = 'x'",
        "TRUNCATE belay.job",
    ):
        with expect_error("MG015"):
            db.execute(statement)


def test_a_change_that_the_catalog_does_not_have_is_refused_whoever_writes_it(db):
    register(deployer(db), "job")
    reached = {"not_started": []}
    waiting = ["not_started"]
    while waiting:
        before = waiting.pop()
        for after in sorted(TRANSITIONS[before] - reached.keys()):
            reached[after] = [*reached[before], after]
            waiting.append(after)
    assert set(reached) == set(TRANSITIONS)
    for before, way in reached.items():
        for after in TRANSITIONS:
            with db.session.transaction(force_rollback=True):
                for step in way:
                    db.execute("UPDATE belay.job SET state = %s", [step])
                change = ("UPDATE belay.job SET state = %s", [after])
                if after == before or after in TRANSITIONS[before]:
                    db.execute(*change)
                    continue
                with expect_error("MG020", message=f'job "job" cannot come from {before} to {after}') as error, db.session.transaction():
                    db.execute(*change)
                assert all(one in error.detail for one in TRANSITIONS[before])
    with expect_error("MG020"):
        db.execute("INSERT INTO belay.job (project_id, name, checksum, operations, role, session_role, search_path, state) "
                   "SELECT project_id, 'other', checksum, 1, role, session_role, '', 'running' FROM belay.job")  # fmt: skip


def test_a_change_that_the_catalog_does_not_have_is_refused_in_a_session_without_triggers_too(db):
    register(deployer(db), "job")
    session = db.connect(options="-c session_replication_role=replica")
    with expect_error("MG020"):
        session.execute("UPDATE belay.job SET state = 'running'")
    assert state(db, "job") == "not_started"


def test_each_change_of_state_is_told_to_whoever_listens(db):
    app = deployer(db)
    listener = db.connect()
    listener.execute("LISTEN belay")
    register(app, "job")
    app.execute("CALL belay.job_finalize('job')")
    told = [json.loads(note.payload) for note in listener.notifies(timeout=20, stop_after=3)]
    assert told == [{"job": "job", "state": one, "project": "default"} for one in ("starting", "running", "completed")]


def test_a_failure_and_the_way_back_are_told_too_unless_that_is_turned_off(db):
    app = deployer(db)
    listener = db.connect()
    listener.execute("LISTEN belay")
    register(app, "quiet")
    app.execute("SET belay.notify = off")
    app.execute("CALL belay.job_finalize('quiet')")
    app.execute("RESET belay.notify")
    register(app, "job", "SELECT 1/0")
    with expect_error("22012"):
        app.execute("CALL belay.job_finalize('job')")
    told = [json.loads(note.payload) for note in listener.notifies(timeout=20, stop_after=5)]
    assert {one["job"] for one in told} == {"job"}
    assert [one["state"] for one in told] == ["starting", "running", "errored", "rolling_back", "rolled_back"]


# ── the checks of the start ──────────────────────────────────────────────────────────────────────────────────────────


def test_ph_1_a_job_is_registered_as_not_started(db):
    register(deployer(db), "job", description="what for")
    columns = "state, description, operation, percent::int, errors, started_at, finished_at"
    assert db.rows(f"SELECT {columns} FROM belay.job") == [("not_started", "what for", 0, 0, 0, None, None)]


def test_ph_4_a_start_begins_at_the_first_operation_with_nothing_left_of_the_last_one(db):
    """PH-27: PostHog left finished_at as it was."""
    app = deployer(db)
    register(app, "job", "SELECT 1", {"sql": "SELECT 1/0"})
    with expect_error("22012"):
        app.execute("CALL belay.job_finalize('job')")
    assert db.one("SELECT finished_at IS NOT NULL FROM belay.job")
    register(app, "job", "SELECT 1", "SELECT 2")
    with app.transaction(force_rollback=True):
        start(app, "job")
        columns = "operation, percent::int, finished_at, note, started_at >= now() - interval '1 min'"
        assert app.rows(f"SELECT {columns} FROM belay.job") == [(0, 0, None, None, True)]
    app.execute("CALL belay.job_finalize('job')")
    assert db.one("SELECT started_at < finished_at FROM belay.job")


def test_ph_5_what_is_not_required_is_completed_and_nothing_of_it_runs(db):
    app = deployer(db)
    register(app, "job", is_required="SELECT false", precheck="SELECT 1/0 = 1")
    app.execute("CALL belay.job_finalize('job')")
    assert db.rows("SELECT state, percent::int, errors, note FROM belay.job") == [
        ("completed", 100, 0, "not required: is_required says no")
    ]
    assert db.one("SELECT to_regclass('public.job') IS NULL")


def test_ph_6_the_checks_come_in_their_order_and_leave_an_error_and_no_rollback(db):
    app = deployer(db)
    app.execute("CREATE TABLE seen (what text)")
    app.execute("CREATE TABLE answer (what text, yes boolean)")
    app.execute("INSERT INTO answer VALUES ('precheck', false), ('healthcheck', false)")
    register(app, "parent")
    checks = {name: f"SELECT yes, 'not yet: {name}' FROM answer WHERE what = '{name}'" for name in ("precheck", "healthcheck")}
    register(
        app, "job", {"sql": "CREATE TABLE job ()", "rollback": "INSERT INTO seen VALUES ('rollback')"},
        depends_on=["parent"], max_release="3.0.0", **checks,
    )  # fmt: skip

    def fails(said: str) -> None:
        with expect_error("MG020", message=re.compile(said)):
            app.execute("CALL belay.job_finalize('job')")
        assert state(db, "job") == "failed_at_startup"
        operation, direction, sqlstate, message = errors(db, "job")[0]
        assert (operation, direction, sqlstate) == (None, "start", "MG020") and re.search(said, message), message

    app.execute("SELECT belay.release_announce('3.1.0')")
    fails("releases up to 3.0.0, and release 3.1.0 is announced")
    app.execute("SELECT belay.release_announce('3.0.0')")
    fails('depends on a job that is not completed: "parent" is not_started')
    app.execute("CALL belay.job_finalize('parent')")
    fails("precheck .*not yet: precheck")
    app.execute("UPDATE answer SET yes = true WHERE what = 'precheck'")
    fails("healthcheck .*not yet: healthcheck")
    app.execute("UPDATE answer SET yes = true")
    app.execute("CALL belay.job_finalize('job')")
    assert db.rows("SELECT state, errors FROM belay.job WHERE name = 'job'") == [("completed", 4)]
    assert db.rows("TABLE seen") == []


def test_ph_6_a_definition_that_is_missing_is_told_before_the_window(db):
    app = deployer(db)
    definition = {"operations": [{"sql": "SELECT 1"}], "max_release": "3.0.0", "precheck": "SELECT false"}
    files = {"1_a.sql": "SELECT 1", "job.job.json": json.dumps(definition)}

    def load(*names: str) -> None:
        app.execute("SELECT belay.migrate_load_files(%s)", [json.dumps({name: files[name] for name in names})])

    load(*files)
    load("1_a.sql")
    app.execute("SELECT belay.release_announce('3.1.0')")
    with expect_error("MG020", message=re.compile("definition .* missing")):
        app.execute("CALL belay.job_finalize('job')")
    assert state(db, "job") == "failed_at_startup"
    load(*files)
    with expect_error("MG020", message=re.compile("release 3.1.0 is announced")):
        app.execute("CALL belay.job_finalize('job')")
    assert [error[:2] for error in errors(db, "job")] == [(None, "start")] * 2


def test_a_check_that_fails_with_an_error_leaves_that_error_and_nothing_of_what_it_did(db):
    app = deployer(db)
    app.execute("CREATE TABLE seen (a int)")
    app.execute("CREATE FUNCTION look() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES (1); RETURN true; END $$")
    register(app, "job", precheck="SELECT look()", healthcheck="SELECT 1/0 = 1")
    with expect_error("22012"):
        app.execute("CALL belay.job_finalize('job')")
    context = db.one("SELECT context FROM belay.job_errors")
    assert 'job "job", healthcheck' in context
    assert db.rows("TABLE seen") == []


def test_ph_12_a_healthcheck_that_says_no_between_two_operations_is_an_error_of_the_job(db):
    app = deployer(db)
    app.execute("CREATE TABLE sick (a int)")
    register(
        app, "job", {"sql": "INSERT INTO sick VALUES (1)", "rollback": "TRUNCATE sick"}, "CREATE TABLE never ()",
        healthcheck="SELECT NOT EXISTS (SELECT FROM sick), 'it is sick'",
    )  # fmt: skip
    with expect_error("MG020", message=re.compile("it is sick")):
        app.execute("CALL belay.job_finalize('job')")
    assert state(db, "job") == "rolled_back"
    assert [error[:3] for error in errors(db, "job")] == [(2, "forward", "MG020")]
    assert db.rows("TABLE sick") == [] and db.one("SELECT to_regclass('never') IS NULL")


# ── PostHog's reference migration ────────────────────────────────────────────────────────────────────────────────────

FORWARD, BACK = "INSERT INTO log VALUES ('forward')", "INSERT INTO log VALUES ('back')"

#: Seven operations, of which three count how often they ran in each direction.
REFERENCE = [
    ("CREATE TABLE pair (key text, value text)", "DROP TABLE IF EXISTS pair"),
    (FORWARD, BACK),
    ("INSERT INTO pair VALUES ('a', 'b')", "TRUNCATE pair"),
    ("SELECT pg_sleep(0.01)", None),
    (FORWARD, BACK),
    ("UPDATE pair SET value = 'c'", "UPDATE pair SET value = 'b'"),
    (FORWARD, BACK),
]
COUNTERS = [at for at, (sql, _) in enumerate(REFERENCE) if sql == FORWARD]


def reference(app: Session, changed: int | None = None, more: str = "") -> None:
    """Registers it; the operation `changed`, from 0, does something more."""
    app.execute("CREATE TABLE IF NOT EXISTS log (direction text)")
    texts = [(f"{sql}; {more}" if at == changed else sql, back) for at, (sql, back) in enumerate(REFERENCE)]
    register(app, "job", *[{"sql": sql, "rollback": back} for sql, back in texts])


def counted(db: Database) -> tuple[int, int]:
    """Forward and back."""
    return db.rows("SELECT count(*) FILTER (WHERE direction = 'forward')::int, count(*) FILTER (WHERE direction = 'back')::int FROM log")[0]


def standing(db: Database) -> tuple:
    return db.rows("SELECT state, operation, percent::float, errors::int FROM belay.job WHERE name = 'job'")[0]


def assert_completed(db: Database) -> None:
    assert standing(db)[:3] == ("completed", 7, 100)
    assert db.rows("TABLE pair") == [("a", "c")]


def assert_rolled_back(db: Database, reached: int) -> None:
    """From the operation that was in hand, which is rolled back as well."""
    assert standing(db) == ("rolled_back", 0, 0, 1)
    assert counted(db) == (sum(at < reached for at in COUNTERS), sum(at <= reached for at in COUNTERS))
    assert db.one("SELECT to_regclass('pair') IS NULL")


def test_ph_8_the_reference_migration_forward_and_ph_15_back(db):
    app = deployer(db)
    reference(app)
    app.execute("CALL belay.job_finalize('job')")
    assert_completed(db)
    assert counted(db) == (3, 0) and standing(db)[3] == 0
    assert app.one("SELECT belay.job_rollback('job', force => true)") == "rolling_back"
    wait_for_end(db, "job", "rolled_back")
    assert standing(db) == ("rolled_back", 0, 0, 0)
    assert counted(db) == (3, 3) and db.one("SELECT to_regclass('pair') IS NULL")


@pytest.mark.parametrize("at", range(7))
def test_ph_9_ph_24_the_reference_migration_fails_at_each_operation_and_is_rolled_back(db, at):
    app = deployer(db)
    reference(app, at, "SELECT 1/0")
    with expect_error("22012"):
        app.execute("CALL belay.job_finalize('job')")
    assert_rolled_back(db, at)
    assert errors(db, "job") == [(at + 1, "forward", "22012", "division by zero")]
    reference(app)
    app.execute("CALL belay.job_finalize('job')")
    assert_completed(db)


@pytest.mark.parametrize("at", range(7))
def test_ph_11_ph_13_without_rollback_it_stays_at_the_operation_that_failed_and_goes_on_there(db, at):
    app = deployer(db)
    app.execute("CREATE TABLE divisor AS SELECT 0 AS by")
    app.execute("SET belay.job_auto_rollback = off")
    reference(app, at, "SELECT 1 / by FROM divisor")
    with expect_error("22012"):
        app.execute("CALL belay.job_finalize('job')")
    assert standing(db)[:2] == ("errored", at) and standing(db)[3] == 1
    assert standing(db)[2] == pytest.approx(int(10000 * at / 7) / 100)
    assert counted(db) == (sum(one < at for one in COUNTERS), 0)
    app.execute("UPDATE divisor SET by = 1")
    assert app.one("SELECT belay.job_resume('job')") == "running"
    wait_for_end(db, "job")
    assert_completed(db)
    assert counted(db) == (3, 0)


@pytest.mark.parametrize("rollback", [True, False], ids=["with rollback", "without"])
@pytest.mark.parametrize("at", range(7))
def test_ph_10_ph_26_the_reference_migration_is_stopped_at_each_operation(db, at, rollback):
    app = deployer(db)
    make_gate(app)
    reference(app, at, "SELECT pass()")
    start(app, "job")
    db.wait_for("SELECT operation = %s AND state = 'running' FROM belay.job", [at], 60)
    assert app.one("SELECT belay.job_stop('job', rollback => %s)", [rollback]) == "stopping"
    wait_for_end(db, "job", "rolled_back" if rollback else "errored", bound=20)
    ((operation, direction, sqlstate, message),) = errors(db, "job")
    assert (operation, direction, sqlstate) == (at + 1, "forward", "MG020") and "stopped" in message
    if rollback:
        assert_rolled_back(db, at)
        return
    assert standing(db)[:2] == ("errored", at)
    open_gate(db)
    app.execute("CALL belay.job_finalize('job')")
    assert_completed(db)
    assert counted(db) == (3, 0)


@pytest.mark.parametrize("at", range(7))
def test_ph_22_the_reference_migration_loses_its_worker_at_each_operation(db, at):
    """The operation that was in hand is undone with its worker, and done once by the next one."""
    app = deployer(db)
    make_gate(app)
    reference(app, at, "SELECT pass()")
    start(app, "job")
    db.wait_for("SELECT operation = %s AND state = 'running' FROM belay.job", [at], 60)
    pid = wait_for_worker(db, "job")
    db.execute("SELECT pg_terminate_backend(%s)", [pid])
    db.wait_until_gone(pid)
    assert standing(db)[:2] == ("running", at)
    assert counted(db) == (sum(one < at for one in COUNTERS), 0)
    assert app.one("SELECT belay.job_tick()") == 1
    open_gate(db)
    wait_for_end(db, "job")
    assert_completed(db)
    assert counted(db) == (3, 0) and standing(db)[3] == 0


@pytest.mark.parametrize("at", range(7))
def test_ph_24_the_reference_migration_loses_its_worker_at_each_rollback(db, at):
    """The rollback that was in hand is undone with its worker, and done once by the next one."""
    app = deployer(db)
    make_gate(app)
    app.execute("CREATE TABLE log (direction text)")
    backs = [f"{back or 'SELECT 1'}; SELECT pass()" if one == at else back for one, (_, back) in enumerate(REFERENCE)]
    register(app, "job", *[{"sql": sql, "rollback": back} for (sql, _), back in zip(REFERENCE, backs, strict=True)])
    app.execute("CALL belay.job_finalize('job')")
    assert app.one(VERBS["force rollback"]) == "rolling_back"
    db.wait_for("SELECT operation = %s AND state = 'rolling_back' FROM belay.job", [at], 60)
    lose_worker(db)
    assert standing(db)[:2] == ("rolling_back", at)
    assert counted(db) == (3, sum(one > at for one in COUNTERS))
    assert app.one("SELECT belay.job_tick()") == 1
    open_gate(db)
    wait_for_end(db, "job", "rolled_back")
    assert standing(db) == ("rolled_back", 0, 0, 0)
    assert counted(db) == (3, 3) and db.one("SELECT to_regclass('pair') IS NULL")


# ── operations, progress, errors ─────────────────────────────────────────────────────────────────────────────────────


def test_ph_16_a_rollback_that_fails_stays_there_and_goes_on_when_it_is_mended(db):
    app = deployer(db)
    app.execute("CREATE TABLE log (direction text); CREATE TABLE divisor AS SELECT 0 AS by")
    backs = [BACK, "SELECT 1 / by FROM divisor", BACK]
    register(app, "job", *[{"sql": "SELECT 1", "rollback": back} for back in backs], "SELECT 1 / by FROM divisor")
    with expect_error("22012"):
        app.execute("CALL belay.job_finalize('job')")
    assert standing(db)[:2] == ("errored", 1)
    assert [error[:3] for error in errors(db, "job")] == [(2, "rollback", "22012"), (4, "forward", "22012")]
    assert counted(db) == (0, 1)
    app.execute("UPDATE divisor SET by = 1")
    assert app.one("SELECT belay.job_rollback('job')") == "rolling_back"
    wait_for_end(db, "job", "rolled_back")
    assert counted(db) == (0, 2)


def test_ph_20_a_statement_that_takes_longer_than_its_timeout_fails(db):
    app = deployer(db)
    register(app, "job", {"sql": "SELECT pg_sleep(600)", "timeout": "100ms"})
    with expect_error("57014"):
        app.execute("CALL belay.job_finalize('job')")
    assert [error[:3] for error in errors(db, "job")] == [(1, "forward", "57014")]
    # The limit has ended with it.
    app.execute("SELECT pg_sleep(0.3)")


def test_ph_22_progress_is_what_the_query_says_and_one_that_fails_does_no_harm(db):
    app = deployer(db)
    db.execute(f"ALTER DATABASE {db.name} SET belay.job_auto_rollback = off")
    app.execute("SET belay.job_auto_rollback = off")
    told = (("told", "SELECT 82", 82), ("failing", "SELECT 1/0", 33.33), ("beyond", "SELECT 1e6", 100), ("nothing", "SELECT NULL", 33.33))
    for name, progress, percent in told:
        register(app, name, "SELECT 1", "SELECT 1/0", "SELECT 1", progress=progress)
        with expect_error("22012"):
            app.execute("CALL belay.job_finalize(%s)", [name])
        assert db.one("SELECT percent::float FROM belay.job WHERE name = %s", [name]) == percent, name
        assert len(errors(db, name)) == 1


def test_ph_23_without_a_query_progress_is_the_share_of_the_operations(db):
    app = deployer(db)
    app.execute("SET belay.job_auto_rollback = off")
    register(app, "job", "SELECT 1", "SELECT 1/0", *["SELECT 1"] * 5)
    with expect_error("22012"):
        app.execute("CALL belay.job_finalize('job')")
    assert standing(db) == ("errored", 1, 14.28, 1)


def test_ph_25_errors_are_kept_whole_newest_first_and_never_overwritten(db):
    app = deployer(db)
    app.execute("SET belay.job_auto_rollback = off")
    raised = "RAISE 'number %', (SELECT errors FROM belay.job) USING ERRCODE = 'MY001', DETAIL = 'a detail', HINT = 'a hint'"
    register(app, "job", f"DO $$ BEGIN {raised}; END $$")
    for _ in range(103):
        with expect_error("MY001"):
            app.execute("CALL belay.job_finalize('job')")
    assert standing(db)[3] == 103
    messages = [message for *_, message in errors(db, "job")]
    assert messages == [f"number {n}" for n in range(102, 2, -1)]
    detail, hint, context = db.rows("SELECT detail, hint, context FROM belay.job_errors LIMIT 1")[0]
    assert (detail, hint) == ("a detail", "a hint")
    assert "PL/pgSQL function inline_code_block" in context and 'job "job" (project "default"), operation 1' in context


def test_an_error_points_into_the_operation_and_not_into_the_call(db):
    app = deployer(db)
    register(app, "job", "SELECT 1;\nSELECT nowhere")
    with expect_error("42703") as error:
        app.execute("CALL belay.job_finalize('job')")
    assert error.internal_query.splitlines()[-1] == "SELECT nowhere" and error.statement_position is None
    assert error.context.splitlines()[-1] == 'job "job" (project "default"), operation 1, line 2'
    with expect_error("42601") as error:
        register(app, "other", "SELECT 1", "SELEC 2")
    assert error.internal_query == "SELEC 2" and error.internal_position == "1" and error.statement_position is None


def test_an_operation_that_is_not_noted_is_not_done(db):
    """Its statements, its note and what is deferred are one transaction."""
    app = deployer(db)
    app.execute("CREATE TABLE made (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    register(app, "job", "INSERT INTO made VALUES (1); INSERT INTO made VALUES (1)")
    with expect_error("23505"):
        app.execute("CALL belay.job_finalize('job')")
    assert db.rows("TABLE made") == [] and state(db, "job") == "rolled_back"


def test_a_statement_that_commits_by_itself_is_an_operation_of_its_own(db):
    app = deployer(db)
    app.execute("CREATE TABLE t (a int)")
    register(
        app, "job", {"sql": "CREATE INDEX CONCURRENTLY i ON t (a)", "rollback": "DROP INDEX CONCURRENTLY IF EXISTS i"},
        "VACUUM t", "CREATE TABLE after ()",
    )  # fmt: skip
    start(app, "job")
    wait_for_end(db, "job")
    assert db.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass")
    app.execute("SELECT belay.job_rollback('job', force => true)")
    wait_for_end(db, "job", "rolled_back")
    assert db.one("SELECT to_regclass('i') IS NULL")


def test_settings_of_an_operation_end_with_it(db):
    app = deployer(db)
    app.execute("CREATE TABLE seen (a text)")
    register(app, "job", "SET work_mem = '1234kB'", "INSERT INTO seen VALUES (current_setting('work_mem'))")
    app.execute("CALL belay.job_finalize('job')")
    assert db.rows("TABLE seen") != [("1234kB",)]
    assert app.one("SHOW work_mem") != "1234kB"


# ── in the caller's session ──────────────────────────────────────────────────────────────────────────────────────────


def test_job_finalize_is_for_the_registrant_outside_a_transaction_and_once(db):
    app = deployer(db)
    register(app, "job")
    with expect_error("42501", hint=re.compile(f"SET ROLE {app.info.user}")):
        db.execute("CALL belay.job_finalize('job')")
    with expect_error("25001"), app.transaction():
        app.execute("CALL belay.job_finalize('job')")
    with expect_error("25001"):
        app.execute("DO $$ BEGIN CALL belay.job_finalize('job'); END $$")
    assert state(db, "job") == "not_started"
    with expect_error("MG011"):
        app.execute("CALL belay.job_finalize('jbo')")
    for _ in range(2):
        app.execute("CALL belay.job_finalize('job')")
    assert state(db, "job") == "completed"


def test_who_has_stepped_down_to_the_registrant_does_not_run_its_texts_with_more_rights(db):
    app = deployer(db)
    app.execute("CREATE TABLE seen (who text)")
    register(app, "job", "RESET ROLE; INSERT INTO seen VALUES (current_user)")
    session = db.connect()
    session.execute(f"SET ROLE {app.info.user}")
    with expect_error("42501"):
        session.execute("CALL belay.job_finalize('job')")
    assert db.rows("TABLE seen") == []


def test_job_finalize_waits_for_no_worker_and_goes_on_where_one_was(db):
    app = deployer(db)
    make_gate(app)
    register(app, "job", "CREATE TABLE made ()", "SELECT pass()")
    start(app, "job")
    db.wait_for("SELECT operation = 1 FROM belay.job", bound=60)
    with expect_error("55P03", detail=re.compile(f"pid {wait_for_worker(db, 'job')}")):
        app.execute("CALL belay.job_finalize('job')")
    pid = wait_for_worker(db, "job")
    db.execute("SELECT pg_terminate_backend(%s)", [pid])
    db.wait_until_gone(pid)
    open_gate(db)
    app.execute("CALL belay.job_finalize('job')")
    assert state(db, "job") == "completed"


@pytest.mark.parametrize("left", ["starting", "running", "paused", "rolling_back"])
def test_job_finalize_goes_on_with_what_a_worker_has_left(db, left):
    app = deployer(db)
    bring(db, app, left)
    if left == "paused":
        open_gate(db)
        wait_for_end(db, "job", "paused")
    else:
        lose_worker(db)
        open_gate(db)
    assert state(db, "job") == left
    if left == "rolling_back":
        # To its end, which is not the one that was asked for.
        with expect_error("MG020", message=re.compile("rolled_back")):
            app.execute("CALL belay.job_finalize('job')")
        assert standing(db)[:2] == ("rolled_back", 0)
        return
    app.execute("CALL belay.job_finalize('job')")
    assert standing(db) == ("completed", 1, 100, 0)


def test_a_cancel_of_job_finalize_leaves_what_is_done(db):
    app = deployer(db)
    make_gate(app)
    register(app, "job", {"sql": "CREATE TABLE made ()", "rollback": "DROP TABLE made"}, "SELECT pass()")
    running = db.start("CALL belay.job_finalize('job')", user=app.info.user)
    db.wait_for("SELECT operation = 1 FROM belay.job", bound=60)
    running.cancel()
    with expect_error("57014"):
        running.finish()
    assert standing(db)[:2] == ("errored", 1)
    open_gate(db)
    app.execute("CALL belay.job_finalize('job')")
    assert state(db, "job") == "completed"


# ── whose ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("verb", VERBS)
def test_ph_40_a_role_can_touch_its_own_jobs_only(db, verb):
    app = deployer(db)
    register(app, "job")
    stranger = deployer(db, "stranger")
    with expect_error("42501", message=re.compile(app.info.user)):
        stranger.execute(VERBS[verb])
    assert state(db, "job") == "not_started"
    db.execute(f"GRANT {app.info.user} TO {stranger.info.user}")
    stranger = db.connect(user=stranger.info.user)
    if verb in AFTER["not_started"]:
        with stranger.transaction(force_rollback=True):
            assert stranger.one(VERBS[verb]) == AFTER["not_started"][verb]
    else:
        with expect_error("MG020"):
            stranger.execute(VERBS[verb])


def test_ph_40_a_superuser_steers_any_job_which_runs_as_its_registrant_still(db):
    app = deployer(db)
    register(app, "job", {"sql": "CREATE TABLE made ()", "rollback": "DROP TABLE made"})
    start(db.session, "job")
    wait_for_end(db, "job")
    assert db.one("SELECT relowner::regrole::text FROM pg_class WHERE oid = 'public.made'::regclass") == app.info.user
    assert db.one(VERBS["force rollback"]) == "rolling_back"
    wait_for_end(db, "job", "rolled_back")
    assert errors(db, "job") == []


def test_a_reason_for_a_skip_is_kept_and_asked_for(db):
    app = deployer(db)
    register(app, "job")
    with expect_error("22023"):
        app.execute("SELECT belay.job_skip('job', ' ')")
    assert app.one("SELECT belay.job_skip('job', 'done by hand')") == "completed"
    assert db.one("SELECT note FROM belay.job") == f"skipped by {app.info.user}: done by hand"
    assert db.one("SELECT to_regclass('public.job') IS NULL")


def test_a_stop_that_is_rolled_back_stops_nothing(db):
    app = deployer(db)
    make_gate(app)
    register(app, "job", "CREATE TABLE made ()", "SELECT pass()")
    start(app, "job")
    db.wait_for("SELECT operation = 1 FROM belay.job", bound=60)
    wait_until_it_is_at_the_gate(db)
    with app.transaction(force_rollback=True):
        assert app.one("SELECT belay.job_stop('job')") == "stopping"
    open_gate(db)
    wait_for_end(db, "job")
    assert errors(db, "job") == []
