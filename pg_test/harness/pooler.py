"""PgBouncer in transaction mode in front of a server of ours.

    with Pooler(server, pool_size=1) as pooler:
        client = pooler.connect(db)               # another session for each transaction, as far as the client can tell

`tools/setup --tests` unpacks Debian's package below .belay/pg/pgbouncer. It listens on 127.0.0.1 only, asks for a password,
and runs as the servers' user in a folder that only this user enters.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg

from .database import Database
from .server import BOUND_SECONDS, SUPERUSER, TREE, Server, as_server_user, client_environment, free_port, give_to_server_user, run_folder
from .session import Session
from .waiting import poll_until

HOME = (TREE / ".belay" / "pg" / "pgbouncer").resolve()

CONFIGURATION = """
[databases]
* = host={sockets} port={server_port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
logfile = {folder}/log
pidfile = {folder}/pid
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
"""


def program() -> Path | None:
    """PgBouncer as unpacked by tools/setup; None where it is not there."""
    path = HOME / "usr" / "sbin" / "pgbouncer"
    return path if path.exists() else None


class Pooler:
    def __init__(self, server: Server, pool_size: int) -> None:
        self.server = server
        self.pool_size = pool_size
        self.folder = run_folder() / f"pooler-{uuid.uuid4().hex[:12]}"
        self.password = secrets.token_hex(12)
        self.port = 0

    def __enter__(self) -> Pooler:
        self.folder.mkdir(mode=0o700)
        self.port = free_port()
        facts = {"sockets": self.server.socket_folder, "server_port": self.server.port, "user": SUPERUSER, "folder": self.folder}
        (self.folder / "ini").write_text(CONFIGURATION.format(port=self.port, pool_size=self.pool_size, **facts))
        (self.folder / "users").write_text(f'"{SUPERUSER}" "{self.password}"\n')
        for path in (self.folder, self.folder / "ini", self.folder / "users"):
            give_to_server_user(path)
        (self.folder / "users").chmod(0o600)
        libraries = next(HOME.glob("usr/lib/*-linux-gnu"), HOME)
        environment = client_environment() | {"LD_LIBRARY_PATH": str(libraries)}
        with tempfile.TemporaryFile("w+") as output:  # a pipe would stay open as long as it runs
            done = subprocess.run(
                as_server_user([program(), "--daemon", "--quiet", self.folder / "ini"]),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/", env=environment, timeout=BOUND_SECONDS, check=False,
            )  # fmt: skip
            output.seek(0)
            assert done.returncode == 0, f"pgbouncer: {output.read()}"
        poll_until(lambda: (self.folder / "pid").exists() and self._answers(), what=f"pgbouncer answers; {self.folder}/log")
        return self

    def __exit__(self, *_) -> None:
        pid = int((self.folder / "pid").read_text())
        os.kill(pid, signal.SIGTERM)  # at once, without waiting for clients
        poll_until(lambda: not (self.folder / "pid").exists() or not Path(f"/proc/{pid}").exists(), what="pgbouncer ends")
        shutil.rmtree(self.folder)

    def parameters(self, db: Database) -> dict[str, object]:
        return {"host": "127.0.0.1", "port": self.port, "user": SUPERUSER, "password": self.password, "dbname": db.name}

    def connect(self, db: Database, **parameters) -> Session:
        # A prepared statement belongs to one server connection.
        return Session.connect(**self.parameters(db) | parameters, autocommit=True, prepare_threshold=None, connect_timeout=20)

    def start_psql(self, db: Database, script: str) -> subprocess.Popen[str]:
        """psql as a process of its own, for tests that kill the client."""
        where = {f"PG{name.upper()}": str(value) for name, value in self.parameters(db).items() if name != "dbname"}
        return subprocess.Popen(
            [str(self.server.program("psql")), "--no-psqlrc", "--dbname", db.name, "--command", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=client_environment() | where,
        )  # fmt: skip

    def _answers(self) -> bool:
        try:
            where = {"host": "127.0.0.1", "port": self.port, "user": SUPERUSER, "password": self.password, "dbname": "postgres"}
            psycopg.connect(**where, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True
