"""The package's migrations from empty against the schema that it ships: compared by belay.snapshot_diff."""

from __future__ import annotations

import json
from importlib.resources import files

from harness.database import Database


def test_procrastinates_migrations_from_empty_give_the_schema_that_it_ships(db, new_database):
    folder = files("procrastinate") / "sql"
    migrations = {one.name: one.read_text("utf-8") for one in (folder / "migrations").iterdir() if one.name.endswith(".sql")}
    assert len(migrations) == 38
    db.execute("SELECT * FROM belay.migrate_load_files(%s::jsonb)", [json.dumps(migrations)])
    db.execute("CALL belay.migrate_up()")
    shipped: Database = new_database()
    shipped.execute((folder / "schema.sql").read_text("utf-8"))

    taken = "SELECT belay.snapshot()::text"
    made = db.one(taken)
    assert "public.procrastinate_jobs" in made
    rows = db.rows("SELECT change, kind, name, old, new FROM belay.snapshot_diff(%s, %s)", [made, shipped.one(taken)])
    # The package leaves nothing different. One thing that is different shows.
    assert rows == [], "\n".join(map(str, rows))
    shipped.execute("ALTER TABLE procrastinate_jobs ALTER priority DROP DEFAULT")
    rows = db.rows("SELECT change, kind, name, old, new FROM belay.snapshot_diff(%s, %s)", [made, shipped.one(taken)])
    assert rows == [("changed", "column", "public.procrastinate_jobs.priority", {"default": "0"}, {})]
