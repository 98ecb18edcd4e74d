"""Looking before the leap: `migrate_plan` shows, `migrate_check` raises, and a verb does what they said."""

import re
from typing import Callable, NamedTuple

import pytest

from harness.session import expect_error
from ledger import applied, history, load, nothing_changes, numbered, tables

#: Name, direction, resume_at, blocked_by, sqlstate, hint.
Row = tuple[str, str, int | None, str | None, str | None, str | None]


def names(*numbers: int) -> list[str]:
    return [f"migration{n}" for n in numbers]


def call(function: str, arguments: dict[str, object]) -> tuple[str, dict[str, object]]:
    return f"belay.{function}({', '.join(f'{name} => %({name})s' for name in arguments)})", arguments


def plan(db, **arguments: object) -> list[Row]:
    """The steps, which are numbered from 1."""
    function, given = call("migrate_plan", arguments)
    rows = db.rows(f"SELECT step, name, direction, resume_at, blocked_by, sqlstate, hint FROM {function}", given)
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    return [row[1:] for row in rows]


def check(db, **arguments: object) -> int:
    function, given = call("migrate_check", arguments)
    return db.one(f"SELECT {function}", given)


def run(db, verb: str = "up", **arguments: object) -> None:
    procedure, given = call(f"migrate_{verb}", arguments)
    db.execute(f"CALL {procedure}", given)


def ways(db, **arguments: object) -> list[tuple[str, str]]:
    """Name and direction of each step of a plan in which nothing is in the way."""
    rows = plan(db, **arguments)
    assert [row[3:] for row in rows] == [(None, None, None)] * len(rows)
    return [row[:2] for row in rows]


def ups(*numbers: int) -> list[tuple[str, str]]:
    return [(name, "up") for name in names(*numbers)]


def downs(*numbers: int) -> list[tuple[str, str]]:
    return [(name, "down") for name in names(*numbers)]


def apply(db, *numbers: int) -> None:
    load(db, numbered(*numbers))
    run(db)


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "arguments", [{}, {"verb": "down"}, {"verb": "redo"}, {"verb": "to", "target": "@none"}], ids=str
)
def test_a_project_that_nobody_has_used_has_an_empty_plan(db, arguments):
    with nothing_changes(db):
        assert plan(db, **arguments) == []
        assert check(db, **arguments) == 0
    assert db.one("SELECT count(*) FROM belay.project") == 0


def test_a_row_says_how_each_step_runs(db):
    files = {
        "01.00.00_01_pre_a.sql": "CREATE TABLE a (x int);\n-- migrate:down\nDROP TABLE a;",
        "01.00.00_50_post_b.sql": "CREATE INDEX CONCURRENTLY i ON a (x);\n-- migrate:down\nDROP INDEX i;",
    }
    load(db, files)
    columns = "step, name, direction, transactional, release, phase, resume_at, blocked_by, sqlstate, hint"
    assert db.rows(f"SELECT {columns} FROM belay.migrate_plan()") == [
        (1, "01.00.00_01_pre_a", "up", True, "1.0.0", "pre", None, None, None, None),
        (2, "01.00.00_50_post_b", "up", False, "1.0.0", "post", None, None, None, None),
    ]
    run(db)
    assert db.rows("SELECT step, name, direction, transactional FROM belay.migrate_plan(verb => 'down', steps => 2)") == [
        (1, "01.00.00_50_post_b", "down", True),
        (2, "01.00.00_01_pre_a", "down", True),
    ]


#: With migration1 to migration3 applied of five: verb and arguments, and the steps.
PLANS = {
    "up": ({}, ups(4, 5)),
    "up, one step": ({"steps": 1}, ups(4)),
    "up, more steps than there are": ({"steps": 99}, ups(4, 5)),
    "up to a target": ({"target": "migration4"}, ups(4)),
    "up to an applied target": ({"target": "migration2"}, []),
    "up to a target, narrowed by steps": ({"target": "migration5", "steps": 1}, ups(4)),
    "down": ({"verb": "down"}, downs(3)),
    "down, two steps": ({"verb": "down", "steps": 2}, downs(3, 2)),
    "down, more steps than there are": ({"verb": "down", "steps": 99}, downs(3, 2, 1)),
    "to a pending one": ({"verb": "to", "target": "migration4"}, ups(4)),
    "to an applied one": ({"verb": "to", "target": "migration1"}, downs(3, 2)),
    "to the last applied one": ({"verb": "to", "target": "migration3"}, []),
    "to nothing": ({"verb": "to", "target": "@none"}, downs(3, 2, 1)),
    "redo": ({"verb": "redo"}, downs(3) + ups(3)),
    "redo, two steps": ({"verb": "redo", "steps": 2}, downs(3, 2) + ups(2, 3)),
}


