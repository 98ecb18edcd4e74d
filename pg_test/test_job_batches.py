"""Batched operations of jobs: every row exactly once, whatever fails, takes too long, is paused or dies meanwhile.

The ids are those of behaviours/online-changes.md. The tables count in column n how often a row was changed.
"""

from __future__ import annotations

import json
import random
import re

import pytest

from harness.database import Database
from harness.jobs import ENDS, deployer, errors, make_gate, register
from harness.session import Session, expect_error


def counters(session: Session, rows: int = 1000, more: str = "") -> None:
    session.execute(f"CREATE TABLE counter (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0 {more})")
    session.execute("INSERT INTO counter (id) SELECT g FROM generate_series(1, %s) g", [rows])


def batch(table: str = "public.counter", **more: object) -> dict:
    """A pass in small batches that hardly rests."""
    action = {} if more.keys() & {"set", "select", "procedure"} else {"set": "n = n + 1"}
    return {"batch": {"table": table, "size": 100, "sub_batch": 10, "pause": "1ms", **action, **more}}


def start(session: Session, name: str = "fill") -> None:
    assert session.one("SELECT belay.job_start(%s)", [name]) == "starting"


def wait_for_end(db: Database, wanted: str, name: str = "fill", bound: float = 90) -> None:
    """The job has come to its end, which is the one that is wanted, and its worker has gone."""
    query = "SELECT state FROM belay.job_status() WHERE name = %s AND state = ANY (%s) AND worker IS NULL"
    found = db.wait_for(query, [name, ENDS], bound, f"job {name} has come to an end")
    assert found == wanted, errors(db, name)


def run(db: Database, session: Session, *operations: dict) -> None:
    register(session, "fill", *operations)
    start(session)
    wait_for_end(db, "completed")


def wait_for_rows(db: Database, more_than: int, name: str = "fill") -> int:
    """The pid of the worker that has changed so many rows."""
    return db.wait_for("SELECT worker FROM belay.job_status() WHERE name = %s AND rows > %s", [name, more_than], 60)


def counts(db: Database, table: str = "counter") -> list[tuple]:
    """How many rows were changed how often."""
    return db.rows(f"SELECT n, count(*)::int FROM {table} GROUP BY n ORDER BY n")


def changed_and_told(db: Database) -> tuple[int, int]:
    """Rows that are changed and rows that the job says it has changed, at one moment."""
    return db.rows("SELECT (SELECT sum(n) FROM counter)::int, rows::int FROM belay.job WHERE name = 'fill'")[0]


# ── every row once ───────────────────────────────────────────────────────────────────────────────────────────────────

#: A key's columns, and the rows' values by their number g; in an order that is not that of their texts.
KEYS = {
    "integer": ("k int", "g - 150"),
    "numeric": ("k numeric", "(g - 50) / 3.0"),
    "text": ("k text", "repeat(chr(97 + g % 20), 1 + g / 20) || ''''"),
    "text with what an array quotes": ("k text", """CASE g % 3 WHEN 0 THEN '{"' WHEN 1 THEN 'NULL,' ELSE '\\ ' END || g"""),
    "an empty text": ("k text", "CASE g WHEN 0 THEN '' ELSE md5(g::text) END"),
    "uuid": ("k uuid", "md5(g::text)::uuid"),
    "timestamptz": ("k timestamptz", "'2024-10-27 00:00+00'::timestamptz + g * interval '17 minutes 1 microsecond'"),
    "double precision": ("k float8", "(g - 50) / 7.0"),
    "two columns": ("k int, l text", "g % 7, 'it''s ' || g"),
    "three columns": ("k text, l int, m date", "chr(97 + g % 3), g % 5, '2024-01-01'::date + g"),
}


@pytest.mark.parametrize("key", KEYS)
def test_each_row_is_met_once_whatever_its_key(db, key):
    app = deployer(db)
    columns, values = KEYS[key]
    names = ", ".join(part.split()[0] for part in columns.split(", "))
    app.execute(f"CREATE TABLE t ({columns}, n int DEFAULT 0, PRIMARY KEY ({names}))")
    app.execute(f"INSERT INTO t SELECT {values} FROM generate_series(0, 299) g")
    run(db, app, batch("public.t"))
    assert counts(db, "t") == [(1, 300)]
    assert db.rows("SELECT sum(rows)::int, sum(passed)::int FROM belay.job_batches") == [(300, 300)]
    assert db.one("SELECT count(*) FROM belay.job_batches") > 2


