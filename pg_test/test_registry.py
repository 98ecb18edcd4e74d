"""Projects, and migrations that are registered one by one: names, order, what may be replaced, renamed and removed."""

import random
import re

import pytest

from harness.session import expect_error
from ledger import applied, history, load, nothing_changes, numbered, registered

UP = "CREATE TABLE t (x text DEFAULT 'a  b')"
DOWN = "DROP TABLE t"


def register(db, name, up="SELECT 1", down=None, **options):
    given = "".join(f", {option} => %({option})s" for option in options)
    query = f"SELECT (belay.migrate_register(%(name)s, %(up)s, %(down)s{given})).name"
    return db.one(query, {"name": name, "up": up, "down": down, **options})


# ── projects ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_project_default_is_made_by_first_use_with_the_defaults(db):
    assert db.rows("SELECT * FROM belay.project") == []
    register(db, "1_a")
    query = "SELECT name, ordering, naming, naming_declared, allow_down, search_path, owner::text, trusted::text[] FROM belay.project"
    assert db.rows(query) == [("default", "strict", "natural", False, True, None, "postgres", [])]


def test_reading_before_first_use_makes_no_project(db):
    for query in (
        "SELECT * FROM belay.migrate_status()",
        "SELECT * FROM belay.migrate_plan()",
        "SELECT * FROM belay.migrate_validate()",
        "SELECT * FROM belay.migrate_history()",
    ):
        assert db.rows(query) == []
    assert db.one("SELECT belay.migrate_check()") == 0
    for call in ("up()", "down()", "to('@none')", "redo()"):
        db.execute(f"CALL belay.migrate_{call}")
    assert db.session.messages == ["nothing is registered; belay.migrate_register() or belay.migrate_load() begins"] * 4
    assert db.rows("SELECT * FROM belay.project") == []


def test_a_first_registration_that_fails_makes_no_project(db):
    with nothing_changes(db), expect_error("MG008", message="migration name is empty", hint=re.compile("0001_users")):
        register(db, "")


@pytest.mark.parametrize("reading", ["status", "plan", "check", "validate", "history"])
def test_a_project_that_does_not_exist_is_an_error(db, reading):
    register(db, "1_a")
    with expect_error("MG011", message='project "nope" does not exist', hint=re.compile("SELECT")):
        db.execute(f"SELECT belay.migrate_{reading}(project => 'nope')")


@pytest.mark.parametrize(
    "call",
    [
        "SELECT belay.migrate_register('1_a', 'SELECT 1', project => 'nope')",
        "SELECT belay.migrate_load_files('{\"1_a.sql\": \"SELECT 1\"}', project => 'nope')",
        "SELECT belay.migrate_unregister('1_a', project => 'nope')",
        "SELECT belay.migrate_rename('1_a', '2_a', project => 'nope')",
        "CALL belay.migrate_up(project => 'nope')",
        "CALL belay.migrate_down(project => 'nope')",
        "CALL belay.migrate_to('@none', project => 'nope')",
        "CALL belay.migrate_redo(project => 'nope')",
        "SELECT belay.project_alter('nope')",
    ],
)
def test_no_call_makes_a_project_by_the_way(db, call):
    register(db, "1_a")
    with (
        nothing_changes(db),
        expect_error(
            "MG011",
            message='project "nope" does not exist',
            hint="projects are 'default'; SELECT belay.project_create('nope') makes one",
        ),
    ):
        db.execute(call)


def test_project_create_keeps_what_it_was_given(db):
    returned = db.rows(
        """
        SELECT name, ordering, naming, naming_declared, allow_down, search_path, owner::text
        FROM belay.project_create('shop', ordering => 'permissive', naming => 'diesel', allow_down => false,
                                  search_path => 'app, public')
        """
    )
    assert returned == [("shop", "permissive", "diesel", True, False, "app, public", "postgres")]


def test_project_create_belongs_to_whom_it_says(db):
    owner = db.role("owner")
    assert db.one("SELECT owner::text FROM belay.project_create('shop', owner => %s)", [owner]) == owner
    other = db.role("other")
    assert db.one("SELECT owner::text FROM belay.project_alter('shop', owner => %s)", [other]) == other


def test_project_create_keeps_whom_it_trusts(db):
    roles = [db.role("ci"), db.role("robot")]
    query = "SELECT trusted::text[] FROM belay.project_create('shop', trusted => %s)"
    assert db.one(query, [roles]) == roles
    assert db.one("SELECT trusted::text[] FROM belay.project_alter('shop', trusted => '{}')") == []


