"""Who may go past the order of a project, and what the catalog refuses whoever asks."""

import json
import re

import psycopg
import pytest

from harness.session import describe, expect_error
from ledger import applied, history, load, nothing_changes, numbered, state

LATE = re.escape('migration "migration2" sorts before "migration3", which is applied already')
LATE_HINT = (
    "rename it so that it sorts after \"migration3\": SELECT belay.migrate_rename('migration2', 'migration4'); "
    "or after review let it run late: SELECT belay.migrate_accept_late('migration2', after => 'migration3', reason => '...'); "
    "or loosen the policy for this call: CALL belay.migrate_up(ordering => 'permissive', reason => '...')"
)


def names(*numbers: int) -> list[str]:
    return [f"migration{n}" for n in numbers]


def apply(db, *numbers: int) -> None:
    load(db, numbered(*numbers))
    db.execute("CALL belay.migrate_up()")


# ── the policy of a call ─────────────────────────────────────────────────────────────────────────────────────────────


def out_of_order(db, ordering: str = "strict"):
    """migration1 and migration3 applied, migration2 late."""
    db.execute("SELECT belay.project_create('default', ordering => %s)", [ordering])
    apply(db, 1, 3)
    load(db, numbered(1, 2, 3))


@pytest.mark.parametrize("reason", ["NULL", "''", "'  '"])
@pytest.mark.parametrize("verb", ["migrate_up", "migrate_down", "migrate_redo"])
def test_loosening_needs_a_reason(db, verb, reason):
    out_of_order(db)
    with (
        nothing_changes(db),
        expect_error(
            "22023",
            message="ordering => 'permissive' is looser than the project's and needs a reason",
            hint="pass reason => '...'; it is kept in the history",
        ),
    ):
        db.execute(f"CALL belay.{verb}(ordering => 'permissive', reason => {reason})")


def test_loosening_with_a_reason_runs_the_late_arrival_and_keeps_the_reason(db):
    out_of_order(db)
    db.execute("CALL belay.migrate_up(ordering => 'permissive', reason => 'reviewed by hand')")
    assert applied(db) == names(1, 3, 2)
    assert db.rows("SELECT ordering, reason FROM belay.run ORDER BY id DESC LIMIT 1") == [("permissive", "reviewed by hand")]
    assert db.one("SELECT reason FROM belay.migrate_history(migration => 'migration2')") == "reviewed by hand"


def test_loosening_lasts_for_its_call_only(db):
    out_of_order(db)
    db.execute("CALL belay.migrate_up(ordering => 'permissive', reason => 'once')")
    load(db, numbered(0, 1, 2, 3))
    with (
        nothing_changes(db),
        expect_error(
            "MG001",
            message='migration "migration0" sorts before "migration3", which is applied already',
            hint=re.compile("rename"),
        ),
    ):
        db.execute("CALL belay.migrate_up()")


def deployer(db, *owners: str) -> str:
    """A role that may run migrations and is member of `owners`."""
    role = db.role("deployer")
    for routine in ("PROCEDURES", "FUNCTIONS"):
        db.execute(f"GRANT EXECUTE ON ALL {routine} IN SCHEMA belay TO {role}")
    db.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
    for owner in owners:
        db.execute(f"GRANT {owner} TO {role}")
    return role


def test_loosening_is_the_owners(db):
    owner = db.role("owner", "NOLOGIN")
    role = deployer(db)
    db.execute("SELECT belay.project_create('default', owner => %s)", [owner])
    with db.connect(user=role) as session:
        files = json.dumps(numbered(1, 3))
        session.execute("SELECT * FROM belay.migrate_load_files(%s)", [files])
        session.execute("CALL belay.migrate_up()")
        session.execute("SELECT * FROM belay.migrate_load_files(%s)", [json.dumps(numbered(1, 2, 3))])
        call = "CALL belay.migrate_up(ordering => 'permissive', reason => 'because')"
        with (
            nothing_changes(db),
            expect_error(
                "42501",
                message="only the owner of project \"default\" may run with ordering => 'permissive'",
                hint=f"SET ROLE {owner}, or ask a member of that role",
            ),
        ):
            session.execute(call)
        db.execute(f"GRANT {owner} TO {role}")
        session.execute(call)
    assert applied(db) == names(1, 3, 2)


def test_tightening_is_free(db):
    role = deployer(db)
    db.execute("SELECT belay.project_create('default', ordering => 'permissive')")
    with db.connect(user=role) as session:
        load_files = "SELECT * FROM belay.migrate_load_files(%s)"
        session.execute(load_files, [json.dumps(numbered(1, 3))])
        session.execute("CALL belay.migrate_up(ordering => 'strict')")
        assert applied(db) == names(1, 3)
        session.execute(load_files, [json.dumps(numbered(1, 2, 3))])
        with nothing_changes(db), expect_error("MG001", message=re.compile(LATE), hint=LATE_HINT):
            session.execute("CALL belay.migrate_up(ordering => 'strict')")
        session.execute("CALL belay.migrate_up()")
    assert applied(db) == names(1, 3, 2)


