"""Which migrations may run, in which order, and who may say otherwise.

Tests named `test_ky_…` are the rows of behaviours/ordering.md, Kysely's own cases told in SQL: a provider's list is a
load, `migrateToLatest` is `migrate_up()`, `migrateTo(NO_MIGRATIONS)` is `migrate_to('@none')`. Rows that have no
meaning in SQL:

* KY-14: a sentinel object of another library; here it is the word '@none' (KY-13), which cannot be forged.
* KY-16, KY-18, KY-28, KY-32, KY-35 to KY-39, KY-43, KY-45: the list has no such rows.
* KY-29: a dialect without transactional DDL; PostgreSQL has it.
* KY-44 is KY-13 with an argument `direction`; there is none, the target says which way.
* KY-55 to KY-57: a call overrides what the migrator's instance was given, and a legacy flag. There is no instance; the
  call's own `transaction` is KY-52, what a file says against its set is KY-24 and KY-26.
* KY-61, KY-62: a migration's own setting against the modes 'none' and legacy, which do not exist as modes of a run.
"""

import re

import pytest

from harness.session import expect_error
from ledger import applied, history, load, nothing_changes, numbered, registered, tables

#: Each statement of a migration notes the transaction that it runs in.
NOTE = "INSERT INTO noted VALUES ('{name}', {part}, pg_current_xact_id());\n"


def noting(name: str, head: str = "", down_head: str = "") -> str:
    """A file whose up and down note their transactions, twice each."""
    return (
        f"{head}{NOTE.format(name=name, part=1)}{NOTE.format(name=name, part=2)}-- migrate:down\n"
        f"{down_head}{NOTE.format(name=name, part=-1)}{NOTE.format(name=name, part=-2)}"
    )


@pytest.fixture
def noted(db):
    """The database with the table that `noting` migrations write to."""
    db.execute("CREATE TABLE noted (name text, part int, xid xid8)")
    return db


def transactions(db, name: str, direction: str = "up") -> int:
    """In how many transactions the two statements of a `noting` migration ran."""
    sign = 1 if direction == "up" else -1
    query = "SELECT count(*), count(DISTINCT xid) FROM noted WHERE name = %s AND sign(part) = %s"
    statements, used = db.rows(query, [name, sign])[0]
    assert statements == 2, f"{name} {direction} ran {statements} statements"
    return used


def permissive(db):
    db.execute("SELECT belay.project_create('default', ordering => 'permissive')")


def apply(db, *numbers: int):
    load(db, numbered(*numbers))
    db.execute("CALL belay.migrate_up()")


def ups(*numbers: int):
    return [(f"migration{n}", "up", "applied") for n in numbers]


def downs(*numbers: int):
    return [(f"migration{n}", "down", "reverted") for n in numbers]


def names(*numbers: int):
    return [f"migration{n}" for n in numbers]


LATE = re.escape('migration "migration2" sorts before "migration3", which is applied already')
LATE_HINT = (
    "rename it so that it sorts after \"migration3\": SELECT belay.migrate_rename('migration2', 'migration4'); "
    "or after review let it run late: SELECT belay.migrate_accept_late('migration2', after => 'migration3', reason => '...'); "
    "or loosen the policy for this call: CALL belay.migrate_up(ordering => 'permissive', reason => '...')"
)


# ── KY-1 to KY-13: what is pending, what is late, what is missing ────────────────────────────────────────────────────


def test_ky_01_status_says_what_is_applied_and_when(db):
    load(db, numbered(1, 2, 3))
    query = "SELECT name, state, applied_at IS NOT NULL FROM belay.migrate_status()"
    assert db.rows(query) == [(name, "pending", False) for name in names(1, 2, 3)]
    db.execute("CALL belay.migrate_to('migration2')")
    assert db.rows(query) == [
        ("migration1", "applied", True),
        ("migration2", "applied", True),
        ("migration3", "pending", False),
    ]


def test_ky_02_what_was_added_since_is_applied(db):
    apply(db, 1, 2)
    assert history(db) == ups(1, 2)
    apply(db, 1, 2, 3, 4)
    assert history(db) == ups(1, 2, 3, 4)
    assert tables(db) == ["t1", "t2", "t3", "t4"]


def test_ky_03_strict_refuses_a_late_arrival_and_runs_nothing(db):
    apply(db, 1, 3)
    assert load(db, numbered(1, 2, 3)) == [("migration2", "added")]
    with nothing_changes(db), expect_error("MG001", message=re.compile(LATE), hint=LATE_HINT):
        db.execute("CALL belay.migrate_up()")


