"""The gate of post: nobody who runs an older release is left behind, as far as the database can see."""

import re

import pytest

from harness.session import expect_error
from ledger import applied

PRE, POST, NEXT_PRE, NEXT_POST = names = ["3.0.0_01_pre_a", "3.0.0_50_post_b", "3.1.0_01_pre_c", "3.1.0_50_post_d"]
UP = "CALL belay.migrate_up(project => 'shop')"
POSTS = "CALL belay.migrate_up(phase => 'post', project => 'shop')"


def shop(db, *registered: str, **settings: str) -> None:
    """A project with these migrations, each of which makes a table of its last letter."""
    given = "".join(f", {setting} => '{value}'" for setting, value in settings.items())
    db.execute(f"SELECT belay.project_create('shop', naming => 'release'{given})")
    for name in registered or (PRE, POST):
        db.execute(
            "SELECT belay.migrate_register(%s, %s, %s, project => 'shop')", [name, f"CREATE TABLE {name[-1]} ()", f"DROP TABLE {name[-1]}"]
        )


def client(db, release: str, **parameters):
    return db.connect(application_name=f"shop/{release}", **parameters)


def leave(db, session) -> None:
    pid = session.pid
    session.close()
    db.wait_until_gone(pid)


def in_force(db) -> list[str]:
    return applied(db, "shop")


def runs(db) -> list[tuple]:
    return db.rows("SELECT verb, outcome, applied FROM belay.run WHERE verb NOT IN ('alter', 'announce') ORDER BY id")


# ── who holds it ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_client_of_an_older_release_holds_the_post_and_nothing_runs_until_it_has_gone(db):
    shop(db)
    old = client(db, "2.9.0")
    same = client(db, "3.0.0")
    with expect_error("MG018", message="post of release 3.0.0 may not run yet: 1 client of an older release is there") as error:
        db.execute(UP)
    assert re.fullmatch(rf"pid {old.pid}, \S+, role postgres, release 2.9.0, connected for .+", error.detail), error.detail
    for part in ("pg_terminate_backend", "'shop/2.9.0'", "gate => 'wait'", "gate => 'off'", "gate_source => 'checkin'", "pooler"):
        assert part in error.hint, error.hint
    assert in_force(db) == [] == runs(db)

    blocked = "SELECT name, sqlstate, blocked_by IS NULL OR blocked_by LIKE '%%older release%%', hint FROM belay.migrate_plan(project => 'shop')"
    assert [row[:3] for row in db.rows(blocked)] == [(PRE, None, True), (POST, "MG018", True)]
    with expect_error("MG018"):
        db.execute("SELECT belay.migrate_check(project => 'shop')")

    # What the hint says ends it; its own pid is left alone.
    command = re.search(r"SELECT pg_terminate_backend.*?\('shop/2.9.0'\)", error.hint).group()
    assert db.rows(command) == [(True,)]
    db.wait_until_gone(old.pid)
    db.execute(UP)
    assert in_force(db) == [PRE, POST]
    same.close()


def test_a_pre_asks_nobody(db):
    shop(db)
    client(db, "2.9.0")
    db.execute("CALL belay.migrate_up(phase => 'pre', project => 'shop')")
    assert in_force(db) == [PRE]
    db.execute("CALL belay.migrate_down(project => 'shop')")


@pytest.mark.parametrize("call", [UP, POSTS, f"CALL belay.migrate_to('{POST}', project => 'shop')", "CALL belay.migrate_up(transaction => 'per_run', project => 'shop')"])
def test_every_way_up_asks(db, call):
    shop(db)
    db.execute("CALL belay.migrate_up(phase => 'pre', project => 'shop')")
    client(db, "2.9.0")
    before = runs(db)
    with expect_error("MG018"):
        db.execute(call)
    assert (in_force(db), runs(db)) == ([PRE], before)


def test_redo_asks_before_it_reverts(db):
    shop(db)
    db.execute(UP)
    client(db, "2.9.0")
    with expect_error("MG018"):
        db.execute("CALL belay.migrate_redo(project => 'shop')")
    assert in_force(db) == [PRE, POST]
    db.execute("CALL belay.migrate_down(project => 'shop')")  # whoever reverts asks nobody
    assert in_force(db) == [PRE]


