"""What stopped halfway: how it is told, how an operator settles it, and how what it left is cleared away."""

from __future__ import annotations

import re

import pytest

from harness.database import Database, Running
from harness.session import expect_error
from harness.waiting import poll_until
from ledger import applied, history, load, nothing_changes, numbered


def register(db: Database, name: str, up: str, **options: object) -> None:
    given = "".join(f", {option} => %({option})s" for option in options)
    db.execute(f"SELECT belay.migrate_register(%(name)s, %(up)s{given})", {"name": name, "up": up, **options})


def indexes(db: Database) -> list[tuple]:
    return db.rows("""SELECT c.relname::text, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                      WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1""")


def failed_build(db: Database) -> None:
    """0001 has left an invalid index i; 0002 is pending."""
    db.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1)")
    register(db, "0001", "CREATE TABLE a ();\nCREATE UNIQUE INDEX CONCURRENTLY i ON t (id)")
    register(db, "0002", "CREATE TABLE b ()")
    with expect_error("23505"):
        db.execute("CALL belay.migrate_up()")
    assert indexes(db) == [("i", False)]


def cancelled(db: Database, statement: str) -> None:
    """Runs a statement by hand and cancels it while it waits for a writer of t."""
    writer = db.connect(autocommit=False)
    writer.execute("INSERT INTO t VALUES (99)")
    running = db.start(statement)
    db.wait_until_blocked(running.pid)
    running.cancel()
    with expect_error("57014"):
        running.finish()
    writer.rollback()


# ── dirty ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("call", ["migrate_up()", "migrate_up(transaction => 'per_run')"])
def test_sg_11_a_transactional_migration_that_failed_is_not_dirty(db, call):
    """It has left nothing: it may simply be run again."""
    load(db, numbered(1) | {"migration2.sql": "CREATE TABLE half (); SELECT 1/0"})
    with expect_error("22012"):
        db.execute(f"CALL belay.{call}")
    assert db.rows("SELECT state FROM belay.migrate_status() WHERE name = 'migration2'") == [("pending",)]
    assert db.rows("TABLE belay.unfinished") == [] and db.one("SELECT to_regclass('half')") is None
    load(db, numbered(1) | {"migration2.sql": "CREATE TABLE half ()"})
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["migration1", "migration2"]


def test_sg_11_dirty_names_the_statement_the_error_and_what_comes_next(db):
    failed_build(db)
    assert db.rows("SELECT name, state, detail, next_command FROM belay.migrate_status()") == [
        (
            "0001", "dirty",
            'went up and stopped at statement 2 of 2: could not create unique index "i"; the next run resumes there',
            "CALL belay.migrate_up()",
        ),
        ("0002", "pending", None, "CALL belay.migrate_up()"),
    ]  # fmt: skip


def test_sg_11_dirty_says_that_the_operator_is_asked_where_the_outcome_cannot_be_known(db):
    db.execute("CREATE TABLE t ()")
    register(db, "0001", "-- belay: transaction off\nCREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; LOCK TABLE t; END $$;\nCALL p()")
    blocker = db.connect(autocommit=False)
    blocker.execute("LOCK TABLE t")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    db.execute("SELECT pg_terminate_backend(%s)", [run.pid])
    db.wait_until_gone(run.pid)
    blocker.rollback()
    detail, command = db.rows("SELECT detail, next_command FROM belay.migrate_status()")[0]
    assert "resumes" not in detail and "migrate_mark('0001', 'pending', statement => 2" in command


COMMITS = "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; LOCK TABLE t; END $$"


def die_where_it_cannot_be_known(db: Database, text: str, project: str = "default", **options: object) -> None:
    """0001 called procedure p, and its session died there."""
    db.execute("CREATE TABLE t ();" + COMMITS)
    register(db, "0001", "-- belay: transaction off\n" + text, project=project, **options)
    blocker = db.connect(autocommit=False)
    blocker.execute("LOCK TABLE t")
    run = db.start("CALL belay.migrate_up(project => %s)", [project])
    db.wait_until_blocked(run.pid)
    db.execute("SELECT pg_terminate_backend(%s)", [run.pid])
    db.wait_until_gone(run.pid)
    blocker.rollback()


