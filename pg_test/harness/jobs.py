"""Jobs in tests: who registers them, how they are started, and how their end is awaited."""

from __future__ import annotations

import json

from harness.database import Database
from harness.session import Session

#: Where a job ends up.
ENDS = ["paused", "completed", "errored", "rolled_back", "failed_at_startup"]


def deployer(db: Database, name: str = "app") -> Session:
    """A session of an ordinary role that may register jobs and make tables."""
    role = db.role(name)
    db.execute("SELECT belay.grant_role(%s, 'deployer')", [role])
    db.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
    return db.connect(user=role)


def register(session: Session, name: str, *operations: str | dict, **more: object) -> None:
    """Operations are SQL or whole; without one the job makes a table of its name."""
    given = operations or (f"CREATE TABLE {name} ()",)
    made = json.dumps([{"sql": one} if isinstance(one, str) else one for one in given])
    arguments = "".join(f", {key} => %({key})s" for key in more)
    session.execute(f"SELECT belay.job_register(%(name)s, %(operations)s{arguments})", {"name": name, "operations": made, **more})


def start(session: Session, name: str) -> None:
    assert session.one("SELECT belay.job_start(%s)", [name]) == "starting"


def state(db: Database, name: str) -> str:
    return db.one("SELECT state FROM belay.job WHERE name = %s", [name])


def status(db: Database, name: str) -> tuple:
    """State, what it waits for, and the pid of its worker."""
    return db.rows("SELECT state, waits_for, worker FROM belay.job_status() WHERE name = %s", [name])[0]


def errors(db: Database, name: str) -> list[tuple]:
    """Newest first."""
    return db.rows("SELECT operation, direction, sqlstate, message FROM belay.job_errors WHERE job = %s", [name])


def wait_for_worker(db: Database, name: str) -> int:
    return db.wait_for("SELECT worker FROM belay.job_status() WHERE name = %s", [name], 60, f"job {name} has a worker")


def wait_for_end(db: Database, name: str, wanted: str = "completed", bound: float = 60) -> None:
    """The job has come to its end, which is the one that is wanted, and its worker has gone."""
    query = "SELECT state FROM belay.job_status() WHERE name = %s AND state = ANY (%s) AND worker IS NULL"
    found = db.wait_for(query, [name, ENDS], bound, f"job {name} has come to an end")
    assert found == wanted, errors(db, name)


def make_gate(session: Session) -> None:
    """pass() returns when the table go has a row."""
    session.execute("CREATE TABLE go ()")
    session.execute(
        """
        CREATE FUNCTION pass() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
            WHILE NOT EXISTS (SELECT FROM public.go) LOOP PERFORM pg_sleep(0.02); END LOOP;
            RETURN true;
        END $$
        """
    )


def open_gate(db: Database) -> None:
    db.execute("INSERT INTO go DEFAULT VALUES")
