"""The seal: an unsealed ledger takes any rows, as a restore must; the first write judges them all and seals it.

`wrong` ledgers are made of the rows of a right one, with one thing changed; a superuser inserts them by hand.
"""

from __future__ import annotations

import json
import re
from typing import Callable, NamedTuple

import psycopg
import pytest

from copies import TABLES, WITHOUT_TRIGGERS, as_text, first_write, is_sealed, plain
from harness.catalog import fingerprint
from harness.session import describe, expect_error
from histories import apply, names, ups_downs_redos
from ledger import applied, load, nothing_changes, numbered, tables

FILES = json.dumps(numbered(1, 2, 3, 4))

#: Each is possible on the history of `standing`.
WRITES = {
    "project_create": "SELECT belay.project_create('another')",
    "project_alter": "SELECT belay.project_alter('default', search_path => 'public')",
    "migrate_register": "SELECT belay.migrate_register('migration5', 'SELECT 1')",
    "migrate_load_files": f"SELECT * FROM belay.migrate_load_files('{json.dumps(numbered(1, 2, 3, 4, 5))}')",
    "migrate_load_files of what is there": f"SELECT * FROM belay.migrate_load_files('{FILES}')",
    "migrate_rename": "SELECT belay.migrate_rename('migration4', 'migration6')",
    "migrate_unregister": "SELECT belay.migrate_unregister('migration4')",
    "migrate_mark": "SELECT belay.migrate_mark('migration3', 'applied', reason => 'looked')",
    "migrate_baseline": "CALL belay.migrate_baseline('migration3')",
    "migrate_up": "CALL belay.migrate_up()",
    "migrate_down": "CALL belay.migrate_down()",
    "migrate_to": "CALL belay.migrate_to('migration1')",
    "migrate_redo": "CALL belay.migrate_redo()",
}

READS = {
    "migrate_status": "SELECT * FROM belay.migrate_status()",
    "migrate_history": "SELECT * FROM belay.migrate_history()",
    "migrate_validate": "SELECT * FROM belay.migrate_validate()",
    "migrate_plan": "SELECT * FROM belay.migrate_plan()",
}


def standing(db) -> None:
    """1 and 2 applied, 3 and 4 pending, in a strict project that is not the first of its database."""
    first_write(db)
    apply(db, 1, 2)
    load(db, numbered(1, 2, 3, 4))


@pytest.fixture
def copy(db, new_database):
    """The restored copy of `standing`, never written to."""
    standing(db)
    made = new_database(extension=False)
    plain(db, made)
    return made


# ── when it is set ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fresh_extension_is_unsealed(db):
    assert not is_sealed(db)


def test_an_extension_that_is_created_again_is_unsealed(db):
    first_write(db)
    db.execute("DROP EXTENSION pg_belay; CREATE EXTENSION pg_belay")
    assert not is_sealed(db)


@pytest.mark.parametrize("verb", ["project_create", "migrate_register", "migrate_load_files"])
def test_the_first_write_seals_a_fresh_extension(db, verb):
    db.execute(WRITES[verb])
    assert is_sealed(db)


@pytest.mark.parametrize("verb", WRITES)
def test_the_first_write_seals_a_restored_copy(copy, verb):
    assert not is_sealed(copy)
    copy.execute(WRITES[verb])
    assert is_sealed(copy)


@pytest.mark.parametrize("verb", WRITES)
def test_a_sealed_ledger_stays_sealed(db, verb):
    standing(db)
    before = db.rows("TABLE belay.seal")
    db.execute(WRITES[verb])
    assert db.rows("TABLE belay.seal") == before


def test_reading_neither_needs_the_seal_nor_sets_it(db, copy):
    with copy.connect(options="-c default_transaction_read_only=on") as session:
        for verb, query in READS.items():
            assert session.rows(query) == db.rows(query), verb
    assert not is_sealed(copy)


def test_a_write_that_is_rolled_back_does_not_seal(copy):
    with copy.connect(autocommit=False) as session:
        session.execute(WRITES["project_create"])
        assert session.one("SELECT count(*) FROM belay.seal") == 1
        session.rollback()
    assert not is_sealed(copy)


def test_a_write_that_fails_does_not_seal(copy):
    with nothing_changes(copy), expect_error("MG011"):
        copy.execute("SELECT belay.migrate_rename('nope', 'other')")
    assert not is_sealed(copy)


