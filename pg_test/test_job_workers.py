"""The workers of jobs: when one is started, how one ends, and who takes up what it leaves: job_tick(), the launcher, pg_cron.

The ids are those of behaviours/async-jobs.md.
"""

from __future__ import annotations

import contextlib
import re
import time
from typing import Callable

import psycopg
import pytest

from copies import plain
from harness.database import Database
from harness.jobs import deployer, errors, make_gate, open_gate, register, start, state, status, wait_for_end, wait_for_worker
from harness.server import Server, kill
from harness.session import Session, expect_error
from harness.waiting import poll_until
from test_cron import THERE, Cron, cron  # noqa: F401: a fixture

#: The libraries and settings of a server whose jobs need nobody.
LAUNCHER = {"shared_preload_libraries": "pg_belay", "belay.naptime": "1s"}

COUNT = {"table": "public.counter", "set": "n = n + 1", "size": 100, "sub_batch": 10, "pause": "20ms"}
#: Every row of the table counter is counted once; takes two seconds for a thousand.
SLOW_PASS = {"batch": COUNT}


def tick(session: Session | Database) -> int:
    return session.one("SELECT belay.job_tick()")


def states(db: Database) -> dict[str, str]:
    return dict(db.rows("SELECT name, state FROM belay.job"))


def has_table(db: Database, name: str) -> bool:
    return db.one("SELECT to_regclass(%s) IS NOT NULL", [f"public.{name}"])


def tick_until(db: Database, query: str, what: str) -> None:
    """As a scheduler would."""

    def ticked() -> object:
        tick(db)
        return db.one(query)

    poll_until(ticked, 60, what)


def make_counter(session: Session, rows: int = 1000) -> None:
    session.execute("CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)")
    session.execute("INSERT INTO counter SELECT generate_series(1, %s)", [rows])


def counts(db: Database) -> list[tuple]:
    """How many rows were counted how often."""
    return db.rows("SELECT n, count(*)::int FROM counter GROUP BY n ORDER BY n")


def start_slow_pass(db: Database, session: Session) -> int:
    """A job count that has passed some rows; the pid of its worker."""
    make_counter(session)
    register(session, "count", SLOW_PASS)
    start(session, "count")
    return db.wait_for("SELECT worker FROM belay.job_status() WHERE name = 'count' AND rows >= 50", bound=60)


def interrupt(db: Database, pid: int) -> None:
    db.execute("SELECT pg_terminate_backend(%s)", [pid])
    db.wait_until_gone(pid)


def assert_told_is_done(db: Database) -> None:
    """What the job count says it has done is what is done."""
    counted = "(SELECT sum(n) FROM counter)::int, (SELECT max(n) FROM counter)"
    done, often, told = db.rows(f"SELECT {counted}, rows::int FROM belay.job WHERE name = 'count'")[0]
    assert done == told and often == 1 and 50 <= told < 1000, (done, often, told)


# ── who starts one ───────────────────────────────────────────────────────────────────────────────────────────────────


def assert_never_ran(db: Database, session: Session, name: str, left: str) -> None:
    """Another job that was started later has ended, a tick finds nothing, and nothing has happened to this one."""
    register(session, "later")
    start(session, "later")
    wait_for_end(db, "later")
    assert tick(session) == 0
    assert status(db, name) == (left, None, None)
    assert not has_table(db, name)
    assert db.one("SELECT errors FROM belay.job WHERE name = %s", [name]) == 0


def test_a_worker_is_started_by_the_commit_of_the_start(db):
    app = deployer(db)
    register(app, "made")
    with app.transaction():
        start(app, "made")
        assert state(db, "made") == "not_started"
        assert not has_table(db, "made")
    wait_for_end(db, "made")
    assert has_table(db, "made")
    assert tick(app) == 0


def test_a_start_that_is_rolled_back_never_runs(db):
    app = deployer(db)
    register(app, "made")
    with app.transaction() as transaction:
        start(app, "made")
        raise psycopg.Rollback(transaction)
    assert_never_ran(db, app, "made", "not_started")


def test_a_start_within_a_savepoint_that_is_rolled_back_never_runs(db):
    app = deployer(db)
    for name in ("made", "kept"):
        register(app, name)
    with app.transaction():
        with app.transaction() as savepoint:
            start(app, "made")
            raise psycopg.Rollback(savepoint)
        start(app, "kept")
    wait_for_end(db, "kept")
    assert_never_ran(db, app, "made", "not_started")


