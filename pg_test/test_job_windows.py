"""Release windows of jobs: which may start under the announced release, what stands in the way of an upgrade, what the lists say;
and jobs that come and go with the files of a load.

The ids are those of behaviours/async-jobs.md.
"""

from __future__ import annotations

import json
import re

import pytest

from harness.database import Database
from harness.jobs import ENDS, deployer, make_gate, open_gate, start, state
from harness.session import Session, expect_error
from harness.waiting import poll_until
from ledger import applied


def register(session: Session, name: str, *operations: str, **more: object) -> None:
    """Operations are SQL; without one the job makes a table of its name."""
    texts = operations or (f"CREATE TABLE {name} ()",)
    made = json.dumps([{"sql": text, "rollback": f"DROP TABLE IF EXISTS {name}"} for text in texts])
    given = "".join(f", {key} => %({key})s" for key in more)
    session.execute(f"SELECT belay.job_register(%(name)s, %(operations)s{given})", {"name": name, "operations": made, **more})


def announce(session: Session, release: str) -> None:
    session.execute("SELECT belay.release_announce(%s)", [release])


def wait_for_state(db: Database, name: str, wanted: str, bound: float = 60) -> None:
    """The job has come to this state. An end has to be the first one that it comes to, and its worker has gone."""

    def reached() -> bool:
        found, worker = db.rows("SELECT state, worker FROM belay.job_status() WHERE name = %s", [name])[0]
        if found in ENDS and worker is None and found != wanted:
            raise AssertionError(f"{name} is {found}: {db.rows('SELECT sqlstate, message, detail FROM belay.job_errors')}")
        return found == wanted and (worker is None or wanted not in ENDS)

    poll_until(reached, bound, f"job {name} is {wanted}")


def complete(db: Database, session: Session, name: str) -> None:
    start(session, name)
    wait_for_state(db, name, "completed")


def errors(db: Database, name: str) -> list[tuple]:
    return db.rows("SELECT sqlstate, message FROM belay.job_errors WHERE job = %s", [name])


# ── windows ──────────────────────────────────────────────────────────────────────────────────────────────────────────

#: min_release, max_release, the announced release, what it is.
WINDOWS = [
    ("3.0.0", "3.1.0", "2.9.9", "future"),
    ("3.0.0", "3.1.0", "3.0.0", "open"),
    ("3.0.0", "3.1.0", "3.0.7", "open"),
    ("3.0.0", "3.1.0", "3.1.0", "open"),
    ("3.0.0", "3.1.0", "3.1.1", "missed"),
    ("3.0.0", "3.0.0", "3.0.0", "open"),
    # A pre-release comes before its release.
    ("3.2.0", None, "3.2.0-rc.1", "future"),
    (None, "3.2.0", "3.2.0-rc.1", "open"),
    ("3.1.0", "3.2.0", "3.2.0-rc.1", "open"),
    (None, "3.1.9", "3.2.0-rc.1", "missed"),
    (None, "3.2.0-rc.1", "3.2.0", "missed"),
    ("3.2.0-rc.1", "3.2.0-rc.2", "3.2.0-rc.1", "open"),
    # Numbers count by their value, and less than words; more parts count more.
    ("3.2.0-rc.2", None, "3.2.0-rc.10", "open"),
    ("3.2.0-alpha.beta", None, "3.2.0-alpha.1", "future"),
    ("3.2.0-alpha.1", None, "3.2.0-alpha", "future"),
    ("3.9.0", "3.10.0", "3.10.0", "open"),
    ("03.00.00", "3.1.0", "3.0.0", "open"),
    # Without bounds every release will do, without a release no bound is met.
    (None, None, "9.9.9", "open"),
    (None, None, None, "open"),
    ("3.0.0", None, None, "future"),
    (None, "3.0.0", None, "future"),
]


@pytest.mark.parametrize(("min_release", "max_release", "release", "stands"), WINDOWS)
def test_ph_36_both_bounds_are_inclusive_and_by_precedence(db, min_release, max_release, release, stands):
    assert db.one("SELECT belay.release_window(%s, %s, %s)", [min_release, max_release, release]) == stands