@pytest.mark.parametrize("argument", ["owner => 'nobody there'", "trusted => '{nobody there}'"])
@pytest.mark.parametrize("function", ["project_create", "project_alter"])
def test_a_role_that_does_not_exist_is_refused(db, function, argument):
    if function == "project_alter":
        db.execute("SELECT belay.project_create('shop')")
    with (
        nothing_changes(db),
        expect_error(
            "22023",
            message='role "nobody there" does not exist',
            hint='CREATE ROLE "nobody there", or correct the name',
        ),
    ):
        db.execute(f"SELECT belay.{function}('shop', {argument})")


def test_a_project_is_made_once(db):
    db.execute("SELECT belay.project_create('shop')")
    with (
        nothing_changes(db),
        expect_error(
            "42710",
            message='project "shop" exists already',
            hint="SELECT belay.project_alter('shop', ...) changes it",
        ),
    ):
        db.execute("SELECT belay.project_create('shop', ordering => 'permissive')")


@pytest.mark.parametrize("name", ["", " ", " shop", "shop ", "a\tb", "a\nb", "p" * 64])
def test_a_bad_project_name_is_refused(db, name):
    with nothing_changes(db), expect_error("MG008", message=f'"{name}" is not a project name', hint=re.compile("1 to 63")):
        db.execute("SELECT belay.project_create(%s)", [name])


@pytest.mark.parametrize("name", ["p" * 63, "ü" * 63, "it's \"quoted\"", "select", "a b"])
def test_any_other_project_name_works(db, name):
    db.execute("SELECT belay.project_create(%s)", [name])
    register(db, "1_a", project=name)
    db.execute("CALL belay.migrate_up(project => %s)", [name])
    assert (registered(db, name), applied(db, name)) == (["1_a"], ["1_a"])


@pytest.mark.parametrize(
    ("argument", "message", "hint"),
    [
        ("ordering => 'loose'", "ordering => 'loose' is not known", "use 'strict', 'disjoint' or 'permissive'"),
        ("naming => 'semver'", "naming => 'semver' is not known", "use 'natural', 'release' or 'diesel'"),
    ],
)
@pytest.mark.parametrize("function", ["project_create", "project_alter"])
def test_an_unknown_word_is_refused(db, function, argument, message, hint):
    if function == "project_alter":
        db.execute("SELECT belay.project_create('shop')")
    with nothing_changes(db), expect_error("22023", message=message, hint=hint):
        db.execute(f"SELECT belay.{function}('shop', {argument})")


def test_project_alter_changes_what_it_is_given_and_nothing_else(db):
    db.execute("SELECT belay.project_create('shop', search_path => 'app')")
    query = "SELECT ordering, naming, allow_down, search_path FROM belay.project_alter('shop'{})"
    assert db.rows(query.format("")) == [("strict", None, True, "app")]
    assert db.rows(query.format(", ordering => 'permissive'")) == [("permissive", None, True, "app")]
    assert db.rows(query.format(", naming => 'release'")) == [("permissive", "release", True, "app")]
    assert db.rows(query.format(", allow_down => false")) == [("permissive", "release", False, "app")]
    assert db.rows(query.format(", search_path => ''")) == [("permissive", "release", False, None)]


def test_project_alter_is_the_owners(db):
    db.execute("SELECT belay.project_create('shop')")
    stranger = db.role("stranger")
    db.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA belay TO {stranger}")
    with (
        db.connect(user=stranger) as session,
        nothing_changes(db),
        expect_error(
            "42501",
            message='only the owner of project "shop" may alter it',
            hint="SET ROLE postgres, or ask a member of that role",
        ),
    ):
        session.execute("SELECT belay.project_alter('shop', ordering => 'permissive')")


def test_a_project_belongs_to_the_role_that_makes_it(db):
    maker = db.role("maker")
    db.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA belay TO {maker}")
    with db.connect(user=maker) as session:
        assert session.one("SELECT owner::text FROM belay.project_create('shop')") == maker
        session.execute("SELECT belay.project_alter('shop', ordering => 'permissive')")
    assert db.rows("SELECT ordering FROM belay.project") == [("permissive",)]


