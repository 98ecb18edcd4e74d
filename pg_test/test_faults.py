"""Clients, sessions and servers that die, cancels and timeouts: what is kept, what the history says, how it goes on."""

from __future__ import annotations

import functools
import re
from typing import Callable, NamedTuple

import psycopg
import pytest

from conftest import TEMPLATE
from harness.database import Database, Running
from harness.server import Server, kill
from harness.session import expect_error
from harness.waiting import poll_until
from ledger import applied, history, tables

RESUMES = "the statements before it are committed; the next run resumes at this one"

SETUP = """
    CREATE TABLE orders (id int);
    CREATE INDEX orders_old ON orders (id);
    INSERT INTO orders SELECT generate_series(1, 30);
    CREATE TABLE parts (id int) PARTITION BY RANGE (id);
    CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (9);
"""


class Place(NamedTuple):
    """Where the second of three migrations is when it happens: its second statement of three waits for a transaction."""

    text: str
    blocker: str
    #: What the next run says of a session that died here, None where nothing was kept.
    resumes: str | None = None
    call: str = "CALL belay.migrate_up()"
    head: str = ""

    @property
    def line(self) -> int:
        """Where the second statement begins."""
        return 2 + self.head.count("\n")


PLACES = {
    "a transactional migration": Place("ALTER TABLE orders ADD x int", "SELECT FROM orders"),
    "a run in one transaction": Place(
        "ALTER TABLE orders ADD x int", "SELECT FROM orders", call="CALL belay.migrate_up(transaction => 'per_run')"
    ),
    "an ordinary statement outside a transaction": Place(
        "ALTER TABLE orders ADD x int", "SELECT FROM orders", "", head="-- belay: transaction off\n"
    ),
    "a concurrent build": Place(
        "CREATE INDEX CONCURRENTLY i ON orders (id)", "INSERT INTO orders VALUES (0)", '; removed invalid index "i"'
    ),
    "a concurrent reindex": Place(
        "REINDEX INDEX CONCURRENTLY orders_old", "INSERT INTO orders VALUES (0)", '; removed invalid index "orders_old_ccnew"'
    ),
    "a concurrent reindex of a table": Place(
        "REINDEX TABLE CONCURRENTLY orders", "INSERT INTO orders VALUES (0)", '; removed invalid index "orders_old_ccnew"'
    ),
    "a concurrent drop": Place("DROP INDEX CONCURRENTLY orders_old", "SELECT FROM orders", ""),
    "a concurrent detach": Place(
        "ALTER TABLE parts DETACH PARTITION part_1 CONCURRENTLY", "SELECT FROM parts", '; finished detaching partition "part_1"'
    ),
}  # fmt: skip

in_each_place = pytest.mark.parametrize("place", [pytest.param(PLACES[title], id=title) for title in PLACES])


def prepare(db: Database, place: Place) -> None:
    db.execute(SETUP)
    for name, up in {
        "0001_a": "CREATE TABLE a ()",
        "0002_b": f"{place.head}CREATE TABLE before ();\n{place.text};\nCREATE TABLE b ()",
        "0003_c": "CREATE TABLE c ()",
    }.items():
        db.execute("SELECT belay.migrate_register(%s, %s)", [name, up])


def block(db: Database, place: Place) -> psycopg.Connection:
    blocker = db.connect(autocommit=False)
    blocker.execute(place.blocker)
    return blocker


def start_blocked(db: Database, place: Place) -> tuple[Running, psycopg.Connection]:
    prepare(db, place)
    blocker = block(db, place)
    run = db.start(place.call)
    db.wait_until_blocked(run.pid)
    return run, blocker