@pytest.mark.parametrize("case", PLANS)
def test_a_verb_does_what_its_plan_says(db, case):
    arguments, expected = PLANS[case]
    apply(db, 1, 2, 3)
    load(db, numbered(1, 2, 3, 4, 5))
    with nothing_changes(db):
        assert ways(db, **arguments) == expected
        assert check(db, **arguments) == len(expected)
    before = history(db)
    run(db, **arguments)
    done = history(db)[len(before) :]
    assert [step[:2] for step in done] == expected
    assert all(outcome in ("applied", "reverted") for _, _, outcome in done)


def test_a_plan_follows_the_order_of_execution_on_the_way_down(db):
    db.execute("SELECT belay.project_create('default', ordering => 'permissive')")
    apply(db, 1, 3)
    apply(db, 1, 2, 3)
    assert ways(db, verb="down", steps=3) == downs(2, 3, 1)
    assert ways(db, verb="to", target="migration1") == downs(2, 3)
    assert ways(db, verb="redo", steps=2) == downs(2, 3) + ups(3, 2)


RELEASES = {
    f"{name}.sql": f"CREATE TABLE t_{number} ();\n-- migrate:down\nDROP TABLE t_{number};"
    for number, name in enumerate(
        [
            "01.00.00_01_pre_a", "01.00.00_50_post_b", "01.02.00_01_c", "02.00.00_01_pre_d", "02.00.00_50_post_e",
            "10.00.00_01_pre_f",
        ]
    )
}  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "letters"),
    [
        ({}, "abcdef"),
        ({"release": "1.0.0"}, "ab"),
        ({"release": "01.00.00"}, "ab"),
        ({"release": "1.1.0"}, "ab"),
        ({"release": "0.9.0"}, ""),
        ({"release": "9.9.9"}, "abcde"),
        ({"release": "1.0.0", "phase": "pre"}, "a"),
        ({"release": "2.0.0", "steps": 2}, "ab"),
        ({"target": "02.00.00_01_pre_d", "release": "1.2.0"}, "abc"),
        ({"target": "01.02.00_01_c"}, "abc"),
        ({"phase": "pre", "steps": 1}, "a"),
    ],
    ids=str,
)
def test_target_release_phase_and_steps_narrow_each_other(db, arguments, letters):
    load(db, RELEASES)
    expected = [name for name in (file.removesuffix(".sql") for file in RELEASES) if name[-1] in letters]
    assert ways(db, **arguments) == [(name, "up") for name in expected]
    run(db, **arguments)
    assert applied(db) == expected


# ── what stands in the way ───────────────────────────────────────────────────────────────────────────────────────────

MADE = "CREATE TABLE made{n} ();\n-- migrate:down\nDROP TABLE made{n};\n"


def late(db) -> None:
    """migration1 and migration3 applied, migration2 and migration4 not."""
    apply(db, 1, 3)
    load(db, numbered(1, 2, 3, 4))


def late_and_taken(db) -> None:
    """migration1, migration3 and then migration2 applied."""
    late(db)
    run(db, target="migration2", ordering="permissive", reason="agreed")


def pre_of_the_next_release(db) -> None:
    load(db, RELEASES)
    run(db, release="1.0.0", phase="pre")


def requires_what_is_unknown(db) -> None:
    load(db, {"1.sql": MADE.format(n=1), "2.sql": "-- belay: requires 1, nowhere\n" + MADE.format(n=2)})


def requires_what_sorts_after(db) -> None:
    load(db, {"1.sql": "-- belay: requires 2\n" + MADE.format(n=1), "2.sql": MADE.format(n=2)})


def required_by_an_earlier_one(db) -> None:
    """1 requires 2; an operator said that 1 was applied before 2 was."""
    requires_what_sorts_after(db)
    db.execute("SELECT belay.migrate_mark('1', 'applied', reason => 'by hand')")
    run(db)


def without_down(db) -> None:
    load(db, {"1.sql": "CREATE TABLE made1 ();", "2.sql": MADE.format(n=2)})
    run(db)