@pytest.mark.parametrize("text, ended", [("CALL p()", "'applied'"), ("CALL p(); SELECT 1", "'pending', statement => 2")])
@pytest.mark.parametrize("project", ["default", "o'ther"])
def test_both_ways_out_are_told_by_the_error_and_by_the_status_alike(db, text, ended, project):
    if project != "default":
        db.execute("SELECT belay.project_create(%s)", [project])
    die_where_it_cannot_be_known(db, text, project)
    end = "" if project == "default" else ", project => 'o''ther'"
    said, again = f"SELECT belay.migrate_mark('0001', {ended}{end})", f"SELECT belay.migrate_mark('0001', 'pending', statement => 1{end})"
    number = 1 if text == "CALL p()" else 2
    stopped = f"went up and stopped at statement 1 of {number}: its session died; whether it ended cannot be known: "
    told = [("dirty", f"{stopped}{said} when it did, {again} to run it again", again)]
    look = "SELECT state, detail, next_command FROM belay.migrate_status(%s)"
    assert db.rows(look, [project]) == told
    hint = f"look at the database, then say how it ended: {said} when it did, {again} to run it again"
    for _ in range(2):
        with expect_error("MG007", hint=hint):
            db.execute("CALL belay.migrate_up(project => %s)", [project])
        assert db.rows(look, [project]) == told
    assert db.rows("SELECT detail, next_command FROM belay.migrate_validate(project => %s)", [project]) == [told[0][1:]]
    session = db.connect()
    with nothing_changes(db):
        session.execute("CALL belay.migrate_repair(project => %s)", [project])
    assert [(notice.message, notice.hint) for notice in session.notices] == [
        ("nothing to remove: 0001: statement 1 had begun, and whether it ended cannot be known", hint)
    ]
    db.execute(said)
    db.execute("CALL belay.migrate_up(project => %s)", [project])
    assert applied(db, project) == ["0001"]


def test_the_way_out_of_a_down_that_cannot_be_known_is_pending(db):
    db.execute("CREATE TABLE t ();" + COMMITS)
    register(db, "0001", "SELECT 1", down="-- belay: transaction off\nCALL p()")
    db.execute("CALL belay.migrate_up()")
    blocker = db.connect(autocommit=False)
    blocker.execute("LOCK TABLE t")
    run = db.start("CALL belay.migrate_down()")
    db.wait_until_blocked(run.pid)
    db.execute("SELECT pg_terminate_backend(%s)", [run.pid])
    db.wait_until_gone(run.pid)
    blocker.rollback()
    detail = db.one("SELECT detail FROM belay.migrate_status()")
    said = "SELECT belay.migrate_mark('0001', 'pending') when it did"
    assert said in detail
    with expect_error("MG007", hint=re.compile(re.escape(said))):
        db.execute("CALL belay.migrate_down()")
    db.execute("SELECT belay.migrate_mark('0001', 'pending')")
    assert applied(db) == []


def test_an_edit_of_what_ran_already_is_shown_beside_what_ran(db):
    text = "-- belay: transaction off\nCREATE TABLE a ();\nCREATE TABLE b ();\nSELECT 1/0"
    register(db, "0001", text)
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    register(db, "0001", text.replace("TABLE b ()", "TABLE b (x int)"), replace=True)
    with expect_error("MG003", message='migration "0001" was edited at statement 2, which has run already') as error:
        db.execute("CALL belay.migrate_up()")
    assert "CREATE TABLE b ()" in error.detail and "CREATE TABLE b (x int)" in error.detail


