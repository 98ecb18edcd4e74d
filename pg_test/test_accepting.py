"""belay.migrate_accept_late: who may let a late migration run, for how long that holds, and what is kept of it."""

import re

import pytest

from copies import plain
from harness.session import expect_error
from ledger import applied, history, load, nothing_changes, numbered, tables

ACCEPT = "SELECT belay.migrate_accept_late('migration2', after => 'migration3', reason => 'reviewed in #7')"
LATE = 'migration "migration2" sorts before "migration3", which is applied already'


def names(*numbers: int) -> list[str]:
    return [f"migration{n}" for n in numbers]




@pytest.fixture
def late(db):
    """migration1 and migration3 applied, migration2 late, in a strict project."""
    load(db, numbered(1, 3))
    db.execute("CALL belay.migrate_up()")
    load(db, numbered(1, 2, 3))
    return db


def state_of(db, name: str) -> tuple:
    query = "SELECT state, detail, next_command FROM belay.migrate_status() WHERE name = %s"
    return db.rows(query, [name])[0]


# ── what it does ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_accepted_late_migration_runs_and_the_notice_says_who_accepted_it(late):
    late.execute(ACCEPT)
    assert applied(late) == names(1, 3), "accepting runs nothing"
    late.execute("CALL belay.migrate_up()")
    assert applied(late) == names(1, 3, 2)
    assert "migration2 sorts before migration3, which is applied: accepted by postgres: reviewed in #7" in late.session.messages


def test_an_acceptance_is_kept_with_role_and_reason(late):
    late.execute(ACCEPT)
    assert late.rows("SELECT verb, arguments, reason, role, outcome, applied FROM belay.run ORDER BY id DESC LIMIT 1") == [
        ("accept", {"target": "migration2", "after": "migration3"}, "reviewed in #7", "postgres", "succeeded", 0)
    ]
    query = "SELECT direction, outcome, reason, detail, statement FROM belay.migrate_history(migration => 'migration2')"
    assert late.rows(query) == [("up", "accepted", "reviewed in #7", 'may run after "migration3": nothing ran', None)]


def test_the_status_of_what_was_accepted_says_so(late):
    assert state_of(late, "migration2") == (
        "late", 'sorts before "migration3", which is applied', "SELECT belay.migrate_rename('migration2', 'migration4')",
    )  # fmt: skip
    late.execute(ACCEPT)
    assert state_of(late, "migration2") == (
        "pending", 'may run after "migration3": accepted by postgres: reviewed in #7', "CALL belay.migrate_up()",
    )  # fmt: skip


def test_late_migrations_are_told_one_name_each(late):
    load(late, numbered(0, 1, 2, 3))
    query = "SELECT next_command FROM belay.migrate_status() WHERE state = 'late' ORDER BY name"
    assert [command for (command,) in late.rows(query)] == [
        "SELECT belay.migrate_rename('migration0', 'migration4')",
        "SELECT belay.migrate_rename('migration2', 'migration5')",
    ]
    for (command,) in late.rows(query):
        late.execute(command)
    late.execute("CALL belay.migrate_up()")
    assert applied(late) == names(1, 3, 4, 5)


def test_accepting_again_changes_nothing(late):
    late.execute(ACCEPT)
    with nothing_changes(late):
        late.execute(ACCEPT)
    assert late.session.messages[-1] == "migration2 is accepted already, by postgres: reviewed in #7"


def test_an_acceptance_of_one_lets_no_other_run(late):
    load(late, numbered(0, 1, 2, 3))
    late.execute(ACCEPT)
    with nothing_changes(late), expect_error("MG001", message=re.compile('^migration "migration0" sorts before')):
        late.execute("CALL belay.migrate_up()")


def test_an_accepted_late_migration_is_reverted_and_applied_again(late):
    late.execute(ACCEPT)
    late.execute("CALL belay.migrate_up()")
    late.execute("CALL belay.migrate_down()")
    assert applied(late) == names(1, 3)
    late.execute("CALL belay.migrate_up()")
    late.execute("CALL belay.migrate_redo(steps => 2)")
    assert applied(late) == names(1, 2, 3), "redo brings both into their places"
    late.execute("CALL belay.migrate_to('@none')")
    assert (applied(late), tables(late)) == ([], [])


