"""Jobs on a server that is stopped at once again and again, and jobs that wait until the rest of the system keeps up.

The moments of the stops are drawn from a seed, which is printed; to repeat them, and for more rounds:

    BELAY_PG=18 BELAY_SOAK_SEED=18007 BELAY_SOAK_DRAWS=20 .belay/venv/bin/python -m pytest pg_test/test_job_crashes.py -k random
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from conftest import Standby
from harness.database import Database
from harness.jobs import deployer, make_gate, open_gate, register, start, wait_for_end
from harness.server import MAJORS
from harness.session import Session
from harness.waiting import poll_until
from test_job_workers import LAUNCHER

MAJOR = int(os.environ.get("BELAY_PG", max(MAJORS)))
SEED = int(os.environ.get("BELAY_SOAK_SEED", random.randrange(10**6)))
#: How often the server is stopped.
ROUNDS = int(os.environ.get("BELAY_SOAK_DRAWS", 5))
#: Of each table: so many that passing them takes about as long as the rounds.
ROWS = 200 * ROUNDS
#: How long the workers are let alone, at most.
LONGEST_SECONDS = 0.8
#: Of a server with a place for each of five workers, the launcher and its visitors.
PLACES = {"belay.max_workers": 5, "max_worker_processes": 12}


def count(table: str, **more: object) -> dict:
    """A pass that counts in column n how often a row was changed."""
    action = {} if more.keys() & {"select", "procedure"} else {"set": "n = n + 1"}
    small = {"size": 100, "sub_batch": 10, "pause": "30ms"}
    return {"batch": {"table": f"public.{table}", **small, **action, **more}}


def make_tables(session: Session, rows: int) -> None:
    """Each of them for one job; `noted` has a row for each call of note() and for each step."""
    for table in ("by_set", "by_select", "by_procedure", "by_both"):
        session.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0)")
        session.execute(f"INSERT INTO {table} SELECT generate_series(1, {rows})")
    session.execute(
        """
        CREATE TABLE noted (what text, id bigint);
        CREATE FUNCTION note(id bigint) RETURNS void LANGUAGE sql AS 'INSERT INTO public.noted VALUES (''by_select'', id)';
        CREATE PROCEDURE count_range(bigint, bigint) LANGUAGE sql
        AS 'UPDATE public.by_procedure SET n = n + 1 WHERE id BETWEEN $1 AND $2';
        """
    )


def start_five(session: Session) -> list[str]:
    """All of them end at the gate, so that none is completed before it is opened."""
    last = "SELECT pass()"
    steps = [f"INSERT INTO public.noted SELECT 'step', {number} FROM pg_sleep(0.1)" for number in range(4 * ROUNDS)]
    jobs = {
        "by_set": [count("by_set"), last],
        "by_select": [count("by_select", select="note(id)"), last],
        "by_procedure": [count("by_procedure", procedure="public.count_range"), last],
        # Between them one that commits by itself, and may be repeated.
        "by_both": [count("by_both", where="id % 2 = 0"), "VACUUM public.by_both", count("by_both", where="id % 2 = 1"), last],
        "by_steps": [*steps, last],
    }
    for name, operations in jobs.items():
        register(session, name, *operations)
        start(session, name)
    return list(jobs)


def assert_told_is_done(db: Database) -> None:
    """What is written down of each job is what it has done, and nothing was done twice."""
    for table in ("by_set", "by_both"):
        done, often, told = db.rows(
            f"SELECT sum(n)::int, max(n), (SELECT rows::int FROM belay.job WHERE name = '{table}') FROM {table}"
        )[0]
        assert done == told and often <= 1, (table, done, often, told)
    assert db.rows("SELECT what, id FROM noted GROUP BY 1, 2 HAVING count(*) > 1") == []
    noted, told = db.rows(
        """
        SELECT (SELECT count(*) FROM noted WHERE what = 'step')::int, least(operation, operations - 1)
        FROM belay.job WHERE name = 'by_steps'
        """
    )[0]
    assert noted == told
    noted, passed = db.rows(
        """
        SELECT (SELECT count(*) FROM noted WHERE what = 'by_select')::int,
               (SELECT coalesce(sum(b.passed), 0)::int FROM belay.job_batch b WHERE b.job_id = j.id)
        FROM belay.job j WHERE j.name = 'by_select'
        """
    )[0]
    assert noted == passed
    assert db.rows("SELECT name, errors::int FROM belay.job WHERE errors > 0") == []


@pytest.mark.timeout(180 + 20 * ROUNDS)
def test_ph_12_five_jobs_survive_stops_of_the_server_at_random_moments(private_server, new_database):
    print(f"BELAY_PG={MAJOR} BELAY_SOAK_SEED={SEED} BELAY_SOAK_DRAWS={ROUNDS}")
    draw = random.Random(SEED)
    server = private_server(settings=LAUNCHER | PLACES)
    db = new_database(on=server)
    app = deployer(db)
    make_gate(app)
    make_tables(app, ROWS)
    names = start_five(app)
    for number in range(ROUNDS):
        if draw.random() < 0.8:  # else: while it comes up, or its workers do
            workers = draw.randint(1, len(names))
            db.wait_for("SELECT count(worker) >= %s FROM belay.job_status()", [workers], 60)
        seconds = draw.random() * LONGEST_SECONDS
        print(f"round {number + 1}: after {seconds:.2f} s")
        time.sleep(seconds)  # anywhere in their work
        server.crash()
        server.start()
        db.reconnect()
        assert_told_is_done(db)
        assert set(db.rows("SELECT DISTINCT state FROM belay.job")) <= {("starting",), ("running",)}

    open_gate(db)
    for name in names:
        wait_for_end(db, name, bound=90 + ROWS / 50)
    for table in ("by_set", "by_procedure", "by_both"):
        assert db.rows(f"SELECT n, count(*)::int FROM {table} GROUP BY n") == [(1, ROWS)], table
    expected = [("by_select", ROWS, ROWS), ("step", 4 * ROUNDS, 4 * ROUNDS)]
    assert db.rows("SELECT what, count(*)::int, count(DISTINCT id)::int FROM noted GROUP BY what ORDER BY what") == expected
    assert db.rows("SELECT job, sqlstate, message FROM belay.job_errors") == []
    assert db.rows("SELECT job, sqlstate FROM belay.job_batches WHERE state <> 'succeeded' OR attempts > 1") == []
    assert db.rows("SELECT DISTINCT state, percent::int FROM belay.job_status()") == [("completed", 100)]
    assert db.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND classid = 1651272290") == []


# ── what it waits for ────────────────────────────────────────────────────────────────────────────────────────────────

#: Longer than between two looks at what the job waits for, in which nothing may happen.
REST_SECONDS = 3


def make_counter(session: Session, rows: int) -> None:
    session.execute("CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)")
    session.execute("INSERT INTO counter SELECT generate_series(1, %s)", [rows])


def wait_until_it_waits(db: Database, word: str) -> None:
    """The job fill says that it waits for something of that name."""
    query = "SELECT waits_for FROM belay.job_status() WHERE name = 'fill' AND worker IS NOT NULL AND waits_for IS NOT NULL"
    reason = db.wait_for(query, bound=60, what=f"the job waits for the {word}")
    assert word in reason, reason


def assert_rests(db: Database, word: str) -> None:
    """It goes on waiting for that, and changes nothing meanwhile."""
    told = "SELECT state, rows::int, waits_for, (SELECT sum(n)::int FROM counter) FROM belay.job_status() WHERE name = 'fill'"
    before = db.rows(told)
    ((found, rows, waits_for, done),) = before
    assert found == "running" and word in waits_for and rows == done < db.one("SELECT count(*) FROM counter")
    began = time.monotonic()
    while time.monotonic() - began < REST_SECONDS:
        assert db.rows(told) == before


def assert_all_is_done(db: Database) -> None:
    assert db.rows("SELECT n FROM counter GROUP BY n") == [(1,)]
    assert db.rows("SELECT state, errors::int, waits_for FROM belay.job_status()") == [("completed", 0, None)]


@pytest.mark.parametrize("direction", ["forward", "rollback"])
def test_a_job_waits_for_the_archiver_and_says_so(private_server, new_database, direction):
    server = private_server(settings={"archive_mode": "on", "archive_command": "false"})
    db = new_database(on=server)
    app = deployer(db)
    make_counter(app, 500)
    register(app, "fill", {**count("counter", pause="1ms"), "rollback": count("counter", set="n = n - 1", pause="1ms")})
    if direction == "rollback":
        start(app, "fill")
        wait_for_end(db, "fill")
    db.execute(f"ALTER DATABASE {db.name} SET belay.unarchived_segments = 0")
    for _ in range(2):
        db.execute("UPDATE counter SET n = n; SELECT pg_switch_wal()")
    ready = "SELECT count(*) > 0 FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
    db.wait_for(ready, what="a segment waits to be archived")
    if direction == "rollback":
        assert app.one("SELECT belay.job_rollback('fill', force => true)") == "rolling_back"
        wait_until_it_waits(db, "archiver")
        began = time.monotonic()
        while time.monotonic() - began < REST_SECONDS:
            assert db.rows("SELECT n, count(*)::int FROM counter GROUP BY n") == [(1, 500)]
    else:
        start(app, "fill")
        wait_until_it_waits(db, "archiver")
        assert_rests(db, "archiver")

    db.execute("ALTER SYSTEM SET archive_command = 'true'")
    db.execute("SELECT pg_reload_conf()")
    if direction == "rollback":
        wait_for_end(db, "fill", "rolled_back")
        assert db.rows("SELECT n, count(*)::int FROM counter GROUP BY n") == [(0, 500)]
    else:
        wait_for_end(db, "fill")
        assert_all_is_done(db)


def on_standby(standby: Standby, query: str) -> None:
    """Whatever replay cancels meanwhile."""
    poll_until(lambda: standby.server.psql(query).returncode == 0, what=query)


@contextmanager
def lag(standby: Standby, how: str) -> Iterator[None]:
    """A standby that does not replay what is committed meanwhile."""
    standby.catch_up()
    if how == "paused":
        begin, end = ["SELECT pg_wal_replay_pause()"], ["SELECT pg_wal_replay_resume()"]
    else:
        begin = ["ALTER SYSTEM SET recovery_min_apply_delay = '1h'", "SELECT pg_reload_conf()"]
        end = ["ALTER SYSTEM RESET recovery_min_apply_delay", "SELECT pg_reload_conf()"]
    for query in begin:
        on_standby(standby, query)
    try:
        yield
    finally:
        for query in end:
            on_standby(standby, query)


@pytest.mark.parametrize("how", ["paused", "delayed"])
def test_a_job_waits_for_a_replica_that_does_not_keep_up_and_says_so(db, standby, how):
    app = deployer(db)
    # Enough for the lag to be noticed before it has passed them all.
    make_counter(app, 3000)
    db.execute(f"ALTER DATABASE {db.name} SET belay.replica_lag = '50ms'")
    register(app, "fill", count("counter", pause="50ms"))
    with lag(standby, how):
        start(app, "fill")
        wait_until_it_waits(db, "replica")
        assert_rests(db, "replica")
    db.wait_for("SELECT rows > %s FROM belay.job", [db.one("SELECT rows FROM belay.job")], 60, "it goes on")
    app.execute("SELECT belay.job_stop('fill', rollback => false)")
    wait_for_end(db, "fill", "errored")


def test_a_job_that_waits_for_a_replica_is_paused_at_once_and_stopped(db, standby):
    app = deployer(db)
    make_counter(app, 3000)
    db.execute(f"ALTER DATABASE {db.name} SET belay.replica_lag = '50ms'")
    register(app, "fill", {**count("counter", pause="50ms"), "rollback": "UPDATE public.counter SET n = 0 WHERE n > 0"})
    with lag(standby, "paused"):
        start(app, "fill")
        wait_until_it_waits(db, "replica")
        assert app.one("SELECT belay.job_pause('fill')") == "paused"
        wait_for_end(db, "fill", "paused", bound=20)
        assert app.one("SELECT belay.job_resume('fill')") == "running"
        wait_until_it_waits(db, "replica")
        assert app.one("SELECT belay.job_stop('fill')") == "stopping"
        wait_for_end(db, "fill", "rolled_back", bound=20)
    assert db.rows("SELECT DISTINCT n FROM counter") == [(0,)]


def test_a_job_that_waits_for_the_archiver_waits_again_after_a_stop_of_the_server(private_server, new_database):
    server = private_server(settings=LAUNCHER | {"archive_mode": "on", "archive_command": "false"})
    db = new_database(on=server)
    app = deployer(db)
    make_counter(app, 300)
    db.execute(f"ALTER DATABASE {db.name} SET belay.unarchived_segments = 0")
    db.execute("SELECT pg_switch_wal()")
    register(app, "fill", count("counter", pause="1ms"))
    start(app, "fill")
    wait_until_it_waits(db, "archiver")
    server.crash()
    server.start()
    db.reconnect()
    wait_until_it_waits(db, "archiver")
    assert_rests(db, "archiver")
    db.execute("ALTER SYSTEM SET archive_command = 'true'")
    db.execute("SELECT pg_reload_conf()")
    wait_for_end(db, "fill")
    assert_all_is_done(db)