EDITED = "-- belay: transaction off\nCREATE TABLE a ();\nCREATE TABLE b ();\nSELECT 1/0"


def test_what_ran_is_shown_as_it_ran_however_often_the_text_was_replaced(db):
    register(db, "0001", EDITED)
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    register(db, "0001", EDITED.replace("SELECT 1/0", "SELECT 2/0"), replace=True)
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    for n in range(3):
        register(db, "0001", EDITED.replace("TABLE b ()", f"TABLE b (x{n} int)"), replace=True)
        with expect_error("MG003", detail=f"statement 2 ran as: CREATE TABLE b ()\nstatement 2 is now: CREATE TABLE b (x{n} int)"):
            db.execute("CALL belay.migrate_up()")


def test_of_long_statements_the_place_is_shown_where_they_part(db):
    text = f"-- belay: transaction off\nSELECT '{'x' * 5000}', 'here', '{'y' * 5000}';\nSELECT 1/0"
    register(db, "0001", text)
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    register(db, "0001", text.replace("here", "there"), replace=True)
    with expect_error("MG003") as error:
        db.execute("CALL belay.migrate_up()")
    ran, now = error.detail.split("\n")
    assert re.fullmatch(r"statement 1 ran as: …x+', 'here', 'y+…", ran) and re.fullmatch(r"statement 1 is now: …x+', 'there', 'y+…", now)
    assert len(error.detail) < 1000


def test_a_statement_that_ran_and_is_gone_is_shown(db):
    register(db, "0001", EDITED)
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    register(db, "0001", "-- belay: transaction off\nCREATE TABLE a ()", replace=True)
    with expect_error("MG003", detail="statement 2 ran as: CREATE TABLE b ()\nstatement 2 is now: (no such statement)"):
        db.execute("CALL belay.migrate_up()")


