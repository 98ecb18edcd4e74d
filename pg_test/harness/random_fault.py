"""Faults drawn at random, and how each is brought about at its moment.

    fault = draw_fault(random, drawn_set)
    outcome = disturb(db, fault, crash=server.crash_and_start)
    outcome.error          # what the call raised; None when it went through
    outcome.session        # the session of the call where it lives, else None
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from random import Random

import psycopg

from .database import Database, Running
from .random_set import MigrationSet, Statement
from .server import kill
from .session import Session
from .waiting import poll_until

#: The kind, how often it is drawn, and the SQLSTATEs that the call may then end with. None: the connection just ends.
FAULTS = {
    "kill the client": (4, {None}),
    "terminate the backend": (4, {"57P01", None}),
    "cancel": (4, {"57014"}),
    "statement timeout": (2, {"57014"}),
    "lock timeout": (3, {"55P03"}),
    "failing statement or commit": (3, {"23503", "23505"}),
    "kill the backend": (2, {"57P01", "57P02", "57P03", None}),
    "stop the server at once": (2, {"57P01", "57P02", "57P03", None}),
    "stop part of the way": (1, set()),
}

#: Faults that all sessions of the server suffer.
CRASHES = ("kill the backend", "stop the server at once")

CALLS = {
    "per migration": "CALL belay.migrate_up()",
    "per run": "CALL belay.migrate_up(transaction => 'per_run')",
    "in a block": "DO $$ BEGIN CALL belay.migrate_up(); END $$",
    "in the caller's transaction": "BEGIN; CALL belay.migrate_up(); COMMIT",
}

#: Waits as long as this for a lock are not ended by the limits that are set here.
UNLIMITED = "200 ms"
LIMIT = "40ms"

#: Tables that a run writes into; the second entry tells when.
LEDGER = ("belay.step", "belay.applied", "belay.unfinished", "belay.run")


@dataclasses.dataclass(frozen=True)
class Fault:
    kind: str
    call: str
    #: The statement that waits (or is broken) when it happens; None: whatever is in hand after `delay`.
    at: Statement | None
    blocker: str | None
    #: Seconds after the call began.
    delay: float = 0.0
    #: When the statement has waited, it goes on until the run writes into this table.
    ledger: str | None = None
    #: Another session waits for its turn.
    heir: bool = False
    #: The database is dumped afterwards, and the restored copy is what goes on.
    restored: bool = False

    @property
    def crashes(self) -> bool:
        return self.kind in CRASHES

    def __str__(self) -> str:
        where = f"at {self.at.text!r}, held by {self.blocker!r}" if self.at else f"after {self.delay * 1000:.0f} ms"
        more = [f"writing {self.ledger}"] if self.ledger else []
        more += [word for word, given in (("another waits", self.heir), ("then restored from a dump", self.restored)) if given]
        return ", ".join([f"{self.kind} of {self.call}", where, *more])


@dataclasses.dataclass
class Outcome:
    error: psycopg.Error | None = None
    session: Session | None = None
    #: Whether another session went on at once.
    inherited: bool = False


def draw_fault(random: Random, drawn: MigrationSet, crash: bool) -> Fault:
    """`crash`: whether the server is one that may go down; half of its faults then do that."""
    kinds = {kind: weight for kind, (weight, _) in FAULTS.items() if crash or kind not in CRASHES}
    kind = random.choices(list(kinds), list(kinds.values()))[0]
    if crash and random.random() < 0.5:
        kind = random.choice(CRASHES)
    call = random.choice(list(CALLS.values())) if drawn.transactional else CALLS["per migration"]
    restored = random.random() < 0.15
    if kind == "stop part of the way":
        steps = random.randint(1, len(drawn.migrations))
        return Fault(kind, f"CALL belay.migrate_up(steps => {steps})", None, None, restored=True)
    if kind == "failing statement or commit":
        breakable = [statement for statement in drawn.statements if statement.breaks]
        if breakable:
            return Fault(kind, call, random.choice(breakable), None, restored=restored)
        kind = "cancel"
    waiting = [statement for statement in drawn.statements if statement.blockers]
    if not waiting or ("timeout" not in kind and random.random() < 0.25):
        return Fault(kind, call, None, None, delay=random.uniform(0, 0.06), restored=restored)
    at = random.choice(waiting)
    blocker = random.choice(at.blockers)
    if kind in ("terminate the backend", *CRASHES) and random.random() < 0.35:
        return Fault(kind, call, at, blocker, ledger=random.choice(LEDGER), restored=restored)
    heir = kind in ("kill the client", "terminate the backend", "cancel") and random.random() < 0.25
    return Fault(kind, call, at, blocker, heir=heir, restored=restored and not heir)


# ── bringing it about ────────────────────────────────────────────────────────────────────────────────────────────────


def disturb(db: Database, fault: Fault) -> Outcome:
    """Calls, lets the fault happen at its moment, and waits until nothing of the call is left but its session."""
    broken = fault.kind == "failing statement or commit" and _tried(db, fault.at.breaks)
    with contextlib.ExitStack() as held:
        if fault.blocker:
            held.enter_context(_holding(db, fault.blocker))
        outcome = _by_psql(db, fault, held) if fault.kind == "kill the client" else _by_session(db, fault, held)
    if broken:
        db.execute(fault.at.mends)
    return outcome


def _by_psql(db: Database, fault: Fault, held: contextlib.ExitStack) -> Outcome:
    began = time.monotonic()
    client = db.start_psql(fault.call)
    mine = "SELECT pid FROM pg_stat_activity WHERE application_name = 'psql' AND datname = current_database()"
    pid = poll_until(lambda: db.one(mine) or client.poll() is not None, what="psql's backend")
    if pid is True:  # it has ended already
        return Outcome()
    heir = _reach(db, fault, pid, lambda: client.poll() is None, began, held)
    with contextlib.suppress(ProcessLookupError):
        kill(client.pid)
    client.wait()
    held.close()
    db.wait_until_gone(pid)
    return Outcome(psycopg.OperationalError("killed"), None, _inherit(heir))


def _by_session(db: Database, fault: Fault, held: contextlib.ExitStack) -> Outcome:
    limits = {"statement timeout": f"-c belay.statement_timeout={LIMIT}", "lock timeout": f"-c belay.lock_timeout={LIMIT}"}
    began = time.monotonic()
    run = db.start(fault.call, options=limits.get(fault.kind, ""))
    heir = _reach(db, fault, run.pid, lambda: run.is_running, began, held)
    struck = run.is_running
    if struck:
        _strike(db, fault, run)
    if fault.crashes:
        db.reconnect()
    held.close()
    run.thread.join(30)
    assert not run.is_running, f"backend {run.pid} runs on, 30 s after {fault.kind}"
    if run.error is not None and not isinstance(run.error, psycopg.Error):
        raise run.error
    if struck and fault.kind == "terminate the backend":
        db.wait_until_gone(run.pid)  # it may have come to the end of its call before
    _answers(run.session)
    alive = not run.session.closed
    if not alive:
        db.wait_until_gone(run.pid)
    return Outcome(run.error, run.session if alive else None, _inherit(heir))


def _strike(db: Database, fault: Fault, run: Running) -> None:
    if fault.kind == "terminate the backend":
        db.execute("SELECT pg_terminate_backend(%s)", [run.pid])
    elif fault.kind == "cancel":
        db.execute("SELECT pg_cancel_backend(%s)", [run.pid])
    elif fault.kind == "kill the backend":
        with contextlib.suppress(ProcessLookupError):
            run.kill()
        # Until the server has ended all sessions, it has not noticed.
        poll_until(lambda: not _answers(db.session), what="the server ends its sessions")
    elif fault.kind == "stop the server at once":
        db.server.crash()
        db.server.start()
    elif "timeout" in fault.kind:
        # A build's own waits have no limit: such a run goes on when what it waits for has ended.
        waits = f"SELECT EXISTS (SELECT FROM pg_locks WHERE pid = %s AND NOT granted AND now() - waitstart > '{UNLIMITED}')"
        poll_until(lambda: not run.is_running or db.one(waits, [run.pid]), what=f"{fault.kind} of backend {run.pid}")


def _reach(db: Database, fault: Fault, pid: int, goes_on, began: float, held: contextlib.ExitStack) -> Running | None:
    """Returns when the moment has come, or the call has ended without it. Starts the heir where there is one."""
    if fault.at is None:
        time.sleep(max(0.0, began + fault.delay - time.monotonic()))
        return None
    if "timeout" in fault.kind:
        return None
    if fault.blocker is None:
        poll_until(lambda: not goes_on(), what="the call ends")
        return None
    blocked = lambda: not goes_on() or db.one("SELECT cardinality(pg_blocking_pids(%s)) > 0", [pid])  # noqa: E731
    poll_until(blocked, what=f"backend {pid} waits or has ended")
    if fault.ledger and goes_on():
        with contextlib.suppress(psycopg.errors.LockNotAvailable):
            writing = _holding(db, f"LOCK TABLE {fault.ledger} IN SHARE ROW EXCLUSIVE MODE NOWAIT")
            session = writing.__enter__()
            first = held.pop_all()
            held.push(writing)
            first.close()
            waits = "SELECT %s = ANY (pg_blocking_pids(%s))"
            poll_until(lambda: not goes_on() or db.one(waits, [session.pid, pid]), what=f"backend {pid} writes {fault.ledger}")
    if not (fault.heir and goes_on()):
        return None
    heir = db.start("CALL belay.migrate_up()")
    poll_until(lambda: heir.session.messages or not heir.is_running, what="the next in turn waits")
    return heir


def _inherit(heir: Running | None) -> bool:
    if heir is None:
        return False
    try:
        heir.finish()
    except psycopg.Error as error:
        if not is_unknown(error):
            raise
        return False
    return True


def is_unknown(error: psycopg.Error) -> bool:
    """Belay refuses to guess how the statement ended that had begun."""
    return error.sqlstate == "MG007" and "whether it ended cannot be known" in error.diag.message_primary


@contextlib.contextmanager
def _holding(db: Database, statements: str):
    """A transaction that has run the statements, rolled back afterwards; a crash may end it before."""
    session = db.connect(autocommit=False)
    try:
        for statement in statements.split("; "):
            session.execute(statement)
    except psycopg.Error:
        session.close()
        raise
    try:
        yield session
    finally:
        with contextlib.suppress(psycopg.Error):
            session.rollback()
        session.close()


def _tried(db: Database, statement: str) -> bool:
    """An index that is there already may refuse what would have broken its build."""
    with contextlib.suppress(psycopg.IntegrityError):
        db.execute(statement)
        return True
    return False


def _answers(session: Session) -> bool:
    with contextlib.suppress(psycopg.Error):
        session.execute("SELECT 1")
        return True
    return False
