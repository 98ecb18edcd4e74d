"""What runs out while a migration runs: the disk, the size that a file may have, memory. Then it comes back.

A full disk is a tmpfs of a few megabytes, which takes root's rights to mount; elsewhere those tests are skipped, and the limit
of a file's size stands in for it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import uuid
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

import psycopg
import pytest

from harness.database import Database
from harness.random_fault import CALLS, Outcome
from harness.random_set import Migration, MigrationSet, Statement
from harness.server import Server, as_server_user, give_to_server_user, is_alive, run_folder
from harness.session import describe
from survival import assert_goes_on, assert_sound, prepare, run_undisturbed

MEGABYTE = 1 << 20
DISK_SIZE = 8 * MEGABYTE

# ── what runs out ────────────────────────────────────────────────────────────────────────────────────────────────────


class Disk:
    """A tablespace on a disk of its own."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.tablespace = f"small_{uuid.uuid4().hex[:8]}"
        self._filling = folder / "filling"

    def fill(self) -> None:
        with contextlib.suppress(OSError), self._filling.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        assert os.statvfs(self.folder).f_bavail == 0

    def empty(self) -> None:
        self._filling.unlink(missing_ok=True)


def remove_abandoned_disks() -> None:
    """A test run that was killed leaves its disk mounted."""
    for folder in run_folder().glob("disk-*"):
        if not is_alive(int(folder.name.partition("-")[2])):
            subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)
            with contextlib.suppress(OSError):  # another worker was quicker
                folder.rmdir()


@pytest.fixture(scope="module")
def disk(crash_server: Callable[[], Server]) -> Iterator[Disk]:
    """Of a server that has no standby, which would write into the same folder."""
    remove_abandoned_disks()
    folder = run_folder() / f"disk-{os.getpid()}"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE},mode=0700", "belay-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        folder.rmdir()
        pytest.skip("a small disk takes the right to mount one")
    try:
        give_to_server_user(folder)
        (folder / "space").mkdir(mode=0o700)
        give_to_server_user(folder / "space")
        server = crash_server()
        disk = Disk(server, folder)
        server.psql(f"CREATE TABLESPACE {disk.tablespace} LOCATION '{folder}/space'", check=True)
        yield disk
        disk.empty()
        server.psql(f"DROP TABLESPACE {disk.tablespace}", check=True)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


@pytest.fixture
def database_with_disk(disk: Disk, new_database: Callable[..., Database]) -> Iterator[Callable[[], Database]]:
    made: list[Database] = []

    def create() -> Database:
        made.append(new_database(on=disk.server))
        return made[-1]

    yield create
    for database in made:
        database.remove()


def limit(pid: int, what: str, size: int) -> Callable[[], None]:
    """Limits a backend, as the user that it runs as; returns what lifts the limit."""

    def set_limit(to: object) -> None:
        subprocess.run(as_server_user(["prlimit", f"--pid={pid}", f"--{what}={to}:"]), check=True, cwd="/", capture_output=True)

    set_limit(size)
    return lambda: set_limit("unlimited")