def test_a_unique_index_without_nulls_serves_as_a_key(db):
    app = deployer(db)
    app.execute("CREATE TABLE t (a int NOT NULL UNIQUE, n int DEFAULT 0); INSERT INTO t SELECT generate_series(1, 250)")
    run(db, app, batch("public.t"))
    assert counts(db, "t") == [(1, 250)]


def test_an_expression_is_evaluated_once_for_each_row(db):
    app = deployer(db)
    counters(app, 250)
    app.execute("CREATE TABLE touched (id bigint)")
    app.execute("CREATE FUNCTION touch(id bigint) RETURNS void LANGUAGE sql AS 'INSERT INTO public.touched VALUES (id)'")
    run(db, app, batch(select="touch(id)"))
    assert db.rows("SELECT count(*)::int, count(DISTINCT id)::int, max(id)::int FROM touched") == [(250, 250, 250)]
    assert counts(db) == [(0, 250)]


@pytest.mark.parametrize("kind", ["PROCEDURE", "FUNCTION"])
def test_a_procedure_gets_the_first_and_the_last_key_of_each_sub_batch(db, kind):
    app = deployer(db)
    counters(app, 255)
    app.execute("CREATE TABLE called (first bigint, last bigint)")
    returns = "RETURNS void" if kind == "FUNCTION" else ""
    app.execute(
        f"""
        CREATE {kind} fill(first bigint, last bigint) {returns} LANGUAGE sql AS $$
            INSERT INTO public.called VALUES (first, last);
            UPDATE public.counter SET n = n + 1 WHERE id BETWEEN first AND last;
        $$
        """
    )
    run(db, app, batch(procedure="public.fill"))
    assert counts(db) == [(1, 255)]
    calls = db.rows("SELECT first, last FROM called ORDER BY first")
    assert calls[0] == (1, 10) and calls[-1][1] == 255
    assert [first for first, _ in calls[1:]] == [last + 1 for _, last in calls[:-1]]
    assert max(last - first for first, last in calls) == 9


def test_only_rows_of_the_condition_are_changed(db):
    app = deployer(db)
    counters(app, 300)
    run(db, app, batch(where="id % 2 = 0 -- even"))
    assert db.rows("SELECT id % 2 = 0, min(n), max(n) FROM counter GROUP BY 1 ORDER BY 1") == [(False, 0, 0), (True, 1, 1)]
    assert db.one("SELECT rows FROM belay.job_status() WHERE name = 'fill'") == 150


def test_gl_42_an_empty_table_is_done_at_once(db):
    app = deployer(db)
    counters(app, 0)
    run(db, app, batch())
    assert db.rows("SELECT state, rows, percent::int, errors FROM belay.job_status()") == [("completed", 0, 100, 0)]


def test_gl_42_batches_are_of_a_thousand_rows_and_sub_batches_of_a_hundred_unless_told_otherwise(db):
    app = deployer(db)
    counters(app, 1500)
    run(db, app, {"batch": {"table": "public.counter", "set": "n = n + 1", "pause": "1ms"}})
    assert db.rows("SELECT size, sub_batch, rows::int FROM belay.job_batches") == [(1000, 100, 1000), (1000, 100, 500)]


def test_gl_42_what_is_queued_twice_is_one_job(db):
    app = deployer(db)
    counters(app)
    for _ in range(2):
        register(app, "fill", batch())
    assert db.one("SELECT count(*) FROM belay.job") == 1


def test_batches_join_without_gaps_and_have_timings(db):
    app = deployer(db)
    counters(app, 450)
    run(db, app, batch())
    rows = db.rows(
        """
        SELECT project, job, operation, direction, state, size, sub_batch, attempts, rows::int, passed::int FROM belay.job_batches
        """
    )
    common = ("default", "fill", 1, "forward", "succeeded", 100, 10, 1)
    assert rows == [(*common, n, n) for n in (100, 100, 100, 100, 50)]
    ranges = db.rows("SELECT lower_key, upper_key FROM belay.job_batches")
    assert ranges[0][0] is None and ranges[0][1] == ["100"]
    assert [lower for lower, _ in ranges[1:]] == [upper for _, upper in ranges[:-1]]
    timed = "duration > '0' AND finished_at >= started_at + duration AND sqlstate IS NULL AND message IS NULL"
    assert db.rows(f"SELECT DISTINCT {timed} FROM belay.job_batches") == [(True,)]
    assert db.rows("SELECT started_at >= lag(finished_at) OVER (ORDER BY started_at) FROM belay.job_batches")[1:] == [(True,)] * 4


