"""A dump carries the ledger, whatever has happened in it: the restored copy knows what is applied and goes on there."""

import psycopg
import pytest

from copies import WAYS, WITHOUT_TRIGGERS, as_text, children_first, first_write, is_sealed, ledger, parallel_custom, plain
from harness.catalog import fingerprint
from histories import GATE, HISTORIES, apply, names, release, unfinished, ups_downs_redos, waiting
from ledger import applied, history, load, numbered, tables


def projects(db) -> list[str]:
    return [name for (name,) in db.rows("SELECT name FROM belay.project ORDER BY 1")]


def readings(db) -> dict[str, list]:
    """What the reading functions say of each project."""
    queries = {
        "status": "SELECT * FROM belay.migrate_status(project => %s)",
        "history": "SELECT * FROM belay.migrate_history(newest => NULL, project => %s)",
        "plan": "SELECT * FROM belay.migrate_plan(project => %s)",
    }
    return {f"{what} of {name}": db.rows(query, [name]) for name in projects(db) for what, query in queries.items()}


def attempt(db) -> dict[str, tuple]:
    """Runs what is pending in each project: how that ends, and what it leaves."""
    ends = {}
    for name in projects(db):
        try:
            db.execute("CALL belay.migrate_up(project => %s)", [name])
            end = None
        except psycopg.Error as error:
            end = (error.sqlstate, error.diag.message_primary)
        ends[name] = (end, applied(db, name), tables(db))
    return ends


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_ledger_survives_every_way(db, new_database, tmp_path, way):
    ups_downs_redos(db)
    copy = new_database(extension=False)
    way(db, copy, tmp_path)
    assert ledger(copy) == ledger(db)
    copy.execute("CALL belay.migrate_up()")
    assert (applied(copy), tables(copy)) == (names(1, 2, 3, 4, 5), ["t1", "t2", "t3", "t4", "t5"])


@pytest.mark.thinned
@pytest.mark.parametrize("way", [as_text, children_first, parallel_custom], ids=lambda way: way.__name__)
@pytest.mark.parametrize("arrange", HISTORIES, ids=lambda arrange: arrange.__name__)
def test_a_history_survives(db, new_database, tmp_path, arrange, way):
    """Rows and readings are the same before the copy is judged, and the judgement finds nothing."""
    arrange(db)
    copy = new_database(extension=False)
    way(db, copy, tmp_path)
    assert ledger(copy) == ledger(db)
    assert readings(copy) == readings(db)
    assert not is_sealed(copy)
    first_write(copy)
    assert is_sealed(copy)


@pytest.mark.thinned
@pytest.mark.parametrize("arrange", HISTORIES, ids=lambda arrange: arrange.__name__)
def test_a_copy_goes_on_as_the_original_does(db, new_database, arrange):
    arrange(db)
    copy = new_database(extension=False)
    plain(db, copy)
    assert attempt(copy) == attempt(db)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_rules_of_the_ledger_survive(db, new_database, tmp_path, way):
    """From the first write on at the latest, they are as they were installed: for every session_replication_role."""
    apply(db, 1)
    copy = new_database(extension=False)
    way(db, copy, tmp_path)
    if way not in WITHOUT_TRIGGERS:
        assert fingerprint(copy) == fingerprint(db)
    first_write(copy)
    assert fingerprint(copy) == fingerprint(db)


def test_a_restored_copy_goes_on_where_the_original_stood(db, new_database):
    ups_downs_redos(db)
    copy = new_database(extension=False)
    plain(db, copy)
    assert applied(copy) == applied(db) == names(1, 2)
    copy.execute("CALL belay.migrate_up()")
    assert applied(copy) == names(1, 2, 3, 4, 5)
    assert tables(copy) == ["t1", "t2", "t3", "t4", "t5"]
    assert copy.rows("SELECT * FROM belay.migrate_validate()") == []
    copy.execute("CALL belay.migrate_to('@none')")
    assert (applied(copy), tables(copy)) == ([], [])


def test_an_unfinished_migration_is_resumed_in_the_copy(db, new_database):
    """A dump leaves invalid indexes out, so there is nothing to remove."""
    unfinished(db)
    copy = new_database(extension=False)
    plain(db, copy)
    assert copy.rows("SELECT name, state FROM belay.migrate_status() WHERE name = 'migration2'") == [("migration2", "dirty")]
    copy.execute("DELETE FROM keys WHERE ctid = (SELECT min(ctid) FROM keys)")
    copy.execute("CALL belay.migrate_up()")
    assert applied(copy) == names(1, 2, 3)
    assert copy.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'one'::regclass")


