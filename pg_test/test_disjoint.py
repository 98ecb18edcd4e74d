"""Ordering disjoint: a late arrival is kept where it touches nothing that those after it touch."""

import re

import pytest

from copies import plain
from harness.session import expect_error
from ledger import applied, history, load, nothing_changes, numbered, tables

KEPT = "{} sorts before {}, which is applied: kept, since they touch nothing in common"
LATE = 'migration "2_b" sorts before "3_c", which is applied already, and they meet'
HINT = (
    "rename it so that it sorts after \"3_c\": SELECT belay.migrate_rename('2_b', '4_b'); "
    "or after review let it run late: SELECT belay.migrate_accept_late('2_b', after => '3_c', reason => '...')"
)


@pytest.fixture
def disjoint(db):
    """A disjoint project."""
    db.execute("SELECT belay.project_create('default', ordering => 'disjoint')")
    return db


def register(db, **texts: str) -> None:
    for name, text in texts.items():
        db.execute("SELECT belay.migrate_register(%s, %s)", [name.lstrip("_"), text])


def up(db, **texts: str) -> None:
    register(db, **texts)
    db.execute("CALL belay.migrate_up()")


def names(*numbers: int) -> list[str]:
    return [f"migration{n}" for n in numbers]


def apply(db, *numbers: int) -> None:
    load(db, numbered(*numbers))
    db.execute("CALL belay.migrate_up()")


def ups(*numbers: int):
    return [(f"migration{n}", "up", "applied") for n in numbers]


def downs(*numbers: int):
    return [(f"migration{n}", "down", "reverted") for n in numbers]


# ── what a run does ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_late_arrival_that_meets_nothing_is_kept_with_a_notice(disjoint):
    up(disjoint, _1_a="CREATE TABLE a ()", _3_c="CREATE TABLE c ()")
    up(disjoint, _2_b="CREATE TABLE b ()", _4_d="CREATE TABLE d ()")
    assert applied(disjoint) == ["1_a", "3_c", "2_b", "4_d"]
    told = [message for message in disjoint.session.messages if "sorts before" in message]
    assert told == [KEPT.format("2_b", "3_c")]


def test_a_late_arrival_that_meets_another_is_rolled_back_and_the_error_says_where(disjoint):
    up(disjoint, _1_a="CREATE TABLE a ()", _3_c="ALTER TABLE a ADD c int")
    register(disjoint, _2_b="CREATE TABLE b (); ALTER TABLE a ADD b int", _4_d="CREATE TABLE d ()")
    with expect_error("MG001", message=LATE, detail='"2_b" defines relation public.a, which "3_c" defines', hint=HINT.replace("4_b", "5_b")):
        disjoint.execute("CALL belay.migrate_up()")
    assert (applied(disjoint), tables(disjoint)) == (["1_a", "3_c"], ["a"])
    assert disjoint.one("SELECT attname FROM pg_attribute WHERE attrelid = 'a'::regclass AND attname = 'b'") is None
    assert history(disjoint)[-1] == ("2_b", "up", "failed")
    query = "SELECT sqlstate, message, detail FROM belay.migrate_history(newest => 1)"
    assert disjoint.rows(query) == [("MG001", LATE, '"2_b" defines relation public.a, which "3_c" defines')]


@pytest.mark.parametrize("way", ["rename", "accept", "permissive"])
def test_each_way_out_of_the_hint_lets_it_run(disjoint, way):
    up(disjoint, _1_a="CREATE TABLE a ()", _3_c="ALTER TABLE a ADD c int")
    register(disjoint, _2_b="ALTER TABLE a ADD b int")
    with expect_error("MG001") as error:
        disjoint.execute("CALL belay.migrate_up()")
    rename, accept = re.findall(r"SELECT [^;]*\)", error.hint)
    if way == "permissive":
        disjoint.execute("CALL belay.migrate_up(ordering => 'permissive', reason => 'agreed')")
    else:
        disjoint.execute({"rename": rename, "accept": accept}[way])
        disjoint.execute("CALL belay.migrate_up()")
    assert applied(disjoint)[2:] == [{"rename": "4_b"}.get(way, "2_b")]