def test_ky_04_permissive_runs_a_late_arrival(db):
    permissive(db)
    apply(db, 1, 3)
    apply(db, 1, 2, 3, 4)
    assert history(db) == ups(1, 3, 2, 4)


def refused_as_missing(db, ordering: str, second: tuple[int, ...], missing: str) -> None:
    """After [1, 2, 3] the second set is refused and leaves nothing behind, its new migration included."""
    db.execute("SELECT belay.project_create('default', ordering => %s)", [ordering])
    apply(db, 1, 2, 3)
    with (
        nothing_changes(db),
        expect_error(
            "MG002",
            message=f'migration "{missing}" is applied and missing from the set',
            hint=re.compile("another service's files\\? pass project => .* on_missing => 'allow' .* 'revert'"),
            detail=missing,
        ),
    ):
        load(db, numbered(*second))


def test_ky_05_strict_the_first_applied_one_must_be_in_the_set(db):
    refused_as_missing(db, "strict", (2, 3, 4), "migration1")


def test_ky_06_strict_the_last_applied_one_must_be_in_a_set_that_goes_on(db):
    refused_as_missing(db, "strict", (1, 2, 4), "migration3")


def test_ky_07_permissive_the_first_applied_one_must_be_in_the_set(db):
    refused_as_missing(db, "permissive", (2, 3, 4), "migration1")


def test_ky_08_permissive_the_last_applied_one_must_be_in_a_set_that_goes_on(db):
    refused_as_missing(db, "permissive", (1, 2, 4), "migration3")


def test_ky_09_a_failure_keeps_what_came_before_and_leaves_what_follows(db):
    files = numbered(1, 2, 3)
    files["migration2.sql"] = "DO $$ BEGIN RAISE EXCEPTION 'whoopsydaisy'; END $$;"
    load(db, files)
    with expect_error("P0001", message="whoopsydaisy"):
        db.execute("CALL belay.migrate_up()")
    assert history(db) == [("migration1", "up", "applied"), ("migration2", "up", "failed")]
    assert applied(db) == names(1)
    assert tables(db) == ["t1"]
    states = "SELECT name, state FROM belay.migrate_status()"
    assert db.rows(states) == [("migration1", "applied"), ("migration2", "pending"), ("migration3", "pending")]


def test_ky_10_concurrent_runs_apply_each_migration_once(noted):
    load(noted, {f"migration{n}.sql": noting(f"m{n}") for n in (1, 2)})
    running = [noted.start("CALL belay.migrate_up()") for _ in range(40)]
    for one in running:
        one.finish(bound=120)
    assert noted.rows("SELECT name, count(*) FROM noted GROUP BY name ORDER BY name") == [("m1", 2), ("m2", 2)]
    assert history(noted) == ups(1, 2)


def test_ky_11_a_folder_of_files_is_applied(db, server_folder):
    for number in (1, 2):
        (server_folder / f"migration{number}.sql").write_text(f"CREATE TABLE test{number} ();")
    query = "SELECT name, action FROM belay.migrate_load(%s)"
    assert db.rows(query, [str(server_folder)]) == [("migration1", "added"), ("migration2", "added")]
    db.execute("CALL belay.migrate_up()")
    assert tables(db) == ["test1", "test2"]


def test_ky_12_sg_18_a_target_above_applies_up_to_it(db):
    load(db, numbered(1, 2, 3, 4))
    db.execute("CALL belay.migrate_to('migration2')")
    assert history(db) == ups(1, 2)
    db.execute("CALL belay.migrate_to('migration3')")
    assert history(db) == ups(1, 2, 3)
    assert tables(db) == ["t1", "t2", "t3"]


def test_ky_13_none_reverts_everything_newest_first(db):
    apply(db, 1, 2, 3)
    db.execute("CALL belay.migrate_to('@none')")
    assert history(db) == ups(1, 2, 3) + downs(3, 2, 1)
    assert (applied(db), tables(db)) == ([], [])


# ── KY-15 to KY-34: down, steps, execution order, transactions ───────────────────────────────────────────────────────


def test_ky_15_sg_18_a_target_below_reverts_down_to_it(db):
    load(db, numbered(1, 2, 3, 4))
    db.execute("CALL belay.migrate_to('migration4')")
    db.execute("CALL belay.migrate_to('migration2')")
    assert history(db) == ups(1, 2, 3, 4) + downs(4, 3)
    assert applied(db) == names(1, 2)


