"""What random faults have found (test_random_faults.py), each as the shortest test that shows it."""

from __future__ import annotations

import re
import threading
import time
from random import Random

import psycopg
import pytest

from harness.database import Database
from harness.session import expect_error
from ledger import applied, history

ORDERS = """
    CREATE TABLE orders (id int PRIMARY KEY, word text);
    CREATE INDEX orders_old ON orders (word);
    CREATE TABLE parts (id int) PARTITION BY RANGE (id);
    CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (9);
"""
RUNS = "SELECT outcome FROM belay.run ORDER BY id"
LOCKS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1651270009"


def register(db: Database, *ups: str) -> None:
    for number, up in enumerate(ups, 1):
        db.execute("SELECT belay.migrate_register(%s, %s)", [f"{number:04}", up])


def stop_at(db: Database, gate: str, table: str):
    """A run that got past `gate`, what it waits for first, and waits to write into `table`; and who holds it there."""
    first = db.connect(autocommit=False)
    first.execute(gate)
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    second = db.connect(autocommit=False)
    second.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
    first.rollback()
    db.wait_for("SELECT %s = ANY (pg_blocking_pids(%s))", [second.pid, run.pid])
    return run, second


def test_what_a_migration_outside_a_transaction_sets_is_gone_although_the_next_migration_fails(db):
    register(db, "-- belay: transaction off\nSET work_mem = '5MB'; SELECT 1", "SELECT 1/0")
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    assert (db.one("SHOW work_mem"), db.one("SHOW lock_timeout")) == ("4MB", "0")


def test_a_run_that_died_after_its_last_migration_is_told_as_lost_by_the_next_call(db):
    register(db, "SELECT pg_advisory_xact_lock_shared(42, 1)")
    run, holder = stop_at(db, "SELECT pg_advisory_xact_lock(42, 1)", "belay.run")
    db.execute("SELECT pg_terminate_backend(%s)", [run.pid])
    db.wait_until_gone(run.pid)
    holder.rollback()
    assert db.rows(RUNS) == [(None,)] and applied(db) == ["0001"]
    db.execute("CALL belay.migrate_up()")
    assert db.rows(RUNS) == [("lost",)]


def test_a_cancel_while_a_run_ends_leaves_no_run_open(db):
    register(db, "SELECT pg_advisory_xact_lock_shared(42, 1)")
    run, holder = stop_at(db, "SELECT pg_advisory_xact_lock(42, 1)", "belay.run")
    db.execute("SELECT pg_cancel_backend(%s)", [run.pid])
    let_end(run, holder)
    assert applied(db) == ["0001"] and db.rows(LOCKS) == []
    assert db.rows(RUNS) in ([("succeeded",)], [("failed",)])


def let_end(run, holder) -> None:
    """The cancel may end the call at once, or have its effect when the lock is free."""
    run.thread.join(0.3)
    holder.rollback()
    run.thread.join(30)
    assert not run.is_running


@pytest.mark.parametrize("head, table", [("", "belay.run"), ("-- belay: transaction off\n", "belay.run"), ("-- belay: transaction off\n", "belay.unfinished")])
def test_a_second_cancel_does_not_keep_the_first_out_of_the_history(db, head, table):
    db.execute(ORDERS)
    register(db, f"{head}SELECT 1;\nALTER TABLE orders ADD x int")
    reader = db.connect(autocommit=False)
    reader.execute("SELECT FROM orders")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    holder = db.connect(autocommit=False)
    holder.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
    db.execute("SELECT pg_cancel_backend(%s)", [run.pid])
    db.wait_for("SELECT %s = ANY (pg_blocking_pids(%s))", [holder.pid, run.pid], what="the run writes its failure")
    db.execute("SELECT pg_cancel_backend(%s)", [run.pid])
    let_end(run, holder)
    with expect_error("57014", message="canceling statement due to user request"):
        run.finish()
    assert history(db) == [("0001", "up", "failed")] and db.rows(RUNS) == [("failed",)] and db.rows(LOCKS) == []


ENDED = {
    "build": ("CREATE INDEX CONCURRENTLY made ON orders (word)", "INSERT INTO orders VALUES (0)", "SELECT indisvalid FROM pg_index WHERE indexrelid = 'made'::regclass"),
    "unnamed build": ("CREATE INDEX CONCURRENTLY ON orders (word, id)", "INSERT INTO orders VALUES (0)", "SELECT count(*) = 3 FROM pg_index WHERE indrelid = 'orders'::regclass"),
    "drop": ("DROP INDEX CONCURRENTLY orders_old", "SELECT FROM orders", "SELECT to_regclass('orders_old') IS NULL"),
    "detach": ("ALTER TABLE parts DETACH PARTITION part_1 CONCURRENTLY", "SELECT FROM parts", "SELECT NOT relispartition FROM pg_class WHERE relname = 'part_1'"),
}  # fmt: skip


