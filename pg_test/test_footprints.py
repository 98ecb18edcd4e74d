"""What a step keeps of what it touched, where it can be read, and what counts when it is not kept.

Which statements touch what is in test_footprint_pairs.py, by whether two of them meet.
"""

import json
import re

import pytest

from harness.session import expect_error
from ledger import applied


def register(db, name: str, up: str, down: str | None = None) -> None:
    db.execute("SELECT belay.migrate_register(%s, %s, %s)", [name, up, down])


def apply(db, name: str, up: str, down: str | None = None, how: str = "") -> None:
    register(db, name, up, down)
    db.execute(f"CALL belay.migrate_up({how})")


def footprint(db, name: str, direction: str = "up") -> dict:
    """The footprint of the last step of a migration that ended well, without the schema that everything is in."""
    query = """SELECT reads, writes, defines, everything, cumulative FROM belay.step
                WHERE name = %s AND direction = %s AND outcome IN ('applied', 'reverted') ORDER BY id DESC LIMIT 1"""
    reads, writes, defines, everything, cumulative = db.rows(query, [name, direction])[0]
    if reads is None:
        return {}
    found = {"read": set(reads) - {"schema public"}, "write": set(writes), "define": set(defines), "everything": everything}
    return {kind: what for kind, what in found.items() if what} | ({"cumulative": True} if cumulative else {})


# ── what is kept, and where it is read ───────────────────────────────────────────────────────────────────────────────


def test_a_step_keeps_what_it_read_wrote_and_defined(db):
    apply(db, "1", "CREATE TABLE team (id int PRIMARY KEY); CREATE TABLE log (what text)")
    assert footprint(db, "1") == {
        "define": {"relation public.team", "relation public.log", "relation public.team_pkey"},
    }
    apply(db, "2", "CREATE TABLE player (team int REFERENCES team); INSERT INTO log SELECT count(*) FROM team")
    assert footprint(db, "2") == {
        "read": {"relation public.team"},
        "write": {"relation public.log"},
        "define": {"relation public.player"},
    }


def test_a_revert_keeps_its_footprint_too(db):
    apply(db, "1", "CREATE TABLE t (i int)", down="DROP TABLE t")
    db.execute("CALL belay.migrate_down()")
    assert footprint(db, "1", "down") == {"define": {"relation public.t"}}


def test_what_functions_triggers_and_blocks_do_counts(db):
    db.execute("CREATE TABLE a (i int); CREATE TABLE b (i int); CREATE TABLE c (i int)")
    db.execute("CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO b VALUES (NEW.i); RETURN NULL; END'")
    db.execute("CREATE TRIGGER copy AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION copy()")
    apply(db, "1", "DO $$ BEGIN EXECUTE 'INSERT INTO a VALUES (1)'; EXECUTE 'ALTER TABLE c ADD j int'; END $$")
    found = footprint(db, "1")
    assert found["write"] == {"relation public.a", "relation public.b"}
    assert found["define"] == {"relation public.c"}
    assert "function public.copy()" in found["read"]


def test_what_is_only_deferred_to_the_commit_counts(db):
    db.execute("CREATE TABLE a (i int); CREATE TABLE b (i int)")
    db.execute("CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO b VALUES (NEW.i); RETURN NULL; END'")
    db.execute("CREATE CONSTRAINT TRIGGER copy AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION copy()")
    apply(db, "1", "INSERT INTO a VALUES (1)")
    assert footprint(db, "1")["write"] == {"relation public.a", "relation public.b"}


def test_a_renamed_relation_counts_under_both_names(db):
    db.execute("CREATE TABLE old (i int)")
    apply(db, "1", "ALTER TABLE old RENAME TO new")
    assert footprint(db, "1")["define"] == {"relation public.old", "relation public.new"}


def test_what_is_created_and_dropped_in_a_step_defines_nothing(db):
    apply(db, "1", "CREATE TABLE passing (i int); DROP TABLE passing")
    assert footprint(db, "1") == {"read": {"relation public.passing"}}


def test_the_ledger_itself_does_not_count(db):
    apply(db, "1", "DO $$ BEGIN PERFORM count(*) FROM belay.migration; END $$")
    assert footprint(db, "1") == {}
    assert db.one("SELECT reads IS NOT NULL FROM belay.step") is True


def test_history_tells_it_in_words(db):
    apply(db, "1", "CREATE TABLE t (i int); CREATE TABLE u AS SELECT 1 AS one")
    apply(db, "2", "INSERT INTO t SELECT one FROM u")
    apply(db, "3", "DO $$ BEGIN PERFORM FROM pg_class; END $$")
    assert db.rows("SELECT footprint FROM belay.migrate_history() ORDER BY step") == [
        ("defines relation public.t, relation public.u; reads schema public",),
        ("writes relation public.t; reads relation public.u, schema public",),
        ("everything: reads pg_catalog.pg_class",),
    ]


def test_touched_by_names_the_migrations_in_their_order(db):
    apply(db, "1", "CREATE TABLE t (i int PRIMARY KEY)")
    apply(db, "2", "INSERT INTO t VALUES (1)", down="DELETE FROM t")
    apply(db, "3", "CREATE TABLE other (i int)")
    apply(db, "4", "CREATE VIEW v AS SELECT i FROM t", down="DROP VIEW v")
    db.execute("CALL belay.migrate_down()")
    expected = [
        ("1", "up", "define"),
        ("2", "up", "write"),
        ("4", "up", "read"),
        ("4", "down", "read"),
    ]
    assert db.rows("SELECT name, direction, access FROM belay.touched_by('t')") == expected
    assert db.rows("SELECT name, direction, access FROM belay.touched_by('t_pkey')") == expected