def address_space(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def limit_memory(session) -> Callable[[], None]:
    """What an ordinary statement needs is left, what `HUNGRY` takes is not."""
    return limit(session.pid, "as", address_space(session.pid) + 64 * MEGABYTE)


def limit_files(session) -> Callable[[], None]:
    """The segments of the write-ahead log, 16 MB each, must not meet it: that would take the server down."""
    return limit(session.pid, "fsize", 20 * MEGABYTE)


# ── where it runs out ────────────────────────────────────────────────────────────────────────────────────────────────


def there(relation: str) -> str:
    return f"SELECT to_regclass('{relation}') IS NOT NULL"


def table(name: str) -> Statement:
    return Statement(f"CREATE TABLE {name} (id int)", there(name))


def rows(name: str, count: int, where: str = "") -> Statement:
    return Statement(f"CREATE TABLE {name} {where} AS SELECT g AS id, repeat('x', 1000) AS word FROM generate_series(1, {count}) g", there(name))


#: 300 MB at once.
HUNGRY = Statement("CREATE TABLE big AS SELECT length(repeat('x', 300000000)) AS size", there("big"))
#: 23 MB.
LONG = rows("big", 20_000)


def around(statement: Statement, head: str = "", alone: bool = False, setup: str = "") -> MigrationSet:
    """The second of three migrations has it as the second of three statements."""
    middle = (table("before"), Statement(statement.text, statement.effect, setup, alone=alone), table("after"))
    text = head + ";\n".join(part.text for part in middle)
    return MigrationSet((
        Migration("0001_a", table("a").text, (table("a"),), True),
        Migration("0002_b", text, middle, not head and not alone),
        Migration("0003_c", table("c").text, (table("c"),), True),
    ))  # fmt: skip


OFF = "-- belay: transaction off\n"
#: Which call, and the head of the migration.
WAYS = {title: (call, "") for title, call in CALLS.items()} | {"statement by statement": (CALLS["per migration"], OFF)}
in_each_way = pytest.mark.parametrize("call, head", WAYS.values(), ids=WAYS)


class Shortage(NamedTuple):
    statement: Statement
    begin: Callable
    sqlstate: str


SHORTAGES = {
    "memory": Shortage(HUNGRY, limit_memory, "53200"),
    # The server has no code for EFBIG.
    "the size of a file": Shortage(LONG, limit_files, "XX000"),
}


def call_until(session, call: str, sqlstate: str) -> Outcome:
    with pytest.raises(psycopg.Error) as raised:
        session.execute(call)
    assert raised.value.sqlstate == sqlstate, describe(raised.value)
    return Outcome(raised.value, session)


@pytest.mark.thinned
@in_each_way
@pytest.mark.parametrize("shortage", SHORTAGES.values(), ids=SHORTAGES)
def test_a_backend_that_runs_out_of_something_is_survived(new_database, shortage, call, head):
    drawn = around(shortage.statement, head)
    undisturbed = run_undisturbed(new_database(), drawn)
    db = new_database()
    prepare(db, drawn)
    session = db.connect()
    session.execute("SELECT FROM belay.migrate_status()")  # the library is loaded: what it needs itself is there
    lift = shortage.begin(session)
    outcome = call_until(session, call, shortage.sqlstate)
    assert 'migration "0002_b" of project "default", up, statement 2 of 3' in outcome.error.diag.context
    assert_sound(db, drawn, outcome)
    lift()
    assert_goes_on(db, drawn, undisturbed)


@in_each_way
def test_a_full_disk_is_survived(database_with_disk, disk, call, head):
    drawn = around(rows("big", 1000, f"TABLESPACE {disk.tablespace}"), head)
    survive_full_disk(database_with_disk, disk, drawn, call)


def test_a_disk_that_is_full_in_a_concurrent_build_is_survived(database_with_disk, disk):
    effect = "SELECT coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('made')), false)"
    build = Statement(f"CREATE INDEX CONCURRENTLY made ON base (word, id) TABLESPACE {disk.tablespace}", effect)
    drawn = around(build, alone=True, setup=rows("base", 1000).text)
    db = survive_full_disk(database_with_disk, disk, drawn, CALLS["per migration"])
    assert db.one("SELECT count(*) FROM pg_class WHERE relname LIKE 'made%'") == 1


def survive_full_disk(database_with_disk, disk: Disk, drawn: MigrationSet, call: str) -> Database:
    first = database_with_disk()
    undisturbed = run_undisturbed(first, drawn)
    first.remove()  # there is room for one
    db = database_with_disk()
    prepare(db, drawn)
    disk.fill()
    try:
        outcome = call_until(db.connect(), call, "53100")
        assert 'migration "0002_b" of project "default", up, statement 2 of 3' in outcome.error.diag.context
        assert_sound(db, drawn, outcome)
    finally:
        disk.empty()
    assert_goes_on(db, drawn, undisturbed)
    return db


#: What the ledger writes when it cannot grow: the SQLSTATE that the call ends with, in which migration.
LEDGER = {
    "run": ("53100", None),
    "step": ("53100", "0001_a"),
    "applied": ("53100", "0001_a"),
    "unfinished": ("53100", "0002_b"),
    "step_error": ("23505", "0002_b"),
}
BREAKABLE = "CREATE TABLE word (word text UNIQUE); INSERT INTO word VALUES ('b')"




def ledger_cases() -> Iterator:
    for table in LEDGER:
        for title, (call, head) in WAYS.items():
            if table != "unfinished" or head:  # a transaction writes nothing there
                yield pytest.param(table, call, head, id=f"{table}-{title}")


@pytest.mark.thinned
@pytest.mark.parametrize("table, call, head", list(ledger_cases()))
def test_a_full_disk_of_the_ledger_is_survived_and_the_migrations_own_error_arrives(database_with_disk, disk, table, call, head):
    """Neither what succeeded nor what failed can be written."""
    sqlstate, name = LEDGER[table]
    broken = Statement("INSERT INTO word VALUES ('a')", "SELECT count(*) = 2 FROM word", BREAKABLE)
    drawn = around(broken, head, setup=broken.setup)
    undisturbed = run_undisturbed(database_with_disk(), drawn)
    db = database_with_disk()
    db.execute(f"ALTER TABLE belay.{table} SET TABLESPACE {disk.tablespace}")
    prepare(db, drawn)
    if table == "step_error":
        db.execute("UPDATE word SET word = 'a'")
    session = db.connect()
    disk.fill()
    try:
        outcome = call_until(session, call, sqlstate)
    finally:
        disk.empty()
    db.execute("UPDATE word SET word = 'b'")
    assert name is None or f'migration "{name}" of project "default", up' in outcome.error.diag.context
    kept = table in ("run", "applied", "unfinished") or "BEGIN; " in call
    told = [notice.message for notice in session.notices if notice.severity == "WARNING"]
    assert told == [] if kept else told[0].startswith(f'the history could not keep that migration "{name}" failed: could not extend file')
    assert_sound(db, drawn, outcome, recorded=kept)
    assert_goes_on(db, drawn, undisturbed)