def test_gl_52_percent_and_rows_grow_while_it_runs(db):
    app = deployer(db)
    counters(app, 1000)
    app.execute("ANALYZE counter")
    register(app, "fill", batch(pause="30ms"))
    start(app)
    wait_for_rows(db, 200)
    percent, rows = db.rows("SELECT percent, rows FROM belay.job_status()")[0]
    assert 10 <= percent < 100 and 200 < rows < 1000
    wait_for_end(db, "completed")
    assert db.rows("SELECT percent::int, rows, waits_for FROM belay.job_status()") == [(100, 1000, None)]


def test_several_batched_operations_run_one_after_the_other(db):
    app = deployer(db)
    counters(app, 200)
    run(db, app, batch(), {"sql": "CREATE TABLE between_them AS SELECT DISTINCT n FROM counter"}, batch(set="n = n * 2"))
    assert counts(db) == [(2, 200)]
    assert db.rows("TABLE between_them") == [(1,)]
    assert db.rows("SELECT operation, count(*)::int FROM belay.job_batches GROUP BY 1 ORDER BY 1") == [(1, 2), (3, 2)]


def test_a_table_without_a_key_is_refused(db):
    app = deployer(db)
    register(
        app,
        "fill",
        {"sql": "CREATE TABLE t AS SELECT 1 AS a, 0 AS n", "rollback": "DROP TABLE IF EXISTS t"},
        batch("public.t"),
    )
    start(app)
    wait_for_end(db, "rolled_back")
    ((operation, direction, sqlstate, message),) = errors(db, "fill")
    assert (operation, direction, sqlstate) == (2, "forward", "0A000")
    assert re.search("key|unique index", message), message
    assert db.one("SELECT to_regclass('t') IS NULL")


# ── back ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rollback_in_batches_takes_every_row_back_once(db):
    app = deployer(db)
    counters(app, 450)
    back = batch(set="n = n - 1", where="n > 0")
    register(app, "fill", {**batch(), "rollback": back}, {"sql": "SELECT 1/0"})
    start(app)
    wait_for_end(db, "rolled_back")
    assert counts(db) == [(0, 450)]
    rows = db.rows("SELECT direction, sum(rows)::int FROM belay.job_batches WHERE operation = 1 GROUP BY 1 ORDER BY 1")
    assert rows == [("forward", 450), ("rollback", 450)]
    assert [error[:3] for error in errors(db, "fill")] == [(2, "forward", "22012")]


def test_a_rollback_that_died_goes_on_at_its_cursor(db):
    app = deployer(db)
    counters(app, 1000)
    back = batch(set="n = n - 1", pause="20ms")
    register(app, "fill", {**batch(), "rollback": back}, {"sql": "SELECT 1/0"})
    start(app)
    some_are_back = "state = 'rolling_back' AND (SELECT count(*) FROM counter WHERE n = 0) > 50"
    pid = db.wait_for(f"SELECT worker FROM belay.job_status() WHERE {some_are_back}", bound=60)
    db.execute("SELECT pg_terminate_backend(%s)", [pid])
    db.wait_until_gone(pid)
    assert db.one("SELECT state FROM belay.job") == "rolling_back"
    assert {n for n, _ in counts(db)} == {0, 1}
    assert app.one("SELECT belay.job_tick()") == 1
    wait_for_end(db, "rolled_back")
    assert counts(db) == [(0, 1000)]


def test_after_a_rollback_it_starts_from_the_first_row_again(db):
    app = deployer(db)
    counters(app, 300)
    app.execute("CREATE TABLE divisor AS SELECT 0 AS by")
    register(app, "fill", {**batch(), "rollback": batch(set="n = n - 1")}, {"sql": "SELECT 1 / by FROM divisor"})
    start(app)
    wait_for_end(db, "rolled_back")
    app.execute("UPDATE divisor SET by = 1")
    start(app)
    wait_for_end(db, "completed")
    assert counts(db) == [(1, 300)]


# ── what fails ───────────────────────────────────────────────────────────────────────────────────────────────────────


def keep_errors(db: Database) -> None:
    """What has failed stays as it is."""
    db.execute(f"ALTER DATABASE {db.name} SET belay.job_auto_rollback = off")