@pytest.mark.parametrize("text, gate, holds", [pytest.param(*ENDED[title], id=title) for title in ENDED])
def test_a_statement_that_had_ended_when_the_cancel_came_is_not_repeated(db, text, gate, holds):
    db.execute(ORDERS)
    register(db, f"{text};\nCREATE TABLE after ()")
    run, holder = stop_at(db, gate, "belay.unfinished")
    assert db.one(holds) is True
    db.execute("SELECT pg_cancel_backend(%s)", [run.pid])
    let_end(run, holder)
    with pytest.raises(psycopg.errors.QueryCanceled):
        run.finish()
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001"] and db.one(holds) is True


def test_a_reindex_of_a_table_that_died_leaves_no_invalid_toast_index(db):
    db.execute(ORDERS)
    register(db, "REINDEX TABLE CONCURRENTLY orders")
    writer = db.connect(autocommit=False)
    writer.execute("INSERT INTO orders VALUES (0)")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    db.execute("SELECT pg_terminate_backend(%s)", [run.pid])
    db.wait_until_gone(run.pid)
    writer.rollback()
    db.execute("CALL belay.migrate_up()")
    assert db.rows("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid") == []


def test_the_hint_of_an_unknown_outcome_names_calls_that_work_also_for_the_last_statement(db):
    body = "BEGIN COMMIT; PERFORM pg_advisory_xact_lock_shared(42, 1); END"
    register(db, f"-- belay: transaction off\nDO $$ {body} $$")
    holder = db.connect()
    holder.execute("SELECT pg_advisory_lock(42, 1)")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    db.execute("SELECT pg_terminate_backend(%s)", [run.pid])
    db.wait_until_gone(run.pid)
    with expect_error("MG007") as error:
        db.execute("CALL belay.migrate_up()")
    ended = re.search(r"or (\d) \(it had ended\)", error.hint)
    if ended:
        db.execute("SELECT belay.migrate_mark('0001', 'pending', statement => %s)", [int(ended[1])])
    else:
        assert "'applied'" in error.hint


def test_an_unnamed_concurrent_index_gets_the_name_that_postgresql_gives_it(db):
    db.execute(ORDERS)
    register(db, "CREATE INDEX CONCURRENTLY ON orders (lower(word), id)")
    db.execute("CALL belay.migrate_up()")
    assert db.one("SELECT to_regclass('orders_lower_id_idx')") is not None


#: Cancels of the test below; one in seven leaves something, as long as the fault is there.
CANCELS = 120


def test_a_cancel_at_any_moment_is_told_as_one_leaves_the_lock_free_and_no_run_open(db):
    random = Random(1)
    db.execute("CREATE TABLE orders (id int)")
    for number in range(1, 4 * CANCELS + 1):
        steps = f"CREATE INDEX CONCURRENTLY IF NOT EXISTS i{number} ON orders (id); DROP INDEX CONCURRENTLY IF EXISTS i{number}"
        db.execute("SELECT belay.migrate_register(%s, %s)", [f"{number:04}", f"{steps}; INSERT INTO orders VALUES ({number})"])
    session = db.connect()
    for _ in range(CANCELS):
        error = cancelled(db, session, random.uniform(0, 0.05))
        assert error is None or error.sqlstate == "57014", error
        assert db.rows(LOCKS) == []
        assert "None" not in str(db.rows(RUNS)) and "unfinished" not in str(history(db))
    db.execute("CALL belay.migrate_up()")
    assert db.one("SELECT count(*) FROM orders") == db.one("SELECT count(DISTINCT id) FROM orders") == 4 * CANCELS


def cancelled(db: Database, session: psycopg.Connection, delay: float) -> psycopg.Error | None:
    """Three migrations' worth of a run, cancelled after that many seconds, wherever it is by then."""
    caught: list[psycopg.Error] = []

    def call() -> None:
        try:
            session.execute("CALL belay.migrate_up(steps => 3)")
        except psycopg.Error as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(delay)
    db.execute("SELECT pg_cancel_backend(%s)", [session.info.backend_pid])
    thread.join(30)
    return caught[0] if caught else None