def locks(db: Database) -> list[tuple]:
    return db.rows(
        "SELECT pid, mode FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )


def runs(db: Database) -> list[str | None]:
    return [outcome for (outcome,) in db.rows("SELECT outcome FROM belay.run ORDER BY id")]


def assert_usable(session: psycopg.Connection) -> None:
    assert session.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    facts = "SELECT current_user = session_user, current_setting('lock_timeout'), current_setting('search_path')"
    assert session.execute(facts).fetchone() == (True, "0", '"$user", public')


def run_up(session) -> list[str]:
    """Runs what is pending; the notices, without times and numbers of runs."""
    session.notices.clear()
    session.execute("CALL belay.migrate_up()")
    return [re.sub(r"\([0-9.]+ m?s\)|run \d+", "…", message) for message in session.messages]


def assert_completes(db: Database, undisturbed, place: Place) -> None:
    """The next run does the rest, the ledger is closed, and the schema is that of a run that nobody disturbed."""
    notices = run_up(db.session)
    resumed = [message for message in notices if "resuming" in message]
    assert resumed == ([] if place.resumes is None else [f"0002_b: resuming at statement 2 of 3{place.resumes}"])
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]
    assert db.rows("TABLE belay.unfinished") == [] and locks(db) == []
    assert None not in runs(db) and "unfinished" not in {outcome for *_, outcome in history(db)}
    assert db.rows("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid") == []
    assert db.dump("--schema-only") == undisturbed(place)


@pytest.fixture(scope="module")
def undisturbed(server: Server) -> Callable[[Place], str]:
    """The dump after a run that nobody disturbed."""

    @functools.cache
    def dump(place: Place) -> str:
        db = Database.create(server, TEMPLATE)
        prepare(db, place)
        run_up(db.session)
        made = db.dump("--schema-only")
        db.remove()
        return made

    return dump


# ── the session ends ─────────────────────────────────────────────────────────────────────────────────────────────────


@in_each_place
def test_a_cancelled_statement_is_a_failure_and_the_next_run_goes_on(db, undisturbed, place):
    run, blocker = start_blocked(db, place)
    db.execute("SELECT pg_cancel_backend(%s)", [run.pid])
    with expect_error("57014", message="canceling statement due to user request") as error:
        run.finish()
    assert error.context.splitlines()[-1] == f'migration "0002_b" of project "default", up, statement 2 of 3, line {place.line}'
    assert error.hint == (RESUMES if place.resumes is not None else None)
    assert_usable(run.session)
    first = "rolled back" if "per_run" in place.call else "applied"
    assert history(db) == [("0001_a", "up", first), ("0002_b", "up", "failed")] and runs(db) == ["failed"]
    assert db.rows("SELECT statement, sqlstate, message FROM belay.migrate_history('0002_b')") == [
        (2, "57014", "canceling statement due to user request")
    ]
    assert locks(db) == []
    blocker.rollback()
    db._session = run.session  # the session that was cancelled goes on itself
    assert_completes(db, undisturbed, place)


@in_each_place
def test_sg_12_a_terminated_session_is_told_as_lost_and_the_next_run_goes_on(db, undisturbed, place):
    run, blocker = start_blocked(db, place)
    db.execute("SELECT pg_terminate_backend(%s)", [run.pid])
    with expect_error("57P01", message="terminating connection due to administrator command"):
        run.finish()
    db.wait_until_gone(run.pid)
    blocker.rollback()
    assert_died(db, place)
    assert_completes(db, undisturbed, place)
    assert_lost(db, place)


def assert_died(db: Database, place: Place) -> None:
    """Before the next run."""
    assert locks(db) == [] and runs(db) == [None]
    kept = [] if "per_run" in place.call else [("0001_a", "up", "applied")]
    begun = [("0002_b", "up", "unfinished")] if place.resumes is not None else []
    assert history(db) == kept + begun
    state = db.one("SELECT state FROM belay.migrate_status() WHERE name = '0002_b'")
    assert state == ("dirty" if begun else "pending")
    found = set(tables(db)) - {"parts"}
    assert found == {"orders", "part_1"} | ({"a"} if kept else set()) | ({"before"} if begun else set())


def assert_lost(db: Database, place: Place) -> None:
    """After the next run."""
    assert runs(db) == ["lost", "succeeded"]
    kept = [] if "per_run" in place.call else [("0001_a", "up", "applied")]
    lost = [("0002_b", "up", "lost")] if place.resumes is not None else []
    assert history(db)[: len(kept + lost)] == kept + lost
    assert {outcome for *_, outcome in history(db)[len(kept + lost) :]} == {"applied"}


