"""`CALL belay.add_concurrent_index` and `remove_concurrent_index`."""

from __future__ import annotations

import contextlib
import re

import psycopg
import pytest
from psycopg.sql import SQL, Literal

from harness.database import Database
from harness.session import expect_error
from harness.waiting import poll_until


def indexes(db: Database, table: str = "t") -> dict[str, bool]:
    return dict(db.rows("SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid = %s::regclass ORDER BY 1", [table]))


def add(definition: str) -> str:
    return SQL("CALL belay.add_concurrent_index(definition => {})").format(Literal(definition)).as_string()


@pytest.fixture
def t(db: Database) -> Database:
    db.execute("CREATE TABLE t (a int, b text, c int[]); INSERT INTO t SELECT g, 'b' || g, ARRAY[g] FROM generate_series(1, 100) g")
    return db


DEFINITIONS = [
    "CREATE INDEX i ON t (a)",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON public.t (a DESC NULLS LAST, b text_pattern_ops)",
    "CREATE UNIQUE INDEX i ON t (lower(b)) INCLUDE (a) WITH (fillfactor = 70) WHERE a > 3",
    "CREATE INDEX i ON t USING gin (c)",
    "CREATE INDEX i ON t USING brin (a) WITH (pages_per_range = 4)",
    'CREATE INDEX i ON t USING btree (b COLLATE "C", (a + 1))',
    "CREATE UNIQUE INDEX i ON t (a) NULLS NOT DISTINCT",
]


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_what_is_defined_is_built_once_and_removed_once(t, definition):
    session = t.connect()
    session.execute(add(definition))
    assert indexes(t) == {"i": True}
    built = t.one("SELECT relfilenode FROM pg_class WHERE relname = 'i'")
    session.execute(add(definition))
    assert session.messages[-1] == 'index "i" of table public.t is there and valid'
    assert t.one("SELECT relfilenode FROM pg_class WHERE relname = 'i'") == built
    plain = definition.replace("CONCURRENTLY IF NOT EXISTS ", "").replace(" i ON", " twin ON")
    t.execute(plain)
    made, twin = (t.one("SELECT regexp_replace(pg_get_indexdef(%s::regclass), 'INDEX \\w+ ON', 'INDEX ON')", [name]) for name in ("i", "twin"))
    assert made == twin
    session.execute("CALL belay.remove_concurrent_index('t', 'i')")
    assert indexes(t) == {"twin": True}


def test_a_table_and_its_elements_will_do(t):
    session = t.connect()
    session.execute("CALL belay.add_concurrent_index('t', 'a DESC, lower(b)', name => 'My Index', \"unique\" => true, include => 'c', \"where\" => 'a > 0', \"with\" => 'fillfactor = 80')")
    definition = t.one("SELECT indexdef FROM pg_indexes WHERE indexname = 'My Index'")
    assert definition == 'CREATE UNIQUE INDEX "My Index" ON public.t USING btree (a DESC, lower(b)) INCLUDE (c) WITH (fillfactor=\'80\') WHERE (a > 0)'
    session.execute("CALL belay.add_concurrent_index('t', 'c', method => 'gin')")
    session.execute("CALL belay.add_concurrent_index('t', 'c', method => 'gin')")
    assert session.messages[-1] == 'index "t_c_idx" of table public.t is there and valid'
    assert indexes(t) == {'"My Index"': True, "t_c_idx": True}


def test_gl_22_an_invalid_index_is_built_again_and_a_valid_one_is_left(t):
    t.execute("INSERT INTO t VALUES (1)")
    session = t.connect()
    with pytest.raises(psycopg.errors.UniqueViolation):
        session.execute("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)")
    assert indexes(t) == {"i": False}
    t.execute("DELETE FROM t WHERE b IS NULL")
    session.execute(add("CREATE UNIQUE INDEX i ON t (a)"))
    assert session.messages == ['removed invalid index "i"', 'built index "i" of table public.t']
    assert indexes(t) == {"i": True}
    for block in ("BEGIN; {}", "DO $$BEGIN {}; END$$"):
        with expect_error("25001"):
            t.connect().execute(block.format(add("CREATE INDEX ON t (b)")))


def test_gl_23_what_is_not_there_is_told_and_nothing_is_removed(t):
    session = t.connect()
    session.execute("CALL belay.remove_concurrent_index('t', 'nonsense')")
    assert session.messages == ['table public.t has no index "nonsense": nothing to do']
    t.execute("CREATE TABLE other (a int PRIMARY KEY)")
    with expect_error("42809", message='index "other_pkey" is of table public.other, not of public.t'):
        session.execute("CALL belay.remove_concurrent_index('t', 'other_pkey')")
    with expect_error("55000", hint="ALTER TABLE public.other DROP CONSTRAINT other_pkey"):
        session.execute("CALL belay.remove_concurrent_index('other', 'other_pkey')")