def test_in_the_callers_transaction_it_is_asked_too_and_cannot_be_waited_for(db):
    shop(db)
    client(db, "2.9.0")
    for call, state in ((UP, "MG018"), ("CALL belay.migrate_up(gate => 'wait', project => 'shop')", "25001")):
        with db.connect(autocommit=False) as session, expect_error(state):
            session.execute(call)
    assert in_force(db) == []


def test_who_is_no_client_of_this_project_and_release_does_not_hold_it(db):
    """Other databases, other projects, later releases and the own session; what shows no release is named."""
    shop(db)
    db.execute("SELECT belay.project_create('billing', naming => 'release')")
    client(db, "3.0.0")
    client(db, "3.2.0-rc.1")
    db.connect(application_name="billing/1.0.0")
    client(db, "2.9.0", dbname="postgres")
    unknown = db.connect(application_name="cli")
    own = client(db, "2.9.0")
    own.execute(UP)
    assert in_force(db) == [PRE, POST]
    told = [notice for notice in own.notices if "no release" in notice.message]
    # The test's own session is the other one.
    assert [notice.message for notice in told] == ["2 clients show no release, and are let pass by the gate"]
    assert re.search(rf"pid {unknown.pid}, .* no release, application_name cli, connected for", told[0].detail)


def test_clients_that_show_no_release_are_refused_where_the_project_says_so(db):
    shop(db, unknown_clients="refuse")
    own = db.session
    unknown = db.connect(application_name="cli")
    with expect_error("MG018", message="post of release 3.0.0 may not run yet: 1 client that shows no release is there") as error:
        own.execute(UP)
    assert f"pid {unknown.pid}," in error.detail and f"pid {own.pid}," not in error.detail
    leave(db, unknown)
    own.execute(UP)


def test_the_projects_pattern_says_where_the_release_stands(db):
    shop(db, client_pattern="{release} of {project}")
    db.connect(application_name="2.9.0 of shop")
    client(db, "1.0.0")
    with expect_error("MG018", detail=re.compile("^pid .*release 2.9.0[^\n]*$")):
        db.execute(UP)
    for pattern, why in (("{project}", "no place"), ("{release}{release}", "more than one place")):
        with expect_error("22023", message=re.compile(why), hint=re.compile("once")):
            db.execute("SELECT belay.project_alter('shop', client_pattern => %s)", [pattern])


# ── what a call may do about it ──────────────────────────────────────────────────────────────────────────────────────


def test_wait_goes_on_when_the_last_old_client_has_gone_and_holds_nothing_meanwhile(db):
    shop(db)
    old = client(db, "2.9.0")
    running = db.start("CALL belay.migrate_up(gate => 'wait', project => 'shop')")
    waits = "SELECT backend_xmin IS NULL AND backend_xid IS NULL AND xact_start IS NOT NULL FROM pg_stat_activity WHERE pid = %s AND wait_event = 'Extension'"
    db.wait_for(waits, [running.pid])
    assert db.rows("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1651270009") == []
    db.execute("CALL belay.migrate_up(phase => 'pre', project => 'shop')")  # nobody else has to wait
    old.close()
    running.finish()
    assert in_force(db) == [PRE, POST]


@pytest.mark.parametrize("how", ["a DO block", "a procedure"])
def test_wait_also_waits_in_plpgsql_that_may_commit_and_leaves_its_session_usable(db, how):
    shop(db)
    old = client(db, "2.9.0")
    body = "BEGIN CALL belay.migrate_up(gate => 'wait', project => 'shop'); PERFORM 1; END"
    db.execute(f"CREATE PROCEDURE deploy() LANGUAGE plpgsql AS $${body}$$")
    running = db.start(f"DO $${body}$$" if how == "a DO block" else "CALL deploy()")
    db.wait_for("SELECT true FROM pg_stat_activity WHERE pid = %s AND wait_event = 'Extension'", [running.pid])
    old.close()
    running.finish()
    assert in_force(db) == [PRE, POST]


def test_wait_ends_when_its_time_is_over_and_leaves_nothing(db):
    shop(db)
    client(db, "2.9.0")
    with expect_error("MG018", message=re.compile("may not run yet, after waiting .* ms: 1 client of an older release")):
        db.execute("CALL belay.migrate_up(gate => 'wait', wait => '50 ms', project => 'shop')")
    assert in_force(db) == [] == runs(db)


def test_skip_ends_with_a_notice_and_without_a_run(db):
    shop(db)
    old = client(db, "2.9.0")
    call = "CALL belay.migrate_up(gate => 'skip', project => 'shop')"
    db.execute(call)
    assert db.session.messages[-1].endswith("is there: skipped")
    assert in_force(db) == [] == runs(db)
    leave(db, old)
    db.execute(call)
    assert in_force(db) == [PRE, POST]