def test_a_start_whose_transaction_fails_never_runs(db):
    app = deployer(db)
    register(app, "made")
    with expect_error("22012"), app.transaction():
        start(app, "made")
        app.execute("SELECT 1/0")
    assert_never_ran(db, app, "made", "not_started")


def test_ph_7_a_job_that_is_stopped_while_it_is_starting_is_rolled_back_and_never_runs(db):
    app = deployer(db)
    register(app, "made")
    with app.transaction():
        start(app, "made")
        assert app.one("SELECT belay.job_stop('made')") == "rolled_back"
    assert_never_ran(db, app, "made", "rolled_back")
    start(app, "made")
    wait_for_end(db, "made")
    assert has_table(db, "made")


def test_at_most_four_workers_are_in_a_database_unless_told_otherwise(db, new_database):
    app = deployer(db)
    make_gate(app)
    names = [f"job_{n}" for n in range(6)]
    for name in names:
        register(app, name, "SELECT pass()")
        start(app, name)
    db.wait_for("SELECT count(worker) = 4 FROM belay.job_status()", bound=60)
    assert tick(app) == 0
    assert db.one("SELECT count(*) FROM belay.job_status() WHERE state = 'starting' AND waits_for = 'a worker'") == 2

    # Those of another database are not counted.
    other = new_database()
    elsewhere = deployer(other)
    register(elsewhere, "made")
    start(elsewhere, "made")
    wait_for_end(other, "made")
    assert db.one("SELECT count(worker) FROM belay.job_status()") == 4

    open_gate(db)
    tick_until(db, "SELECT bool_and(state = 'completed') FROM belay.job", "all are completed")


def test_how_many_workers_may_be_there_can_be_changed_while_they_are_at_work(private_server, new_database):
    server = private_server(settings={"belay.max_workers": 1})
    db = new_database(on=server)
    app = deployer(db)
    make_gate(app)
    for name in ("first", "second", "third"):
        register(app, name, "SELECT pass()")
    start(app, "first")
    wait_for_worker(db, "first")
    start(app, "second")
    start(app, "third")
    assert tick(app) == 0
    assert status(db, "second") == status(db, "third") == ("starting", "a worker", None)

    server.configure({"belay.max_workers": 2})
    server.reload()
    tick_until(db, "SELECT count(worker) = 2 FROM belay.job_status()", "there are two workers")
    assert tick(app) == 0
    open_gate(db)
    tick_until(db, "SELECT bool_and(state = 'completed') FROM belay.job", "all are completed")
    # Whichever came last has waited for one of the others.
    assert db.one("SELECT max(resumed_at) >= min(finished_at) FROM belay.job")


@pytest.mark.parametrize(
    ("launcher", "slots"), [pytest.param({}, 1, id="by a tick"), pytest.param(LAUNCHER, 2, id="by the launcher")]
)
def test_without_a_free_slot_a_job_stays_starting_with_a_warning_and_runs_later(private_server, new_database, launcher, slots):
    processes = slots + bool(launcher)
    server = private_server(settings={"max_worker_processes": processes, "max_logical_replication_workers": 0} | launcher)
    db = new_database(on=server)
    app = deployer(db)
    make_gate(app)
    for n in range(slots):
        register(app, f"busy_{n}", "SELECT pass()")
        start(app, f"busy_{n}")
    tick_until(db, f"SELECT count(worker) = {slots} FROM belay.job_status()", "every slot is taken")

    for name in ("made", "stopped"):
        register(app, name)
        app.notices.clear()
        start(app, name)
        (warning,) = [notice for notice in app.notices if notice.severity == "WARNING"]
        assert warning.hint
        assert status(db, name) == ("starting", "a worker", None)
    assert tick(app) == 0
    assert app.one("SELECT belay.job_stop('stopped')") == "rolled_back"

    open_gate(db)
    if launcher:
        wait_for_end(db, "made")
    else:
        tick_until(db, "SELECT bool_and(state IN ('completed', 'rolled_back')) FROM belay.job", "all have ended")
    assert has_table(db, "made")
    assert (state(db, "stopped"), has_table(db, "stopped")) == ("rolled_back", False)