def downs_forbidden(db) -> None:
    apply(db, 1, 2)
    db.execute("SELECT belay.project_alter('default', allow_down => false)")


def indivisible_pair(db) -> None:
    """2 and 4 are a pair with 3 between them."""
    files = {f"{n}.sql": MADE.format(n=n) for n in (1, 2, 3)}
    load(db, files | {"4.sql": "-- belay: pairs-with 2 indivisible\n" + MADE.format(n=4)})
    run(db)


#: Fails at its second statement until the table `gate` is there.
GATED = """-- belay: transaction off
CREATE TABLE begun ();
SELECT FROM gate;
-- migrate:down
-- belay: transaction off
DROP TABLE begun;
SELECT FROM gate;
"""


def begun_up(db) -> None:
    """2 has begun to go up and stopped at its second statement."""
    load(db, {"1.sql": MADE.format(n=1), "2.sql": GATED, "3.sql": MADE.format(n=3)})
    with expect_error("42P01"):
        run(db)


def begun_down(db) -> None:
    """2 has begun to go down and stopped at its second statement."""
    db.execute("CREATE TABLE gate ()")
    load(db, {"1.sql": MADE.format(n=1), "2.sql": GATED, "3.sql": MADE.format(n=3)})
    run(db, target="2")
    db.execute("DROP TABLE gate")
    with expect_error("42P01"):
        run(db, "down")


class Case(NamedTuple):
    arrange: Callable
    arguments: dict[str, object]
    steps: list[tuple[str, str]]
    #: For the steps that may not run, by their index: message and hint.
    blocked: dict[int, tuple[str, str]]
    sqlstate: str


RENAME = (
    "rename it so that it sorts after \"migration3\": SELECT belay.migrate_rename('migration2', 'migration5'); "
    "or after review let it run late: SELECT belay.migrate_accept_late('migration2', after => 'migration3', reason => '...'); "
    "or loosen the policy for this call: CALL belay.migrate_{}(ordering => 'permissive', reason => '...')"
)
LATE = ('migration "migration2" sorts before "migration3", which is applied already', RENAME.format("up"))
OUT_OF_ORDER = (
    'migration "migration2" is pending and sorts before "migration3", which is applied already',
    RENAME.format("down"),
)
GAP = (
    'reverting "migration2" would leave "migration3" applied, which sorts after it',
    "revert \"migration3\" as well, or loosen the policy for this call: "
    "CALL belay.migrate_down(ordering => 'permissive', reason => '...')",
)
POST_FIRST = "when the code of releases before 1.0.0 has gone: CALL belay.migrate_up(phase => 'post', release => '1.0.0')"
PAIR = (
    'reverting "4" would split it from "2", with which it is an indivisible pair',
    "CALL belay.migrate_down(steps => 3) reverts both",
)
FORBIDDEN = (
    'migration "{}" may not be reverted: the project does not allow it',
    "undo it in a new migration, or as the project's owner: SELECT belay.project_alter('default', allow_down => true)",
)
BEGUN = (
    'migration "2" began to go {0} and has not finished; statement 2 is next',
    "finish it: CALL belay.migrate_{0}(); or say how it stands: "
    "SELECT belay.migrate_mark('2', 'applied', reason => '...'), or 'pending'",
)


def begun(direction: str) -> tuple[str, str]:
    return BEGUN[0].format(direction), BEGUN[1].format(direction)


def forbidden(name: str) -> tuple[str, str]:
    return FORBIDDEN[0].format(name), FORBIDDEN[1]


def after_the_post(step: str) -> str:
    return f'migration "{step}" has to wait for the post of release 1.0.0, of which "01.00.00_50_post_b" is pending'


#: A name without a phase is of the phase `pre`.
LATER_PRES = ["01.02.00_01_c", "02.00.00_01_pre_d", "10.00.00_01_pre_f"]

