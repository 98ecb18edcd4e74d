"""`CALL belay.update_in_batches`: whole tables, batch by batch, from where it stopped."""

from __future__ import annotations

import contextlib
import random
import re
import time

import psycopg
import pytest
from psycopg.sql import SQL, Literal

from harness.database import Database, Running
from harness.session import expect_error
from harness.waiting import poll_until

#: Small batches, so that little data makes many of them.
SMALL = "-c belay.batch_size=10 -c belay.batch_time=1 -c belay.batch_pause=1"


def call(table: str, assignments: str, where: str | None = None) -> str:
    return SQL("CALL belay.update_in_batches({}, {}, {})").format(Literal(table), Literal(assignments), Literal(where)).as_string()


#: About a hundred small batches.
ROWS = 40_000


def progress(db: Database) -> dict:
    columns = "state, rows_updated, batches, percent, waits_for, pid"
    row = db.rows(f"SELECT {columns} FROM belay.progress ORDER BY started_at DESC LIMIT 1")[0]
    return dict(zip(columns.split(", "), row))


def counters(db: Database, rows: int = 1000, **how) -> None:
    """A table whose column n counts how often a row was updated."""
    db.execute("CREATE TABLE counter (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0)")
    db.execute("INSERT INTO counter SELECT g FROM generate_series(1, %s) g", [rows])


def start_slow(db: Database, **how) -> Running:
    """An update that takes a while: each batch is 10 rows and more, and pauses."""
    return db.start(call("counter", "n = n + 1"), options="-c belay.batch_size=10 -c belay.batch_time=1 -c belay.batch_pause=50ms", **how)


def wait_for_batches(db: Database, run: Running, more_than: int) -> None:
    batches = "SELECT coalesce(max(batches), 0) > %s FROM belay.progress"
    poll_until(lambda: not run.is_running or db.one(batches, [more_than]), what=f"more than {more_than} batches are done")
    assert run.is_running


#: A key's columns, and the rows' values by their number g; in an order that is not that of their texts.
KEYS = {
    "integer": ("k int", "g - 50"),
    "numeric": ("k numeric", "(g - 50) / 3.0"),
    "text": ("k text", "repeat(chr(97 + g % 20), 1 + g / 20) || ''''"),
    "text of another collation": ('k text COLLATE "C"', "CASE g % 2 WHEN 0 THEN upper(md5(g::text)) ELSE md5(g::text) END"),
    "char": ("k char(8)", "to_char(g, 'FM999')"),
    "uuid": ("k uuid", "md5(g::text)::uuid"),
    "timestamptz": ("k timestamptz", "'2024-10-27 00:00+00'::timestamptz + g * interval '17 minutes 1 microsecond'"),
    "interval": ("k interval", "(g - 50) * interval '1 day 2 hours'"),
    "double precision": ("k float8", "(g - 50) / 7.0"),
    "bytea": ("k bytea", "decode(md5(g::text), 'hex')"),
    "enum": ("k mood", "(enum_range(NULL::mood))[1 + g]"),
    "domain": ("k positive", "g + 1"),
    "two columns": ("k int, l text", "g % 7, 'it''s ' || g"),
    "three columns": ("k text, l int, m date", "chr(97 + g % 3), g % 5, '2024-01-01'::date + g"),
}


@pytest.mark.parametrize("key", KEYS)
def test_each_row_is_met_once_whatever_its_key(db, key):
    columns, values = KEYS[key]
    names = ", ".join(part.split()[0] for part in columns.split(", "))
    labels = ", ".join(f"'{chr(97 + n % 26)}{1000 - n}'" for n in range(101))
    db.execute(f"CREATE TYPE mood AS ENUM ({labels}); CREATE DOMAIN positive AS int CHECK (value > 0)")
    db.execute(f"CREATE TABLE t ({columns}, n int DEFAULT 0, PRIMARY KEY ({names}))")
    db.execute(f"INSERT INTO t SELECT {values} FROM generate_series(0, 99) g")
    session = db.connect(options=f"{SMALL} -c datestyle=German -c intervalstyle=sql_standard -c extra_float_digits=-5 -c timezone=Europe/Berlin")
    session.execute(call("t", "n = n + 1"))
    assert db.rows("SELECT n, count(*)::int FROM t GROUP BY n") == [(1, 100)]
    assert progress(db)["batches"] > 2
    assert session.one("SHOW datestyle").startswith("German")


