"""A set of migrations, a fault that disturbs its run, and the five conditions that must hold afterwards.

The session is usable, the lock is free, the ledger is true, `migrate_up` completes, and the schema is that of a run that
nobody disturbed: `soundness` says what each of them means, `survive` looks at all of them.
"""

from __future__ import annotations

import psycopg

from harness.database import Database
from harness.random_fault import FAULTS, Fault, Outcome, disturb, is_unknown
from harness.random_set import MigrationSet
from harness.server import Server
from harness.session import describe
from soundness import assert_complete, assert_free, assert_recorded, assert_told, assert_true, assert_usable, say_how_it_ended

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


def survive(server: Server, databases: Databases, drawn: MigrationSet, faults: list[Fault]) -> list[Outcome]:
    """Runs the set undisturbed, then disturbed by each fault in turn, and then to its end; how each call ended."""
    survived = False
    try:
        outcomes = _survive(server, databases, drawn, faults)
        survived = True
    finally:
        databases.end_draw(server, survived)
    return outcomes


def _survive(server: Server, databases: Databases, drawn: MigrationSet, faults: list[Fault]) -> list[Outcome]:
    db = databases.empty(server)
    undisturbed = run_undisturbed(db, drawn)

    db = databases.empty(server)
    prepare(db, drawn)
    outcomes = []
    for fault in faults:
        outcomes.append(disturb(db, fault))
        error = outcomes[-1].error
        print(f"{fault.kind}: {'went through' if error is None else describe(error)}")
        assert_survived(db, drawn, fault, outcomes[-1])
        if fault.restored:
            db = databases.copy(db)
            assert_true(db, drawn)
    assert_goes_on(db, drawn, undisturbed)
    return outcomes


def prepare(db: Database, drawn: MigrationSet) -> None:
    if drawn.setup:
        db.execute(drawn.setup)
    for migration in drawn.migrations:
        db.execute("SELECT belay.migrate_register(%s, %s)", [migration.name, migration.text])


def run_undisturbed(db: Database, drawn: MigrationSet) -> str:
    """The schema that the set makes of an empty database."""
    prepare(db, drawn)
    db.execute("CALL belay.migrate_up()")
    return db.dump("--schema-only")


def assert_survived(db: Database, drawn: MigrationSet, fault: Fault, outcome: Outcome) -> None:
    if outcome.error is not None and not is_unknown(outcome.error):
        assert outcome.error.sqlstate in FAULTS[fault.kind][1], describe(outcome.error)
    assert_sound(db, drawn, outcome)
    if outcome.inherited:
        assert db.one("SELECT count(*) FROM belay.applied") == len(drawn.migrations)


def assert_sound(db: Database, drawn: MigrationSet, outcome: Outcome, recorded: bool = True) -> None:
    """The first three conditions: the session, where it lives, the lock and the ledger.

    `recorded`: whether the ledger could be written.
    """
    if outcome.session is not None:
        assert_usable(outcome.session)
        assert_told(db, outcome.session, outcome.error)
        if recorded:
            assert_recorded(db, outcome.session, outcome.error)
    assert_free(db)
    assert_true(db, drawn)


def assert_goes_on(db: Database, drawn: MigrationSet, undisturbed: str) -> None:
    """The last two conditions: the next run completes, and the schema is that of an undisturbed one."""
    complete(db, drawn)
    assert_usable(db.session)
    assert_free(db)
    assert_complete(db, drawn)
    assert db.dump("--schema-only") == undisturbed


def complete(db: Database, drawn: MigrationSet) -> None:
    """The next run; where only the operator can know what a statement did, the operator looks and says so."""
    try:
        db.execute("CALL belay.migrate_up()")
    except psycopg.Error as error:
        if not is_unknown(error):
            raise
        say_how_it_ended(db, drawn)
        db.execute("CALL belay.migrate_up()")