DIVIDED = "n = n + 1 / d"


def test_gl_43_a_failing_row_fails_its_batch_and_no_other_and_a_retry_ends_it(db):
    keep_errors(db)
    app = deployer(db)
    counters(app, 1000, ", d int NOT NULL DEFAULT 1")
    app.execute("UPDATE counter SET d = 0 WHERE id = 555")
    register(app, "fill", batch(set=DIVIDED), {"sql": "CREATE TABLE after ()"})
    start(app)
    wait_for_end(db, "errored")

    failed = db.rows("SELECT state, attempts, sqlstate, lower_key, upper_key FROM belay.job_batches WHERE state <> 'succeeded'")
    assert failed == [("failed", 3, "22012", ["500"], ["600"])]
    assert db.one("SELECT count(*) FROM belay.job_batches WHERE state = 'succeeded'") == 9
    # What comes before the sub-batch of the row stays, and so does what comes after its batch.
    assert db.rows("SELECT min(id)::int, max(id)::int FROM counter WHERE n = 0") == [(551, 600)]
    assert counts(db) == [(0, 50), (1, 950)]
    operation, direction, _, message = errors(db, "fill")[0]
    assert (operation, direction) == (1, "forward")
    assert re.search(r"\b1\b.* batch", message), message
    assert db.one("SELECT to_regclass('after') IS NULL")

    # Nothing has changed: it fails again, after three attempts more.
    assert app.one("SELECT belay.job_retry('fill')") == "running"
    wait_for_end(db, "errored")
    assert counts(db) == [(0, 50), (1, 950)]

    app.execute("UPDATE counter SET d = 1")
    assert app.one("SELECT belay.job_retry('fill')") == "running"
    wait_for_end(db, "completed")
    assert counts(db) == [(1, 1000)]
    assert db.rows("SELECT DISTINCT state FROM belay.job_batches") == [("succeeded",)]
    assert db.one("SELECT to_regclass('after') IS NOT NULL")


def test_several_failed_batches_are_counted(db):
    keep_errors(db)
    app = deployer(db)
    counters(app, 1000, ", d int NOT NULL DEFAULT 1")
    app.execute("UPDATE counter SET d = 0 WHERE id IN (1, 555, 1000)")
    register(app, "fill", batch(set=DIVIDED))
    start(app)
    wait_for_end(db, "errored")
    ended = db.rows("SELECT state, count(*)::int FROM belay.job_batches GROUP BY 1 ORDER BY 1")
    assert ended == [("failed", 3), ("succeeded", 7)]
    assert re.search(r"\b3\b.* batches", errors(db, "fill")[0][3]), errors(db, "fill")
    assert app.rows("SELECT name, state FROM belay.jobs_actionable()") == [("fill", "errored")]


def test_a_failure_of_batches_is_rolled_back_by_itself_too(db):
    app = deployer(db)
    counters(app, 300, ", d int NOT NULL DEFAULT 1")
    app.execute("UPDATE counter SET d = 0 WHERE id = 155")
    register(app, "fill", {**batch(set=DIVIDED), "rollback": batch(set="n = 0", where="n > 0")})
    start(app)
    wait_for_end(db, "rolled_back")
    assert counts(db) == [(0, 300)]


def test_gl_50_when_more_than_half_of_fifty_fail_the_rest_is_not_tried(db):
    keep_errors(db)
    app = deployer(db)
    counters(app, 2000, ", d int NOT NULL DEFAULT 0")
    register(app, "fill", batch(set=DIVIDED, size=10))
    start(app)
    wait_for_end(db, "errored")
    assert 50 <= db.one("SELECT count(*) FROM belay.job_batches") < 200
    assert counts(db) == [(0, 2000)]


# ── what takes too long ──────────────────────────────────────────────────────────────────────────────────────────────


def slow_down(session: Session, seconds: float, condition: str) -> None:
    """An update of such a row takes so long."""
    session.execute(
        f"""
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END $$;
        CREATE TRIGGER dawdle BEFORE UPDATE ON counter FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION dawdle();
        """
    )