BLOCKED = {
    "a late arrival": Case(late, {}, ups(2, 4), {0: LATE}, "MG001"),
    "a late arrival, one step": Case(late, {"steps": 1}, ups(2), {0: LATE}, "MG001"),
    "a late arrival before the target": Case(late, {"target": "migration4"}, ups(2, 4), {0: LATE}, "MG001"),
    "a late arrival on the way to": Case(late, {"verb": "to", "target": "migration2"}, ups(2), {0: LATE}, "MG001"),
    "down out of order": Case(late, {"verb": "down"}, downs(3), {0: OUT_OF_ORDER}, "MG001"),
    "redo out of order": Case(late, {"verb": "redo"}, downs(3) + ups(3), {0: OUT_OF_ORDER}, "MG001"),
    "to nothing out of order": Case(
        late, {"verb": "to", "target": "@none"}, downs(3, 1), {0: OUT_OF_ORDER}, "MG001"
    ),
    "down would leave a gap": Case(late_and_taken, {"verb": "down"}, downs(2), {0: GAP}, "MG001"),
    "a pre over an older post": Case(
        pre_of_the_next_release,
        {"phase": "pre"},
        [(name, "up") for name in LATER_PRES],
        {index: (after_the_post(name), POST_FIRST) for index, name in enumerate(LATER_PRES)},
        "MG001",
    ),
    "a requirement that is unknown": Case(
        requires_what_is_unknown, {}, [("1", "up"), ("2", "up")],
        {1: ('migration "2" requires "nowhere", which is not registered',
             'register "nowhere", or correct the line "-- belay: requires" of "2"')},
        "MG005",
    ),
    "a requirement that sorts after": Case(
        requires_what_sorts_after, {}, [("1", "up"), ("2", "up")],
        {0: ('migration "1" requires "2", which is not applied before it',
             "apply it first: CALL belay.migrate_up(target => '2'); if it sorts after \"1\", rename one of the two")},
        "MG005",
    ),
    "required by what stays": Case(
        required_by_an_earlier_one, {"verb": "down"}, [("2", "down")],
        {0: ('migration "2" is required by "1", which is applied', 'revert "1" first')},
        "MG005",
    ),
    "no down": Case(
        without_down, {"verb": "down", "steps": 2}, [("2", "down"), ("1", "down")],
        {1: ('migration "1" has no down',
             "undo it in a new migration, or undo it by hand and say so: "
             "SELECT belay.migrate_mark('1', 'pending', reason => '...')")},
        "MG004",
    ),
    "redo without a down": Case(
        without_down, {"verb": "redo", "steps": 2}, [("2", "down"), ("1", "down"), ("1", "up"), ("2", "up")],
        {1: ('migration "1" has no down',
             "undo it in a new migration, or undo it by hand and say so: "
             "SELECT belay.migrate_mark('1', 'pending', reason => '...')")},
        "MG004",
    ),
    "downs are forbidden": Case(
        downs_forbidden, {"verb": "to", "target": "@none"}, downs(2, 1),
        {0: forbidden("migration2"), 1: forbidden("migration1")}, "MG004",
    ),
    "half of a pair": Case(indivisible_pair, {"verb": "down"}, [("4", "down")], {0: PAIR}, "MG006"),
    "half of a pair, and more": Case(
        indivisible_pair, {"verb": "to", "target": "2"}, [("4", "down"), ("3", "down")], {0: PAIR}, "MG006"
    ),
    "half of a pair, redone": Case(indivisible_pair, {"verb": "redo"}, [("4", "down"), ("4", "up")], {0: PAIR}, "MG006"),
    "down while an up has begun": Case(begun_up, {"verb": "down"}, [("1", "down")], {0: begun("up")}, "MG007"),
    "redo while an up has begun": Case(
        begun_up, {"verb": "redo"}, [("1", "down"), ("1", "up")], {0: begun("up")}, "MG007"
    ),
    "up while a down has begun": Case(begun_down, {}, [("3", "up")], {0: begun("down")}, "MG007"),
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKED)
def test_plan_check_and_verb_give_the_same_reason(db, name):
    """The plan shows every reason as rows, the check and the verb raise the first and list all; nothing changes."""
    case = BLOCKED[name]
    case.arrange(db)
    expected = [
        (*step, None, case.blocked[index][0], case.sqlstate, case.blocked[index][1])
        if index in case.blocked
        else (*step, None, None, None, None)
        for index, step in enumerate(case.steps)
    ]
    with nothing_changes(db):
        assert plan(db, **case.arguments) == expected
    reasons = list(case.blocked.values())
    message, hint = reasons[0]
    detail = "\n".join(reason[0] for reason in reasons) if len(reasons) > 1 else None
    for raising in (check, run):
        with nothing_changes(db), expect_error(case.sqlstate, message=message, hint=hint) as error:
            raising(db, **case.arguments)
        assert error.detail == detail


