"""Releases: names, phases, what may be deployed, and what is."""

import re

import pytest

from harness.session import expect_error
from ledger import applied, load

SHOP = ["3.0.0_01_pre_a", "3.0.0_50_post_b", "3.1.0_01_pre_c", "3.1.0_50_post_d"]


def register(db, *names: str, project: str = "shop") -> None:
    for name in names:
        db.execute("SELECT belay.migrate_register(%s, 'SELECT 1', 'SELECT 1', project => %s)", [name, project])


def shop(db, **settings: str) -> None:
    given = "".join(f", {setting} => '{value}'" for setting, value in settings.items())
    db.execute(f"SELECT belay.project_create('shop', naming => 'release'{given})")
    register(db, *SHOP)


def up(db, *arguments: str) -> None:
    db.execute(f"CALL belay.migrate_up({', '.join([*arguments, 'project => $$shop$$'])})")


def status(db, columns: str) -> list[tuple]:
    return db.rows(f"SELECT release, {columns} FROM belay.release_status('shop')")


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────

#: What breaks a rule, the rule as it is told, and a name that would do.
BROKEN = {
    "PR-1 no version": ("add_x", "it must begin with a version of three numbers", "3.1.0_01_pre_add_column"),
    "PR-1 no number": ("1.0.0_x_y", "the version must be followed by a number", "3.1.0_01_pre_add_column"),
    "PR-1 no description": ("1.0.0_01_pre", "it has no description", "3.1.0_01_pre_add_column"),
    "PR-2 one digit": ("1.0.0_1_pre_x", "its number must have two digits", "1.0.0_01_pre_x"),
    "PR-2 three digits": ("1.0.0_001_pre_x", "its number must have two digits", "1.0.0_01_pre_x"),
    "PR-2 pre above 49": ("1.0.0_50_pre_x", "a pre has a number from 01 to 49", "3.1.0_01_pre_add_column"),
    "PR-2 zero": ("1.0.0_00_pre_x", "a pre has a number from 01 to 49", "1.0.0_01_pre_x"),
    "PR-2 post below 50": ("1.0.0_01_post_x", "a post has a number from 50 to 99", "1.0.0_50_post_x"),
    "PR-3 upper case": ("1.0.0_01_pre_Add", "its description must be in lower case", "1.0.0_01_pre_add"),
    "PR-3 a dash": ("1.0.0_01_pre_add-x", "its description must not have a dash", "1.0.0_01_pre_add_x"),
    "PR-3 a space": ("1.0.0_01_pre_add x", "its description must not have white space", "1.0.0_01_pre_add_x"),
    "PR-6 no phase counts as pre": ("1.0.0_50_x", "a pre has a number from 01 to 49", "3.1.0_01_pre_add_column"),
}


def test_each_rule_of_a_new_name_has_its_own_message_and_a_name_that_would_do(db):
    """PR-1, PR-2, PR-3, PR-6; by registration, by load and by renaming, declared or found."""
    db.execute("SELECT belay.project_create('shop', naming => 'release')")
    register(db, "0.1.0_01_pre_first")
    for name, rule, sound in BROKEN.values():
        calls = {
            "register": ("SELECT belay.migrate_register(%s, 'SELECT 1', project => 'shop')", [name]),
            "load": ("SELECT belay.migrate_load_files(jsonb_build_object(%s::text, 'SELECT 1'), project => 'shop')", [f"{name}.sql"]),
            "rename": ("SELECT belay.migrate_rename('0.1.0_01_pre_first', %s, project => 'shop')", [name]),
        }
        for query, arguments in calls.values():
            with expect_error("MG008", message=f'migration name "{name}" is not in release form: {rule}', hint=re.compile(re.escape(f"'{sound}'"))):
                db.execute(query, arguments)
        register(db, sound)
        db.execute("SELECT belay.migrate_unregister(%s, 'shop')", [sound])
    with expect_error("MG008", message=re.compile("two digits")):
        register(db, "1.0.0_1_pre_x", project="default")