def test_gl_48_a_sub_batch_that_takes_too_long_becomes_smaller(db):
    app = deployer(db)
    counters(app, 300)
    slow_down(app, 0.1, "NEW.id BETWEEN 101 AND 112")
    run(db, app, {**batch(sub_batch=12), "timeout": "1s"})
    assert counts(db) == [(1, 300)]
    rows = db.rows("SELECT lower_key, state, sub_batch < 12, attempts > 1 FROM belay.job_batches WHERE lower_key IS NOT NULL")
    assert rows[0] == (["100"], "succeeded", True, True)
    assert db.one("SELECT min(sub_batch) FROM belay.job_batches") >= 4, "less than 35 % of what it was"


def test_gl_49_a_batch_that_takes_too_long_three_times_is_split(db):
    app = deployer(db)
    counters(app, 80)
    slow_down(app, 0.04, "NEW.id <= 40")
    run(db, app, {**batch(size=40, sub_batch=40), "timeout": "1s"})
    assert counts(db) == [(1, 80)]
    # Uncut, the first one ends with the row 40.
    assert db.one("SELECT count(*) FROM belay.job_batches WHERE upper_key[1]::int < 40") > 0
    assert db.rows("SELECT DISTINCT state FROM belay.job_batches") == [("succeeded",)]
    assert db.one("SELECT sum(rows)::int FROM belay.job_batches") == 80


def test_a_row_that_takes_too_long_by_itself_fails_and_nothing_else_does(db):
    keep_errors(db)
    app = deployer(db)
    counters(app, 24)
    slow_down(app, 600, "NEW.id = 13")
    register(app, "fill", {**batch(size=4, sub_batch=4), "timeout": "500ms"})
    start(app)
    wait_for_end(db, "errored", bound=120)
    assert {13} <= {row for (row,) in db.rows("SELECT id FROM counter WHERE n = 0")} <= {13, 14, 15, 16}
    assert db.one("SELECT max(n) FROM counter") == 1
    assert db.rows("SELECT DISTINCT sqlstate FROM belay.job_batches WHERE state = 'failed'") == [("57014",)]
    app.execute("DROP TRIGGER dawdle ON counter")
    app.execute("SELECT belay.job_retry('fill')")
    wait_for_end(db, "completed")
    assert counts(db) == [(1, 24)]


# ── in between ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_pause_comes_between_two_sub_batches_and_a_resume_goes_on_at_the_cursor(db):
    app = deployer(db)
    counters(app, 1000)
    register(app, "fill", batch(pause="20ms"))
    start(app)
    for passed in (20, 300):
        wait_for_rows(db, passed)
        assert app.one("SELECT belay.job_pause('fill')") == "paused"
        wait_for_end(db, "paused")
        done, told = changed_and_told(db)
        assert done == told and passed < done < 1000 and done % 10 == 0
        assert counts(db) == [(0, 1000 - done), (1, done)]
        assert db.one("SELECT cursor FROM belay.job_batches ORDER BY started_at DESC LIMIT 1") == [str(done)]
        assert app.one("SELECT belay.job_tick()") == 0  # nobody but job_resume ends a pause
        assert changed_and_told(db) == (done, told)
        assert app.one("SELECT belay.job_resume('fill')") == "running"
    wait_for_end(db, "completed")
    assert counts(db) == [(1, 1000)]


def test_gl_43_a_stop_leaves_a_whole_number_of_sub_batches_and_a_resume_goes_on(db):
    app = deployer(db)
    counters(app, 1000)
    register(app, "fill", batch(pause="20ms"))
    start(app)
    wait_for_rows(db, 100)
    assert app.one("SELECT belay.job_stop('fill', rollback => false)") == "stopping"
    wait_for_end(db, "errored")
    done, told = changed_and_told(db)
    assert done == told and 100 < done < 1000 and done % 10 == 0
    assert app.one("SELECT belay.job_resume('fill')") == "running"
    wait_for_end(db, "completed")
    assert counts(db) == [(1, 1000)]


def test_workers_that_are_ended_at_random_moments_do_no_row_twice(db):
    app = deployer(db)
    counters(app, 2000)
    register(app, "fill", batch(pause="20ms"))
    start(app)
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw, done = random.Random(seed), 0
    for _ in range(3):
        pid = wait_for_rows(db, done + draw.randrange(100))
        db.execute("SELECT pg_terminate_backend(%s)", [pid])
        db.wait_until_gone(pid)
        done, told = changed_and_told(db)
        assert done == told and 0 < done < 2000
        assert counts(db) == [(0, 2000 - done), (1, done)]
        assert db.rows("SELECT state, waits_for, worker, errors FROM belay.job_status()") == [("running", "a worker", None, 0)]
        assert app.one("SELECT belay.job_tick()") == 1
    wait_for_end(db, "completed")
    assert counts(db) == [(1, 2000)]
    assert db.rows("SELECT sum(rows)::int, sum(passed)::int FROM belay.job_batches") == [(2000, 2000)]