def test_two_first_writes_at_once_both_succeed(copy):
    with copy.connect(autocommit=False) as session:
        session.execute("SELECT belay.project_create('one')")
        other = copy.start("SELECT belay.project_create('two')")
        query = "SELECT state <> 'active' OR wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
        copy.wait_for(query, [other.pid], what="the second write waits or has ended")
        session.commit()
    other.finish()
    assert copy.one("SELECT count(*) FROM belay.project WHERE name IN ('one', 'two')") == 2
    assert is_sealed(copy)


@pytest.mark.parametrize("way", [as_text, *WITHOUT_TRIGGERS], ids=lambda way: way.__name__)
@pytest.mark.parametrize("verb", ["migrate_load_files of what is there", "migrate_up", "project_create"])
def test_the_first_write_may_be_that_of_a_role_with_nothing_but_execute(db, new_database, tmp_path, verb, way):
    """It makes the triggers what they were, which belongs to the owner of the tables."""
    standing(db)
    made = new_database(extension=False)
    way(db, made, tmp_path)
    role = made.role("deployer")
    made.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
    for database in (db, made):
        for routine in ("PROCEDURES", "FUNCTIONS"):
            database.execute(f"GRANT EXECUTE ON ALL {routine} IN SCHEMA belay TO {role}")
    with made.connect(user=role) as session:
        # What is registered is a superuser's: it would not run with this role's rights.
        session.execute(WRITES[verb].replace("up()", "up(trust => ARRAY['postgres'])"))
    assert is_sealed(made)
    assert fingerprint(made) == fingerprint(db)
    for database in (db, made):
        database.execute(f"DROP OWNED BY {role}")


# ── who may touch it ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("replication", ["origin", "replica"])
@pytest.mark.parametrize("statement", ["DELETE FROM belay.seal", "TRUNCATE belay.seal"])
def test_a_superuser_cannot_break_the_seal(db, statement, replication):
    standing(db)
    with db.connect(options=f"-c session_replication_role={replication}") as session:
        with nothing_changes(db), expect_error("MG015", message=re.compile("seal"), hint=re.compile(".")):
            session.execute(statement)
    assert is_sealed(db)


@pytest.mark.parametrize("statement", ["DELETE FROM belay.seal", "TRUNCATE belay.seal", "INSERT INTO belay.seal DEFAULT VALUES"])
def test_other_roles_have_no_right_to_the_seal(copy, statement):
    with copy.connect(user=copy.role("passerby")) as session, expect_error("42501"):
        session.execute(statement)
    assert not is_sealed(copy)


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────

Rows = dict[str, list[dict]]

NOBODY = 4711
LATER = 1000


def rows_of(db) -> Rows:
    """Every row of the ledger, as JSON, by table."""
    return {
        table: [row for (row,) in db.rows(f"SELECT to_jsonb(row) FROM belay.{table} row ORDER BY row::text")] for table in TABLES
    }


def insert(session, rows: Rows, order: list[str]) -> None:
    """One INSERT a table, so that its rows are judged together; and the sequences behind them."""
    for table in order:
        session.execute(
            f"INSERT INTO belay.{table} OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_recordset(NULL::belay.{table}, %s)",
            [json.dumps(rows[table])],
        )
    for sequence in ("project_id_seq", "definition_id_seq", "migration_id_seq", "run_id_seq", "step_id_seq", "ledger_clock"):
        session.execute(f"SELECT setval('belay.{sequence}', {LATER})")


def row(rows: Rows, table: str, number: int) -> dict:
    """The row of migrationN."""
    migration = next(one for one in rows["migration"] if one["name"] == f"migration{number}")
    if table == "migration":
        return migration
    return next(one for one in rows[table] if one["migration_id"] == migration["id"])


def apply_by_hand(rows: Rows, number: int) -> None:
    """migrationN with a step of the strict run that is there: all that the verb would have written but the order."""
    migration, pending = row(rows, "migration", number), row(rows, "pending", number)
    own = {"migration_id": migration["id"], "checksum": migration["checksum"]}
    step = row(rows, "step", 2) | own | {"id": LATER, "name": migration["name"], "definition_id": migration["definition_id"]}
    rows["step"].append(step)
    rows["applied"].append(row(rows, "applied", 2) | own | {"sort_key": migration["sort_key"], "step_id": LATER, "position": LATER})
    rows["pending"].remove(pending)