def test_a_hint_names_the_project(db):
    db.execute("SELECT belay.project_create('it''s')")
    load(db, numbered(1, 3), project="it's")
    run(db, project="it's")
    load(db, numbered(1, 2, 3), project="it's")
    ((*_, hint),) = plan(db, project="it's")
    assert "belay.migrate_rename('migration2', 'migration4', project => 'it''s')" in hint
    assert "belay.migrate_accept_late('migration2', after => 'migration3', reason => '...', project => 'it''s')" in hint
    assert "CALL belay.migrate_up(ordering => 'permissive', reason => '...', project => 'it''s')" in hint


def test_the_hint_of_an_indivisible_pair_reverts_both_and_nothing_else(db):
    indivisible_pair(db)
    command = re.match(r"CALL .*?\)", plan(db, verb="down")[0][-1]).group()
    db.execute(command)
    assert applied(db) == ["1"]


def test_a_pair_that_is_divisible_may_be_split(db):
    load(db, {"1.sql": MADE.format(n=1), "2.sql": "-- belay: pairs-with 1\n" + MADE.format(n=2)})
    run(db)
    assert ways(db, verb="down") == [("2", "down")]
    run(db, "down")
    assert applied(db) == ["1"]


def test_half_of_an_indivisible_pair_may_be_reverted_while_the_other_is_not_applied(db):
    indivisible_pair(db)
    run(db, "down", steps=3)
    run(db, steps=2)
    assert applied(db) == ["1", "2", "3"]
    assert ways(db, verb="down", steps=2) == [("3", "down"), ("2", "down")]


def test_a_requirement_is_met_by_an_earlier_step_of_the_same_plan(db):
    load(db, {"1.sql": MADE.format(n=1), "2.sql": "-- belay: requires 1\n" + MADE.format(n=2)})
    assert ways(db) == [("1", "up"), ("2", "up")]
    run(db)
    assert ways(db, verb="redo", steps=2) == [("2", "down"), ("1", "down"), ("1", "up"), ("2", "up")]


def test_a_requirement_that_sorts_after_is_met_when_one_of_the_two_is_renamed(db):
    requires_what_sorts_after(db)
    db.execute("SELECT belay.migrate_rename('2', '0')")
    assert ways(db) == [("0", "up"), ("1", "up")]


@pytest.mark.parametrize(
    ("arrange", "resuming", "verb", "then"),
    [(begun_up, {}, "up", [("3", "up")]), (begun_down, {"verb": "down", "steps": 2}, "down", [("1", "down")])],
)
def test_a_plan_goes_on_with_what_has_begun_where_it_stopped(db, arrange, resuming, verb, then):
    arrange(db)
    rows = plan(db, **resuming)
    assert rows[0] == ("2", verb, 2, None, None, None)
    assert [row[:3] for row in rows[1:]] == [(*step, None) for step in then]
    assert check(db, **resuming) == len(rows)
    db.execute("CREATE TABLE gate ()")
    run(db, **resuming)
    assert [step[:2] for step in history(db)[-2:]] == [("2", verb), *then]
    assert ("begun" in tables(db)) == (verb == "up")


# ── the policy of the question ───────────────────────────────────────────────────────────────────────────────────────


def test_a_plan_may_ask_what_a_looser_call_would_do(db):
    late(db)
    with nothing_changes(db):
        assert ways(db, ordering="permissive") == ups(2, 4)
        assert ways(db, verb="down", ordering="permissive") == downs(3)


def test_a_plan_may_ask_what_a_tighter_call_would_do(db):
    db.execute("SELECT belay.project_create('default', ordering => 'permissive')")
    late(db)
    assert ways(db) == ups(2, 4)
    assert [row[3] for row in plan(db, ordering="strict")] == [LATE[0], None]
    with nothing_changes(db), expect_error("MG001", message=LATE[0], hint=LATE[1]):
        check(db, ordering="strict")


UNKNOWN = "SELECT name, state FROM belay.migrate_status() lists what is registered"
NONE_IS_LAST = "name a migration; '@none' as the target of migrate_to reverts everything"
NAMING = "phase and release need a project with naming 'release'; use target or steps"