def test_it_is_held_against_all_that_sort_after_it_and_against_no_other(disjoint):
    up(disjoint, _1_a="CREATE TABLE a ()", _5_e="CREATE TABLE e ()", _6_f="ALTER TABLE e ADD f int", _7_g="CREATE TABLE g ()")
    up(disjoint, _4_d="ALTER TABLE a ADD d int")
    register(disjoint, _3_c="ALTER TABLE e ADD c int")
    with expect_error("MG001", message=re.compile('"3_c" sorts before "5_e"'), hint=re.compile('sorts after "7_g".*\'8_c\'')):
        disjoint.execute("CALL belay.migrate_up()")


def test_readers_of_one_table_do_not_meet(disjoint):
    up(disjoint, _1_a="CREATE TABLE a ()", _3_c="CREATE TABLE c AS TABLE a")
    up(disjoint, _2_b="CREATE TABLE b AS TABLE a")
    assert applied(disjoint) == ["1_a", "3_c", "2_b"]


def test_what_was_kept_late_counts_against_what_comes_later_still(disjoint):
    up(disjoint, _1_a="CREATE TABLE a ()", _5_e="CREATE TABLE e ()")
    up(disjoint, _3_c="ALTER TABLE a ADD c int")
    register(disjoint, _2_b="ALTER TABLE a ADD b int")
    with expect_error("MG001", message=LATE):
        disjoint.execute("CALL belay.migrate_up()")


def test_a_strict_call_refuses_what_a_disjoint_one_keeps(disjoint):
    up(disjoint, _1_a="CREATE TABLE a ()", _3_c="CREATE TABLE c ()")
    register(disjoint, _2_b="CREATE TABLE b ()")
    with nothing_changes(disjoint), expect_error("MG001", message=re.compile('^migration "2_b" sorts before "3_c"')):
        disjoint.execute("CALL belay.migrate_up(ordering => 'strict')")
    disjoint.execute("CALL belay.migrate_up()")


def test_a_strict_project_loosens_one_call_to_disjoint(db):
    up(db, _1_a="CREATE TABLE a ()", _3_c="CREATE TABLE c ()")
    register(db, _2_b="CREATE TABLE b ()")
    db.execute("CALL belay.migrate_up(ordering => 'disjoint', reason => 'agreed')")
    assert applied(db) == ["1_a", "3_c", "2_b"]
    register(db, _2_c="ALTER TABLE c ADD b int")
    with expect_error("MG001", message=re.compile("and they meet$")):
        db.execute("CALL belay.migrate_up(ordering => 'disjoint', reason => 'agreed')")


@pytest.mark.parametrize("how", ["transaction => 'per_run'", "caller"])
def test_in_one_transaction_a_meeting_takes_everything_back(disjoint, how):
    up(disjoint, _1_a="CREATE TABLE a ()", _3_c="ALTER TABLE a ADD c int")
    register(disjoint, _2_a="CREATE TABLE b ()", _2_b="ALTER TABLE a ADD b int")
    if how == "caller":
        with disjoint.connect(autocommit=False) as session:
            with expect_error("MG001", message=LATE, detail=re.compile("ran before it in the same transaction")):
                session.execute("CALL belay.migrate_up()")
            session.rollback()
    else:
        with expect_error("MG001", message=LATE, detail=re.compile("ran before it in the same transaction")):
            disjoint.execute(f"CALL belay.migrate_up({how})")
    assert (applied(disjoint), tables(disjoint)) == (["1_a", "3_c"], ["a"])


@pytest.mark.parametrize("meets", [False, True], ids=["disjoint", "meets"])
def test_an_acceptance_counts_for_what_it_has_seen_and_the_rest_is_compared(disjoint, meets):
    up(disjoint, _1_a="CREATE TABLE a ()", _5_e="ALTER TABLE a ADD e int")
    register(disjoint, _2_b="ALTER TABLE a ADD b int", _6_f="ALTER TABLE a ADD f int" if meets else "CREATE TABLE f ()")
    disjoint.execute("SELECT belay.migrate_accept_late('2_b', after => '5_e', reason => 'reviewed')")
    disjoint.execute("SELECT belay.migrate_rename('2_b', '8_b')")
    disjoint.execute("CALL belay.migrate_up(target => '6_f')")
    disjoint.execute("SELECT belay.migrate_rename('8_b', '2_b')")
    if meets:
        with expect_error("MG001", message=re.compile('^migration "2_b" sorts before "6_f".*and they meet$')):
            disjoint.execute("CALL belay.migrate_up()")
    else:
        disjoint.execute("CALL belay.migrate_up()")
        assert KEPT.format("2_b", "6_f") in disjoint.session.messages