def test_off_is_for_the_owner_with_a_reason_and_both_are_kept(db):
    shop(db)
    client(db, "2.9.0")
    with expect_error("22023", message="gate => 'off' needs a reason"):
        db.execute("CALL belay.migrate_up(gate => 'off', project => 'shop')")
    role = db.role("deployer")
    db.execute("SELECT belay.grant_role(%s, 'deployer')", [role])
    with db.connect(user=role) as session, expect_error("42501", hint=re.compile("SET ROLE")):
        session.execute("CALL belay.migrate_up(gate => 'off', reason => 'x', project => 'shop')")
    db.execute("CALL belay.migrate_up(gate => 'off', reason => 'frozen client', project => 'shop')")
    assert in_force(db) == [PRE, POST]
    assert db.rows("SELECT arguments, reason, role::text FROM belay.run WHERE verb = 'up'") == [({"gate": "off"}, "frozen client", "postgres")]
    with expect_error("22023", hint="use 'check', 'wait', 'skip' or 'off'"):
        db.execute("CALL belay.migrate_up(gate => 'open', project => 'shop')")


@pytest.mark.parametrize("gate, ends", [("check", "MG018"), ("skip", None), ("wait", None)])
def test_a_client_that_comes_between_two_posts_stops_the_second(db, gate, ends):
    """The first post lets the test's client in: it waits for a lock that the test holds."""
    shop(db, PRE, POST)
    db.execute("SELECT belay.migrate_register('3.0.0_51_post_e', 'CREATE TABLE e ()', project => 'shop')")
    db.execute("SELECT belay.migrate_register(%s, 'SELECT pg_advisory_xact_lock(1); CREATE TABLE b ()', replace => true, project => 'shop')", [POST])
    held = db.connect()
    held.execute("SELECT pg_advisory_lock(1)")
    running = db.start(f"CALL belay.migrate_up(gate => '{gate}', project => 'shop')")
    db.wait_until_blocked(running.pid)
    old = client(db, "2.9.0")
    held.execute("SELECT pg_advisory_unlock(1)")
    if gate == "wait":
        db.wait_for("SELECT count(*) = 1 FROM belay.run WHERE outcome = 'succeeded'")
        assert in_force(db) == [PRE, POST]
        old.close()
        running.finish()
        assert in_force(db) == [PRE, POST, "3.0.0_51_post_e"]
        assert runs(db) == [("up", "succeeded", 2), ("up", "succeeded", 1)]
        return
    if ends:
        with expect_error(ends):
            running.finish()
    else:
        running.finish()
    assert in_force(db) == [PRE, POST]
    assert runs(db) == [("up", "failed" if ends else "succeeded", 2)]


# ── check-ins ────────────────────────────────────────────────────────────────────────────────────────────────────────


def checkin(session, release: str, instance: str, expires: str = "5 min"):
    return session.one("SELECT belay.client_checkin(%s, %s, %s::interval, 'shop')", [release, instance, expires])


def test_a_checkin_holds_the_post_until_it_is_renewed_expires_or_ends(db):
    shop(db)
    checkin(db.session, "2.9.0", "web-1")
    with expect_error("MG018", detail=re.compile("^instance web-1, role postgres, release 2.9.0, checked in .* ago$"), hint=re.compile(r"client_checkout\('web-1', project => 'shop'\)")):
        db.execute(UP)
    checkin(db.session, "3.0.0", "web-1")  # the instance has been upgraded
    checkin(db.session, "2.9.0", "web-2", "100 ms")
    db.wait_for("SELECT count(*) = 0 FROM belay.clients('shop') WHERE verdict LIKE 'holds%%'")
    checkin(db.session, "2.9.0", "web-3")
    assert db.one("SELECT belay.client_checkout('web-3', 'shop')") is True
    assert db.one("SELECT belay.client_checkout('web-3', 'shop')") is False
    db.execute(UP)
    assert in_force(db) == [PRE, POST]


def test_where_only_checkins_count_sessions_do_not_and_none_at_all_holds_it(db):
    shop(db, gate_source="checkin")
    client(db, "2.9.0")
    with expect_error("MG018", message="post of release 3.0.0 may not run yet: no client has checked in", hint=re.compile(r"client_checkin\('3.0.0'")):
        db.execute(UP)
    checkin(db.session, "3.0.0", "web-1")
    db.execute(UP)
    assert in_force(db) == [PRE, POST]