def exchange_positions(rows: Rows) -> None:
    first, second = row(rows, "applied", 1), row(rows, "applied", 2)
    first["position"], second["position"] = second["position"], first["position"]


class Wrong(NamedTuple):
    change: Callable[[Rows], object]
    #: What the message of the first write names: a table, or the migration.
    names: str
    #: After the seal: the table that is filled after the others, and what refuses. None: one INSERT alone cannot show it.
    last: str | None
    sqlstate: str = "MG015"


WRONG = {
    "applied without its step": Wrong(lambda rows: row(rows, "applied", 2).update(step_id=NOBODY), "migration|applied", "applied"),
    "applied by the step of another": Wrong(
        lambda rows: row(rows, "applied", 2).update(step_id=row(rows, "applied", 1)["step_id"]), "migration|applied", "applied"
    ),
    "applied by a step down": Wrong(
        lambda rows: row(rows, "step", 2).update(direction="down", outcome="reverted"), "migration|applied", "applied"
    ),
    "applied by a step that failed": Wrong(lambda rows: row(rows, "step", 2).update(outcome="failed"), "migration|applied", "applied"),
    "applied with another text than the step's": Wrong(
        lambda rows: row(rows, "applied", 2).update(checksum="f" * 64), "migration|applied", None
    ),
    "applied before one that was pending": Wrong(lambda rows: apply_by_hand(rows, 4), "migration|applied", "applied", "MG001"),
    "applied in another order": Wrong(exchange_positions, "migration|applied", "applied", "MG001"),
    "applied at another place than the name's": Wrong(
        lambda rows: row(rows, "applied", 2).update(sort_key="\\xff"), "migration|applied", "applied"
    ),
    "pending at another place than the name's": Wrong(
        lambda rows: row(rows, "pending", 4).update(sort_key="\\xff"), "migration|pending", None
    ),
    "applied and pending": Wrong(
        lambda rows: rows["pending"].append(row(rows, "pending", 3) | {
            "migration_id": row(rows, "migration", 2)["id"], "sort_key": row(rows, "migration", 2)["sort_key"], "since": LATER,
        }),
        "migration|applied", "pending",
    ),
    "neither applied nor pending": Wrong(lambda rows: rows["pending"].remove(row(rows, "pending", 4)), "migration|pending", None),
    "a pending one that is not registered": Wrong(
        lambda rows: rows["migration"].remove(row(rows, "migration", 4)), "pending|migration", "pending"
    ),
    "an applied one that is not registered": Wrong(
        lambda rows: rows["migration"].remove(row(rows, "migration", 2)), "applied|migration", "applied"
    ),
    "a migration without definition": Wrong(
        lambda rows: row(rows, "migration", 4).update(definition_id=NOBODY), "migration|definition", "migration"
    ),
    "a migration without project": Wrong(
        lambda rows: row(rows, "migration", 4).update(project_id=NOBODY), "migration|project", "migration"
    ),
    "a run without project": Wrong(lambda rows: rows["run"][0].update(project_id=NOBODY), "run|project", "run"),
    "a step without run": Wrong(lambda rows: row(rows, "step", 2).update(run_id=NOBODY), "step|run", "step"),
    "an error without step": Wrong(
        lambda rows: rows["step_error"].append({"step_id": NOBODY, "sqlstate": "22012", "message": "division by zero"}),
        "step_error|step", "step_error",
    ),
    "an unfinished one without step": Wrong(
        lambda rows: rows["unfinished"].append({
            "migration_id": row(rows, "migration", 3)["id"], "project_id": row(rows, "migration", 3)["project_id"],
            "step_id": NOBODY, "direction": "up", "statement": 1, "started": False, "done": [],
        }),
        "unfinished|migration|step", "unfinished",
    ),
}  # fmt: skip


@pytest.mark.parametrize("order", [TABLES, TABLES[::-1]], ids=["parents first", "children first"])
def test_a_right_ledger_that_was_inserted_by_hand_is_taken_in_any_order(db, new_database, order):
    """What the refusals are measured by."""
    standing(db)
    made = new_database()
    insert(made.session, rows_of(db), order)
    assert rows_of(made) == rows_of(db)
    made.execute("CALL belay.migrate_up()")
    assert is_sealed(made)
    assert (applied(made), tables(made)) == (names(1, 2, 3, 4), ["t3", "t4"])