def test_project_default_belongs_to_the_extensions_owner_whoever_uses_it_first(db):
    """Else the first deployer could loosen the rules for everybody."""
    role = db.role("deployer")
    db.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA belay TO {role}")
    with db.connect(user=role) as session:
        register(session, "1_a")
    assert db.rows("SELECT owner::text, created_by::text FROM belay.project") == [("postgres", role)]


def test_projects_are_independent(db):
    for project in ("one", "two"):
        db.execute("SELECT belay.project_create(%s)", [project])
        load(db, {"a.sql": f"CREATE TABLE {project} ()\n-- migrate:down\nDROP TABLE {project}"}, project=project)
        db.execute("CALL belay.migrate_up(project => %s)", [project])
    db.execute("CALL belay.migrate_down(project => 'one')")
    assert (applied(db, "one"), applied(db, "two")) == ([], ["a"])
    assert history(db, "two") == [("a", "up", "applied")]
    assert db.one("SELECT to_regclass('one') IS NULL AND to_regclass('two') IS NOT NULL")


# ── registering ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_register_returns_the_row(db):
    query = "SELECT name, loaded, reversible, up_transaction, registered_by::text FROM belay.migrate_register('1_a', %s, %s)"
    assert db.rows(query, [UP, DOWN]) == [("1_a", False, True, True, "postgres")]


@pytest.mark.parametrize(
    ("up", "down"),
    [
        (UP, DOWN),
        (f"  {UP} ;\n\n", f"{DOWN};"),
        (UP.replace(" (", "\r\n(\r\n\t"), DOWN.replace(" ", "\r\n")),
        (f"-- a comment\n{UP} /* and /* a nested */ one */", f"/**/{DOWN}--"),
        (f"{UP}", f"-- down\n{DOWN}"),
    ],
)
@pytest.mark.parametrize("is_applied", [False, True])
def test_the_same_definition_again_changes_nothing_however_it_is_spaced(db, up, down, is_applied):
    register(db, "1_a", UP, DOWN)
    if is_applied:
        db.execute("CALL belay.migrate_up()")
    for replace in (False, True):
        with nothing_changes(db):
            assert register(db, "1_a", up, down, replace=replace) == "1_a"


@pytest.mark.parametrize(
    ("up", "down"),
    [
        (UP.replace("a  b", "a b"), DOWN),
        (UP.replace("text", "varchar"), DOWN),
        (UP, None),
        (UP, DOWN + " CASCADE"),
        (UP.replace("'a  b'", "$$a  b$$"), DOWN),
    ],
)
def test_another_definition_of_a_pending_one_needs_replace(db, up, down):
    register(db, "1_a", UP, DOWN)
    with (
        nothing_changes(db),
        expect_error(
            "MG003",
            message='migration "1_a" is registered with another definition',
            hint="pass replace => true to replace it while it is pending",
        ),
    ):
        register(db, "1_a", up, down)
    register(db, "1_a", up, down, replace=True)
    stored = "SELECT up, down FROM belay.definition d JOIN belay.migration m ON m.definition_id = d.id"
    assert db.rows(stored) == [(up, down)]
    assert registered(db) == ["1_a"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("SELECT 1", "-- belay: transaction off\nSELECT 1"),
        ("SELECT 1", "-- belay: requires 0_a\nSELECT 1"),
        ("-- belay: lock-timeout 1s\nSELECT 1", "-- belay: lock-timeout 2s\nSELECT 1"),
        ("-- belay: pairs-with 0_a\nSELECT 1", "-- belay: pairs-with 0_a indivisible\nSELECT 1"),
    ],
)
def test_another_directive_is_another_definition_though_it_is_a_comment(db, first, second):
    register(db, "1_a", first)
    with nothing_changes(db), expect_error("MG003", hint=re.compile("replace => true")):
        register(db, "1_a", second)
    register(db, "1_a", second, replace=True)
    assert db.rows("SELECT up FROM belay.definition d JOIN belay.migration m ON m.definition_id = d.id") == [(second,)]


@pytest.mark.parametrize("replace", [False, True])
def test_what_is_applied_is_immutable(db, replace):
    register(db, "1_a", UP, DOWN)
    db.execute("CALL belay.migrate_up()")
    with (
        nothing_changes(db),
        expect_error(
            "MG003",
            message='migration "1_a" is applied and its definition has changed',
            hint=re.compile("write a new migration; or revert it first: CALL belay.migrate_down\\(\\)"),
            detail=re.compile("applied with checksum [0-9a-f]{64}"),
        ),
    ):
        register(db, "1_a", UP + ";SELECT 1", DOWN, replace=replace)


