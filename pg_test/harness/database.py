"""One test's own database.

    def test_something(db):
        db.execute("SELECT belay.migrate_register('0001', 'CREATE TABLE t ()')")     # on a kept autocommit session
        assert db.one("SELECT count(*) FROM belay.migration") == 1
        assert db.rows("TABLE belay.applied") == []
        assert db.session.messages == [...]

        other = db.connect(user=db.role("deployer"))          # further sessions, closed with the test
        running = db.start("CALL belay.migrate_up()")         # in a thread, on a session of its own
        db.wait_until_blocked(running.pid)
        running.finish()                                      # its result, or its error

        done = db.psql("CALL belay.migrate_up()")             # returncode, stdout, stderr
        before = db.dump("--schema-only")                     # pg_dump's output without what changes from dump to dump
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
import threading
from typing import Mapping

import psycopg
from psycopg import sql

from .server import BOUND_SECONDS, SUPERUSER, Server, client_environment
from .session import Session
from .waiting import poll_until

_numbers = itertools.count(1)


class Database:
    """A database that lives as long as one test, with everything that was opened on it."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        self._session: Session | None = None
        self._session_of_start = 0
        self._sessions: list[Session] = []
        self._running: list[Running] = []
        self._clients: list[subprocess.Popen] = []
        self._roles: list[str] = []

    # ── making and removing ──────────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def create(cls, server: Server, template: str = "template0") -> Database:
        database = cls(server, f"t{next(_numbers)}")
        with _administration(server) as session:
            session.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                    sql.Identifier(database.name), sql.Identifier(template)
                )
            )
        return database

    def remove(self) -> None:
        """Ends what the test left running and drops the database and its roles."""
        with _administration(self.server) as session:
            session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.name)))
            for role in self._roles:
                session.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))
        self.close()

    def close(self) -> None:
        """Ends what the test left running."""
        for client in self._clients:
            if client.poll() is None:
                client.kill()
            client.communicate(timeout=BOUND_SECONDS)
        for running in self._running:
            if running.is_running:
                running.cancel()
            running.thread.join(BOUND_SECONDS)
        for session in self._sessions:
            session.close()

    # ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def session(self) -> Session:
        """The superuser's session that `execute`, `rows` and `one` use; autocommit."""
        if self._session is None or self._session.closed or self._session_of_start != self.server.starts:
            self._session = self.connect()
            self._session_of_start = self.server.starts
        return self._session

    def reconnect(self, bound: float = 30) -> None:
        """Replaces the kept session, waiting for a server that is recovering from the crash of a backend."""

        def connected() -> Session | None:
            with contextlib.suppress(psycopg.OperationalError):
                return self.connect()
            return None

        self._session = poll_until(connected, bound, "the server accepts connections")
        self._session_of_start = self.server.starts

    def kill_backend(self, running: Running) -> None:
        """kill -9 of a backend, and the restart of its server. Only on a private server; nothing where it has ended already."""
        witness = self.connect()
        if running.kill():

            def has_restarted() -> bool:
                with contextlib.suppress(psycopg.OperationalError):
                    witness.execute("SELECT")
                    return False
                return True

            poll_until(has_restarted, 30, "the server has ended its sessions")
        self.reconnect()

    def execute(self, query: str, parameters=None) -> psycopg.Cursor:
        return self.session.execute(query, parameters)

    def rows(self, query: str, parameters=None) -> list[tuple]:
        return self.session.rows(query, parameters)

    def one(self, query: str, parameters=None):
        """The value of a query with one row of one column; None for no row."""
        return self.session.one(query, parameters)

    def connect(self, user: str = SUPERUSER, autocommit: bool = True, **parameters) -> Session:
        """A new session, closed with the test. `parameters` are libpq's, such as options='-c role=x'."""
        where = self.server.parameters(self.name, user) | {"application_name": "pg_test"} | parameters
        session = Session.connect(**where, autocommit=autocommit, connect_timeout=20)
        self._sessions.append(session)
        return session

    def start(self, query: str, parameters=None, user: str = SUPERUSER, **how) -> Running:
        """Runs a statement in the background, on a session of its own."""
        running = Running(self.connect(user, **how), query, parameters)
        self._running.append(running)
        return running

    def role(self, name: str = "role", options: str = "LOGIN") -> str:
        """Creates a role that is dropped with the database; returns its name, unique in the server."""
        unique = f"{name}_{self.name}"
        self.execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(unique), sql.SQL(options)))
        self._roles.append(unique)
        return unique

    # ── programs ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def psql(self, script: str, *arguments: object, **how) -> subprocess.CompletedProcess[str]:
        """Feeds `script` to psql on its standard input (unaligned, tuples only, stops at the first error)."""
        return self.server.psql(script, *arguments, database=self.name, **how)

    def start_psql(self, script: str, *arguments: object, user: str = SUPERUSER) -> subprocess.Popen[str]:
        """psql as a process of its own, for tests that kill the client. Killed with the test at the latest."""
        command = [
            str(self.server.program("psql")), "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--username", user,
            "--host", self.server.socket_folder, "--port", str(self.server.port), "--dbname", self.name,
            *map(str, arguments), "--command", script,
        ]  # fmt: skip
        client = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=client_environment(),
        )  # fmt: skip
        self._clients.append(client)
        return client

    def client(self, program: str, *arguments: object, **how) -> subprocess.CompletedProcess[str]:
        """Runs one of the server's client programs (pg_restore, pgbench, ...) against this database."""
        return self.server.client(program, *arguments, database=self.name, **how)

    def dump(self, *arguments: object) -> str:
        """pg_dump's plain output, without the lines that differ between two dumps of the same database."""
        text = self.client("pg_dump", *arguments, check=True).stdout
        return re.sub(r"^(\\(un)?restrict .*|-- (Dumped|Started|Completed) .*)\n", "", text, flags=re.MULTILINE)

    def url(self) -> str:
        """For clients of other languages: 127.0.0.1, with the superuser's password."""
        return self.server.url(self.name)

    # ── watching ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def wait_until_blocked(self, pid: int, bound: float = 20) -> None:
        """Waits until that backend waits for a heavyweight lock."""
        self.wait_for("SELECT cardinality(pg_blocking_pids(%s)) > 0", [pid], bound, f"backend {pid} is blocked")

    def wait_until_gone(self, pid: int, bound: float = 20) -> None:
        """Waits until that backend has ended."""
        self.wait_for("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)", [pid], bound, f"backend {pid} ended")

    def wait_for(self, query: str, parameters=None, bound: float = 20, what: str = "") -> object:
        """Waits until the query's value is true, and returns it."""
        return poll_until(lambda: self.one(query, parameters), bound, what or query)

    def backend_state(self) -> Mapping[int, str]:
        """The statement that each client backend of this database is in or ran last."""
        return dict(self.rows("SELECT pid, query FROM pg_stat_activity WHERE datname = current_database()"))