def test_a_unique_index_without_nulls_serves_as_a_key(db):
    db.execute("CREATE TABLE t (a int NOT NULL UNIQUE, n int DEFAULT 0); INSERT INTO t SELECT g FROM generate_series(1, 100) g")
    db.connect(options=SMALL).execute(call("t", "n = n + 1"))
    assert db.rows("SELECT DISTINCT n FROM t") == [(1,)]


@pytest.mark.parametrize("index", ["", "CREATE UNIQUE INDEX ON t (a)", "CREATE UNIQUE INDEX ON t ((a + 1))", "CREATE UNIQUE INDEX ON t (b) WHERE b > 0"])
def test_without_a_key_it_takes_a_condition_and_goes_on_until_none_is_left(db, index):
    db.execute(f"CREATE TABLE t (a int, b int NOT NULL, n int); INSERT INTO t SELECT g, g FROM generate_series(1, 3000) g; {index}")
    session = db.connect(options=SMALL)
    with expect_error("0A000", hint=re.compile('"where" =>')):
        session.execute(call("t", "n = a"))
    session.execute(call("t", "n = a", "n IS NULL"))
    assert db.rows("SELECT count(*)::int FROM t WHERE n = a") == [(3000,)]
    assert progress(db)["rows_updated"] == 3000


def test_a_condition_that_does_not_tell_what_is_left_is_told_instead_of_going_on_for_ever(db):
    db.execute("CREATE TABLE t (a int, n int DEFAULT 0); INSERT INTO t SELECT g FROM generate_series(1, 100) g")
    with expect_error("22000", message=re.compile("updated again and again")):
        db.connect(options=SMALL).execute(call("t", "n = n + 1", "true"))


def test_children_of_a_table_without_a_key_are_updated_too(db):
    db.execute("CREATE TABLE t (a int, n int); CREATE TABLE child () INHERITS (t); INSERT INTO t VALUES (1); INSERT INTO child VALUES (2)")
    db.connect().execute(call("t", "n = a", "n IS NULL"))
    assert db.rows("SELECT n FROM t ORDER BY n") == [(1,), (2,)]


def test_partitions_are_gone_through_by_the_key_of_all_or_one_after_the_other(db):
    for name, key in (("keyed", "PRIMARY KEY (id, part)"), ("bare", "CHECK (id > 0)")):
        db.execute(f"CREATE TABLE {name} (id int, part int, n int, {key}) PARTITION BY LIST (part)")
        for part in range(3):
            db.execute(f"CREATE TABLE {name}_{part} PARTITION OF {name} FOR VALUES IN ({part})")
        db.execute(f"INSERT INTO {name} SELECT g, g % 3 FROM generate_series(1, 300) g")
        db.connect(options=SMALL).execute(call(name, "n = coalesce(n, 0) + 1", "n IS NULL"))
        assert db.rows(f"SELECT n, count(*)::int FROM {name} GROUP BY n") == [(1, 300)]


def test_only_rows_of_the_condition_are_updated_and_an_empty_table_is_fine(db):
    counters(db, rows=100)
    session = db.connect(options=SMALL)
    session.execute(call("counter", "n = 1", "id % 2 = 0 -- even"))
    assert db.rows("SELECT n, count(*)::int FROM counter GROUP BY n ORDER BY n") == [(0, 50), (1, 50)]
    db.execute("TRUNCATE counter")
    session.execute(call("counter", "n = 2"))
    assert progress(db) == {"state": "finished", "rows_updated": 0, "batches": 1, "percent": 100, "waits_for": None, "pid": None}


def test_a_second_call_after_the_end_begins_anew(db):
    counters(db, rows=50)
    session = db.connect(options=SMALL)
    session.execute(call("counter", "n = n + 1"))
    session.execute(call("counter", "n = n + 1"))
    assert db.rows("SELECT DISTINCT n FROM counter") == [(2,)]
    assert db.one("SELECT count(*) FROM belay.progress") == 1


def test_a_cancel_loses_nothing_and_the_same_call_goes_on(db):
    counters(db, rows=ROWS)
    run = start_slow(db)
    wait_for_batches(db, run, 2)
    assert progress(db)["state"] == "running" and progress(db)["pid"] == run.session.pid
    db.execute("SELECT pg_cancel_backend(%s)", [run.session.pid])
    with expect_error("57014"):
        run.finish()
    before = progress(db)
    assert before["state"] == "interrupted" and 0 < before["rows_updated"] < ROWS
    assert db.one("SELECT count(*) FROM counter WHERE n = 1") == before["rows_updated"]
    db.connect().execute(call("counter", "n = n + 1"))
    assert db.rows("SELECT n, count(*)::int FROM counter GROUP BY n") == [(1, ROWS)]