def test_a_right_ledger_is_taken_row_by_row_also_after_the_seal(db, new_database):
    standing(db)
    made = new_database()
    first_write(made)
    rows = rows_of(db)
    rows["project"] = [one for one in rows["project"] if one["name"] != "first write"]
    insert(made.session, rows, TABLES)
    made.execute("CALL belay.migrate_up()")
    assert applied(made) == names(1, 2, 3, 4)


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_ledger_is_refused_at_the_first_write_and_can_be_read(db, new_database, case):
    standing(db)
    rows = rows_of(db)
    WRONG[case].change(rows)
    made = new_database()
    insert(made.session, rows, TABLES)
    told = {"message": re.compile(WRONG[case].names), "hint": re.compile(".")}
    for verb in ("project_create", "migrate_register", "migrate_load_files", "migrate_up"):
        with nothing_changes(made), expect_error("MG015", **told):
            made.execute(WRITES[verb])
    for query in READS.values():
        made.rows(query)
    assert not is_sealed(made)


@pytest.mark.thinned
@pytest.mark.parametrize("replication", ["origin", "replica"])
@pytest.mark.parametrize("case", [case for case in WRONG if WRONG[case].last])
def test_wrong_rows_are_refused_at_once_after_the_seal(db, new_database, case, replication):
    standing(db)
    rows = rows_of(db)
    WRONG[case].change(rows)
    rows["project"] = [one for one in rows["project"] if one["name"] != "first write"]
    made = new_database()
    first_write(made)
    order = [table for table in TABLES if table != WRONG[case].last] + [WRONG[case].last]
    if WRONG[case].last in ("project", "definition", "migration", "run", "step"):
        order = TABLES  # others refer to it
    with made.connect(options=f"-c session_replication_role={replication}") as session:
        with nothing_changes(made), pytest.raises(psycopg.Error) as raised, session.transaction():
            insert(session, rows, order)
    assert raised.value.sqlstate == WRONG[case].sqlstate, describe(raised.value)


@pytest.mark.parametrize("left_out", ["definition", "run", "step", "pending", "applied", "migration", "project"])
def test_a_dump_without_part_of_the_ledger_is_refused_at_the_first_write(db, new_database, left_out):
    standing(db)
    made = new_database(extension=False)
    plain(db, made, f"--exclude-table-data=belay.{left_out}")
    with nothing_changes(made), expect_error("MG015", hint=re.compile(".")):
        made.execute(WRITES["project_create"])
    for query in READS.values():
        made.rows(query)


def test_a_dump_without_the_errors_texts_is_taken(db, new_database):
    """They may hold data that must not leave the original, and nothing refers to them."""
    load(db, numbered(1) | {"migration2.sql": "SELECT 1/0"})
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    made = new_database(extension=False)
    plain(db, made, "--exclude-table-data=belay.step_error")
    load(made, numbered(1, 2))
    made.execute("CALL belay.migrate_up()")
    assert applied(made) == names(1, 2)


def test_a_rename_cannot_make_a_ledger_whose_copy_would_be_refused(db):
    """The rows do not say when a name changed: what strict runs applied keeps its order, though the project is permissive now."""
    apply(db, 1, 2, 3)
    db.execute("SELECT belay.project_alter('default', ordering => 'permissive')")
    with nothing_changes(db), expect_error("MG001", hint=re.compile("choose a name that sorts where it stands")):
        db.execute("SELECT belay.migrate_rename('migration1', 'migration9')")


@pytest.mark.parametrize("way", WITHOUT_TRIGGERS, ids=lambda way: way.__name__)
def test_after_the_first_write_a_replicas_session_is_judged_however_the_rows_came(db, new_database, tmp_path, way):
    ups_downs_redos(db)
    made = new_database(extension=False)
    way(db, made, tmp_path)
    made.execute("CALL belay.migrate_up()")
    with made.connect(options="-c session_replication_role=replica") as session:
        with nothing_changes(made), expect_error("MG015"):
            session.execute("TRUNCATE belay.applied")