def test_ky_17_none_reverts_what_is_applied_and_leaves_what_is_pending(db):
    permissive(db)
    apply(db, 1, 2, 4)
    load(db, numbered(1, 2, 3, 4))
    db.execute("CALL belay.migrate_to('@none')")
    assert history(db) == ups(1, 2, 4) + downs(4, 2, 1)


def test_ky_19_down_follows_the_order_of_execution_not_of_names(db):
    permissive(db)
    apply(db, 1, 3)
    apply(db, 1, 2, 3)
    db.execute("CALL belay.migrate_down()")
    assert history(db) == ups(1, 3, 2) + downs(2)
    assert applied(db) == names(1, 3)


def test_ky_20_one_step_up_at_a_time_ends_with_nothing_to_do(db):
    load(db, numbered(1, 2))
    for expected in (ups(1), ups(1, 2), ups(1, 2)):
        db.execute("CALL belay.migrate_up(steps => 1)")
        assert history(db) == expected
    assert db.session.messages[-1] == "nothing to do, 0 pending"


def test_ky_21_strict_refuses_a_late_arrival_also_for_one_step(db):
    apply(db, 1, 3)
    load(db, numbered(1, 2, 3, 4))
    with nothing_changes(db), expect_error("MG001", message=re.compile(LATE), hint=LATE_HINT.replace("migration4", "migration5")):
        db.execute("CALL belay.migrate_up(steps => 1)")


def test_ky_22_permissive_steps_take_the_late_arrival_first(db):
    permissive(db)
    apply(db, 1, 3)
    load(db, numbered(1, 2, 3, 4))
    for expected in (ups(1, 3, 2), ups(1, 3, 2, 4)):
        db.execute("CALL belay.migrate_up(steps => 1)")
        assert history(db) == expected


def transactions_of(noted, metadata: str, directive: str) -> int:
    """A set may say how it runs (diesel's metadata.toml), and so may the file itself."""
    up = directive + NOTE.format(name="m", part=1) + NOTE.format(name="m", part=2)
    load(noted, {"m/up.sql": up, "m/metadata.toml": metadata})
    noted.execute("CALL belay.migrate_up()")
    return transactions(noted, "m")


def test_ky_23_transactions_switched_off_around_the_file(noted):
    assert transactions_of(noted, "run_in_transaction = false", "") == 2


def test_ky_24_the_file_switches_off_what_is_on_around_it(noted):
    assert transactions_of(noted, "run_in_transaction = true", "-- belay: transaction off\n") == 2


def test_ky_25_transactions_switched_on_around_the_file(noted):
    assert transactions_of(noted, "run_in_transaction = true", "") == 1


def test_ky_26_the_file_switches_on_what_is_off_around_it(noted):
    assert transactions_of(noted, "run_in_transaction = false", "-- belay: transaction on\n") == 1


@pytest.mark.parametrize(("end", "expected"), [("COMMIT", names(1)), ("ROLLBACK", [])])
def test_ky_27_the_callers_transaction_is_neither_committed_nor_rolled_back(db, end, expected):
    load(db, numbered(1, 2))
    with db.connect(autocommit=False) as session:
        session.execute("CREATE TABLE own ()")
        session.execute("CALL belay.migrate_up(steps => 1)")
        assert session.one("SELECT count(*) FROM belay.applied") == 1
        assert applied(db) == [], "another session sees what is not committed"
        assert any("nothing is permanent until COMMIT" in message for message in session.messages), session.messages
        session.execute(end)
    assert applied(db) == expected
    assert tables(db) == (["own", "t1"] if expected else [])


def test_ky_30_sg_19_steps_down_end_with_nothing_to_do(db):
    load(db, numbered(1, 2, 3, 4))
    db.execute("CALL belay.migrate_up(steps => 1)")
    db.execute("CALL belay.migrate_up(steps => 1)")
    for expected in (downs(2), downs(2, 1), downs(2, 1)):
        db.execute("CALL belay.migrate_down()")
        assert history(db) == ups(1, 2) + expected
    assert db.session.messages[-1] == "nothing to do, 4 pending"


def test_ky_31_strict_refuses_to_revert_what_is_out_of_order(db):
    apply(db, 1, 3)
    load(db, numbered(1, 2, 3))
    with (
        nothing_changes(db),
        expect_error(
            "MG001",
            message='migration "migration2" is pending and sorts before "migration3", which is applied already',
            hint=LATE_HINT.replace("migrate_up", "migrate_down"),
        ),
    ):
        db.execute("CALL belay.migrate_down()")


