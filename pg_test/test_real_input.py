"""Real migrations: those of the package procrastinate, and the sample application of this tree."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from harness.database import Database
from harness.session import expect_error

#: What pg_dump writes about Belay itself is not the application's.
WITHOUT_BELAY = ("--schema-only", "--no-owner", "--exclude-schema=belay", "--exclude-extension=pg_belay")


def procrastinate() -> dict[str, str]:
    """The package's migrations: 38 files in release form."""
    folder = files("procrastinate") / "sql" / "migrations"
    found = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".sql")}
    assert len(found) == 38
    return dict(sorted(found.items()))


def dump(db: Database) -> str:
    """The application's schema. --exclude-extension is 17's; older majors write one CREATE EXTENSION more, taken out here."""
    options = [option for option in WITHOUT_BELAY if "extension" not in option or db.server.major >= 17]
    text = db.dump(*options)
    return re.sub(r"--\n-- Name: (EXTENSION )?pg_belay;.*?(?=--\n-- )", "", text, flags=re.DOTALL)


def run_by_psql(db: Database, migrations: dict[str, str]) -> None:
    for name, text in migrations.items():
        done = db.psql(text, "-v", "ON_ERROR_STOP=1")
        assert done.returncode == 0, f"{name}: {done.stderr}"


def load(db: Database, migrations: dict[str, str]) -> None:
    db.execute("SELECT * FROM belay.migrate_load_files(%s::jsonb)", [json.dumps(migrations)])


def test_procrastinates_migrations_give_the_schema_that_psql_gives(db, empty_db):
    migrations = procrastinate()
    load(db, migrations)
    assert [f"{name}.sql" for (name,) in db.rows("SELECT name FROM belay.migrate_plan() ORDER BY step")] == list(migrations)
    db.execute("CALL belay.migrate_up()")
    assert db.one("SELECT count(*) FROM belay.applied") == 38
    run_by_psql(empty_db, migrations)
    assert dump(db) == dump(empty_db)


def test_procrastinates_migrations_are_in_release_form(db):
    load(db, procrastinate())
    assert db.one("SELECT naming FROM belay.project") == "release"
    assert db.rows("SELECT DISTINCT phase FROM belay.migration ORDER BY 1") == [("post",), ("pre",)]
    assert db.one("SELECT count(*) FROM belay.migration WHERE release IS NULL") == 0


def test_a_dump_applies_as_one_baseline_migration(db, empty_db, new_database):
    run_by_psql(empty_db, procrastinate())
    baseline = empty_db.client("pg_dump", "--schema-only", "--no-owner", check=True).stdout
    db.execute("SELECT belay.migrate_register('0000_baseline', %s)", [baseline])
    db.execute("CALL belay.migrate_up()")
    assert db.one("SELECT count(*) FROM belay.applied") == 1
    assert dump(db) == dump(empty_db)


def test_per_run_of_all_takes_a_server_that_may_use_new_enum_values_at_once(db, major):
    load(db, procrastinate())
    if major >= 17:
        db.execute("CALL belay.migrate_up(transaction => 'per_run')")
        assert db.one("SELECT count(*) FROM belay.applied") == 38
        return
    with expect_error("55P04", message=re.compile("unsafe use of new value")):
        db.execute("CALL belay.migrate_up(transaction => 'per_run')")
    assert db.one("SELECT count(*) FROM belay.applied") == 0
    assert db.one("SELECT to_regclass('procrastinate_jobs')") is None


@pytest.mark.parametrize("transaction", ["per_migration", "each by itself"])
def test_the_sample_application_goes_up_all_the_way_down_and_up_again(db, migrations: Path, transaction):
    db.execute("SELECT * FROM belay.migrate_load(%s)", [str(migrations)])
    empty = dump(db)
    db.execute("CALL belay.migrate_up()")
    assert db.rows("SELECT DISTINCT state FROM belay.migrate_status()") == [("applied",)]
    full = dump(db)
    if transaction == "per_migration":
        db.execute("CALL belay.migrate_to('@none')")
    else:
        while db.one("SELECT count(*) FROM belay.applied"):
            db.execute("CALL belay.migrate_down()")
    assert dump(db) == empty
    db.execute("CALL belay.migrate_up()")
    assert dump(db) == full