def test_touched_by_tells_which_project_and_who(db):
    db.execute("SELECT belay.project_create('shop')")
    db.execute("SELECT belay.migrate_register('1', 'CREATE TABLE t (i int)', project => 'shop')")
    db.execute("CALL belay.migrate_up(project => 'shop')")
    role = db.one("SELECT current_user")
    assert db.rows("SELECT project, role FROM belay.touched_by('t')") == [("shop", role)]


# ── transactions that hold more than one step, or less ───────────────────────────────────────────────────────────────


def test_a_run_in_one_transaction_adds_up_and_says_so(db):
    register(db, "1", "CREATE TABLE a (i int)")
    register(db, "2", "CREATE TABLE b (i int)")
    db.execute("CALL belay.migrate_up(transaction => 'per_run')")
    assert footprint(db, "1") == {"define": {"relation public.a"}, "cumulative": True}
    assert footprint(db, "2") == {"define": {"relation public.a", "relation public.b"}, "cumulative": True}


def test_the_callers_own_work_adds_to_a_step_in_the_callers_transaction(db):
    db.execute("CREATE TABLE mine (i int)")
    register(db, "1", "CREATE TABLE a (i int)")
    with db.connect(autocommit=False) as session:
        session.execute("INSERT INTO mine VALUES (1)")
        session.execute("CALL belay.migrate_up()")
        session.commit()
    assert footprint(db, "1") == {"define": {"relation public.a"}, "write": {"relation public.mine"}, "cumulative": True}


def test_migrations_that_commit_each_do_not_add_up_when_called_from_a_block(db):
    register(db, "1", "CREATE TABLE a (i int)")
    register(db, "2", "CREATE TABLE b (i int)")
    db.execute("DO $$ BEGIN CALL belay.migrate_up(); END $$")
    assert footprint(db, "2") == {"define": {"relation public.b"}}


def test_a_concurrent_index_defines_its_table(db):
    db.execute("CREATE TABLE t (i int); CREATE INDEX t_old ON t (i)")
    apply(db, "1", "-- belay: transaction off\nCREATE INDEX CONCURRENTLY t_i ON t (i);\nDROP INDEX CONCURRENTLY t_old")
    assert footprint(db, "1") == {"define": {"relation public.t"}}


def test_anything_else_outside_a_transaction_touches_everything(db):
    db.execute("CREATE TABLE t (i int)")
    apply(db, "1", "-- belay: transaction off\nCREATE INDEX CONCURRENTLY t_i ON t (i);\nANALYZE t")
    assert footprint(db, "1") == {"everything": "runs outside a transaction"}


def test_an_attempt_that_was_given_up_leaves_nothing_in_the_next_one(db):
    db.execute("CREATE TABLE busy (i int)")
    register(db, "1", "CREATE TABLE a (i int);\nALTER TABLE busy ADD j int")
    with db.connect(autocommit=False) as holder:
        holder.execute("SELECT FROM busy")
        running = db.start("CALL belay.migrate_up()", options="-c belay.lock_timeout=200ms -c belay.lock_retries=100")
        db.wait_for("SELECT count(*) > 0 FROM belay.step WHERE outcome = 'failed'")
        holder.rollback()
    running.finish()
    assert footprint(db, "1") == {"define": {"relation public.a", "relation public.busy"}}


# ── without a footprint ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failed_step_has_none(db):
    register(db, "1", "CREATE TABLE a (i int); SELECT 1 / 0")
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    assert db.rows("SELECT outcome, reads, everything FROM belay.step") == [("failed", None, None)]


def test_what_is_marked_or_baselined_has_none(db):
    register(db, "1", "SELECT")
    register(db, "2", "SELECT")
    db.execute("CALL belay.migrate_baseline('1')")
    db.execute("SELECT belay.migrate_mark('2', 'applied')")
    assert db.rows("SELECT reads, everything FROM belay.step") == [(None, None)] * 2


def test_the_setting_keeps_none_and_then_nothing_can_come_late(db):
    db.execute("SELECT belay.project_create('default', ordering => 'disjoint')")
    db.execute("SET belay.footprints = off")
    apply(db, "3", "CREATE TABLE c (i int)")
    assert footprint(db, "3") == {}
    assert db.one("SELECT footprint FROM belay.migrate_history()") is None
    db.execute("RESET belay.footprints")
    register(db, "2", "CREATE TABLE b (i int)")
    with expect_error("MG001", detail=re.compile("\"3\" has no footprint")):
        db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["3"]


# ── a scratch run, before a merge ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("late", "problems"), [("CREATE TABLE b (i int)", []), ("ALTER TABLE a ADD y int", ["late"])])
def test_footprints_of_a_scratch_run_tell_what_is_late(db, late, problems):
    base = {"1.sql": "CREATE TABLE a (i int)", "3.sql": "ALTER TABLE a ADD x int"}
    head = base | {"2.sql": late}
    db.execute("SELECT count(*) FROM belay.migrate_load_files(%s)", [json.dumps(head)])
    db.execute("CALL belay.migrate_up()")
    query = "SELECT problem FROM belay.check_order(%s, %s, footprints => belay.footprints())"
    assert [problem for (problem,) in db.rows(query, [json.dumps(base), json.dumps(head)])] == problems
