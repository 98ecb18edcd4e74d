"""Fixtures. BELAY_PG says which major is tested; each xdist worker has one server, each test a database of its own.

    db               a fresh database with the extension                          harness.database.Database
    empty_db         a fresh database without it
    new_database     makes further ones: new_database(extension=True)
    server           the worker's server; never stop or crash it                  harness.server.Server
    standby          a hot standby of `server`: standby.database(db), standby.catch_up()
    private_server   makes servers that a test may crash: private_server(settings={...})
    crash_server     one server of the worker that tests may crash, if they start it again: crash_server()
    server_folder    a folder that the server's processes can read; the test may write into it
    migrations       the sample application of migrations/, as a folder that the server can read

From `harness`: `expect_error`, `poll_until`, `Session`; see their modules.
BELAY_PRELOAD=pg_stat_statements,auto_explain runs the suite beside other hooking libraries.
BELAY_KEEP=1 leaves the servers' data in .belay/run when the run ends.
BELAY_ALL=1 runs all cases of the tests marked `thinned` also on a major between the oldest and the newest.
"""

from __future__ import annotations

import itertools
import os
import shutil
import uuid
from pathlib import Path
from typing import Callable, Iterator

import psycopg
import pytest

from harness.database import Database
from harness.server import MAJORS, TREE, Server, give_to_server_user, remove_abandoned, run_folder
from harness.waiting import poll_until

#: The database with the extension that the tests' databases are copied from.
TEMPLATE = "belay_template"

for variable in [name for name in os.environ if name.startswith("PG") and not name.startswith("PGRX_")]:
    del os.environ[variable]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a test marked `thinned`, a major between the oldest and the newest takes every third case: each another third."""
    at = MAJORS.index(int(os.environ.get("BELAY_PG", max(MAJORS))))
    if at in (0, len(MAJORS) - 1) or os.environ.get("BELAY_ALL") or os.environ.get("BELAY_SOAK_DRAWS"):
        return
    seen: dict[str, int] = {}
    left_out = []
    for item in items:
        if item.get_closest_marker("thinned"):
            test = item.nodeid.split("[")[0]
            seen[test] = seen.get(test, -1) + 1
            if seen[test] % 3 != at % 3:
                left_out.append(item)
    gone = set(left_out)
    items[:] = [item for item in items if item not in gone]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def major() -> int:
    return int(os.environ.get("BELAY_PG", max(MAJORS)))


@pytest.fixture(scope="session")
def server(major: int) -> Iterator[Server]:
    remove_abandoned("test-")
    made = _make_server(major, {})
    _make_template(made)
    yield made
    _discard(made)


@pytest.fixture
def new_database(server: Server) -> Iterator[Callable[..., Database]]:
    made: list[Database] = []

    def create(extension: bool = True, on: Server = server) -> Database:
        made.append(Database.create(on, TEMPLATE if extension else "template0"))
        return made[-1]

    yield create
    for database in made:
        if database.server is server:
            database.remove()
        else:
            database.close()  # a private server's databases go with it


@pytest.fixture
def db(new_database: Callable[..., Database]) -> Database:
    return new_database()


@pytest.fixture
def empty_db(new_database: Callable[..., Database]) -> Database:
    return new_database(extension=False)


@pytest.fixture
def private_server(major: int, request: pytest.FixtureRequest) -> Iterator[Callable[..., Server]]:
    """Makes running servers with the extension's template database; `new_database(on=server)` works on them."""
    made: list[Server] = []

    def create(settings: dict[str, object] | None = None, of_major: int = major, template: bool = True) -> Server:
        one = _make_server(of_major, settings or {})
        made.append(one)
        if template:
            _make_template(one)
        return one

    yield create
    for one in made:
        _discard(one)


@pytest.fixture(scope="session")
def crash_server(major: int) -> Iterator[Callable[[], Server]]:
    """One server a worker that tests may crash, if they start it again; made when it is first asked for."""
    made: list[Server] = []

    def get() -> Server:
        if not made:
            made.append(_make_server(major, {}))
            _make_template(made[0])
        return made[0]

    yield get
    for one in made:
        _discard(one)


class Standby:
    """The hot standby of the worker's server."""

    def __init__(self, primary: Server, server: Server) -> None:
        self.primary = primary
        self.server = server
        self._databases: list[Database] = []

    def database(self, db: Database) -> Database:
        """The standby's copy of a database; call `catch_up` after each change that has to be seen."""
        self.catch_up()
        copy = Database(self.server, db.name)
        self._databases.append(copy)
        return copy

    def close(self) -> None:
        for database in self._databases:
            database.close()

    def catch_up(self, bound: float = 60) -> None:
        """Waits until everything that the primary has written is replayed."""
        with psycopg.connect(**self.primary.parameters(), autocommit=True) as primary:
            position = primary.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0]
        with psycopg.connect(**self.server.parameters(), autocommit=True) as standby:
            replayed = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
            try:
                poll_until(lambda: standby.execute(replayed, [position]).fetchone()[0], bound, f"replay of {position}")
            except AssertionError as late:
                # A standby that is stuck says why in its log, and not to its clients.
                raise AssertionError(f"{late}\n{self.server.log_text()[-1000:]}") from None


@pytest.fixture(scope="session")
def standby(server: Server) -> Iterator[Standby]:
    copy = Standby(server, Server.create_standby(server, f"{server.name}-standby"))
    yield copy
    copy.close()
    _discard(copy.server)


@pytest.fixture
def server_folder() -> Iterator[Path]:
    folder = run_folder() / f"files-{uuid.uuid4().hex[:12]}"
    folder.mkdir(mode=0o755)
    give_to_server_user(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def migrations(server_folder: Path) -> Path:
    return Path(shutil.copytree(TREE / "migrations", server_folder / "migrations"))


_server_numbers = itertools.count(1)


def _make_server(major: int, settings: dict[str, object]) -> Server:
    preload = [part for part in (os.environ.get("BELAY_PRELOAD"), settings.get("shared_preload_libraries")) if part]
    if preload:
        settings = settings | {"shared_preload_libraries": ",".join(map(str, preload))}
    return Server.create(major, f"test-{os.getpid()}-{next(_server_numbers)}", settings)


def _make_template(server: Server) -> None:
    server.psql(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0", check=True)
    server.psql("CREATE EXTENSION pg_belay", database=TEMPLATE, check=True)
    # A session in the template (an autovacuum worker's is enough) would make CREATE DATABASE wait.
    server.psql(f"ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false", check=True)


def _discard(server: Server) -> None:
    if os.environ.get("BELAY_KEEP"):
        server.stop("immediate") if server.is_running() else None
    else:
        server.remove()