def test_what_was_reverted_may_be_replaced_and_history_keeps_both_checksums(db):
    register(db, "1_a", UP, DOWN)
    db.execute("CALL belay.migrate_up()")
    db.execute("CALL belay.migrate_down()")
    register(db, "1_a", UP + ";SELECT 1", DOWN, replace=True)
    db.execute("CALL belay.migrate_up()")
    sums = [row[0] for row in db.rows("SELECT checksum FROM belay.migrate_history()")]
    assert sums[0] == sums[1] != sums[2]
    assert sums[2] == db.one("SELECT belay.migrate_checksum(%s, %s)", [UP + ";SELECT 1", DOWN])


@pytest.mark.parametrize("up", ["", "  \n", "-- nothing", "/* nothing */", ";", "-- belay: transaction off"])
def test_an_up_without_a_statement_is_refused(db, up):
    with nothing_changes(db), expect_error("MG009", message="the up holds no statement", hint=re.compile("SELECT 1")):
        register(db, "1_a", up)


def test_a_down_without_a_statement_is_none(db):
    register(db, "1_a", "SELECT 1", "-- nothing")
    assert db.rows("SELECT reversible FROM belay.migration") == [(False,)]


def test_a_syntax_error_is_the_servers_own_with_its_place(db):
    with (
        nothing_changes(db),
        expect_error(
            "42601",
            message='syntax error at or near "selec"',
            hint=re.compile("correct the SQL and register it again; nothing was registered"),
        ) as error,
    ):
        register(db, "1_a", "SELECT 1;\n selec 2")
    assert 'migration "1_a", up, line 2' in error.context
    assert (error.internal_position, error.internal_query) == ("12", "SELECT 1;\n selec 2")
    assert error.position is None, "the caret would point into the caller's own statement"


def test_ten_megabytes_of_sql_are_one_migration(db):
    text = "CREATE TABLE t (x text);\n" + "INSERT INTO t VALUES ('" + "x" * (10 * 1024 * 1024) + "');\n"
    register(db, "1_big", text, "DROP TABLE t")
    db.execute("CALL belay.migrate_up()")
    assert db.one("SELECT length(x) FROM t") == 10 * 1024 * 1024


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────

BAD_NAMES = [
    ("", "migration name is empty", "give the migration a name such as '0001_users'"),
    (
        "x" * 501,
        f'migration name "{"x" * 40}..." has 501 characters, the most is 500',
        "choose a name of at most 500 characters",
    ),
    (
        "@none",
        'migration name "@none" begins with "@", which is reserved',
        "choose a name that does not begin with '@'",
    ),
    ("@", 'migration name "@" begins with "@", which is reserved', "choose a name that does not begin with '@'"),
    *(
        (
            f"a{control}b",
            f'migration name "a{shown}b" holds the control character U+{ord(control):04X}',
            "remove control characters such as tabs and line breaks from the name",
        )
        for control, shown in [("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\x7f", "\\u{7f}"), ("\x85", "\\u{85}")]
    ),
    *(
        (name, f'migration name "{name}" begins or ends with white space', "remove the white space around the name")
        for name in (" a", "a ", "\u00a0a", " ")
    ),
]


@pytest.mark.parametrize(("name", "message", "hint"), BAD_NAMES, ids=[ascii(name)[:12] for name, _, _ in BAD_NAMES])
def test_a_bad_name_is_refused_wherever_it_comes_from(db, name, message, hint):
    register(db, "1_good")
    with nothing_changes(db), expect_error("MG008", message=message, hint=hint):
        register(db, name)
    with nothing_changes(db), expect_error("MG008", message=message, hint=hint):
        db.execute("SELECT belay.migrate_rename('1_good', %s)", [name])
    if name and name.isprintable() and name == name.strip():
        with nothing_changes(db), expect_error("MG008", message=re.compile(re.escape(message)), hint=hint):
            load(db, {f"{name}.sql": "SELECT 1", "1_good.sql": "SELECT 1"})