def test_a_crash_of_the_server_is_told_as_lost_and_the_next_run_goes_on(private_server, new_database, undisturbed):
    server = private_server()
    each = {title: new_database(on=server) for title in PLACES}
    for title, db in each.items():
        start_blocked(db, PLACES[title])
    server.crash()
    server.start()
    for title, db in each.items():
        db.reconnect()
        assert_died(db, PLACES[title])
        assert_completes(db, undisturbed, PLACES[title])
        assert_lost(db, PLACES[title])


#: What a run whose client was killed in the second migration has done when it stops.
@pytest.mark.parametrize(
    "title, ran, resumes",
    [
        # Its notice finds nobody to read it, and the server ends the session: the run is lost.
        ("a transactional migration", [("0001_a", "up", "applied"), ("0002_b", "up", "applied")], None),
        (
            "an ordinary statement outside a transaction",
            [("0001_a", "up", "applied"), ("0002_b", "up", "failed")],
            "0002_b: resuming at statement 3 of 3",
        ),
        ("a concurrent build", [("0001_a", "up", "applied"), ("0002_b", "up", "failed")], "0002_b: resuming at statement 3 of 3"),
    ],
)
def test_a_run_whose_client_was_killed_stops_at_the_next_boundary(db, undisturbed, title, ran, resumes):
    place = PLACES[title]
    prepare(db, place)
    blocker = block(db, place)
    client = db.start_psql(place.call)
    pid = db.wait_for("SELECT pid FROM pg_stat_activity WHERE application_name = 'psql' AND datname = current_database()")
    db.wait_until_blocked(pid)
    kill(client.pid)
    client.wait()
    blocker.rollback()
    db.wait_until_gone(pid)
    assert history(db) == ran and runs(db) == (["failed"] if resumes else [None]) and locks(db) == []
    assert "c" not in tables(db)
    notices = run_up(db.session)
    assert [message for message in notices if "resuming" in message] == ([resumes] if resumes else [])
    assert applied(db) == ["0001_a", "0002_b", "0003_c"] and db.rows("TABLE belay.unfinished") == []
    assert None not in runs(db)
    assert db.dump("--schema-only") == undisturbed(place)


def test_a_session_that_looks_after_its_client_ends_a_long_statement_when_the_client_is_killed(db, undisturbed):
    place = PLACES["a transactional migration"]
    prepare(db, place)
    blocker = block(db, place)
    client = db.start_psql(place.call, "--command", "SET client_connection_check_interval = '20ms'")
    pid = db.wait_for("SELECT pid FROM pg_stat_activity WHERE application_name = 'psql' AND datname = current_database()")
    db.wait_until_blocked(pid)
    kill(client.pid)
    client.wait()
    db.wait_until_gone(pid)
    blocker.rollback()
    assert_died(db, place)
    assert_completes(db, undisturbed, place)
    assert_lost(db, place)


# ── while waiting for the project's lock ─────────────────────────────────────────────────────────────────────────────


def start_waiting(db: Database) -> tuple[Running, psycopg.Connection]:
    prepare(db, PLACES["a transactional migration"])
    holder = db.connect()
    holder.execute("SELECT pg_advisory_lock(1651270009, id) FROM belay.project")
    run = db.start("CALL belay.migrate_up()")
    poll_until(lambda: run.session.messages, what="the notice that it waits")
    return run, holder


@pytest.mark.parametrize(
    "function, sqlstate, message",
    [
        ("pg_cancel_backend", "57014", "canceling statement due to user request"),
        ("pg_terminate_backend", "57P01", "terminating connection due to administrator command"),
    ],
)
def test_a_wait_for_the_project_can_be_ended_and_leaves_nothing(db, function, sqlstate, message):
    run, holder = start_waiting(db)
    db.execute(f"SELECT {function}(%s)", [run.pid])
    with expect_error(sqlstate, message=message):
        run.finish()
    assert locks(db) == [(holder.pid, "ExclusiveLock")]
    assert runs(db) == [] == history(db)
    holder.close()
    if sqlstate == "57014":
        assert_usable(run.session)
        db._session = run.session
    db.wait_for("SELECT NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory')")
    run_up(db.session)
    assert applied(db) == ["0001_a", "0002_b", "0003_c"]