@pytest.mark.parametrize("fault", ["kill the backend", "stop the server at once"])
def test_crashes_at_random_moments_lose_nothing_and_do_no_batch_twice(crash_server, new_database, fault):
    server = crash_server()
    db = new_database(on=server)
    counters(db, rows=ROWS)
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw, batches = random.Random(seed), 0
    for _ in range(3):
        batches = db.one("SELECT coalesce(max(batches), 0) FROM belay.progress")
        run, enough = start_slow(db), batches + draw.randrange(4)
        go_on = "SELECT coalesce(max(batches), 0) > %s FROM belay.progress"
        poll_until(lambda: not run.is_running or db.one(go_on, [enough]), what=f"more than {enough} batches are done")
        if not run.is_running:
            break
        time.sleep(draw.random() / 50)  # anywhere in a batch
        if fault == "kill the backend":
            db.kill_backend(run)
        else:
            server.crash()
            server.start()
            db.reconnect()
        with contextlib.suppress(psycopg.OperationalError):
            run.finish()
        # What is kept says exactly what was done: the cursor is written with the batch.
        assert db.one("SELECT count(*) FROM counter WHERE n = 1") == db.one("SELECT rows_updated FROM belay.progress")
        assert db.one("SELECT count(*) FROM counter WHERE n > 1") == 0
    assert batches > 0, "it ended before anything went wrong"
    if progress(db)["state"] != "finished":
        db.connect().execute(call("counter", "n = n + 1"))
    assert db.rows("SELECT n, count(*)::int FROM counter GROUP BY n") == [(1, ROWS)]


def test_two_sessions_do_not_do_the_same_at_once(db):
    counters(db, rows=ROWS)
    run = start_slow(db)
    wait_for_batches(db, run, 0)
    with expect_error("55P03", message=re.compile("another session is at it"), detail=re.compile(f"pid {run.session.pid}")):
        db.connect().execute(call("counter", "n = n + 1"))
    run.cancel()
    with expect_error("57014"):
        run.finish()
    assert db.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []


def test_a_row_that_somebody_holds_is_tried_again_and_blocks_nobody_for_longer_than_lock_timeout(db):
    counters(db, rows=100)
    blocker = db.connect(autocommit=False)
    blocker.execute("UPDATE counter SET n = 100 WHERE id = 30")
    run = db.start(call("counter", "n = n + 1"), options=f"{SMALL} -c belay.lock_timeout=30ms -c belay.lock_retries=500")
    poll_until(lambda: len(run.session.messages) > 1 or not run.is_running, what="two attempts have failed")
    assert run.is_running
    blocker.commit()
    run.finish()
    assert db.rows("SELECT n, count(*)::int FROM counter GROUP BY n ORDER BY n") == [(1, 99), (101, 1)]


def test_the_statements_own_error_names_the_batch_and_what_was_before_it_stays(db):
    counters(db, rows=100)
    session = db.connect(options="-c belay.batch_size=20 -c belay.batch_time=1")
    with expect_error("22012", hint=re.compile("the same call goes on here")) as error:
        session.execute(call("counter", "n = 1 / (id - 55)"))
    assert re.search(r"update of table public.counter in batches, the batch after \(\d+\)", error.context)
    assert db.one("SELECT count(*) FROM counter WHERE n IS DISTINCT FROM 0") + db.one("SELECT rows_updated FROM belay.progress") > 0
    assert progress(db)["state"] == "interrupted"


WRONG = [
    ("n = 1 WHERE false --", None, "22023"),
    ("n = 1 FROM counter c", None, "22023"),
    ("n = 1 RETURNING n", None, "22023"),
    ("n = 1; DROP TABLE counter; --", None, "22023"),
    ("n = 1", "true) OR (true", "42601"),
    ("n = 1", "true FROM counter", "22023"),
    ("n = 1", "true, false", "22023"),
    ("n = 1", "true; DROP TABLE counter", "22023"),
    ("n = 1", "true ORDER BY 1", "22023"),
    ("n = $1::int", None, "22023"),
    ("n = 1", "id = $1::int", "22023"),
    ("id = 1", None, "0A000"),
    ("nonsense = 1", None, "42703"),
    ("n = 'x' || 1", None, "42804"),
]