def longest_name(kind: str, seed: int) -> str:
    """500 characters that no compression makes short: the keys of the indexes must hold them."""
    choose = random.Random(seed)
    if kind == "ascii":
        return "".join(choose.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-0123456789", k=500))
    if kind == "four bytes":
        return "".join(chr(choose.randrange(0x20000, 0x2A6D0)) for _ in range(500))
    if kind == "digits":
        return "".join(f"{chr(choose.randrange(0x20000, 0x2A6D0))}{choose.randrange(10)}" for _ in range(250))
    if kind == "zeros":
        return "".join(f"0{chr(choose.randrange(0x20000, 0x2A6D0))}" for _ in range(250))
    return "".join(f"-{chr(choose.randrange(0x20000, 0x2A6D0))}" for _ in range(250))


@pytest.mark.parametrize("naming", ["natural", "release", "diesel"])
@pytest.mark.parametrize("kind", ["ascii", "four bytes", "digits", "zeros", "dashes"])
def test_a_name_of_500_characters_works(db, naming, kind):
    db.execute("SELECT belay.project_create('default', naming => %s)", [naming])
    prefix = "999999999999.888888888888.777777777777-rc.1_99_post_" if naming == "release" else "x"
    first, second = (f"{prefix}{longest_name(kind, seed)}"[:500].rstrip("-") for seed in (1, 2))
    if naming == "release":
        first, second = (name[: len(prefix)] + name[len(prefix) :].lower().replace("-", "_") for name in (first, second))
    assert len(first) >= 499
    register(db, first, "CREATE TABLE t ()", "DROP TABLE t")
    register(db, second, "CREATE TABLE u ()", "DROP TABLE u")
    db.execute("CALL belay.migrate_up()")
    assert sorted(applied(db)) == sorted([first, second])
    db.execute("CALL belay.migrate_to(%s)", [applied(db)[0]])
    assert len(history(db)) == 3


@pytest.mark.parametrize("name", ["it's", 'a"b', "a b", "a,b", "ünïcode", "$$", "%s", "a;b", "\\", "select", "a/b", "0", "naïve.sql"])
def test_a_strange_name_works(db, name):
    register(db, name, "CREATE TABLE t ()", "DROP TABLE t")
    db.execute("CALL belay.migrate_up(target => %s)", [name])
    db.execute("CALL belay.migrate_to('@none')")
    assert history(db) == [(name, "up", "applied"), (name, "down", "reverted")]


# ── namings ──────────────────────────────────────────────────────────────────────────────────────────────────────────

ORDERS = {
    "natural": ["1_x", "2_b", "02_c", "9_z", "10_a", "010_b", "100", "20140101_a", "A", "_", "a", "a1", "a2", "a10", "b", "é"],
    "release": [
        "0.9.0_01_x",
        "1.0.0-alpha.1_01_x",
        "1.0.0-rc.1_01_x",
        "1.0.0_01_pre_z",
        "1.0.0_02_pre_a",
        "1.0.0_50_post_a",
        "1.0.0_99_post_a",
        "1.0.10_01_x",
        "1.2.0_01_x",
        "1.10.0_01_x",
        "10.0.0_01_x",
    ],
    "diesel": ["00000000000000_diesel_initial_setup", "2_a", "20140924113530_x", "2017-09-23-182408_y", "20170923182409_z", "a_b"],
}


@pytest.mark.parametrize("naming", sorted(ORDERS))
def test_each_naming_has_one_order_for_everything(db, naming):
    expected = ORDERS[naming]
    db.execute("SELECT belay.project_create('default', naming => %s)", [naming])
    shuffled = random.Random(7).sample(expected, len(expected))
    for name in shuffled:
        register(db, name)
    assert registered(db) == expected
    assert [name for (name,) in db.rows("SELECT name FROM belay.migrate_plan()")] == expected
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == expected


@pytest.mark.parametrize(
    ("files", "naming"),
    [
        ({"1_a.sql": "SELECT 1", "2_b.sql": "SELECT 1"}, "natural"),
        ({"1.0.0_01_a.sql": "SELECT 1", "1.0.0_50_post_b.sql": "SELECT 1"}, "release"),
        ({"2014_a/up.sql": "SELECT 1", "2015_b/up.sql": "SELECT 1"}, "diesel"),
        ({"1.0.0_01_a/up.sql": "SELECT 1"}, "release"),
        ({"1_a.up.sql": "SELECT 1", "1_a.down.sql": "SELECT 1"}, "natural"),
    ],
)
def test_naming_is_found_from_the_first_load(db, files, naming):
    load(db, files)
    assert db.rows("SELECT naming, naming_declared FROM belay.project") == [(naming, False)]


@pytest.mark.parametrize(("name", "naming"), [("1_a", "natural"), ("1.0.0_01_a", "release"), ("2017-01-01-000000_a", "natural")])
def test_naming_is_found_from_the_first_registration(db, name, naming):
    register(db, name)
    assert db.rows("SELECT naming, naming_declared FROM belay.project") == [(naming, False)]


MIXED = [
    (
        "natural",
        "1_a",
        "1.0.0_01_pre_b",
        'migration name "1.0.0_01_pre_b" is in release form, but the project\'s naming is "natural"',
        "project => 'name'",
    ),
    (
        "release",
        "1.0.0_01_a",
        "2_b",
        'migration name "2_b" is not in release form: it must begin with a version of three numbers',
        "names of this project look like",
    ),
]


@pytest.mark.parametrize(("naming", "first", "other", "message", "hint"), MIXED, ids=[row[0] for row in MIXED])
def test_mixed_naming_is_refused_at_registration(db, naming, first, other, message, hint):
    register(db, first)
    with nothing_changes(db), expect_error("MG008", message=message, hint=re.compile(hint)):
        register(db, other)
    with nothing_changes(db), expect_error("MG008", message=re.compile(re.escape(message)), hint=re.compile(hint)):
        load(db, {f"{first}.sql": "SELECT 1", f"{other}.sql": "SELECT 1"})
    with nothing_changes(db), expect_error("MG008", message=message, hint=re.compile(hint)):
        db.execute("SELECT belay.migrate_rename(%s, %s)", [first, other])


def test_a_first_load_of_mixed_names_is_refused(db):
    with nothing_changes(db), expect_error("MG008", message=re.compile("is in release form"), hint=re.compile("rename it")):
        load(db, {"1_a.sql": "SELECT 1", "1.0.0_01_b.sql": "SELECT 1"})


def test_a_declared_natural_project_takes_names_that_look_like_releases(db):
    db.execute("SELECT belay.project_create('default', naming => 'natural')")
    for name in ("1_a", "1.0.0_01_pre_b"):
        register(db, name)
    assert registered(db) == ["1.0.0_01_pre_b", "1_a"]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("1.0_01_x", "it must begin with a version of three numbers"),
        ("v1.0.0_01_x", "it must begin with a version of three numbers"),
        ("1.0.0_x", "the version must be followed by a number"),
        ("1.0.0_01_", "it has no description"),
        ("1.0.0_01_pre_", "it has no description"),
        ("1.0.0_01_PRE_x", 'the phase must be written "pre" or "post"'),
        ("1.0.0+build_01_x", "its version has build metadata, which has no order"),
        ("1.0.0_4294967296_x", "its number is too large"),
        ("99999999999999999999.0.0_01_x", "a number of its version is too large"),
    ],
)
def test_a_name_that_is_nearly_a_release_says_what_it_breaks(db, name, rule):
    db.execute("SELECT belay.project_create('default', naming => 'release')")
    message = f'migration name "{name}" is not in release form: {rule}'
    with nothing_changes(db), expect_error("MG008", message=message, hint=re.compile("'(3.1.0_01_pre_add_column|1.0.0_01_(pre_)?x)'")):
        register(db, name)


