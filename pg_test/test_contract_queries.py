"""Contract queries: what the code of releases sends, and that a pre and a post keep it working."""

from __future__ import annotations

import json
import re

import pytest

from harness.database import Database
from harness.session import expect_error
from ledger import applied

BROKEN = "MG019"
TABLES = """
    CREATE TYPE status AS ENUM ('new', 'done');
    CREATE TABLE orders (id int PRIMARY KEY, total int NOT NULL, status status NOT NULL DEFAULT 'new');
    CREATE FUNCTION fetch_v1(id int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
    CREATE VIEW open_orders AS SELECT id, total FROM orders WHERE status = 'new';
"""
#: Only adds, and yet the call of release 1.0.0 is ambiguous from then on.
OVERLOAD = "CREATE FUNCTION fetch_v1(id int, more int DEFAULT 0) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 2; END'"


def released(db: Database, **options: str) -> None:
    """Release 1.0.0 is there, and what its code sends."""
    given = "".join(f", {option} => '{value}'" for option, value in options.items())
    db.execute(f"SELECT belay.project_create('default', naming => 'release'{given})")
    migration(db, "01.00.00_01_pre_tables", TABLES)
    db.execute("CALL belay.migrate_up(phase => 'pre')")
    query(db, "1.0.0", "get", "SELECT id, total FROM orders WHERE id = $1")
    query(db, "1.0.0", "fetch", "SELECT fetch_v1($1)")


def migration(db: Database, name: str, up: str) -> None:
    db.execute("SELECT belay.migrate_register(%s, %s)", [name, up])


def query(db: Database, release: str, name: str, text: str) -> str:
    return db.one("SELECT belay.contract_query(%s, %s, %s)", [release, name, text])


def verdicts(db: Database, release: str | None = None) -> dict[str, str | None]:
    return dict(db.rows("SELECT name, sqlstate FROM belay.contract_check(%s)", [release]))


def pre(db: Database) -> None:
    db.execute("CALL belay.migrate_up(phase => 'pre')")


def post(db: Database) -> None:
    db.execute("CALL belay.migrate_up(phase => 'post')")


def reported(db: Database) -> list[tuple[str, list[str]]]:
    query = "SELECT name, ARRAY(SELECT r FROM unnest(reported) r WHERE r LIKE 'contract-query,%') FROM belay.step WHERE outcome = 'applied' ORDER BY id"
    return [(name, lines) for name, lines in db.rows(query) if lines]


# ── registering ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_query_again_changes_nothing_and_another_text_replaces_it_until_the_release_is_announced(db):
    assert query(db, "01.00.00", "one", "SELECT $1::int") == "added"
    assert query(db, "1.0.0", "one", "SELECT $1::int") == "unchanged"
    assert query(db, "1.0.0", "one", "SELECT $1::text") == "replaced"
    db.execute("SET search_path = pg_catalog")
    assert query(db, "1.0.0", "one", "SELECT $1::text") == "replaced"
    assert db.rows("SELECT release, name, sql, search_path, registered_by::text FROM belay.contract_query") == [
        ("1.0.0", "one", "SELECT $1::text", "pg_catalog", "postgres")
    ]
    db.execute("INSERT INTO belay.announcement (project_id, release, announced_by) SELECT id, '1.0.0', 'postgres' FROM belay.project")
    assert query(db, "1.0.0", "one", "SELECT $1::text") == "unchanged"
    with expect_error("MG003", message=re.compile("the release is announced"), hint=re.compile(r"contract_query_drop\('1.0.0', 'one'\)")):
        query(db, "1.0.0", "one", "SELECT $1::int")
    assert query(db, "1.1.0", "one", "SELECT $1::int") == "added"


