"""pg_cron calls a verb, as a background worker or over a connection of its own: no client, and nobody who reads what comes back.

A job is a way to have a text run with another role's rights: what a deployer registers, a superuser's job does not run.
"""

from __future__ import annotations

import os
from typing import Callable, Iterator, NamedTuple

import pytest
from psycopg import sql

from harness.database import Database
from harness.server import Server, installation
from ledger import applied, history, tables

MAJOR = int(os.environ.get("BELAY_PG", 0))
#: Debian's package, which is for Debian's server; tools/setup --tests puts it there.
THERE = MAJOR == 15 and (installation(15) / "usr/lib/postgresql/15/lib/pg_cron.so").exists()
if MAJOR == 15 and os.environ.get("CI") == "true":
    assert THERE, "pg_cron is not in .belay/pg/15"
pytestmark = pytest.mark.skipif(not THERE, reason="pg_cron is here for PostgreSQL 15 only")

UP = "CALL belay.migrate_up()"


class Job(NamedTuple):
    status: str
    message: str
    role: str


class Cron:
    """A server with pg_cron, whose jobs run when it is restarted."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.jobs = Database(server, "postgres")
        self.jobs.execute("CREATE EXTENSION pg_cron")

    def schedule(self, db: Database, command: str, role: str) -> None:
        self.jobs.execute("SELECT cron.schedule_in_database(%s, '@reboot', %s, %s, %s)", [db.name, command, db.name, role])

    def run_all(self) -> dict[str, Job]:
        """How each database's job ended."""
        self.server.restart_on_its_port()
        ended = "SELECT count(*) = (SELECT count(*) FROM cron.job) FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')"
        self.jobs.wait_for(ended, bound=60, what="all jobs have ended")
        rows = self.jobs.rows("SELECT database, status, return_message, username FROM cron.job_run_details")
        return {database: Job(*rest) for database, *rest in rows}


@pytest.fixture(params=["background workers", "connections"])
def cron(private_server: Callable[..., Server], request) -> Iterator[Cron]:
    server = private_server(settings={"shared_preload_libraries": "pg_cron", "max_worker_processes": 20})
    workers = "on" if request.param == "background workers" else "off"
    server.configure({"cron.use_background_workers": workers, "cron.host": server.socket_folder})
    server.restart()
    made = Cron(server)
    yield made
    made.jobs.close()


def deployer(db: Database) -> str:
    role = db.role("deployer")
    db.execute("SELECT belay.grant_role(%s, 'deployer')", [role])
    db.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(sql.Identifier(role)))
    return role


def register(session, name: str, up: str) -> None:
    session.execute("SELECT belay.migrate_register(%s, %s)", [name, up])


def test_a_job_runs_migrations_with_its_owners_rights_and_no_trojans(cron: Cron, new_database):
    own, trusted, trojan, deployers = (new_database(on=cron.server) for _ in range(4))

    register(own.session, "1_a", "CREATE TABLE a (id int)")
    register(own.session, "2_b", "CREATE INDEX CONCURRENTLY i ON a (id); CREATE TABLE b ()")
    cron.schedule(own, UP, "postgres")

    role = deployer(trojan)
    register(trojan.session, "1_a", "CREATE TABLE a ()")
    register(trojan.connect(user=role), "2_b", f"ALTER ROLE {role} SUPERUSER")
    cron.schedule(trojan, UP, "postgres")

    trusted_role = deployer(trusted)
    register(trusted.connect(user=trusted_role), "1_a", "CREATE TABLE a ()")
    cron.schedule(trusted, f"CALL belay.migrate_up(trust => '{{{trusted_role}}}')", "postgres")

    other = deployer(deployers)
    register(deployers.connect(user=other), "1_a", "CREATE TABLE a ()")
    register(deployers.connect(user=other), "2_b", f"ALTER ROLE {other} SUPERUSER")
    cron.schedule(deployers, UP, other)

    ended = cron.run_all()

    assert ended[own.name].status == "succeeded", ended
    assert applied(own) == ["1_a", "2_b"] and tables(own) == ["a", "b"]
    assert own.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass") is True

    assert ended[trojan.name].status == "failed" and "would run with the rights of" in ended[trojan.name].message, ended
    assert applied(trojan) == [] == tables(trojan) == history(trojan)

    assert ended[trusted.name].status == "succeeded" and applied(trusted) == ["1_a"], ended

    assert ended[deployers.name].status == "failed" and "must be superuser" in ended[deployers.name].message, ended
    assert history(deployers) == [("1_a", "up", "applied"), ("2_b", "up", "failed")]
    assert deployers.rows("SELECT DISTINCT role::text, session_role::text FROM belay.run") == [(other, other)]
    assert deployers.rows("SELECT tableowner::text FROM pg_tables WHERE tablename = 'a'") == [(other,)]

    superusers = "SELECT count(*) FROM pg_roles WHERE rolsuper AND rolname LIKE 'deployer%'"
    assert own.one(superusers) == 0
    for db in (own, trojan, trusted, deployers):
        assert db.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1651270009") == []
        assert db.one("SELECT count(*) FROM belay.run WHERE outcome IS NULL") == 0


