"""A database that has a schema before it has a history: everything up to a migration counts as applied, and nothing runs."""

from __future__ import annotations

import re

import psycopg
import pytest

from harness.session import expect_error
from ledger import applied, history, load, nothing_changes, numbered, tables


def names(*numbers: int) -> list[str]:
    return [f"migration{n}" for n in numbers]


def test_everything_up_to_the_target_counts_as_applied_and_nothing_runs(db):
    load(db, numbered(1, 2, 3, 4))
    session = db.connect()
    session.execute("CALL belay.migrate_baseline('migration3', reason => 'it was there before')")
    assert applied(db) == names(1, 2, 3) and tables(db) == []
    assert db.rows("SELECT state FROM belay.migrate_status()") == [("applied",)] * 3 + [("pending",)]
    assert history(db) == [(name, "up", "applied") for name in names(1, 2, 3)]
    assert db.rows("SELECT outcome, applied, reason FROM belay.run") == [("succeeded", 3, "it was there before")]
    assert session.messages
    session.execute("CALL belay.migrate_up()")
    assert applied(db) == names(1, 2, 3, 4) and tables(db) == ["t4"]
    assert db.rows("SELECT problem FROM belay.migrate_validate()") == []


def test_what_runs_only_outside_a_transaction_counts_too(db):
    load(db, {"1_a.sql": "CREATE INDEX CONCURRENTLY i ON nowhere (id)", "2_b.sql": "VACUUM; CREATE DATABASE x"})
    db.execute("CALL belay.migrate_baseline('2_b')")
    assert applied(db) == ["1_a", "2_b"] and db.rows("TABLE belay.unfinished") == []


def test_what_is_applied_already_stays_as_it_is(db):
    load(db, numbered(1, 2, 3))
    db.execute("CALL belay.migrate_up(steps => 1)")
    before = db.rows("SELECT * FROM belay.applied")
    db.execute("CALL belay.migrate_baseline('migration2')")
    assert applied(db) == names(1, 2) and db.rows("SELECT * FROM belay.applied ORDER BY position LIMIT 1") == before


def test_the_same_baseline_again_changes_nothing_and_says_so(db):
    load(db, numbered(1, 2))
    db.execute("CALL belay.migrate_baseline('migration1')")
    session = db.connect()
    with nothing_changes(db):
        session.execute("CALL belay.migrate_baseline('migration1')")
    assert any("already" in message or "nothing" in message for message in session.messages)


def test_a_baseline_can_be_moved_on(db):
    load(db, numbered(1, 2, 3))
    for target in names(1, 3):
        db.execute("CALL belay.migrate_baseline(%s)", [target])
    assert applied(db) == names(1, 2, 3)


def test_what_counts_as_applied_can_be_reverted_like_anything_else(db):
    load(db, numbered(1, 2))
    db.execute("CREATE TABLE t1 (); CREATE TABLE t2 ()")
    db.execute("CALL belay.migrate_baseline('migration2')")
    db.execute("CALL belay.migrate_down()")
    assert applied(db) == names(1) and tables(db) == ["t1"]


def test_other_projects_are_untouched(db):
    db.execute("SELECT belay.project_create('other')")
    load(db, numbered(1))
    load(db, numbered(1), project="other")
    db.execute("CALL belay.migrate_baseline('migration1', project => 'other')")
    assert applied(db) == [] and applied(db, "other") == names(1)


