"""Names that carry a version: what versioned_name gives, and what object_versions says of the versions that are alive."""

from __future__ import annotations

import re

import pytest

from harness.database import Database
from harness.session import expect_error


def migration(db: Database, name: str, up: str) -> None:
    db.execute("SELECT belay.migrate_register(%s, %s)", [name, up])


def versions(db: Database, columns: str) -> list[tuple]:
    return db.rows(f"SELECT kind, base, version, {columns} FROM belay.object_versions() ORDER BY kind, base, version")


def test_a_versioned_name_fits_into_a_name_of_the_server(db):
    names = "SELECT belay.versioned_name('fetch_job', 2), belay.versioned_name('Fetch Job', 1), octet_length(belay.versioned_name(repeat('x', 100), 123))"
    assert db.rows(names) == [("fetch_job_v2", "Fetch Job_v1", 63)]
    assert db.one("SELECT belay.versioned_name(repeat('é', 40), 12)") == "é" * 29 + "_v12"
    for call, message in {
        "'f', 0": "version 0 is not 1 or more", "'f', -2": "version -2 is not 1 or more", "'', 1": "base must not be empty",
        "NULL, 1": "base must not be null", "'f', NULL": "n must not be null", "'f_v1', 2": '"f_v1" carries a version already',
    }.items():  # fmt: skip
        with expect_error("22023", message=message, hint=re.compile(".")):
            db.execute(f"SELECT belay.versioned_name({call})")


@pytest.fixture
def two_releases(db):
    db.execute("SELECT belay.project_create('default', naming => 'release', contract => 'report')")
    migration(db, "01.00.00_01_pre_a", """
        CREATE TYPE status_v1 AS ENUM ('new');
        CREATE TABLE jobs (id int, status status_v1);
        CREATE FUNCTION fetch_v1(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
        CREATE FUNCTION notify_v1() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE FUNCTION unversioned() RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE TRIGGER told_v1 AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION notify_v1();
    """)  # fmt: skip
    migration(db, "02.00.00_01_pre_b", "CREATE FUNCTION fetch_v2(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 2; END'")
    migration(db, "02.00.00_50_post_c", "SELECT 1")
    db.execute("CALL belay.migrate_up(phase => 'pre')")
    for number in (1, 2):
        db.execute("SELECT belay.contract_query(%s, 'fetch', %s)", [f"{number}.0.0", f"SELECT fetch_v{number}($1)"])
    return db


def test_each_version_has_a_row_with_its_release_and_who_needs_it(two_releases):
    assert versions(two_releases, "object, release, needed_by, used_by") == [
        ("function", "fetch", 1, "public.fetch_v1(integer)", "1.0.0", [], ["1.0.0"]),
        ("function", "fetch", 2, "public.fetch_v2(integer)", "2.0.0", [], ["2.0.0"]),
        ("function", "notify", 1, "public.notify_v1()", "1.0.0", ["trigger told_v1 on table public.jobs"], []),
        ("trigger", "told", 1, "told_v1 on public.jobs", None, [], []),
        ("type", "status", 1, "public.status_v1", "1.0.0", ["column status of table public.jobs"], []),
    ]


def test_a_version_may_be_dropped_when_the_releases_that_use_it_have_been_cleaned_up_after(two_releases):
    db = two_releases
    both = "SELECT version, may_drop, reason FROM belay.object_versions() WHERE base = 'fetch' ORDER BY 1"
    uncounted = "calls are not counted: track_functions is none"
    assert db.rows(both) == [
        (1, False, f"used by contract queries of 1.0.0; {uncounted}"),
        (2, False, f"used by contract queries of 2.0.0; the newest version; {uncounted}"),
    ]
    db.execute("CALL belay.migrate_up(phase => 'post')")
    assert db.rows(both)[0] == (1, True, f"no contract query of a live release uses it; {uncounted}")


def test_dropping_a_version_that_a_live_release_uses_is_refused(two_releases):
    db = two_releases
    db.execute("SELECT belay.project_alter('default', contract => 'enforce')")
    migration(db, "02.00.00_51_post_wrong", "DROP FUNCTION fetch_v2(int)")
    with expect_error("MG019", message=re.compile('"fetch" of release 2.0.0 does not pass')):
        db.execute("CALL belay.migrate_up(phase => 'post')")
    db.execute("SELECT belay.migrate_unregister('02.00.00_51_post_wrong')")
    migration(db, "02.00.00_51_post_right", "DROP FUNCTION fetch_v1(int)")
    db.execute("CALL belay.migrate_up(phase => 'post')")
    assert versions(db, "true")[0] == ("function", "fetch", 2, True)


def test_calls_are_counted_where_the_server_counts_them(two_releases):
    db = two_releases
    db.execute("SET track_functions = 'pl'")
    calls = "SELECT calls FROM belay.object_versions() WHERE object = 'public.fetch_v1(integer)'"
    assert db.one(calls) == 0
    db.execute("SELECT fetch_v1(1)")
    db.execute("SELECT pg_stat_force_next_flush()")
    db.wait_for(f"SELECT ({calls}) = 1", what="the call is counted")


def test_only_the_projects_schemas_are_looked_at_and_no_extensions(db):
    db.execute("CREATE SCHEMA app; CREATE TYPE app.t_v1 AS ENUM (); CREATE DOMAIN public.d_v1 AS int; CREATE TABLE public.table_v1 (id int)")
    assert versions(db, "schema") == [("type", "d", 1, "public"), ("type", "t", 1, "app")]
    db.execute("SELECT belay.project_create('default', schemas => '{app}')")
    assert versions(db, "schema") == [("type", "t", 1, "app")]
    for wrong, state in {"'nowhere'": "MG011", "NULL": "22023"}.items():
        with expect_error(state, hint=re.compile(".")):
            db.execute(f"SELECT * FROM belay.object_versions({wrong})")
