"""Who may do what: the rights that belay.grant_role gives, and each door that stays shut for everybody else."""

from __future__ import annotations

import json
import re

import psycopg
import pytest
from psycopg import sql

from harness.catalog import members
from harness.database import Database
from harness.server import TREE
from harness.session import Session, describe, expect_error
from ledger import applied, history, load, nothing_changes, numbered, state


#: A run of a role without superuser's rights.
UP = "CALL belay.migrate_up()"


def role_with(db: Database, rights: str, name: str | None = None) -> str:
    role = db.role(name or rights)
    db.execute("SELECT belay.grant_role(%s, %s)", [role, rights])
    return role


def deployer(db: Database) -> str:
    """A role as the README makes it: the rights of a deployer, and CREATE where its migrations work."""
    role = role_with(db, "deployer")
    db.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(sql.Identifier(role)))
    return role


def register(session: Session, name: str, up: str, down: str | None = None, **options: object) -> None:
    given = "".join(f", {option} => %({option})s" for option in options)
    session.execute(f"SELECT belay.migrate_register(%(name)s, %(up)s, %(down)s{given})", {"name": name, "up": up, "down": down, **options})


def is_superuser(db: Database, role: str) -> bool:
    return db.one("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [role])


def routines_of(db: Database, role: str) -> set[str]:
    query = """
        SELECT p.proname::text FROM pg_proc p
        WHERE p.pronamespace = 'belay'::regnamespace AND has_function_privilege(%s, p.oid, 'EXECUTE')
    """
    return {name for (name,) in db.rows(query, [role])}


def tables_of(db: Database, role: str, privilege: str = "SELECT") -> set[str]:
    query = """
        SELECT c.relname::text FROM pg_class c
        WHERE c.relnamespace = 'belay'::regnamespace AND c.relkind IN ('r', 'v') AND has_table_privilege(%s, c.oid, %s)
    """
    return {name for (name,) in db.rows(query, [role, privilege])}


# ── what each role gets ──────────────────────────────────────────────────────────────────────────────────────────────

READS = {
    "migrate_status", "migrate_plan", "migrate_check", "migrate_validate", "migrate_wait", "migrate_history", "last_run", "migrate_checksum",
    "check_order", "check_order_directories", "footprints", "touched_by", "release_status", "announced_release", "clients",
    "snapshot", "snapshot_hash", "snapshot_diff", "contract_check", "versioned_name", "object_versions",
    "job_status", "jobs_actionable", "jobs_future", "jobs_completed", "job_is_complete", "jobs_ok", "release_window", "ignores_windows",
    "is_released", "upgrade_check", "upgrade_assert",
}  # fmt: skip
DEPLOYS = READS | {
    "migrate_register", "migrate_load", "migrate_load_files", "migrate_unregister", "migrate_rename",
    "migrate_up", "migrate_down", "migrate_to", "migrate_redo", "migrate_repair",
    "release_announce", "client_checkin", "client_checkout",
    "contract_query", "contract_queries", "contract_from_statements", "contract_query_drop", "seen_statements",
    "with_lock_retries", "update_in_batches", "sync_columns", "is_out_of_step", "add_concurrent_index", "remove_concurrent_index",
    "rename_column_concurrently", "undo_rename_column_concurrently",
    "cleanup_concurrent_column_rename", "undo_cleanup_concurrent_column_rename",
    "change_column_type_concurrently", "undo_change_column_type_concurrently",
    "cleanup_concurrent_column_type_change", "undo_cleanup_concurrent_column_type_change",
    "job_register", "job_unregister", "job_start", "job_stop", "job_pause", "job_resume", "job_retry", "job_rollback", "job_skip",
    "job_finalize", "job_work", "job_parameter", "job_tick", "migrate_start", "run_cancel", "run_work",
}  # fmt: skip
OWNS = DEPLOYS | {"project_create", "project_alter", "migrate_mark", "migrate_baseline", "migrate_accept_late", "history_prune", "jobs_release"}
SERVES = {
    "client_checkin", "client_checkout", "announced_release", "migrate_wait",
    "job_is_complete", "jobs_ok", "release_window", "upgrade_check", "upgrade_assert",
}  # fmt: skip
RIGHTS = {"client": SERVES, "reader": READS, "deployer": DEPLOYS, "owner": OWNS}
#: What nobody needs to be granted: internal ones, triggers, and the grants themselves.
INTERNAL = {"find_project", "is_running", "find_runner", "is_unfinished", "is_pending", "judge_applied", "judge_reverted", "judge_pending", "judge_place", "judge_registry", "refuse_change",
            "judge_references", "judge_ledger", "forget_pending", "find_disorder", "find_contradiction", "grant_role", "describe_footprint",
            "find_acceptance", "find_late", "do_meet", "next_names", "judge_project", "contract_uses", "judge_job"}
LEVELS = ("client", "reader", "deployer", "owner")
OPEN = {"project", "migration", "pending", "applied", "run", "step", "unfinished", "announcement", "release_base", "client", "column_change", "progress",
        "job", "job_transition", "job_home", "job_errors", "job_batches"}  # fmt: skip
#: What readers and owners read besides: SQL texts, messages and keys.
TEXTS = {"definition", "step_error", "contract_query", "job_definition", "job_error", "job_batch"}


@pytest.mark.parametrize("rights", LEVELS)
def test_a_role_may_call_what_its_rights_say_and_nothing_else(db, rights):
    role = role_with(db, rights)
    there = {name for (name,) in db.rows("SELECT proname::text FROM pg_proc WHERE pronamespace = 'belay'::regnamespace")}
    assert routines_of(db, role) == RIGHTS[rights] & there


@pytest.mark.parametrize("rights", LEVELS)
def test_a_role_reads_texts_and_messages_unless_it_only_deploys_and_writes_nothing(db, rights):
    role = role_with(db, rights)
    assert tables_of(db, role) == OPEN | (set() if rights in ("client", "deployer") else TEXTS)
    for privilege in ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"):
        assert tables_of(db, role, privilege) == set(), privilege
    assert db.one("SELECT has_schema_privilege(%s, 'belay', 'CREATE')", [role]) is False
    open_sequences = """
        SELECT c.oid::regclass::text FROM pg_class c
        WHERE c.relnamespace = 'belay'::regnamespace
          AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(%s, c.oid, 'USAGE, SELECT, UPDATE') END
    """
    assert db.rows(open_sequences, [role]) == []


def test_every_routine_belongs_to_a_role_or_is_internal(db):
    there = {re.sub(r"^belay\.(\w+)\(.*", r"\1", member.identity) for member in members(db) if member.kind in ("function", "procedure")}
    assert there - OWNS - INTERNAL == set(), "say in grant_role who may call it"
    assert (OWNS - there) == set()


@pytest.mark.parametrize("rights", LEVELS)
def test_granting_twice_is_granting_once(db, rights):
    role = role_with(db, rights)
    before = (routines_of(db, role), tables_of(db, role))
    db.execute("SELECT belay.grant_role(%s, %s)", [role, rights])
    assert (routines_of(db, role), tables_of(db, role)) == before


def test_rights_add_up(db):
    role = role_with(db, "deployer")
    db.execute("SELECT belay.grant_role(%s, 'reader')", [role])
    assert routines_of(db, role) >= DEPLOYS and tables_of(db, role) == OPEN | TEXTS


def test_drop_owned_takes_the_rights_away(db):
    role = role_with(db, "owner")
    db.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
    assert routines_of(db, role) == set() and tables_of(db, role) == OPEN


@pytest.mark.parametrize("name", ['O"Neill', "it's me", "Größe", "a; DROP ROLE postgres --", "select", "none of them"])
def test_a_role_of_any_name_is_granted_its_rights(db, name):
    role = role_with(db, "deployer", name)
    assert routines_of(db, role) >= DEPLOYS


@pytest.mark.parametrize("name", ["public", "PUBLIC", "none", "current_user", "session_user", "", "nobody_of_that_name"])
def test_rights_are_not_given_to_everybody_or_to_nobody(db, name):
    before = routines_of(db, db.role("stranger"))
    with expect_error("42704", message=f'role "{name}" does not exist', hint=re.compile("CREATE ROLE")):
        db.execute("SELECT belay.grant_role(%s, 'owner')", [name])
    assert routines_of(db, db.role("other")) == before == set()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("NULL, 'reader'", "role must not be null"),
        ("'postgres', NULL", "rights must not be null"),
        ("'postgres', 'admin'", "rights => 'admin' is not known"),
        ("'postgres', 'Reader'", "rights => 'Reader' is not known"),
        ("'postgres', ''", "rights => '' is not known"),
    ],
)
def test_senseless_rights_are_refused(db, arguments, message):
    with expect_error("22023", message=message, hint=re.compile("'reader', 'deployer' or 'owner'|grant_role")):
        db.execute(f"SELECT belay.grant_role({arguments})")