def test_rows_that_come_and_go_meanwhile_hurt_nothing(db):
    app = deployer(db)
    counters(app, 1000)
    register(app, "fill", batch(pause="20ms"))
    start(app)
    wait_for_rows(db, 100)
    # The last key of the batch in hand is among them.
    app.execute("DELETE FROM counter WHERE id % 5 = 0")
    app.execute("INSERT INTO counter SELECT -g FROM generate_series(1, 50) g")
    wait_for_end(db, "completed")
    assert db.rows("SELECT n, count(*)::int FROM counter WHERE id > 0 GROUP BY n") == [(1, 800)]
    assert db.rows("SELECT DISTINCT n FROM counter WHERE id < 0") == [(0,)]  # behind the cursor


# ── beside others ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_gl_44_two_jobs_do_not_work_on_one_table_at_once(db):
    app = deployer(db)
    counters(app, 200)
    app.execute("CREATE TABLE elsewhere (id int PRIMARY KEY, n int DEFAULT 0)")
    app.execute("INSERT INTO elsewhere SELECT generate_series(1, 50)")
    make_gate(app)
    register(app, "first", batch(select="pass()"))
    register(app, "second", batch())
    register(app, "third", batch("public.elsewhere"))
    start(app, "first")
    db.wait_for("SELECT state = 'running' AND worker IS NOT NULL FROM belay.job_status() WHERE name = 'first'", bound=60)
    start(app, "second")
    waits = "SELECT waits_for FROM belay.job_status() WHERE name = 'second' AND worker IS NOT NULL AND waits_for IS NOT NULL"
    reason = db.wait_for(waits, bound=60)
    assert re.search("counter|first", reason), reason
    # One on another table does not wait.
    start(app, "third")
    wait_for_end(db, "completed", "third")
    assert db.rows("SELECT worker IS NOT NULL, rows FROM belay.job_status() WHERE name <> 'third'") == [(True, 0), (True, 0)]
    assert counts(db) == [(0, 200)]

    app.execute("INSERT INTO go DEFAULT VALUES")
    wait_for_end(db, "completed", "first")
    wait_for_end(db, "completed", "second")
    assert counts(db) == [(1, 200)]
    begun = "SELECT min(started_at) FROM belay.job_batches WHERE job = 'second'"
    assert db.one(f"SELECT ({begun}) >= (SELECT max(finished_at) FROM belay.job_batches WHERE job = 'first')")


def test_one_that_waits_for_a_table_can_be_stopped(db):
    app = deployer(db)
    counters(app, 200)
    make_gate(app)
    register(app, "first", batch(select="pass()"))
    register(app, "second", batch())
    start(app, "first")
    db.wait_for("SELECT state = 'running' AND worker IS NOT NULL FROM belay.job_status() WHERE name = 'first'", bound=60)
    start(app, "second")
    waits = "SELECT worker IS NOT NULL AND waits_for IS NOT NULL FROM belay.job_status() WHERE name = 'second'"
    db.wait_for(waits, bound=60)
    app.execute("SELECT belay.job_stop('second')")
    wait_for_end(db, "rolled_back", "second", bound=20)
    assert counts(db) == [(0, 200)]
    assert db.one("SELECT state FROM belay.job WHERE name = 'first'") == "running"


def test_gl_47_it_waits_while_too_many_sessions_are_active_and_says_so(db):
    app = deployer(db)
    counters(app, 200)
    register(app, "fill", batch())
    db.execute(f"ALTER DATABASE {db.name} SET belay.active_sessions = 0")
    busy = db.start("SELECT pg_sleep(600)")
    start(app)
    waits = "SELECT waits_for FROM belay.job_status() WHERE worker IS NOT NULL AND waits_for IS NOT NULL"
    reason = db.wait_for(waits, bound=60)
    assert "active" in reason, reason
    assert counts(db) == [(0, 200)]
    assert db.one("SELECT state FROM belay.job") == "running"
    busy.cancel()
    with expect_error("57014"):
        busy.finish()
    wait_for_end(db, "completed")
    assert counts(db) == [(1, 200)]
    assert db.one("SELECT waits_for FROM belay.job_status()") is None