def test_ky_33_one_comparator_orders_names_that_were_applied_at_the_same_time(db):
    order = ["2024-01-01-create-table", "2024-01-01.2-update-table"]
    load(db, {f"{name}.sql": "SELECT 1" for name in reversed(order)})
    with db.connect(autocommit=False) as session:
        session.execute("CALL belay.migrate_up()")
        session.commit()
    assert (registered(db), applied(db)) == (order, order)
    with nothing_changes(db):
        db.execute("CALL belay.migrate_up()")


def test_ky_34_concurrent_runs_in_a_project_of_its_own(noted):
    noted.execute("SELECT belay.project_create('custom')")
    load(noted, {f"migration{n}.sql": noting(f"m{n}") for n in (1, 2, 3)}, project="custom")
    call = "CALL belay.migrate_to('migration2', on_contention => 'wait', project => 'custom')"
    for one in [noted.start(call) for _ in range(20)]:
        one.finish(bound=120)
    assert history(noted, "custom") == ups(1, 2)
    assert noted.rows("SELECT name, count(*) FROM noted GROUP BY name ORDER BY name") == [("m1", 2), ("m2", 2)]
    assert noted.rows("SELECT name FROM belay.project") == [("custom",)]


# ── KY-40 to KY-64: targets and transactions of branch `next` ────────────────────────────────────────────────────────


def test_ky_40_up_to_a_pending_target(db):
    load(db, numbered(1, 2, 3))
    db.execute("CALL belay.migrate_up(target => 'migration2')")
    assert history(db) == ups(1, 2)


def test_ky_41_up_to_an_applied_target_does_nothing_and_says_so(db):
    """Kysely raises; here it is a notice, so that a deployment may be repeated. It never goes down."""
    apply(db, 1, 2, 3)
    with nothing_changes(db):
        db.execute("CALL belay.migrate_up(target => 'migration2')")
    assert db.session.messages[-1] == "migration2 is applied already: nothing to do"


def test_ky_42_to_an_applied_target_goes_down(db):
    apply(db, 1, 2, 3)
    db.execute("CALL belay.migrate_to('migration1')")
    assert history(db) == ups(1, 2, 3) + downs(3, 2)


def test_ky_46_three_migrations_are_three_transactions(noted):
    load(noted, {f"migration{n}.sql": noting(f"m{n}") for n in (1, 2, 3)})
    noted.execute("CALL belay.migrate_up()")
    assert [transactions(noted, f"m{n}") for n in (1, 2, 3)] == [1, 1, 1]
    assert noted.one("SELECT count(DISTINCT xid) FROM noted") == 3


def test_ky_47_per_migration_keeps_what_came_before_a_failure(db):
    load(db, numbered(1, 2) | {"migration3.sql": "SELECT 1/0"})
    with expect_error("22012", message="division by zero"):
        db.execute("CALL belay.migrate_up(transaction => 'per_migration')")
    assert (applied(db), tables(db)) == (names(1, 2), ["t1", "t2"])


def test_ky_48_a_migration_without_transaction_stands_between_two_with_one(noted):
    files = {f"migration{n}.sql": noting(f"m{n}") for n in (1, 3)}
    load(noted, files | {"migration2.sql": noting("m2", head="-- belay: transaction off\n")})
    noted.execute("CALL belay.migrate_up()")
    assert [transactions(noted, f"m{n}") for n in (1, 2, 3)] == [1, 2, 1]


def test_ky_49_a_down_says_by_itself_that_it_runs_without_transaction(noted):
    load(noted, {"m.sql": noting("m", down_head="-- belay: transaction off\n")})
    noted.execute("CALL belay.migrate_up()")
    noted.execute("CALL belay.migrate_down()")
    assert (transactions(noted, "m"), transactions(noted, "m", "down")) == (1, 2)


def test_ky_50_per_migration_is_refused_inside_the_callers_transaction(db):
    load(db, numbered(1, 2))
    with db.connect(autocommit=False) as session, nothing_changes(db):
        with expect_error(
            "25001",
            message="transaction => 'per_migration' cannot commit inside the caller's transaction",
            hint=re.compile("autocommit"),
        ):
            session.execute("CALL belay.migrate_up(transaction => 'per_migration')")