def test_who_may_not_grant_is_told_so(db):
    owner = role_with(db, "owner")
    with expect_error("42501", message="permission denied for function grant_role"):
        db.connect(user=owner).execute("SELECT belay.grant_role(%s, 'owner')", [owner])
    db.execute(sql.SQL("GRANT EXECUTE ON FUNCTION belay.grant_role TO {}").format(sql.Identifier(owner)))
    with expect_error("42501", message="only the owner of extension pg_belay may grant its roles", hint="SET ROLE postgres, or ask a superuser"):
        db.connect(user=owner).execute("SELECT belay.grant_role(%s, 'owner')", [owner])


def test_a_hostile_search_path_does_not_reach_the_grants(db):
    stranger = db.role("stranger")
    db.execute(f"""
        CREATE SCHEMA trap;
        CREATE FUNCTION trap.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS $$ SELECT 'GRANT postgres TO {stranger}' $$;
        CREATE FUNCTION trap.pg_has_role(name, oid, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
        CREATE TABLE trap.pg_roles (rolname name);
        SET search_path = trap, pg_catalog""")
    role = role_with(db, "reader")
    assert routines_of(db, role) == READS
    assert db.one("SELECT pg_catalog.pg_has_role(%s, 'postgres', 'MEMBER')", [stranger]) is False


def test_grants_are_dumped(db):
    role = role_with(db, "deployer")
    dumped = db.dump("--schema-only")
    assert re.search(rf"^GRANT ALL ON PROCEDURE belay\.migrate_up\(.*\) TO {role};$", dumped, re.MULTILINE)


# ── a deployer without superuser ─────────────────────────────────────────────────────────────────────────────────────


def test_a_deployer_registers_loads_looks_and_runs(db):
    session = db.connect(user=deployer(db))
    session.execute("SELECT belay.migrate_load_files(%s)", [json.dumps(numbered(1, 2))])
    register(session, "migration3", "CREATE INDEX CONCURRENTLY i ON t4 (id)", "DROP INDEX CONCURRENTLY i")
    session.execute("SELECT belay.migrate_rename('migration3', 'migration5')")
    register(session, "migration4", "CREATE TABLE t4 (id int)", "DROP TABLE t4")
    register(session, "migration6", "SELECT 1")
    session.execute("SELECT belay.migrate_unregister('migration6')")
    assert session.one("SELECT belay.migrate_check()") == 4
    session.execute(UP)
    assert applied(db) == ["migration1", "migration2", "migration4", "migration5"]
    for call in ("migrate_down()", "migrate_up()", "migrate_redo()", "migrate_to('migration2')", "migrate_up(transaction => 'per_run', steps => 1)"):
        session.execute(f"CALL belay.{call}")
    assert [s for s in dict(session.rows("SELECT name, state FROM belay.migrate_status()")).values()] == ["applied"] * 3 + ["pending"]
    assert session.rows("SELECT DISTINCT role::text FROM belay.migrate_history()") == [(session.info.user,)]
    assert session.one("SELECT verb FROM belay.last_run()") == "up"
    assert session.rows("SELECT problem FROM belay.migrate_validate()") == [("pending",)]
    session.execute("BEGIN; CALL belay.migrate_down(); ROLLBACK")
    session.execute("DO $$ BEGIN CALL belay.migrate_down(); END $$")
    assert applied(db) == ["migration1", "migration2"]


def test_a_deployers_failure_is_recorded_and_resumed_by_it(db):
    session = db.connect(user=deployer(db))
    register(session, "0001_a", "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1); CREATE UNIQUE INDEX CONCURRENTLY i ON t (id)")
    with expect_error("23505"):
        session.execute(UP)
    assert session.one("SELECT state FROM belay.migrate_status()") == "dirty"
    session.execute("DELETE FROM t")
    session.execute(UP)
    assert history(db) == [("0001_a", "up", "failed"), ("0001_a", "up", "applied")]
    assert db.rows("SELECT DISTINCT role::text, session_role::text FROM belay.run") == [(session.info.user,) * 2]


def test_a_deployer_who_lacks_a_right_gets_the_servers_own_error(db):
    db.execute("CREATE TABLE secret ()")
    session = db.connect(user=deployer(db))
    register(session, "0001_a", "ALTER TABLE secret ADD x int")
    with expect_error("42501", message="must be owner of table secret"):
        session.execute(UP)
    assert history(db) == [("0001_a", "up", "failed")]


def test_the_holder_of_the_lock_is_named_to_an_ordinary_role(db):
    """Who runs is read with the owner's rights: an ordinary role sees NULL in pg_stat_activity."""
    db.execute("CREATE TABLE orders ()")
    db.execute("SELECT belay.migrate_register('0001_a', 'ALTER TABLE orders ADD x int')")
    blocker = db.connect(autocommit=False)
    blocker.execute("SELECT FROM orders")
    run = db.start(UP, application_name="ci")
    db.wait_until_blocked(run.pid)
    session = db.connect(user=deployer(db))
    who = re.compile(rf"^pid {run.pid}, role postgres, application ci, run \d+ \(up\)")
    with expect_error("55P03", detail=who):
        session.execute("CALL belay.migrate_up(on_contention => 'fail')")
    blocker.rollback()
    run.finish()


