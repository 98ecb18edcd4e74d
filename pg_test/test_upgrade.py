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
from harness.session import expect_error

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


#: The verbs as 0.1.0 has them: their arguments end before those of today's.
OLD_CALLS = [
    "CALL belay.migrate_up()",
    "CALL belay.migrate_up('a', 1, 'pre', '1.0.0', 'strict', 'per_run', 'wait', '1 s', 'reason', '{a}', 'default')",
    "CALL belay.migrate_up(project => NULL)",
    "CALL belay.migrate_down()",
    "CALL belay.migrate_down(2, project => 'nope')",
    "CALL belay.migrate_to('')",
    "CALL belay.migrate_to('@none', 'strict', 'per_run', 'wait', '1 s', 'reason', '{a}', 'default')",
    "CALL belay.migrate_redo(0)",
    "DO $$ BEGIN CALL belay.migrate_up(); END $$",
    "BEGIN; CALL belay.migrate_redo()",
]


@pytest.mark.parametrize("call", OLD_CALLS)
def test_until_the_update_the_verbs_of_an_earlier_version_say_what_to_do(empty_db, call):
    """Whatever the arguments: none of them is read, since the library's are others."""
    install(empty_db, "0.1.0")
    with expect_error("MG014", message=re.compile("its SQL objects are 0.1.0"), hint=re.compile("ALTER EXTENSION pg_belay UPDATE")):
        empty_db.connect().execute(call)


def grants(db) -> list[tuple]:
    return db.rows("""
        SELECT p.proname::text, a.grantor::regrole::text, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, a.is_grantable
        FROM pg_proc p, aclexplode(p.proacl) a WHERE p.pronamespace = 'belay'::regnamespace ORDER BY 1, 2, 3
    """)


def test_the_update_keeps_who_may_call_what(empty_db):
    db = empty_db
    install(db, "0.1.0")
    deployer, second, third = db.role("deployer"), db.role('sec"ond'), db.role("third")
    db.execute("SELECT belay.grant_role(%s, 'deployer')", [deployer])
    quoted = '"' + second.replace('"', '""') + '"'
    db.execute(f"GRANT EXECUTE ON PROCEDURE belay.migrate_up TO {quoted} WITH GRANT OPTION; GRANT EXECUTE ON PROCEDURE belay.migrate_redo TO PUBLIC")
    db.execute(f"SET ROLE {quoted}; GRANT EXECUTE ON PROCEDURE belay.migrate_up TO {third}; RESET ROLE")
    before = grants(db)
    old = {name for (name,) in db.rows("SELECT proname::text FROM pg_proc WHERE pronamespace = 'belay'::regnamespace")}
    db.execute(f"ALTER EXTENSION {EXTENSION} UPDATE")

    assert [grant for grant in grants(db) if grant[0] in old] == before
    db.connect(user=deployer).execute("CALL belay.migrate_up(on_privileged => 'refuse')")
    db.connect(user=third).execute("CALL belay.migrate_up()")
    with expect_error("42501"):
        db.connect(user=third).execute("CALL belay.migrate_down()")
    # They are somebody's grants, not the extension's: dumped, and in the way of DROP ROLE until they are revoked.
    dumped = db.dump("--schema-only")
    for routine in ("migrate_up", "migrate_down", "migrate_to", "migrate_redo"):
        assert re.search(rf"^GRANT ALL ON PROCEDURE belay\.{routine}\(.*on_privileged.*\) TO {deployer};$", dumped, re.MULTILINE), routine
    with expect_error("2BP01", detail=re.compile("migrate_up")):
        db.execute(f"DROP ROLE {deployer}")
    db.execute(f"DROP OWNED BY {deployer}")
    assert deployer not in {grantee for _, _, grantee, _ in grants(db)}


def test_another_superuser_updates_and_owns_no_verb(empty_db):
    db = empty_db
    install(db, "0.1.0")
    other = db.role("other", "SUPERUSER LOGIN")
    db.connect(user=other).execute(f"ALTER EXTENSION {EXTENSION} UPDATE")
    owners = "SELECT DISTINCT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'belay'::regnamespace AND prokind = 'p'"
    assert db.rows(owners) == [("postgres",)]


def test_what_an_earlier_version_registered_is_looked_at_when_privileged_migrations_are_refused(empty_db):
    """It did not look for them; the same text registered again is no other definition."""
    db = empty_db
    # As the update leaves the row that 0.1.0 wrote.
    db.execute(f"CREATE EXTENSION {EXTENSION}")
    comment = "COMMENT ON EXTENSION plpgsql IS 'x'"
    db.execute("SELECT belay.migrate_register('1_a', %s, %s)", [comment, comment])
    db.execute("SELECT belay.migrate_register('2_b', 'SELECT 2', 'SELECT 2')")
    db.execute("UPDATE belay.migration SET privileged = false, up_privileged = NULL, down_privileged = NULL")
    db.execute("SELECT belay.migrate_register('1_a', %s, %s)", [comment, comment])
    db.execute("SELECT belay.migrate_load_files(%s)", [f'{{"2_b.sql": "SELECT 2\\n-- migrate:down\\nSELECT 2", "1_a.sql": "{comment}\\n-- migrate:down\\n{comment}"}}'])
    with expect_error("42501", message=re.compile("^1 of 2"), detail=re.compile(comment)):
        db.execute("CALL belay.migrate_up(on_privileged => 'refuse')")
    db.execute("CALL belay.migrate_up()")
    db.execute("CALL belay.migrate_down(on_privileged => 'refuse')")
    with expect_error("42501", message=re.compile("^1 of 1"), detail=re.compile("1_a, down")):
        db.execute("CALL belay.migrate_down(on_privileged => 'refuse')")
    db.execute("CALL belay.migrate_down()")
    with expect_error("MG003"):
        db.execute("SELECT belay.migrate_register('1_a', %s, %s)", [f"-- belay: privileged off\n{comment}", comment])