def test_it_is_kept_who_said_so(db):
    role = db.role("operator")
    db.execute(f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA belay TO {role}")
    load(db, numbered(1))
    db.execute("SELECT belay.project_alter('default', owner => %s)", [role])
    db.connect(user=role).execute("CALL belay.migrate_baseline('migration1', reason => 'restored')")
    assert db.rows("SELECT role::text, reason FROM belay.migrate_history() WHERE step IS NOT NULL") == [(role, "restored")]


@pytest.mark.parametrize(
    "arguments, sqlstate",
    [("'nope'", "MG011"), ("''", "22023"), ("NULL", "22023"), ("'@none'", "MG011|22023"), ("'migration1', project => 'nope'", "MG011"), ("'migration1', project => NULL", "22023")],
)
def test_a_senseless_baseline_is_refused(db, arguments, sqlstate):
    load(db, numbered(1))
    with nothing_changes(db), pytest.raises(psycopg.Error) as raised:
        db.execute(f"CALL belay.migrate_baseline({arguments})")
    assert re.fullmatch(sqlstate, raised.value.sqlstate) and raised.value.diag.message_hint


def test_an_unfinished_migration_is_settled_first(db):
    """Half of it is there: to call it applied takes a mark of its own."""
    load(db, {"1_a.sql": "-- belay: transaction off\nCREATE TABLE a ();\nSELECT 1/0", "2_b.sql": "SELECT 2"})
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    with nothing_changes(db), expect_error("MG007", hint=re.compile(r"migrate_mark\(")):
        db.execute("CALL belay.migrate_baseline('2_b')")


def test_a_baseline_beside_a_run_fails_at_once(db):
    load(db, numbered(1))
    holder = db.connect()
    holder.execute("SELECT pg_advisory_lock(1651270009, id) FROM belay.project")
    with nothing_changes(db), expect_error("55P03", message='project "default" is being migrated by another session'):
        db.execute("CALL belay.migrate_baseline('migration1')")


def test_ten_thousand_migrations_are_baselined(db):
    load(db, {f"{number:05}.sql": f"SELECT {number}" for number in range(10_000)})
    db.connect(options="-c statement_timeout=60s").execute("CALL belay.migrate_baseline('09999')")
    assert db.one("SELECT count(*) FROM belay.applied") == 10_000


# ── what it says of itself, and where it is refused ──────────────────────────────────────────────────────────────────


def test_the_history_tells_a_baseline_from_a_run(db):
    load(db, numbered(1, 2))
    db.execute("CALL belay.migrate_baseline('migration1', reason => 'was there')")
    db.execute("CALL belay.migrate_up()")
    assert db.rows("SELECT name, detail, reason FROM belay.migrate_history()") == [
        ("migration1", "by migrate_baseline: nothing ran", "was there"), ("migration2", None, None),
    ]  # fmt: skip
    assert db.rows("SELECT verb, outcome, applied, arguments FROM belay.run ORDER BY id LIMIT 1") == [
        ("baseline", "succeeded", 1, {"target": "migration1"})
    ]


def test_its_notice_says_how_many_and_what_is_left(db):
    load(db, numbered(1, 2, 3, 4))
    for target, notice in (("migration1", "1 migration counts as applied up to migration1, nothing ran; 3 pending, run 1"),
                           ("migration3", "2 migrations count as applied up to migration3, nothing ran; 1 pending, run 2")):  # fmt: skip
        session = db.connect()
        session.execute("CALL belay.migrate_baseline(%s)", [target])
        assert session.messages == [notice]


def test_in_a_transaction_it_is_part_of_it(db):
    load(db, numbered(1, 2))
    session = db.connect(autocommit=False)
    with nothing_changes(db):
        session.execute("CALL belay.migrate_baseline('migration2')")
        session.rollback()
    session.execute("CALL belay.migrate_baseline('migration2')")
    session.commit()
    assert applied(db) == names(1, 2) and db.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory'") == []


def test_it_can_be_called_from_a_block(db):
    load(db, numbered(1, 2))
    db.execute("DO $$ BEGIN CALL belay.migrate_baseline('migration1'); END $$")
    assert applied(db) == names(1)


def test_a_late_one_is_refused_in_strict_order_and_counted_in_permissive_order(db):
    load(db, numbered(2, 3))
    db.execute("CALL belay.migrate_up(target => 'migration2')")
    load(db, numbered(1, 2, 3))
    with nothing_changes(db), expect_error("MG001", hint=re.compile(".")):
        db.execute("CALL belay.migrate_baseline('migration3')")
    db.execute("SELECT belay.project_alter('default', ordering => 'permissive')")
    db.execute("CALL belay.migrate_baseline('migration3')")
    assert applied(db) == names(2, 1, 3)


def test_another_projects_unfinished_migration_does_not_matter(db):
    db.execute("SELECT belay.project_create('other')")
    load(db, {"1_a.sql": "-- belay: transaction off\nCREATE TABLE a ();\nSELECT 1/0"}, project="other")
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up(project => 'other')")
    load(db, numbered(1))
    db.execute("CALL belay.migrate_baseline('migration1')")
    assert applied(db) == names(1)
    settle = re.escape("SELECT belay.migrate_mark('1_a', 'applied', reason => '...', project => 'other')")
    with expect_error("MG007", hint=re.compile(rf"CALL belay.migrate_up\(project => 'other'\).*{settle}")):
        db.execute("CALL belay.migrate_baseline('1_a', project => 'other')")


def test_where_nothing_is_registered_it_says_how_to_begin(db):
    with expect_error("MG011", hint=re.compile("registration")):
        db.execute("CALL belay.migrate_baseline('1_a')")