def test_a_wait_for_the_project_ends_when_its_client_is_killed(db):
    prepare(db, PLACES["a transactional migration"])
    holder = db.connect()
    holder.execute("SELECT pg_advisory_lock(1651270009, id) FROM belay.project")
    client = db.start_psql("CALL belay.migrate_up()")
    waiting = "SELECT pid FROM pg_stat_activity WHERE application_name = 'psql' AND datname = current_database() AND wait_event = 'Extension'"
    pid = db.wait_for(waiting)
    kill(client.pid)
    client.wait()
    db.wait_until_gone(pid)
    assert locks(db) == [(holder.pid, "ExclusiveLock")] and runs(db) == []


# ── what cannot be known ─────────────────────────────────────────────────────────────────────────────────────────────

CANNOT_BE_KNOWN = 'migration "0001_a": statement 2 had begun, and whether it ended cannot be known'
SAY_SO = (
    "look at the database, then say how it ended: SELECT belay.migrate_mark('0001_a', 'pending', statement => 3) when it did, "
    "SELECT belay.migrate_mark('0001_a', 'pending', statement => 2) to run it again"
)
COMMITS = """-- belay: transaction off
CREATE PROCEDURE twice() LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO log VALUES ('first'); COMMIT; LOCK TABLE orders; INSERT INTO log VALUES ('second'); COMMIT;
END $$;
CALL twice();
INSERT INTO log VALUES ('third')"""


def die_in_a_procedure(db: Database) -> None:
    db.execute("CREATE TABLE orders (); CREATE TABLE log (line text)")
    db.execute("SELECT belay.migrate_register('0001_a', %s)", [COMMITS])
    blocker = db.connect(autocommit=False)
    blocker.execute("LOCK TABLE orders")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    db.execute("SELECT pg_terminate_backend(%s)", [run.pid])
    db.wait_until_gone(run.pid)
    blocker.rollback()


@pytest.mark.parametrize(
    "mark, log",
    [
        ("'pending', statement => 2", ["first", "first", "second", "third"]),
        ("'pending', statement => 3", ["first", "third"]),
        ("'applied'", ["first"]),
    ],
)
def test_a_procedure_that_commits_and_died_waits_for_a_word_of_the_operator(db, mark, log):
    die_in_a_procedure(db)
    assert db.one("SELECT state FROM belay.migrate_status()") == "dirty"
    with expect_error("MG007", message=CANNOT_BE_KNOWN, hint=re.compile(re.escape(SAY_SO))):
        db.execute("CALL belay.migrate_up()")
    assert_usable(db.session)
    assert db.rows("TABLE log") == [("first",)] and locks(db) == []
    db.execute(f"SELECT belay.migrate_mark('0001_a', {mark}, reason => 'looked')")
    assert db.one("SELECT count(*) FROM belay.run WHERE verb = 'mark' AND reason = 'looked' AND outcome = 'succeeded'") == 1
    run_up(db.session)
    assert [line for (line,) in db.rows("TABLE log")] == log
    assert applied(db) == ["0001_a"] and db.rows("TABLE belay.unfinished") == []
    assert history(db) == [("0001_a", "up", "lost"), ("0001_a", "up", "failed"), ("0001_a", "up", "applied")]
    assert None not in runs(db)


def test_an_unknown_outcome_stays_unknown_until_the_operator_has_spoken(db):
    die_in_a_procedure(db)
    for _ in range(3):
        with expect_error("MG007", message=CANNOT_BE_KNOWN, hint=re.compile(re.escape(SAY_SO))):
            db.execute("CALL belay.migrate_up()")
        assert db.rows("TABLE log") == [("first",)] and locks(db) == []


def test_the_hint_of_an_unknown_outcome_promises_no_resumption(db):
    """The hint of a resumed run says that it resumes; here it does not until somebody says where."""
    die_in_a_procedure(db)
    with expect_error("MG007", message=CANNOT_BE_KNOWN, hint=SAY_SO):
        db.execute("CALL belay.migrate_up()")


