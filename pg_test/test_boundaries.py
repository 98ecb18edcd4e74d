"""A cancel, a termination and an immediate stop of the server at every boundary of a run, in every statement, and between what
a statement did and the ledger's word about it. What random draws meet by chance is here one by one.

Where a statement waits, it is held by a transaction; where the ledger is written, by a lock on the table.
"""

from __future__ import annotations

from typing import Callable, NamedTuple

import pytest

from harness.random_fault import CALLS, Fault, disturb
from harness.random_set import Migration, MigrationSet, Statement
from harness.server import Server
from survival import Databases, assert_goes_on, assert_survived, prepare, run_undisturbed, survive

BASE = "CREATE TABLE base (id int PRIMARY KEY, word text); INSERT INTO base SELECT g, 'a' FROM generate_series(1, 20) g"
PARENT = """
    CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1);
    CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)
"""


def there(relation: str) -> str:
    return f"SELECT to_regclass('{relation}') IS NOT NULL"


def gate(number: int) -> Statement:
    """A boundary: what stands before has ended, what follows has not begun."""
    return Statement(f"SELECT pg_advisory_xact_lock_shared(42, {number})", None, "", (f"SELECT pg_advisory_xact_lock(42, {number})",))


def table(name: str) -> Statement:
    return Statement(f"CREATE TABLE {name} (id int)", there(name))


COLUMN = Statement(
    "ALTER TABLE base ADD COLUMN added int DEFAULT 7",
    "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'base'::regclass AND attname = 'added')",
    BASE, ("SELECT FROM base",),
)  # fmt: skip
DEFERRED = Statement(
    "INSERT INTO child VALUES (1)", "SELECT count(*) = 1 FROM child", PARENT,
    ("SELECT FROM parent FOR UPDATE",), "DELETE FROM parent", "INSERT INTO parent VALUES (1)",
)  # fmt: skip
#: On a table of its own: what holds it must not hold the statements before it.
BUILD = Statement(
    "CREATE INDEX CONCURRENTLY made ON items (word)",
    "SELECT coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('made')), false)",
    BASE.replace("base", "items"), ("INSERT INTO items VALUES (99)",), alone=True,
)  # fmt: skip


def migration(number: int, *statements: Statement, head: str = "") -> Migration:
    text = head + ";\n".join(statement.text for statement in statements)
    return Migration(f"{number:04}_m", text, statements, not head and not any(statement.alone for statement in statements))


OFF = "-- belay: transaction off\n"
FIRST = migration(1, gate(1), table("a"), gate(2))
LAST = migration(3, gate(8), table("z"), gate(9))
MIDDLE = (gate(3), COLUMN, gate(4), DEFERRED, gate(5))
IN_TRANSACTIONS = MigrationSet((FIRST, migration(2, *MIDDLE), LAST))
STATEMENT_BY_STATEMENT = MigrationSet((FIRST, migration(2, *MIDDLE, head=OFF), LAST))
WITH_A_BUILD = MigrationSet((FIRST, migration(2, gate(3), COLUMN, gate(4), BUILD, gate(5), table("after"), gate(6)), LAST))

SETS = {"in transactions": IN_TRANSACTIONS, "statement by statement": STATEMENT_BY_STATEMENT, "with a build": WITH_A_BUILD}


class Moment(NamedTuple):
    drawn: MigrationSet
    call: str
    at: Statement
    #: When the statement has ended, the run is met as it writes here.
    ledger: str | None = None