def test_what_is_accepted_and_pending_does_not_keep_others_from_being_reverted(late):
    late.execute(ACCEPT)
    with nothing_changes(late), expect_error("MG001", message=re.compile('"migration3" cannot be applied before "migration2"')):
        late.execute("CALL belay.migrate_redo()")
    late.execute("CALL belay.migrate_down()")
    assert applied(late) == names(1)


def test_an_accepted_migration_may_be_marked_and_another_late_one_not(late):
    load(late, numbered(1, 2, 3) | {"migration2a.sql": "SELECT 1"})
    with nothing_changes(late), expect_error("MG001", message=LATE, hint=re.compile(r"migrate_accept_late\('migration2'")):
        late.execute("SELECT belay.migrate_mark('migration2', 'applied')")
    late.execute(ACCEPT)
    late.execute("SELECT belay.migrate_mark('migration2', 'applied')")
    with nothing_changes(late), expect_error("MG001", message=re.compile("migration2a")):
        late.execute("SELECT belay.migrate_mark('migration2a', 'applied')")
    assert applied(late) == names(1, 3, 2)


def test_a_wait_counts_on_what_was_accepted(late):
    with expect_error("MG001", message=LATE):
        late.execute("CALL belay.migrate_wait(wait => '0')")
    late.execute(ACCEPT)
    with expect_error("55P03", detail=re.compile("accepted by postgres")):
        late.execute("CALL belay.migrate_wait(wait => '0')")


def test_accepting_in_a_transaction_ends_with_it(late):
    with late.connect(autocommit=False) as session:
        session.execute(ACCEPT)
        session.execute("CALL belay.migrate_up()")
        session.rollback()
    with nothing_changes(late), expect_error("MG001", message=LATE):
        late.execute("CALL belay.migrate_up()")


def test_another_project_and_its_order(db):
    db.execute("SELECT belay.project_create('shop')")
    load(db, numbered(1, 3), project="shop")
    db.execute("CALL belay.migrate_up(project => 'shop')")
    load(db, numbered(1, 2, 3), project="shop")
    with expect_error("22023", hint=re.compile(r"after => 'migration3', reason => '...', project => 'shop'\)")):
        db.execute("SELECT belay.migrate_accept_late('migration2', after => 'migration1', reason => 'r', project => 'shop')")
    db.execute("SELECT belay.migrate_accept_late('migration2', after => 'migration3', reason => 'r', project => 'shop')")
    db.execute("CALL belay.migrate_up(project => 'shop')")
    assert applied(db, "shop") == names(1, 3, 2)


# ── how long it holds ────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_acceptance_ends_when_the_text_is_replaced(late):
    late.execute(ACCEPT)
    late.execute("SELECT belay.migrate_register('migration2', 'CREATE TABLE other ()', replace => true)")
    with (
        nothing_changes(late),
        expect_error(
            "MG001",
            message=f"{LATE}; it was accepted with another text",
            hint=re.compile(r"SELECT belay.migrate_accept_late\('migration2', after => 'migration3', reason => '...'\)"),
        ),
    ):
        late.execute("CALL belay.migrate_up()")
    assert state_of(late, "migration2")[0] == "late"
    late.execute(ACCEPT)
    late.execute("CALL belay.migrate_up()")
    assert applied(late) == names(1, 3, 2)


def test_an_acceptance_ends_when_more_is_applied(late):
    late.execute(ACCEPT)
    load(late, numbered(1, 2, 3, 4))
    late.execute("SELECT belay.project_alter('default', ordering => 'permissive')")
    late.execute("SELECT belay.migrate_mark('migration4', 'applied')")
    message = (
        'migration "migration2" sorts before "migration4", which is applied already; '
        'it was accepted after "migration3", and more has been applied since then'
    )
    with (
        nothing_changes(late),
        expect_error("MG001", message=message, hint=re.compile("migrate_accept_late\\('migration2', after => 'migration4'")),
    ):
        late.execute("CALL belay.migrate_up(ordering => 'strict')")
    late.execute("SELECT belay.migrate_accept_late('migration2', after => 'migration4', reason => 'again')")
    late.execute("CALL belay.migrate_up(ordering => 'strict')")
    assert applied(late) == names(1, 3, 4, 2)


