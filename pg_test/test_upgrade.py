"""Every earlier version, filled with history, becomes by ALTER EXTENSION … UPDATE what a fresh install is.

Versions are found by the files of sql/. An earlier version runs here on today's library, so that library keeps the C
symbols of all of them: what a session sees between the installation of a library and the update of the extension is
Belay's own hint, not "could not find function".

The history is data that the version itself wrote. `tools/record-history` keeps it in pg_test/upgrade/VERSION.sql; run it
before the version in pg_belay.control is raised.
"""

import difflib
import re

import pytest

from harness.catalog import EXTENSION, fingerprint
from harness.server import TREE

HISTORIES = TREE / "pg_test" / "upgrade"

#: Kept short: what has to work on a database that came from an earlier version.
STILL_WORKS = """
SELECT count(*) > 0 FROM belay.migrate_status();
CALL belay.migrate_up();
CALL belay.migrate_down(steps => 1);
CALL belay.migrate_up();
"""


def by_number(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def default_version() -> str:
    return re.search(r"^default_version = '(.+)'", (TREE / "pg_belay.control").read_text(), re.MULTILINE)[1]


def versions() -> list[str]:
    """All versions that a script in sql/ installs, oldest first."""
    names = (re.fullmatch(rf"{EXTENSION}--([\d.]+)\.sql", path.name) for path in (TREE / "sql").iterdir())
    return sorted((name[1] for name in names if name), key=by_number)


EARLIER = [version for version in versions() if version != default_version()]


def install(db, version: str) -> None:
    db.execute(f"CREATE EXTENSION {EXTENSION} VERSION '{version}'")


def rows_of_tables(db) -> dict[str, int]:
    tables = db.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'belay' AND table_type = 'BASE TABLE'"
    )
    return {name: db.one(f'SELECT count(*) FROM belay."{name}"') for (name,) in tables}


def assert_same(found: list[str], expected: list[str]) -> None:
    difference = list(difflib.unified_diff(expected, found, "fresh install", "found", n=0, lineterm=""))
    assert difference == [], "\n".join(difference)


def test_the_default_version_is_the_newest_and_has_its_own_install_script():
    assert versions()[-1] == default_version()


def test_the_library_the_crate_and_the_extension_have_one_version(db):
    crate = re.search(r'^version = "(.+)"', (TREE / "Cargo.toml").read_text(), re.MULTILINE)[1]
    installed = db.one("SELECT extversion FROM pg_extension WHERE extname = %s", [EXTENSION])
    assert crate == default_version() == installed


def test_the_default_version_installs_the_same_after_a_drop(empty_db):
    install(empty_db, default_version())
    first = fingerprint(empty_db)
    assert len(first) > 100, "the fingerprint sees next to nothing"
    empty_db.execute(f"DROP EXTENSION {EXTENSION}")
    assert empty_db.one("SELECT count(*) FROM pg_namespace WHERE nspname = 'belay'") == 0
    install(empty_db, default_version())
    assert_same(fingerprint(empty_db), first)


def test_the_fingerprint_sees_a_changed_default(empty_db):
    """Else the comparisons here could not fail."""
    install(empty_db, default_version())
    first = fingerprint(empty_db)
    empty_db.execute("ALTER TABLE belay.project ALTER COLUMN name SET DEFAULT 'other'")
    assert fingerprint(empty_db) != first


def test_every_earlier_version_can_be_updated(empty_db):
    stuck = empty_db.rows(
        "SELECT source FROM pg_extension_update_paths(%s) WHERE target = %s AND source = ANY (%s) AND path IS NULL",
        [EXTENSION, default_version(), EARLIER],
    )
    assert stuck == []


def history_of(version: str) -> str:
    """A script that leaves what the version wrote. The default version can still write it itself."""
    if version == default_version():
        return (HISTORIES / "history.sql").read_text()
    recorded = HISTORIES / f"{version}.sql"
    assert recorded.exists(), f"check out version {version}, run tools/record-history and commit {recorded}"
    return recorded.read_text()


@pytest.mark.parametrize("version", versions())
def test_an_updated_extension_equals_a_fresh_one_and_keeps_its_history(version, new_database, db):
    old = new_database(extension=False)
    install(old, version)
    filled = old.psql(history_of(version))
    assert filled.returncode == 0, filled.stderr
    before = rows_of_tables(old)
    assert before["applied"] > 0 and before["step"] > before["applied"], "the history is empty"

    old.execute(f"ALTER EXTENSION {EXTENSION} UPDATE")

    assert_same(fingerprint(old), fingerprint(db))
    after = rows_of_tables(old)
    assert {name: after.get(name) for name in before} == before
    done = old.psql(STILL_WORKS)
    assert done.returncode == 0, done.stderr