def test_senseless_queries_are_refused_and_nothing_is_registered(db):
    wrong = [
        ("1.0", "q", "SELECT 1", "22023", "is not a release"),
        ("1.0.0", "", "SELECT 1", "MG008", "is not the name"),
        ("1.0.0", "@all", "SELECT 1", "MG008", "is not the name"),
        ("1.0.0", " q", "SELECT 1", "MG008", "is not the name"),
        ("1.0.0", "q", "", "MG010", "the query is empty"),
        ("1.0.0", "q", "-- nothing", "MG010", "the query is empty"),
        ("1.0.0", "q", "SELECT 1; SELECT 2", "MG010", "holds 2 statements"),
        ("1.0.0", "q", "LISTEN x", "MG010", "only SELECT, INSERT"),
        ("1.0.0", "q", "CREATE TABLE x ()", "MG010", "only SELECT, INSERT"),
        ("1.0.0", "q", "EXPLAIN SELECT 1", "MG010", "only SELECT, INSERT"),
        ("1.0.0", "q", "COMMIT", "MG010", "only SELECT, INSERT"),
    ]
    for release, name, text, state, message in wrong:
        with expect_error(state, message=re.compile(message), hint=re.compile(".")):
            query(db, release, name, text)
    with expect_error("42601", message=re.compile("syntax error")) as error:
        query(db, "1.0.0", "q", "SELECT 1 FRM t x")
    assert (error.internal_query, error.internal_position, error.position) == ("SELECT 1 FRM t x", "14", None)
    for queries in ("[]", '"SELECT 1"', '{"q": 1}', '{"q": null}'):
        with expect_error("22023", message=re.compile("not an object of names and texts"), hint=re.compile("queries =>")):
            db.execute("SELECT belay.contract_queries('1.0.0', %s::jsonb)", [queries])
    with expect_error("42601"):
        db.execute("SELECT belay.contract_queries('1.0.0', %s::jsonb)", [json.dumps({"a": "SELECT 1", "b": "SELEC 1"})])
    assert db.one("SELECT count(*) FROM belay.contract_query") == 0
    db.execute("SELECT belay.project_create('natural', naming => 'natural')")
    with expect_error("22023", message=re.compile("they have no release and phase")):
        db.execute("SELECT belay.contract_query('1.0.0', 'q', 'SELECT 1', project => 'natural')")
    with expect_error("MG011", message=re.compile('project "nowhere"')):
        db.execute("SELECT * FROM belay.contract_check(project => 'nowhere')")


def test_a_query_is_dropped_by_its_registrant_and_the_owner_only(db):
    db.execute("SELECT belay.project_create('default', naming => 'release')")
    mine, other = db.role("mine"), db.role("other")
    for role in (mine, other):
        db.execute("SELECT belay.grant_role(%s, 'deployer')", [role])
    session, stranger = db.connect(user=mine), db.connect(user=other)
    session.execute("SELECT belay.contract_query('1.0.0', 'q', 'SELECT 1'), belay.contract_query('1.0.0', 'r', 'SELECT 1')")
    for refused in ("contract_query_drop('1.0.0', 'q')", "contract_query_drop('1.0.0', '@all')", "contract_query('1.0.0', 'q', 'SELECT 2')"):
        with expect_error("42501", message=re.compile(f'only by "{mine}"'), hint=re.compile("postgres")):
            stranger.execute(f"SELECT belay.{refused}")
    assert stranger.one("SELECT belay.contract_query('1.0.0', 'q', 'SELECT 1')") == "unchanged"
    for table in ("belay.contract_query",):
        with expect_error("42501"):
            session.execute(f"SELECT * FROM {table}")
    assert session.one("SELECT belay.contract_query_drop('1.0.0', 'q')") == 1
    for absent in ("'q'", "'nothing'"):
        with expect_error("MG011", message=re.compile("is not registered"), hint=re.compile("contract_check")):
            session.execute(f"SELECT belay.contract_query_drop('1.0.0', {absent})")
    assert db.one("SELECT belay.contract_query_drop('1.0.0', '@all')") == 1
    with expect_error("MG011", message="release 1.0.0 has no contract queries"):
        db.execute("SELECT belay.contract_query_drop('1.0.0', '@all')")