def test_a_stranger_without_any_right_that_holds_the_lock_is_named_to_an_ordinary_role(db):
    session = db.connect(user=deployer(db))
    register(session, "0001_a", "SELECT 1")
    stranger = db.connect(user=db.role("stranger"), application_name='a "stranger"')
    stranger.execute("SELECT pg_advisory_lock(1651270009, id) FROM belay.project")
    who = f'pid {stranger.pid}, role {stranger.info.user}, application a "stranger", holds the lock without a run'
    with expect_error("55P03", detail=who, hint=re.compile(rf"pid = {stranger.pid} ")):
        session.execute("CALL belay.migrate_up(steps => 1)")


# ── doors: the tables ────────────────────────────────────────────────────────────────────────────────────────────────

TABLES = sorted(OPEN - {"progress", "job_errors", "job_batches"} | TEXTS | {"backfill", "run_request"})


def a_history(db: Database) -> None:
    """Rows in every table: applied, pending, failed, unfinished."""
    load(db, numbered(1) | {"migration2.sql": "-- belay: transaction off\nSELECT 1;\nSELECT 1/0", "migration3.sql": "SELECT 3"})
    with expect_error("22012"):
        db.execute(UP)
    db.execute("SELECT belay.project_create('shop', naming => 'release')")
    db.execute("SELECT belay.release_announce('1.0.0', 'shop'), belay.client_checkin('1.0.0', 'web-1', project => 'shop')")
    db.execute("SELECT belay.contract_query('1.0.0', 'one', 'SELECT 1', project => 'shop')")
    db.execute("INSERT INTO belay.release_base SELECT id, '1.0.0', '{}' FROM belay.project")
    db.execute("CREATE TABLE public.changed (a int PRIMARY KEY, b int)")
    db.execute("CALL belay.rename_column_concurrently('public.changed', 'b', 'c')")
    db.execute("CALL belay.update_in_batches('public.changed', 'c = 1')")
    db.execute("INSERT INTO public.changed VALUES (1)")
    operations = '[{"batch": {"table": "public.changed", "select": "1"}}, {"sql": "SELECT 1/0"}]'
    db.execute("SET belay.allow_superuser_jobs = on")
    db.execute("SELECT belay.job_register('pass', %s)", [operations])
    with expect_error("22012"):
        db.execute("CALL belay.job_finalize('pass')")
    db.execute("INSERT INTO belay.run_request SELECT id, id, 0, '{}', 'app', 'app', '' FROM belay.project")
    for table in TABLES:
        assert db.one(f"SELECT count(*) FROM belay.{table}") > 0, table


def attempts(db: Database, table: str) -> list[str]:
    """Every way to write a table, or to get at it another way."""
    columns = db.rows("SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum", [f"belay.{table}"])
    first = columns[-1][0]
    primary = """
        SELECT quote_ident(a.attname), format_type(a.atttypid, a.atttypmod) FROM pg_index i
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = %s::regclass AND i.indisprimary
    """
    types = dict(db.rows(primary, [f"belay.{table}"]))
    keys, own = list(types), ", ".join(f"{name} {of}" for name, of in types.items())
    return [
        f"INSERT INTO belay.{table} OVERRIDING SYSTEM VALUE SELECT * FROM belay.{table}",
        f"INSERT INTO belay.{table} DEFAULT VALUES",
        f'UPDATE belay.{table} SET "{first}" = "{first}"',
        f"DELETE FROM belay.{table}",
        f"TRUNCATE belay.{table} CASCADE",
        f"MERGE INTO belay.{table} t USING (SELECT 1) s ON false WHEN NOT MATCHED THEN INSERT DEFAULT VALUES",
        f"COPY belay.{table} FROM '/dev/null'",
        f"SELECT * FROM belay.{table} FOR UPDATE",
        f"LOCK TABLE belay.{table} IN ACCESS EXCLUSIVE MODE",
        f"ALTER TABLE belay.{table} DISABLE TRIGGER ALL",
        f"ALTER TABLE belay.{table} OWNER TO CURRENT_USER",
        f"CREATE TRIGGER mine BEFORE INSERT ON belay.{table} FOR EACH ROW EXECUTE FUNCTION public.mine()",
        f"CREATE RULE mine AS ON INSERT TO belay.{table} DO INSTEAD NOTHING",
        f"CREATE TABLE public.child () INHERITS (belay.{table})",
        f"CREATE TABLE public.pointing ({own}, FOREIGN KEY ({', '.join(keys)}) REFERENCES belay.{table})",
        f"CREATE INDEX ON belay.{table} ((public.evil()))",
        f"CREATE STATISTICS public.s ON (public.evil()), (1) FROM belay.{table}",
        f"CREATE POLICY p ON belay.{table} USING (public.evil() = 1)",
        f"COMMENT ON TABLE belay.{table} IS 'mine'",
        f"VACUUM FULL belay.{table}",
        f"DROP TABLE belay.{table} CASCADE",
        f"GRANT ALL ON belay.{table} TO PUBLIC",
    ]


@pytest.mark.parametrize("rights", LEVELS)
@pytest.mark.parametrize("table", TABLES)
def test_nobody_but_the_extension_writes_a_table(db, table, rights):
    a_history(db)
    role = role_with(db, rights)
    db.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(sql.Identifier(role)))
    session = db.connect(user=role, options="-c lock_timeout=5s")
    session.execute("""
        CREATE FUNCTION public.mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE FUNCTION public.evil() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'""")
    acl = "SELECT relacl::text, relowner::regrole::text, obj_description(oid) FROM pg_class WHERE oid = %s::regclass"
    before, rows = db.rows(acl, [f"belay.{table}"]), state(db)
    done = []
    for attempt in attempts(db, table):
        try:
            session.execute(attempt)
            done.append(attempt)
        except psycopg.Error as error:
            # What needs the owner says so by other codes, too: 42809 for what is no table of theirs.
            assert error.sqlstate in ("42501", "25P01"), f"{attempt}\n{describe(error)}"
    # These two only warn who may not.
    assert [attempt for attempt in done if not attempt.startswith(("VACUUM", "GRANT"))] == []
    assert (db.rows(acl, [f"belay.{table}"]), state(db)) == (before, rows)