def test_what_ran_is_not_shown_to_a_role_that_may_not_read_texts(db):
    """Else a deployer would replace a text to read it."""
    role = db.role("deployer")
    db.execute(f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA belay TO {role}; GRANT CREATE ON SCHEMA public TO {role}")
    secret = "CREATE ROLE belay_nobody IN ROLE belay_no_such PASSWORD 'secret'"
    register(db, "0001", f"-- belay: transaction off\nSELECT 'secret'; {secret}")
    with expect_error("42704"):
        db.execute("CALL belay.migrate_up()")
    session = db.connect(user=role)
    session.execute("SELECT belay.migrate_register('0001', '-- belay: transaction off\nSELECT 1; SELECT 2', replace => true)")
    mine = "statement 1 is now: SELECT 1\nwhat ran is in belay.definition, which this role may not read"
    with expect_error("MG003", detail=mine):
        session.execute("CALL belay.migrate_up()")
    db.execute(f"GRANT SELECT ON belay.definition TO {role}")
    with expect_error("MG003", detail="statement 1 ran as: SELECT 'secret'\nstatement 1 is now: SELECT 1"):
        session.execute("CALL belay.migrate_up()")
    # Whoever may look at the history sees that it happened, and no text.
    assert db.rows("SELECT sqlstate, detail FROM belay.migrate_history() WHERE sqlstate = 'MG003'") == [("MG003", None)] * 2
    assert db.rows("SELECT 1 FROM belay.step_error e WHERE e::text LIKE '%secret%' AND sqlstate = 'MG003'") == []


def test_what_is_not_trusted_is_counted_once_in_a_redo(db):
    role = db.role("deployer")
    db.execute(f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA belay TO {role}")
    session = db.connect(user=role)
    session.execute("SELECT belay.migrate_register('0001', 'SELECT 1', 'SELECT 1')")
    session.execute("CALL belay.migrate_up()")
    with expect_error("42501", message=re.compile("^a migration would run"), detail=f"0001 was registered by {role}"):
        db.execute("CALL belay.migrate_redo()")


# ── marks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sg_25_a_mark_says_who_when_and_why(db):
    role = db.role("operator")
    db.execute(f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA belay TO {role}")
    load(db, numbered(1))
    session = db.connect(user=role, application_name="runbook 7")
    before = db.one("SELECT clock_timestamp()")
    session.execute("SELECT belay.migrate_mark('migration1', 'applied', reason => 'restored by hand')")
    assert db.rows("""
        SELECT name, direction, outcome, role::text, application_name, reason, started_at BETWEEN %s AND clock_timestamp()
        FROM belay.migrate_history()""", [before]) == [("migration1", "up", "applied", role, "runbook 7", "restored by hand", True)]  # fmt: skip
    assert db.rows("SELECT applied_by::text FROM belay.applied") == [(role,)]


def test_sg_25_a_mark_ends_dirt_that_was_repaired_by_hand(db):
    failed_build(db)
    db.execute("DROP INDEX i; DELETE FROM t; CREATE UNIQUE INDEX i ON t (id)")
    db.execute("SELECT belay.migrate_mark('0001', 'applied', reason => 'built by hand')")
    assert db.rows("SELECT name, state FROM belay.migrate_status()") == [("0001", "applied"), ("0002", "pending")]
    assert db.rows("TABLE belay.unfinished") == []
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001", "0002"]


def test_sg_25_a_mark_takes_back_what_was_undone_by_hand(db):
    failed_build(db)
    db.execute("DROP INDEX i; DROP TABLE a; DELETE FROM t")
    db.execute("SELECT belay.migrate_mark('0001', 'pending', reason => 'undone by hand')")
    db.session.notices.clear()
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001", "0002"] and not [m for m in db.session.messages if "resuming" in m]


def test_sg_25_a_mark_keeps_the_order(db):
    load(db, numbered(1, 2))
    with nothing_changes(db), expect_error("MG001", hint=re.compile(".")):
        db.execute("SELECT belay.migrate_mark('migration2', 'applied')")


# ── migrate_repair ───────────────────────────────────────────────────────────────────────────────────────────────────


def removed(messages: list[str], name: str) -> bool:
    return any(name in message and "removed" in message for message in messages)


def test_what_a_failed_build_left_is_removed_and_the_next_run_resumes(db):
    failed_build(db)
    session = db.connect()
    session.execute("CALL belay.migrate_repair()")
    assert indexes(db) == [] and removed(session.messages, '"i"')
    assert db.rows("SELECT name, state FROM belay.migrate_status()")[0] == ("0001", "dirty")
    assert db.rows("SELECT problem FROM belay.migrate_validate() ORDER BY 1") == [("dirty",), ("pending",)]
    db.execute("DELETE FROM t")
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001", "0002"] and indexes(db) == [("i", True)]


def test_a_dry_run_says_what_it_would_remove_and_changes_nothing(db):
    failed_build(db)
    session = db.connect()
    with nothing_changes(db):
        session.execute("CALL belay.migrate_repair(dry_run => true)")
    assert indexes(db) == [("i", False)]
    assert any('"i"' in message and "would" in message for message in session.messages), session.messages


def test_what_a_failed_reindex_left_is_removed(db):
    db.execute("CREATE TABLE t (id int); CREATE INDEX i ON t (id)")
    register(db, "0001", "REINDEX INDEX CONCURRENTLY i")
    cancelled(db, "CALL belay.migrate_up()")
    assert indexes(db) == [("i", True), ("i_ccnew", False)]
    session = db.connect()
    session.execute("CALL belay.migrate_repair()")
    assert indexes(db) == [("i", True)] and removed(session.messages, "i_ccnew")


@pytest.mark.parametrize("statement, left", [("CREATE INDEX CONCURRENTLY mine ON t (id)", "mine"), ("REINDEX INDEX CONCURRENTLY u", "u_ccnew")])
def test_what_a_colleague_left_is_not_touched(db, statement, left):
    failed_build(db)
    db.execute("CREATE INDEX u ON t (id)")
    cancelled(db, statement)
    assert (left, False) in indexes(db)
    db.execute("CALL belay.migrate_repair()")
    assert (left, False) in indexes(db) and ("i", False) not in indexes(db)


def test_an_invalid_index_of_another_project_is_not_touched(db):
    failed_build(db)
    db.execute("SELECT belay.project_create('other')")
    db.execute("CALL belay.migrate_repair(project => 'other')")
    assert indexes(db) == [("i", False)]


def test_a_valid_index_is_never_removed(db):
    failed_build(db)
    db.execute("DELETE FROM t; REINDEX INDEX i")
    assert indexes(db) == [("i", True)]
    db.execute("CALL belay.migrate_repair()")
    assert indexes(db) == [("i", True)]
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001", "0002"]


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_where_nothing_is_left_it_says_so(db, dry_run):
    load(db, numbered(1))
    db.execute("CALL belay.migrate_up()")
    session = db.connect()
    with nothing_changes(db):
        session.execute(f"CALL belay.migrate_repair(dry_run => {dry_run})")
    assert [message for message in session.messages if "nothing" in message]


def test_a_repair_beside_a_run_fails_at_once_and_touches_nothing(db):
    """What is invalid may be what the run is building."""
    db.execute("CREATE TABLE t (id int)")
    register(db, "0001", "CREATE INDEX CONCURRENTLY i ON t (id)")
    writer = db.connect(autocommit=False)
    writer.execute("INSERT INTO t VALUES (1)")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    with expect_error("55P03", message='project "default" is being migrated by another session', detail=re.compile(f"^pid {run.pid}, ")):
        db.execute("CALL belay.migrate_repair()")
    writer.commit()
    run.finish()
    assert indexes(db) == [("i", True)]


@pytest.mark.parametrize("call", ["BEGIN; CALL belay.migrate_repair()", "DO $$ BEGIN CALL belay.migrate_repair(); END $$"])
def test_a_repair_where_nothing_may_commit_is_refused(db, call):
    failed_build(db)
    with nothing_changes(db), expect_error("25001", hint=re.compile("top level|transaction block|autocommit")):
        db.connect().execute(call)


def test_a_repair_by_somebody_who_does_not_own_the_index_is_the_servers_error(db):
    failed_build(db)
    role = db.role("deployer")
    db.execute(f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA belay TO {role}")
    with expect_error("42501"):
        db.connect(user=role).execute("CALL belay.migrate_repair()")
    assert indexes(db) == [("i", False)]


@pytest.mark.parametrize("arguments, sqlstate", [("project => 'nope'", "MG011"), ("project => NULL", "22023"), ("dry_run => NULL", "22023")])
def test_a_senseless_repair_is_refused(db, arguments, sqlstate):
    failed_build(db)
    with nothing_changes(db), expect_error(sqlstate, hint=re.compile(".")):
        db.execute(f"CALL belay.migrate_repair({arguments})")


# ── migrate_repair: what it leaves behind itself ─────────────────────────────────────────────────────────────────────


def advisory_locks(db: Database) -> list[tuple]:
    return db.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory'")


def test_a_repair_is_kept_with_who_and_what(db):
    failed_build(db)
    role = db.role("operator", "LOGIN SUPERUSER")
    db.connect(user=role, application_name="runbook 7").execute("CALL belay.migrate_repair()")
    assert db.rows("SELECT role::text, application_name, outcome, applied, reverted, arguments FROM belay.run WHERE verb = 'repair'") == [
        (role, "runbook 7", "succeeded", 0, 0, {"migration": "0001", "statement": 2, "indexes": ["public.i"]})
    ]


def test_a_second_repair_has_nothing_left_to_do_and_says_how_to_go_on(db):
    failed_build(db)
    db.execute("CALL belay.migrate_repair()")
    session = db.connect()
    with nothing_changes(db):
        session.execute("CALL belay.migrate_repair()")
    assert [(notice.message, notice.hint) for notice in session.notices] == [
        ("nothing to remove: 0001: statement 2 left nothing behind", "CALL belay.migrate_up() goes on with it")
    ]


@pytest.mark.parametrize("end", ["cancel", "terminate"])
def test_a_repair_that_is_ended_holds_nothing_and_can_be_repeated(db, end):
    failed_build(db)
    reader = db.connect(autocommit=False)
    reader.execute("SELECT * FROM t")
    run = db.start("CALL belay.migrate_repair()", options="-c lock_timeout=100ms")
    db.wait_until_blocked(run.pid)
    assert db.rows("SELECT verb FROM belay.run WHERE finished_at IS NULL") == [("repair",)]
    if end == "cancel":
        run.cancel()
        with expect_error("57014"):
            run.finish()
        assert run.session.one("SHOW lock_timeout") == "100ms" and run.session.one("SELECT 1") == 1
    else:
        db.execute("SELECT pg_terminate_backend(%s)", [run.pid])
        db.wait_until_gone(run.pid)
    assert advisory_locks(db) == [] and ("i", False) in indexes(db)
    reader.rollback()
    session = db.connect(options="-c lock_timeout=100ms")
    session.execute("CALL belay.migrate_repair()")
    assert indexes(db) == [] and session.one("SHOW lock_timeout") == "100ms" and advisory_locks(db) == []
    first = {"cancel": "failed", "terminate": "lost"}[end]
    assert db.rows("SELECT outcome FROM belay.run WHERE verb = 'repair' ORDER BY id") == [(first,), ("succeeded",)]


def test_a_repair_that_fails_is_kept_and_holds_nothing(db):
    failed_build(db)
    role = db.role("deployer")
    db.execute(f"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA belay TO {role}")
    session = db.connect(user=role)
    with expect_error("42501", message="must be owner of index i"):
        session.execute("CALL belay.migrate_repair()")
    assert db.rows("SELECT role::text, outcome FROM belay.run WHERE verb = 'repair'") == [(role, "failed")]
    assert advisory_locks(db) == [] and session.one("SELECT current_user::text") == role


@pytest.mark.parametrize("call", ["SELECT belay.migrate_mark('0002', 'applied')", "CALL belay.migrate_baseline('0002')", "CALL belay.migrate_repair()"])
@pytest.mark.parametrize("where", ["", "-- belay: transaction off\n"])
def test_a_migration_cannot_mend_the_history_it_is_part_of(db, call, where):
    register(db, "0001", f"{where}SELECT 1; {call}")
    register(db, "0002", "SELECT 2")
    with expect_error("MG012"):
        db.execute("CALL belay.migrate_up()")
    assert applied(db) == [] and db.rows("SELECT verb, outcome FROM belay.run") == [("up", "failed")]


# ── migrate_repair: whose it is ──────────────────────────────────────────────────────────────────────────────────────


def test_what_stood_there_before_a_reindex_is_not_its_own(db):
    """The same index, reindexed by a colleague who gave up before the migration began."""
    db.execute("CREATE TABLE t (id int); CREATE INDEX i ON t (id)")
    cancelled(db, "REINDEX INDEX CONCURRENTLY i")
    register(db, "0001", "REINDEX INDEX CONCURRENTLY i")
    cancelled(db, "CALL belay.migrate_up()")
    assert indexes(db) == [("i", True), ("i_ccnew", False), ("i_ccnew1", False)]
    db.execute("CALL belay.migrate_repair()")
    assert indexes(db) == [("i", True), ("i_ccnew", False)]
    db.execute("CALL belay.migrate_up()")
    assert indexes(db) == [("i", True), ("i_ccnew", False)] and applied(db) == ["0001"]


def test_another_index_of_the_same_table_is_not_touched(db):
    db.execute("CREATE TABLE t (id int); CREATE INDEX i ON t (id); CREATE INDEX u ON t (id)")
    register(db, "0001", "REINDEX INDEX CONCURRENTLY i")
    cancelled(db, "CALL belay.migrate_up()")
    cancelled(db, "REINDEX INDEX CONCURRENTLY u")
    assert indexes(db) == [("i", True), ("i_ccnew", False), ("u", True), ("u_ccnew", False)]
    db.execute("CALL belay.migrate_repair()")
    assert indexes(db) == [("i", True), ("u", True), ("u_ccnew", False)]


def test_the_index_is_found_in_the_schema_where_the_statement_found_it(db):
    db.execute("CREATE SCHEMA s; CREATE TABLE s.t (id int); CREATE INDEX i ON s.t (id); CREATE TABLE t (id int); CREATE INDEX i ON t (id)")
    cancelled(db, "REINDEX INDEX CONCURRENTLY i")
    register(db, "0001", "SET search_path = s; REINDEX INDEX CONCURRENTLY i")
    writer = db.connect(autocommit=False)
    writer.execute("INSERT INTO s.t VALUES (99)")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    run.cancel()
    with expect_error("57014"):
        run.finish()
    writer.rollback()
    there = "SELECT to_regclass('s.i_ccnew') IS NOT NULL, to_regclass('public.i_ccnew') IS NOT NULL"
    assert db.rows(there) == [(True, True)]
    session = db.connect(options="-c search_path=pg_catalog")
    session.execute("CALL belay.migrate_repair()")
    assert db.rows(there) == [(False, True)]


def test_what_a_reindex_left_at_a_partition_is_removed(db):
    db.execute("""CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE t PARTITION OF p FOR VALUES FROM (0) TO (100);
                  CREATE INDEX i ON p (id)""")
    register(db, "0001", "REINDEX TABLE CONCURRENTLY p")
    reader = db.connect(autocommit=False)
    reader.execute("SELECT * FROM t")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    run.cancel()
    with expect_error("57014"):
        run.finish()
    reader.rollback()
    assert indexes(db) == [("i", True), ("t_id_idx", True), ("t_id_idx_ccold", False)]
    db.execute("CALL belay.migrate_repair()")
    assert indexes(db) == [("i", True), ("t_id_idx", True)]
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001"]


def test_what_a_reindex_left_under_a_name_that_was_cut_is_removed(db):
    long = "i" * 63
    db.execute(f"CREATE TABLE t (id int); CREATE INDEX {long} ON t (id)")
    register(db, "0001", f"REINDEX INDEX CONCURRENTLY {long}")
    cancelled(db, "CALL belay.migrate_up()")
    assert (long[:57] + "_ccnew", False) in indexes(db)
    db.execute("CALL belay.migrate_repair()")
    assert indexes(db) == [(long, True)]


def test_an_index_with_a_hostile_name_is_only_an_index(db):
    db.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1); CREATE TABLE victim ()")
    name = '"; DROP TABLE victim; --'
    quoted = '"' + name.replace('"', '""') + '"'
    register(db, "0001", f"CREATE UNIQUE INDEX CONCURRENTLY {quoted} ON t (id)")
    with expect_error("23505"):
        db.execute("CALL belay.migrate_up()")
    assert indexes(db) == [(name, False)]
    db.execute("CALL belay.migrate_repair()")
    assert indexes(db) == [] and db.rows("TABLE victim") == []


def test_where_an_earlier_version_did_not_note_the_schema_the_next_run_looks(db):
    db.execute("CREATE TABLE t (id int); CREATE INDEX i ON t (id)")
    register(db, "0001", "REINDEX INDEX CONCURRENTLY i")
    cancelled(db, "CALL belay.migrate_up()")
    db.execute("""UPDATE belay.unfinished SET leaves = leaves - 'before' - 'left' || '{"schema": null}'""")
    session = db.connect()
    with nothing_changes(db):
        session.execute("CALL belay.migrate_repair()")
    assert "not noted" in session.messages[0] and session.notices[0].hint == "CALL belay.migrate_up() looks after it and goes on"
    db.execute("CALL belay.migrate_up()")
    assert indexes(db) == [("i", True)] and applied(db) == ["0001"]


def test_a_detach_that_is_half_done_is_left_to_the_next_run(db):
    db.execute("CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE t PARTITION OF p FOR VALUES FROM (0) TO (100)")
    register(db, "0001", "ALTER TABLE p DETACH PARTITION t CONCURRENTLY")
    reader = db.connect(autocommit=False)
    reader.execute("SELECT * FROM p")
    run = db.start("CALL belay.migrate_up()")
    db.wait_until_blocked(run.pid)
    run.cancel()
    with expect_error("57014"):
        run.finish()
    reader.rollback()
    session = db.connect()
    with nothing_changes(db):
        session.execute("CALL belay.migrate_repair()")
    assert session.messages == ["nothing to remove: 0001: statement 1 is half done"]
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001"] and db.one("SELECT count(*) FROM pg_inherits") == 0


def test_an_invalid_index_that_was_made_valid_by_hand_is_gone_on_with(db):
    failed_build(db)
    db.execute("DELETE FROM t; REINDEX INDEX i")
    db.execute("CALL belay.migrate_up()")
    assert '0001: resuming at statement 2 of 2; index "i" is there and valid' in db.session.messages
    assert applied(db) == ["0001", "0002"]


def wait_until_it_waits_for(colleague: Running, run: Running) -> None:
    told = f'index "i" is being built by pid {colleague.pid}'
    poll_until(lambda: not run.is_running or any(told in message for message in run.session.messages), what=told)
    assert run.is_running


@pytest.mark.parametrize("call", ["CALL belay.migrate_repair()", "CALL belay.migrate_up()"])
def test_an_index_that_a_colleague_makes_valid_meanwhile_stays(db, call):
    """DROP INDEX would wait for the colleague, and then take what has the name by then."""
    failed_build(db)
    db.execute("DELETE FROM t")
    writer = db.connect(autocommit=False)
    writer.execute("INSERT INTO t VALUES (99)")
    colleague = db.start("REINDEX INDEX CONCURRENTLY i")
    db.wait_until_blocked(colleague.pid)
    run = db.start(call, options="-c lock_timeout=100ms")
    wait_until_it_waits_for(colleague, run)
    db.wait_for("SELECT backend_xmin IS NULL FROM pg_stat_activity WHERE pid = %s", [run.pid], what="the colleague does not wait for it")
    writer.commit()
    colleague.finish()
    run.finish()
    assert indexes(db) == [("i", True)]
    held = "SELECT locktype, mode FROM pg_locks WHERE pid = %s AND (locktype = 'advisory' OR relation = 't'::regclass)"
    assert db.rows(held, [run.pid]) == [] and run.session.one("SHOW lock_timeout") == "100ms"
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["0001", "0002"]


def test_a_wait_for_a_colleague_can_be_cancelled_and_holds_nothing(db):
    failed_build(db)
    db.execute("DELETE FROM t")
    writer = db.connect(autocommit=False)
    writer.execute("INSERT INTO t VALUES (99)")
    colleague = db.start("REINDEX INDEX CONCURRENTLY i")
    db.wait_until_blocked(colleague.pid)
    run = db.start("CALL belay.migrate_repair()")
    wait_until_it_waits_for(colleague, run)
    run.cancel()
    with expect_error("57014"):
        run.finish()
    assert db.rows("SELECT locktype, mode FROM pg_locks WHERE pid = %s AND (locktype = 'advisory' OR relation = 't'::regclass)", [run.pid]) == []
    writer.commit()
    colleague.finish()
    assert indexes(db) == [("i", True)]