# ── what starts by itself, and in which order ────────────────────────────────────────────────────────────────────────


def test_ph_31_several_jobs_may_have_no_dependency_and_one_may_have_several_successors(db):
    app = deployer(db)
    register(app, "root", auto_start=True)
    register(app, "other", auto_start=True, min_release="9.0.0")
    for name in ("one", "two"):
        register(app, name, depends_on=["root"], auto_start=True)
    register(app, "last", depends_on=["one", "two"], auto_start=True)
    assert tick(app) == 1  # the others depend on it, or belong to a later release
    tick_until(db, "SELECT bool_and(state = 'completed') FROM belay.job WHERE name <> 'other'", "all others are completed")
    assert state(db, "other") == "not_started"
    out_of_order = """
        SELECT child.name FROM belay.job child JOIN belay.job parent ON parent.name = ANY (child.depends_on)
        WHERE child.started_at < parent.finished_at
    """
    assert db.rows(out_of_order) == []


def test_ph_32_what_starts_by_itself_does_so_at_the_first_tick_under_its_release(db):
    app = deployer(db)
    register(app, "fill", min_release="3.0.0", auto_start=True)
    register(app, "by_hand", min_release="3.0.0")
    assert tick(app) == 0
    app.execute("SELECT belay.release_announce('3.0.0-rc.1')")
    assert tick(app) == 0
    app.execute("SELECT belay.release_announce('3.0.0')")
    assert (state(db, "fill"), state(db, "by_hand")) == ("not_started", "not_started")
    assert tick(app) == 1
    wait_for_end(db, "fill", "completed")
    assert tick(app) == 0
    assert state(db, "by_hand") == "not_started"


def test_ph_32_what_has_failed_or_was_rolled_back_does_not_start_by_itself_again(db):
    app = deployer(db)
    register(app, "refused", precheck="SELECT false", auto_start=True)
    register(app, "broken", "SELECT 1/0", auto_start=True)
    assert tick(app) == 2
    wait_for_end(db, "refused", "failed_at_startup")
    wait_for_end(db, "broken", "rolled_back")
    assert tick(app) == 0
    assert (state(db, "refused"), state(db, "broken")) == ("failed_at_startup", "rolled_back")


# ── how one ends ─────────────────────────────────────────────────────────────────────────────────────────────────────