@pytest.mark.parametrize("given", ["loose", "", "STRICT"])
def test_an_unknown_ordering_is_refused(db, given):
    load(db, numbered(1))
    with (
        nothing_changes(db),
        expect_error("22023", message=f"ordering => '{given}' is not known", hint="use 'strict', 'disjoint' or 'permissive'"),
    ):
        db.execute("CALL belay.migrate_up(ordering => %s)", [given])


@pytest.mark.parametrize("verb", ["migrate_down()", "migrate_to('@none')", "migrate_to('migration1')", "migrate_redo()"])
def test_a_project_that_allows_no_down_is_never_reverted(db, verb):
    apply(db, 1, 2)
    db.execute("SELECT belay.project_alter('default', allow_down => false)")
    with (
        nothing_changes(db),
        expect_error(
            "MG004",
            message='migration "migration2" may not be reverted: the project does not allow it',
            hint=re.compile("SELECT belay.project_alter\\('default', allow_down => true\\)"),
        ),
    ):
        db.execute(f"CALL belay.{verb}")
    db.execute("SELECT belay.project_alter('default', allow_down => true)")
    db.execute(f"CALL belay.{verb}")
    assert history(db)[2] == ("migration2", "down", "reverted")


def test_a_strict_project_that_was_out_of_order_goes_on_when_it_is_permissive(db):
    out_of_order(db)
    db.execute("SELECT belay.project_alter('default', ordering => 'permissive')")
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == names(1, 3, 2)


def test_a_late_arrival_runs_after_it_was_renamed(db):
    out_of_order(db)
    db.execute("SELECT belay.migrate_rename('migration2', 'migration4')")
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == names(1, 3, 4)


# ── the catalog keeps the rules for everybody ────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=["origin", "replica"])
def superuser(db, request):
    """A superuser's session in each session_replication_role: none of them switches the rules off."""
    session = db.connect()
    session.execute(f"SET session_replication_role = {request.param}")
    return session


INSERT = """
    INSERT INTO belay.applied (migration_id, project_id, sort_key, step_id, checksum, applied_by)
    SELECT m.id, m.project_id, {key}, {step}, m.checksum, current_user FROM belay.migration m WHERE m.name {which}
"""


#: A strict run of what `which` names, with a step for each: what the verb itself would have written.
HISTORY = """
    WITH run AS (
        INSERT INTO belay.run (project_id, verb, ordering, transaction, role, session_role, application_name, pid,
                               backend_start, library_version)
        SELECT id, 'up', 'strict', 'per_migration', current_user, session_user, '', pg_backend_pid(), now(), '0'
        FROM belay.project WHERE name = 'default' RETURNING id
    )
    INSERT INTO belay.step (run_id, project_id, migration_id, name, direction, definition_id, checksum, search_path,
                            started_at, finished_at, outcome)
    SELECT run.id, m.project_id, m.id, m.name, '{direction}', m.definition_id, m.checksum, '', now(), now(), '{outcome}'
    FROM belay.migration m, run WHERE m.name {which}
"""

#: The newest step of the migration that is inserted.
OWN_STEP = "(SELECT max(s.id) FROM belay.step s WHERE s.migration_id = m.id)"


def insert(which: str, step: str = OWN_STEP, key: str = "m.sort_key") -> str:
    """An INSERT into what is applied, for the migrations whose name is `which`, with a step that says how."""
    return INSERT.format(which=which, step=step, key=key)


def write_history(session, which: str, direction: str = "up", outcome: str = "applied") -> None:
    """A superuser writes a run and its steps by hand: they break no rule, being new."""
    session.execute(HISTORY.format(which=which, direction=direction, outcome=outcome))


def not_made(name: str, db) -> re.Pattern:
    """The message of a row that no step stands for."""
    number = db.one("SELECT id FROM belay.migration WHERE name = %s", [name])
    return re.compile(f"^belay.applied cannot hold migration {number}: no step")


FORGED_HINT = "CALL belay.migrate_up() applies what is pending"


def test_a_superusers_insert_of_a_late_arrival_is_refused(db, superuser):
    out_of_order(db)
    write_history(superuser, "= 'migration2'")
    with (
        nothing_changes(db),
        expect_error("MG001", message=re.compile(LATE), hint=re.compile("migrate_rename\\('migration2', 'migration4'\\)")),
    ):
        superuser.execute(insert("= 'migration2'"))


