"""Random sets of migrations, disturbed by random faults at random moments.

After each fault: the session is usable, the lock is free, the ledger is true, `migrate_up` completes, and the schema is
that of a run that nobody disturbed.

Each draw is made from a seed, which is the test's name. `make soak` runs more of them; to repeat one:

    BELAY_PG=18 BELAY_SOAK_SEED=18007 BELAY_SOAK_DRAWS=1 .belay/venv/bin/python -m pytest pg_test/test_random_faults.py

What is drawn is the same each time; what runs at the same moment depends on the machine.
"""

from __future__ import annotations

import os
from random import Random
from typing import Callable

import psycopg
import pytest

from harness.database import Database
from harness.random_fault import FAULTS, Fault, Outcome, disturb, draw_fault, is_unknown
from harness.random_set import MigrationSet, draw_set
from harness.server import MAJORS, Server
from harness.session import describe
from soundness import assert_complete, assert_free, assert_told, assert_true, assert_usable, say_how_it_ended

MAJOR = int(os.environ.get("BELAY_PG", max(MAJORS)))
#: Each major draws its own.
FIRST_SEED = int(os.environ.get("BELAY_SOAK_SEED", MAJOR * 1000))
DRAWS = int(os.environ.get("BELAY_SOAK_DRAWS", 50))
#: How many draws of a hundred take the server down.
CRASHES = 12


#: Making a database takes longer than a draw, so they are made anew only when a draw has failed in one.
EMPTY = """
    DROP EXTENSION IF EXISTS pg_belay CASCADE;
    DROP SCHEMA public CASCADE;
    CREATE SCHEMA public AUTHORIZATION pg_database_owner;
    GRANT USAGE ON SCHEMA public TO PUBLIC;
    COMMENT ON SCHEMA public IS 'standard public schema';
    CREATE EXTENSION pg_belay;
"""


class Databases:
    """The database of each server that draws are made in, one after another, and the copies of the draw in hand."""

    def __init__(self) -> None:
        self._kept: dict[Server, Database] = {}
        self._copies: list[Database] = []

    def empty(self, server: Server) -> Database:
        if server not in self._kept:
            self._kept[server] = Database.create(server)
        db = self._kept[server]
        db.close()
        others = "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        db.wait_for(others, what="the last draw's sessions end")
        db.execute(EMPTY)
        return db

    def copy(self, db: Database) -> Database:
        """What a dump of `db` makes of a new database."""
        copy = Database.create(db.server)
        self._copies.append(copy)
        copy.psql(db.client("pg_dump", check=True).stdout, check=True)
        return copy

    def end_draw(self, server: Server, survived: bool) -> None:
        for copy in self._copies:
            copy.remove()
        self._copies.clear()
        if not survived and server in self._kept:
            self._kept.pop(server).remove()


@pytest.fixture(scope="module")
def databases() -> Databases:
    return Databases()


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + DRAWS))
def test_a_disturbed_run_is_survived(
    server: Server, crash_server: Callable[[], Server], databases: Databases, seed: int
) -> None:
    random = Random(seed)
    crash = random.random() < CRASHES / 100
    drawn = draw_set(random)
    faults = [draw_fault(random, drawn, crash) for _ in range(random.choice([1, 1, 2, 3]))]
    print(f"BELAY_PG={MAJOR} BELAY_SOAK_SEED={seed} BELAY_SOAK_DRAWS=1")
    print(drawn)
    print(*(f"fault: {fault}" for fault in faults), sep="\n")
    where = crash_server() if crash else server
    survived = False
    try:
        survive(where, databases, drawn, faults)
        survived = True
    finally:
        databases.end_draw(where, survived)


def survive(server: Server, databases: Databases, drawn: MigrationSet, faults: list[Fault]) -> None:
    db = databases.empty(server)
    prepare(db, drawn)
    db.execute("CALL belay.migrate_up()")
    undisturbed = db.dump("--schema-only")

    db = databases.empty(server)
    prepare(db, drawn)
    for fault in faults:
        outcome = disturb(db, fault)
        print(f"{fault.kind}: {'went through' if outcome.error is None else describe(outcome.error)}")
        assert_survived(db, drawn, fault, outcome)
        if fault.restored:
            db = databases.copy(db)
            assert_true(db, drawn)
    complete(db, drawn)
    assert_usable(db.session)
    assert_free(db)
    assert_complete(db, drawn)
    assert db.dump("--schema-only") == undisturbed


def prepare(db: Database, drawn: MigrationSet) -> None:
    if drawn.setup:
        db.execute(drawn.setup)
    for migration in drawn.migrations:
        db.execute("SELECT belay.migrate_register(%s, %s)", [migration.name, migration.text])


def assert_survived(db: Database, drawn: MigrationSet, fault: Fault, outcome: Outcome) -> None:
    if outcome.error is not None and not is_unknown(outcome.error):
        assert outcome.error.sqlstate in FAULTS[fault.kind][1], describe(outcome.error)
    if outcome.session is not None:
        assert_usable(outcome.session)
        assert_told(db, outcome.session, outcome.error)
    assert_free(db)
    assert_true(db, drawn)
    if outcome.inherited:
        assert db.one("SELECT count(*) FROM belay.applied") == len(drawn.migrations)


def complete(db: Database, drawn: MigrationSet) -> None:
    """The next run; where only the operator can know what a statement did, the operator looks and says so."""
    try:
        db.execute("CALL belay.migrate_up()")
    except psycopg.Error as error:
        if not is_unknown(error):
            raise
        say_how_it_ended(db, drawn)
        db.execute("CALL belay.migrate_up()")