def test_gl_47_one_that_is_held_back_can_be_paused_and_stopped(db):
    app = deployer(db)
    counters(app, 200)
    register(app, "fill", batch())
    db.execute(f"ALTER DATABASE {db.name} SET belay.active_sessions = 0")
    busy = db.start("SELECT pg_sleep(600)")
    start(app)
    db.wait_for("SELECT worker IS NOT NULL AND waits_for IS NOT NULL FROM belay.job_status()", bound=60)
    assert app.one("SELECT belay.job_pause('fill')") == "paused"
    wait_for_end(db, "paused", bound=20)
    assert app.one("SELECT belay.job_resume('fill')") == "running"
    db.wait_for("SELECT worker IS NOT NULL AND waits_for IS NOT NULL FROM belay.job_status()", bound=60)
    assert app.one("SELECT belay.job_stop('fill')") == "stopping"
    wait_for_end(db, "rolled_back", bound=20)
    assert counts(db) == [(0, 200)]
    assert busy.is_running


def test_gl_47_it_waits_while_a_slot_holds_back_wal(private_server, new_database):
    db = new_database(on=private_server(settings={"belay.slot_wal": "0"}))
    app = deployer(db)
    counters(app, 200)
    db.execute("SELECT pg_create_physical_replication_slot('idle', true)")
    db.execute("CREATE TABLE wal (a int); INSERT INTO wal VALUES (1); SELECT pg_switch_wal(); INSERT INTO wal VALUES (2)")
    register(app, "fill", batch())
    start(app)
    waits = "SELECT waits_for FROM belay.job_status() WHERE worker IS NOT NULL AND waits_for IS NOT NULL"
    reason = db.wait_for(waits, bound=60)
    assert "slot idle" in reason and "belay.slot_wal" in reason, reason
    assert counts(db) == [(0, 200)]
    db.execute("SELECT pg_drop_replication_slot('idle')")
    wait_for_end(db, "completed")
    assert counts(db) == [(1, 200)]


#: Autovacuum comes at once to a table with these parameters, and stays long.
SLOW_VACUUM = """
    autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1
"""


def test_gl_47_it_waits_while_autovacuum_is_at_its_table_unless_told_otherwise(private_server, new_database):
    db = new_database(on=private_server(settings={"autovacuum": "on", "autovacuum_naptime": "1s"}))
    app = deployer(db)
    counters(app, 20_000)
    app.execute(f"ALTER TABLE counter SET ({SLOW_VACUUM})")
    app.execute("UPDATE counter SET n = 0")
    at_it = "SELECT pid FROM pg_stat_progress_vacuum WHERE relid = 'counter'::regclass"
    db.wait_for(at_it, bound=60)
    register(app, "fill", batch(where="id <= 100", sub_batch=10_000, size=10_000))
    start(app)
    waits = "SELECT waits_for FROM belay.job_status() WHERE worker IS NOT NULL AND waits_for IS NOT NULL"
    reason = db.wait_for(waits, bound=60)
    assert "autovacuum" in reason and "counter" in reason, reason
    assert counts(db) == [(0, 20_000)]
    # Another worker, which is told not to wait.
    db.execute(f"ALTER DATABASE {db.name} SET belay.autovacuum_yields = off")
    app.execute("SELECT belay.job_stop('fill', rollback => false)")
    wait_for_end(db, "errored")
    app.execute("SELECT belay.job_resume('fill')")
    wait_for_end(db, "completed")
    assert db.one(at_it), "autovacuum has ended too soon"
    assert db.one("SELECT count(*) FROM counter WHERE n = 1") == 100


def test_a_row_that_somebody_holds_is_tried_again(db):
    app = deployer(db)
    counters(app, 200)
    for setting, value in (("lock_timeout", "200ms"), ("lock_retries", "1000")):
        db.execute(f"ALTER DATABASE {db.name} SET belay.{setting} = '{value}'")
    blocker = db.connect(autocommit=False)
    blocker.execute("UPDATE counter SET n = 100 WHERE id = 55")
    register(app, "fill", batch())
    start(app)
    pid = wait_for_rows(db, 40)
    db.wait_until_blocked(pid)
    db.wait_for("SELECT cardinality(pg_blocking_pids(%s)) = 0", [pid], what="it has given up for a moment")
    db.wait_until_blocked(pid)
    blocker.rollback()
    wait_for_end(db, "completed")
    assert counts(db) == [(1, 200)]