def test_an_acceptance_survives_a_rename_of_both(late):
    late.execute(ACCEPT)
    late.execute("SELECT belay.migrate_rename('migration2', 'migration2_b')")
    late.execute("SELECT belay.migrate_rename('migration3', 'migration3_c')")
    late.execute("CALL belay.migrate_up()")
    assert applied(late) == ["migration1", "migration3_c", "migration2_b"]
    late.execute("SELECT belay.migrate_rename('migration2_b', 'migration2')")


def test_an_acceptance_survives_pruning_while_the_migration_is_registered(late):
    late.execute(ACCEPT)
    late.execute("SELECT belay.history_prune(now() + interval '1 day')")
    late.execute("CALL belay.migrate_up()")
    assert applied(late) == names(1, 3, 2)
    late.execute("CALL belay.migrate_down()")
    late.execute("SELECT belay.migrate_unregister('migration2')")
    late.execute("SELECT belay.history_prune(now() + interval '1 day')")
    assert [step for step in history(late) if step[0] == "migration2"] == []


@pytest.mark.parametrize("applied_first", [True, False], ids=["applied", "pending"])
def test_a_restored_ledger_believes_what_was_accepted(late, new_database, applied_first):
    late.execute(ACCEPT)
    if applied_first:
        late.execute("CALL belay.migrate_up()")
    copy = new_database(extension=False)
    plain(late, copy)
    load(copy, numbered(1, 2, 3, 4))
    copy.execute("CALL belay.migrate_up()")
    assert applied(copy) == names(1, 3, 2, 4)


# ── who may, and what is refused ─────────────────────────────────────────────────────────────────────────────────────


def accept(db, name="migration2", after="migration3", reason="because"):
    db.execute("SELECT belay.migrate_accept_late(%s, after => %s, reason => %s)", [name, after, reason])