def test_a_release_that_a_later_post_has_contracted_away_may_not_check_in(db):
    shop(db)
    db.execute("CALL belay.migrate_up(phase => 'pre', project => 'shop')")
    checkin(db.session, "2.9.0", "web-1", "1 ms")
    db.wait_for("SELECT expires_at < clock_timestamp() FROM belay.client")
    db.execute(UP)
    for call in ("belay.client_checkin('2.9.0', 'web-1', project => 'shop')", "belay.release_announce('2.9.0', 'shop')"):
        with expect_error("MG018", message='release 2.9.0 of project "shop" is over: the post of 3.0.0 is applied', hint="deploy release 3.0.0 or a later one"):
            db.execute(f"SELECT {call}")
    checkin(db.session, "3.0.0", "web-1")


def test_a_checkin_that_makes_no_sense_is_a_clear_error(db):
    shop(db)
    db.execute("SELECT belay.project_create('plain', naming => 'natural')")
    for arguments, message in [
        ("'3.1', 'web-1', project => 'shop'", '"3.1" is not a release'),
        ("'3.1.0', ' ', project => 'shop'", "instance is empty"),
        ("'3.1.0', E'a\\nb', project => 'shop'", "instance has more than 200 characters, or control characters among them"),
        ("'3.1.0', 'web-1', '0', 'shop'", "expires must be more than nothing and at most a day"),
        ("'3.1.0', 'web-1', '-1 s', 'shop'", "expires must be more than nothing and at most a day"),
        ("'3.1.0', 'web-1', '1 month', 'shop'", "expires must be more than nothing and at most a day"),
        ("'3.1.0', 'web-1', project => 'plain'", "the names of project \"plain\" are 'natural': it has no releases"),
    ]:
        with expect_error("22023", message=message) as error:
            db.execute(f"SELECT belay.client_checkin({arguments})")
        assert error.hint
    assert db.rows("TABLE belay.client") == []


def test_what_expired_long_ago_is_removed_by_later_checkins(db):
    shop(db)
    checkin(db.session, "3.0.0", "web-1")
    db.execute("UPDATE belay.client SET expires_at = now() - interval '2 hours'")
    checkin(db.session, "3.0.0", "web-2")
    assert db.rows("SELECT instance FROM belay.client") == [("web-2",)]


def test_an_application_checks_in_with_its_own_right_and_cannot_speak_for_another(db):
    shop(db)
    app, other = db.role("app"), db.role("other")
    for role in (app, other):
        db.execute("SELECT belay.grant_role(%s, 'client')", [role])
    checkin(db.connect(user=app), "2.9.0", "web-1")
    with db.connect(user=other) as session:
        for call in ("belay.client_checkin('3.0.0', 'web-1', project => 'shop')", "belay.client_checkout('web-1', 'shop')"):
            with expect_error("42501", message=f'instance "web-1" has checked in as role "{app}"'):
                session.execute(f"SELECT {call}")
        for refused in ("SELECT belay.release_announce('3.0.0', 'shop')", "SELECT * FROM belay.clients('shop')", UP, "DELETE FROM belay.client"):
            with expect_error("42501"):
                session.execute(refused)
    db.execute("SELECT belay.client_checkout('web-1', 'shop')")


def test_a_deployer_sees_the_clients_by_the_gate_and_nothing_else_of_them(db):
    shop(db)
    role = db.role("deployer")
    db.execute("SELECT belay.grant_role(%s, 'deployer')", [role])
    old = client(db, "2.9.0")
    old.execute("SELECT 'a secret'")
    with db.connect(user=role) as session:
        with expect_error("MG018") as error:
            session.execute("CALL belay.migrate_up(trust => '{postgres}', project => 'shop')")
        assert f"pid {old.pid}, " in error.detail and "release 2.9.0" in error.detail and "secret" not in error.detail + error.hint
        found = session.rows("SELECT source, pid, role, application_name, release, instance, verdict FROM belay.clients('shop') WHERE release IS NOT NULL")
        assert found == [("session", old.pid, "postgres", "shop/2.9.0", "2.9.0", None, "holds post of 3.0.0")]
        assert session.one("SELECT backend_type FROM pg_stat_activity WHERE pid = %s", [old.pid]) is None