# ── without a transaction ────────────────────────────────────────────────────────────────────────────────────────────

ALONE = "-- belay: transaction off\nCREATE INDEX CONCURRENTLY ON b (x)"


def test_a_late_one_that_could_not_be_taken_back_is_refused_before_it_runs(disjoint):
    up(disjoint, _1_a="CREATE TABLE b (x int)", _3_c="CREATE TABLE c ()")
    register(disjoint, _2_b=ALONE)
    message = (
        'migration "2_b" sorts before "3_c", which is applied already, and runs without a transaction, so that it could not be taken back'
    )
    with nothing_changes(disjoint), expect_error("MG001", message=message, hint=re.compile(re.escape(HINT))):
        disjoint.execute("CALL belay.migrate_up()")
    assert disjoint.rows("SELECT blocked_by, sqlstate FROM belay.migrate_plan()") == [(message, "MG001")]
    assert disjoint.rows("SELECT state, detail, next_command FROM belay.migrate_status() WHERE name = '2_b'") == [
        (
            "late",
            'sorts before "3_c", which is applied, and runs without a transaction',
            "SELECT belay.migrate_rename('2_b', '4_b')",
        )
    ]
    with expect_error("MG001", message=message):
        disjoint.execute("CALL belay.migrate_wait(wait => '0')")


def test_a_late_one_that_could_not_be_taken_back_runs_when_it_was_accepted(disjoint):
    up(disjoint, _1_a="CREATE TABLE b (x int)", _3_c="CREATE TABLE c ()")
    register(disjoint, _2_b=ALONE)
    disjoint.execute("SELECT belay.migrate_accept_late('2_b', after => '3_c', reason => 'reviewed')")
    disjoint.execute("CALL belay.migrate_up()")
    assert applied(disjoint) == ["1_a", "3_c", "2_b"]
    assert "2_b sorts before 3_c, which is applied: accepted by postgres: reviewed" in disjoint.session.messages


def test_in_its_place_it_needs_no_review(disjoint):
    up(disjoint, _1_a="CREATE TABLE b (x int)")
    up(disjoint, _2_b=ALONE)
    assert applied(disjoint) == ["1_a", "2_b"]


# ── what has no footprint ────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_marked_meets_everything(disjoint):
    up(disjoint, _1_a="CREATE TABLE a ()")
    register(disjoint, _3_c="CREATE TABLE c ()")
    disjoint.execute("SELECT belay.migrate_mark('3_c', 'applied')")
    register(disjoint, _2_b="CREATE TABLE b ()")
    detail = '"3_c" was marked by hand and has no footprint, so that nothing can be said about its order with "2_b"'
    with expect_error("MG001", message=LATE, detail=detail):
        disjoint.execute("CALL belay.migrate_up()")


def test_what_was_baselined_meets_everything(disjoint):
    register(disjoint, _3_c="CREATE TABLE c ()")
    disjoint.execute("CALL belay.migrate_baseline('3_c')")
    register(disjoint, _2_b="CREATE TABLE b ()")
    detail = '"3_c" was baselined and has no footprint, so that nothing can be said about its order with "2_b"'
    with expect_error("MG001", message=LATE, detail=detail):
        disjoint.execute("CALL belay.migrate_up()")


@pytest.mark.parametrize("verb", ["SELECT belay.migrate_mark('2_b', 'applied')", "CALL belay.migrate_baseline('2_b')"])
def test_a_late_mark_needs_a_review(disjoint, verb):
    up(disjoint, _3_c="CREATE TABLE c ()")
    register(disjoint, _2_b="CREATE TABLE b ()")
    with nothing_changes(disjoint), expect_error("MG001", message=LATE, detail=re.compile("has no footprint"), hint=HINT):
        disjoint.execute(verb)
    disjoint.execute("SELECT belay.migrate_accept_late('2_b', after => '3_c', reason => 'reviewed')")
    disjoint.execute(verb)
    assert applied(disjoint) == ["3_c", "2_b"]


