"""Columns that are renamed or given another type while two versions of code run."""

from __future__ import annotations

import contextlib
import difflib
import os
import random
import re
import time

import psycopg
import pytest

from column_changes import PHASES, RENAME, TYPE, Change, Writer, assert_nothing_lost, assert_sound, columns, make_table, walk
from harness.session import expect_error
from harness.waiting import poll_until

KINDS = ["rename", "type"]
#: The way from phase old to each phase, by verbs; each of the two ways in which both columns can be there.
WAYS = {
    "old": ("old", []),
    "both, begun": ("both", ["begin"]),
    "both, taken back": ("both", ["begin", "cleanup", "undo cleanup"]),
    "new": ("new", ["begin", "cleanup"]),
    "old, taken back": ("old", ["begin", "cleanup", "undo cleanup", "undo"]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("verb", list(RENAME))
def test_each_verb_does_in_each_phase_what_the_table_says_and_twice_the_same(db, kind, way, verb):
    make_table(db, rows=20)
    change, (phase, verbs) = Change(kind), WAYS[way]
    session = db.connect()
    for before in verbs:
        session.execute(change.call(before))
    assert assert_sound(db, change) == phase
    expected = PHASES[phase][verb]
    for _ in range(2):
        if expected == "55000":
            with expect_error("55000", hint=re.compile("CALL belay")):
                session.execute(change.call(verb))
            expected = phase
            break
        session.execute(change.call(verb))
    assert assert_sound(db, change) == expected
    assert db.one("SELECT count(*) FROM t") == 20


@pytest.mark.parametrize("kind", KINDS)
def test_from_new_and_back_to_old_the_dump_is_the_same_but_for_the_places_of_columns(db, new_database, kind):
    """What ALTER TABLE would have made of it, and then what was there before."""
    everything = """
        CREATE TABLE other (id int PRIMARY KEY);
        CREATE TABLE t (
            id bigint CONSTRAINT key PRIMARY KEY, note text, amount integer CONSTRAINT given NOT NULL DEFAULT 7 CONSTRAINT small CHECK (amount < 1000000),
            CONSTRAINT pair UNIQUE (amount, note) INCLUDE (id), CONSTRAINT mix CHECK (amount > 0 OR note IS NOT NULL) NOT VALID,
            CONSTRAINT refers FOREIGN KEY (amount) REFERENCES other);
        CREATE UNIQUE INDEX t_amount ON t (amount) WHERE amount > 3;
        CREATE INDEX "t Both ON" ON t USING btree (note text_pattern_ops, (amount + 1) DESC NULLS LAST) INCLUDE (amount) WITH (fillfactor = 70);
        CREATE INDEX t_brin ON t USING brin (amount) WITH (pages_per_range = 4);
        ALTER INDEX "t Both ON" ALTER COLUMN 2 SET STATISTICS 77;
        CREATE STATISTICS stat (ndistinct) ON note, amount FROM t; ALTER STATISTICS stat SET STATISTICS 33;
        ALTER TABLE t ADD CONSTRAINT alone UNIQUE (amount);
        CREATE TABLE child (amount integer CONSTRAINT of_t REFERENCES t (amount) ON DELETE CASCADE);
        ALTER TABLE t ALTER amount SET STATISTICS 55, ALTER amount SET (n_distinct = -0.5);
        COMMENT ON COLUMN t.amount IS 'how much'; COMMENT ON CONSTRAINT small ON t IS 'it''s small'; COMMENT ON INDEX t_amount IS 'of amount';
        COMMENT ON STATISTICS stat IS 'both'; COMMENT ON CONSTRAINT pair ON t IS 'a pair';
        CLUSTER t USING "t Both ON";
    """
    everything += "GRANT SELECT (amount), UPDATE (amount) ON t TO pg_monitor WITH GRANT OPTION; GRANT SELECT (amount) ON t TO PUBLIC;"
    twin = new_database()
    for one in (db, twin):
        one.psql(everything, check=True)
        one.execute("INSERT INTO other SELECT generate_series(1, 50); INSERT INTO t SELECT g, 'n', g FROM generate_series(1, 50) g")
    change, session = Change(kind), db.connect()
    for verb in ("begin", "cleanup"):
        session.execute(change.call(verb))
    after = {"rename": "RENAME COLUMN amount TO total", "type": "ALTER COLUMN amount TYPE bigint"}[kind]
    before = dump(twin)
    twin.execute(f"ALTER TABLE t {after}")
    # What ALTER COLUMN TYPE forgets of an index and of statistics that it makes again.
    twin.execute('ALTER INDEX "t Both ON" ALTER COLUMN 2 SET STATISTICS 77; ALTER STATISTICS stat SET STATISTICS 33')
    assert_same(dump(db), dump(twin))
    for verb in ("undo cleanup", "undo"):
        session.execute(change.call(verb))
    assert_same(dump(db), before)


def assert_same(found: list[str], expected: list[str]) -> None:
    difference = list(difflib.unified_diff(expected, found, "expected", "found", n=0, lineterm=""))
    assert difference == [], "\n".join(difference)


def dump(db) -> list[str]:
    """The table's own dump; its columns in any order."""
    text = re.sub(r"\n\s+(?=ADD CONSTRAINT)", " ", db.dump("--schema-only", "--schema=public"))
    lines = [line.strip().rstrip(",") for line in text.splitlines() if line.strip() and not line.startswith("--")]
    return sorted(line for line in lines if line != "SET default_table_access_method = heap;")


#: Statement, and the values (old column, new column) of the row with id 1 afterwards; None: 27000.
WRITES = [
    ("UPDATE t SET amount = 5 WHERE id = 1", (5, 5)),
    ("UPDATE t SET total = 5 WHERE id = 1", (5, 5)),
    ("UPDATE t SET amount = 5, total = 5 WHERE id = 1", (5, 5)),
    ("UPDATE t SET amount = 5, total = 6 WHERE id = 1", None),
    ("UPDATE t SET amount = amount, total = total WHERE id = 1", (1, 1)),
    ("UPDATE t SET note = 'x' WHERE id = 1", (1, 1)),
    ("DELETE FROM t WHERE id = 1; INSERT INTO t (id, amount) VALUES (1, 5)", (5, 5)),
    ("DELETE FROM t WHERE id = 1; INSERT INTO t (id, total) VALUES (1, 5)", (5, 5)),
    ("DELETE FROM t WHERE id = 1; INSERT INTO t (id, amount, total) VALUES (1, 5, 5)", (5, 5)),
    ("DELETE FROM t WHERE id = 1; INSERT INTO t (id, amount, total) VALUES (1, 5, NULL)", (5, 5)),
    ("DELETE FROM t WHERE id = 1; INSERT INTO t (id, amount, total) VALUES (1, 7, 5)", (5, 5)),
    ("DELETE FROM t WHERE id = 1; INSERT INTO t (id, amount, total) VALUES (1, NULL, 5)", (5, 5)),
    ("DELETE FROM t WHERE id = 1; INSERT INTO t (id, amount, total) VALUES (1, 4, 5)", None),
    ("DELETE FROM t WHERE id = 1; INSERT INTO t (id) VALUES (1)", (7, 7)),
    ("INSERT INTO t (id, total) VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET total = excluded.total + 1", (6, 6)),
    ("INSERT INTO t (id, amount) VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET total = excluded.total + 1", (6, 6)),
    ("MERGE INTO t USING (VALUES (1, 5)) v (id, n) ON t.id = v.id WHEN MATCHED THEN UPDATE SET total = v.n", (5, 5)),
    ("DELETE FROM t WHERE id = 1; MERGE INTO t USING (VALUES (1, 5)) v (id, n) ON t.id = v.id WHEN NOT MATCHED THEN INSERT (id, total) VALUES (v.id, v.n)", (5, 5)),
    ("SET session_replication_role = replica; UPDATE t SET total = 5 WHERE id = 1", (5, 5)),
]


@pytest.mark.parametrize("way", ["both, begun", "both, taken back"])
def test_whatever_writes_one_column_writes_the_other(db, way):
    make_table(db, rows=3)
    change = Change("rename")
    for verb in WAYS[way][1]:
        db.connect().execute(change.call(verb))
    for statement, expected in WRITES:
        with db.connect(autocommit=False) as session:
            if expected is None:
                with expect_error("27000", message=re.compile("written to different values"), hint=re.compile("only one")) as error:
                    session.execute(statement)
                assert '"amount" and "total" are kept in step' in error.context or '"total" and "amount" are kept in step' in error.context
            else:
                session.execute(statement)
                assert session.rows("SELECT amount, total FROM t WHERE id = 1") == [expected], statement
            session.rollback()
    with db.connect() as session, session.cursor() as cursor:
        with cursor.copy("COPY t (id, total) FROM STDIN") as copy:
            copy.write("100\t5\n101\t6\n")
    assert db.rows("SELECT id, amount, total FROM t WHERE id >= 100 ORDER BY id") == [(100, 5, 5), (101, 6, 6)]


@pytest.mark.parametrize(("default", "expected"), [("clock_timestamp()::text", "new"), ("'a' || 'b'", "new"), ("current_user", "new")])
def test_a_default_of_the_old_column_gives_way_to_a_value_of_the_new_one(db, default, expected):
    db.execute(f"CREATE TABLE t (id int PRIMARY KEY, amount text DEFAULT {default})")
    db.connect().execute(Change("rename").call("begin"))
    db.execute("INSERT INTO t (id, total) VALUES (1, 'new')")
    assert db.rows("SELECT amount, total FROM t") == [(expected, expected)]
    db.execute("INSERT INTO t (id) VALUES (2)")
    assert db.one("SELECT amount = total FROM t WHERE id = 2") is True


TYPES = [
    ("integer", "bigint", None, None, "42", "42"),
    ("integer", "text", None, "amount::integer", "42", "42"),
    ("text", "integer", "amount::integer", None, "42", "42"),
    ("text", "varchar(5)", None, None, "'abc'", "abc"),
    ("numeric", "integer", None, None, "1.4", "1"),
    ("timestamp", "timestamptz", "amount AT TIME ZONE 'UTC'", "amount AT TIME ZONE 'UTC'", "'2024-01-01 12:00'", "2024-01-01 12:00:00+00"),
    ("integer", "boolean", "amount <> 0", "CASE WHEN amount THEN 1 ELSE 0 END", "5", "true"),
    ("json", "jsonb", None, None, "'{\"a\": 1}'", '{"a": 1}'),
    ("text", "text[]", "string_to_array(amount, ',')", "array_to_string(amount, ',')", "'a,b'", "{a,b}"),
]


@pytest.mark.parametrize(("old", "new", "using", "back", "value", "expected"), TYPES, ids=[f"{old} to {new}" for old, new, *_ in TYPES])
def test_a_type_is_changed_there_and_back(db, old, new, using, back, value, expected):
    db.execute(f"CREATE TABLE t (id int PRIMARY KEY, amount {old}); INSERT INTO t VALUES (1, {value}), (2, NULL)")
    change, session = Change("type", new, using, back), db.connect(options="-c timezone=UTC")
    session.execute(change.call("begin"))
    assert session.rows("SELECT amount_for_type_change::text FROM t ORDER BY id") == [(expected,), (None,)]
    session.execute(f"INSERT INTO t (id, amount) VALUES (3, {value})")
    session.execute("INSERT INTO t (id, amount_for_type_change) SELECT 4, amount_for_type_change FROM t WHERE id = 1")
    assert session.rows("SELECT count(DISTINCT amount::text), count(DISTINCT amount_for_type_change::text) FROM t WHERE id IN (3, 4)")[0][1] == 1
    session.execute(change.call("cleanup"))
    assert session.one("SELECT amount::text FROM t WHERE id = 3") == expected
    assert session.one("SELECT count(*) FROM t WHERE amount IS NULL") == 1
    session.execute(change.call("undo cleanup"))
    session.execute(change.call("undo"))
    assert columns(db)["amount"].replace(" without time zone", "") == old


REFUSED_TYPES = [
    (("text", None, None), "42804"),
    (("nonsense", None, None), "42704"),
    (("int; DROP TABLE t", None, None), "42601"),
    (("text", "amount::text", "note::int"), "42703"),
    (("text", "amount::text", "amount::int FROM t"), "22023"),
    (("text", "random()::text", "amount::int"), "22023"),
    (("bigint", "my_function(amount)", None), "42883"),
    ((None, None, None), "22023"),
]


@pytest.mark.parametrize(("types", "sqlstate"), REFUSED_TYPES)
def test_what_makes_no_value_of_the_other_is_refused_before_anything_begins(db, types, sqlstate):
    make_table(db, rows=3)
    db.execute("CREATE FUNCTION my_function(int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1::bigint'")
    before = dump(db)
    with expect_error(sqlstate):
        db.connect().execute(Change("type", *types).call("begin"))
    assert dump(db) == before
    assert db.one("SELECT count(*) FROM belay.column_change") == 0


OBSTACLES = {
    "a view": ("CREATE VIEW v AS SELECT amount FROM t", "view public.v"),
    "a rule": ("CREATE RULE r AS ON UPDATE TO t WHERE new.amount = 3 DO NOTHING", "rule r on table"),
    "a policy": ("CREATE POLICY p ON t USING (amount > 0)", "policy p on table"),
    "a publication": ("CREATE PUBLICATION p FOR TABLE t (id, amount)", "publication"),
    "a generated column": ("ALTER TABLE t ADD twice int GENERATED ALWAYS AS (amount * 2) STORED", "column twice of table"),
    "a trigger": ("CREATE TRIGGER s BEFORE UPDATE OF amount ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()", "trigger s on table"),
    "an exclusion": ("ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING btree (amount WITH =)", "constraint x on table"),
    "a deferrable key": ("ALTER TABLE t ADD CONSTRAINT u UNIQUE (amount) DEFERRABLE", "constraint u on table"),
    "a child": ("CREATE TABLE c () INHERITS (t)", "is inherited by"),
    "a function": ("CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT sum(amount) FROM t; END", "function public.f()"),
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_what_cannot_be_carried_over_is_refused_up_front_by_name(db, obstacle):
    statement, named = OBSTACLES[obstacle]
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, amount integer)")
    db.execute(statement)
    before = dump(db)
    for change in (Change("rename"), Change("type")):
        with expect_error("0A000", detail=re.compile(re.escape(named))):
            db.connect().execute(change.call("begin"))
    assert dump(db) == before


COLUMNS = {
    "identity": ("id int PRIMARY KEY, amount int GENERATED BY DEFAULT AS IDENTITY", "it is an identity column"),
    "generated": ("id int PRIMARY KEY, amount int GENERATED ALWAYS AS (id * 2) STORED", "it is generated"),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_generated_and_identity_columns_are_refused_with_the_reason(db, column):
    definition, reason = COLUMNS[column]
    db.execute(f"CREATE TABLE t ({definition})")
    with expect_error("0A000", detail=re.compile(reason)):
        db.connect().execute(Change("rename").call("begin"))


def test_the_wrong_table_column_or_role_is_told(db):
    make_table(db, rows=3)
    db.execute("CREATE VIEW v AS SELECT 1 AS amount")
    session = db.connect()
    for call, sqlstate in [
        ("CALL belay.rename_column_concurrently('t', 'nonsense', 'total')", "42703"),
        ("CALL belay.rename_column_concurrently('t', 'amount', 'note')", "42701"),
        ("CALL belay.rename_column_concurrently('v', 'amount', 'note')", "42809"),
        ("CALL belay.rename_column_concurrently('nonsense', 'amount', 'note')", "42P01"),
        ("CALL belay.rename_column_concurrently('t', NULL, 'note')", "22023"),
        ("CALL belay.undo_rename_column_concurrently('t', 'nonsense', 'total')", "42703"),
        ("CALL belay.cleanup_concurrent_column_rename('t', 'amount', 'total')", "55000"),
        ("BEGIN; CALL belay.rename_column_concurrently('t', 'amount', 'total')", "25001"),
        ("DO $$BEGIN CALL belay.rename_column_concurrently('t', 'amount', 'total'); END$$", "25001"),
    ]:
        with expect_error(sqlstate):
            session.execute(call)
        session.rollback()
    role = db.role("deployer")
    db.execute("SELECT belay.grant_role(%s, 'deployer')", [role])
    other = db.connect(user=role)
    with expect_error("42501", message=re.compile("must be owner of table public.t")):
        other.execute(Change("rename").call("begin"))
    db.execute(f"ALTER TABLE t OWNER TO {role}; GRANT CREATE ON SCHEMA public TO {role}")
    for verb in ("begin", "cleanup", "undo cleanup", "undo"):
        other.execute(Change("rename").call(verb))
    for verb in ("begin", "cleanup", "undo cleanup", "undo"):
        other.execute(Change("type").call(verb))


@pytest.mark.parametrize("name", [*RENAME.values(), *TYPE.values(), "update_in_batches", "remove_concurrent_index", "add_concurrent_index"])
def test_null_for_what_has_no_default_is_refused_by_name(db, name):
    make_table(db, rows=3)
    arguments, defaults = db.rows("SELECT proargnames, pronargdefaults FROM pg_proc WHERE proname = %s", [name])[0]
    needed = arguments[: len(arguments) - defaults] or arguments[:2]
    for argument in needed:
        given = ", ".join(f'"{other}" => ' + ("NULL" if other == argument else "'t'") for other in needed)
        message = "either a table and its elements, or a definition" if name == "add_concurrent_index" else f"{argument} must not be null"
        with expect_error("22023", message=message, hint=re.compile(".")):
            db.connect().execute(f"CALL belay.{name}({given})")


def test_a_rename_is_found_from_the_other_end(db):
    """GitLab's old way: what takes a rename back is a rename the other way round."""
    make_table(db, rows=30)
    session = db.connect()
    forth, back = Change("rename"), Change("rename")
    back.old, back.new = forth.new, forth.old
    for step, phase in [
        (forth.call("begin"), "both"),
        (forth.call("cleanup"), "new"),
        (back.call("begin"), "both"),
        (forth.call("cleanup"), "new"),
        (back.call("begin"), "both"),
        (back.call("cleanup"), "old"),
        (back.call("begin"), "old"),
    ]:
        session.execute(step)
        assert assert_sound(db, forth) == phase, step
    assert db.one("SELECT count(*) FROM belay.column_change") == 1


MIGRATIONS = {
    "1_table": "CREATE TABLE t (id bigint PRIMARY KEY, amount integer NOT NULL DEFAULT 7, note text); INSERT INTO t SELECT g, g FROM generate_series(1, 20) g"
    "\n-- migrate:down\nDROP TABLE t",
    "2_pre": Change("rename").call("begin"),
    "3_other": "CREATE TABLE other ()\n-- migrate:down\nDROP TABLE other",
    "4_post": Change("rename").call("cleanup"),
    "5_type": Change("type").call("begin").replace("amount", "total"),
    "6_type": Change("type").call("cleanup").replace("amount", "total"),
}


def load(db, migrations) -> None:
    files = {f"{name}.sql": text for name, text in migrations.items()}
    db.execute("SELECT belay.migrate_load_files(%s)", [psycopg.types.json.Jsonb(files)])


def test_gl_3185_any_number_of_steps_back_and_up_again_gives_the_same(db):
    """gitlab-org/gitlab#3185: rolled back between the pre and the post, up did not run any more."""
    load(db, MIGRATIONS)
    assert db.rows("SELECT DISTINCT reversible FROM belay.migration") == [(True,)]
    assert db.one("SELECT bool_or(up_transaction) FROM belay.migration WHERE name ~ '[2456]'") is False
    session = db.connect()
    session.execute("CALL belay.migrate_up()")
    done = dump(db)
    for steps in range(1, len(MIGRATIONS) + 1):
        session.execute(f"CALL belay.migrate_down(steps => {steps})")
        session.execute("CALL belay.migrate_up()")
        assert dump(db) == done, steps
    for _ in MIGRATIONS:
        session.execute("CALL belay.migrate_down()")
    assert db.rows("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []


def test_gl_3185_a_migration_that_fails_between_pre_and_post_does_not_stand_in_the_way_back(db):
    load(db, MIGRATIONS | {"3_other": "CREATE TABLE other (); SELECT 1/0\n-- migrate:down\nDROP TABLE other"})
    session = db.connect()
    with expect_error("22012"):
        session.execute("CALL belay.migrate_up()")
    session.execute("CALL belay.migrate_to('@none')")
    load(db, MIGRATIONS)
    session.execute("CALL belay.migrate_up()")
    assert columns(db) == {"id": "bigint", "total": "bigint", "note": "text"}
    session.execute("CALL belay.migrate_to('2_pre')")
    assert sorted(columns(db)) == ["amount", "id", "note", "total"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", ["begin", "cleanup", "undo cleanup", "undo"])
def test_a_crash_at_any_moment_is_gone_on_from(crash_server, new_database, kind, verb):
    server = crash_server()
    db = new_database(on=server)
    make_table(db, rows=3000)
    change = Change(kind)
    order = ["begin", "cleanup", "undo cleanup", "undo"]
    session = db.connect()
    for before in order[: order.index(verb)]:
        session.execute(change.call(before))
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    for _ in range(2):
        run = db.start(change.call(verb), options="-c belay.batch_size=50 -c belay.batch_time=1 -c belay.batch_pause=1")
        time.sleep(draw.random() / 5)  # anywhere
        db.kill_backend(run)
        with contextlib.suppress(psycopg.OperationalError):
            run.finish()
    db.connect().execute(change.call(verb))
    assert assert_sound(db, change) == {"begin": "both", "cleanup": "new", "undo cleanup": "both", "undo": "old"}[verb]
    assert db.one("SELECT count(*) FROM t") == 3000


def test_a_cancelled_backfill_is_finished_by_the_cleanup(db):
    make_table(db, rows=20_000)
    change = Change("rename")
    run = db.start(change.call("begin"), options="-c belay.batch_size=50 -c belay.batch_time=1 -c belay.batch_pause=100ms")
    poll_until(lambda: not run.is_running or db.one("SELECT coalesce(max(batches), 0) > 2 FROM belay.progress"), what="three batches are done")
    run.cancel()
    with expect_error("57014"):
        run.finish()
    assert change.phase(db) == "both" and db.one("SELECT complete FROM belay.column_change") is False
    db.connect().execute(change.call("cleanup"))
    assert assert_sound(db, change) == "new"
    assert db.one("SELECT count(*) FROM t WHERE total = id % 100") == 20_000


def test_two_sessions_do_not_change_the_columns_of_one_table_at_once(db):
    make_table(db, rows=20_000)
    change = Change("rename")
    run = db.start(change.call("begin"), options="-c belay.batch_size=10 -c belay.batch_time=1 -c belay.batch_pause=100ms")
    poll_until(lambda: not run.is_running or db.one("SELECT count(*) > 0 FROM belay.progress"), what="the backfill has begun")
    with expect_error("55P03", detail=re.compile(f"pid {run.session.pid}")):
        db.connect().execute(change.call("undo"))
    run.cancel()
    with expect_error("57014"):
        run.finish()


def test_a_reader_that_holds_the_table_is_tried_again_and_nobody_waits_longer_than_lock_timeout(db):
    make_table(db, rows=20)
    blocker = db.connect(autocommit=False)
    blocker.execute("SELECT FROM t")
    run = db.start(Change("rename").call("begin"), options="-c belay.lock_timeout=50ms -c belay.lock_retries=500")
    poll_until(lambda: not run.is_running or len(run.session.messages) > 1, what="two attempts have failed")
    assert run.is_running
    assert run.session.messages[0].startswith('rename of column "amount": attempt 1 of 501 failed')
    blocker.rollback()
    run.finish()
    assert assert_sound(db, Change("rename")) == "both"


def test_partitions_are_kept_in_step_and_rows_move_between_them(db):
    db.execute("""
        CREATE TABLE t (id int, part int, amount int NOT NULL DEFAULT 7) PARTITION BY LIST (part);
        CREATE TABLE t_1 (part int, gone int, amount int NOT NULL DEFAULT 7, id int);
        ALTER TABLE t_1 DROP gone; ALTER TABLE t ATTACH PARTITION t_1 FOR VALUES IN (1);
        CREATE TABLE t_2 PARTITION OF t FOR VALUES IN (2);
        INSERT INTO t SELECT g, 1 + g % 2, g FROM generate_series(1, 100) g;
    """)
    change, session = Change("rename"), db.connect()
    session.execute(change.call("begin"))
    db.execute("UPDATE t SET part = 2, total = 500 WHERE id = 2; UPDATE t SET part = 1, amount = 600 WHERE id = 1; INSERT INTO t_1 (id, part, total) VALUES (200, 1, 9)")
    db.execute("CREATE TABLE t_3 PARTITION OF t FOR VALUES IN (3); INSERT INTO t (id, part, total) VALUES (300, 3, 11)")
    assert db.rows("SELECT id, amount, total FROM t WHERE id IN (1, 2, 200, 300) ORDER BY id") == [(1, 600, 600), (2, 500, 500), (200, 9, 9), (300, 11, 11)]
    session.execute(change.call("cleanup"))
    session.execute(change.call("undo cleanup"))
    session.execute(change.call("undo"))
    assert assert_sound(db, change) == "old"


def test_a_default_that_cannot_be_computed_stops_only_who_needs_it(db):
    session = db.connect(options="-c app.tenant=3")
    session.execute("CREATE TABLE t (id int PRIMARY KEY, amount int DEFAULT current_setting('app.tenant')::int, note text); INSERT INTO t VALUES (1, 5)")
    session.execute(Change("rename").call("begin"))
    db.execute("UPDATE t SET note = 'x'; UPDATE t SET total = 6")
    assert db.rows("SELECT amount, total FROM t") == [(6, 6)]
    session.execute("INSERT INTO t (id, total) VALUES (2, 9); INSERT INTO t (id) VALUES (3)")
    assert db.rows("SELECT amount, total FROM t WHERE id > 1 ORDER BY id") == [(9, 9), (3, 3)]


def test_using_is_applied_to_null_as_well(db):
    db.execute("CREATE TABLE t (id int PRIMARY KEY, amount text); INSERT INTO t VALUES (1, NULL), (2, '5')")
    change, session = Change("type", "integer", "coalesce(amount::integer, 0)", "amount::text"), db.connect()
    session.execute(change.call("begin"))
    session.execute("INSERT INTO t (id) VALUES (3); UPDATE t SET amount = NULL WHERE id = 2")
    session.execute(change.call("cleanup"))
    assert db.rows("SELECT amount FROM t ORDER BY id") == [(0,), (0,), (0,)]


def test_the_error_of_an_expression_arrives_whole(db):
    db.execute("""
        CREATE TABLE t (id int PRIMARY KEY, amount text);
        CREATE FUNCTION strict(text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
        $$BEGIN IF $1 = 'bad' THEN RAISE 'no number' USING ERRCODE = 'UC001', DETAIL = 'it is bad', CONSTRAINT = 'numbers'; END IF; RETURN $1::int; END$$
    """)
    db.connect().execute(Change("type", "integer", "public.strict(amount)", "amount::text").call("begin"))
    session = db.connect()
    with expect_error("UC001", message="no number", detail="it is bad") as error:
        session.execute("INSERT INTO t VALUES (1, 'bad')")
    assert error.constraint_name == "numbers" and '"amount" and "amount_for_type_change" are kept in step' in error.context
    session.execute("INSERT INTO t VALUES (1, '5')")
    assert session.rows("SELECT amount_for_type_change FROM t") == [(5,)]


def test_a_domain_with_constraints_is_refused_since_it_would_rewrite_the_table(db):
    db.execute("CREATE DOMAIN positive AS int CHECK (value > 0); CREATE DOMAIN free AS int; CREATE TABLE t (id int PRIMARY KEY, amount positive, other free)")
    for change in (Change("rename"), Change("type", "bigint")):
        if change.kind == "rename":
            with expect_error("0A000", detail=re.compile("domain public.positive has constraints")):
                db.connect().execute(change.call("begin"))
    db.connect().execute("CALL belay.rename_column_concurrently('t', 'other', 'renamed')")
    db.connect().execute("CALL belay.undo_rename_column_concurrently('t', 'other', 'renamed')")
    with expect_error("0A000", detail=re.compile("domain public.positive")):
        db.connect().execute("CALL belay.change_column_type_concurrently('t', 'other', 'positive')")


def test_a_cast_that_depends_on_settings_takes_expressions(db):
    db.execute("CREATE TABLE t (id int PRIMARY KEY, amount timestamp)")
    with expect_error("42804", hint=re.compile("AT TIME ZONE")):
        db.connect().execute(Change("type", "timestamptz").call("begin"))


def test_other_triggers_find_what_they_name(db):
    """Along the caller's search_path, as in any UPDATE."""
    make_table(db, rows=20)
    db.execute("""
        CREATE TABLE audit (id bigint);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO audit VALUES (new.id); RETURN NULL; END$$;
        CREATE TRIGGER note AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note();
    """)
    for change in (Change("rename"), Change("rename")):
        db.connect().execute(change.call("begin"))
        db.connect().execute(change.call("undo"))
    assert db.one("SELECT count(*) FROM audit") == 40


def test_a_column_that_somebody_dropped_by_hand_stops_nobody(db):
    make_table(db, rows=20)
    change, session = Change("rename"), db.connect()
    session.execute(change.call("begin"))
    db.execute("ALTER TABLE t DROP total")
    with expect_error("42703", message=re.compile("which is kept in step with another, has gone")):
        db.execute("UPDATE t SET amount = 1")
    session.execute(change.call("undo"))
    assert assert_sound(db, change) == "old"
    db.execute("UPDATE t SET amount = 1")
    session.execute(change.call("begin"))
    db.execute("ALTER TABLE t DROP amount")
    session.execute(change.call("cleanup"))
    assert sorted(columns(db)) == ["id", "note", "seen", "total"]
    db.execute("UPDATE t SET total = 2")


def test_two_columns_are_changed_at_once_unless_they_share_something(db):
    db.execute("CREATE TABLE t (id int PRIMARY KEY, a int, b int, c int); CREATE INDEX i ON t (a, b); INSERT INTO t VALUES (1, 2, 3, 4)")
    session = db.connect()
    session.execute("CALL belay.rename_column_concurrently('t', 'a', 'a2')")
    with expect_error("0A000", detail=re.compile('index public.i, which it shares with column "a"')):
        session.execute("CALL belay.rename_column_concurrently('t', 'b', 'b2')")
    session.execute("CALL belay.rename_column_concurrently('t', 'c', 'c2')")
    for verb in ("cleanup_concurrent_column_rename", "undo_cleanup_concurrent_column_rename"):
        session.execute(f"CALL belay.{verb}('t', 'a', 'a2')")
        session.execute(f"CALL belay.{verb}('t', 'c', 'c2')")
    db.execute("UPDATE t SET a = 5, c2 = 6")
    assert db.rows("SELECT a, a2, b, c, c2 FROM t") == [(5, 5, 3, 6, 6)]


def test_forced_row_security_is_refused_before_anything_begins(db):
    make_table(db, rows=3)
    role = db.role("deployer")
    db.execute(f"SELECT belay.grant_role('{role}', 'deployer'); ALTER TABLE t OWNER TO {role}; ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY")
    with expect_error("42501", message=re.compile("row security hides rows")):
        db.connect(user=role).execute(Change("rename").call("begin"))
    assert sorted(columns(db)) == ["amount", "id", "note", "seen"]


def test_in_a_release_the_pre_begins_and_the_post_cleans_up_and_each_is_taken_back_by_itself(db):
    make_table(db, rows=20)
    db.execute("SELECT belay.project_create('shop', naming => 'release')")
    for name, verb in (("1.0.0_01_pre_total", "begin"), ("1.0.0_50_post_total", "cleanup")):
        db.execute("SELECT belay.migrate_register(%s, %s, project => 'shop')", [name, Change("rename").call(verb)])
    session, change = db.connect(), Change("rename")
    for call, phase in [
        ("CALL belay.migrate_up(phase => 'pre', project => 'shop')", "both"),
        ("CALL belay.migrate_up(phase => 'post', project => 'shop')", "new"),
        ("CALL belay.migrate_down(project => 'shop')", "both"),
        ("CALL belay.migrate_up(phase => 'post', project => 'shop')", "new"),
        ("CALL belay.migrate_down(steps => 2, project => 'shop')", "old"),
    ]:
        session.execute(call)
        assert assert_sound(db, change) == phase, call
    db.execute("SELECT belay.migrate_register('2.0.0_01_pre_note', %s, project => 'shop')", ["CALL belay.cleanup_concurrent_column_rename('t', 'amount', 'total')"])
    session.execute("CALL belay.migrate_up(release => '1.0.0', project => 'shop')")
    with expect_error("MG017"):
        session.execute("CALL belay.migrate_up(phase => 'pre', project => 'shop')")


def test_what_was_made_for_the_column_meanwhile_is_not_lost(db):
    make_table(db, rows=20)
    change, session = Change("rename"), db.connect()
    session.execute(change.call("begin"))
    session.execute("CREATE INDEX late ON t (amount DESC)")
    with expect_error("55000", detail="late", hint=re.compile("rename_column_concurrently")):
        session.execute(change.call("cleanup"))


def test_what_a_subscription_applies_is_kept_in_step(private_server, new_database):
    """The trigger fires ALWAYS: rows come from where only the old column is known."""
    server = private_server(settings={"wal_level": "logical"})
    publisher, subscriber = new_database(on=server), new_database(on=server)
    for db in (publisher, subscriber):
        db.execute("CREATE TABLE t (id int PRIMARY KEY, amount int)")
    publisher.execute("CREATE PUBLICATION p FOR TABLE t")
    publisher.execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    subscriber.connect().execute(Change("rename").call("begin"))
    parameters = server.parameters(publisher.name)
    where = f"host={parameters['host']} port={parameters['port']} user={parameters['user']} password={server.password} dbname={publisher.name}"
    subscriber.execute(f"CREATE SUBSCRIPTION s CONNECTION '{where}' PUBLICATION p WITH (create_slot = false, copy_data = false)")
    try:
        publisher.execute("INSERT INTO t VALUES (1, 5), (2, 6); UPDATE t SET amount = 7 WHERE id = 2")
        subscriber.wait_for("SELECT count(*) = 2 AND bool_and(amount = total) AND max(total) = 7 FROM t", what="both rows came, in step")
    finally:
        subscriber.execute("ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE)")
        subscriber.execute("DROP SUBSCRIPTION s")


#: Walks in the whole suite on each of four majors; `make soak` takes more.
WALKS = int(os.environ.get("BELAY_SOAK_DRAWS", 250))


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_random_walks_end_where_the_table_says_and_lose_no_write(db, kind, part):
    seed = int(os.environ.get("BELAY_SOAK_SEED", random.randrange(10**6))) + part
    print(f"seed {seed}")
    draw = random.Random(seed)
    make_table(db, rows=60)
    change = Change(kind)
    writers = [Writer(db, "amount", 1_000_000, seed), Writer(db, "total" if kind == "rename" else "amount_for_type_change", 2_000_000, seed + 1)]
    try:
        for _ in range(WALKS // 8):
            walk(db, change, draw, steps=3)
    finally:
        for writer in writers:
            writer.stop()
    assert_nothing_lost(db, change, writers)