def moments() -> dict[str, Moment]:
    """Each statement of each set, in each way in which it can be run; then each write of the ledger."""
    found = {}
    for set_title, drawn in SETS.items():
        calls = CALLS if drawn.transactional else {"per migration": CALLS["per migration"]}
        for call_title, call in calls.items():
            for number, statement in enumerate((s for s in drawn.statements if s.blockers), 1):
                found[f"{set_title}, {call_title}, {number}"] = Moment(drawn, call, statement)
    for title, drawn, at, ledger in (
        ("a transaction and its step", IN_TRANSACTIONS, gate(5), "belay.step"),
        ("a transaction and its place", IN_TRANSACTIONS, gate(5), "belay.applied"),
        ("the last transaction and the end of the run", IN_TRANSACTIONS, gate(9), "belay.run"),
        ("a step and its first statement", STATEMENT_BY_STATEMENT, gate(2), "belay.unfinished"),
        ("a statement and its row", STATEMENT_BY_STATEMENT, COLUMN, "belay.unfinished"),
        ("the last statement and the step", STATEMENT_BY_STATEMENT, gate(5), "belay.step"),
        ("the last statement and the place", STATEMENT_BY_STATEMENT, gate(5), "belay.applied"),
        ("the intent and the build", WITH_A_BUILD, gate(4), "belay.unfinished"),
        ("the build and its row", WITH_A_BUILD, BUILD, "belay.unfinished"),
        ("the end of a build's migration and its place", WITH_A_BUILD, gate(6), "belay.applied"),
    ):
        found[f"between {title}"] = Moment(drawn, CALLS["per migration"], at, ledger)
    return found


MOMENTS = moments()
at_each_moment = pytest.mark.parametrize("moment", [pytest.param(moment, id=title) for title, moment in MOMENTS.items()])


def fault(kind: str, moment: Moment) -> Fault:
    return Fault(kind, moment.call, moment.at, moment.at.blockers[0], ledger=moment.ledger)


@pytest.fixture(scope="module")
def databases() -> Databases:
    return Databases()


@pytest.mark.thinned
@at_each_moment
@pytest.mark.parametrize("kind", ["cancel", "terminate the backend"])
def test_what_ends_a_call_at_any_boundary_is_survived(server: Server, databases: Databases, moment: Moment, kind: str):
    (outcome,) = survive(server, databases, moment.drawn, [fault(kind, moment)])
    # A cancel that comes while the ledger is written waits for the next boundary: there may be none.
    assert outcome.error is not None or (kind == "cancel" and moment.ledger)


@pytest.mark.thinned
@at_each_moment
def test_an_immediate_stop_at_any_boundary_is_survived(
    crash_server: Callable[[], Server], databases: Databases, moment: Moment
):
    (outcome,) = survive(crash_server(), databases, moment.drawn, [fault("stop the server at once", moment)])
    assert outcome.error is not None


def test_an_index_that_was_built_when_the_server_stopped_is_not_built_again(crash_server: Callable[[], Server], databases: Databases):
    """The server stops when the build has ended, before the ledger says so."""
    server, moment = crash_server(), MOMENTS["between the build and its row"]
    db = databases.empty(server)
    undisturbed = run_undisturbed(db, moment.drawn)
    db = databases.empty(server)
    prepare(db, moment.drawn)
    what = fault("stop the server at once", moment)
    outcome = disturb(db, what)
    assert outcome.error is not None
    assert_survived(db, moment.drawn, what, outcome)
    built = "SELECT oid, relfilenode FROM pg_class WHERE relname = 'made'"
    before = db.rows(built)
    assert len(before) == 1 and db.one(BUILD.effect) is True
    assert db.one("SELECT state FROM belay.migrate_status() WHERE name = '0002_m'") == "dirty"
    assert_goes_on(db, moment.drawn, undisturbed)
    assert db.rows(built) == before


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_commit_that_fails_is_survived(server: Server, databases: Databases, call: str):
    """A deferred constraint: nothing is wrong until COMMIT."""
    what = Fault("failing statement or commit", call, DEFERRED, None)
    (outcome,) = survive(server, databases, IN_TRANSACTIONS, [what])
    assert outcome.error.sqlstate == "23503"


@pytest.mark.thinned
@pytest.mark.parametrize("drawn", SETS.values(), ids=SETS)
@pytest.mark.parametrize("kind", ["statement timeout", "lock timeout"])
def test_a_timeout_of_a_statement_is_survived(server: Server, databases: Databases, drawn: MigrationSet, kind: str):
    calls = CALLS.values() if drawn.transactional else [CALLS["per migration"]]
    for call in calls:
        (outcome,) = survive(server, databases, drawn, [Fault(kind, call, COLUMN, COLUMN.blockers[0])])
        assert outcome.error is not None, call