def test_a_superusers_insert_that_leaves_a_hole_is_refused(db, superuser):
    apply(db, 1)
    load(db, numbered(1, 2, 3))
    write_history(superuser, "= 'migration3'")
    with (
        nothing_changes(db),
        expect_error(
            "MG001",
            message='migration "migration3" sorts after "migration2", which is pending',
            hint=re.compile("CALL belay.migrate_up\\(\\)"),
        ),
    ):
        superuser.execute(insert("= 'migration3'"))


@pytest.mark.parametrize("which", ["IN ('migration2', 'migration4')", "IN ('migration4', 'migration5')"])
def test_a_superusers_insert_of_many_rows_is_judged_as_a_whole(db, superuser, which):
    """With migration2 late, neither it nor what stands behind it may come in, in whatever company."""
    apply(db, 1, 3)
    load(db, numbered(1, 2, 3, 4, 5))
    write_history(superuser, which)
    with nothing_changes(db), expect_error("MG001", message=re.compile('"migration2"'), hint=re.compile("migrate_(up|rename)")):
        superuser.execute(insert(which))


def test_a_superusers_insert_in_order_with_its_history_is_taken(db, superuser):
    """What the refusals are measured by: the same rows, nothing late and no hole."""
    apply(db, 1)
    load(db, numbered(1, 2, 3))
    which = "IN ('migration2', 'migration3')"
    write_history(superuser, which)
    superuser.execute(insert(which).rstrip() + " ORDER BY m.sort_key")
    assert sorted(applied(db)) == names(1, 2, 3)
    assert db.one("SELECT count(*) FROM belay.pending") == 0


def test_a_step_of_another_migration_does_not_excuse_a_late_arrival(db, superuser):
    """A permissive run's step belongs to what that run applied, and to nothing else."""
    out_of_order(db)
    db.execute("CALL belay.migrate_up(ordering => 'permissive', reason => 'once')")
    load(db, numbered(0, 1, 2, 3))
    foreign = "(SELECT id FROM belay.step WHERE name = 'migration2')"
    with nothing_changes(db), expect_error("MG015", message=not_made("migration0", db), hint=FORGED_HINT):
        superuser.execute(insert("= 'migration0'", foreign))


def test_a_step_of_another_project_does_not_excuse_a_late_arrival(db, superuser):
    out_of_order(db)
    db.execute("SELECT belay.project_create('loose', ordering => 'permissive')")
    load(db, numbered(7), project="loose")
    db.execute("CALL belay.migrate_up(project => 'loose')")
    foreign = "(SELECT max(id) FROM belay.step)"
    with nothing_changes(db), expect_error("MG015", message=not_made("migration2", db), hint=FORGED_HINT):
        superuser.execute(insert("= 'migration2'", foreign))


def test_a_step_down_does_not_make_a_migration_applied(db, superuser):
    apply(db, 1)
    db.execute("CALL belay.migrate_down()")
    with nothing_changes(db), expect_error("MG015", message=not_made("migration1", db), hint=FORGED_HINT):
        superuser.execute(insert("= 'migration1'"))


def test_a_step_that_does_not_exist_does_not_excuse_a_late_arrival(db, superuser):
    out_of_order(db)
    with nothing_changes(db), expect_error("MG015", message=not_made("migration2", db), hint=FORGED_HINT):
        superuser.execute(insert("= 'migration2'", "4711"))


def test_a_forged_place_in_the_order_does_not_excuse_a_late_arrival(db, superuser):
    out_of_order(db)
    write_history(superuser, "= 'migration2'")
    with nothing_changes(db), expect_error("MG015", message=not_made("migration2", db), hint=FORGED_HINT):
        superuser.execute(insert("= 'migration2'", key="'\\xff'"))


def test_a_superusers_delete_below_the_newest_is_refused(db, superuser):
    apply(db, 1, 2, 3)
    with (
        nothing_changes(db),
        expect_error(
            "MG001",
            message='migration "migration1" cannot be reverted before "migration3", which was applied after it',
            hint="CALL belay.migrate_down() reverts the most recently applied one",
        ),
    ):
        superuser.execute("DELETE FROM belay.applied WHERE position = (SELECT min(position) FROM belay.applied)")


def test_a_superusers_delete_of_many_rows_is_judged_as_a_whole(db, superuser):
    apply(db, 1, 2, 3)
    with nothing_changes(db), expect_error("MG001", hint=re.compile("migrate_down")):
        superuser.execute(
            "DELETE FROM belay.applied WHERE migration_id IN (SELECT id FROM belay.migration WHERE name IN ('migration1', 'migration3'))"
        )
    superuser.execute(
        "DELETE FROM belay.applied WHERE migration_id IN (SELECT id FROM belay.migration WHERE name IN ('migration2', 'migration3'))"
    )
    assert applied(db) == names(1)