def test_another_index_of_that_name_is_an_error_that_shows_both(t):
    t.execute("CREATE INDEX i ON t (a); CREATE TABLE other (a int); CREATE INDEX j ON other (a)")
    for definition, there in (("CREATE INDEX i ON t (b)", "USING btree (a)"), ("CREATE UNIQUE INDEX i ON t (a)", "USING btree (a)"), ("CREATE INDEX j ON t (a)", "ON public.other")):
        with expect_error("42P07", detail=re.compile(re.escape(there)), hint=re.compile("another name")) as error:
            t.connect().execute(add(definition))
        assert f"wanted: {definition}" in error.detail
    assert indexes(t) == {"i": True}


WRONG = [
    ("SELECT 1", "22023"), ("CREATE INDEX ON t (a); CREATE INDEX ON t (b)", "22023"), ("DROP INDEX i", "22023"),
    ("CREATE INDEX ON nonsense (a)", "42P01"), ("CREATE INDEX ON t (nonsense)", "42703"), ("CREATE INDEX ON t (", "42601"),
]  # fmt: skip


@pytest.mark.parametrize(("definition", "sqlstate"), WRONG)
def test_what_is_no_index_is_told(t, definition, sqlstate):
    with expect_error(sqlstate):
        t.connect().execute(add(definition))
    assert indexes(t) == {}
    with expect_error("22023", hint=re.compile("definition =>")):
        t.connect().execute("CALL belay.add_concurrent_index('t')")


def test_a_build_that_fails_leaves_nothing_behind(t):
    t.execute("INSERT INTO t VALUES (1)")
    session = t.connect(options="-c lock_timeout=3s")
    with expect_error("23505") as error:
        session.execute(add("CREATE UNIQUE INDEX i ON t (a)"))
    assert session.one("SHOW lock_timeout") == "3s"
    assert error.detail == "Key (a)=(1) is duplicated."
    assert indexes(t) == {}


def test_the_lock_is_tried_again_and_the_build_waits_without_blocking(t):
    blocker = t.connect(autocommit=False)
    blocker.execute("ALTER TABLE t SET (fillfactor = 90)")
    run = t.start(add("CREATE INDEX i ON t (a)"), options="-c belay.lock_timeout=30ms -c belay.lock_retries=500")
    poll_until(lambda: not run.is_running or len(run.session.messages) > 1, what="two attempts have failed")
    assert run.is_running
    blocker.rollback()
    run.finish()
    writer = t.connect(autocommit=False)
    writer.execute("INSERT INTO t VALUES (500)")
    run = t.start(add("CREATE INDEX j ON t (b)"), options="-c belay.lock_timeout=30ms")
    t.wait_until_blocked(run.pid)
    t.connect(options="-c lock_timeout=2s").execute("INSERT INTO t VALUES (501)")
    writer.commit()
    run.finish()
    assert indexes(t) == {"i": True, "j": True}


def test_a_killed_build_is_taken_up_again(crash_server, new_database):
    db = new_database(on=crash_server())
    db.execute("CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 100)")
    writer = db.connect(autocommit=False)
    writer.execute("INSERT INTO t VALUES (500)")
    run = db.start(add("CREATE INDEX i ON t (a)"))
    db.wait_until_blocked(run.pid)
    db.kill_backend(run)
    with contextlib.suppress(psycopg.OperationalError):
        run.finish()
    assert indexes(db) == {"i": False}
    db.connect().execute(add("CREATE INDEX i ON t (a)"))
    assert indexes(db) == {"i": True}


def test_somebody_who_holds_the_table_is_not_waited_for_without_limit(t):
    t.execute("CREATE INDEX i ON t (a)")
    blocker = t.connect(autocommit=False)
    blocker.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    run = t.start(add("CREATE INDEX i ON t (a)"), options="-c belay.lock_timeout=30ms -c belay.lock_retries=1")
    with expect_error("55P03", detail=re.compile(f"pid {blocker.info.backend_pid}")):
        run.finish()


def test_the_index_of_a_deferrable_constraint_is_not_the_one_that_is_wanted(t):
    t.execute("ALTER TABLE t ADD CONSTRAINT later UNIQUE (a) DEFERRABLE")
    t.connect().execute(add("CREATE UNIQUE INDEX ON t (a)"))
    assert indexes(t) == {"later": True, "t_a_idx": True}


