"""An index that somebody else builds, has built, or has failed to build, under the very name that a migration wants."""

from __future__ import annotations

import re

import psycopg
import pytest

from harness.database import Database, Running
from harness.session import expect_error
from harness.waiting import poll_until
from ledger import applied, history


BUILD = "CREATE INDEX CONCURRENTLY i ON orders (id)"


def orders(db: Database, *texts: str) -> None:
    db.execute("CREATE TABLE orders (id int, customer int); INSERT INTO orders SELECT g, g % 3 FROM generate_series(1, 30) g")
    for number, text in enumerate(texts, 1):
        db.execute("SELECT belay.migrate_register(%s, %s)", [f"{number:04}", text])


def write(db: Database) -> psycopg.Connection:
    """A transaction that every concurrent build waits for."""
    writer = db.connect(autocommit=False)
    writer.execute("INSERT INTO orders VALUES (99, 9)")
    return writer


def indexes(db: Database) -> list[tuple]:
    return db.rows("""SELECT c.relname::text, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                      WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1""")


def colleague(db: Database, build: str = BUILD) -> tuple[Running, psycopg.Connection]:
    """Somebody who builds the index by hand, and waits for a writer."""
    writer = write(db)
    building = db.start(build, application_name="a colleague")
    db.wait_until_blocked(building.pid)
    db.wait_for("SELECT count(*) FROM pg_stat_progress_create_index WHERE pid = %s", [building.pid])
    return building, writer


def leave_invalid(db: Database, build: str = BUILD) -> None:
    """Somebody who built the index by hand and gave up."""
    building, writer = colleague(db, build)
    building.cancel()
    with expect_error("57014"):
        building.finish()
    writer.rollback()
    assert indexes(db) == [("i", False)]


#: The same index, written in other words.
SAME = ["CREATE INDEX CONCURRENTLY i ON orders (id)", "CREATE INDEX CONCURRENTLY i ON public.orders USING btree (id ASC NULLS LAST)", 'create index concurrently "i" on orders("id")']


@pytest.mark.parametrize("build", SAME)
def test_sg_14_an_index_that_is_there_and_valid_is_recorded_and_the_run_goes_on(db, build):
    orders(db, build, "CREATE TABLE b ()")
    db.execute("CREATE INDEX i ON orders (id)")
    oid = db.one("SELECT 'i'::regclass::oid")
    session = db.connect()
    session.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001", "0002"] and db.one("SELECT 'i'::regclass::oid") == oid
    assert any("i" in message and "valid" in message for message in session.messages), session.messages
    assert history(db) == [("0001", "up", "applied"), ("0002", "up", "applied")]


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_sg_14_an_index_that_a_colleague_is_building_is_waited_for(db, end):
    orders(db, BUILD, "CREATE TABLE b ()")
    building, writer = colleague(db)
    run = db.start("CALL belay.migrate_up()")
    poll_until(lambda: run.session.messages or not run.is_running, what="the notice that it waits for the other build")
    assert run.is_running and re.search(rf"\bi\b.*pid {building.pid}\b", run.session.messages[0]), run.session.messages
    getattr(writer, end)()
    building.finish()
    run.finish()
    assert applied(db) == ["0001", "0002"] and indexes(db) == [("i", True)]
    assert history(db) == [("0001", "up", "applied"), ("0002", "up", "applied")]


def test_sg_17_the_progress_of_the_build_that_is_waited_for_is_told(db):
    """From pg_stat_progress_create_index: the phase, and how far it is."""
    orders(db, BUILD)
    building, writer = colleague(db)
    phase = db.one("SELECT phase FROM pg_stat_progress_create_index WHERE pid = %s", [building.pid])
    assert phase == "waiting for writers before build"
    run = db.start("CALL belay.migrate_up()")
    poll_until(lambda: [message for message in run.session.messages if phase in message] or not run.is_running, what="the phase is told")
    assert run.is_running
    writer.commit()
    building.finish()
    run.finish()


def test_sg_12_a_build_that_is_waited_for_and_fails_is_done_again(db):
    orders(db, BUILD, "CREATE TABLE b ()")
    building, writer = colleague(db)
    run = db.start("CALL belay.migrate_up()")
    poll_until(lambda: run.session.messages or not run.is_running, what="the notice that it waits for the other build")
    building.cancel()
    with expect_error("57014"):
        building.finish()
    writer.rollback()
    run.finish()
    assert applied(db) == ["0001", "0002"] and indexes(db) == [("i", True)]


def test_who_waits_for_the_build_of_a_colleague_does_not_hold_it_up(db):
    """The build waits for older snapshots."""
    orders(db, BUILD)
    building, writer = colleague(db)
    run = db.start("CALL belay.migrate_up()")
    poll_until(lambda: run.session.messages or not run.is_running)
    holds_nothing = "SELECT backend_xmin IS NULL AND backend_xid IS NULL FROM pg_stat_activity WHERE pid = %s"
    db.wait_for(holds_nothing, [run.pid])
    assert run.is_running
    writer.commit()
    building.finish()
    run.finish()


def test_a_wait_for_the_build_of_a_colleague_can_be_cancelled(db):
    orders(db, BUILD)
    building, writer = colleague(db)
    run = db.start("CALL belay.migrate_up()")
    poll_until(lambda: run.session.messages or not run.is_running)
    run.cancel()
    with expect_error("57014"):
        run.finish()
    assert building.is_running and db.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory'") == []
    writer.commit()
    building.finish()
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001"]