@pytest.mark.parametrize("bounds", [("3.0", None, "3.0.0"), (None, "v3.0", "3.0.0"), ("3.0.0", None, "x"), ("3.0.0", None, "")])
def test_what_is_no_release_is_refused(db, bounds):
    with expect_error("22023"):
        db.execute("SELECT belay.release_window(%s, %s, %s)", bounds)


@pytest.mark.parametrize(
    ("min_release", "max_release", "release", "may_start"),
    [
        ("3.0.0", "3.1.0", "2.9.9", False),
        ("3.0.0", "3.1.0", "3.0.0-rc.1", False),
        ("3.0.0", "3.1.0", "3.0.0", True),
        ("3.0.0", "3.1.0", "3.1.0", True),
        ("3.0.0", "3.1.0", "3.1.1", False),
        ("3.1.0", "3.2.0", "3.2.0-rc.1", True),
        ("3.0.0", None, None, False),
        (None, "3.1.0", None, False),
        (None, None, None, True),
    ],
)
def test_ph_36_a_job_starts_only_within_its_window(db, min_release, max_release, release, may_start):
    app = deployer(db)
    register(app, "fill", min_release=min_release, max_release=max_release)
    if release:
        announce(app, release)
    if may_start:
        complete(db, app, "fill")
        assert db.one("SELECT to_regclass('public.fill') IS NOT NULL")
        return
    with expect_error("MG020", message=re.compile("fill")) as error:
        start(app, "fill")
    assert error.hint
    assert state(db, "fill") == "not_started" and errors(db, "fill") == []
    assert app.one("SELECT belay.job_tick()") == 0


def test_a_window_that_closes_before_the_worker_looks_fails_the_start(db):
    app = deployer(db)
    register(app, "fill", max_release="3.1.0")
    announce(app, "3.1.0")
    with app.transaction():
        start(app, "fill")
        announce(app, "3.2.0")
    wait_for_state(db, "fill", "failed_at_startup")
    ((sqlstate, message),) = errors(db, "fill")
    assert sqlstate == "MG020" and "3.1.0" in message
    assert db.one("SELECT to_regclass('public.fill') IS NULL")
    # Announced again, it is open again.
    announce(app, "3.1.0")
    complete(db, app, "fill")


def test_an_operation_that_is_running_when_its_window_closes_is_left_alone(db):
    app = deployer(db)
    make_gate(app)
    register(app, "fill", "SELECT pass()", "CREATE TABLE fill ()", max_release="3.1.0")
    announce(app, "3.1.0")
    start(app, "fill")
    wait_for_state(db, "fill", "running")
    announce(app, "3.2.0")
    open_gate(db)
    wait_for_state(db, "fill", "completed")


@pytest.mark.parametrize("bounds", [{"min_release": "3.1.0", "max_release": "3.0.0"}, {"min_release": "3"}, {"max_release": "x"}])
def test_bounds_that_no_release_can_meet_are_refused_at_registration(db, bounds):
    app = deployer(db)
    with expect_error("22023") as error:
        register(app, "fill", **bounds)
    assert error.hint
    assert db.one("SELECT count(*) FROM belay.job") == 0


