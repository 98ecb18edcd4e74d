"""The check before a merge, in SQL: rows, the failing form, directories, the footprints of a scratch run.

What counts as late, changed or missing and which names are suggested is tested in core/; here is what SQL adds.
"""

import json
import re

import pytest

from harness.session import expect_error
from ledger import load, nothing_changes, numbered

COLUMNS = "name, problem, detail, suggested_name"
BASE = numbered(1, 3)
HEAD = numbered(1, 2, 3)
LATE = ("migration2", "late", 'sorts before "migration3", the newest of base', "migration4")


def check(session, base, head, **options):
    """belay.check_order: its rows."""
    given = "".join(f", {option} => %({option})s" for option in options)
    query = f"SELECT {COLUMNS} FROM belay.check_order(%(base)s, %(head)s{given})"
    return session.rows(query, {"base": json.dumps(base), "head": json.dumps(head), **options})


def write(folder, files):
    folder.mkdir(exist_ok=True)
    for path, content in files.items():
        (folder / path).write_text(content)
    return str(folder)


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_late_migration_has_a_row_with_the_next_free_name(db):
    assert check(db, BASE, HEAD) == [LATE]


def test_what_follows_base_has_no_row(db):
    assert check(db, BASE, numbered(1, 3, 4)) == []
    assert check(db, {}, HEAD) == []


def test_what_head_changed_or_lost_has_a_row_without_a_name(db):
    head = {"migration1.sql": "SELECT 1;\n-- migrate:down\nDROP TABLE t1;\n"}
    assert check(db, BASE, head) == [
        ("migration1", "changed", "the up differs from that of base", None),
        ("migration3", "missing", "base has it, head does not", None),
    ]


def test_the_suggested_names_can_be_registered_and_are_not_late(db):
    """What the check says and what a database does agree."""
    load(db, BASE)
    db.execute("CALL belay.migrate_up()")
    load(db, HEAD)
    with expect_error("MG001"):
        db.execute("CALL belay.migrate_up()")
    ((name, _, _, suggested),) = check(db, BASE, HEAD)
    db.execute("SELECT belay.migrate_rename(%s, %s)", [name, suggested])
    db.execute("CALL belay.migrate_up()")


def test_the_checksums_are_those_of_the_registry(db):
    """What passes the check as unchanged is no change to an applied migration, and the other way round."""
    load(db, BASE)
    db.execute("CALL belay.migrate_up()")
    for text, changed in [
        ("CREATE TABLE t1 (); -- t1\n-- migrate:down\nDROP TABLE t1;", False),
        ("create table t1 ();\n-- migrate:down\nDROP TABLE t1;\n", True),
    ]:
        head = BASE | {"migration1.sql": text}
        assert bool(check(db, BASE, head)) == changed
        if changed:
            with expect_error("MG003"):
                load(db, head)
        else:
            load(db, head)


def test_naming_and_release_are_arguments(db):
    base = {"1.0.0_01_a.sql": "SELECT 1", "1.0.0_03_c.sql": "SELECT 3"}
    head = base | {"1.0.0_02_pre_b.sql": "SELECT 2"}
    assert check(db, base, head)[0][3] == "1.0.0_04_pre_b"
    assert check(db, base, head, release="1.1.0")[0][3] == "1.1.0_01_pre_b"
    assert check(db, base, head, naming="natural")[0][3] == "1.0.1_02_pre_b"


# ── the failing form ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_fail_raises_where_there_is_a_row_and_says_what_to_rename(db):
    with expect_error(
        "MG001",
        message='head does not follow base: migration "migration2" is late',
        detail='migration2: late, sorts before "migration3", the newest of base',
        hint='rename "migration2" to "migration4"',
    ):
        check(db, BASE, HEAD, fail=True)


def test_fail_counts_the_rows_and_lists_them_all(db):
    head = numbered(2, 3)
    with expect_error(
        "MG001",
        message='head does not follow base: 2 problems, the first: migration "migration1" is missing',
        detail="migration1: missing, base has it, head does not\n" f"migration2: late, {LATE[2]}",
        hint='rename "migration2" to "migration4"; merge base into head, or restore "migration1" as base has it',
    ):
        check(db, BASE, head, fail=True)


def test_fail_is_silent_where_there_is_none(db):
    assert check(db, BASE, BASE, fail=True) == []


# ── arguments ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "base, head, options, sqlstate, message",
    [
        ([], HEAD, {}, "22023", "base is not a JSON object"),
        (BASE, "x", {}, "22023", "head is not a JSON object"),
        (BASE, {"1.sql": 1}, {}, "22023", 'the content of "1.sql" in head is not a string'),
        ({"1.sql": "SELECT '"}, HEAD, {}, "MG009", 'base: file "1.sql", line 1: unterminated quoted string'),
        (BASE, {"1.sql": "SELECT 1;\n\\d"}, {}, "MG010", 'head: file "1.sql", line 2: psql meta-command "\\d"'),
        (BASE, {"x/1.sql": "SELECT 1"}, {}, "MG009", re.compile('^head: file "x/1.sql" stands in a subfolder')),
        (BASE, {"@none.sql": "SELECT 1"}, {}, "MG008", re.compile('^head: file "@none.sql": migration name')),
        (BASE, {"1.0.0_01_a.sql": "SELECT 1"}, {}, "MG008", re.compile('^head: file "1.0.0_01_a.sql": .* is in release form')),
        ({}, {}, {}, "MG009", "neither base nor head has a migration"),
        (BASE, HEAD, {"naming": "x"}, "22023", "naming => 'x' is not known"),
        (BASE, HEAD, {"release": "1"}, "22023", '"1" is not a release'),
        (BASE, HEAD, {"release": "1.0.0"}, "22023", 'a release is given, but the naming is "natural"'),
        (BASE, HEAD, {"footprints": "[]"}, "22023", "footprints is not a JSON object"),
        (BASE, HEAD, {"footprints": '{"x": {"read": []}}'}, "22023", 'the footprint of "x": "read" is not known'),
        (BASE, HEAD, {"fail": None}, "22023", "fail must not be null"),
    ],
)
def test_what_cannot_be_compared_is_an_error_that_says_what_and_where(db, base, head, options, sqlstate, message):
    with expect_error(sqlstate, message=message):
        check(db, base, head, **options)