#: Ways round the tables.
ROUND = {
    "the clock": "SELECT nextval('belay.ledger_clock')",
    "the clock set back": "SELECT setval('belay.ledger_clock', 1)",
    "the clock restarted": "ALTER SEQUENCE belay.ledger_clock RESTART",
    "an identity": "SELECT setval('belay.run_id_seq', 1)",
    "an internal function": "SELECT belay.find_project('default')",
    "another internal function": "SELECT belay.is_running(1)",
    "a trigger's function": "SELECT belay.refuse_change()",
    "a trigger of its own with the ledger's function": "CREATE TABLE x (); CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW EXECUTE FUNCTION belay.refuse_change('a', 'b')",
    "an object in the schema": "CREATE TABLE belay.mine ()",
    "a function in the schema": "CREATE FUNCTION belay.migrate_up() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a function replaced": "CREATE OR REPLACE FUNCTION belay.last_run() RETURNS belay.run LANGUAGE sql AS 'SELECT NULL::belay.run'",
    "the schema's name": "ALTER SCHEMA belay RENAME TO gone",
    "the extension": "DROP EXTENSION pg_belay CASCADE",
    "the extension's members": "ALTER EXTENSION pg_belay DROP TABLE belay.applied",
    "the extension's version": "ALTER EXTENSION pg_belay UPDATE",
    "replication": "SET session_replication_role = replica",
    "another role": "SET ROLE postgres",
    "another user": "SET SESSION AUTHORIZATION postgres",
    "another role by set_config": "SELECT set_config('role', 'postgres', false)",
    "its own rights": "ALTER ROLE CURRENT_USER SUPERUSER",
    "the membership": "GRANT postgres TO CURRENT_USER",
    "the rights of all": "SELECT belay.grant_role(current_user::text, 'owner')",
    "files of the server": "SELECT belay.migrate_load('/etc')",
    "the rules of the project": "SELECT belay.project_alter('default', ordering => 'permissive')",
    "the owner of the project": "SELECT belay.project_alter('default', owner => current_user::text)",
    "whom the project trusts": "SELECT belay.project_alter('default', trusted => ARRAY[current_user::text])",
    "a shorter history": "SELECT belay.history_prune('infinity')",
    "a mark": "SELECT belay.migrate_mark('migration3', 'applied')",
    "a looser order": "CALL belay.migrate_up(ordering => 'permissive', reason => 'because')",
    "texts": "SELECT up FROM belay.definition",
    "texts by COPY": "COPY belay.definition TO STDOUT",
    "texts by a view": "CREATE VIEW v AS TABLE belay.definition; TABLE v",
    "messages": "SELECT message FROM belay.step_error",
}  # fmt: skip


@pytest.mark.thinned
@pytest.mark.parametrize("where", ["plain", "in a migration"])
@pytest.mark.parametrize("attempt", ROUND.values(), ids=ROUND)
def test_a_deployer_finds_no_way_round(db, attempt, where):
    role = deployer(db)
    load(db, numbered(1))
    db.execute(UP)
    session = db.connect(user=role)
    register(session, "migration3", "SELECT 3")
    if where == "in a migration":
        if "COPY" in attempt:
            pytest.skip("COPY TO STDOUT is refused at registration")
        db.execute("SELECT belay.migrate_unregister('migration3')")
        register(session, "migration2", attempt)
        register(session, "migration3", "SELECT 3")
        attempt = UP
    before = state(db)
    with pytest.raises(psycopg.Error) as raised:
        session.execute(attempt)
    error = raised.value
    # MG012: a verb in a migration; MG015: the members of the extension.
    assert error.sqlstate in ("42501", "0LP01", "22023") or where == "in a migration" and error.sqlstate in ("MG012", "MG015"), describe(error)
    assert session.rows("SELECT current_user::text, session_user::text, current_setting('role')") == [(role, role, "none")]
    assert db.one("SELECT pg_has_role(%s, 'postgres', 'MEMBER')", [role]) is False and not is_superuser(db, role)
    after = state(db)
    if where == "in a migration":  # the failed attempt is history
        for table in ("belay.run", "belay.step", "belay.step_error"):
            assert set(before.pop(table)) <= set(after[table])
    assert {part: after[part] for part in before} == before


# ── doors: Trojans ───────────────────────────────────────────────────────────────────────────────────────────────────


def trojan(role: str) -> str:
    return f'ALTER ROLE "{role}" SUPERUSER'


NOT_TRUSTED = re.compile("would run with the rights of")


def applied_trojan(db: Database, role: str) -> None:
    """The deployer has applied a harmless up whose down is not."""
    session = db.connect(user=role)
    session.execute("SELECT belay.migrate_load_files(%s)", [json.dumps({"1_a.sql": f"SELECT 1;\n-- migrate:down\n{trojan(role)}"})])
    session.execute(UP)


@pytest.mark.parametrize(
    "call",
    [
        "CALL belay.migrate_down()",
        "CALL belay.migrate_redo()",
        "CALL belay.migrate_to('@none')",
        "BEGIN; CALL belay.migrate_down()",
        "DO $$ BEGIN CALL belay.migrate_down(); END $$",
        "CALL belay.migrate_down(transaction => 'per_run')",
        """SELECT belay.migrate_load_files('{"2_b.sql": "SELECT 2"}', on_missing => 'revert')""",
    ],
)
def test_a_superuser_does_not_revert_with_a_deployers_down(db, call):
    role = deployer(db)
    applied_trojan(db, role)
    with nothing_changes(db), expect_error("42501", message=NOT_TRUSTED, hint=re.compile(f"trust => '{{{role}}}'")):
        session = db.connect()
        session.execute(call)
    assert not is_superuser(db, role)


@pytest.mark.parametrize("call", [UP, "CALL belay.migrate_up(transaction => 'per_run')", "BEGIN; CALL belay.migrate_up()", "DO $$ BEGIN CALL belay.migrate_up(); END $$", "CALL belay.migrate_to('2_b')"])  # fmt: skip
def test_a_superuser_runs_nothing_when_one_of_many_is_a_deployers(db, call):
    role = deployer(db)
    register(db.session, "1_a", "CREATE TABLE a ()")
    register(db.connect(user=role), "2_b", trojan(role))
    with nothing_changes(db), expect_error("42501", message=NOT_TRUSTED) as error:
        db.connect().execute(call)
    assert error.detail == f"2_b was registered by {role}"


def test_a_definition_that_a_deployer_replaced_is_the_deployers(db):
    role = deployer(db)
    register(db.session, "1_a", "SELECT 1", "SELECT 1")
    register(db.connect(user=role), "1_a", "SELECT 1", trojan(role), replace=True)
    with nothing_changes(db), expect_error("42501", message=NOT_TRUSTED):
        db.execute(UP)


def test_a_text_that_a_deployer_registered_first_stays_the_deployers_when_a_superuser_registers_it_too(db):
    role = deployer(db)
    register(db.connect(user=role), "1_a", trojan(role))
    register(db.session, "1_a", trojan(role))
    with nothing_changes(db), expect_error("42501", message=NOT_TRUSTED):
        db.execute(UP)


def test_what_a_deployer_replaces_while_a_superusers_run_is_going_on_does_not_run(db):
    """The plan was judged when both were the superuser's."""
    role = deployer(db)
    register(db.session, "1_a", "SELECT pg_advisory_xact_lock(7)")
    register(db.session, "2_b", "SELECT 2")
    db.execute("SELECT pg_advisory_lock(7)")
    run = db.start(UP)
    db.wait_until_blocked(run.pid)
    register(db.connect(user=role), "2_b", trojan(role), replace=True)
    db.execute("SELECT pg_advisory_unlock(7)")
    with pytest.raises(psycopg.Error):
        run.finish()
    assert not is_superuser(db, role)