def test_a_database_whose_creation_died_waits_for_a_word_of_the_operator(db):
    made = f"made_by_{db.name}"
    db.execute("SELECT belay.migrate_register('0001_a', %s)", [f"CREATE TABLE a (); CREATE DATABASE {made}; CREATE TABLE b ()"])
    blocker = db.connect(autocommit=False)
    blocker.execute("LOCK TABLE pg_database IN EXCLUSIVE MODE")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    db.execute("SELECT pg_terminate_backend(%s)", [run.pid])
    db.wait_until_gone(run.pid)
    blocker.rollback()
    with expect_error("MG007", message=CANNOT_BE_KNOWN, hint=re.compile(re.escape(SAY_SO))):
        db.execute("CALL belay.migrate_up()")
    db.execute("SELECT belay.migrate_mark('0001_a', 'pending', statement => 2)")
    assert run_up(db.session)[0] == "0001_a: resuming at statement 2 of 3"
    db.execute(f"DROP DATABASE {made}")  # it is there
    assert tables(db) == ["a", "b"] and applied(db) == ["0001_a"]


# ── timeouts ─────────────────────────────────────────────────────────────────────────────────────────────────────────

SLOW = "SELECT pg_sleep(0.15)"
SLOW_PROCEDURE = "-- belay: transaction off\nCREATE PROCEDURE slow() LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.15); COMMIT; END $$; CALL slow()"


def limited(db: Database, timeout: str, text: str, call: str = "CALL belay.migrate_up()", **how):
    """A session with a limit of 60 ms that has run two slow migrations."""
    for name in ("0001_a", "0002_b"):
        db.execute("SELECT belay.migrate_register(%s, %s)", [name, text.replace("slow()", f"slow{name}()")])
    session = db.connect(options=f"-c {timeout}=60ms", **how)
    session.execute(call)
    session.commit()
    assert applied(db) == ["0001_a", "0002_b"] and session.one(f"SHOW {timeout}") == "60ms"
    return session


CALLS = {
    "per migration": (SLOW, "CALL belay.migrate_up()", {}),
    "per run": (SLOW, "CALL belay.migrate_up(transaction => 'per_run')", {}),
    "statement by statement": (f"-- belay: transaction off\n{SLOW}; {SLOW}", "CALL belay.migrate_up()", {}),
    "a procedure that commits": (SLOW_PROCEDURE, "CALL belay.migrate_up()", {}),
    "from a block": (SLOW, "DO $$ BEGIN CALL belay.migrate_up(); END $$", {}),
}
in_each_way = pytest.mark.parametrize("text, call, how", [pytest.param(*CALLS[title], id=title) for title in CALLS])


@in_each_way
def test_the_callers_statement_timeout_does_not_end_a_run_and_holds_again_after_it(db, text, call, how):
    session = limited(db, "statement_timeout", text, call, **how)
    with expect_error("57014", message="canceling statement due to statement timeout"):
        session.execute("SELECT pg_sleep(60)")
    assert locks(db) == []


@in_each_way
def test_the_callers_transaction_timeout_does_not_end_a_run_and_holds_again_after_it(db, major, text, call, how):
    if major < 17:
        pytest.skip("transaction_timeout is new in 17")
    session = limited(db, "transaction_timeout", text, call, **how)
    with expect_error("25P04", message="terminating connection due to transaction timeout"):
        session.execute("BEGIN")
        session.execute("SELECT pg_sleep(60)")
    assert locks(db) == []


