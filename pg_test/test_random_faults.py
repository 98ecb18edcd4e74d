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

from conftest import TEMPLATE
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


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + DRAWS))
def test_a_disturbed_run_is_survived(server: Server, crash_server: Callable[[], Server], seed: int) -> None:
    random = Random(seed)
    crash = random.random() < CRASHES / 100
    drawn = draw_set(random)
    faults = [draw_fault(random, drawn, crash) for _ in range(random.choice([1, 1, 2, 3]))]
    print(f"BELAY_PG={MAJOR} BELAY_SOAK_SEED={seed} BELAY_SOAK_DRAWS=1")
    print(drawn)
    print(*(f"fault: {fault}" for fault in faults), sep="\n")
    databases: list[Database] = []
    try:
        survive(crash_server() if crash else server, drawn, faults, databases)
    finally:
        for db in databases:
            db.remove()


def survive(server: Server, drawn: MigrationSet, faults: list[Fault], databases: list[Database]) -> None:
    db = prepared(server, drawn, databases)
    for fault in faults:
        outcome = disturb(db, fault)
        print(f"{fault.kind}: {'went through' if outcome.error is None else describe(outcome.error)}")
        assert_survived(db, drawn, fault, outcome)
        if fault.restored:
            db = restored(db, databases)
            assert_true(db, drawn)
    complete(db, drawn)
    assert_usable(db.session)
    assert_free(db)
    assert_complete(db, drawn)
    undisturbed = prepared(server, drawn, databases)
    undisturbed.execute("CALL belay.migrate_up()")
    assert db.dump("--schema-only") == undisturbed.dump("--schema-only")


def prepared(server: Server, drawn: MigrationSet, databases: list[Database]) -> Database:
    db = Database.create(server, TEMPLATE)
    databases.append(db)
    if drawn.setup:
        db.execute(drawn.setup)
    for migration in drawn.migrations:
        db.execute("SELECT belay.migrate_register(%s, %s)", [migration.name, migration.text])
    return db


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


def restored(db: Database, databases: list[Database]) -> Database:
    copy = Database.create(db.server)
    databases.append(copy)
    copy.psql(db.client("pg_dump", check=True).stdout, check=True)
    return copy


def complete(db: Database, drawn: MigrationSet) -> None:
    """The next run; where only the operator can know what a statement did, the operator looks and says so."""
    try:
        db.execute("CALL belay.migrate_up()")
    except psycopg.Error as error:
        if not is_unknown(error):
            raise
        say_how_it_ended(db, drawn)
        db.execute("CALL belay.migrate_up()")