#: Arguments that make no sense, with one migration applied and one pending: SQLSTATE, message and hint.
SENSELESS = {
    "an unknown target": ({"target": "nowhere"}, "MG011", 'migration "nowhere" is not registered', UNKNOWN),
    "an unknown target of to": (
        {"verb": "to", "target": "nowhere"}, "MG011", 'migration "nowhere" is not registered', UNKNOWN,
    ),
    "an empty target": ({"target": ""}, "22023", "target is empty", NONE_IS_LAST),
    "an empty target of to": ({"verb": "to", "target": ""}, "22023", "target is empty", NONE_IS_LAST),
    "no target of to": ({"verb": "to"}, "22023", "target must not be null", re.compile("target")),
    "up to nothing": (
        {"target": "@none"}, "22023", '"@none" is not a migration that can be applied',
        "CALL belay.migrate_to('@none') reverts everything",
    ),
    "no step": ({"steps": 0}, "22023", "steps => 0 is not a number of migrations", "pass steps => 1 or more"),
    "a negative step": (
        {"verb": "down", "steps": -1}, "22023", "steps => -1 is not a number of migrations", "pass steps => 1 or more",
    ),
    "an unknown verb": (
        {"verb": "sideways"}, "22023", "verb => 'sideways' is not known", "use 'up', 'down', 'to' or 'redo'",
    ),
    "no verb": ({"verb": None}, "22023", "verb must not be null", re.compile("verb")),
    "an unknown ordering": (
        {"ordering": "loose"}, "22023", "ordering => 'loose' is not known", "use 'strict', 'disjoint' or 'permissive'",
    ),
    "an unknown phase": ({"phase": "mid"}, "22023", "phase => 'mid' is not known", "use 'pre' or 'post'"),
    "no release": ({"release": "soon"}, "22023", re.compile('"soon"'), re.compile("release")),
    "a phase of names without": (
        {"phase": "pre"}, "22023", re.compile("no release and phase"), NAMING,
    ),
    "a release of names without": (
        {"release": "1.0.0"}, "22023", re.compile("no release and phase"), NAMING,
    ),
    "an unknown project": (
        {"project": "other"}, "MG011", 'project "other" does not exist', "projects are 'default'; SELECT belay.project_create('other') makes one",
    ),
    "no project": ({"project": None}, "22023", "project must not be null", re.compile("project")),
}  # fmt: skip


@pytest.mark.parametrize("function", ["migrate_plan", "migrate_check"])
@pytest.mark.parametrize("name", SENSELESS)
def test_a_senseless_question_is_an_error(db, name, function):
    arguments, sqlstate, message, hint = SENSELESS[name]
    apply(db, 1)
    load(db, numbered(1, 2))
    asked, given = call(function, arguments)
    with nothing_changes(db), expect_error(sqlstate, message=message, hint=hint):
        db.execute(f"SELECT * FROM {asked}", given)


#: What a verb does not take: verb and arguments, and the one that is wrong.
NOT_TAKEN = {
    "a target of down": ({"verb": "down", "target": "migration1"}, "target"),
    "a target of redo": ({"verb": "redo", "target": "migration1"}, "target"),
    "steps of to": ({"verb": "to", "target": "@none", "steps": 1}, "steps"),
    "a phase of down": ({"verb": "down", "phase": "pre"}, "phase"),
    "a release of redo": ({"verb": "redo", "release": "1.0.0"}, "release"),
}


@pytest.mark.parametrize("function", ["migrate_plan", "migrate_check"])
@pytest.mark.parametrize("name", NOT_TAKEN)
def test_an_argument_that_the_verb_does_not_take_is_an_error(db, name, function):
    """Passed over, it would show another plan than the one that was asked for."""
    arguments, wrong = NOT_TAKEN[name]
    apply(db, 1)
    asked, given = call(function, arguments)
    with nothing_changes(db), expect_error("22023", message=re.compile(wrong), hint=re.compile(".")):
        db.execute(f"SELECT * FROM {asked}", given)


def test_a_phase_is_senseless_also_when_all_is_applied(db):
    """A pipeline that always passes a phase must not find out at the first pending migration."""
    apply(db, 1)
    with expect_error("22023", message=re.compile("release and phase"), hint=NAMING):
        plan(db, phase="pre")


def test_a_plan_writes_nothing_in_a_read_only_transaction(db):
    late(db)
    with db.connect() as session:
        session.execute("BEGIN READ ONLY")
        assert session.one("SELECT count(*) FROM belay.migrate_plan()") == 2
        session.execute("COMMIT")