#: Where a worker is when it is told to end: its job, and the state in which that stays.
PLACES = {
    "in a precheck": ({"operations": "SELECT 1", "precheck": "SELECT pass()"}, "starting"),
    "in a statement": ({"operations": "SELECT pg_sleep(600)"}, "running"),
    "in a pause": ({"operations": {"batch": COUNT | {"pause": "10min"}}}, "running"),
    "in a sub-batch": ({"operations": {"batch": {"table": "public.counter", "select": "pass()"}}}, "running"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_worker_that_is_terminated_ends_at_once_and_its_job_waits_for_the_next_tick(db, place):
    app = deployer(db)
    make_gate(app)
    make_counter(app, 100)
    more, stays = PLACES[place]
    register(app, "made", more["operations"], precheck=more.get("precheck"))
    start(app, "made")
    db.wait_for("SELECT worker IS NOT NULL AND state = %s FROM belay.job_status()", [stays], 60)
    if place == "in a pause":
        db.wait_for("SELECT rows = 10 FROM belay.job")
    pid = wait_for_worker(db, "made")
    db.execute("SELECT pg_terminate_backend(%s)", [pid])
    db.wait_until_gone(pid, bound=5)
    assert status(db, "made") == (stays, "a worker", None)
    assert db.rows("SELECT errors, next_command FROM belay.job_status()") == [(0, "SELECT belay.job_tick()")]
    assert db.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory'") == []

    assert tick(app) == 1
    assert wait_for_worker(db, "made") != pid
    assert tick(app) == 0


def test_a_worker_that_is_terminated_leaves_its_cursor(db):
    app = deployer(db)
    make_counter(app, 100)
    register(app, "count", {"batch": COUNT | {"pause": "10min"}})
    start(app, "count")
    for done in (10, 20, 30):
        db.wait_for("SELECT rows = %s FROM belay.job", [done], 60)
        assert counts(db) == [(0, 100 - done), (1, done)]
        assert db.rows("SELECT cursor, rows::int FROM belay.job_batches") == [([str(done)], done)]
        interrupt(db, wait_for_worker(db, "count"))
        assert tick(app) == 1


def test_a_worker_that_waits_for_the_end_of_other_sessions_work_ends_at_once_too(db):
    app = deployer(db)
    make_counter(app, 100)
    db.execute(f"ALTER DATABASE {db.name} SET belay.active_sessions = 0")
    busy = db.start("SELECT pg_sleep(600)")
    register(app, "count", SLOW_PASS)
    start(app, "count")
    db.wait_for("SELECT worker IS NOT NULL AND waits_for IS NOT NULL FROM belay.job_status()", bound=60)
    pid = wait_for_worker(db, "count")
    db.execute("SELECT pg_terminate_backend(%s)", [pid])
    db.wait_until_gone(pid, bound=5)
    assert status(db, "count") == ("running", "a worker", None)
    assert counts(db) == [(0, 100)] and busy.is_running


def stop_at_once(server: Server, pid: int) -> None:
    server.crash()
    server.start()


def kill_the_worker(server: Server, pid: int) -> None:
    """The server ends all its sessions and recovers."""
    witness = Session.connect(**server.parameters(), autocommit=True)
    kill(pid)

    def has_restarted() -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            witness.execute("SELECT")
            return False
        return True

    poll_until(has_restarted, 30, "the server has ended its sessions")
    witness.close()


@pytest.mark.parametrize("fault", [stop_at_once, kill_the_worker], ids=lambda fault: fault.__name__)
def test_ph_12_what_a_crash_has_interrupted_goes_on_at_the_next_tick(crash_server, new_database, fault):
    server = crash_server()
    db = new_database(on=server)
    app = deployer(db)
    make_gate(app)
    app.execute("CREATE TABLE log (line text)")
    register(app, "steps", "INSERT INTO log VALUES ('first')", "INSERT INTO log SELECT 'second' WHERE pass()")
    start(app, "steps")
    db.wait_for("SELECT operation = 1 FROM belay.job WHERE name = 'steps'", bound=60)
    pid = start_slow_pass(db, app)
    fault(server, pid)
    db.reconnect()
    assert status(db, "count") == status(db, "steps") == ("running", "a worker", None)
    assert_told_is_done(db)
    assert db.rows("TABLE log") == [("first",)]
    assert tick(db) == 2
    open_gate(db)
    for name in ("count", "steps"):
        wait_for_end(db, name)
    assert counts(db) == [(1, 1000)]
    assert db.rows("TABLE log") == [("first",), ("second",)]
    assert db.one("SELECT sum(errors) FROM belay.job") == 0


def test_ph_12_with_auto_continue_off_what_was_interrupted_is_errored_and_a_resume_goes_on(db):
    app = deployer(db)
    pid = start_slow_pass(db, app)
    db.execute(f"ALTER DATABASE {db.name} SET belay.job_auto_continue = off")
    session = db.connect(user=app.info.user)
    register(session, "made")
    assert tick(session) == 0, "its worker is there"
    interrupt(db, pid)
    assert tick(session) == 0
    assert state(db, "count") == "errored"
    ((operation, direction, sqlstate, message),) = errors(db, "count")
    assert (operation, direction, sqlstate) == (1, "forward", "MG020") and "worker" in message
    assert_told_is_done(db)
    # What nobody has taken up yet was not interrupted.
    assert app.one("SELECT belay.job_resume('count')") == "running"
    tick(session)
    wait_for_end(db, "count")
    assert counts(db) == [(1, 1000)]


# ── copies and standbys ──────────────────────────────────────────────────────────────────────────────────────────────


def by_template(db: Database, new_database: Callable[..., Database]) -> Database:
    db.close()
    return Database.create(db.server, db.name)


def by_dump(db: Database, new_database: Callable[..., Database]) -> Database:
    copy = new_database(on=db.server, extension=False)
    plain(db, copy)
    return copy


@pytest.mark.parametrize("way", [by_template, by_dump], ids=lambda way: way.__name__)
def test_jobs_of_a_copy_wait_for_a_word(db, new_database, request, way):
    app = deployer(db)
    role = app.info.user
    register(app, "made")
    interrupt(db, start_slow_pass(db, app))
    copy = way(db, new_database)
    request.addfinalizer(copy.remove)  # before the role, which owns what is in it
    app = copy.connect(user=role)

    def assert_waits(*names: str) -> None:
        assert tick(copy) == 0
        for name in names:
            found, waits_for, worker = status(copy, name)
            assert found in ("running", "starting") and "jobs_release" in waits_for and worker is None
            command = copy.one("SELECT next_command FROM belay.job_status() WHERE name = %s", [name])
            assert command == "SELECT belay.jobs_release()"

    assert_waits("count")
    start(app, "made")
    assert_waits("count", "made")
    with expect_error("42501"):
        app.execute("SELECT belay.jobs_release()")
    assert_waits("count", "made")
    assert_told_is_done(copy)

    # The original is none of it.
    assert tick(db) == 1
    wait_for_end(db, "count")
    assert counts(db) == [(1, 1000)] and state(db, "made") == "not_started"

    assert copy.one("SELECT belay.jobs_release()") == 2
    tick_until(copy, "SELECT bool_and(state = 'completed') FROM belay.job", "both jobs of the copy are completed")
    assert counts(copy) == [(1, 1000)] and has_table(copy, "made")
    assert copy.one("SELECT belay.jobs_release()") == 0


def test_on_a_standby_nothing_is_started(db, standby):
    app = deployer(db)
    interrupt(db, start_slow_pass(db, app))
    register(app, "made", auto_start=True)
    copy = standby.database(db)
    assert tick(copy) == 0
    assert states(copy) == {"count": "running", "made": "not_started"}
    with expect_error("25006"):
        copy.execute("SELECT belay.jobs_release()")
    assert tick(app) == 2
    wait_for_end(db, "count")


# ── the launcher ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_with_the_launcher_jobs_go_on_by_themselves_after_a_crash(private_server, new_database):
    server = private_server(settings=LAUNCHER)
    databases = [new_database(on=server) for _ in range(2)]
    for db in databases:
        start_slow_pass(db, deployer(db))
    server.crash()
    server.start()
    for db in databases:
        db.reconnect()
        wait_for_end(db, "count")
        assert counts(db) == [(1, 1000)]


def test_with_the_launcher_a_worker_that_was_terminated_is_replaced(private_server, new_database):
    db = new_database(on=private_server(settings=LAUNCHER))
    pid = start_slow_pass(db, deployer(db))
    db.execute("SELECT pg_terminate_backend(%s)", [pid])
    wait_for_end(db, "count")
    assert counts(db) == [(1, 1000)]
    assert db.one("SELECT pid FROM belay.job") != pid


def test_ph_32_with_the_launcher_jobs_start_by_themselves_when_they_may(private_server, new_database):
    db = new_database(on=private_server(settings=LAUNCHER))
    app = deployer(db)
    register(app, "first", auto_start=True)
    register(app, "second", depends_on=["first"], auto_start=True)
    register(app, "third", depends_on=["second"], auto_start=True, min_release="3.0.0")
    register(app, "by_hand")
    wait_for_end(db, "second")
    assert (state(db, "first"), state(db, "third")) == ("completed", "not_started")
    app.execute("SELECT belay.release_announce('3.0.0')")
    wait_for_end(db, "third")
    assert state(db, "by_hand") == "not_started"


def test_nobody_stays_in_a_database_in_which_nothing_is_due(private_server, new_database):
    server = private_server(settings=LAUNCHER)
    db = new_database(on=server)
    register(deployer(db), "made", auto_start=True)
    wait_for_end(db, "made")
    db.close()
    admin = Database(server, "postgres")
    admin.wait_for("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = %s)", [db.name])
    began = time.monotonic()
    while time.monotonic() - began < 4:  # several times as long as the launcher naps
        admin.execute(f"CREATE DATABASE again TEMPLATE {db.name} STRATEGY FILE_COPY")
        admin.execute("ALTER DATABASE again RENAME TO once_more")
        admin.execute("DROP DATABASE once_more")
    admin.execute(f"DROP DATABASE {db.name}")
    admin.close()


def test_the_launcher_connects_to_no_template(private_server, new_database):
    server = private_server(settings=LAUNCHER | {"autovacuum": "off"})
    admin, template, db = Database(server, "postgres"), new_database(on=server), new_database(on=server)
    admin.execute(f"ALTER DATABASE {template.name} IS_TEMPLATE true")
    register(deployer(template), "made", auto_start=True)
    transactions = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'template1'"
    before = admin.one(transactions)
    app = deployer(db)
    for name in ("first", "second", "third"):  # each of them in another round
        register(app, name, auto_start=True)
        wait_for_end(db, name)
    assert state(template, "made") == "not_started"
    assert admin.one(transactions) == before
    admin.execute(f"ALTER DATABASE {template.name} IS_TEMPLATE false")
    wait_for_end(template, "made")
    admin.close()


def test_databases_without_the_extension_or_without_connections_do_not_disturb_the_launcher(private_server, new_database):
    server = private_server(settings=LAUNCHER)
    without, shut, db = new_database(on=server, extension=False), new_database(on=server), new_database(on=server)
    db.execute(f"ALTER DATABASE {shut.name} ALLOW_CONNECTIONS false")
    app, logged = deployer(db), 0
    for name in ("first", "second", "third"):
        register(app, name, auto_start=True)
        wait_for_end(db, name)
        # Whom the launcher had sent to the database before it was shut comes back with an error.
        logged = logged or len(server.log_text())
    assert "exited with exit code" not in server.log_text()[logged:]
    assert without.one("SELECT to_regnamespace('belay') IS NULL")
    # It is found as soon as it is there.
    without.execute("CREATE EXTENSION pg_belay")
    register(deployer(without), "made", auto_start=True)
    wait_for_end(without, "made")


def test_the_launcher_leaves_the_jobs_of_a_copy_alone(private_server, new_database):
    server = private_server(settings=LAUNCHER)
    db = new_database(on=server)
    app = deployer(db)
    for name in ("first", "second", "third"):
        register(app, name, min_release="5.0.0", auto_start=True)
    role = app.info.user
    db.close()
    copy = Database.create(server, db.name)
    copy.execute("SELECT belay.release_announce('9.0.0')")
    app = db.connect(user=role)
    register(app, "last", auto_start=True)
    wait_for_end(db, "last")
    app.execute("SELECT belay.release_announce('9.0.0')")
    for name in ("first", "second", "third"):
        wait_for_end(db, name)
    assert set(states(copy).values()) == {"not_started"}
    copy.execute("SELECT belay.jobs_release()")
    for name in ("first", "second", "third"):
        wait_for_end(copy, name)
    copy.close()


def test_a_database_that_is_locked_holds_the_launcher_up_for_a_while_only(private_server, new_database):
    """RENAME, and CREATE DATABASE ... TEMPLATE, let nobody in until they have ended."""
    server = private_server(settings=LAUNCHER | {"autovacuum": "off"})
    locked, db = new_database(on=server), new_database(on=server)
    pid = start_slow_pass(db, deployer(db))
    locked.close()
    admin = Database(server, "postgres")
    rename = admin.connect(autocommit=False)
    rename.execute(f"ALTER DATABASE {locked.name} RENAME TO renamed")
    # pg_stat_activity shows a worker that waits so from PostgreSQL 18 on.
    visitor = "SELECT pid FROM pg_locks WHERE NOT granted AND locktype = 'object' AND classid = 'pg_database'::regclass"
    admin.wait_for(visitor, what="a visitor waits to get into the database that is locked")
    interrupt(db, pid)
    # Nobody but the launcher looks after it.
    wait_for_end(db, "count")
    assert counts(db) == [(1, 1000)]
    rename.rollback()
    admin.close()


def test_the_launcher_naps_however_often_it_is_woken(private_server, new_database):
    server = private_server(settings=LAUNCHER | {"belay.naptime": "1h", "autovacuum": "off"})
    db = new_database(on=server)
    db.close()
    admin = Database(server, "postgres")
    # It naps, since the first round is over; that may have been before there was such a database.
    launcher = admin.wait_for("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_belay launcher' AND wait_event_type = 'Extension'")
    visits = f"SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{db.name}'"
    before = admin.one(visits)

    def has_woken() -> bool:
        """Wakes it once more, and says whether it has woken often enough. What is asked while it answers is not answered."""
        admin.execute("SELECT pg_log_backend_memory_contexts(%s)", [launcher])
        return server.log_text().count(f"logging memory contexts of PID {launcher}") >= 20

    poll_until(has_woken, what="it has woken 20 times")
    assert admin.one(visits) == before
    # The next round comes at once when it is told to nap for less.
    admin.execute("ALTER SYSTEM SET belay.naptime = '1s'")
    admin.execute("SELECT pg_reload_conf()")
    admin.wait_for(visits.replace("SELECT", "SELECT %s <"), [before], what="a visitor comes")
    admin.close()


@pytest.mark.skipif(not THERE, reason="pg_cron is here for PostgreSQL 15 only")
def test_pg_cron_does_what_the_launcher_does(cron: Cron, new_database):  # noqa: F811
    """Its job runs when the server is restarted, which interrupts the workers."""
    db = new_database(on=cron.server)
    app = deployer(db)
    start_slow_pass(db, app)
    register(app, "made", auto_start=True)
    cron.schedule(db, "SELECT belay.job_tick()", app.info.user)
    ended = cron.run_all()
    assert ended[db.name].status == "succeeded", ended
    for name in ("count", "made"):
        wait_for_end(db, name)
    assert counts(db) == [(1, 1000)] and has_table(db, "made")


# ── workers that cannot work ─────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_worker_runs_may_register_and_run_migrations(db):
    """Neither frees what the worker's own CALL still reads."""
    app = deployer(db)
    for number in range(5):
        app.execute("SELECT belay.migrate_register(%s, 'SELECT 1', 'SELECT 1')", [f"{number}_a"])
        run = app.one("SELECT belay.migrate_start()")
        app.execute("CALL belay.migrate_wait(run => %s, wait => '60 s')", [run])
        register(app, f"job{number}", f"SELECT belay.migrate_register('{number}_b', 'SELECT 1', 'SELECT 1')")
        start(app, f"job{number}")
        wait_for_end(db, f"job{number}")
    said = db.server.log_text()
    assert "unexpected result type" not in said and "terminated by signal" not in said


def test_two_jobs_whose_workers_cannot_write_fail_with_the_reason_and_do_not_start_each_other_again(db):
    app = deployer(db)
    for name in ("one", "two"):
        register(app, name)
    db.execute(f"ALTER ROLE {app.info.user} SET default_transaction_read_only = on")
    before = db.server.log_text().count("read-only transaction")
    for name in ("one", "two"):
        start(app, name)
    for name in ("one", "two"):
        wait_for_end(db, name, "failed_at_startup")
        assert "read-only" in errors(db, name)[0][3]
    assert db.server.log_text().count("read-only transaction") - before <= 4
    db.execute(f"ALTER ROLE {app.info.user} RESET default_transaction_read_only")
    for name in ("one", "two"):
        assert app.one("SELECT belay.job_retry(%s)", [name]) == "starting"
        wait_for_end(db, name)


def test_a_run_whose_worker_cannot_write_has_failed_with_the_reason(db):
    app = deployer(db)
    app.execute("SELECT belay.migrate_register('1_a', 'SELECT 1', 'SELECT 1')")
    db.execute(f"ALTER ROLE {app.info.user} SET default_transaction_read_only = on")
    run = app.one("SELECT belay.migrate_start()")
    with expect_error("MG016", message=re.compile("read-only")):
        app.execute("CALL belay.migrate_wait(run => %s, wait => '60 s')", [run])


def test_a_worker_waits_for_the_transaction_that_asked_for_it_longer_than_its_lock_timeout(db):
    app = deployer(db)
    register(app, "fill")
    db.execute(f"ALTER ROLE {app.info.user} SET lock_timeout = '50ms'")
    with app.transaction():
        start(app, "fill")
        app.execute("SELECT pg_sleep(1)")
    wait_for_end(db, "fill")


def test_many_registrations_of_one_transaction_send_one_visitor(private_server, new_database):
    db = new_database(on=private_server(settings=LAUNCHER | {"belay.naptime": "1h"}))
    app = deployer(db)
    visitors = "SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'pg_belay visitor' AND datname = current_database()"
    with app.transaction():
        for number in range(6):
            register(app, f"job{number}", auto_start=True)
        db.wait_for(f"SELECT ({visitors}) > 0", bound=60)
        app.execute("SELECT pg_sleep(0.5)")
        assert db.one(visitors) == 1
    for number in range(6):
        wait_for_end(db, f"job{number}")