def test_naming_is_fixed_while_something_is_registered(db):
    register(db, "1_a")
    with (
        nothing_changes(db),
        expect_error(
            "MG008",
            message="project \"default\" has migrations in naming 'natural'",
            hint=re.compile("make another project"),
        ),
    ):
        db.execute("SELECT belay.project_alter('default', naming => 'diesel')")
    db.execute("SELECT belay.migrate_unregister('1_a')")
    db.execute("SELECT belay.project_alter('default', naming => 'diesel')")
    assert db.rows("SELECT naming, naming_declared FROM belay.project") == [("diesel", True)]


def test_release_and_phase_are_read_from_the_name(db):
    for name in ("1.2.0_01_pre_a", "1.2.0_50_post_b", "1.2.0_03_c", "1.2.0-rc.1_01_a"):
        register(db, name)
    query = "SELECT name, release, phase FROM belay.migration ORDER BY sort_key"
    found = {name: (release, phase) for name, release, phase in db.rows(query)}
    assert found["1.2.0_01_pre_a"] == ("1.2.0", "pre")
    assert found["1.2.0_50_post_b"] == ("1.2.0", "post")
    assert found["1.2.0-rc.1_01_a"][0] == "1.2.0-rc.1"
    assert found["1.2.0_03_c"][0] == "1.2.0"


