"""A project's settings change: what is kept of it, and which change of its ordering is refused."""

import re

import pytest

from harness.session import expect_error
from ledger import applied, load, nothing_changes, numbered

ALTERATIONS = "SELECT arguments, role::text, outcome FROM belay.run WHERE verb = 'alter' ORDER BY id"

#: The function, and what a superuser may write instead.
WAYS = {
    "project_alter": "SELECT belay.project_alter('default', ordering => '{}')",
    "a plain UPDATE": "UPDATE belay.project SET ordering = '{}' WHERE name = 'default'",
}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def way(request):
    return request.param


def names(*numbers: int) -> list[str]:
    return [f"migration{n}" for n in numbers]


def late(db, *numbers: int, ordering: str = "permissive") -> None:
    """migration1 and migration9 applied, the others late."""
    db.execute("SELECT belay.project_create('default', ordering => %s)", [ordering])
    load(db, numbered(1, 9))
    db.execute("CALL belay.migrate_up()")
    load(db, numbered(1, *numbers, 9))


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_another_ordering_is_kept_with_role_and_time(db, way):
    db.execute("SELECT belay.project_create('default')")
    db.execute(way.format("disjoint"))
    assert db.rows(ALTERATIONS) == [({"ordering": ["strict", "disjoint"]}, "postgres", "succeeded")]
    query = "SELECT now() - started_at < '1 min', finished_at >= started_at, ordering, session_role, applied FROM belay.run"
    assert db.rows(query) == [(True, True, "disjoint", "postgres", 0)]


def test_the_role_is_the_one_that_altered_and_not_the_ledgers_owner(db):
    role = db.role("owner")
    db.execute("SELECT belay.grant_role(%s, 'owner')", [role])
    db.execute("SELECT belay.project_create('default', owner => %s)", [role])
    with db.connect(user=role) as session:
        session.execute("SELECT belay.project_alter('default', allow_down => false)")
    assert db.rows(ALTERATIONS) == [({"allow_down": [True, False]}, role, "succeeded")]


