"""pg_upgrade: what it carries over, from each older major that is here as well, and that no job is run by it."""

from __future__ import annotations

import os

import pytest

from harness.database import Database
from harness.jobs import deployer, state, wait_for_end
from harness.server import MAJORS, TREE, installation
from ledger import applied, load
from test_job_workers import LAUNCHER, counts, start_slow_pass

MAJOR = int(os.environ.get("BELAY_PG", max(MAJORS)))
#: The build of 15 that is tested writes an option of columns, pg_attver, that the others do not know.
OLD_MAJORS = [15] if MAJOR == 15 else [major for major in MAJORS if 15 < major <= MAJOR]


def has_extension(major: int) -> bool:
    """Whether this version of it is installed for a major."""
    control = (TREE / "pg_belay.control").read_text()
    version = control.split("default_version = '")[1].split("'")[0]
    try:
        return any(installation(major).rglob(f"extension/pg_belay--{version}.sql"))
    except RuntimeError:
        return False


@pytest.mark.parametrize("old_major", OLD_MAJORS)
def test_what_is_registered_applied_and_under_way_goes_on_after_pg_upgrade(private_server, new_database, major, old_major):
    if not has_extension(old_major):
        pytest.skip(f"the extension is not installed for PostgreSQL {old_major}")
    old = private_server(settings=LAUNCHER, of_major=old_major)
    db = new_database(on=old)
    load(db, {"1_a.sql": "CREATE TABLE a ()", "2_b.sql": "CREATE TABLE b ()"})
    db.execute("CALL belay.migrate_up(steps => 1)")
    start_slow_pass(db, deployer(db))
    # The template lets nobody in, which pg_upgrade does not accept.
    db.execute("DROP DATABASE belay_template")
    db.close()
    old.stop()

    new = private_server(settings=LAUNCHER, template=False)
    new.stop()
    logged = new.take_over(old)
    assert "database system is ready" in logged and "pg_belay" not in logged
    new.start()
    after = Database(new, db.name)
    wait_for_end(after, "count")
    assert counts(after) == [(1, 1000)]
    assert applied(after) == ["1_a"]
    after.execute("CALL belay.migrate_up()")
    assert applied(after) == ["1_a", "2_b"] and after.rows("SELECT * FROM belay.migrate_validate()") == []
    after.close()