PARTITIONED = """
    CREATE TABLE p (a int, b text, k int) PARTITION BY LIST (k);
    CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1);
    CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (2) PARTITION BY RANGE (a);
    CREATE TABLE p_2a PARTITION OF p_2 FOR VALUES FROM (0) TO (50); CREATE TABLE p_2b PARTITION OF p_2 FOR VALUES FROM (50) TO (1000);
    CREATE TABLE p_3 (k int, x int, b text, a int); ALTER TABLE p_3 DROP x; ALTER TABLE p ATTACH PARTITION p_3 FOR VALUES IN (3);
    INSERT INTO p SELECT g, 'b', 1 + g % 3 FROM generate_series(1, 99) g;
"""
ALL = "SELECT relid::regclass::text FROM pg_partition_tree(%s::regclass) ORDER BY 1"


def test_of_a_partitioned_table_each_partition_gets_its_own_attached(db):
    db.execute(PARTITIONED)
    # One is there already: it is taken.
    db.execute("CREATE INDEX mine ON p_1 (a, lower(b))")
    session = db.connect()
    session.execute(add("CREATE INDEX i ON p (a, lower(b))"))
    assert session.messages[-1] == 'built index "i" of table public.p and its partitions'
    assert indexes(db, "p") == {"i": True} and indexes(db, "p_1") == {"mine": True}
    assert [name for (name,) in db.rows(ALL, ["i"])] == ["i", "mine", "p_2_a_lower_idx", "p_2a_a_lower_idx", "p_2b_a_lower_idx", "p_3_a_lower_idx"]
    session.execute(add("CREATE INDEX i ON p (a, lower(b))"))
    assert session.messages[-1] == 'index "i" of table public.p is there and valid'
    session.execute("CALL belay.remove_concurrent_index('p', 'i')")
    assert indexes(db, "p") == {} and indexes(db, "p_2a") == {}


def test_of_a_partitioned_table_a_build_that_stopped_halfway_is_gone_on_with(db):
    db.execute(PARTITIONED)
    db.execute("INSERT INTO p VALUES (60, 'x', 2), (60, 'x', 2)")
    session = db.connect()
    with expect_error("23505"):
        session.execute(add("CREATE UNIQUE INDEX i ON p (k, a, b)"))
    assert indexes(db, "p") == {"i": False} and indexes(db, "p_1") == {"p_1_k_a_b_idx": True}
    db.execute("DELETE FROM p WHERE b = 'x'")
    built = db.one("SELECT 'p_1_k_a_b_idx'::regclass::oid")
    session.execute(add("CREATE UNIQUE INDEX i ON p (k, a, b)"))
    assert indexes(db, "p") == {"i": True} and db.one("SELECT 'p_1_k_a_b_idx'::regclass::oid") == built


def test_of_a_partitioned_table_what_is_attached_and_not_valid_is_completed(db):
    db.execute(PARTITIONED)
    db.execute("CREATE INDEX i ON ONLY p (a); CREATE INDEX part ON ONLY p_2 (a); ALTER INDEX i ATTACH PARTITION part; CREATE INDEX below ON p_2a (a)")
    db.connect().execute(add("CREATE INDEX i ON p (a)"))
    assert [name for (name,) in db.rows(ALL, ["i"])] == ["below", "i", "p_1_a_idx", "p_2b_a_idx", "p_3_a_idx", "part"]
    assert db.one("SELECT bool_and(indisvalid) FROM pg_index WHERE indexrelid IN (SELECT relid FROM pg_partition_tree('i'))") is True
    db.connect().execute(add("CREATE INDEX j ON p (a)"))
    assert db.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'j'::regclass") is True


def test_foreign_partitions_are_refused_up_front(db):
    db.execute(PARTITIONED)
    db.execute("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE p_9 PARTITION OF p FOR VALUES IN (9) SERVER s")
    with expect_error("0A000", detail="public.p_9"):
        db.connect().execute(add("CREATE INDEX i ON p (a)"))
    assert indexes(db, "p") == {}


def test_in_a_migration_both_run_outside_a_transaction_by_themselves(t):
    t.execute("SELECT belay.migrate_register('1', %s, %s)", [add("CREATE INDEX i ON t (a)"), "CALL belay.remove_concurrent_index('t', 'i')"])
    session = t.connect()
    session.execute("CALL belay.migrate_up()")
    assert indexes(t) == {"i": True}
    session.execute("CALL belay.migrate_down()")
    assert indexes(t) == {}


def test_only_the_owner_builds(t):
    role = t.role("deployer")
    t.execute("SELECT belay.grant_role(%s, 'deployer')", [role])
    with expect_error("42501", message="must be owner of table public.t"):
        t.connect(user=role).execute(add("CREATE INDEX i ON t (a)"))
