"""Whole sets: layouts, directories of the server, what a load adds, replaces, prunes, misses and refuses."""

import json
import os
import re

import pytest

from harness.session import describe, expect_error
from ledger import applied, history, load, nothing_changes, numbered, registered, tables

# ── layouts ──────────────────────────────────────────────────────────────────────────────────────────────────────────

#: files → (name, up, down, up in a transaction, down in a transaction)
LAYOUTS = {
    "up only": ({"1_a.sql": "SELECT 1"}, ("1_a", "SELECT 1", None, True, True)),
    "sections": (
        {"1_a.sql": "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n"},
        ("1_a", "-- migrate:up\nSELECT 1;\n", "-- migrate:down\nSELECT 2;\n", True, True),
    ),
    "a down section by itself": (
        {"1_a.sql": "SELECT 1;\n-- migrate:down\nSELECT 2"},
        ("1_a", "SELECT 1;\n", "-- migrate:down\nSELECT 2", True, True),
    ),
    "an empty down section": (
        {"1_a.sql": "-- migrate:up\nSELECT 1;\n-- migrate:down\n"},
        ("1_a", "-- migrate:up\nSELECT 1;\n", None, True, True),
    ),
    "dbmate's transaction:false": (
        {"1_a.sql": "-- migrate:up transaction:false\nSELECT 1;\n-- migrate:down\nSELECT 2"},
        ("1_a", "-- migrate:up transaction:false\nSELECT 1;\n", "-- migrate:down\nSELECT 2", False, True),
    ),
    "two files": (
        {"1_a.up.sql": "SELECT 1", "1_a.down.sql": "SELECT 2"},
        ("1_a", "SELECT 1", "SELECT 2", True, True),
    ),
    "an up file and no down": ({"1_a.up.sql": "SELECT 1"}, ("1_a", "SELECT 1", None, True, True)),
    "whole and down": ({"1_a.sql": "SELECT 1", "1_a.down.sql": "SELECT 2"}, ("1_a", "SELECT 1", "SELECT 2", True, True)),
    "a directory": ({"1_a/up.sql": "SELECT 1", "1_a/down.sql": "SELECT 2"}, ("1_a", "SELECT 1", "SELECT 2", True, True)),
    "a directory without transaction": (
        {"1_a/up.sql": "SELECT 1", "1_a/down.sql": "SELECT 2", "1_a/metadata.toml": "run_in_transaction = false"},
        ("1_a", "SELECT 1", "SELECT 2", False, False),
    ),
    "sqlx's no-transaction": (
        {"1_a.up.sql": "-- no-transaction\nSELECT 1", "1_a.down.sql": "SELECT 2"},
        ("1_a", "-- no-transaction\nSELECT 1", "SELECT 2", False, True),
    ),
    "a byte order mark": ({"1_a.sql": "\ufeffSELECT 1"}, ("1_a", "SELECT 1", None, True, True)),
    "line ends of Windows": ({"1_a.sql": "SELECT\r\n1;\r\n"}, ("1_a", "SELECT\r\n1;\r\n", None, True, True)),
    "another case of the extension": ({"1_a.SQL": "SELECT 1"}, ("1_a", "SELECT 1", None, True, True)),
    "what is no migration is passed over": (
        {"1_a.sql": "SELECT 1", "README.md": "# x", ".hidden.sql": "no", ".git/x.sql": "no", "seeds.csv": "1"},
        ("1_a", "SELECT 1", None, True, True),
    ),
    "a statement that runs alone": (
        {"1_a.sql": "CREATE INDEX CONCURRENTLY i ON t (x)", "1_a.down.sql": "DROP INDEX i"},
        ("1_a", "CREATE INDEX CONCURRENTLY i ON t (x)", "DROP INDEX i", False, True),
    ),
    "dots in a name": ({"1.a.b.sql": "SELECT 1"}, ("1.a.b", "SELECT 1", None, True, True)),
}

STORED = """
    SELECT m.name, d.up, d.down, m.up_transaction, m.down_transaction
    FROM belay.migration m JOIN belay.definition d ON d.id = m.definition_id
"""