@pytest.mark.parametrize("directive", ["", "-- belay: transaction off\n"])
@pytest.mark.parametrize(
    "body",
    [
        "RESET ROLE; {trojan}; SET ROLE {role}",
        "RESET ALL; RESET ROLE; {trojan}; SET ROLE {role}",
        "SET ROLE postgres; {trojan}; SET ROLE {role}",
        "DO $$ BEGIN PERFORM set_config('role', 'none', false); {trojan}; PERFORM set_config('role', '{role}', false); END $$",
    ],
)
def test_a_superuser_who_has_set_role_to_the_deployer_is_not_led_back(db, body, directive):
    """SET ROLE looks like a way to run a stranger's text with the stranger's rights. RESET ROLE undoes it."""
    role = deployer(db)
    register(db.connect(user=role), "1_a", directive + body.format(trojan=trojan(role), role=role))
    session = db.connect()
    session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    try:
        session.execute(UP)
    except psycopg.Error as error:
        assert error.sqlstate in ("42501", "MG010"), describe(error)
    assert not is_superuser(db, role)


def test_a_superuser_who_trusts_a_role_runs_its_migrations(db):
    role = deployer(db)
    register(db.connect(user=role), "1_a", "CREATE TABLE a ()")
    db.execute("CALL belay.migrate_up(trust => %s)", [[role]])
    assert applied(db) == ["1_a"]


def test_a_project_that_trusts_a_role_runs_its_migrations(db):
    role = deployer(db)
    register(db.connect(user=role), "1_a", "CREATE TABLE a ()")
    db.execute("SELECT belay.project_alter('default', trusted => %s)", [[role]])
    db.execute(UP)
    assert applied(db) == ["1_a"]


def owned_project(db: Database) -> str:
    """A project whose owner is no superuser and lists itself; the owner's Trojan is pending in it."""
    owner = role_with(db, "owner")
    session = db.connect(user=owner)
    session.execute("SELECT belay.project_create('mine', trusted => %s)", [[owner]])
    register(session, "1_a", trojan(owner), project="mine")
    return owner


@pytest.mark.parametrize("call", ["CALL belay.migrate_up(project => 'mine')", "BEGIN; CALL belay.migrate_up(project => 'mine')"])
def test_the_owner_of_a_project_does_not_make_a_superuser_trust_whom_it_lists(db, call):
    owner = owned_project(db)
    with nothing_changes(db), expect_error("42501", message=NOT_TRUSTED, hint=re.compile(f'list of the project\'s owner, "{owner}", does not count for a superuser')):
        db.connect().execute(call)
    assert not is_superuser(db, owner)


def test_a_superuser_who_owns_the_project_lists_roles_for_itself(db):
    owner = owned_project(db)
    db.execute("SELECT belay.project_alter('mine', owner => 'postgres')")
    db.execute("SELECT belay.migrate_register('1_a', 'SELECT 1', replace => true, project => 'mine')")
    register(db.connect(user=owner), "2_b", "SELECT 2", project="mine")
    db.execute("CALL belay.migrate_up(project => 'mine')")
    assert applied(db, "mine") == ["1_a", "2_b"]


def test_the_list_of_a_projects_owner_counts_for_an_ordinary_role(db):
    owner, role, other = role_with(db, "owner"), deployer(db), role_with(db, "deployer", "other")
    db.connect(user=owner).execute("SELECT belay.project_create('mine', trusted => %s)", [[other]])
    register(db.connect(user=other), "1_a", "SELECT 1", project="mine")
    db.connect(user=role).execute("CALL belay.migrate_up(project => 'mine')")
    assert applied(db, "mine") == ["1_a"]


@pytest.mark.parametrize("call", ["SELECT belay.project_alter('mine', owner => 'postgres')", "SELECT belay.project_create('other', owner => 'postgres')"])
def test_a_project_is_not_given_to_a_role_that_the_giver_is_no_member_of(db, call):
    owner = owned_project(db)
    with nothing_changes(db), expect_error("42501", message=f'a project can be given only to a role that "{owner}" is a member of', hint=re.compile("superuser")):
        db.connect(user=owner).execute(call)


def test_trust_is_in_one_role_and_not_in_its_members(db):
    role, other = deployer(db), role_with(db, "deployer", "other")
    db.execute(f"GRANT {role} TO {other}")
    register(db.connect(user=other), "1_a", trojan(other))
    with nothing_changes(db), expect_error("42501", message=NOT_TRUSTED):
        db.execute("CALL belay.migrate_up(trust => %s)", [[role]])


def test_one_deployer_does_not_run_what_another_registered(db):
    role, other = deployer(db), role_with(db, "deployer", "other")
    register(db.connect(user=other), "1_a", f'GRANT "{role}" TO "{other}"')
    with nothing_changes(db), expect_error("42501", message=NOT_TRUSTED):
        db.connect(user=role).execute(UP)


def test_a_role_with_the_callers_rights_needs_no_trust(db):
    role, member = deployer(db), role_with(db, "deployer", "member")
    db.execute(f"GRANT {role} TO {member}")
    register(db.connect(user=member), "1_a", "CREATE TABLE a ()")
    db.connect(user=role).execute(UP)
    assert db.rows("SELECT tableowner::text FROM pg_tables WHERE tablename = 'a'") == [(role,)]


def test_a_registrant_that_was_dropped_is_not_trusted(db):
    role = deployer(db)
    register(db.connect(user=role), "1_a", "CREATE TABLE a ()")
    db.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    with nothing_changes(db), expect_error("42501", message=NOT_TRUSTED):
        db.execute(UP)


# ── doors: who the session is ────────────────────────────────────────────────────────────────────────────────────────

EXITS = {"success": "SELECT 1", "error": "SELECT 1/0", "cancel": "SELECT cancel_me(), pg_sleep(20)", "lock timeout": "LOCK TABLE orders"}
CALLS = {
    "per_migration": UP,
    "per_run": "CALL belay.migrate_up(transaction => 'per_run')",
    "transaction off": UP,
    "caller": "BEGIN; CALL belay.migrate_up()",
    "DO": "DO $$ BEGIN CALL belay.migrate_up(); END $$",
    "caught": "DO $$ BEGIN CALL belay.migrate_up(); EXCEPTION WHEN OTHERS OR query_canceled THEN NULL; END $$",
}


@pytest.mark.parametrize("way", EXITS)
@pytest.mark.parametrize("mode", CALLS)
@pytest.mark.parametrize("as_role", ["login", "SET ROLE"])
def test_who_the_session_is_stays_so_on_every_way_out(db, as_role, mode, way):
    """The owner's rights are taken for single statements of the ledger: none of them may be left in force."""
    role, other = deployer(db), db.role("other", "NOLOGIN")
    db.execute(f"GRANT {other} TO {role}; CREATE TABLE orders (); GRANT ALL ON orders TO {role}, {other}")
    db.execute("CREATE FUNCTION cancel_me() RETURNS bool LANGUAGE sql SECURITY DEFINER AS $$ SELECT pg_cancel_backend(pg_backend_pid()) $$")
    user = role
    if as_role == "SET ROLE":
        user = db.role("login")
        db.execute(f"GRANT {role} TO {user}")
    session = db.connect(user=user)
    session.execute(f"SET belay.lock_timeout = '50ms'; SET belay.lock_retries = 0; SET ROLE {role if as_role == 'SET ROLE' else 'NONE'}")
    directive = "-- belay: transaction off\n" if mode == "transaction off" else ""
    register(session, "0001_a", f"{directive}SET ROLE {other};\n{EXITS[way]}")
    db.execute("SELECT belay.project_alter('default', trusted => %s)", [[role]])
    who = "SELECT current_user::text, session_user::text, current_setting('role'), current_setting('is_superuser')"
    before = session.rows(who)
    if way == "lock timeout":
        blocker = db.connect(autocommit=False)
        blocker.execute("LOCK TABLE orders")
    try:
        session.execute(CALLS[mode])
        assert way == "success" or mode == "caught"
    except psycopg.Error as error:
        assert error.sqlstate == {"error": "22012", "cancel": "57014", "lock timeout": "55P03"}[way], describe(error)
    if mode == "caller":
        session.execute("COMMIT")
    assert session.rows(who) == before
    with expect_error("42501"):
        session.execute("DELETE FROM belay.applied")
    with expect_error("42501"):
        session.execute("CREATE ROLE made_by_a_leak")