def test_the_jobs_worker_stops_at_a_cancel_and_the_next_job_goes_on(cron: Cron, new_database):
    db = new_database(on=cron.server)
    register(db.session, "1_a", "CREATE TABLE a ()")
    register(db.session, "2_b", "SELECT pg_sleep(600) WHERE to_regclass('go') IS NULL")
    cron.schedule(db, UP, "postgres")
    cron.server.restart_on_its_port()
    sleeping = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    pid = db.wait_for(sleeping, bound=60)
    db.execute("SELECT pg_cancel_backend(%s)", [pid])
    db.wait_until_gone(pid)
    assert history(db) == [("1_a", "up", "applied"), ("2_b", "up", "failed")]
    assert db.rows("SELECT outcome FROM belay.run") == [("failed",)]
    db.execute("CREATE TABLE go ()")
    cron.jobs.execute("DELETE FROM cron.job_run_details")
    assert cron.run_all()[db.name].status == "succeeded"
    assert applied(db) == ["1_a", "2_b"]


def test_a_post_runs_by_a_job_when_nobody_old_is_there_and_a_shut_gate_shows_in_the_jobs_details(cron: Cron, new_database):
    opened, skipped, shut = (new_database(on=cron.server) for _ in range(3))
    post = "CALL belay.migrate_up(phase => 'post'{}, project => 'shop')"
    for db, argument in ((opened, ", gate => 'skip'"), (skipped, ", gate => 'skip'"), (shut, "")):
        db.execute("SELECT belay.project_create('shop', naming => 'release')")
        for name in ("3.0.0_01_pre_a", "3.0.0_50_post_b"):
            db.execute("SELECT belay.migrate_register(%s, 'SELECT 1', project => 'shop')", [name])
        db.execute("CALL belay.migrate_up(phase => 'pre', project => 'shop')")
        # Sessions do not outlive the server's restart, which runs the jobs; check-ins do.
        if db is not opened:
            db.execute("SELECT belay.client_checkin('2.9.0', 'web-1', '1 hour', 'shop')")
        cron.schedule(db, post.format(argument), "postgres")
    ended = cron.run_all()

    assert ended[opened.name].status == "succeeded", ended
    assert applied(opened, "shop") == ["3.0.0_01_pre_a", "3.0.0_50_post_b"]

    assert ended[skipped.name].status == "succeeded", ended
    assert ended[shut.name].status == "failed", ended
    assert "post of release 3.0.0 may not run yet: 1 client of an older release is there" in ended[shut.name].message
    for db in (skipped, shut):
        assert applied(db, "shop") == ["3.0.0_01_pre_a"]
        assert db.rows("SELECT outcome FROM belay.run") == [("succeeded",)]