# ── the check ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_check_tells_what_the_server_understands_along_the_search_path_of_the_registration(db):
    db.execute(f"CREATE SCHEMA app; SET search_path = app; {TABLES} CREATE TABLE t (id int, OID2 oid); RESET search_path")
    db.execute("CREATE PROCEDURE app.p(int) LANGUAGE sql AS ''")
    db.execute("SET search_path = app")
    passing = {
        "select": "SELECT id FROM orders WHERE id = $1 AND total > $2",
        "table": "TABLE orders",
        "values": "VALUES ($1::int)",
        "insert": "INSERT INTO orders (id, total) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET total = excluded.total RETURNING id",
        "update": "UPDATE orders SET status = 'done' WHERE id = ANY ($1)",
        "delete": "DELETE FROM orders USING t WHERE orders.id = t.id",
        "merge": "MERGE INTO orders o USING t ON t.id = o.id WHEN MATCHED THEN DO NOTHING",
        "call": "CALL p($1)",
        "with": "WITH x AS (INSERT INTO t (id) VALUES ($1) RETURNING id) SELECT * FROM x",
        "view": "UPDATE open_orders SET total = $1",
        "unsure": "SELECT $1",
        "error at run time": "SELECT 1/0 FROM orders",
    }
    failing = {
        "no table": ("SELECT 1 FROM nothing", "42P01"),
        "no column": ("SELECT nothing FROM orders", "42703"),
        "no function": ("SELECT nothing($1)", "42883"),
        "no label": ("SELECT id FROM orders WHERE status = 'gone'", "22P02"),
        "no constraint": ("INSERT INTO orders VALUES (1, 2) ON CONFLICT ON CONSTRAINT nothing DO NOTHING", "42704"),
        "no procedure": ("CALL fetch_v1($1)", "42809"),
        "view that takes no rows": ("INSERT INTO counted VALUES (1)", "55000"),
    }
    db.execute("CREATE VIEW counted AS SELECT count(*) FROM orders")
    texts = passing | {name: text for name, (text, _) in failing.items()}
    db.execute("SELECT belay.contract_queries('1.0.0', %s::jsonb)", [json.dumps(texts)])
    db.execute("RESET search_path")
    found = verdicts(db)
    assert {name for name, state in found.items() if state is None} == set(passing)
    assert {name: found[name] for name in failing} == {name: state for name, (_, state) in failing.items()}
    assert db.one("SELECT message FROM belay.contract_check('1.0.0') WHERE name = 'no column'") == 'column "nothing" does not exist at character 8'


def test_a_check_runs_nothing_and_leaves_no_lock(db):
    """A literal of an array of a domain is read while a query is parsed, and then the domain's CHECK would run."""
    db.execute("""
        CREATE TABLE ran (what text);
        CREATE FUNCTION spy(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'it ran'; END $$;
        CREATE FUNCTION inlined(int) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT spy($1) $$;
        CREATE DOMAIN spied AS int CHECK (spy(VALUE));
        CREATE DOMAIN deep AS int CHECK (VALUE > 0 AND inlined(7));
        CREATE DOMAIN positive AS int CHECK (VALUE > 0);
        CREATE TYPE pair AS (one spied, two int);
        CREATE TYPE span AS RANGE (subtype = spied);
    """)
    refused = {"array": "SELECT '{1}'::spied[]", "row": "SELECT '(1,2)'::pair", "range": "SELECT '[1,2]'::span", "deep": "SELECT '{1}'::deep[]"}
    passing = {"server's own": "SELECT '{1}'::positive[]", "call": "SELECT spy(1), inlined(1)", "write": "INSERT INTO ran SELECT spy(1)::text", "cast": "SELECT 1::spied"}
    db.execute("SELECT belay.contract_queries('1.0.0', %s::jsonb)", [json.dumps(refused | passing | {"bad": "SELECT '{0}'::positive[]"})])
    with db.session.transaction():
        assert verdicts(db) == dict.fromkeys(refused, "MG010") | dict.fromkeys(passing) | {"bad": "23514"}
        held = "SELECT DISTINCT relation::regclass::text FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation >= 16384"
        assert {name for (name,) in db.rows(held) if not name.startswith("belay.")} == set()
        assert db.one("SELECT pg_current_xact_id_if_assigned()") is None
    assert "would run function public.spy(integer)" in db.one("SELECT message FROM belay.contract_check() WHERE name = 'array'")


def test_a_check_waits_for_a_lock_no_longer_than_lock_timeout_and_has_no_verdict_then(db):
    db.execute("CREATE TABLE t (id int)")
    query(db, "1.0.0", "q", "SELECT id FROM t")
    blocker = db.connect(autocommit=False)
    blocker.execute("LOCK TABLE t")
    with expect_error("55P03"):
        db.execute("SET lock_timeout = '10ms'; SELECT * FROM belay.contract_check()")
    blocker.rollback()
    assert verdicts(db) == {"q": None}