def test_pr_4_a_new_name_of_an_older_release_is_late(db):
    shop(db)
    up(db)
    register(db, "3.0.0_02_pre_x")
    with expect_error("MG001", message=re.compile("sorts before"), hint=re.compile("'3.2.0_01_pre_x'")):
        up(db)


def test_pr_5_leading_zeros_count_for_nothing_and_pre_comes_before_post(db):
    db.execute("SELECT belay.project_create('shop', naming => 'release')")
    register(db, "03.00.00_50_post_b", "10.0.0_01_x", "3.0.0_49_pre_z", "03.00.00-rc.1_50_post_a")
    order = [name for (name,) in db.rows("SELECT name FROM belay.migrate_status('shop')")]
    assert order == ["03.00.00-rc.1_50_post_a", "3.0.0_49_pre_z", "03.00.00_50_post_b", "10.0.0_01_x"]


def test_what_is_registered_with_a_name_that_breaks_the_rules_stays_and_is_loaded_again(db):
    """An earlier version took it."""
    db.execute("SELECT belay.project_create('shop', naming => 'release')")
    register(db, "1.0.0_01_pre_x")
    db.execute("UPDATE belay.migration SET name = '1.0.0_001_Pre-x'")
    db.execute("UPDATE belay.migration SET name = '1.0.0_001_Add-x'")
    assert load(db, {"1.0.0_001_Add-x.sql": "SELECT 1\n-- migrate:down\nSELECT 1", "1.0.0_02_pre_y.sql": "SELECT 2"}, project="shop") == [("1.0.0_02_pre_y", "added")]
    db.execute("SELECT belay.migrate_register('1.0.0_001_Add-x', 'SELECT 3', replace => true, project => 'shop')")
    assert db.rows("SELECT name FROM belay.migrate_status('shop')") == [("1.0.0_001_Add-x",), ("1.0.0_02_pre_y",)]


# ── phases ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_in_strict_a_pending_post_stops_a_later_pre_before_anything_runs(db):
    shop(db)
    with expect_error(
        "MG001",
        message='migration "3.1.0_01_pre_c" has to wait for the post of release 3.0.0, of which "3.0.0_50_post_b" is pending',
        hint=re.compile(re.escape("CALL belay.migrate_up(phase => 'post', release => '3.0.0', project => 'shop')")),
    ) as error:
        up(db, "phase => 'pre'")
    assert applied(db, "shop") == []
    up(db, "phase => 'pre'", "release => '3.0.0'")
    db.execute(re.search(r"CALL .*\)", error.hint).group())
    up(db, "phase => 'pre'")
    assert applied(db, "shop") == SHOP[:3]


@pytest.mark.parametrize("ordering", ["permissive", "disjoint"])
def test_elsewhere_the_post_of_an_older_release_may_come_later(db, ordering):
    shop(db, ordering=ordering)
    up(db, "phase => 'pre'")
    up(db, "phase => 'post'", "release => '3.0.0'")
    up(db)
    assert applied(db, "shop") == [SHOP[0], SHOP[2], SHOP[1], SHOP[3]]


def test_status_and_plan_show_release_and_phase(db):
    shop(db)
    shown = [("3.0.0", "pre"), ("3.0.0", "post"), ("3.1.0", "pre"), ("3.1.0", "post")]
    for reading in ("migrate_status", "migrate_plan"):
        assert db.rows(f"SELECT release, phase FROM belay.{reading}(project => 'shop')") == shown


# ── what may be deployed, and what is ────────────────────────────────────────────────────────────────────────────────


