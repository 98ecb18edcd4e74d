"""The ledger as tests use it: sets of small migrations, what is applied, what happened, and that nothing changed.

    load(db, numbered(1, 3))                    # migration1, migration3: each makes and drops the table of its number
    applied(db) == ["migration1"]               # by position
    history(db) == [("migration1", "up", "applied")]
    with nothing_changes(db), expect_error(...):
        ...
"""

from __future__ import annotations

import contextlib
import json
from typing import Iterator, Mapping

from harness.database import Database

def numbered(*numbers: int) -> dict[str, str]:
    """A set of files: migrationN makes table tN, its down drops it."""
    return {f"migration{n}.sql": f"CREATE TABLE t{n} ();\n-- migrate:down\nDROP TABLE t{n};\n" for n in numbers}


def load(db: Database, files: Mapping[str, str], **options: object) -> list[tuple[str, str]]:
    """belay.migrate_load_files: (name, action) of each change."""
    given = "".join(f", {option} => %({option})s" for option in options)
    query = f"SELECT name, action FROM belay.migrate_load_files(%(files)s{given})"
    return db.rows(query, {"files": json.dumps(files), **options})


def applied(db: Database, project: str = "default") -> list[str]:
    """The names in force, in the order in which they were applied."""
    query = """
        SELECT m.name FROM belay.applied a JOIN belay.migration m ON m.id = a.migration_id
        JOIN belay.project p ON p.id = a.project_id WHERE p.name = %s ORDER BY a.position
    """
    return [name for (name,) in db.rows(query, [project])]


def registered(db: Database, project: str = "default") -> list[str]:
    """The registry's names in its own order."""
    return [name for (name,) in db.rows("SELECT name FROM belay.migrate_status(project => %s)", [project])]


def history(db: Database, project: str = "default") -> list[tuple[str, str, str]]:
    """Each step: name, direction and outcome, oldest first."""
    query = "SELECT name, direction, outcome FROM belay.migrate_history(newest => NULL, project => %s) WHERE step IS NOT NULL"
    return db.rows(query, [project])


def tables(db: Database) -> list[str]:
    """The tables of schema public."""
    query = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
    return [name for (name,) in db.rows(query)]


def state(db: Database) -> dict[str, list[str]]:
    """All that a call of Belay's could have changed: its tables' rows and the user's relations and types."""
    kept = db.rows("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'belay'::regnamespace")
    found = {table: [row for (row,) in db.rows(f"SELECT row::text FROM {table} row ORDER BY 1")] for (table,) in kept}
    assert "belay.applied" in found
    found["relations"] = [
        relation
        for (relation,) in db.rows(
            """
            SELECT format('%s %s', relkind, oid::regclass) FROM pg_class
            WHERE relnamespace <> ALL (ARRAY['pg_catalog', 'pg_toast', 'information_schema', 'belay']::regnamespace[])
            ORDER BY 1
            """
        )
    ]
    return found


@contextlib.contextmanager
def nothing_changes(db: Database) -> Iterator[None]:
    """The block must leave the ledger and the user's relations as they are."""
    before = state(db)
    yield
    after = state(db)
    for part, rows in before.items():
        assert after[part] == rows, f"{part} changed"