TIMED_OUT = {
    "in a transaction": ("CREATE TABLE before ();\nSELECT pg_sleep(60)", "2, line 2", None, []),
    "statement by statement": (
        "-- belay: transaction off\nCREATE TABLE before ();\nSELECT pg_sleep(60)", "2, line 3", RESUMES, ["before"],
    ),
    "in a procedure": (
        "-- belay: transaction off\nCREATE PROCEDURE slow() LANGUAGE plpgsql AS 'BEGIN COMMIT; PERFORM pg_sleep(60); END';\nCALL slow()",
        "2, line 3", RESUMES, [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("text, place, hint, kept", [pytest.param(*TIMED_OUT[title], id=title) for title in TIMED_OUT])
def test_belays_statement_timeout_ends_a_statement(db, text, place, hint, kept):
    number, line = place.split(", ")
    db.execute("SELECT belay.migrate_register('0001_a', %s)", [text])
    db.execute("SET belay.statement_timeout = '50ms'")
    with expect_error("57014", message="canceling statement due to statement timeout", hint=hint) as error:
        db.execute("CALL belay.migrate_up()")
    assert error.hint == hint
    assert error.context.splitlines()[-1] == f'migration "0001_a" of project "default", up, statement {number} of 2, {line}'
    assert_usable(db.session)
    assert tables(db) == kept and locks(db) == []
    assert history(db) == [("0001_a", "up", "failed")] and runs(db) == ["failed"]
    # It was the statement's limit, not the session's.
    assert db.one("SELECT true FROM pg_sleep(0.1)") is True
    if "slow" in text:
        db.execute("CREATE OR REPLACE PROCEDURE slow() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'")
    else:
        db.execute("SELECT belay.migrate_register('0001_a', %s, replace => true)", [text.replace("(60)", "(0)")])
    run_up(db.session)
    assert applied(db) == ["0001_a"]


def test_belays_statement_timeout_is_for_each_statement_not_for_all(db):
    db.execute("SELECT belay.migrate_register('0001_a', %s)", ["; ".join(["SELECT pg_sleep(0.1)"] * 6)])
    db.execute("SET belay.statement_timeout = '450ms'")
    run_up(db.session)
    assert applied(db) == ["0001_a"]


def test_belays_statement_timeout_ends_a_concurrent_build_and_the_next_run_clears_it_away(db, undisturbed):
    place = PLACES["a concurrent build"]
    prepare(db, place)
    blocker = block(db, place)
    db.execute("SET belay.statement_timeout = '100ms'")
    with expect_error("57014", message="canceling statement due to statement timeout", hint=RESUMES):
        db.execute(place.call)
    assert_usable(db.session)
    assert locks(db) == [] and runs(db) == ["failed"]
    db.execute("RESET belay.statement_timeout")
    blocker.rollback()
    assert_completes(db, undisturbed, place)


LOCK_TIMEOUT = re.compile("another session holds a lock that this needs.*belay.lock_timeout or directive lock-timeout")


@pytest.mark.parametrize(
    "title, limit",
    [
        ("a transactional migration", "setting"),
        ("a transactional migration", "directive before setting"),
        ("a run in one transaction", "setting"),
        ("an ordinary statement outside a transaction", "setting"),
        ("an ordinary statement outside a transaction", "directive before setting"),
    ],
)
def test_a_lock_timeout_ends_a_statement_and_leaves_the_session_usable(db, undisturbed, title, limit):
    place = PLACES[title]
    prepare(db, place)
    text = f"{place.head}CREATE TABLE before ();\n{place.text};\nCREATE TABLE b ()"
    if "directive" in limit:
        db.execute("SELECT belay.migrate_register('0002_b', %s, replace => true)", ["-- belay: lock-timeout 50ms\n" + text])
    session = db.connect()
    session.execute(f"SET belay.lock_timeout = '{'50ms' if limit == 'setting' else '10min'}'; SET belay.lock_retries = 1")
    attempts = 1 if "per_run" in place.call else 2
    blocker = block(db, place)
    with expect_error("55P03", message="canceling statement due to lock timeout", hint=LOCK_TIMEOUT) as error:
        session.execute(place.call)
    assert error.context.splitlines()[-1].startswith('migration "0002_b" of project "default", up, statement 2 of 3, line ')
    assert_usable(session)
    assert locks(db) == [] and runs(db) == ["failed"]
    assert db.rows("SELECT statement, sqlstate FROM belay.migrate_history('0002_b')") == [(2, "55P03")] * attempts
    blocker.rollback()
    db._session = session
    assert_completes(db, undisturbed, place)