# ── the catalog keeps the rule for everybody ─────────────────────────────────────────────────────────────────────────

#: A superuser writes a run and the step that applied 2_b by hand, with a footprint of their own.
BY_HAND = """
    WITH run AS (
        INSERT INTO belay.run (project_id, verb, ordering, transaction, role, session_role, application_name, pid,
                               backend_start, library_version)
        SELECT id, 'up', 'disjoint', 'per_migration', current_user, session_user, '', pg_backend_pid(), now(), '0'
        FROM belay.project RETURNING id
    )
    INSERT INTO belay.step (run_id, project_id, migration_id, name, direction, definition_id, checksum, search_path,
                            started_at, finished_at, outcome, reads, writes, defines, everything)
    SELECT run.id, m.project_id, m.id, m.name, 'up', m.definition_id, m.checksum, '', now(), now(), 'applied',
           %(reads)s, %(writes)s, %(defines)s, %(everything)s
    FROM belay.migration m, run WHERE m.name = %(name)s
"""
INSERT = """
    INSERT INTO belay.applied (migration_id, project_id, sort_key, step_id, checksum, applied_by)
    SELECT m.id, m.project_id, m.sort_key, (SELECT max(s.id) FROM belay.step s WHERE s.migration_id = m.id), m.checksum, current_user
    FROM belay.migration m WHERE m.name = %s
"""


def write(db, name: str, reads=(), writes=(), defines=(), everything=None, none=False) -> None:
    """Inserts a migration into what is applied with a footprint that a superuser made up; `none`: without one."""
    footprint = {"reads": list(reads), "writes": list(writes), "defines": list(defines)}
    if none:
        footprint = dict.fromkeys(footprint)
    db.execute(BY_HAND, footprint | {"everything": everything, "name": name})
    db.execute(INSERT, [name])


#: What 2_b and 3_c touched, and where they meet; None: nowhere.
FOOTPRINTS = {
    "two readers": ({"reads": ["t"]}, {"reads": ["t"]}, None),
    "nothing in common": ({"defines": ["a"], "writes": ["b"]}, {"defines": ["c"], "reads": ["d"]}, None),
    "nothing at all": ({}, {}, None),
    "a reader and a writer": ({"reads": ["t"]}, {"writes": ["t"]}, '"2_b" reads t, which "3_c" writes'),
    "a writer and a reader": ({"writes": ["t"]}, {"reads": ["t"]}, '"2_b" writes t, which "3_c" reads'),
    "two writers": ({"writes": ["s", "t"]}, {"writes": ["t", "u"]}, '"2_b" writes t, which "3_c" writes'),
    "a definer and a reader": ({"defines": ["t"]}, {"reads": ["t"]}, '"2_b" defines t, which "3_c" reads'),
    "a reader and a definer": ({"reads": ["t"]}, {"defines": ["t"]}, '"2_b" reads t, which "3_c" defines'),
    "two definers": ({"defines": ["t"]}, {"defines": ["t"]}, '"2_b" defines t, which "3_c" defines'),
    "everything": (
        {"everything": "reads pg_catalog.pg_class"}, {},
        '"2_b" reads pg_catalog.pg_class, so that nothing can be said about its order with "3_c"',
    ),
    "everything of the other": (
        {}, {"everything": "runs without a transaction"},
        '"3_c" runs without a transaction, so that nothing can be said about its order with "2_b"',
    ),
    "none": ({"none": True}, {}, '"2_b" has no footprint, so that nothing can be said about its order with "3_c"'),
    "none of the other": ({}, {"none": True}, '"3_c" has no footprint, so that nothing can be said about its order with "2_b"'),
}  # fmt: skip


@pytest.mark.parametrize("case", FOOTPRINTS.values(), ids=FOOTPRINTS)
def test_the_catalog_holds_footprints_against_each_other(disjoint, case):
    late, other, where = case
    register(disjoint, _3_c="SELECT 3")
    write(disjoint, "3_c", **other)
    register(disjoint, _2_b="SELECT 2")
    if where is None:
        write(disjoint, "2_b", **late)
        assert applied(disjoint) == ["3_c", "2_b"]
        assert disjoint.rows("SELECT * FROM belay.find_disorder((SELECT id FROM belay.project))") == []
    else:
        with expect_error("MG001", message=LATE, detail=where, hint=HINT):
            write(disjoint, "2_b", **late)
        assert applied(disjoint) == ["3_c"]