COMMAND = "SELECT belay.migrate_accept_late('migration2', after => 'migration3', reason => '...')"
REFUSED = {
    "no reason": ({"reason": ""}, "22023", "to accept a late migration needs a reason", "kept in the history"),
    "a blank reason": ({"reason": " \n"}, "22023", "to accept a late migration needs a reason", "kept in the history"),
    "a reason of NULL": ({"reason": None}, "22023", "reason must not be null", "pass reason"),
    "no name": ({"name": None}, "22023", "name must not be null", "pass name"),
    "nothing it comes after": ({"after": None}, "22023", "after must not be null", "pass after"),
    "not registered": ({"name": "x"}, "MG011", 'migration "x" is not registered', "migrate_status"),
    "after what is not registered": ({"after": "x"}, "MG011", 'migration "x" is not registered', "migrate_status"),
    "applied": ({"name": "migration1"}, "22023", 'migration "migration1" is applied already', "migrate_status"),
    "not late": (
        {"name": "migration4"}, "22023", 'migration "migration4" is not late: nothing that is applied sorts after it', "migrate_up",
    ),
    "after itself": ({"after": "migration2"}, "22023", '"migration2" is not applied, so that nothing can run after it', COMMAND),
    "after what is pending": ({"after": "migration4"}, "22023", '"migration4" is not applied, so that nothing can run after it', COMMAND),
    "not after the last": (
        {"after": "migration1"}, "22023", '"migration1" is not the last one that is applied: "migration3" sorts after it', COMMAND,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_accepted_is_refused_with_the_next_command(late, case):
    arguments, sqlstate, message, hint = case
    load(late, numbered(1, 2, 3, 4))
    with nothing_changes(late), expect_error(sqlstate, message=message, hint=re.compile(re.escape(hint))):
        accept(late, **arguments)


def test_only_the_owner_of_the_project_accepts(late):
    role = late.role("stranger")
    late.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA belay TO {role}")
    with late.connect(user=role) as session:
        with (
            nothing_changes(late),
            expect_error("42501", message='only the owner of project "default" may accept a late migration', hint=re.compile("SET ROLE")),
        ):
            session.execute(ACCEPT)
        owner = late.role("owner", "NOLOGIN")
        late.execute("SELECT belay.project_alter('default', owner => %s)", [owner])
        late.execute(f"GRANT {owner} TO {role}")
        session.execute(ACCEPT)
    assert late.one("SELECT role FROM belay.run WHERE verb = 'accept'") == role


def test_a_migration_cannot_accept_another(late):
    late.execute("SELECT belay.migrate_register('migration4', %s)", [ACCEPT])
    late.execute("SELECT belay.migrate_rename('migration2', 'migration5')")
    with expect_error("MG012", message=re.compile("a run is active in this session")):
        late.execute("CALL belay.migrate_up()")


def test_accepting_is_refused_while_a_run_is_going_on(late):
    late.execute("SELECT belay.migrate_register('migration4', 'SELECT pg_advisory_xact_lock(4711)')")
    with late.connect() as holder:
        holder.execute("SELECT pg_advisory_lock(4711)")
        run = late.start("CALL belay.migrate_up(ordering => 'permissive', reason => 'now')")
        late.wait_until_blocked(run.pid)
        with expect_error("55P03", message=re.compile("is being migrated by another session")):
            accept(late)
        holder.execute("SELECT pg_advisory_unlock(4711)")
        run.finish()


# ── the catalog asks for it, too ─────────────────────────────────────────────────────────────────────────────────────

#: A superuser writes a strict run and the step that applied migration2 by hand.
BY_HAND = """
    WITH run AS (
        INSERT INTO belay.run (project_id, verb, ordering, transaction, role, session_role, application_name, pid,
                               backend_start, library_version)
        SELECT id, 'up', 'strict', 'per_migration', current_user, session_user, '', pg_backend_pid(), now(), '0'
        FROM belay.project RETURNING id
    )
    INSERT INTO belay.step (run_id, project_id, migration_id, name, direction, definition_id, checksum, search_path,
                            started_at, finished_at, outcome)
    SELECT run.id, m.project_id, m.id, m.name, 'up', m.definition_id, m.checksum, '', now(), now(), 'applied'
    FROM belay.migration m, run WHERE m.name = 'migration2'
"""
INSERT = """
    INSERT INTO belay.applied (migration_id, project_id, sort_key, step_id, checksum, applied_by)
    SELECT m.id, m.project_id, m.sort_key, (SELECT max(s.id) FROM belay.step s WHERE s.migration_id = m.id), m.checksum, current_user
    FROM belay.migration m WHERE m.name = 'migration2'
"""


def test_a_superusers_insert_of_what_was_accepted_is_taken_and_of_another_is_refused(late):
    late.execute(BY_HAND)
    with nothing_changes(late), expect_error("MG001", message=LATE):
        late.execute(INSERT)
    late.execute(ACCEPT)
    late.execute(BY_HAND)
    late.execute(INSERT)
    assert applied(late) == names(1, 3, 2)


def test_an_acceptance_is_no_step_that_applied_something(late):
    late.execute(ACCEPT)
    with nothing_changes(late), expect_error("MG015", message=re.compile("no step of that migration")):
        late.execute(INSERT)


def test_a_run_that_is_looser_than_its_project_counts_only_with_a_reason(late):
    late.execute(BY_HAND.replace("'strict'", "'permissive'"))
    with nothing_changes(late), expect_error("MG001", message=LATE):
        late.execute(INSERT)
    with nothing_changes(late), expect_error("MG001", message=LATE):
        late.execute("BEGIN")
        try:
            late.execute(BY_HAND.replace("'strict'", "'permissive'").replace("transaction, role", "transaction, reason, role")
                         .replace("'per_migration',", "'per_migration', ' ',"))  # fmt: skip
            late.execute(INSERT)
        finally:
            late.execute("ROLLBACK")
    late.execute(BY_HAND.replace("'strict'", "'permissive'").replace("transaction, role", "transaction, reason, role")
                 .replace("'per_migration',", "'per_migration', 'agreed',"))  # fmt: skip
    late.execute(INSERT)
    assert applied(late) == names(1, 3, 2)


def test_rows_that_a_superuser_inserts_together_hide_nothing_behind_an_accepted_one(late):
    load(late, numbered(1, 2, 3) | {"migration2a.sql": "SELECT 1"})
    late.execute("SELECT belay.migrate_accept_late('migration2a', after => 'migration3', reason => 'r')")
    late.execute(BY_HAND.replace("= 'migration2'", "LIKE 'migration2%'"))
    together = INSERT.replace("= 'migration2'", "LIKE 'migration2%'")
    hole = 'migration "migration2a" sorts after "migration2", which is pending'
    for order, message in (("m.sort_key", LATE), ("m.sort_key DESC", hole)):
        with nothing_changes(late), expect_error("MG001", message=message):
            late.execute(f"{together} ORDER BY {order}")