def test_every_setting_that_changes_is_kept_and_no_other(db):
    db.execute("SELECT belay.project_create('default', search_path => 'app')")
    other = db.role("other", "NOLOGIN")
    db.execute(
        "SELECT belay.project_alter('default', ordering => 'strict', naming => 'release', allow_down => false, search_path => '',"
        " trusted => ARRAY[%s], owner => %s)",
        [other, other],
    )
    assert db.rows(ALTERATIONS) == [
        (
            {
                "naming": [None, "release"], "naming_declared": [False, True], "allow_down": [True, False],
                "search_path": ["app", None], "trusted": [[], [other]], "owner": ["postgres", other],
            },
            "postgres",
            "succeeded",
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    "nothing",
    [
        "SELECT belay.project_alter('default')",
        "SELECT belay.project_alter('default', ordering => 'strict', allow_down => true)",
        "UPDATE belay.project SET ordering = 'strict'",
    ],
)
def test_what_changes_nothing_is_not_kept(db, nothing):
    db.execute("SELECT belay.project_create('default')")
    db.execute(nothing)
    assert db.rows(ALTERATIONS) == []


def test_the_naming_that_a_registration_finds_is_not_kept(db):
    load(db, numbered(1))
    assert db.one("SELECT naming FROM belay.project") == "natural"
    assert db.rows(ALTERATIONS) == []


def test_each_project_of_an_update_is_judged_and_kept_by_itself(db):
    late(db, 2)
    db.execute("SELECT belay.project_create('other', ordering => 'permissive')")
    with nothing_changes(db), expect_error("MG001", message=re.compile('^project "default" cannot become strict')):
        db.execute("UPDATE belay.project SET ordering = 'strict'")
    db.execute("UPDATE belay.project SET ordering = 'disjoint'")
    assert [change for change, *_ in db.rows(ALTERATIONS)] == [{"ordering": ["permissive", "disjoint"]}] * 2


@pytest.mark.parametrize("mode", ["origin", "replica"])
def test_no_session_setting_keeps_a_change_out_of_the_history(db, way, mode):
    db.execute("SELECT belay.project_create('default')")
    with db.connect() as session:
        session.execute(f"SET session_replication_role = {mode}")
        session.execute(way.format("permissive"))
    assert len(db.rows(ALTERATIONS)) == 1


def test_a_change_that_is_rolled_back_leaves_nothing(db, way):
    db.execute("SELECT belay.project_create('default')")
    with nothing_changes(db), db.connect(autocommit=False) as session:
        session.execute(way.format("permissive"))
        session.rollback()


def test_a_change_inside_a_transaction_holds_for_the_run_that_follows_in_it(db):
    late(db, 2, ordering="strict")
    with db.connect(autocommit=False) as session:
        session.execute("SELECT belay.project_alter('default', ordering => 'permissive')")
        session.execute("CALL belay.migrate_up()")
        session.execute("SELECT belay.project_alter('default', ordering => 'strict')")
        session.commit()
    assert applied(db) == names(1, 9, 2)
    assert [change for change, *_ in db.rows(ALTERATIONS)] == [
        {"ordering": ["strict", "permissive"]},
        {"ordering": ["permissive", "strict"]},
    ]


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_strict_is_refused_with_the_list_while_something_is_late(db, way):
    late(db, 2, 3)
    with (
        nothing_changes(db),
        expect_error(
            "MG001",
            message='project "default" cannot become strict: 2 pending migrations sort before "migration9", which is applied',
            detail="migration2\nmigration3",
            hint=(
                "apply what is pending first: CALL belay.migrate_up(); "
                "or rename it: SELECT belay.migrate_rename('migration2', 'migration10'); "
                "or after review let it run late: SELECT belay.migrate_accept_late('migration2', after => 'migration9', reason => '...')"
            ),
        ) as error,
    ):
        db.execute(way.format("strict"))
    assert error.context is None, "the error is not one of a statement of Belay's own"


@pytest.mark.parametrize("out", ["run", "rename", "accept"])
def test_strict_is_taken_when_nothing_is_late_any_more(db, way, out):
    late(db, 2, 3)
    db.execute("SELECT belay.migrate_rename('migration3', 'migration10')")
    db.execute(
        {
            "run": "CALL belay.migrate_up()",
            "rename": "SELECT belay.migrate_rename('migration2', 'migration11')",
            "accept": "SELECT belay.migrate_accept_late('migration2', after => 'migration9', reason => 'reviewed')",
        }[out]
    )
    db.execute(way.format("strict"))
    db.execute("CALL belay.migrate_up()")
    assert db.one("SELECT count(*) FROM belay.pending") == 0


def test_of_many_late_migrations_the_first_twenty_are_listed(db):
    late(db, *range(20, 45))
    db.execute("SELECT belay.migrate_rename('migration9', 'migration99')")
    with nothing_changes(db), expect_error("MG001", message=re.compile("25 pending migrations sort before")) as error:
        db.execute("SELECT belay.project_alter('default', ordering => 'strict')")
    assert error.detail.splitlines() == names(*range(20, 40)) + ["and 5 more"]


@pytest.mark.parametrize("to", ["disjoint", "permissive"])
def test_a_looser_ordering_is_taken_whatever_is_late(db, way, to):
    late(db, 2, ordering="strict")
    db.execute(way.format(to))
    assert db.one("SELECT ordering FROM belay.project") == to


def test_what_was_applied_out_of_order_does_not_keep_a_project_from_becoming_strict(db, way):
    late(db, 2)
    db.execute("CALL belay.migrate_up()")
    db.execute(way.format("strict"))
    load(db, numbered(1, 2, 9, 10))
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == names(1, 9, 2, 10)


def test_another_ordering_is_refused_while_a_run_is_going_on(db, way):
    load(db, {"migration1.sql": "SELECT pg_advisory_xact_lock(4711)"})
    with db.connect() as holder:
        holder.execute("SELECT pg_advisory_lock(4711)")
        run = db.start("CALL belay.migrate_up()")
        db.wait_until_blocked(run.pid)
        with expect_error("55P03", message='project "default" is being migrated by another session', detail=re.compile("run 1")):
            db.execute(way.format("permissive"))
        # Anything else may change meanwhile, and does not end the run.
        db.execute("SELECT belay.project_alter('default', allow_down => false)")
        assert db.rows("SELECT verb, outcome FROM belay.run ORDER BY id") == [("up", None), ("alter", "succeeded")]
        holder.execute("SELECT pg_advisory_unlock(4711)")
        run.finish()
    assert db.rows("SELECT verb, outcome FROM belay.run ORDER BY id") == [("up", "succeeded"), ("alter", "succeeded")]


def test_a_migration_cannot_change_the_ordering_of_its_project(db, way):
    load(db, {"migration1.sql": way.format("permissive")})
    with expect_error("MG012", message=re.compile("^a migration cannot change the ordering of its project")):
        db.execute("CALL belay.migrate_up()")
    assert db.one("SELECT ordering FROM belay.project") == "strict"


def test_an_old_snapshot_does_not_hide_a_late_migration(db, way):
    late(db)
    with db.connect(autocommit=False) as session:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        session.one("SELECT count(*) FROM belay.applied")
        load(db, numbered(1, 9, 10))
        db.execute("CALL belay.migrate_up()")
        with expect_error("40001", message=re.compile("after this transaction's snapshot was taken")):
            session.execute(way.format("strict"))


# ── the policies of a call ───────────────────────────────────────────────────────────────────────────────────────────

POLICIES = ["strict", "disjoint", "permissive"]


@pytest.mark.parametrize("of_call", POLICIES)
@pytest.mark.parametrize("of_project", POLICIES)
def test_a_call_may_tighten_and_needs_a_reason_to_loosen(db, of_project, of_call):
    db.execute("SELECT belay.project_create('default', ordering => %s)", [of_project])
    load(db, numbered(1))
    call = f"CALL belay.migrate_up(ordering => '{of_call}'{{}})"
    if POLICIES.index(of_call) > POLICIES.index(of_project):
        with (
            nothing_changes(db),
            expect_error("22023", message=f"ordering => '{of_call}' is looser than the project's and needs a reason"),
        ):
            db.execute(call.format(""))
    reason = ", reason => 'agreed'" if POLICIES.index(of_call) > POLICIES.index(of_project) else ""
    db.execute(call.format(reason))
    assert db.rows("SELECT ordering FROM belay.run") == [(of_call,)]