def test_of_many_meetings_the_first_in_the_order_is_named(disjoint):
    register(disjoint, _3_c="SELECT 3", _5_e="SELECT 5", _4_d="SELECT 4", _2_b="SELECT 2")
    write(disjoint, "5_e", writes=["t"])
    write(disjoint, "4_d", writes=["u"])
    write(disjoint, "3_c", writes=["v"])
    with expect_error("MG001", message=re.compile('^migration "2_b" sorts before "4_d"'), detail=re.compile("writes u, which")):
        write(disjoint, "2_b", writes=["t", "u"])


@pytest.mark.parametrize("case", FOOTPRINTS.values(), ids=FOOTPRINTS)
def test_a_ledger_is_judged_as_a_whole_by_the_same_rule(disjoint, case):
    late, other, where = case
    register(disjoint, _2_b="SELECT 2", _3_c="SELECT 3")
    disjoint.execute("ALTER TABLE belay.applied DISABLE TRIGGER applied_inserted")
    for name, footprint in (("3_c", other), ("2_b", late)):
        write(disjoint, name, **footprint)
    found = disjoint.rows("SELECT m.name FROM belay.project p, belay.find_disorder(p.id) d JOIN belay.migration m ON m.id = d.in_its_way")
    assert found == ([] if where is None else [("3_c",)])


def test_a_late_arrival_survives_dump_and_restore(disjoint, new_database):
    up(disjoint, _1_a="CREATE TABLE a ()", _3_c="CREATE TABLE c ()")
    up(disjoint, _2_b="CREATE TABLE b ()")
    copy = new_database(extension=False)
    plain(disjoint, copy)
    up(copy, _4_d="CREATE TABLE d ()")
    assert applied(copy) == ["1_a", "3_c", "2_b", "4_d"]


def test_an_applied_migration_may_pass_another_by_its_name_only_where_they_do_not_meet(disjoint):
    up(disjoint, _1_a="CREATE TABLE a ()", _2_b="CREATE TABLE b ()", _3_c="ALTER TABLE a ADD c int")
    with (
        nothing_changes(disjoint),
        expect_error("MG001", message='migration "3_c", which was applied in disjoint order, would change places with "4_a"'),
    ):
        disjoint.execute("SELECT belay.migrate_rename('1_a', '4_a')")
    disjoint.execute("SELECT belay.migrate_rename('2_b', '4_b')")
    assert applied(disjoint) == ["1_a", "4_b", "3_c"]


# ── the origin's cases, where tables have nothing in common ──────────────────────────────────────────────────────────


def test_ky_04_disjoint_runs_a_late_arrival(disjoint):
    apply(disjoint, 1, 3)
    apply(disjoint, 1, 2, 3, 4)
    assert history(disjoint) == ups(1, 3, 2, 4)


def test_ky_17_none_reverts_what_is_applied_and_leaves_what_is_pending(disjoint):
    apply(disjoint, 1, 2, 4)
    load(disjoint, numbered(1, 2, 3, 4))
    disjoint.execute("CALL belay.migrate_to('@none')")
    assert history(disjoint) == ups(1, 2, 4) + downs(4, 2, 1)


def test_ky_19_down_follows_the_order_of_execution_not_of_names(disjoint):
    apply(disjoint, 1, 3)
    apply(disjoint, 1, 2, 3)
    disjoint.execute("CALL belay.migrate_down()")
    assert history(disjoint) == ups(1, 3, 2) + downs(2)
    assert applied(disjoint) == names(1, 3)


def test_ky_22_steps_take_the_late_arrival_first(disjoint):
    apply(disjoint, 1, 3)
    load(disjoint, numbered(1, 2, 3, 4))
    for expected in (ups(1, 3, 2), ups(1, 3, 2, 4)):
        disjoint.execute("CALL belay.migrate_up(steps => 1)")
        assert history(disjoint) == expected


def test_redo_brings_everything_into_its_place(disjoint):
    apply(disjoint, 1, 3)
    apply(disjoint, 1, 2, 3)
    disjoint.execute("CALL belay.migrate_redo(steps => 2)")
    assert history(disjoint)[3:] == downs(2, 3) + ups(2, 3)