def test_ky_51_a_migration_may_say_that_it_runs_in_a_transaction(noted):
    load(noted, {"m.sql": noting("m", "-- belay: transaction on\n", "-- belay: transaction on\n")})
    noted.execute("CALL belay.migrate_up()")
    noted.execute("CALL belay.migrate_down()")
    assert (transactions(noted, "m"), transactions(noted, "m", "down")) == (1, 1)


def test_ky_52_per_run_is_one_transaction(noted):
    load(noted, {f"migration{n}.sql": noting(f"m{n}") for n in (1, 2, 3)})
    noted.execute("CALL belay.migrate_up(transaction => 'per_run')")
    assert noted.one("SELECT count(DISTINCT xid) FROM noted") == 1
    assert history(noted) == ups(1, 2, 3)


def test_ky_53_per_run_takes_back_what_came_before_a_failure_and_the_history_says_so(db):
    load(db, numbered(1) | {"migration2.sql": "SELECT 1/0"} | numbered(3))
    with expect_error("22012", message="division by zero"):
        db.execute("CALL belay.migrate_up(transaction => 'per_run')")
    assert (applied(db), tables(db)) == ([], [])
    assert history(db) == [("migration1", "up", "rolled back"), ("migration2", "up", "failed")]
    assert db.one("SELECT applied_at FROM belay.migrate_status() WHERE name = 'migration1'") is None


def test_ky_54_per_run_refuses_a_migration_without_transaction_before_anything_runs(db):
    load(db, numbered(1) | {"migration2.sql": "-- belay: transaction off\nSELECT 1"})
    with (
        nothing_changes(db),
        expect_error(
            "25001",
            message="migration \"migration2\" cannot run with transaction => 'per_run'",
            hint=re.compile("leave transaction out"),
        ),
    ):
        db.execute("CALL belay.migrate_up(transaction => 'per_run')")


def test_ky_58_the_down_of_a_migration_without_transaction_needs_no_mode(noted):
    """Kysely refuses, since its default is per run; Belay's default takes each migration as it asks."""
    load(noted, {"m.sql": noting("m", "-- belay: transaction off\n", "-- belay: transaction off\n")})
    noted.execute("CALL belay.migrate_up()")
    noted.execute("CALL belay.migrate_down()")
    assert history(noted) == [("m", "up", "applied"), ("m", "down", "reverted")]


def test_ky_59_the_callers_transaction_refuses_a_migration_without_one(db):
    load(db, {"m.sql": "-- belay: transaction off\nCREATE TABLE t ()"})
    with db.connect(autocommit=False) as session, nothing_changes(db):
        with expect_error(
            "25001",
            message='migration "m" cannot run inside the caller\'s transaction',
            hint=re.compile("autocommit"),
        ):
            session.execute("CALL belay.migrate_up()")


def test_ky_60_migrations_that_all_refuse_a_transaction_run_without_one(noted):
    load(noted, {f"m{n}.sql": noting(f"m{n}", head="-- belay: transaction off\n") for n in (1, 2)})
    noted.execute("CALL belay.migrate_up()")
    assert noted.one("SELECT count(DISTINCT xid) FROM noted") == 4


def test_ky_63_a_migration_says_how_it_runs_whatever_the_default_is(noted):
    """Kysely refuses it in its default mode, since that is per run."""
    load(noted, {"m.sql": noting("m", head="-- belay: transaction on\n")})
    noted.execute("CALL belay.migrate_up()")
    assert transactions(noted, "m") == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"m.sql": "-- no-transaction\n-- belay: transaction on\nSELECT 1"},
            'file "m.sql", line 2: directive "transaction" contradicts "-- no-transaction"',
        ),
        (
            {"m.sql": "-- migrate:up transaction:false\n-- belay: transaction on\nSELECT 1"},
            'file "m.sql", line 2: directive "transaction" contradicts "transaction:false"',
        ),
    ],
)
def test_ky_64_contradictory_options_name_both(db, files, message):
    with nothing_changes(db), expect_error("MG009", message=message, hint="keep the one that is meant"):
        load(db, files)


def test_ky_64_an_unknown_mode_of_transaction_is_refused(db):
    load(db, numbered(1))
    with (
        nothing_changes(db),
        expect_error(
            "22023",
            message="transaction => 'none' is not known",
            hint="use 'per_migration' or 'per_run'",
        ),
    ):
        db.execute("CALL belay.migrate_up(transaction => 'none')")