# ── doors: names ─────────────────────────────────────────────────────────────────────────────────────────────────────

HOSTILE = ["'; DROP TABLE victim; --", '"; DROP TABLE victim; --', "a'b\"c\\d", "$$ $1 %s %I %L", "Größe 𝄞", "{a,b}", "null", "x' OR '1'='1"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_a_name(db, name):
    role = role_with(db, "owner", name[:30])
    db.execute("CREATE TABLE victim ()")
    db.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}; CREATE SCHEMA {} AUTHORIZATION {}").format(*map(sql.Identifier, (role, name, role))))
    session = db.connect(user=role)
    path = sql.Identifier(name).as_string(session)
    session.execute("SELECT belay.project_create(%s, search_path => %s, owner => %s)", [name, path, role])
    register(session, name, "CREATE TABLE here ()", "DROP TABLE here", project=name)
    register(session, name + "2", "-- belay: transaction off\nSELECT 1; SELECT 1/0", project=name)
    with expect_error("22012"):
        session.execute("CALL belay.migrate_up(project => %s)", [name])
    assert db.one("SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relname = 'here'", [name]) == 1
    # What status advises is SQL that can be run as it stands.
    for state_, sqlstate in (("dirty", "22012"),):
        command = session.one("SELECT next_command FROM belay.migrate_status(%s) WHERE state = %s", [name, state_])
        with expect_error(sqlstate):
            session.execute(command)
    session.execute("SELECT belay.migrate_mark(%s, 'applied', reason => %s, project => %s)", [name + "2", name, name])
    session.execute("SELECT belay.migrate_rename(%s, %s, project => %s)", [name, name + "1", name])
    assert applied(db, name) == [name + "1", name + "2"]
    for call in ("migrate_plan(verb => 'down', project => %s)", "migrate_validate(project => %s)", "migrate_history(project => %s)"):
        session.execute(f"SELECT * FROM belay.{call}", [name])
    session.execute("SELECT belay.project_alter(%s, trusted => %s)", [name, [role]])
    db.execute("TABLE victim")


def test_a_hostile_application_name_is_only_a_name(db):
    load(db, numbered(1))
    name = "x'; DROP TABLE t1; --\"{}"
    stranger = db.connect(user=db.role("stranger"), application_name=name)
    stranger.execute("SELECT pg_advisory_lock(1651270009, id) FROM belay.project")
    with expect_error("55P03", detail=f"pid {stranger.pid}, role {stranger.info.user}, application {name}, holds the lock without a run"):
        db.execute("CALL belay.migrate_up(steps => 1)")


@pytest.mark.parametrize("path", ["/tmp/'; DROP TABLE victim; --", '/tmp/"quoted"', "/tmp/$(touch x)", "/tmp/%s", "/tmp/\\..\\x"])
def test_a_hostile_path_is_only_a_path(db, path):
    with nothing_changes(db), expect_error("58P01", message=f'"{path}" does not exist on the server'):
        db.execute("SELECT belay.migrate_load(%s)", [path])


def test_a_file_with_a_hostile_name_is_loaded_as_it_is_called(db, server_folder):
    name = "1_'; DROP TABLE victim; --$(x)"
    (server_folder / f"{name}.sql").write_text("CREATE TABLE made ()")
    db.execute("CREATE TABLE victim ()")
    db.execute("SELECT belay.migrate_load(%s)", [str(server_folder)])
    db.execute(UP)
    assert applied(db) == [name]
    db.execute("TABLE victim; TABLE made")


# ── doors: functions and operators of the same name ──────────────────────────────────────────────────────────────────

#: In a schema that stands first: what Belay's own queries use, by the same names.
TRAP = """
    CREATE SCHEMA trap;
    CREATE FUNCTION trap.sprung() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'the trap was sprung as %', current_user; END $$;
    CREATE FUNCTION trap.equal(text, text) RETURNS bool LANGUAGE sql AS 'SELECT trap.sprung(); SELECT true';
    CREATE FUNCTION trap.equal(name, text) RETURNS bool LANGUAGE sql AS 'SELECT trap.sprung(); SELECT true';
    CREATE FUNCTION trap.equal(integer, integer) RETURNS bool LANGUAGE sql AS 'SELECT trap.sprung(); SELECT true';
    CREATE FUNCTION trap.equal(bigint, bigint) RETURNS bool LANGUAGE sql AS 'SELECT trap.sprung(); SELECT true';
    CREATE FUNCTION trap.join(text, text) RETURNS text LANGUAGE sql AS 'SELECT trap.sprung(); SELECT null::text';
    CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.equal);
    CREATE OPERATOR trap.= (LEFTARG = name, RIGHTARG = text, FUNCTION = trap.equal);
    CREATE OPERATOR trap.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = trap.equal);
    CREATE OPERATOR trap.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.equal);
    CREATE OPERATOR trap.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.equal);
    CREATE OPERATOR trap.< (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.equal);
    CREATE OPERATOR trap.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.join);
    CREATE FUNCTION trap.format(text) RETURNS text LANGUAGE sql AS 'SELECT trap.sprung(); SELECT null::text';
    CREATE FUNCTION trap.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT trap.sprung(); SELECT null::text';
    CREATE FUNCTION trap.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT trap.sprung(); SELECT null::timestamptz';
    CREATE FUNCTION trap.nextval(regclass) RETURNS bigint LANGUAGE sql AS 'SELECT trap.sprung(); SELECT 1::bigint';
    CREATE FUNCTION trap.pg_backend_pid() RETURNS integer LANGUAGE sql AS 'SELECT trap.sprung(); SELECT 1';
    CREATE FUNCTION trap.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT trap.sprung()';
    CREATE FUNCTION trap.current_database() RETURNS name LANGUAGE sql AS 'SELECT trap.sprung(); SELECT null::name';
    CREATE TABLE trap.pg_extension (extname text); CREATE TABLE trap.pg_class (relname text); CREATE TABLE trap.pg_locks (pid int);
    CREATE TABLE trap.pg_index (x int); CREATE TABLE trap.pg_settings (name text);
    GRANT USAGE ON SCHEMA trap TO PUBLIC;
"""
#: The same for names of types.
TYPES = """
    CREATE DOMAIN trap.text AS pg_catalog.text CHECK (VALUE IS NULL);
    CREATE DOMAIN trap.bytea AS pg_catalog.bytea CHECK (VALUE IS NULL);
    CREATE DOMAIN trap.oid AS pg_catalog.oid CHECK (VALUE IS NULL);
    CREATE DOMAIN trap.regclass AS pg_catalog.regclass CHECK (VALUE IS NULL);
    CREATE DOMAIN trap.name AS pg_catalog.name CHECK (VALUE IS NULL);
"""
#: Everything that has queries of its own, beside registering and running.
WORK = [
    "SELECT belay.migrate_register('1_a', 'SELECT 1', 'SELECT 1')",
    "SELECT belay.migrate_load_files('{\"0_z.up.sql\": \"SELECT 0\", \"0_z.down.sql\": \"SELECT 0\"}')",
    "SELECT belay.migrate_register('2_b', 'CREATE TABLE public.b (id int)', 'DROP TABLE public.b')",
    "SELECT belay.migrate_register('3_c', 'CREATE INDEX CONCURRENTLY i ON public.b (id)', 'DROP INDEX CONCURRENTLY public.i')",
    "SELECT belay.migrate_plan()",
    "SELECT belay.migrate_check()",
    "CALL belay.migrate_up(steps => 3)",
    "CALL belay.migrate_up()",
    "SELECT belay.migrate_status()",
    "SELECT belay.migrate_validate()",
    "SELECT belay.migrate_history()",
    "SELECT belay.last_run()",
    "CALL belay.migrate_redo()",
    "CALL belay.migrate_down(transaction => 'per_migration')",
    "DO $$ BEGIN CALL belay.migrate_down(); END $$",
    "SELECT belay.migrate_rename('3_c', '4_d')",
    "SELECT belay.migrate_unregister('4_d')",
    "CALL belay.migrate_to('@none')",
]