# ── unregister ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_unregister_takes_a_pending_migration_out(db):
    load(db, numbered(1, 2))
    db.execute("SELECT belay.migrate_unregister('migration2')")
    assert registered(db) == ["migration1"]
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["migration1"]


def test_unregister_keeps_the_history(db):
    load(db, numbered(1))
    db.execute("CALL belay.migrate_up()")
    db.execute("CALL belay.migrate_down()")
    db.execute("SELECT belay.migrate_unregister('migration1')")
    assert registered(db) == []
    assert history(db) == [("migration1", "up", "applied"), ("migration1", "down", "reverted")]
    load(db, numbered(1))
    db.execute("CALL belay.migrate_up()")
    assert len(history(db)) == 3


@pytest.mark.parametrize(
    ("name", "sqlstate", "message", "hint"),
    [
        ("migration1", "MG015", 'migration "migration1" is applied and stays registered', "CALL belay.migrate_down\\(\\)"),
        ("nope", "MG011", 'migration "nope" is not registered', "belay.migrate_status\\(\\)"),
        ("", "MG011", 'migration "" is not registered', "belay.migrate_status\\(\\)"),
    ],
)
def test_unregister_refuses(db, name, sqlstate, message, hint):
    load(db, numbered(1))
    db.execute("CALL belay.migrate_up()")
    with nothing_changes(db), expect_error(sqlstate, message=message, hint=re.compile(hint)):
        db.execute("SELECT belay.migrate_unregister(%s)", [name])


def test_an_unfinished_migration_stays_registered(db):
    register(db, "1_a", "-- belay: transaction off\nCREATE TABLE t ();\nSELECT 1/0")
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    with (
        nothing_changes(db),
        expect_error(
            "MG007",
            message='migration "1_a" has begun and not ended',
            hint=re.compile("CALL belay.migrate_up\\(\\)"),
        ),
    ):
        db.execute("SELECT belay.migrate_unregister('1_a')")


# ── rename ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rename_gives_a_pending_migration_another_place(db):
    load(db, numbered(1, 2, 3))
    assert db.one("SELECT (belay.migrate_rename('migration1', 'migration9')).name") == "migration9"
    assert registered(db) == ["migration2", "migration3", "migration9"]
    db.execute("CALL belay.migrate_up()")
    assert applied(db) == ["migration2", "migration3", "migration9"]


def test_rename_of_an_applied_migration_keeps_history_and_position(db):
    load(db, numbered(1, 2))
    db.execute("CALL belay.migrate_up()")
    db.execute("SELECT belay.migrate_rename('migration2', 'migration3')")
    assert applied(db) == ["migration1", "migration3"]
    assert [step[0] for step in history(db)] == ["migration1", "migration2"]
    db.execute("CALL belay.migrate_down()")
    assert history(db)[-1] == ("migration3", "down", "reverted")


def test_rename_to_the_same_name_changes_nothing(db):
    load(db, numbered(1))
    with nothing_changes(db):
        db.execute("SELECT belay.migrate_rename('migration1', 'migration1')")


@pytest.mark.parametrize(
    ("old", "new", "sqlstate", "message", "hint"),
    [
        ("nope", "other", "MG011", 'migration "nope" is not registered', "belay.migrate_status\\(\\)"),
        ("migration1", "migration2", "42710", 'migration "migration2" is registered already', "choose another name"),
    ],
)
def test_rename_refuses(db, old, new, sqlstate, message, hint):
    load(db, numbered(1, 2))
    with nothing_changes(db), expect_error(sqlstate, message=message, hint=re.compile(hint)):
        db.execute("SELECT belay.migrate_rename(%s, %s)", [old, new])


def test_rename_in_a_release_project_moves_the_release_too(db):
    register(db, "1.0.0_01_pre_a")
    db.execute("SELECT belay.migrate_rename('1.0.0_01_pre_a', '2.0.0_55_post_b')")
    assert db.rows("SELECT name, release, phase FROM belay.migration") == [("2.0.0_55_post_b", "2.0.0", "post")]


def test_rename_carries_requirements_along(db):
    """A name that others mention would otherwise point nowhere."""
    register(db, "1_a")
    register(db, "2_b", "-- belay: requires 1_a\nSELECT 1")
    db.execute("SELECT belay.migrate_rename('1_a', '1_z')")
    assert db.rows("SELECT name, blocked_by FROM belay.migrate_plan()") == [("1_z", None), ("2_b", None)]
