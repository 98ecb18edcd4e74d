"""What must hold of a session, the lock, the ledger and the schema, whatever has happened to a run.

The sets are those of `harness.random_set`, whose statements each tell whether they have run.
"""

from __future__ import annotations

import re

import psycopg

from harness.database import Database
from harness.random_set import Migration, MigrationSet
from harness.session import Session, describe

LOCKS = """
    SELECT pid, mode FROM pg_locks WHERE locktype = 'advisory' AND classid = 1651270009
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
FACTS = """
    SELECT current_user = session_user, current_setting('work_mem'), current_setting('search_path'),
           current_setting('lock_timeout'), current_setting('statement_timeout')
"""


def assert_usable(session: Session) -> None:
    """It is as it was before the call: no transaction, its own role, its own settings."""
    if session.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
        session.execute("ROLLBACK")  # the caller's own transaction, which the caller ends
    assert session.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    itself, *settings = session.execute(FACTS).fetchone()
    assert itself is True
    assert settings == ["4MB", '"$user", public', "0", "0"], settings
    session.execute("CREATE TEMP TABLE usable AS SELECT 1; DROP TABLE usable")


def assert_free(db: Database) -> None:
    held = db.rows(LOCKS)
    assert held == [], f"{held}, {db.backend_state()}"


def assert_true(db: Database, drawn: MigrationSet) -> None:
    """What the ledger says of each migration is what is there."""
    in_force = [name for (name,) in db.rows("SELECT name FROM belay.applied JOIN belay.migration m ON m.id = migration_id ORDER BY position")]
    names = [migration.name for migration in drawn.migrations]
    assert in_force == names[: len(in_force)]
    under_way = db.rows("SELECT m.name, u.direction, u.statement, u.started FROM belay.unfinished u JOIN belay.migration m ON m.id = u.migration_id")
    assert len(under_way) <= 1
    states = dict(db.rows("SELECT name, state FROM belay.migrate_status()"))
    for migration in drawn.migrations:
        place = next(((statement, started) for name, _, statement, started in under_way if name == migration.name), None)
        assert_effects(db, migration, migration.name in in_force, place)
        assert_steps(db, migration, migration.name in in_force, place)
        expected = "applied" if migration.name in in_force else "dirty" if place else "pending"
        assert states[migration.name] == expected, migration.name
    for name, direction, *_ in under_way:
        assert direction == "up" and name == names[len(in_force)]
        assert not drawn.migrations[len(in_force)].transactional
    runs = [outcome for (outcome,) in db.rows("SELECT outcome FROM belay.run ORDER BY id")]
    assert None not in runs[:-1], runs
    # One whose session has died is open until the next run begins.
    live = "SELECT count(*) FROM belay.run r JOIN pg_stat_activity a USING (pid, backend_start) WHERE r.outcome IS NULL"
    assert db.one(live) == 0, runs


def assert_effects(db: Database, migration: Migration, applied: bool, place: tuple[int, bool] | None) -> None:
    """`place`: the next statement of one that is under way, and whether it had begun."""
    for number, statement in enumerate(migration.statements, 1):
        if statement.effect is None:
            continue
        next_one, begun = place or (1, False)
        if place and number == next_one and (begun or statement.commits):
            continue
        expected = applied or number < next_one
        found = db.one(statement.effect)
        assert found is expected, f"{migration.name}, statement {number}: the ledger says {expected}, {statement.effect} says {found}"


def assert_steps(db: Database, migration: Migration, applied: bool, place: tuple[int, bool] | None) -> None:
    outcomes = [outcome for (outcome,) in db.rows("SELECT outcome FROM belay.step WHERE name = %s ORDER BY id", [migration.name])]
    what = f"{migration.name}: {outcomes}"
    assert outcomes.count("applied") == applied and (not applied or outcomes[-1] == "applied"), what
    assert None not in (outcomes[:-1] if place else outcomes), what
    assert set(outcomes) <= {"applied", "failed", "lost", "rolled back", None}, what
    if place:
        assert outcomes[-1] in ("failed", "lost", None), what


def assert_told(db: Database, session: Session, error: psycopg.Error | None) -> None:
    """The run of a session that lives ended as its caller saw it; a cancel may have come before it began."""
    mine = "SELECT outcome FROM belay.run JOIN pg_stat_activity USING (pid, backend_start) WHERE pid = %s"
    outcomes = db.rows(mine, [session.pid])
    assert outcomes in ([], [("succeeded" if error is None else "failed",)]), outcomes


def assert_recorded(db: Database, session: Session, error: psycopg.Error | None) -> None:
    """What ended the call is in the history, at its migration and statement; in the caller's transaction nothing can be."""
    context = (error and error.diag.context) or ""
    place = re.search(r'^migration "(.+)" of project ".+", (up|down)(?:, statement (\d+) of)?', context, re.MULTILINE)
    runs = db.rows("SELECT id FROM belay.run JOIN pg_stat_activity USING (pid, backend_start) WHERE pid = %s", [session.pid])
    if not place or not runs:
        return
    name, direction, statement = place.groups()
    query = "SELECT name, direction, statement, sqlstate FROM belay.step WHERE run_id = %s AND outcome = 'failed'"
    expected = (name, direction, statement and int(statement), error.sqlstate)
    found = db.rows(query, runs[0])
    # What is tried again is in the history as often as it failed.
    attempts = len(found) if error.sqlstate in ("55P03", "40P01", "40001") else 1
    assert found == [expected] * max(attempts, 1)
    messages = "SELECT e.message FROM belay.step_error e JOIN belay.step s ON s.id = e.step_id WHERE s.run_id = %s"
    assert db.rows(messages, runs[0]) == [(error.diag.message_primary,)] * len(found)


def assert_complete(db: Database, drawn: MigrationSet) -> None:
    """Everything is applied, once, and nothing is left of what happened but history."""
    assert_true(db, drawn)
    assert db.one("SELECT count(*) FROM belay.run WHERE outcome IS NULL") == 0
    assert db.one("SELECT count(*) FROM belay.applied") == len(drawn.migrations)
    assert db.rows("TABLE belay.unfinished") == []
    invalid = [name for (name,) in db.rows("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive)")]
    assert invalid == []
    assert db.rows("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhdetachpending") == []
    assert db.rows("SELECT * FROM belay.migrate_validate()") == []


def say_how_it_ended(db: Database, drawn: MigrationSet) -> None:
    """The operator's word on a statement of which Belay cannot know whether it ended: what the database shows."""
    begun = "SELECT m.name, u.statement FROM belay.unfinished u JOIN belay.migration m ON m.id = u.migration_id WHERE u.started"
    ((name, number),) = db.rows(begun)
    statements = next(migration.statements for migration in drawn.migrations if migration.name == name)
    effect = statements[number - 1].effect
    next_one = number + bool(effect and db.one(effect))
    if next_one > len(statements):
        db.execute("SELECT belay.migrate_mark(%s, 'applied')", [name])
    else:
        db.execute("SELECT belay.migrate_mark(%s, 'pending', statement => %s)", [name, next_one])