def test_a_superusers_delete_is_refused_where_the_project_allows_no_down(db, superuser):
    apply(db, 1, 2)
    db.execute("SELECT belay.project_alter('default', allow_down => false)")
    with (
        nothing_changes(db),
        expect_error(
            "MG004",
            message=re.compile('project "default" does not allow reverting'),
            hint=re.compile("SELECT belay.project_alter\\('default', allow_down => true\\)"),
        ),
    ):
        superuser.execute("DELETE FROM belay.applied")


#: Each rewrites what is finished, or takes it away.
REWRITES = [
    "UPDATE belay.applied SET position = position + 100",
    "UPDATE belay.applied SET applied_at = now()",
    "UPDATE belay.applied SET sort_key = '\\xff' WHERE sort_key = (SELECT sort_key FROM belay.applied ORDER BY sort_key LIMIT 1)",
    "TRUNCATE belay.applied",
    "DELETE FROM belay.run",
    "TRUNCATE belay.run CASCADE",
    "UPDATE belay.run SET reason = 'another'",
    "DELETE FROM belay.step",
    "TRUNCATE belay.step CASCADE",
    "UPDATE belay.step SET outcome = 'failed'",
    "UPDATE belay.step SET name = 'another'",
    "UPDATE belay.step_error SET message = 'another'",
    "DELETE FROM belay.step_error",
    "TRUNCATE belay.step_error",
    "UPDATE belay.definition SET up = 'SELECT 2'",
    "TRUNCATE belay.definition CASCADE",
    "UPDATE belay.migration SET definition_id = (SELECT max(id) FROM belay.definition) WHERE name = 'migration1'",
    "UPDATE belay.migration SET checksum = 'x' WHERE id IN (SELECT migration_id FROM belay.applied)",
    "UPDATE belay.migration SET project_id = project_id + 1 WHERE name = 'migration1'",
    "DELETE FROM belay.pending",
    "TRUNCATE belay.pending",
    "TRUNCATE belay.migration CASCADE",
    "TRUNCATE belay.project CASCADE",
]


def test_a_superuser_cannot_rewrite_history(db, superuser):
    load(db, numbered(1, 2) | {"migration3.sql": "SELECT 1/0"})
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    before, done = state(db), []
    for statement in REWRITES:
        superuser.execute("BEGIN")
        try:
            superuser.execute(statement)
            done.append(statement)
        except psycopg.Error as error:
            assert error.sqlstate == "MG015", describe(error)
            assert error.diag.message_primary and error.diag.message_hint, describe(error)
        superuser.execute("ROLLBACK")
    assert done == [], "these were not refused"
    assert state(db) == before


def test_what_is_applied_cannot_be_made_pending_too(db, superuser):
    apply(db, 1)
    with (
        nothing_changes(db),
        expect_error(
            "MG015", message='migration "migration1" is applied and cannot be pending as well', hint=re.compile("migrate_down")
        ),
    ):
        superuser.execute("INSERT INTO belay.pending SELECT id, project_id, sort_key FROM belay.migration")


#: Nothing may be taken from under what is applied or recorded.
DELETIONS = ["definition", "migration", "project"]


@pytest.mark.parametrize("table", DELETIONS)
def test_a_superuser_cannot_delete_what_history_stands_on(db, superuser, table):
    apply(db, 1)
    with nothing_changes(db), expect_error("MG015"):
        superuser.execute(f"DELETE FROM belay.{table}")


def test_the_policy_is_no_setting_of_the_session(db):
    out_of_order(db)
    settings = db.rows("SELECT name FROM pg_settings WHERE name LIKE 'belay.%' AND name LIKE '%order%'")
    assert settings == []
    db.execute("SET belay.ordering = 'permissive'")
    with nothing_changes(db), expect_error("MG001", message=re.compile(LATE), hint=LATE_HINT):
        db.execute("CALL belay.migrate_up()")


def test_a_migration_cannot_open_its_own_policy(db):
    """What it changes in belay.project by itself is refused or without effect for the run that is on."""
    role = deployer(db)
    db.execute("SELECT belay.project_create('default')")
    with db.connect(user=role) as session:
        files = {"migration1.sql": "UPDATE belay.project SET ordering = 'permissive'"}
        session.execute("SELECT * FROM belay.migrate_load_files(%s)", [json.dumps(files)])
        with expect_error("42501", message="permission denied for table project"):
            session.execute("CALL belay.migrate_up()")
    assert db.rows("SELECT name, ordering FROM belay.project") == [("default", "strict")]