#: Jobs as name: (depends on, first release, last release); the last one makes the set impossible.
IMPOSSIBLE = {
    "a parent that begins after its child ends": {
        "first": ([], "3.0.0", None),
        "second": (["first"], None, "2.9.9"),
    },
    "a parent of a parent": {
        "first": ([], "3.0.0", None),
        "second": (["first"], None, None),
        "third": (["second"], None, "2.9.9"),
    },
    "one of two parents": {
        "first": ([], None, None),
        "second": ([], "3.1.0-rc.1", None),
        "third": (["first", "second"], None, "3.0.9"),
    },
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_an_impossible_window_in_a_chain_is_refused_at_registration(db, case):
    """PostHog#12292: users whose release had no window left for what they still had to run."""
    app = deployer(db)
    *sound, last = IMPOSSIBLE[case]
    for name in sound:
        depends_on, first, latest = IMPOSSIBLE[case][name]
        register(app, name, depends_on=depends_on, min_release=first, max_release=latest)
    depends_on, first, latest = IMPOSSIBLE[case][last]
    with expect_error("22023") as error:
        register(app, last, depends_on=depends_on, min_release=first, max_release=latest)
    assert error.hint
    assert db.rows("SELECT name FROM belay.job ORDER BY name") == [(name,) for name in sorted(sound)]
    # Without its upper bound it is possible.
    register(app, last, depends_on=depends_on)


def test_a_parent_that_would_make_its_child_impossible_is_refused(db):
    app = deployer(db)
    register(app, "first", min_release="3.0.0")
    register(app, "second", depends_on=["first"], max_release="3.1.0")
    with expect_error("22023"):
        register(app, "first", min_release="3.2.0")
    assert db.one("SELECT min_release FROM belay.job WHERE name = 'first'") == "3.0.0"
    register(app, "first", min_release="3.1.0")
    assert db.one("SELECT min_release FROM belay.job WHERE name = 'first'") == "3.1.0"


def test_windows_can_be_ignored_for_a_project_by_a_superuser(db):
    app = deployer(db)
    register(app, "fill", min_release="3.0.0")
    db.execute(f"ALTER DATABASE {db.name} SET belay.ignore_release_windows = 'shop, default'")
    session = db.connect(user=app.info.user)
    assert session.rows("SELECT name FROM belay.jobs_actionable()") == [("fill",)]
    assert session.rows("SELECT name FROM belay.jobs_future()") == []
    complete(db, session, "fill")
    assert db.one("SELECT to_regclass('public.fill') IS NOT NULL")


@pytest.mark.parametrize("projects", ["shop", "", "defaul", "default_two"])
def test_windows_of_other_projects_stay(db, projects):
    app = deployer(db)
    register(app, "fill", min_release="3.0.0")
    db.execute(f"ALTER DATABASE {db.name} SET belay.ignore_release_windows = '{projects}'")
    session = db.connect(user=app.info.user)
    assert session.rows("SELECT name FROM belay.jobs_future()") == [("fill",)]
    with expect_error("MG020"):
        start(session, "fill")


def test_nobody_else_can_have_windows_ignored(db):
    app = deployer(db)
    register(app, "fill", min_release="3.0.0")
    with expect_error("42501"):
        app.execute("SET belay.ignore_release_windows = 'default'")
    # Set before the library is there to refuse it.
    session = db.connect(user=app.info.user, options="-c belay.ignore_release_windows=default")
    with expect_error("MG020"):
        start(session, "fill")
    assert state(db, "fill") == "not_started"


def test_ph_35_what_is_not_required_is_completed_whatever_it_depends_on(db):
    """PostHog#12292: a job with nothing to do waited behind one that nobody could run any more."""
    app = deployer(db)
    register(app, "first")
    register(app, "second", depends_on=["first"], is_required="SELECT false", max_release="3.0.0")
    announce(app, "3.0.0")
    complete(db, app, "second")
    assert db.one("SELECT to_regclass('public.second') IS NULL"), "its operation ran"
    assert db.one("SELECT note FROM belay.jobs_completed() WHERE name = 'second'")
    assert (state(db, "first"), errors(db, "second")) == ("not_started", [])


# ── the lists ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ph_39_the_three_lists_hold_each_job_once_and_say_what_to_do(db):
    app = deployer(db)
    register(app, "always", description="no bounds")
    register(app, "coming", min_release="3.2.0", max_release="3.4.0")
    register(app, "done", max_release="3.1.0")
    register(app, "gone", min_release="2.0.0", max_release="3.0.0", description="too late")
    register(app, "now", min_release="3.1.0", max_release="3.1.0")

    # No release is announced: nothing that has a bound may start.
    assert app.rows("SELECT name FROM belay.jobs_actionable()") == [("always",)]
    bounded = app.rows('SELECT name, "window" FROM belay.jobs_future()')
    assert bounded == [(name, "future") for name in ("coming", "done", "gone", "now")]

    announce(app, "3.1.0")
    complete(db, app, "done")
    actionable = app.rows("SELECT name, state, description, min_release, max_release, next_command FROM belay.jobs_actionable()")
    assert actionable == [
        ("always", "not_started", "no bounds", None, None, "SELECT belay.job_start('always')"),
        ("now", "not_started", None, "3.1.0", "3.1.0", "SELECT belay.job_start('now')"),
    ]
    future = app.rows('SELECT name, state, description, "window", min_release, max_release FROM belay.jobs_future()')
    assert future == [
        ("coming", "not_started", None, "future", "3.2.0", "3.4.0"),
        ("gone", "not_started", "too late", "missed", "2.0.0", "3.0.0"),
    ]
    finished = app.rows("SELECT name, started_at <= finished_at, note FROM belay.jobs_completed()")
    assert finished == [("done", True, None)]


def test_ph_39_what_is_missed_says_how_to_run_it_after_all(db):
    app = deployer(db)
    register(app, "fill", max_release="3.0.0")
    announce(app, "3.1.0")
    query = "SELECT next_command FROM belay.job_status() WHERE name = 'fill'"
    assert app.one(query) == "SELECT belay.release_announce('3.0.0')"
    app.execute(app.one(query))
    assert app.one(query) == "SELECT belay.job_start('fill')"
    app.execute(app.one(query))
    wait_for_state(db, "fill", "completed")
    assert app.one(query) is None


def test_ph_39_what_is_under_way_is_actionable_whatever_its_window(db):
    app = deployer(db)
    make_gate(app)
    register(app, "fill", "SELECT pass()", max_release="3.0.0")
    announce(app, "3.0.0")
    start(app, "fill")
    wait_for_state(db, "fill", "running")
    announce(app, "3.1.0")
    assert app.rows("SELECT name, state FROM belay.jobs_actionable()") == [("fill", "running")]
    assert app.rows("SELECT name FROM belay.jobs_future()") == []
    assert app.one("SELECT belay.job_stop('fill', rollback => false)") == "stopping"
    wait_for_state(db, "fill", "errored")
    offered = app.rows("SELECT name, state, next_command FROM belay.jobs_actionable()")
    assert offered == [("fill", "errored", "SELECT belay.job_retry('fill')")]
    assert app.one("SELECT belay.job_rollback('fill')") == "rolling_back"
    wait_for_state(db, "fill", "rolled_back")
    assert app.rows("SELECT name FROM belay.jobs_actionable()") == []
    assert app.rows('SELECT name, "window" FROM belay.jobs_future()') == [("fill", "missed")]


def test_the_lists_are_those_of_one_project(db):
    db.execute("SELECT belay.project_create('shop')")
    app = deployer(db)
    register(app, "fill")
    register(app, "fill", project="shop", min_release="3.0.0")
    app.execute("SELECT belay.release_announce('3.0.0', project => 'shop')")
    assert app.rows("SELECT next_command FROM belay.jobs_actionable()") == [("SELECT belay.job_start('fill')",)]
    of_shop = app.rows("SELECT next_command FROM belay.jobs_actionable('shop')")
    assert of_shop == [("SELECT belay.job_start('fill', project => 'shop')",)]
    for function in ("jobs_actionable", "jobs_future", "jobs_completed", "jobs_ok"):
        with expect_error("MG011"):
            app.execute(f"SELECT belay.{function}('nowhere')")


def test_ph_37_an_application_asks_whether_a_job_is_complete(db):
    app = deployer(db)
    make_gate(app)
    register(app, "fill", "SELECT pass()")
    client = db.role("client")
    db.execute("SELECT belay.grant_role(%s, 'client')", [client])
    session = db.connect(user=client)
    asked = "SELECT belay.job_is_complete('fill')"
    assert session.one(asked) is False
    start(app, "fill")
    wait_for_state(db, "fill", "running")
    assert session.one(asked) is False
    open_gate(db)
    wait_for_state(db, "fill", "completed")
    assert session.one(asked) is True
    with expect_error("MG011", message=re.compile('"filll"')):
        session.execute("SELECT belay.job_is_complete('filll')")


def test_ph_36_jobs_are_ok_when_all_whose_window_is_open_are_completed_or_running(db):
    app = deployer(db)
    make_gate(app)
    ok = "SELECT belay.jobs_ok()"
    register(app, "fill", "SELECT pass()", min_release="3.0.0", max_release="3.1.0")
    assert db.one(ok) is True  # nothing is announced
    for release, is_ok in (("2.9.0", True), ("3.0.0", False), ("3.1.0", False), ("3.2.0", True), ("3.1.0", False)):
        announce(app, release)
        assert db.one(ok) is is_ok, release
    start(app, "fill")
    wait_for_state(db, "fill", "running")
    assert db.one(ok) is True
    app.execute("SELECT belay.job_stop('fill', rollback => false)")
    wait_for_state(db, "fill", "errored")
    assert db.one(ok) is False
    app.execute("SELECT belay.job_retry('fill')")
    open_gate(db)
    wait_for_state(db, "fill", "completed")
    assert db.one(ok) is True


# ── upgrades ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def in_the_way(session: Session, release: str) -> list[tuple]:
    return session.rows("SELECT name, state FROM belay.upgrade_check(%s) ORDER BY name", [release])


def test_ph_30_a_release_after_the_last_one_of_a_required_job_is_refused(db):
    app = deployer(db)
    register(app, "fill", min_release="3.0.0", max_release="3.1.0")
    for release in ("2.0.0", "3.0.0", "3.1.0", "3.1.0-rc.1"):
        assert in_the_way(app, release) == []
        app.execute("SELECT belay.upgrade_assert(%s)", [release])
    for release in ("3.1.1-rc.1", "3.1.1", "4.0.0"):
        ((name, found, reason, first, last, command),) = app.rows("SELECT * FROM belay.upgrade_check(%s)", [release])
        assert (name, found, first, last) == ("fill", "not_started", "3.0.0", "3.1.0")
        assert reason and command
        with expect_error("MG021") as error:
            app.execute("SELECT belay.upgrade_assert(%s)", [release])
        told = f"{error.message}\n{error.detail}"
        # PostHog told the release at hand where the last one was meant.
        assert "fill" in told and "3.1.0" in told, told
        assert error.hint
    announce(app, "3.1.0")
    complete(db, app, "fill")
    assert in_the_way(app, "4.0.0") == []
    app.execute("SELECT belay.upgrade_assert('4.0.0')")


@pytest.mark.parametrize(
    ("query", "counts"),
    [
        ("SELECT true", True),
        ("SELECT false", False),
        ("SELECT 1/0 = 1", False),
        ("SELECT x FROM nowhere", False),
        ("SELECT EXISTS (SELECT FROM rows_to_fill)", True),
        ("SELECT current_user LIKE 'app%' AND NOT pg_has_role('pg_read_all_data', 'USAGE')", True),
    ],
)
def test_ph_30_only_what_is_required_counts_and_its_registrant_is_asked(db, query, counts):
    app = deployer(db)
    app.execute("CREATE TABLE rows_to_fill AS SELECT 1")
    register(app, "fill", max_release="3.1.0", is_required=query)
    expected = [("fill", "not_started")] if counts else []
    assert in_the_way(db.session, "3.2.0") == expected
    assert in_the_way(app, "3.2.0") == expected
    assert db.session.one("SELECT current_user::text") == "postgres"
    assert db.session.one("SELECT 1") == 1, "a query that failed has left the session unusable"


def bring(db: Database, app: Session, wanted: str) -> None:
    """The job fill into that state, under a release that its window admits."""
    make_gate(app)
    operation = "SELECT 1" if wanted == "completed" else "SELECT pass()"
    prechecks = {"failed_at_startup": "SELECT false", "starting": "SELECT pass()"}
    register(app, "fill", operation, max_release="3.1.0", precheck=prechecks.get(wanted))
    announce(app, "3.1.0")
    if wanted == "not_started":
        return
    start(app, "fill")
    if wanted in ("starting", "failed_at_startup", "completed"):
        if wanted == "starting":
            db.wait_for("SELECT worker IS NOT NULL FROM belay.job_status() WHERE name = 'fill'")
        wait_for_state(db, "fill", wanted)
        return
    wait_for_state(db, "fill", "running")
    verbs = {
        "running": None,
        "paused": "SELECT belay.job_pause('fill')",
        "errored": "SELECT belay.job_stop('fill', rollback => false)",
        "rolled_back": "SELECT belay.job_stop('fill')",
    }
    if verbs[wanted]:
        app.execute(verbs[wanted])
        db.wait_for("SELECT state = %s FROM belay.job WHERE name = 'fill'", [wanted], 60)


@pytest.mark.parametrize(
    ("wanted", "within", "after"),
    [
        ("not_started", False, True),
        ("starting", True, True),
        ("running", True, True),
        ("paused", True, True),
        ("errored", True, True),
        ("rolled_back", False, True),
        ("failed_at_startup", False, True),
        ("completed", False, False),
    ],
)
def test_ph_33_what_is_under_way_or_errored_is_in_the_way_of_any_release(db, wanted, within, after):
    app = deployer(db)
    bring(db, app, wanted)
    assert in_the_way(app, "3.1.0") == ([("fill", wanted)] if within else [])
    assert in_the_way(app, "3.2.0") == ([("fill", wanted)] if after else [])
    if not within:
        app.execute("SELECT belay.upgrade_assert('3.1.0')")
        return
    with expect_error("MG021"):
        app.execute("SELECT belay.upgrade_assert('3.1.0')")


def test_ph_34_all_that_stands_in_the_way_is_listed_with_its_window(db):
    app = deployer(db)
    register(app, "first", min_release="3.0.0", max_release="3.1.0")
    register(app, "second", depends_on=["first"], max_release="3.1.5")
    register(app, "third", depends_on=["second"], max_release="3.2.0")
    rows = app.rows("SELECT name, min_release, max_release FROM belay.upgrade_check('3.2.0') ORDER BY name")
    assert rows == [("first", "3.0.0", "3.1.0"), ("second", None, "3.1.5")]
    with expect_error("MG021") as error:
        app.execute("SELECT belay.upgrade_assert('3.2.0')")
    told = f"{error.message}\n{error.detail}"
    for part in ("first", "3.0.0", "3.1.0", "second", "3.1.5"):
        assert part in told, told
    assert "third" not in told


def test_an_upgrade_is_asked_for_with_a_release_of_a_project(db):
    register(deployer(db), "fill")
    for function in ("upgrade_check", "upgrade_assert"):
        for release in ("3.1", "", "next"):
            with expect_error("22023"):
                db.execute(f"SELECT belay.{function}(%s)", [release])
        with expect_error("MG011"):
            db.execute(f"SELECT belay.{function}('3.1.0', 'nowhere')")


def shop(db: Database) -> Session:
    """A project of releases with a migration of each of two, and a job that the first one has to have run."""
    db.execute("SELECT belay.project_create('shop', naming => 'release')")
    for name in ("3.1.0_01_pre_a", "3.2.0_01_pre_b"):
        db.execute("SELECT belay.migrate_register(%s, %s, project => 'shop')", [name, f"CREATE TABLE {name[-1]} ()"])
    app = deployer(db)
    register(app, "fill", max_release="3.1.0", project="shop")
    return app


UP = "CALL belay.migrate_up(release => '{}', project => 'shop'{})"


def test_ph_33_migrations_of_a_release_do_not_run_before_the_jobs_that_it_requires(db):
    app = shop(db)
    db.execute(UP.format("3.1.0", ""))
    assert applied(db, "shop") == ["3.1.0_01_pre_a"]
    with expect_error("MG021") as error:
        db.execute(UP.format("3.2.0", ""))
    assert "fill" in f"{error.message}\n{error.detail}" and error.hint
    assert applied(db, "shop") == ["3.1.0_01_pre_a"]
    app.execute("SELECT belay.release_announce('3.1.0', project => 'shop')")
    app.execute("SELECT belay.job_start('fill', project => 'shop')")
    wait_for_state(db, "fill", "completed")
    db.execute(UP.format("3.2.0", ""))
    assert applied(db, "shop") == ["3.1.0_01_pre_a", "3.2.0_01_pre_b"]


def test_who_takes_the_gate_off_with_a_reason_is_let_through(db):
    shop(db)
    with expect_error("22023"):
        db.execute(UP.format("3.2.0", ", gate => 'off'"))
    assert applied(db, "shop") == []
    db.execute(UP.format("3.2.0", ", gate => 'off', reason => 'a copy for a drill'"))
    assert applied(db, "shop") == ["3.1.0_01_pre_a", "3.2.0_01_pre_b"]
    assert db.one("SELECT reason FROM belay.run WHERE verb = 'up' ORDER BY id DESC LIMIT 1") == "a copy for a drill"


def test_jobs_of_another_project_are_in_nobodys_way(db):
    app = shop(db)
    app.execute("SELECT belay.job_unregister('fill', project => 'shop')")
    register(app, "fill", max_release="3.1.0")
    db.execute(UP.format("3.2.0", ""))
    assert applied(db, "shop") == ["3.1.0_01_pre_a", "3.2.0_01_pre_b"]


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────

MIGRATION = {"1_a.sql": "CREATE TABLE a ()"}
FILL = {"operations": [{"sql": "CREATE TABLE fill ()", "rollback": "DROP TABLE IF EXISTS fill"}], "max_release": "3.1.0"}


def load(session: Session, **jobs: object) -> list[tuple]:
    """The migration and these jobs, as the project's whole set."""
    files = MIGRATION | {f"{name}.job.json": json.dumps(definition) for name, definition in jobs.items()}
    return session.rows("SELECT name, action FROM belay.migrate_load_files(%s)", [json.dumps(files)])


def test_a_file_beside_the_migrations_makes_a_job(db):
    app = deployer(db)
    load(app, fill=FILL | {"description": "fills", "depends_on": [], "auto_start": True})
    columns = "name, description, operations, max_release, auto_start, loaded, missing, state, role::text"
    expected = ("fill", "fills", 1, "3.1.0", True, True, False, "not_started", app.info.user)
    assert db.rows(f"SELECT {columns} FROM belay.job") == [expected]
    assert db.rows("SELECT name FROM belay.migration") == [("1_a",)]
    announce(app, "3.1.0")
    complete(db, app, "fill")


def test_a_load_of_the_same_set_changes_nothing_and_of_another_text_what_has_not_begun(db):
    app = deployer(db)
    load(app, fill=FILL)
    before = db.rows("SELECT * FROM belay.job")
    assert load(app, fill=FILL) == []
    assert db.rows("SELECT * FROM belay.job") == before
    load(app, fill=FILL | {"max_release": "3.2.0"})
    assert db.one("SELECT max_release FROM belay.job") == "3.2.0"
    announce(app, "3.1.0")
    complete(db, app, "fill")
    with expect_error("MG003"):
        load(app, fill=FILL | {"max_release": "3.3.0"})
    assert db.one("SELECT max_release FROM belay.job") == "3.2.0"


@pytest.mark.parametrize(
    "definition",
    [
        {"operation": []},
        FILL | {"timeout": "3s"},
        FILL | {"max_release": "3"},
        {"operations": [{"sql": "SELECT 1", "on_error": "go on"}]},
        [],
    ],
)
def test_a_file_that_cannot_be_read_loads_nothing(db, definition):
    app = deployer(db)
    with expect_error("22023") as error:
        load(app, fill=definition)
    assert "fill" in f"{error.message}\n{error.detail}\n{error.context}"
    assert db.one("SELECT count(*) FROM belay.job") == 0 == db.one("SELECT count(*) FROM belay.migration")


@pytest.mark.parametrize("names", [("a_child", "b_parent"), ("b_child", "a_parent")])
def test_an_impossible_window_in_a_set_is_refused_whatever_the_order_of_files(db, names):
    app = deployer(db)
    child, parent = names
    definitions = {child: FILL | {"depends_on": [parent]}, parent: FILL | {"min_release": "3.2.0", "max_release": None}}
    with expect_error("22023"):
        load(app, **definitions)
    assert db.one("SELECT count(*) FROM belay.job") == 0
    load(app, **definitions | {child: FILL | {"depends_on": [parent], "max_release": "3.2.0"}})
    assert db.one("SELECT count(*) FROM belay.job") == 2


def test_ph_38_a_job_without_a_file_is_still_listed_and_its_start_fails_with_a_message(db):
    app = deployer(db)
    load(app, fill=FILL, other=FILL | {"max_release": None})
    announce(app, "3.1.0")
    load(app, other=FILL | {"max_release": None})
    assert db.rows("SELECT name, missing FROM belay.job ORDER BY name") == [("fill", True), ("other", False)]
    assert app.rows("SELECT name, state FROM belay.job_status()") == [("fill", "not_started"), ("other", "not_started")]
    assert app.rows("SELECT name FROM belay.jobs_actionable()") == [("fill",), ("other",)]
    start(app, "fill")
    wait_for_state(db, "fill", "failed_at_startup")
    ((sqlstate, message),) = errors(db, "fill")
    assert sqlstate == "MG020" and re.search("definition|load|missing", message), message
    assert db.one("SELECT to_regclass('public.fill') IS NULL")

    load(app, fill=FILL, other=FILL | {"max_release": None})
    assert db.rows("SELECT name, missing FROM belay.job ORDER BY name") == [("fill", False), ("other", False)]
    complete(db, app, "fill")


def test_ph_38_a_job_whose_file_goes_while_it_runs_can_be_stopped(db):
    app = deployer(db)
    make_gate(app)
    load(app, fill={"operations": [FILL["operations"][0], {"sql": "SELECT pass()"}]})
    start(app, "fill")
    db.wait_for("SELECT operation = 1 FROM belay.job WHERE name = 'fill'", bound=60)
    load(app)
    assert app.rows("SELECT name, state FROM belay.job_status()") == [("fill", "running")]
    assert db.one("SELECT missing FROM belay.job") is True
    assert app.one("SELECT belay.job_stop('fill')") == "stopping"
    wait_for_state(db, "fill", "rolled_back")
    assert db.one("SELECT to_regclass('public.fill') IS NULL")


def test_a_job_that_was_registered_by_hand_is_not_missing_in_a_load(db):
    app = deployer(db)
    register(app, "by_hand")
    load(app, fill=FILL)
    load(app)
    assert db.rows("SELECT name, missing FROM belay.job ORDER BY name") == [("by_hand", False), ("fill", True)]
    complete(db, app, "by_hand")


def test_a_load_of_a_release_before_the_announced_one_says_nothing_of_jobs_that_are_there(db):
    """In a rolling deployment an instance of the old release starts once more, with its own files."""
    app = deployer(db)

    def load_release(*releases: str, **jobs: object) -> None:
        files = {f"{release}_01_pre_a.sql": "SELECT 1" for release in releases}
        files |= {f"{name}.job.json": json.dumps(definition) for name, definition in jobs.items()}
        app.execute("SELECT belay.migrate_load_files(%s)", [json.dumps(files)])

    load_release("3.0.0", "3.1.0", fill=FILL, other=FILL)
    announce(app, "3.1.0")
    load_release("3.0.0", other=FILL | {"max_release": "3.0.0"}, late=FILL)
    assert db.rows("SELECT name, missing, max_release FROM belay.job ORDER BY name") == [
        ("fill", False, "3.1.0"),
        ("late", False, "3.1.0"),
        ("other", False, "3.1.0"),
    ]
    load_release("3.0.0", "3.1.0", other=FILL)
    assert db.rows("SELECT name FROM belay.job WHERE missing ORDER BY name") == [("fill",), ("late",)]