@pytest.mark.parametrize("path", ["trap, pg_catalog, public", "trap, public, pg_catalog, pg_temp"])
def test_a_hostile_schema_first_in_the_path_is_never_reached(db, path):
    db.execute(TRAP)
    session = db.connect(user=deployer(db))
    session.execute(f"SET search_path = {path}")
    with expect_error("P0001", message=re.compile("^the trap was sprung")):
        session.execute("SELECT 'a'::pg_catalog.text = 'b'::pg_catalog.text")  # it works
    for work in WORK:
        session.execute(work)
    assert session.rows("SHOW search_path") == [(path,)]
    assert [outcome for *_, outcome in history(db)].count("reverted") == 5


def test_a_hostile_type_first_in_the_path_is_never_used(db):
    db.execute(TRAP + TYPES)
    session = db.connect(user=deployer(db))
    session.execute("SET search_path = trap, pg_catalog, public")
    for work in WORK:
        session.execute(work)


#: Temporary objects come first for tables and types, unless a path says otherwise.
TEMPORARY = """
    CREATE TEMP TABLE pg_extension (extname text); CREATE TEMP TABLE pg_class (relname text); CREATE TEMP TABLE pg_locks (pid int);
    CREATE TEMP TABLE pg_index (x int); CREATE TEMP TABLE pg_settings (name text); CREATE TEMP TABLE pg_stat_activity (pid int);
    CREATE TEMP TABLE pg_roles (rolname name); CREATE TEMP TABLE pg_database (datname name); CREATE TEMP TABLE pg_namespace (nspname name);
    CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (VALUE IS NULL); CREATE DOMAIN pg_temp.int8 AS pg_catalog.int8 CHECK (VALUE IS NULL);
    CREATE DOMAIN pg_temp.name AS pg_catalog.name CHECK (VALUE IS NULL); CREATE DOMAIN pg_temp.regclass AS pg_catalog.regclass CHECK (VALUE IS NULL)
"""


@pytest.mark.parametrize("where", ["in the session", "in a migration"])
def test_temporary_objects_with_the_catalogs_names_are_never_reached(db, where):
    session = db.connect(user=deployer(db))
    if where == "in the session":
        session.execute(TEMPORARY)
    else:
        register(session, "0_a", TEMPORARY, "SELECT 1")
        session.execute(UP)
    with pytest.raises(psycopg.Error):
        session.execute("SELECT 'a'::text")  # it works
    for work in WORK:
        session.execute(work)


def test_a_migration_that_redefines_operators_does_not_reach_the_ledger(db):
    """Its own text sees the trap, what is written of it does not."""
    session = db.connect(user=deployer(db))
    db.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(sql.Identifier(db.name), sql.Identifier(session.info.user)))
    register(session, "0001_trap", TRAP + "SET search_path = trap, pg_catalog, public;")
    register(session, "0002_off", "-- belay: transaction off\nSET search_path = trap, pg_catalog, public;\nCREATE TABLE public.b (id int);\nCREATE INDEX CONCURRENTLY i ON public.b (id)")
    register(session, "0003_sees", "SET search_path = trap, pg_catalog, public; SELECT 'a'::pg_catalog.text = 'b'::pg_catalog.text")
    with expect_error("P0001", message=f"the trap was sprung as {session.info.user}"):
        session.execute(UP)
    assert history(db) == [("0001_trap", "up", "applied"), ("0002_off", "up", "applied"), ("0003_sees", "up", "failed")]


#: Settings that any role may set and that change what SQL means or how values are written.
STRANGE = """
    SET standard_conforming_strings = off; SET transform_null_equals = on; SET array_nulls = off; SET quote_all_identifiers = on;
    SET DateStyle = 'German'; SET IntervalStyle = 'iso_8601'; SET bytea_output = 'escape'; SET extra_float_digits = -15;
    SET plpgsql.extra_errors = 'all'; SET check_function_bodies = off; SET enable_indexscan = off; SET enable_seqscan = off;
    SET default_transaction_isolation = 'serializable'; SET default_transaction_deferrable = on; SET row_security = off;
    SET TIME ZONE 'Asia/Kathmandu'; SET xmlbinary = hex; SET backslash_quote = off; SET client_min_messages = warning
"""


def test_strange_settings_of_the_session_do_not_reach_the_ledger(db):
    session = db.connect(user=deployer(db))
    session.execute(STRANGE)
    for work in WORK:
        session.execute(work)
    assert db.rows("SELECT DISTINCT outcome FROM belay.run") == [("succeeded",)]


# ── doors: the schema ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("what", ["CREATE SCHEMA belay AUTHORIZATION {}", "CREATE SCHEMA belay AUTHORIZATION {} CREATE TABLE run ()"])
def test_a_schema_that_somebody_made_before_the_extension_is_not_adopted(empty_db, what):
    """Its owner could drop it with the ledger in it, or leave traps in it."""
    db = empty_db
    db.execute(what.format(db.role("squatter")))
    with expect_error("42P06", message='schema "belay" already exists'):
        db.execute("CREATE EXTENSION pg_belay")
    assert db.rows("SELECT extname::text FROM pg_extension WHERE extname = 'pg_belay'") == []
    db.execute("DROP SCHEMA belay CASCADE")
    db.execute("CREATE EXTENSION pg_belay")


def test_an_installation_with_a_hostile_schema_first_does_not_reach_it(empty_db):
    db = empty_db
    db.execute(TRAP + "SET search_path = trap, pg_catalog, public")
    db.execute("CREATE EXTENSION pg_belay")
    db.execute("RESET search_path")
    for work in WORK:
        db.execute(work)


