"""Ways to copy a database by pg_dump, and what a copy's ledger is compared by.

    WAYS                    each: way(db, copy, folder), where `copy` is an empty database and `folder` one of the test's
    plain(db, copy)         the shortest of them
    ledger(copy) == ledger(db)
    first_write(copy)       the library judges the ledger and seals it
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from harness.database import Database
from ledger import state

#: By their references, from what refers to nothing, with what is pending before what is applied.
TABLES = ["project", "definition", "migration", "pending", "run", "step", "step_error", "applied", "unfinished",
          "announcement", "release_base", "client", "contract_query", "backfill", "column_change", "job", "job_definition", "job_error", "job_batch"]


def ledger(db: Database) -> dict[str, list]:
    """Every row of every table that is dumped, and where Belay's sequences stand."""
    rows = state(db)
    del rows["relations"]
    for table in ("seal", "job_transition", "job_home", "run_request"):
        del rows[f"belay.{table}"]
    assert sorted(rows) == sorted(f"belay.{table}" for table in TABLES)
    sequences = "SELECT sequencename::text, last_value FROM pg_sequences WHERE schemaname = 'belay' ORDER BY 1"
    return rows | {"sequences": db.rows(sequences)}


def is_sealed(db: Database) -> bool:
    rows = db.one("SELECT count(*) FROM belay.seal")
    assert rows in (0, 1), f"{rows} rows in belay.seal"
    return rows == 1


def first_write(db: Database) -> None:
    """A write that is possible whatever the other projects hold."""
    db.execute("SELECT belay.project_create('first write')")


# ── as a script ──────────────────────────────────────────────────────────────────────────────────────────────────────


def plain(db: Database, copy: Database, *options: str, **how: object) -> None:
    """pg_dump to psql, which stops at the first error. `how` is that of Server.client."""
    script = db.client("pg_dump", *options, check=True).stdout
    copy.psql(script, check=True, **how)


def as_text(db: Database, copy: Database, folder: Path) -> None:
    plain(db, copy)


def inserts(db: Database, copy: Database, folder: Path) -> None:
    plain(db, copy, "--inserts")


def as_columns(db: Database, copy: Database, folder: Path) -> None:
    plain(db, copy, "--column-inserts", "--rows-per-insert=2")


def as_replica(db: Database, copy: Database, folder: Path) -> None:
    """As tools restore that have no --disable-triggers."""
    plain(db, copy, environment={"PGOPTIONS": "-c session_replication_role=replica"})


def public_and_extension(db: Database, copy: Database, folder: Path) -> None:
    """--schema leaves extensions out, unless they are named."""
    plain(db, copy, "--clean", "--if-exists", "--schema=public", "--extension=pg_belay")


def data_only(db: Database, copy: Database, folder: Path) -> None:
    plain(db, copy, "--schema-only")
    plain(db, copy, "--data-only")


def data_only_without_triggers(db: Database, copy: Database, folder: Path) -> None:
    plain(db, copy, "--schema-only")
    plain(db, copy, "--data-only", "--disable-triggers")


# ── from an archive ──────────────────────────────────────────────────────────────────────────────────────────────────


def dump(db: Database, folder: Path, *options: str, form: str = "custom") -> Path:
    db.client("pg_dump", f"--format={form}", "--file", folder / "dump", *options, check=True)
    return folder / "dump"


def restore(copy: Database, archive: Path, *options: object) -> None:
    """pg_restore without a complaint. Its status alone says it of errors only."""
    done = copy.client("pg_restore", *options, archive, check=True)
    assert done.stderr == ""


def custom(db: Database, copy: Database, folder: Path) -> None:
    restore(copy, dump(db, folder), "--exit-on-error")


def in_one_transaction(db: Database, copy: Database, folder: Path) -> None:
    restore(copy, dump(db, folder), "--single-transaction")


def over_an_older_copy(db: Database, copy: Database, folder: Path) -> None:
    """The ledger that is replaced is sealed."""
    archive = dump(db, folder)
    restore(copy, archive, "--exit-on-error")
    first_write(copy)
    restore(copy, archive, "--exit-on-error", "--clean", "--if-exists")


def parallel_dump(db: Database, copy: Database, folder: Path) -> None:
    restore(copy, dump(db, folder, "--jobs=2", form="directory"), "--exit-on-error")


def parallel_custom(db: Database, copy: Database, folder: Path) -> None:
    restore(copy, dump(db, folder), "--exit-on-error", "--jobs=2")


def parallel_directory(db: Database, copy: Database, folder: Path) -> None:
    restore(copy, dump(db, folder, "--jobs=2", form="directory"), "--exit-on-error", "--jobs=2")


def parallel_past_errors(db: Database, copy: Database, folder: Path) -> None:
    """pg_restore's default goes on after an error: there must be none to go on after."""
    restore(copy, dump(db, folder), "--jobs=2")


def custom_without_triggers(db: Database, copy: Database, folder: Path) -> None:
    archive = dump(db, folder)
    restore(copy, archive, "--exit-on-error", "--schema-only")
    restore(copy, archive, "--exit-on-error", "--data-only", "--disable-triggers", "--jobs=2")


def reordered(db: Database, copy: Database, folder: Path, key: Callable[[str], int]) -> None:
    """Restores the tables' rows in the order of `key`, as several jobs may do it."""
    archive = dump(db, folder)
    entries = db.client("pg_restore", "--list", archive, check=True).stdout.splitlines()
    places = [at for at, entry in enumerate(entries) if " TABLE DATA belay " in entry]
    assert len(places) == len(TABLES)
    for at, entry in zip(places, sorted((entries[at] for at in places), key=key)):
        entries[at] = entry
    (folder / "list").write_text("\n".join(entries))
    restore(copy, archive, "--exit-on-error", "--use-list", folder / "list")


def place_of(entry: str) -> int:
    return TABLES.index(entry.split(" TABLE DATA belay ")[1].split()[0])


def parents_first(db: Database, copy: Database, folder: Path) -> None:
    reordered(db, copy, folder, place_of)


def children_first(db: Database, copy: Database, folder: Path) -> None:
    """pg_dump knows of no order between the tables of an extension but that of foreign keys."""
    reordered(db, copy, folder, lambda entry: -place_of(entry))


#: After these the triggers are those of an ordinary table until the first write: the script ends with ENABLE TRIGGER ALL.
WITHOUT_TRIGGERS = [data_only_without_triggers, custom_without_triggers]

WAYS = [
    as_text, inserts, as_columns, as_replica, public_and_extension, data_only,
    custom, in_one_transaction, over_an_older_copy, parallel_dump, parallel_custom, parallel_directory, parallel_past_errors,
    parents_first, children_first, *WITHOUT_TRIGGERS,
]  # fmt: skip
