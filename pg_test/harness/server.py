"""A PostgreSQL server of this tree: made, started, crashed, stopped and removed.

    server = Server.create(18, "scratch")     # initdb in .belay/run/18-scratch, fsync off
    server.start()
    server.psql("SELECT 1").stdout            # superuser, over the private socket
    server.url("postgres")                    # for any client, over 127.0.0.1 with a password
    server.crash(); server.start()            # immediate shutdown, then crash recovery
    server.stop(); server.remove()

A server listens on a socket in a folder that only its own user enters, where every role is trusted, and on 127.0.0.1,
where a password is asked: another user of the machine gets in through neither.
Run by root, servers belong to `postgres`, or to `nobody` where that user does not exist; otherwise to the user.

Not guaranteed: durability. A crash of the machine (not of the server) may leave a data directory unusable.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Iterator, Mapping, Sequence

TREE = Path(__file__).resolve().parents[2]
MAJORS = (15, 16, 17, 18)
SUPERUSER = "postgres"

#: How long a start, a stop or a program may take before it counts as hung.
BOUND_SECONDS = 120

#: The longest folder name that leaves room for `/.s.PGSQL.65535` in a socket address.
LONGEST_SOCKET_FOLDER = 90

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "max_locks_per_transaction": "256",
    "max_prepared_transactions": "10",
    "shared_buffers": "64MB",
    "jit": "off",
    "lc_messages": "C",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
}


def run_folder() -> Path:
    """Where data directories live. A link where the server's user cannot enter the tree."""
    folder = TREE / ".belay" / "run"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def installation(major: int) -> Path:
    """The root of the server's own files, as `tools/setup` unpacked them."""
    folder = (TREE / ".belay" / "pg" / str(major)).resolve()
    if not (folder / "bin").exists():
        raise RuntimeError(f"PostgreSQL {major} is not set up; run: tools/setup {major}")
    return folder