def test_the_schema_cannot_be_chosen(empty_db):
    with pytest.raises(psycopg.Error):
        empty_db.execute("CREATE SCHEMA mine; CREATE EXTENSION pg_belay SCHEMA mine")


def test_an_ordinary_role_cannot_install_the_extension(empty_db):
    role = empty_db.role("squatter")
    empty_db.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(sql.Identifier(empty_db.name), sql.Identifier(role)))
    with expect_error("42501"):
        empty_db.connect(user=role).execute("CREATE EXTENSION pg_belay")


@pytest.mark.parametrize("path", ["trap, pg_catalog, public", "trap, public, pg_catalog, pg_temp"])
@pytest.mark.parametrize("types", ["", TYPES])
def test_a_hostile_schema_first_in_the_path_is_not_reached_by_an_owner(db, path, types):
    """What a deployer does not call: marks, pruning, refusing what is privileged."""
    role = role_with(db, "owner")
    db.execute(TRAP + types)
    db.execute("SELECT belay.migrate_register('0_z', 'SELECT 0')")
    db.execute("SELECT belay.project_alter('default', owner => %s)", [role])
    session = db.connect(user=role)
    session.execute(f"SET search_path = {path}")
    register(session, "1_a", "-- belay: privileged\nSELECT 1", "SELECT 1")
    session.execute("CALL belay.migrate_up(steps => 1)")
    with expect_error("42501", message=re.compile("^1 of 1 steps is privileged")):
        session.execute("CALL belay.migrate_up(on_privileged => 'refuse')")
    session.execute(UP)
    session.execute("SELECT belay.migrate_mark('1_a', 'pending')")
    session.execute("SELECT belay.migrate_mark('1_a', 'applied')")
    assert session.one("SELECT belay.history_prune('infinity')") == 2
    assert session.rows("SHOW search_path") == [(path,)]


def test_a_project_is_pruned_by_its_owner_also_after_set_role_and_by_nobody_else(db):
    owner, other = role_with(db, "owner"), role_with(db, "owner", "other")
    db.execute("SELECT belay.migrate_register('1_a', 'SELECT 1')")
    db.execute(UP)
    db.execute("SELECT belay.project_alter('default', owner => %s)", [owner])
    stranger, member = db.role("stranger"), db.role("member")
    db.execute(f"GRANT {owner} TO {member}; GRANT {other} TO {owner}")
    prune = "SELECT belay.history_prune('infinity')"
    with nothing_changes(db), expect_error("42501", message="permission denied for function history_prune"):
        db.connect(user=stranger).execute(prune)
    with nothing_changes(db), expect_error("42501", message=re.compile("only the owner"), hint=re.compile(f"^SET ROLE {owner}")):
        db.connect(user=other).execute(prune)
    session = db.connect(user=owner)
    session.execute(f"SET ROLE {other}")
    with nothing_changes(db), expect_error("42501", message=re.compile("only the owner")):
        session.execute(prune)
    superuser = db.connect()
    superuser.execute(f"SET ROLE {other}")
    with nothing_changes(db), expect_error("42501", message=re.compile("only the owner")):
        superuser.execute(prune)
    session = db.connect(user=member)
    assert session.one(prune) == 0
    session.execute(f"SET ROLE {owner}")
    assert session.one(prune) == 0
    assert session.rows("SELECT current_user::text, session_user::text") == [(owner, member)]


# ── texts of others ──────────────────────────────────────────────────────────────────────────────────────────────────

SECRET = "hunter2"


def test_no_routine_tells_a_deployer_the_text_of_a_project_that_it_does_not_run(db):
    db.execute("SELECT belay.project_create('payroll')")
    register(db.session, "1_a", f"SELECT '{SECRET}'", f"SELECT '{SECRET}'", project="payroll")
    register(db.session, "2_b", f"SELECT '{SECRET}'::int", project="payroll")
    with expect_error("22P02"):
        db.execute("CALL belay.migrate_up(project => 'payroll')")
    db.execute("CREATE TABLE message AS SELECT message FROM belay.step_error")  # that is where it says so
    session = db.connect(user=deployer(db))
    told: list[object] = []
    for call in (
        "SELECT * FROM belay.migrate_status('payroll')",
        "SELECT * FROM belay.migrate_plan(project => 'payroll')",
        "SELECT * FROM belay.migrate_validate(project => 'payroll')",
        "SELECT * FROM belay.migrate_register('1_a', 'SELECT 1', project => 'payroll')",
        "SELECT * FROM belay.migrate_register('2_b', 'SELECT 1', project => 'payroll')",
        "SELECT * FROM belay.migrate_load_files('{\"1_a.sql\": \"SELECT 1\"}', project => 'payroll')",
        "SELECT * FROM belay.migrate_load_files('{\"2_b.sql\": \"SELECT 1\"}', project => 'payroll')",
        *(f"SELECT t::text FROM belay.{table} t" for table in TABLES),
    ):
        try:
            told.append(session.rows(call))
        except psycopg.Error as error:
            told.append(describe(error))
    # The message of the server's error holds a value; the text itself is told nowhere.
    assert f"SELECT '{SECRET}'" not in str(told)


def test_refusing_what_is_privileged_tells_its_text_only_to_who_may_read_it(db):
    role, reader = deployer(db), deployer_who_reads(db)
    register(db.session, "1_a", f"-- belay: privileged\nSELECT '{SECRET}'", "SELECT 1")
    register(db.connect(user=role), "2_b", "-- belay: privileged\nSELECT 'mine'")
    db.execute("SELECT belay.project_alter('default', trusted => %s)", [[role]])
    refuse = "CALL belay.migrate_up(on_privileged => 'refuse')"
    with nothing_changes(db), expect_error("42501", message=re.compile("^2 of 2"), detail=re.compile("1_a, up: its SQL is told to who may read belay.definition")) as error:
        db.connect(user=role).execute(refuse)
    assert SECRET not in describe(error.error) and "SELECT 'mine'" in error.detail
    for session in (db.connect(user=reader), db.connect()):
        with nothing_changes(db), expect_error("42501", detail=re.compile(SECRET)):
            session.execute(refuse)


def deployer_who_reads(db: Database) -> str:
    role = role_with(db, "deployer", "both")
    db.execute("SELECT belay.grant_role(%s, 'reader')", [role])
    return role


# ── verbs that are to come ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_deployer_may_not_say_that_everything_is_applied(db):
    session = db.connect(user=deployer(db))
    register(session, "1_a", "SELECT 1")
    with nothing_changes(db), expect_error("42501"):
        session.execute("CALL belay.migrate_baseline('1_a')")


def test_a_deployer_may_not_prune_the_history(db):
    session = db.connect(user=deployer(db))
    register(session, "1_a", "SELECT 1")
    session.execute(UP)
    with nothing_changes(db), expect_error("42501"):
        session.execute("SELECT belay.history_prune(now())")


def test_a_reader_may_wait(db):
    load(db, numbered(1))
    db.execute(UP)
    db.connect(user=role_with(db, "reader")).execute("CALL belay.migrate_wait(wait => '5 s')")