def test_sg_14_an_invalid_index_that_nobody_works_on_is_dropped_and_built_again(db):
    orders(db, BUILD, "CREATE TABLE b ()")
    leave_invalid(db)
    session = db.connect()
    session.execute("CALL belay.migrate_up()")
    assert any('removed invalid index "i"' in message for message in session.messages), session.messages
    assert applied(db) == ["0001", "0002"] and indexes(db) == [("i", True)]


def test_sg_14_an_index_that_comes_between_the_look_and_the_build_is_taken_for_what_it_is(db):
    """42P07 is a race: the run looks again. Here the run waits for its table while the colleague builds."""
    orders(db, BUILD)
    holder = db.connect(autocommit=False)
    holder.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
    run = db.start("CALL belay.migrate_up()", options="-c belay.lock_timeout=1min")
    db.wait_until_blocked(run.pid)
    holder.execute("CREATE INDEX i ON orders (id)")
    holder.commit()
    run.finish()
    assert applied(db) == ["0001"] and indexes(db) == [("i", True)]


#: Of the same name, and not the same index: nothing may be dropped or taken for done.
OTHERS = {
    "another column": "CREATE INDEX i ON orders (customer)",
    "another order of columns": "CREATE INDEX i ON orders (id, customer)",
    "a unique one": "CREATE UNIQUE INDEX i ON orders (id)",
    "a partial one": "CREATE INDEX i ON orders (id) WHERE id > 3",
    "another method": "CREATE INDEX i ON orders USING hash (id)",
    "descending": "CREATE INDEX i ON orders (id DESC)",
    "another table": "CREATE TABLE other (id int); CREATE INDEX i ON other (id)",
    "a table": "CREATE TABLE i ()",
    "a view": "CREATE VIEW i AS SELECT 1",
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_sg_14_something_else_of_the_same_name_is_an_error_and_stays(db, other):
    orders(db, BUILD)
    db.execute(other)
    before = db.rows("SELECT oid, relkind::text FROM pg_class WHERE relname = 'i'")
    for _ in range(2):
        with expect_error("42P07"):
            db.execute("CALL belay.migrate_up()")
    assert db.rows("SELECT oid, relkind::text FROM pg_class WHERE relname = 'i'") == before


@pytest.mark.parametrize("other", [text.replace("INDEX", "INDEX CONCURRENTLY") for text in OTHERS.values() if text.startswith("CREATE INDEX")])
def test_an_invalid_index_that_is_another_is_not_dropped(db, other):
    orders(db, BUILD)
    leave_invalid(db, other)
    for _ in range(2):
        with expect_error("42P07"):
            db.execute("CALL belay.migrate_up()")
    assert indexes(db) == [("i", False)]


def test_sg_12_a_build_whose_session_works_on_without_its_client_is_waited_for(db):
    """It holds the project's lock as long as it lives; who waited then finds the index there."""
    orders(db, BUILD, "CREATE TABLE b ()")
    writer = write(db)
    client = db.start_psql("CALL belay.migrate_up()")
    pid = db.wait_for("SELECT pid FROM pg_stat_activity WHERE application_name = 'psql' AND datname = current_database()")
    db.wait_until_blocked(pid)
    client.kill()
    client.wait()
    assert db.one("SELECT state FROM belay.migrate_status() WHERE name = '0001'") == "running"
    second = db.start("CALL belay.migrate_up()")
    poll_until(lambda: second.session.messages, what="the notice that it waits")
    writer.commit()
    second.finish()
    assert applied(db) == ["0001", "0002"] and indexes(db) == [("i", True)]


#: Names that a regular expression does not find.
NAMED = {
    "quoted": ('CREATE INDEX CONCURRENTLY "An ""Index""" ON "My Schema"."My Table" (id)', '"My Schema"."An ""Index"""'),
    "lower case": ("create unique index concurrently if not exists small on orders (id)", "small"),
    "comments between": ("CREATE /* x */ INDEX -- y\n CONCURRENTLY here ON ONLY orders (id)", "here"),
    "no name": ("CREATE INDEX CONCURRENTLY ON orders (id)", "orders_id_idx"),
}


@pytest.mark.parametrize("build, index", NAMED.values(), ids=NAMED)
def test_sg_32_a_concurrent_build_is_found_by_parsing_in_up_and_in_down(db, build, index):
    db.execute('CREATE SCHEMA "My Schema"; CREATE TABLE "My Schema"."My Table" (id int)')
    orders(db)
    db.execute("SELECT belay.migrate_register('0001', %s, %s)", [f"CREATE TABLE beside ();\n{build}", f"DROP TABLE beside;\n{build.replace('index', 'INDEX')}"])
    assert db.rows("SELECT up_transaction, down_transaction FROM belay.migration") == [(False, False)]
    db.execute("CALL belay.migrate_up()")
    assert db.one("SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", [index]) is True
    db.execute(f"DROP INDEX {index}")
    db.execute("CALL belay.migrate_down()")
    assert db.one("SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", [index]) is True


@pytest.mark.parametrize("text", ["SELECT 'CREATE INDEX CONCURRENTLY i ON orders (id)'", "-- CREATE INDEX CONCURRENTLY i ON orders (id)\nSELECT 1", "CREATE INDEX concurrently_made ON orders (id)"])  # fmt: skip
def test_sg_32_what_only_looks_like_a_concurrent_build_runs_in_a_transaction(db, text):
    orders(db, text)
    assert db.rows("SELECT up_transaction FROM belay.migration") == [(True,)]