def test_release_status_leads_through_two_releases(db):
    shop(db)
    walk = [("3.0.0", "pending", False), ("3.1.0", "pending", False)]
    for after in (
        [("3.0.0", "pre done", True), ("3.1.0", "pending", False)],
        [("3.0.0", "post pending", True), ("3.1.0", "pending", False)],
        [("3.0.0", "complete", True), ("3.1.0", "pending", False)],
        [("3.0.0", "complete", True), ("3.1.0", "pre done", True)],
        [("3.0.0", "complete", True), ("3.1.0", "post pending", True)],
        [("3.0.0", "complete", False), ("3.1.0", "complete", True)],
    ):
        assert status(db, "state, may_deploy") == walk
        commands = [command for (_, command) in status(db, "next_command") if command]
        assert len(commands) == 1, commands
        db.execute(commands[0])
        walk = after
    assert status(db, "state, may_deploy, next_command") == [(*row, None) for row in walk]
    assert status(db, "pre_applied, pre_pending, post_applied, post_pending, clients") == [("3.0.0", 1, 0, 1, 0, 0), ("3.1.0", 1, 0, 1, 0, 0)]


def test_release_status_counts_clients_and_parts(db):
    shop(db)
    register(db, "3.0.0_02_pre_e")
    up(db, "steps => 1")
    db.connect(application_name="shop/3.0.0")
    db.execute("SELECT belay.client_checkin('3.1.0', 'web-1', project => 'shop')")
    assert status(db, "state, pre_applied, pre_pending, clients") == [("3.0.0", "pre pending", 1, 1, 1), ("3.1.0", "pending", 0, 1, 1)]
    assert db.rows("SELECT * FROM belay.release_status()") == []
    with expect_error("MG011"):
        db.execute("SELECT belay.release_status('nobody')")


def test_an_announcement_is_kept_and_warns_where_its_pre_is_pending(db):
    shop(db)
    assert db.one("SELECT belay.announced_release('shop')") is None
    assert db.one("SELECT release FROM belay.release_announce('03.01.00', 'shop')") == "3.1.0"
    (warning,) = [notice for notice in db.session.notices if notice.severity == "WARNING"]
    assert warning.message == 'release 3.1.0 is announced, and its pre is pending: "3.0.0_01_pre_a" and 1 more'
    assert warning.hint == "CALL belay.migrate_up(phase => 'pre', release => '3.1.0', project => 'shop')"
    db.execute("SELECT belay.release_announce('3.0.0', 'shop')")
    assert db.one("SELECT belay.announced_release('shop')") == "3.0.0"
    told = db.rows("SELECT outcome, detail, role::text FROM belay.migrate_history(project => 'shop')")
    assert told == [("announced", "release 3.1.0, was none", "postgres"), ("announced", "release 3.0.0, was 3.1.0", "postgres")]
    for change in ("UPDATE belay.announcement SET release = '1.0.0'", "DELETE FROM belay.announcement", "TRUNCATE belay.announcement"):
        with expect_error("MG015"):
            db.execute(change)
    with expect_error("MG015", message="a row of belay.announcement refers to project 99, which is not there"):
        db.execute("INSERT INTO belay.announcement (project_id, release, announced_by) VALUES (99, '1.0.0', 'x')")


def test_an_announcement_that_makes_no_sense_is_a_clear_error(db):
    shop(db)
    db.execute("SELECT belay.project_create('plain', naming => 'diesel')")
    db.execute("SELECT belay.migrate_register('4.0.0_01_pre_x', $$SELECT belay.release_announce('4.0.0', 'shop')$$, project => 'shop')")
    for call, state in [
        ("SELECT belay.release_announce('3', 'shop')", "22023"),
        ("SELECT belay.release_announce('3.0.0', 'plain')", "22023"),
        ("SELECT belay.release_announce('3.0.0', 'nobody')", "MG011"),
        ("CALL belay.migrate_up(project => 'shop')", "MG012"),
    ]:
        with expect_error(state) as error:
            db.execute(call)
        assert error.hint


def test_pruning_keeps_the_last_announcement(db):
    shop(db)
    for release in ("3.0.0", "3.1.0"):
        db.execute("SELECT belay.release_announce(%s, 'shop')", [release])
    db.execute("SELECT belay.history_prune(now() + interval '1 day', 'shop')")
    assert db.rows("SELECT release FROM belay.announcement") == [("3.1.0",)]
    with expect_error("MG015"):
        db.execute("DELETE FROM belay.project WHERE name = 'shop'")