def test_the_check_works_on_a_standby(db, standby):
    query(db, "1.0.0", "q", "SELECT 1")
    query(db, "1.0.0", "r", "SELECT nothing")
    assert verdicts(standby.database(db)) == {"q": None, "r": "42703"}


# ── around a pre and a post ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_pre_that_breaks_what_the_release_before_sends_is_rolled_back(db):
    released(db)
    migration(db, "02.00.00_01_pre_more", f"ALTER TABLE orders ADD COLUMN note text; {OVERLOAD}")
    with expect_error(
        BROKEN,
        message='contract query "fetch" of release 1.0.0 does not pass after pre migration "02.00.00_01_pre_more"',
        detail="fetch of release 1.0.0: 42725: function fetch_v1(unknown) is not unique at character 8",
        hint=re.compile(r"contract_query_drop\('1\.0\.0', 'fetch'\)"),
    ):
        pre(db)
    assert applied(db) == ["01.00.00_01_pre_tables"]
    assert verdicts(db) == {"fetch": None, "get": None}
    assert db.rows("SELECT outcome, sqlstate FROM belay.step ORDER BY id DESC LIMIT 1") == [("failed", BROKEN)]
    db.execute("SELECT belay.contract_query_drop('1.0.0', 'fetch')")
    pre(db)


@pytest.mark.parametrize("how", ["per_run", "caller"])
def test_it_is_rolled_back_where_one_transaction_holds_all(db, how):
    released(db)
    migration(db, "02.00.00_01_pre_fine", "ALTER TABLE orders ADD COLUMN note text")
    migration(db, "02.00.00_02_pre_more", OVERLOAD)
    with expect_error(BROKEN, message=re.compile('"fetch" of release 1.0.0')):
        if how == "per_run":
            db.execute("CALL belay.migrate_up(phase => 'pre', transaction => 'per_run')")
        else:
            with db.session.transaction():
                pre(db)
    assert applied(db) == ["01.00.00_01_pre_tables"]


def test_each_pre_is_asked(db):
    released(db)
    migration(db, "02.00.00_01_pre_there_and_back", f"{OVERLOAD}; DROP FUNCTION fetch_v1(int, int)")
    migration(db, "02.00.00_02_pre_more", OVERLOAD)
    with expect_error(BROKEN, message=re.compile('"02.00.00_02_pre_more"')):
        pre(db)
    assert applied(db)[-1] == "02.00.00_01_pre_there_and_back"


def test_after_the_last_pre_what_the_new_release_sends_has_to_pass_whatever_it_did_before(db):
    released(db)
    query(db, "2.0.0", "note", "SELECT note FROM orders")
    query(db, "2.0.0", "other", "SELECT other FROM orders")
    migration(db, "02.00.00_01_pre_nothing_yet", "SELECT 1")
    migration(db, "02.00.00_02_pre_note", "ALTER TABLE orders ADD COLUMN note text")
    db.execute("CALL belay.migrate_up(phase => 'pre', steps => 1)")
    with expect_error(BROKEN, message=re.compile('"other" of release 2.0.0 does not pass')):
        pre(db)
    db.execute("SELECT belay.contract_query_drop('2.0.0', 'other')")
    pre(db)
    assert verdicts(db, "2.0.0") == {"note": None}


def test_a_post_has_to_leave_its_own_release_working_and_may_break_older_ones(db):
    released(db)
    query(db, "2.0.0", "note", "SELECT note FROM orders")
    query(db, "3.0.0", "future", "SELECT future FROM orders")
    migration(db, "02.00.00_01_pre_note", "ALTER TABLE orders ADD COLUMN note text")
    migration(db, "02.00.00_50_post_clean", "DROP FUNCTION fetch_v1(int)")
    migration(db, "02.00.00_51_post_too_much", "ALTER TABLE orders DROP COLUMN note")
    pre(db)
    with expect_error(BROKEN, message=re.compile('"note" of release 2.0.0 does not pass after post migration "02.00.00_51_post_too_much"')):
        post(db)
    assert applied(db)[-1] == "02.00.00_50_post_clean"
    assert verdicts(db, "1.0.0") == {"fetch": "42883", "get": None}