@pytest.mark.parametrize("arguments", ["NULL, '{}'", "'{}', NULL"])
def test_no_side_may_be_null(db, arguments):
    with expect_error("22023", message=re.compile("^(base|head) must not be null$")):
        db.execute(f"SELECT belay.check_order({arguments})")


def test_no_project_is_touched(db):
    with nothing_changes(db):
        check(db, BASE, HEAD)


# ── directories of the server ────────────────────────────────────────────────────────────────────────────────────────

DIRECTORIES = f"SELECT {COLUMNS} FROM belay.check_order_directories(%s, %s)"


def test_directories_of_the_server_are_compared(db, server_folder):
    paths = [write(server_folder / "base", BASE), write(server_folder / "head", HEAD)]
    assert db.rows(DIRECTORIES, paths) == [LATE]
    with expect_error("MG001", hint='rename "migration2" to "migration4"'):
        db.execute("SELECT belay.check_order_directories(%s, %s, fail => true)", paths)


def test_a_directory_that_is_not_there_is_named(db, server_folder):
    path = str(server_folder / "nowhere")
    with expect_error("58P01", message=f'"{path}" does not exist on the server', hint=re.compile("belay.check_order")):
        db.execute(DIRECTORIES, [str(server_folder), path])


def test_directories_take_pg_read_server_files(db, server_folder):
    paths = [write(server_folder / "base", BASE), write(server_folder / "head", HEAD)]
    role = db.role("reader")
    db.execute("SELECT belay.grant_role(%s, 'reader')", [role])
    with db.connect(user=role) as session:
        with expect_error("42501", hint=re.compile("GRANT pg_read_server_files .*belay.check_order")):
            session.execute(DIRECTORIES, paths)
        assert check(session, BASE, HEAD) == [LATE]
        db.execute(f"GRANT pg_read_server_files TO {role}")
        assert session.rows(DIRECTORIES, paths) == [LATE]


# ── footprints ───────────────────────────────────────────────────────────────────────────────────────────────────────


def scratch_run(db, **footprints):
    """Applies HEAD; the named migrations have these footprints in the history, the others have none."""
    load(db, HEAD)
    db.execute("CALL belay.migrate_up()")
    db.execute("ALTER TABLE belay.step DISABLE TRIGGER USER")
    db.execute("UPDATE belay.step SET reads = NULL, writes = NULL, defines = NULL, everything = NULL")
    for name, (reads, writes, defines, everything) in footprints.items():
        update = "UPDATE belay.step SET reads = %s, writes = %s, defines = %s, everything = %s WHERE name = %s"
        db.execute(update, [reads, writes, defines, everything, name])


def footprints(db):
    return db.one("SELECT belay.footprints()")


def test_footprints_are_those_of_what_is_applied_and_has_one(db):
    assert footprints(db) == {}
    scratch_run(db, migration1=([], ["relation a"], ["relation b"], None), migration2=(["relation c"], [], [], "reads pg_class"))
    assert footprints(db) == {
        "migration1": {"reads": [], "writes": ["relation a"], "defines": ["relation b"], "everything": None, "transaction": True},
        "migration2": {"reads": ["relation c"], "writes": [], "defines": [], "everything": "reads pg_class", "transaction": True},
    }
    db.execute("CALL belay.migrate_to('migration1')")
    assert set(footprints(db)) == {"migration1"}


def test_footprints_say_what_runs_without_a_transaction(db):
    load(db, {"1.sql": "-- belay: transaction off\nSELECT 1"})
    db.execute("CALL belay.migrate_up()")
    db.execute("ALTER TABLE belay.step DISABLE TRIGGER USER")
    db.execute("UPDATE belay.step SET reads = '{}', writes = '{}', defines = '{}'")
    assert footprints(db)["1"]["transaction"] is False


def test_footprints_of_an_unknown_project_are_an_error(db):
    with expect_error("MG011", message='project "x" does not exist'):
        db.execute("SELECT belay.footprints('x')")
    db.execute("SELECT belay.project_create('x')")
    assert db.one("SELECT belay.footprints('x')") == {}


def test_the_footprints_of_a_scratch_run_clear_what_touches_nothing_that_came_later(db):
    scratch_run(db, migration2=([], [], ["relation t2"], None), migration3=([], [], ["relation t3"], None))
    assert check(db, BASE, HEAD, footprints=json.dumps(footprints(db))) == []


def test_the_footprints_of_a_scratch_run_keep_what_meets_a_later_one(db):
    scratch_run(db, migration2=([], [], ["relation t3"], None), migration3=(["relation t3"], [], [], None))
    (row,) = check(db, BASE, HEAD, footprints=json.dumps(footprints(db)))
    assert row == (*LATE[:2], f'{LATE[2]}; "migration2" defines relation t3, which "migration3" reads', LATE[3])


def test_a_migration_without_a_footprint_meets_everything(db):
    scratch_run(db, migration2=([], [], ["relation t2"], None))
    (row,) = check(db, BASE, HEAD, footprints=json.dumps(footprints(db)))
    assert row[2].endswith('; no footprint of "migration3" is known')
