"""Procrastinate's own releases, one after the other: the real migrations, the real client libraries of the versions before and
after each, and what those libraries send as contract queries.

The libraries are in environments of their own, .belay/clients/procrastinate-VERSION; tools/setup --tests 18 makes them.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from harness.database import Database
from harness.server import BOUND_SECONDS, TREE, client_environment
from test_real_input import load, procrastinate

#: The library's version whose code each release of the migrations belongs to, in order; 2.15.1 is what ran before 3.0.0.
CLIENTS = {"2.15.1": "2.15.1", "3.0.0": "3.0.2", "3.1.0": "3.1.0", "3.2.0": "3.2.2", "3.3.0": "3.3.0", "3.4.0": "3.4.0"}
#: The last one before 3.0.0.
BASE = "02.14.01_01_add_indexes_for_fetch_job"
#: The server on which the clients run: they are the same on all.
MAJOR = 18
#: What every client's jobs come to.
WELL = {
    "done": "succeeded", "locked": "succeeded", "failed": "failed", "retried": "succeeded", "scheduled": "cancelled",
    "cancelled": True, "listed": True,
}  # fmt: skip


def environment(version: str) -> Path:
    folder = TREE / ".belay" / "clients" / f"procrastinate-{version}"
    assert (folder / "complete").exists(), f"{folder} is not there; run: tools/setup --tests {MAJOR}"
    return folder


def library(version: str) -> Path:
    (folder,) = environment(version).glob("lib/python3*/site-packages/procrastinate")
    return folder


def queries_of(version: str) -> dict[str, str]:
    """What the library sends, with the server's placeholders in the place of psycopg's."""
    text = (library(version) / "sql" / "queries.sql").read_text("utf-8")
    parts = re.split(r"(?:\n|^)-- ([a-z0-9_]+) --\n(?:-- .+\n)*", text, flags=re.MULTILINE)
    queries = {name: numbered(query) for name, query in zip(parts[1::2], parts[2::2])}
    assert queries.pop("listen_queue").startswith("LISTEN")  # a utility statement, and a template
    assert len(queries) >= 15
    return queries


def numbered(query: str) -> str:
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", query)))
    return re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", query).replace("%%", "%").strip()


class Client:
    """The library of one version at work; its sessions stay open until the end."""

    def __init__(self, db: Database, version: str) -> None:
        conninfo = f"{db.url()}?application_name=procrastinate/{version}"
        script = TREE / "pg_test" / "procrastinate_client.py"
        self.version = version
        self.process = subprocess.Popen(
            [environment(version) / "bin" / "python", "-B", script, conninfo],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=client_environment(),
        )  # fmt: skip

    def work(self) -> dict[str, object]:
        self.process.stdin.write("work\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the client {self.version} ended: {self.process.communicate(timeout=BOUND_SECONDS)[1]}"
        return json.loads(line)

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(timeout=BOUND_SECONDS)
        finally:
            self.process.kill()


def project_with_migrations(db: Database) -> None:
    """Reporting, so that the whole walk is seen: some of the scripts break the contract in other ways."""
    db.execute("SELECT belay.project_create('default', contract => 'report')")
    load(db, procrastinate())
    db.execute("CALL belay.migrate_up(target => %s)", [BASE])


def register(db: Database, release: str) -> None:
    """What the library of that release sends."""
    query = "SELECT DISTINCT action FROM belay.contract_queries(%s, %s::jsonb)"
    assert db.rows(query, [release, json.dumps(queries_of(CLIENTS[release]))]) == [("added",)]


def failing(db: Database, release: str) -> set[str]:
    return {name for (name,) in db.rows("SELECT name FROM belay.contract_check(%s) WHERE NOT passes", [release])}


def reported(db: Database) -> list[tuple[str, str]]:
    """What the walk did to contract queries: migration, line."""
    query = """
        SELECT s.name, r FROM belay.step s, unnest(s.reported) r
        WHERE s.outcome = 'applied' AND r LIKE 'contract-query,%%' ORDER BY s.id, r
    """
    return db.rows(query)


def up(db: Database, phase: str, release: str) -> None:
    db.execute(f"CALL belay.migrate_up(phase => '{phase}', release => '{release}')")


def test_the_walk_of_phases_applies_every_script_of_each_release(db):
    project_with_migrations(db)
    seen = []
    for release in list(CLIENTS)[1:]:
        for phase in ("pre", "post"):
            up(db, phase, release)
            seen += db.rows("SELECT release, phase FROM belay.migration m JOIN belay.applied a ON a.migration_id = m.id ORDER BY position DESC LIMIT 1")
    assert seen == [
        ("3.0.0", "pre"), ("3.0.0", "post"), ("3.1.0", "pre"), ("3.1.0", "post"), ("3.2.0", "pre"), ("3.2.0", "post"),
        ("3.3.0", "pre"), ("3.3.0", "pre"), ("3.4.0", "pre"), ("3.4.0", "post"),
    ]  # fmt: skip


@pytest.fixture
def clients(db, major):
    if major != MAJOR:
        pytest.skip(f"the clients run on {MAJOR}")
    started: dict[str, Client] = {}

    def client(release: str) -> Client:
        if release not in started:
            started[release] = Client(db, CLIENTS[release])
        return started[release]

    yield client
    for one in started.values():
        one.close()


def test_what_the_contract_says_of_a_release_is_what_its_real_client_does(db, clients):
    project_with_migrations(db)
    for release in CLIENTS:
        register(db, release)
    seen: dict[tuple[str, str], bool] = {}

    def look(code: str, stop: str) -> None:
        said, broken = clients(code).work(), failing(db, code)
        assert (said == WELL) == (broken == set()), f"code {code} at {stop}: the client says {said}, the contract {broken}"
        seen[code, stop] = said == WELL

    releases = list(CLIENTS)
    for before, release in zip(releases, releases[1:]):
        look(release, f"before {release}")
        look(before, f"before {release}")
        for phase in ("pre", "post"):
            up(db, phase, release)
            look(release, f"{phase} {release}")
            look(before, f"{phase} {release}")
        # What a rolling deployment needs; the rest may be as it is.
        assert seen[before, f"before {release}"] and seen[before, f"pre {release}"]
        assert seen[release, f"pre {release}"] and seen[release, f"post {release}"]
    assert reported(db) == []
    # The contract is no yes to everything: this is where the real clients fail.
    assert {stop for stop, works in seen.items() if not works} == {
        ("3.0.0", "before 3.0.0"), ("2.15.1", "post 3.0.0"), ("3.1.0", "before 3.1.0"), ("3.0.0", "post 3.1.0"),
        ("3.2.0", "before 3.2.0"), ("3.1.0", "post 3.2.0"), ("3.4.0", "before 3.4.0"),
    }  # fmt: skip


def test_a_post_that_is_run_as_a_pre_breaks_what_the_deployed_library_sends(db, clients):
    db.execute("SELECT belay.project_create('default', contract => 'report')")
    migrations = procrastinate()
    migrations["03.00.00_02_pre_too_early.sql"] = migrations.pop("03.00.00_50_post_cancel_notification.sql")
    load(db, migrations)
    db.execute("CALL belay.migrate_up(target => %s)", [BASE])
    register(db, "2.15.1")
    assert clients("2.15.1").work() == WELL
    up(db, "pre", "3.0.0")
    broken = ["cancel_job", "defer_job", "defer_periodic_job", "fetch_job", "finish_job", "retry_job"]
    assert reported(db) == [
        ("03.00.00_02_pre_too_early", f"contract-query, query {name} of release 2.15.1: 42883") for name in broken
    ]
    assert "UndefinedFunction: function procrastinate_defer_job(" in clients("2.15.1").work()["error"]