def test_what_did_not_pass_before_is_told_once_a_run_and_left_out(db):
    released(db)
    query(db, "1.0.0", "never", "SELECT never FROM orders")
    for number in (1, 2):
        migration(db, f"02.00.00_0{number}_pre_step", f"ALTER TABLE orders ADD COLUMN note{number} text")
    db.session.notices.clear()
    pre(db)
    told = [notice for notice in db.session.notices if "contract quer" in notice.message]
    assert [(notice.severity, notice.message) for notice in told] == [("NOTICE", "1 contract query does not pass already and is left out")]
    assert told[0].detail == 'never of release 1.0.0: 42703: column "never" does not exist at character 8'
    assert len(applied(db)) == 3


@pytest.mark.parametrize("contract, call", [("enforce", "migrate_up()"), ("report", "migrate_up(phase => 'pre')")])
def test_it_is_only_reported_without_a_phase_or_where_the_project_says_so(db, contract, call):
    released(db, contract=contract)
    migration(db, "02.00.00_01_pre_drop", "DROP FUNCTION fetch_v1(int)")
    db.session.notices.clear()
    db.execute(f"CALL belay.{call}")
    warnings = [notice for notice in db.session.notices if notice.severity == "WARNING" and "contract query" in notice.message]
    assert [warning.message for warning in warnings] == [
        'contract query "fetch" of release 1.0.0 does not pass after pre migration "02.00.00_01_pre_drop"'
    ]
    assert "fetch_v1" in warnings[0].detail and "contract_query_drop" in warnings[0].hint
    # Everybody reads it: nothing of the query's text.
    assert reported(db) == [("02.00.00_01_pre_drop", ["contract-query, query fetch of release 1.0.0: 42883"])]


def test_nothing_is_looked_at_where_the_contract_is_off_or_a_migration_goes_down(db):
    released(db, contract="off")
    migration(db, "02.00.00_01_pre_drop", "DROP FUNCTION fetch_v1(int);\n-- migrate:down\nDROP TABLE orders CASCADE;\n")
    db.session.notices.clear()
    pre(db)
    db.execute("SELECT belay.project_alter('default', contract => 'enforce')")
    db.execute("CALL belay.migrate_down()")
    assert not [message for message in db.session.messages if "contract quer" in message]


def test_an_enum_value_that_the_pre_adds_counts_as_there_although_it_cannot_be_used_yet(db):
    released(db)
    query(db, "2.0.0", "aborted", "SELECT id FROM orders WHERE status = 'aborted'")
    migration(db, "02.00.00_01_pre_label", "ALTER TYPE status ADD VALUE 'aborted'")
    pre(db)
    assert verdicts(db, "2.0.0") == {"aborted": None}


def test_what_cannot_be_rolled_back_is_reported(db):
    released(db)
    text = "-- belay: transaction off\nCREATE INDEX CONCURRENTLY i ON orders (total);\nDROP FUNCTION fetch_v1(int);"
    db.execute("SELECT belay.project_alter('default', contract => 'report')")
    migration(db, "02.00.00_01_pre_index", text)
    pre(db)
    assert reported(db) == [("02.00.00_01_pre_index", ["contract-query, query fetch of release 1.0.0: 42883"])]


def test_a_migration_cannot_talk_its_way_out(db):
    """What was registered when the run began is asked, under the caller's role and the query's search_path."""
    released(db)
    migration(
        db,
        "02.00.00_01_pre_sly",
        "SELECT belay.contract_query_drop('1.0.0', '@all'); CREATE SCHEMA other; SET search_path = other; "
        "CREATE FUNCTION other.fetch_v1(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; " + OVERLOAD.replace("fetch_v1", "public.fetch_v1"),
    )
    with expect_error(BROKEN, message=re.compile('"fetch" of release 1.0.0')):
        pre(db)


def test_the_queries_leave_the_footprint_alone(db):
    released(db)
    db.execute("CREATE TABLE elsewhere (id int)")
    query(db, "1.0.0", "elsewhere", "SELECT * FROM elsewhere")
    migration(db, "02.00.00_01_pre_note", "ALTER TABLE orders ADD COLUMN note text")
    pre(db)
    assert "elsewhere" not in db.one("SELECT belay.describe_footprint(s) FROM belay.step s ORDER BY id DESC LIMIT 1")


