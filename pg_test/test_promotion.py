"""The primary dies in the middle of a run or a job, its standby is promoted, and the next run goes on there."""

from __future__ import annotations

from typing import Iterator

import psycopg
import pytest

from conftest import Standby
from harness.database import Database
from harness.jobs import deployer, wait_for_end
from harness.random_fault import CALLS, Outcome
from harness.server import Server
from harness.session import expect_error
from survival import assert_goes_on, assert_sound, prepare, run_undisturbed
from test_boundaries import BUILD, COLUMN, IN_TRANSACTIONS, STATEMENT_BY_STATEMENT, WITH_A_BUILD, Moment, gate
from test_job_workers import counts, start_slow_pass, tick

UP, PER_RUN = CALLS["per migration"], CALLS["per run"]
#: Each in a database of its own, so that one promotion serves all.
MOMENTS = {
    "before anything": Moment(IN_TRANSACTIONS, UP, gate(1)),
    "in a transactional migration": Moment(IN_TRANSACTIONS, UP, COLUMN),
    "in a run in one transaction": Moment(IN_TRANSACTIONS, PER_RUN, COLUMN),
    "between two migrations": Moment(IN_TRANSACTIONS, UP, gate(8)),
    "between two statements that are committed": Moment(STATEMENT_BY_STATEMENT, UP, gate(4)),
    "in a concurrent build": Moment(WITH_A_BUILD, UP, BUILD),
    "between a build and its row": Moment(WITH_A_BUILD, UP, BUILD, "belay.unfinished"),
}


@pytest.fixture
def pair(private_server, request) -> Iterator[tuple[Server, Server]]:
    """A primary and its standby, of this test alone."""
    primary = private_server()
    standby = Server.create_standby(primary, f"{primary.name}-standby")
    yield primary, standby
    standby.remove()


def begin(db: Database, moment: Moment) -> None:
    """A run that stands at that moment."""
    prepare(db, moment.drawn)
    holder = db.connect(autocommit=False)
    holder.execute(moment.at.blockers[0])
    run = db.start(moment.call)
    db.wait_until_blocked(run.pid)
    if moment.ledger:
        second = db.connect(autocommit=False)
        second.execute(f"LOCK TABLE {moment.ledger} IN SHARE ROW EXCLUSIVE MODE NOWAIT")
        holder.rollback()
        db.wait_for("SELECT %s = ANY (pg_blocking_pids(%s))", [second.pid, run.pid])


def test_a_run_that_died_with_the_primary_goes_on_where_its_standby_is_promoted(new_database, pair):
    primary, server = pair
    undisturbed = {}
    for drawn in (IN_TRANSACTIONS, STATEMENT_BY_STATEMENT, WITH_A_BUILD):
        undisturbed[drawn] = run_undisturbed(new_database(), drawn)
    databases = {title: new_database(on=primary) for title in MOMENTS}
    for title, db in databases.items():
        begin(db, MOMENTS[title])
    standby = Standby(primary, server)
    copies = {title: standby.database(db) for title, db in databases.items()}
    primary.crash()
    try:
        for copy in copies.values():
            with expect_error("25006", message="migrations cannot run on a standby"):
                copy.execute(UP)
        server.promote()
        for title, copy in copies.items():
            print(title)
            moment = MOMENTS[title]
            assert_sound(copy, moment.drawn, Outcome(psycopg.OperationalError("died"), None))
            assert copy.rows("SELECT outcome FROM belay.run") == [(None,)]
            built = "SELECT oid, relfilenode FROM pg_class WHERE relname = 'made'"
            before = copy.rows(built)
            assert_goes_on(copy, moment.drawn, undisturbed[moment.drawn])
            assert copy.rows("SELECT outcome FROM belay.run ORDER BY id") == [("lost",), ("succeeded",)]
            if moment.ledger:
                assert copy.rows(built) == before != []
    finally:
        standby.close()


def test_a_job_that_died_with_the_primary_goes_on_where_its_standby_is_promoted(new_database, pair):
    primary, server = pair
    db = new_database(on=primary)
    start_slow_pass(db, deployer(db))
    standby = Standby(primary, server)
    copy = standby.database(db)
    primary.crash()
    try:
        assert tick(copy) == 0
        server.promote()
        assert tick(copy) == 1
        wait_for_end(copy, "count")
        assert counts(copy) == [(1, 1000)]
    finally:
        standby.close()