def test_a_copy_of_a_copy_that_was_never_written_to_is_a_copy(db, new_database):
    ups_downs_redos(db)
    copy, second = new_database(extension=False), new_database(extension=False)
    plain(db, copy)
    plain(copy, second)
    assert ledger(second) == ledger(db)
    second.execute("CALL belay.migrate_up()")
    assert applied(second) == names(1, 2, 3, 4, 5)


def test_ten_thousand_applied_migrations_are_restored_and_go_on(db, new_database, tmp_path):
    files = {f"m{n:05}.sql": "SELECT 1" for n in range(10_000)}
    load(db, files)
    db.execute("CALL belay.migrate_up(transaction => 'per_run')")
    copy = new_database(extension=False)
    parallel_custom(db, copy, tmp_path)
    load(copy, files | {"m10000.sql": "CREATE TABLE next ()"})
    copy.execute("CALL belay.migrate_up()")
    assert len(applied(copy)) == 10_001
    assert tables(copy) == ["next"]


# ── a dump beside a run ──────────────────────────────────────────────────────────────────────────────────────────────

#: The second of three migrations and the call: what of it the dump sees, and how the copy's runs end.
BESIDE = {
    "in a transaction": (
        f"CREATE TABLE t2 ();\nSELECT pg_advisory_xact_lock({GATE});",
        "CALL belay.migrate_up()", names(1), ["t1"],
    ),
    "statement by statement": (
        f"-- belay: transaction off\nCREATE TABLE t2 ();\nSELECT pg_advisory_xact_lock({GATE});\nCREATE TABLE t2b ();",
        "CALL belay.migrate_up()", names(1), ["t1", "t2"],
    ),
    "all or nothing": (
        f"CREATE TABLE t2 ();\nSELECT pg_advisory_xact_lock({GATE});",
        "CALL belay.migrate_up(transaction => 'per_run')", [], [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BESIDE)
def test_a_dump_taken_beside_a_run_holds_what_was_committed_and_the_copy_finishes_it(db, new_database, case):
    second, call, kept, made = BESIDE[case]
    running = waiting(db, second, call)
    copy = new_database(extension=False)
    plain(db, copy)
    release(db)
    running.finish()
    assert (applied(copy), tables(copy)) == (kept, made)
    assert [name for (name,) in copy.rows("SELECT name FROM belay.migrate_status() WHERE state = 'applied'")] == kept
    copy.execute("CALL belay.migrate_up()")
    assert applied(copy) == applied(db) == names(1, 2, 3)
    assert tables(copy) == tables(db)
    assert copy.rows("TABLE belay.unfinished") == []
    assert copy.one("SELECT count(*) FROM belay.run WHERE outcome IS NULL") == 0
    assert copy.one("SELECT count(*) FROM belay.step WHERE outcome IS NULL") == 0
    assert copy.rows("SELECT * FROM belay.migrate_validate()") == []


def test_a_dump_taken_while_an_index_is_built_leads_to_a_copy_that_builds_it(db, new_database):
    db.execute("CREATE TABLE keys AS SELECT 1 AS key")
    load(db, numbered(1, 3) | {"migration2.sql": "CREATE UNIQUE INDEX CONCURRENTLY one ON keys (key);"})
    with db.connect(autocommit=False) as writer:
        writer.execute("INSERT INTO keys VALUES (2)")
        running = db.start("CALL belay.migrate_up()")
        db.wait_until_blocked(running.pid)
        copy = new_database(extension=False)
        plain(db, copy)
        writer.commit()
    running.finish()
    assert applied(copy) == names(1)
    copy.execute("CALL belay.migrate_up()")
    assert applied(copy) == applied(db) == names(1, 2, 3)
    assert copy.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'one'::regclass")


def test_the_run_that_a_dump_was_taken_beside_is_told_as_lost_in_the_copy(db, new_database):
    running = waiting(db, *BESIDE["statement by statement"][:2])
    copy = new_database(extension=False)
    plain(db, copy)
    release(db)
    running.finish()
    copy.execute("CALL belay.migrate_up()")
    assert copy.rows("SELECT outcome FROM belay.run ORDER BY id") == [("lost",), ("succeeded",)]
    assert history(copy)[:2] == [("migration1", "up", "applied"), ("migration2", "up", "lost")]
    assert db.rows("SELECT outcome FROM belay.run ORDER BY id") == [("succeeded",)]