def server_user() -> str | None:
    """The user that servers run as when this process is root's, else None: this user."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"


def as_server_user(command: Sequence[object]) -> list[str]:
    user = server_user()
    prefix = ["runuser", "-u", user, "--"] if user else []
    return prefix + [str(part) for part in command]


def give_to_server_user(path: Path) -> None:
    user = server_user()
    if user:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def client_environment() -> dict[str, str]:
    """This process's environment without what would redirect libpq: PGHOST, PGUSER, PGOPTIONS, ..."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PG") or k.startswith("PGRX_")}
    return kept | {"LC_ALL": "C.UTF-8", "PGCLIENTENCODING": "UTF8"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class CommandFailed(RuntimeError):
    """A server program ended with an error; the message holds what it printed."""


class Server:
    """One data directory and, while it runs, its server."""

    def __init__(self, major: int, name: str) -> None:
        self.major = major
        self.name = name
        self.folder = run_folder() / f"{major}-{name}"
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self._facts = self.folder / "server.json"
        #: How often this object has started the server; sessions of an earlier start are dead.
        self.starts = 0

    # ── making and removing ──────────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def create(cls, major: int, name: str, settings: Mapping[str, object] | None = None) -> Server:
        """Makes the data directory. `settings` are added to (and win over) the defaults of this module."""
        server = cls(major, name)
        server._make_folder()
        server._copy_of_fresh_cluster()
        password = secrets.token_hex(12)
        server._write_facts(password=password)
        server.configure({**SETTINGS, **(settings or {})})
        server.start()
        server.psql(f"ALTER ROLE {SUPERUSER} PASSWORD '{password}'", check=True)
        return server

    @classmethod
    def create_standby(cls, primary: Server, name: str) -> Server:
        """Makes a hot standby of a running server and starts it.

        A slot keeps WAL for it: each database that is made or dropped is a checkpoint of the primary, and the WAL before
        it is gone when the standby is late.
        """
        standby = cls(primary.major, name)
        standby._make_folder()
        standby._write_facts(password=primary.password)
        standby._run(
            "pg_basebackup",
            *("--pgdata", standby.data, "--write-recovery-conf", "--checkpoint", "fast", "--no-sync"),
            *("--create-slot", "--slot", "standby"),
            *("--host", primary.socket_folder, "--port", primary.port, "--username", SUPERUSER),
        )
        standby.configure({"hot_standby": "on", "hot_standby_feedback": "off", "max_standby_streaming_delay": "1s"})
        standby.start()
        return standby

    def configure(self, settings: Mapping[str, object]) -> None:
        """Adds settings to postgresql.conf; they count from the next start or `reload`."""
        lines = "".join(f"{name} = '{str(value).replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items())
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(lines)

    def remove(self) -> None:
        """Stops the server, if it runs, and removes everything it left."""
        if self.is_running():
            self.stop("immediate")
        facts = self._read_facts()
        if "socket_folder" in facts and not facts["socket_folder"].startswith(str(self.folder)):
            shutil.rmtree(facts["socket_folder"], ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    # ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Starts the server and waits until it answers. Each start takes a free port."""
        for attempt in (1, 2, 3):
            self._write_facts(port=free_port())
            options = (
                f"-c listen_addresses=127.0.0.1 -c port={self.port}"
                f" -c unix_socket_directories={self.socket_folder} -c unix_socket_permissions=0700"
            )
            try:
                self._run(
                    "pg_ctl", "start", "--pgdata", self.data, "--log", self.log, "--options", options,
                    "--wait", "--timeout", BOUND_SECONDS, "--silent",
                )
                self.starts += 1
                return
            except CommandFailed as failure:
                # Another process can take the port between the probe and the bind.
                if attempt == 3 or "could not bind" not in self.log_text():
                    raise CommandFailed(f"{failure}\n{self.log_text()[-4000:]}") from None

    def stop(self, mode: str = "fast") -> None:
        """`mode` is pg_ctl's: smart, fast, immediate."""
        self._run("pg_ctl", "stop", "--pgdata", self.data, "--mode", mode, "--wait", "--timeout", BOUND_SECONDS, "--silent")

    def crash(self) -> None:
        """Ends the server without a checkpoint: the next start recovers from the write-ahead log."""
        self.stop("immediate")

    def promote(self) -> None:
        """Makes a standby a primary, and waits until it is one."""
        self._run("pg_ctl", "promote", "--pgdata", self.data, "--wait", "--timeout", BOUND_SECONDS, "--silent")

    def take_over(self, old: Server) -> str:
        """pg_upgrade: takes the databases of a server of this or an older major. Both are stopped, and this one is fresh.

        Returns what both servers logged meanwhile.
        """
        if old.major < 18 <= self.major:  # whose initdb turns checksums on
            self._run("pg_checksums", "--disable", "--pgdata", self.data)
        self._run(
            "pg_upgrade",
            *("--old-bindir", old.program("pg_ctl").parent, "--new-bindir", self.program("pg_ctl").parent),
            *("--old-datadir", old.data, "--new-datadir", self.data, "--username", SUPERUSER),
            *("--old-port", free_port(), "--new-port", free_port(), "--socketdir", self.socket_folder),
            "--retain",
            folder=self.folder,
        )
        return "".join(log.read_text() for log in self.data.glob("pg_upgrade_output.d/*/log/pg_upgrade_server.log"))

    def restart(self) -> None:
        self.stop()
        self.start()

    def restart_on_its_port(self) -> None:
        """For what has noted the port, such as pg_cron."""
        self._run("pg_ctl", "restart", "--pgdata", self.data, "--log", self.log, "--wait", "--timeout", BOUND_SECONDS, "--silent")
        self.starts += 1

    def reload(self) -> None:
        self._run("pg_ctl", "reload", "--pgdata", self.data, "--silent")

    def is_running(self) -> bool:
        if not (self.data / "PG_VERSION").exists():
            return False
        try:
            self._run("pg_ctl", "status", "--pgdata", self.data)
        except CommandFailed:
            return False
        return True

    def exists(self) -> bool:
        return self._facts.exists() and (self.data / "PG_VERSION").exists()

    # ── reaching it ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def port(self) -> int:
        return self._read_facts()["port"]

    @property
    def password(self) -> str:
        """The superuser's, for 127.0.0.1; the socket asks for none."""
        return self._read_facts()["password"]

    @property
    def socket_folder(self) -> str:
        return self._read_facts()["socket_folder"]

    def url(self, database: str = "postgres") -> str:
        """A URL that any client on this machine can use."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def parameters(self, database: str = "postgres", user: str = SUPERUSER) -> dict[str, object]:
        """libpq's connection parameters, over the socket."""
        return {"host": self.socket_folder, "port": self.port, "dbname": database, "user": user}

    def program(self, name: str) -> Path:
        """The path of one of this major's programs, such as pg_dump."""
        return installation(self.major) / "bin" / name

    def client(
        self,
        program: str,
        *arguments: object,
        database: str = "postgres",
        user: str = SUPERUSER,
        stdin: str | None = None,
        environment: Mapping[str, str] | None = None,
        check: bool = False,
        timeout: float = BOUND_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a client program against `database`. `check=True` raises CommandFailed when it fails."""
        command = [
            str(self.program(program)),
            *("--host", self.socket_folder, "--port", str(self.port), "--username", user, "--dbname", database),
            *map(str, arguments),
        ]
        done = subprocess.run(
            command,
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=timeout,
            env=client_environment() | dict(environment or {}),
            check=False,
        )
        if check and done.returncode != 0:
            raise CommandFailed(f"{program} {' '.join(map(str, arguments))}: {done.stderr}{done.stdout}")
        return done

    def psql(self, sql: str, *arguments: object, **how: object) -> subprocess.CompletedProcess[str]:
        """Feeds `sql` to psql: unaligned, tuples only, stopping at the first error. `how` is that of `client`."""
        flags = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1")
        return self.client("psql", *flags, *arguments, stdin=sql, **how)

    def log_text(self) -> str:
        """What the server has logged since its data directory was made."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _make_folder(self) -> None:
        if self.folder.exists():
            raise RuntimeError(f"{self.folder} exists already")
        self.folder.mkdir()
        sockets = self.folder
        if len(str(sockets)) > LONGEST_SOCKET_FOLDER:
            sockets = Path(tempfile.mkdtemp(prefix="belay-"))
        for folder in {self.folder, sockets}:
            folder.chmod(0o700)
            give_to_server_user(folder)
        self._write_facts(socket_folder=str(sockets))

    def _copy_of_fresh_cluster(self) -> None:
        """initdb takes most of a second, a copy of what it made a tenth."""
        version = (installation(self.major) / "VERSION").read_text()
        fresh = run_folder() / f"{self.major}-initdb"
        with _locked(run_folder() / "initdb.lock"):
            if not (fresh / "VERSION").exists() or (fresh / "VERSION").read_text() != version:
                shutil.rmtree(fresh, ignore_errors=True)
                fresh.mkdir(mode=0o700)
                give_to_server_user(fresh)
                self._run(
                    "initdb",
                    *("--pgdata", fresh / "data", "--username", SUPERUSER, "--no-sync"),
                    *("--auth-local", "trust", "--auth-host", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"),
                    *("--pwfile", _scratch_password()),
                )
                _scratch_password().unlink()
                (fresh / "VERSION").write_text(version)
        subprocess.run(
            as_server_user(["cp", "-a", "--reflink=auto", fresh / "data", self.data]),
            check=True, cwd="/", timeout=BOUND_SECONDS,
        )

    def _run(self, program: str, *arguments: object, folder: str | Path = "/") -> str:
        """Runs a program as the server's user, in a folder, and returns what it printed."""
        environment = client_environment()
        # The PyPI servers' modules (libpqwalreceiver) have to find the libpq beside them, not the machine's.
        environment["LD_LIBRARY_PATH"] = str(installation(self.major) / "lib")
        with tempfile.TemporaryFile("w+") as output:  # a pipe would stay open as long as the server runs
            try:
                done = subprocess.run(
                    as_server_user([self.program(program), *arguments]),
                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                    cwd=folder, env=environment, timeout=2 * BOUND_SECONDS, check=False,
                )
            finally:
                output.seek(0)
                printed = output.read()
        if done.returncode != 0:
            raise CommandFailed(f"{program} of PostgreSQL {self.major} ({self.name}) failed: {printed}")
        return printed

    def _read_facts(self) -> dict:
        return json.loads(self._facts.read_text()) if self._facts.exists() else {}

    def _write_facts(self, **facts: object) -> None:
        known = self._read_facts() | facts
        known.setdefault("owner", os.getpid())
        unfinished = self._facts.with_suffix(".new")
        unfinished.write_text(json.dumps(known))
        unfinished.chmod(0o600)
        unfinished.replace(self._facts)


def _scratch_password() -> Path:
    """A file with the password that initdb wants for scram; each server gets its own right after."""
    path = run_folder() / "initdb.password"
    path.write_text(secrets.token_hex(12) + "\n")
    path.chmod(0o600)
    give_to_server_user(path)
    return path


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    deadline = time.monotonic() + BOUND_SECONDS
    with path.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{path} is locked by another process") from None
                time.sleep(0.05)
        yield


def remove_abandoned(prefix: str) -> None:
    """Removes the servers named `prefix…` whose making process has ended without removing them (a killed test run)."""
    with _locked(run_folder() / "abandoned.lock"):  # all workers begin with this
        for facts in run_folder().glob(f"*-{prefix}*/server.json"):
            major, _, name = facts.parent.name.partition("-")
            server = Server(int(major), name)
            if not is_alive(server._read_facts().get("owner")):
                server.remove()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def kill(pid: int) -> None:
    """kill -9, for tests of crashes."""
    os.kill(pid, signal.SIGKILL)