def write(folder, files) -> None:
    """The files in a folder of the server; contents are str or bytes."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())


def load_directory(db, folder, **options):
    given = "".join(f", {option} => %({option})s" for option in options)
    query = f"SELECT name, action FROM belay.migrate_load(%(directory)s{given})"
    return db.rows(query, {"directory": str(folder), **options})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_understood_from_the_client_and_from_the_server(db, server_folder, layout):
    files, expected = LAYOUTS[layout]
    write(server_folder, files)
    assert load_directory(db, server_folder) == [("1.a.b" if layout == "dots in a name" else "1_a", "added")]
    assert db.rows(STORED) == [expected]
    with nothing_changes(db):
        assert load(db, files) == [], "the same files from the client are the same set"


def test_the_same_set_again_changes_nothing_however_it_is_laid_out(db):
    load(db, {"1_a.sql": "SELECT 1;\n-- migrate:down\nSELECT 2;\n"})
    db.execute("CALL belay.migrate_up()")
    for files in (
        {"1_a.up.sql": "SELECT 1", "1_a.down.sql": "SELECT 2"},
        {"1_a/up.sql": "SELECT 1 ;", "1_a/down.sql": "\r\nSELECT 2"},
        {"1_a.sql": "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2 -- why\n"},
    ):
        with nothing_changes(db):
            assert load(db, files) == []


# ── bad sets ─────────────────────────────────────────────────────────────────────────────────────────────────────────

LAYOUT_HINT = "migrations are files NAME.sql, NAME.up.sql and NAME.down.sql, or NAME/up.sql and NAME/down.sql"
PSQL_HINT = "migrations run inside the server, which knows no psql commands; write plain SQL"
COPY_HINT = "this looks like the data of COPY ... FROM STDIN; write the rows as INSERT (pg_dump --inserts)"

#: files, SQLSTATE, message, hint; each beside a good file, and none of the set may be registered.
BAD_SETS = {
    "two files of one name": (
        {"2.sql": "SELECT 1", "2.up.sql": "SELECT 1"},
        "MG009", 'migration "2" is defined by both "2.sql" and "2.up.sql"', "keep one of the two files",
    ),
    "file and directory of one name": (
        {"2.sql": "SELECT 1", "2/up.sql": "SELECT 1"},
        "MG009", 'migration "2" is defined by both "2.sql" and "2/up.sql"', "keep one of the two files",
    ),
    "halves in two layouts": (
        {"2.up.sql": "SELECT 1", "2/down.sql": "SELECT 1"},
        "MG009", 'migration "2" is defined by both "2.up.sql" and "2/down.sql"', "keep one of the two files",
    ),
    "two downs": (
        {"2.sql": "SELECT 1;\n-- migrate:down\nSELECT 2", "2.down.sql": "SELECT 2"},
        "MG009", 'file "2.sql", line 2: the down is given twice, as a section and as a text of its own', "keep one of them",
    ),
    "a down without an up": (
        {"2.down.sql": "SELECT 1"},
        "MG009", 'file "2.down.sql": migration "2" has a down and no up', "add the up, or remove the down",
    ),
    "an up without a folder": (
        {"up.sql": "SELECT 1"},
        "MG009", 'file "up.sql" does not stand in a folder that names its migration',
        "load the folder above it, or give the file the migration's name",
    ),
    "another file in a folder": (
        {"2/x.sql": "SELECT 1"},
        "MG009", 'file "2/x.sql" stands in a subfolder and is neither "up.sql" nor "down.sql"',
        "give paths relative to the folder of migrations, and keep other SQL files out of it",
    ),
    "a folder in a folder": (
        {"app/2/up.sql": "SELECT 1"},
        "MG009", 'file "app/2/up.sql" stands in a subfolder and is neither "up.sql" nor "down.sql"',
        "give paths relative to the folder of migrations, and keep other SQL files out of it",
    ),
    "an empty file": (
        {"2.sql": ""}, "MG009", 'file "2.sql": the up holds no statement', "write at least one statement; SELECT 1 does nothing",
    ),
    "an empty up section": (
        {"2.sql": "-- migrate:up\n-- migrate:down\nSELECT 1"},
        "MG009", 'file "2.sql": the up holds no statement', "write at least one statement; SELECT 1 does nothing",
    ),
    "the down section first": (
        {"2.sql": "-- migrate:down\nSELECT 2;\n-- migrate:up\nSELECT 1"},
        "MG009", 'file "2.sql", line 1: section marker "-- migrate:down" stands before "-- migrate:up"', "put the up section first",
    ),
    "two up sections": (
        {"2.sql": "-- migrate:up\nSELECT 1;\n-- migrate:up\nSELECT 1"},
        "MG009", 'file "2.sql", line 3: section marker "-- migrate:up" is given twice',
        "write one migration a file, with one up and one down section",
    ),
    "a statement before the up section": (
        {"2.sql": "SELECT 1;\n-- migrate:up\nSELECT 1"},
        "MG009", 'file "2.sql", line 2: a statement stands before "-- migrate:up"', 'move the statement below "-- migrate:up"',
    ),
    "an option that is not understood": (
        {"2.sql": "-- migrate:up transaction=false\nSELECT 1"},
        "MG009", 'file "2.sql", line 1: section option "transaction=false" is not understood',
        "write transaction:false or transaction:true",
    ),
    "an unknown directive": (
        {"2.sql": "-- note\n-- belay: transactions off\nSELECT 1"},
        "MG009", 'file "2.sql", line 2: unknown directive "transactions"',
        "directives are: transaction on|off, requires A, B, pairs-with NAME [indivisible], lock-timeout 2s, lock-retries 3, privileged [on|off], waive RULE REASON",
    ),
    "a directive below the head": (
        {"2.sql": "SELECT 1;\n-- belay: transaction off\nSELECT 2"},
        "MG009", 'file "2.sql", line 2: directive "transaction" stands after the first statement',
        "move it to the head of the text, before the first statement",
    ),
    "a directive twice": (
        {"2.sql": "-- belay: lock-timeout 1s\n-- belay: lock-timeout 2s\nSELECT 1"},
        "MG009", 'file "2.sql", line 2: directive "lock-timeout" is given twice', "keep one of them",
    ),
    "a lock-timeout without unit": (
        {"2.sql": "-- belay: lock-timeout 2\nSELECT 1"},
        "MG009", 'file "2.sql", line 1: directive "lock-timeout" cannot be "2"',
        "write lock-timeout 500ms, 2s or 1min, at most 2147483647ms; 0 = no timeout",
    ),
    "requires in the down": (
        {"2.sql": "SELECT 1;\n-- migrate:down\n-- belay: requires 1\nSELECT 2"},
        "MG009", 'file "2.sql", line 3: directive "requires" stands in the down',
        "move it to the head of the up; a down takes transaction, lock-timeout, lock-retries and privileged",
    ),
    "requires itself": (
        {"2.sql": "-- belay: requires 2\nSELECT 1"},
        "MG009", 'file "2.sql": migration "2" names itself in "requires"', "name another migration",
    ),
    "pairs with itself": (
        {"2.sql": "-- belay: pairs-with 2\nSELECT 1"},
        "MG009", 'file "2.sql": migration "2" names itself in "pairs-with"', "name another migration",
    ),
    "metadata that is not TOML": (
        {"2/up.sql": "SELECT 1", "2/metadata.toml": "run_in_transaction: false"},
        "MG009", re.compile('^file "2/metadata.toml", line 1: not valid TOML'), "write run_in_transaction = false, or true",
    ),
    "metadata of another type": (
        {"2/up.sql": "SELECT 1", "2/metadata.toml": "\nrun_in_transaction = 'no'"},
        "MG009", 'file "2/metadata.toml", line 2: "run_in_transaction" must be true or false, not string', "write run_in_transaction = false, or true",
    ),
    "a meta-command": (
        {"2.sql": "SELECT 1;\n\\i other.sql\n"}, "MG010", 'file "2.sql", line 2: psql meta-command "\\i other.sql"', PSQL_HINT,
    ),
    "a meta-command behind a statement": (
        {"2.sql": "SELECT 1 \\gset\n"}, "MG010", 'file "2.sql", line 1: psql meta-command "\\gset"', PSQL_HINT,
    ),
    "the data of a COPY": (
        {"2.sql": "COPY t FROM stdin;\n1\n2\n\\.\n"}, "MG010", 'file "2.sql", line 4: psql meta-command "\\."', COPY_HINT,
    ),
    "a meta-command in the down": (
        {"2.sql": "SELECT 1;\n-- migrate:down\n\\d\nSELECT 2"}, "MG010", 'file "2.sql", line 3: psql meta-command "\\d"', PSQL_HINT,
    ),
    "an unterminated string": (
        {"2.sql": "SELECT 1;\nSELECT 'x;\n"}, "MG009", 'file "2.sql", line 2: unterminated quoted string',
        "close the string with '; a quote inside a string is written ''",
    ),
    "an unterminated identifier": (
        {"2.sql": 'SELECT 1;\nSELECT "x;\n'}, "MG009", 'file "2.sql", line 2: unterminated quoted identifier',
        'close the identifier with "; a double quote inside one is written ""',
    ),
    "an unterminated $$": (
        {"2.sql": "SELECT 1;\n\nDO $$ BEGIN\n"}, "MG009",
        'file "2.sql", line 3: unterminated dollar-quoted string, its tag is "$$"', "close the string with $$",
    ),
    "an unterminated tag": (
        {"2.sql": "SELECT $a$ $b$ $$"}, "MG009",
        'file "2.sql", line 1: unterminated dollar-quoted string, its tag is "$a$"', "close the string with $a$",
    ),
    "an unterminated comment": (
        {"2.sql": "SELECT 1; /* /* */\n"}, "MG009", 'file "2.sql", line 1: unterminated comment',
        "close the comment with */; comments nest",
    ),
    "a syntax error": (
        {"2.sql": "SELECT 1;\nSELEC 2"}, "42601", 'syntax error at or near "SELEC"',
        re.compile("correct the SQL and register it again; nothing was registered"),
    ),
    "a name of another naming": (
        {"1.0.0_01_x.sql": "SELECT 1"}, "MG008", re.compile('"1.0.0_01_x" is in release form'), re.compile("rename it"),
    ),
    "a name that is reserved": (
        {"@x.sql": "SELECT 1"}, "MG008", 'file "@x.sql": migration name "@x" begins with "@", which is reserved',
        "choose a name that does not begin with '@'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_SETS)
def test_a_bad_set_is_refused_as_a_whole(db, server_folder, case):
    files, sqlstate, message, hint = BAD_SETS[case]
    load(db, numbered(0))
    files = numbered(0, 1) | files
    with nothing_changes(db), expect_error(sqlstate, message=message, hint=hint):
        load(db, files)
    write(server_folder, files)
    with nothing_changes(db), expect_error(sqlstate, message=message, hint=hint):
        load_directory(db, server_folder)


def test_a_syntax_error_names_file_and_line(db):
    files = {"1.sql": "SELECT 1;\n-- migrate:down\nSELECT 2;\n SELEC 3"}
    with nothing_changes(db), expect_error("42601", message='syntax error at or near "SELEC"') as error:
        load(db, files)
    assert 'migration "1", down, line 4 of 1.sql' in error.context
    assert error.position is None
    assert error.internal_query[int(error.internal_position) - 1 :].startswith("SELEC 3")


#: What no migration may hold: message, hint.
TRANSACTION = ("transaction control is not allowed in a migration", re.compile("one outer BEGIN ... COMMIT pair is accepted"))
REFUSED = {
    **{
        control: TRANSACTION
        for control in [
            "BEGIN", "START TRANSACTION", "COMMIT", "END", "COMMIT AND CHAIN", "ROLLBACK", "ABORT", "SAVEPOINT s",
            "RELEASE s", "ROLLBACK TO s", "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'",
        ]
    },
    "COPY t FROM STDIN": ("COPY FROM STDIN is not allowed in a migration", re.compile("write the rows as INSERT")),
    "COPY t TO STDOUT": ("COPY TO STDOUT is not allowed in a migration", re.compile("nobody receives the rows")),
    "COPY (SELECT 1) TO STDOUT": ("COPY TO STDOUT is not allowed in a migration", re.compile("nobody receives the rows")),
}  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "place"),
    [(statement, "up") for statement in REFUSED] + [(statement, "down") for statement in ("COMMIT", "COPY t FROM STDIN")],
)
def test_a_statement_that_no_migration_may_hold_is_refused_with_its_place(db, statement, place):
    message, hint = REFUSED[statement]
    head = "SELECT 1;\n-- migrate:down\n" if place == "down" else "SELECT 1;\n\n"
    with nothing_changes(db), expect_error("MG010", message=message, hint=hint) as error:
        load(db, {"1.sql": f"{head}SELECT 2;\n{statement};\nSELECT 3"})
    told = f"{error.detail}\n{error.context}"
    assert statement in told and "1.sql" in told, describe(error.error)
    assert "line 4" in told, describe(error.error)
    assert db.one("SELECT 1") == 1, "the session is as it was"


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN; SELECT 1; COMMIT; BEGIN; SELECT 2; COMMIT",
        "BEGIN; SELECT 1",
        "SELECT 1; COMMIT",
        "BEGIN; SELECT 1; ROLLBACK",
        "SELECT 0; BEGIN; SELECT 1; COMMIT",
        "BEGIN; SELECT 1; SAVEPOINT s; SELECT 2; COMMIT",
        "BEGIN; SELECT 1; COMMIT; SELECT 2",
        "BEGIN; SELECT 1; COMMIT AND CHAIN",
        "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT",
    ],
)
def test_only_one_outer_pair_is_taken_off(db, text):
    with nothing_changes(db), expect_error("MG010", message=TRANSACTION[0], hint=TRANSACTION[1]):
        load(db, {"1.sql": text})


@pytest.mark.parametrize(
    ("begin", "commit"),
    [("BEGIN", "COMMIT"), ("begin transaction", "end"), ("START TRANSACTION", "COMMIT WORK"), ("/* x */ BEGIN", "COMMIT -- y")],
)
def test_sg_31_an_outer_pair_is_taken_off_with_a_notice(db, begin, commit):
    load(db, {"1.sql": f"{begin};\nCREATE TABLE t ();\n{commit}\n;"})
    db.session.notices.clear()
    db.execute("CALL belay.migrate_up()")
    assert db.session.messages[0] == "1: its outer BEGIN and COMMIT were left out"
    assert (applied(db), tables(db)) == (["1"], ["t"])


def test_what_commits_only_when_it_runs_fails_then_with_the_way_out(db):
    load(db, {"1.sql": "CREATE TABLE t ();\nDO $$ BEGIN COMMIT; END $$"})
    with expect_error("2D000", message="invalid transaction termination", hint=re.compile('"-- belay: transaction off"')):
        db.execute("CALL belay.migrate_up()")
    assert (applied(db), tables(db)) == ([], [])
    assert history(db) == [("1", "up", "failed")]


def test_the_restrict_lines_of_pg_dump_are_skipped(db):
    dump = "\\restrict k3y\n\nCREATE TABLE t (x text DEFAULT '\\restrict');\n\n\\unrestrict k3y\n\n"
    load(db, {"1.sql": dump})
    db.execute("CALL belay.migrate_up()")
    db.execute("INSERT INTO t DEFAULT VALUES")
    assert db.one("SELECT x FROM t") == "\\restrict"
    with nothing_changes(db):
        assert load(db, {"1.sql": dump.replace("k3y", "another")}) == [], "the key is no part of the definition"


@pytest.mark.parametrize("text", ["SELECT 1 \\restrict x", " \\restrict x\nSELECT 1", "\\restricted\nSELECT 1"])
def test_only_whole_restrict_lines_are_skipped(db, text):
    with nothing_changes(db), expect_error("MG010", message=re.compile("psql meta-command"), hint=PSQL_HINT):
        load(db, {"1.sql": text})


@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        ("{}", "no migrations among 0 files", LAYOUT_HINT),
        ('{"README.md": "x"}', "no migrations among 1 files", LAYOUT_HINT),
        ('{".hidden.sql": "x"}', "no migrations among 1 files", LAYOUT_HINT),
        ('{"1/metadata.toml": "x = 1"}', "no migrations among 1 files", LAYOUT_HINT),
    ],
)
def test_a_set_without_migrations_is_refused(db, files, message, hint):
    """An empty set is a wrong path far more often than a wish to have nothing."""
    apply = numbered(1)
    load(db, apply)
    db.execute("CALL belay.migrate_up()")
    for options in ("", ", on_missing => 'revert', prune => true"):
        with nothing_changes(db), expect_error("MG009", message=message, hint=hint):
            db.execute(f"SELECT belay.migrate_load_files('{files}'{options})")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ("[]", "files is not a JSON object"),
        ('"x"', "files is not a JSON object"),
        ("null", "files is not a JSON object"),
        ('{"1.sql": 1}', 'the content of "1.sql" in files is not a string'),
        ('{"1.sql": null}', 'the content of "1.sql" in files is not a string'),
    ],
)
def test_what_is_no_set_of_files_is_refused(db, files, message):
    with nothing_changes(db), expect_error("22023", message=message, hint=re.compile('pass files => \'{"0001_users.sql"')):
        db.execute("SELECT belay.migrate_load_files(%s)", [files])


# ── directories of the server ────────────────────────────────────────────────────────────────────────────────────────

PATH_HINT = re.compile("belay.migrate_load_files\\(jsonb\\) takes the contents from the client")


def test_a_directory_that_is_none_is_refused(db, server_folder):
    write(server_folder, {"file.sql": "SELECT 1"})
    (server_folder / "dangling").symlink_to(server_folder / "gone")
    (server_folder / "loop").symlink_to(server_folder / "loop")
    for name, what in (
        ("nowhere", "does not exist"),
        ("dangling", "does not exist"),
        ("file.sql", "is not a directory"),
        ("loop", "cannot be read"),
    ):
        path = str(server_folder / name)
        with nothing_changes(db), expect_error("58P01", message=f'"{path}" {what} on the server', hint=PATH_HINT):
            load_directory(db, path)


@pytest.mark.skipif(os.geteuid() != 0, reason="the server's user owns its files; only root can keep them from it")
@pytest.mark.parametrize("name", ["closed", "open/1.sql", "open/1/up.sql"])
def test_what_the_server_may_not_read_is_refused(db, server_folder, name):
    for folder in ("closed", "open"):
        write(server_folder / folder, numbered(7))
    write(server_folder, {name if name.endswith(".sql") else f"{name}/1.sql": "SELECT 1"})
    target = server_folder / name
    target.chmod(0)
    folder = name.split("/")[0]
    with nothing_changes(db), expect_error("58P01", message=f'"{target}" cannot be read on the server', hint=PATH_HINT):
        load_directory(db, server_folder / folder)
    target.chmod(0o755)
    assert load_directory(db, server_folder / folder)


def test_an_empty_directory_is_refused(db, server_folder):
    with nothing_changes(db), expect_error("MG009", message="no migrations among 0 files", hint=LAYOUT_HINT):
        load_directory(db, server_folder)


def test_a_link_to_a_directory_is_followed(db, server_folder):
    write(server_folder / "v1", numbered(1))
    (server_folder / "current").symlink_to("v1")
    assert load_directory(db, server_folder / "current") == [("migration1", "added")]


def test_a_link_to_a_file_is_followed(db, server_folder):
    write(server_folder / "shared", {"x.sql": "SELECT 1"})
    (server_folder / "set").mkdir()
    (server_folder / "set" / "1.sql").symlink_to("../shared/x.sql")
    assert load_directory(db, server_folder / "set") == [("1", "added")]


def test_a_directory_that_nests_too_deep_is_refused_as_its_files_would_be(db, server_folder):
    """Files that are silently left out are migrations that silently do not run."""
    write(server_folder, numbered(1) | {"app/2/up.sql": "SELECT 1"})
    with nothing_changes(db), expect_error("MG009", message=re.compile("app/2/up.sql"), hint=re.compile("relative to the folder")):
        load_directory(db, server_folder)


def test_a_file_name_that_is_not_utf_8_is_refused(db, server_folder):
    write(server_folder, numbered(1))
    with open(os.fsencode(server_folder) + b"/2_caf\xe9.sql", "w") as file:
        file.write("SELECT 1")
    with nothing_changes(db), expect_error("MG009", message=re.compile("UTF-8"), hint=re.compile(".")):
        load_directory(db, server_folder)


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"SELECT 1;\nSELECT '\xe9'", 'file "1.sql", line 2: not valid UTF-8 at byte 18', "save the file as UTF-8"),
        ("SELECT 1".encode("utf-16"), 'file "1.sql", line 1: not valid UTF-8 at byte 0', "save the file as UTF-8; it looks like UTF-16"),
        (b"SELECT 1;\nSELECT\x00 2", 'file "1.sql", line 2: NUL byte', "remove the NUL byte; was the text saved as UTF-16?"),
        (b"SELECT 1;\n-- \x00\n", 'file "1.sql", line 2: NUL byte', "remove the NUL byte; was the text saved as UTF-16?"),
        (b"SELECT '\n\x00'", 'file "1.sql", line 2: NUL byte', "remove the NUL byte; was the text saved as UTF-16?"),
    ],
)
def test_a_file_that_is_no_text_is_refused(db, server_folder, content, message, hint):
    write(server_folder, {"1.sql": content})
    with nothing_changes(db), expect_error("MG009", message=message, hint=hint):
        load_directory(db, server_folder)


def test_a_directory_takes_pg_read_server_files(db, server_folder):
    write(server_folder, numbered(1))
    role = db.role("deployer")
    db.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA belay TO {role}")
    query = "SELECT name, action FROM belay.migrate_load(%s)"
    with db.connect(user=role) as session:
        for path in (server_folder, server_folder / "nowhere"):
            with (
                nothing_changes(db),
                expect_error(
                    "42501",
                    message=re.compile("superuser or a member of pg_read_server_files"),
                    hint=re.compile("GRANT pg_read_server_files .*belay.migrate_load_files\\(jsonb\\)"),
                ),
            ):
                session.execute(query, [str(path)])
        assert session.rows("SELECT name FROM belay.migrate_load_files(%s)", [json.dumps(numbered(0))]) == [("migration0",)]
        db.execute(f"GRANT pg_read_server_files TO {role}")
        assert session.rows(query, [str(server_folder)]) == [("migration1", "added")]


def test_the_sample_migrations_load_from_the_server(db, migrations):
    assert {action for _, action in load_directory(db, migrations)} == {"added"}
    assert load_directory(db, migrations) == []


# ── what a set means for the registry ────────────────────────────────────────────────────────────────────────────────


def test_a_load_replaces_what_is_pending(db):
    load(db, {"1.sql": "SELECT 1", "2.sql": "SELECT 2"})
    assert load(db, {"1.sql": "SELECT 1", "2.sql": "SELECT 3"}) == [("2", "replaced")]
    assert db.rows("SELECT up FROM belay.definition d JOIN belay.migration m ON m.definition_id = d.id WHERE name = '2'") == [
        ("SELECT 3",)
    ]


def test_a_load_replaces_a_directive_too(db):
    load(db, {"1.sql": "-- belay: transaction off\nSELECT 1"})
    assert load(db, {"1.sql": "SELECT 1"}) == [("1", "replaced")]
    assert db.rows("SELECT up_transaction FROM belay.migration") == [(True,)]


def test_a_load_takes_over_what_was_registered_by_hand(db):
    db.execute("SELECT belay.migrate_register('1', 'SELECT 1')")
    assert load(db, {"1.sql": "SELECT 1"}) == []
    assert load(db, {"2.sql": "SELECT 2"}, prune=True) == [("2", "added"), ("1", "pruned")]


def test_the_changed_file_of_an_applied_migration_is_refused(db):
    load(db, numbered(1, 2))
    db.execute("CALL belay.migrate_up(steps => 1)")
    changed = numbered(1, 2, 3) | {"migration1.sql": "CREATE TABLE t1 (x int);\n-- migrate:down\nDROP TABLE t1;\n"}
    with (
        nothing_changes(db),
        expect_error(
            "MG003",
            message='migration "migration1" is applied and its definition has changed',
            hint=re.compile("put the text back as it was and write a new migration; or revert it first"),
            detail=re.compile("file migration1.sql; applied with checksum [0-9a-f]{64}"),
        ),
    ):
        load(db, changed)


def test_a_load_keeps_what_is_pending_and_not_in_the_set(db):
    load(db, numbered(1, 2))
    assert load(db, numbered(1)) == []
    assert registered(db) == ["migration1", "migration2"]


def test_prune_removes_what_is_pending_came_by_a_load_and_is_not_in_the_set(db):
    load(db, numbered(1, 2, 3))
    db.execute("SELECT belay.migrate_register('z_by_hand', 'SELECT 1')")
    db.execute("CALL belay.migrate_up(steps => 1)")
    assert load(db, numbered(1, 3), prune=True) == [("migration2", "pruned")]
    assert registered(db) == ["migration1", "migration3", "z_by_hand"]


def test_prune_keeps_what_has_begun(db):
    load(db, {"1.sql": "SELECT 1", "2.sql": "-- belay: transaction off\nSELECT 1; SELECT 1/0"})
    with expect_error("22012"):
        db.execute("CALL belay.migrate_up()")
    load(db, {"1.sql": "SELECT 1"}, prune=True)
    assert registered(db) == ["1", "2"]


def test_what_is_applied_and_newer_than_the_set_is_ahead_and_kept_with_a_notice(db):
    load(db, numbered(1, 2, 3))
    db.execute("CALL belay.migrate_up()")
    db.session.notices.clear()
    assert load(db, numbered(1)) == [("migration2", "ahead"), ("migration3", "ahead")]
    notice = db.session.notices[-1]
    assert notice.message == "ahead of this set and kept: migration2, migration3"
    assert "rolling deployment" in notice.hint
    assert applied(db) == ["migration1", "migration2", "migration3"]
    with nothing_changes(db):
        db.execute("CALL belay.migrate_up()")


def test_what_was_ahead_and_is_in_the_set_again_is_no_longer_ahead(db):
    load(db, numbered(1, 2))
    db.execute("CALL belay.migrate_up()")
    load(db, numbered(1))
    query = "SELECT name, state, detail FROM belay.migrate_status() WHERE name = 'migration2'"
    assert db.rows(query) == [("migration2", "applied", "ahead of the set that was loaded last")]
    assert load(db, numbered(1, 2)) == []
    assert db.rows(query) == [("migration2", "applied", None)]


def test_on_missing_allow_keeps_what_is_applied_and_says_so(db):
    load(db, numbered(1, 2, 3))
    db.execute("CALL belay.migrate_up()")
    assert load(db, numbered(2, 4), on_missing="allow") == [
        ("migration4", "added"),
        ("migration1", "missing"),
        ("migration3", "missing"),
    ]
    assert applied(db) == ["migration1", "migration2", "migration3"]
    states = dict(db.rows("SELECT name, state FROM belay.migrate_status()"))
    assert states == {"migration1": "missing", "migration2": "applied", "migration3": "missing", "migration4": "pending"}
    load(db, numbered(1, 2, 3, 4))
    assert "missing" not in dict(db.rows("SELECT name, state FROM belay.migrate_status()")).values()


def test_on_missing_revert_takes_down_with_the_stored_down(db):
    load(db, numbered(1, 2, 3))
    db.execute("CALL belay.migrate_up()")
    assert load(db, numbered(1, 4), on_missing="revert") == [
        ("migration4", "added"),
        ("migration2", "reverted"),
        ("migration3", "reverted"),
    ]
    assert history(db)[3:] == [("migration3", "down", "reverted"), ("migration2", "down", "reverted")]
    assert (applied(db), registered(db), tables(db)) == (["migration1"], ["migration1", "migration4"], ["t1"])
    db.execute("CALL belay.migrate_up()")
    assert tables(db) == ["t1", "t4"]


def test_on_missing_revert_never_takes_down_what_is_in_the_set(db):
    load(db, numbered(1, 2, 3))
    db.execute("CALL belay.migrate_up()")
    with (
        nothing_changes(db),
        expect_error(
            "MG002",
            message='migration "migration3" was applied after one that is missing, so it cannot be reverted',
            hint=re.compile("on_missing => 'allow' keeps the missing ones"),
            detail="migration2",
        ),
    ):
        load(db, numbered(1, 3, 4), on_missing="revert")


def test_on_missing_revert_without_a_down_changes_nothing(db):
    load(db, numbered(1) | {"migration2.sql": "CREATE TABLE t2 ()"})
    db.execute("CALL belay.migrate_up()")
    with (
        nothing_changes(db),
        expect_error("MG004", message='migration "migration2" has no down', hint=re.compile("undo it in a new migration")),
    ):
        load(db, numbered(1, 3), on_missing="revert")


def test_on_missing_revert_whose_down_fails_changes_nothing(db):
    load(db, numbered(1) | {"migration2.sql": "SELECT 1;\n-- migrate:down\nSELECT 1/0"})
    db.execute("CALL belay.migrate_up()")
    with nothing_changes(db), expect_error("22012", message="division by zero"):
        load(db, numbered(1, 3), on_missing="revert")


def test_on_missing_revert_is_refused_where_the_project_allows_no_down(db):
    load(db, numbered(1, 2))
    db.execute("CALL belay.migrate_up()")
    db.execute("SELECT belay.project_alter('default', allow_down => false)")
    with nothing_changes(db), expect_error("MG004", message=re.compile("may not be reverted"), hint=re.compile("allow_down => true")):
        load(db, numbered(1, 3), on_missing="revert")


def test_several_missing_ones_are_all_named(db):
    load(db, numbered(1, 2, 3))
    db.execute("CALL belay.migrate_up()")
    with (
        nothing_changes(db),
        expect_error(
            "MG002",
            message="2 applied migrations are missing from the set",
            hint=re.compile("another service's files\\? pass project =>"),
            detail="migration1\nmigration2",
        ),
    ):
        load(db, numbered(3, 4))


def test_another_services_files_go_into_another_project(db):
    load(db, numbered(1))
    db.execute("CALL belay.migrate_up()")
    db.execute("SELECT belay.project_create('other')")
    assert load(db, {"a.sql": "SELECT 1"}, project="other") == [("a", "added")]
    assert (registered(db), registered(db, "other")) == (["migration1"], ["a"])


@pytest.mark.parametrize("word", ["ignore", "", "ERROR"])
def test_an_unknown_on_missing_is_refused(db, word):
    message = f"on_missing => '{word}' is not known"
    with nothing_changes(db), expect_error("22023", message=message, hint="use 'error', 'allow' or 'revert'"):
        load(db, numbered(1), on_missing=word)


def test_a_load_can_be_rolled_back(db):
    with db.connect(autocommit=False) as session:
        session.execute("SELECT * FROM belay.migrate_load_files(%s)", [json.dumps(numbered(1))])
        session.rollback()
    assert db.rows("SELECT name FROM belay.migration") == []


def test_concurrent_loads_of_one_set_register_it_once(db):
    files = json.dumps(numbered(*range(1, 21)))
    running = [db.start("SELECT name FROM belay.migrate_load_files(%s)", [files]) for _ in range(8)]
    added = [len(one.finish()) for one in running]
    assert sorted(added) == [0] * 7 + [20]
    assert len(registered(db)) == 20


def test_ten_thousand_migrations_load(db):
    files = {f"{n:05d}.sql": f"SELECT {n}" for n in range(10_000)}
    assert len(load(db, files)) == 10_000
    assert load(db, files) == []


# ── encodings, NULL ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_of_another_encoding_is_refused_by_create_extension(empty_db, encoding):
    """Belay reads every text as UTF-8; a text that it cannot read would fail in the middle of a deployment."""
    name = f"{empty_db.name}_{encoding.lower()}"
    empty_db.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING {encoding} LOCALE 'C'")
    try:
        done = empty_db.server.psql("\\set VERBOSITY verbose\nCREATE EXTENSION pg_belay;", database=name)
        assert done.returncode != 0, "it was accepted"
        assert "ERROR:  0A000:" in done.stderr and "HINT:" in done.stderr and "UTF8" in done.stderr, done.stderr
    finally:
        empty_db.execute(f"DROP DATABASE {name} WITH (FORCE)")


#: What the arguments without a default are given while another one is NULL.
GIVEN = {
    "name": "'migration1'",
    "up": "'SELECT 1'",
    "files": "'{\"migration1.sql\": \"SELECT 1\"}'",
    "before": "now()",
    "release": "'1.0.0'",
    "sql": "'SELECT 1'",
    "queries": "'{\"one\": \"SELECT 1\"}'",
    "n": "1",
    "old": "'migration1'",
    "new": "'migration2'",
    "target": "'migration1'",
    "state": "'pending'",
    "role": "'nobody'",
    "rights": "'reader'",
    "base": """'{"1.sql": "SELECT 1"}'""",
    "head": """'{"1.sql": "SELECT 1"}'""",
    "snapshot": "'{}'",
    "a": "'{}'",
    "b": "'{}'",
    "after": "'migration1'",
    "reason": "'because'",
    "release": "'1.0.0'",
    "instance": "'web-1'",
    "operations": "'[{\"sql\": \"SELECT 1\"}]'",
}

#: NULL as good as left out, although the default is something else, by the function's comment: the plain default of a
#: new project, the whole history, and a wait without limit.
NULL_HAS_A_MEANING = {
    ("project_create", "ordering"),
    ("project_create", "allow_down"),
    ("project_create", "contract"),
    ("project_create", "gate_source"),
    ("project_create", "unknown_clients"),
    ("migrate_history", "newest"),
    ("migrate_wait", "wait"),
}

#: Internal, granted to nobody.
INTERNAL = {
    "is_running", "find_runner", "is_unfinished", "is_pending", "find_project", "find_disorder",
    "find_acceptance", "find_late", "do_meet", "next_names", "describe_footprint", "contract_uses",
    "ignores_windows", "release_window",
}  # fmt: skip


#: Those that need a table: each has a NULL in a test of its own family.
ONLINE = {
    "add_concurrent_index", "remove_concurrent_index", "update_in_batches",
    "rename_column_concurrently", "undo_rename_column_concurrently",
    "cleanup_concurrent_column_rename", "undo_cleanup_concurrent_column_rename",
    "change_column_type_concurrently", "undo_change_column_type_concurrently",
    "cleanup_concurrent_column_type_change", "undo_cleanup_concurrent_column_type_change", "is_out_of_step",
}  # fmt: skip


def test_a_null_argument_is_a_clear_error_or_means_left_out(db, server_folder):
    # Applying and reverting change nothing: a baseline among the calls makes it applied without running it.
    files = {"migration1.sql": "SELECT 1\n-- migrate:down\nSELECT 1"}
    load(db, files)
    db.execute(f"ALTER DATABASE {db.name} SET belay.allow_superuser_jobs = on")
    write(server_folder, files)
    folder = f"'{server_folder}'"
    values = GIVEN | {"directory": folder}
    values_of = {"versioned_name": values | {"base": "'fetch_job'"}, "check_order_directories": values | {"base": folder, "head": folder}}
    arguments = db.rows(
        """
        SELECT p.oid::regproc::text, p.proname::text, p.prokind = 'p', a.name, n <= p.pronargs - p.pronargdefaults,
               coalesce(pg_get_function_arg_default(p.oid, n::int), '')
        FROM pg_proc p CROSS JOIN LATERAL unnest(p.proargnames[:p.pronargs]) WITH ORDINALITY a (name, n)
        WHERE p.pronamespace = 'belay'::regnamespace AND p.prorettype <> 'trigger'::regtype
        ORDER BY 1, n
        """
    )
    asked = [row for row in arguments if row[1] not in INTERNAL | ONLINE]
    assert len({row[1] for row in asked}) >= 15
    wrong = []
    for function, name, is_procedure, argument, _, default in asked:
        required = [row[3] for row in arguments if row[0] == function and row[4] and row[3] != argument]
        given = ", ".join([f"{argument} => NULL"] + [f"{other} => {values_of.get(name, values)[other]}" for other in required])
        optional = default.startswith("NULL") or (name, argument) in NULL_HAS_A_MEANING
        session = db.connect()
        try:
            session.execute(f"{'CALL' if is_procedure else 'SELECT'} {function}({given})")
            if not optional:
                wrong.append(f"{function}({given}): no error")
        except Exception as error:
            clear = error.sqlstate == "22023" and error.diag.message_primary == f"{argument} must not be null"
            if not optional and not (clear and error.diag.message_hint):
                wrong.append(f"{function}({given}): {describe(error)}")
            if optional and error.sqlstate not in ("42710", "MG003", "MG011"):
                wrong.append(f"{function}({given}): {describe(error)}")
        finally:
            session.close()
    assert not wrong, "\n".join(wrong)