class Running:
    """A statement that runs in a thread on a session of its own."""

    def __init__(self, session: Session, query: str, parameters) -> None:
        self.session = session
        self.pid = session.pid
        self.error: BaseException | None = None
        self.result: list[tuple] | None = None
        self.thread = threading.Thread(target=self._run, args=(query, parameters), daemon=True)
        self.thread.start()

    def _run(self, query: str, parameters) -> None:
        try:
            cursor = self.session.execute(query, parameters)
            self.result = cursor.fetchall() if cursor.description else []
        except BaseException as error:  # noqa: BLE001: handed to the test by `finish`
            self.error = error

    @property
    def is_running(self) -> bool:
        return self.thread.is_alive()

    def finish(self, bound: float = 30) -> list[tuple]:
        """Waits for the statement; returns its rows or raises its error."""
        self.thread.join(bound)
        assert not self.thread.is_alive(), f"backend {self.pid} is still running after {bound} s"
        if self.error is not None:
            raise self.error
        return self.result or []

    def cancel(self) -> None:
        """A query cancel, as by Ctrl-C in psql. A session that is gone already needs none."""
        with contextlib.suppress(psycopg.OperationalError):
            self.session.cancel_safe(timeout=10)

    def kill(self) -> bool:
        """kill -9 of the backend; whether it was there. The server restarts: only on a private server."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, 9)
            return True
        return False


def _administration(server: Server) -> Session:
    return Session.connect(**server.parameters("postgres"), autocommit=True, connect_timeout=20)