@pytest.mark.parametrize(("assignments", "where", "sqlstate"), WRONG)
def test_more_than_assignments_and_a_condition_is_refused(db, assignments, where, sqlstate):
    counters(db, rows=5)
    with expect_error(sqlstate):
        db.connect().execute(call("counter", assignments, where))
    assert db.rows("SELECT DISTINCT n FROM counter") == [(0,)]
    assert db.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []


def test_a_role_from_which_rows_are_hidden_is_refused(db):
    counters(db, rows=10)
    role = db.role("deployer")
    db.execute("SELECT belay.grant_role(%s, 'deployer')", [role])
    db.execute(SQL("GRANT SELECT, UPDATE ON counter TO {}").format(psycopg.sql.Identifier(role)))
    session = db.connect(user=role)
    session.execute(call("counter", "n = 1"))
    assert db.rows("SELECT DISTINCT n FROM counter") == [(1,)]
    db.execute("ALTER TABLE counter ENABLE ROW LEVEL SECURITY")
    with expect_error("42501", message=re.compile("row security hides rows")):
        session.execute(call("counter", "n = 2"))


def test_it_waits_for_the_archiver_and_says_so(private_server, new_database):
    server = private_server(settings={"archive_mode": "on", "archive_command": "false"})
    db = new_database(on=server)
    counters(db, rows=10)
    for _ in range(2):
        db.execute("INSERT INTO counter VALUES ((SELECT max(id) + 1 FROM counter)); SELECT pg_switch_wal()")
    run = db.start(call("counter", "n = n + 1"), options="-c belay.unarchived_segments=0")
    poll_until(lambda: not run.is_running or "archiver" in db.one("SELECT coalesce(max(waits_for), '') FROM belay.progress"), what="it waits for the archiver")
    assert run.is_running
    db.execute("ALTER SYSTEM SET archive_command = 'true'")
    db.execute("SELECT pg_reload_conf()")
    run.finish()
    assert run.session.messages[0].startswith("waiting for the archiver")
    assert db.rows("SELECT DISTINCT n FROM counter") == [(1,)]


def on_standby(standby, query: str) -> None:
    """Whatever replay cancels meanwhile."""
    poll_until(lambda: standby.server.psql(query).returncode == 0, what=query)


def test_it_waits_for_a_replica_that_does_not_keep_up(db, standby):
    # More than can be passed before the lag is noticed, on however slow a machine; ended without pauses.
    counters(db, rows=50_000)
    standby.catch_up()
    on_standby(standby, "SELECT pg_wal_replay_pause()")
    try:
        run = db.start(call("counter", "n = n + 1"), options=f"{SMALL} -c belay.batch_pause=100 -c belay.replica_lag=50ms")
        poll_until(lambda: not run.is_running or "replica" in db.one("SELECT coalesce(max(waits_for), '') FROM belay.progress"), what="it waits for the replica")
        assert run.is_running
    finally:
        on_standby(standby, "SELECT pg_wal_replay_resume()")
    db.wait_for("SELECT waits_for IS NULL FROM belay.progress", bound=60)
    run.cancel()
    with expect_error("57014"):
        run.finish()
    assert any(message.startswith("waiting for a replica, which is ") for message in run.session.messages)
    db.execute(call("counter", "n = n + 1"))
    assert db.rows("SELECT DISTINCT n FROM counter") == [(1,)]


def test_a_long_one_takes_no_more_memory_than_a_short_one(db):
    counters(db, rows=20000)
    session = db.connect(options="-c belay.batch_size=10 -c belay.batch_time=1 -c belay.batch_pause=0")
    memory = "SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts"
    session.execute(call("counter", "n = n + 1", "id <= 500"))
    before = session.one(memory)
    session.execute(call("counter", "n = n + 1", "true"))
    assert progress(db)["batches"] > 30
    assert session.one(memory) - before < 300_000


def test_within_a_migration_it_is_recognised_as_non_transactional(db):
    counters(db, rows=30)
    db.execute("SELECT belay.migrate_register('1', %s)", ["CREATE TABLE other (); " + call("counter", "n = n + 1")])
    assert db.one("SELECT up_transaction FROM belay.migration") is False
    db.connect(options=SMALL).execute("CALL belay.migrate_up()")
    assert db.rows("SELECT DISTINCT n FROM counter") == [(1,)]