def test_a_lock_that_is_not_to_be_had_is_no_broken_contract(db):
    released(db)
    db.execute("CREATE TABLE elsewhere (id int)")
    query(db, "1.0.0", "elsewhere", "SELECT * FROM elsewhere")
    migration(db, "02.00.00_01_pre_note", "ALTER TABLE orders ADD COLUMN note text")
    blocker = db.connect(autocommit=False)
    blocker.execute("LOCK TABLE elsewhere")
    db.execute("SET belay.lock_timeout = '20ms'; SET belay.lock_retries = 0")
    with expect_error("55P03"):
        pre(db)
    blocker.rollback()
    pre(db)


# ── from pg_stat_statements ──────────────────────────────────────────────────────────────────────────────────────────


def test_without_pg_stat_statements_the_error_says_how_to_have_it(db):
    with expect_error("55000", message="pg_stat_statements is not installed in this database", hint=re.compile("CREATE EXTENSION")):
        db.execute("SELECT * FROM belay.contract_from_statements('1.0.0')")


@pytest.fixture
def statements_db(private_server, new_database):
    server = private_server({"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "all"})
    db = new_database(on=server)
    db.execute(f"CREATE SCHEMA stats; CREATE EXTENSION pg_stat_statements SCHEMA stats; {TABLES}")
    db.execute("SELECT stats.pg_stat_statements_reset()")
    return db


def test_statements_are_taken_as_they_were_seen(statements_db):
    db = statements_db
    client = db.connect()
    client.execute("SELECT id, total FROM orders WHERE id = %s", [1], prepare=True)
    client.execute("INSERT INTO orders (id, total) VALUES (1, 2)")
    client.execute("SELECT interval '1 day'")
    client.execute("SELECT fetch_v1(1)")
    client.execute("CREATE TEMP TABLE mine (id int)")
    client.execute("SELECT id FROM mine")
    client.execute("SELECT belay.migrate_check()")
    found = db.rows("SELECT action, reason FROM belay.contract_from_statements('1.0.0') WHERE NOT reason ~ 'only SELECT' OR reason IS NULL")
    left_out = sorted(reason for action, reason in found if action == "left out")
    assert [reason[:5] for reason in left_out] == ["42601", "42P01"], left_out
    texts = [text for (text,) in db.rows('SELECT sql FROM belay.contract_query ORDER BY sql COLLATE "C"')]
    assert "INSERT INTO orders (id, total) VALUES ($1, $2)" in texts and "SELECT fetch_v1($1)" in texts
    assert "SELECT id, total FROM orders WHERE id = $1" in texts
    assert not [text for text in texts if "belay" in text or "interval" in text]
    assert set(verdicts(db).values()) == {None}
    assert db.one("SELECT bool_and(name ~ '^statement -?[0-9]+$') FROM belay.contract_query") is True
    again = {action for (action,) in db.rows("SELECT action FROM belay.contract_from_statements('1.0.0')")}
    assert "unchanged" in again and "replaced" not in again
    # Looking is not sending: pg_stat_statements does not count what was only judged.
    before = db.one("SELECT calls FROM stats.pg_stat_statements WHERE query = 'SELECT fetch_v1($1)' AND toplevel")
    verdicts(db)
    assert db.one("SELECT calls FROM stats.pg_stat_statements WHERE query = 'SELECT fetch_v1($1)' AND toplevel") == before == 1


def test_a_deployer_takes_the_statements_that_it_may_see(statements_db):
    db = statements_db
    role = db.role("deployer")
    db.execute("SELECT belay.grant_role(%s, 'deployer')", [role])
    db.execute("GRANT USAGE ON SCHEMA stats TO PUBLIC; GRANT SELECT ON orders TO PUBLIC")
    db.connect().execute("SELECT id FROM orders")
    session = db.connect(user=role)
    session.execute("SELECT total FROM orders")
    session.execute("SELECT * FROM belay.contract_from_statements('1.0.0')")
    assert [text for (text,) in db.rows("SELECT sql FROM belay.contract_query WHERE sql ~ 'orders'")] == ["SELECT total FROM orders"]
    assert [notice.hint for notice in session.notices if "not shown" in notice.message] == [f"GRANT pg_read_all_stats TO {role}"]
