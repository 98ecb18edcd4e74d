"""README.md runs, and says what is so.

What a fence means:

    sql       goes through psql, block after block, in one session and one database for each "## " section. The database
              is empty if the section says CREATE EXTENSION, else it has the extension. /srv/app/migrations is a copy of
              migrations/ on the server.
    text      right after a block of sql: all that psql prints, compared by `steady`. A block without one may print what
              it likes, but no error and no warning.
    sh, python, js, psql
              runs in a folder that holds a copy of migrations/, with the PG... variables of an empty registry, and must
              load all of it.
    console, ini, yaml
              for the reader; nothing runs.

BELAY_README=write makes the suite write what psql prints into README.md (with --numprocesses 0); read the difference.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

import psycopg
import pytest
from psycopg import sql

from harness.server import SUPERUSER, TREE, client_environment

README = TREE / "README.md"
WRITE = os.environ.get("BELAY_README") == "write"
FOLDER = "/srv/app/migrations"
LANGUAGES = {"sql", "text", "sh", "python", "js", "psql", "console", "ini", "yaml"}


@dataclass
class Block:
    """A fenced block; `first` and `last` are the indexes of the lines between its fences."""

    language: str
    first: int
    last: int
    text: str


@dataclass
class Section:
    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def runs(self) -> list[tuple[Block, Block | None]]:
        """Each block of sql with the text that follows it."""
        followed = zip(self.blocks, [*self.blocks[1:], None])
        return [(b, after if after and after.language == "text" else None) for b, after in followed if b.language == "sql"]


def read_sections() -> list[Section]:
    sections = [Section("")]
    inside: Block | None = None
    for index, line in enumerate(README.read_text().split("\n")):
        if inside is None and line.startswith("```"):
            inside = Block(line[3:], index + 1, index, "")
        elif inside is not None and line == "```":
            sections[-1].blocks.append(inside)
            inside = None
        elif inside is not None:
            inside.last, inside.text = index, f"{inside.text}{line}\n"
        elif line.startswith("## "):
            sections.append(Section(line[3:]))
    assert inside is None, "a fence has no end"
    return sections


SECTIONS = read_sections()
WITH_SQL = [section for section in SECTIONS if section.runs]
PUSHES = [block for section in SECTIONS for block in section.blocks if block.language in {"sh", "python", "js", "psql"}]


def steady(printed: str) -> str:
    """What does not change from run to run: without times, process numbers, lines of Belay's own functions, and the widths that follow."""
    for pattern, constant in (
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?([+-]\d\d)?", "TIMESTAMP"),
        (r"\b\d\d:\d\d:\d\d(\.\d+)?", "DURATION"),
        (r"\b(\d+ ms|\d+\.\d s|\d+ min \d+ s)\b", "TIME"),
        (r"\d+ rows per second", "N rows per second"),
        (r"\b(PID|pid) \d+", "pid N"),
        (r"(PL/pgSQL function \S+) line \d+", r"\1 line N"),
        (r"-{3,}", "-"),
        (r"[ \t]+", " "),
    ):
        printed = re.sub(pattern, constant, printed)
    return "\n".join(line.strip() for line in printed.strip().split("\n"))


# ── SQL ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def no_roles_left(server) -> Iterator[None]:
    """Drops the roles that a section makes; set up before `new_database`, and so torn down after it."""
    query = "SELECT rolname FROM pg_roles"
    with psycopg.connect(**server.parameters(), autocommit=True) as session:
        before = set(session.execute(query))
    yield
    with psycopg.connect(**server.parameters(), autocommit=True) as session:
        for (role,) in set(session.execute(query)) - before:
            session.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.mark.parametrize("section", WITH_SQL, ids=lambda section: section.title)
def test_the_sql_prints_what_the_text_says(section, no_roles_left, new_database, migrations):
    has_extension = not any("CREATE EXTENSION" in block.text for block, _ in section.runs)
    printed = run_psql(new_database(extension=has_extension), [block.text for block, _ in section.runs], migrations)
    problems = []
    for (block, expected), found in reversed(list(zip(section.runs, printed))):
        if expected is None:
            if re.search("^(ERROR|WARNING|FATAL):", found, re.MULTILINE):
                problems.append(f"line {block.first + 1}: {found}")
        elif steady(expected.text) != steady(found):
            if WRITE:
                write_down(section.title, section.blocks.index(expected), found)
                continue
            difference = difflib.unified_diff(
                steady(expected.text).split("\n"), steady(found).split("\n"), "README.md", "psql", lineterm=""
            )
            problems.append(f"line {expected.first + 1}:\n" + "\n".join(difference))
    assert not problems, "\n\n".join(reversed(problems))


def run_psql(db, blocks: list[str], folder: Path) -> list[str]:
    """What psql prints for each block, notices and errors in their places."""
    mark = "==== the next block ===="
    script = f"\n\\echo '{mark}'\n".join(block.replace(FOLDER, str(folder)) for block in blocks)
    done = subprocess.run(
        [
            db.server.program("psql"), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=0", "--pset", "pager=off",
            "--host", db.server.socket_folder, "--port", str(db.server.port), "--username", SUPERUSER, "--dbname", db.name,
        ],
        input=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
        env=client_environment() | {"PGTZ": "UTC", "PGCLIENTENCODING": "UTF8"}, check=True,
    )  # fmt: skip
    printed = done.stdout.replace(str(folder), FOLDER).split(f"{mark}\n")
    assert len(printed) == len(blocks), done.stdout
    return printed


def write_down(title: str, number: int, printed: str) -> None:
    block = next(section for section in read_sections() if section.title == title).blocks[number]
    lines = README.read_text().split("\n")
    lines[block.first : block.last + 1] = [line.rstrip() for line in printed.strip("\n").split("\n")]
    README.write_text("\n".join(lines))


# ── Pushing a folder ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("block", PUSHES, ids=lambda block: block.language)
def test_the_snippet_pushes_the_folder(block, db, new_database, migrations, tmp_path):
    shutil.copytree(TREE / "migrations", tmp_path / "migrations")
    done = subprocess.run(
        command_of(block, db, tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env=client_environment() | environment_of(db), stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr

    by_the_server = new_database()
    by_the_server.execute("SELECT belay.migrate_load(%s)", [str(migrations)])
    registry = "SELECT m.name, d.up, d.down, m.up_transaction FROM belay.migration m JOIN belay.definition d ON d.id = definition_id"
    assert sorted(db.rows(registry)) == sorted(by_the_server.rows(registry))
    if "migrate_up" in block.text:
        assert db.one("SELECT count(*) FROM belay.pending") == 0


def command_of(block: Block, db, folder: Path) -> list[str]:
    script = folder / {"sh": "push.sh", "python": "push.py", "js": "push.mjs", "psql": "push.sql"}[block.language]
    script.write_text(block.text)
    if block.language == "sh":
        return ["sh", "-eu", str(script)]
    if block.language == "python":
        return [str(TREE / ".belay" / "venv" / "bin" / "python"), str(script)]
    if block.language == "psql":
        return [str(db.server.program("psql")), "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--file", str(script)]
    modules = TREE / ".belay" / "node" / "node_modules"
    if shutil.which("node") is None or not (modules / "pg").exists():
        pytest.skip("Node.js with node-postgres is not here")
    (folder / "node_modules").symlink_to(modules.resolve())
    return ["node", str(script)]


def environment_of(db) -> dict[str, str]:
    parameters = db.server.parameters(db.name)
    programs = db.server.program("psql").parent
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        **{f"PG{name}": str(parameters[key]) for name, key in CONNECTION.items() if key in parameters},
    }


CONNECTION = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "DATABASE": "dbname"}


# ── Tables and lists ─────────────────────────────────────────────────────────────────────────────────────────────────


def table(first_header: str) -> list[list[str]]:
    """The cells of every row of all tables whose first header this is; back quotes are taken off."""
    rows, inside = [], False
    for line in README.read_text().split("\n"):
        cells = [cell.strip().strip("`") for cell in line.strip("|").split(" | ")] if line.startswith("|") else None
        if cells is None:
            inside = False
        elif cells[0] == first_header:
            inside = True
        elif inside and not set(line) <= set("|- "):
            rows.append(cells)
    assert rows, f"there is no table of {first_header}"
    return rows


def test_every_setting_is_listed_with_its_default(db):
    db.execute("LOAD 'pg_belay'")
    settings = db.rows("SELECT name, current_setting(name) FROM pg_settings WHERE name LIKE 'belay.%' ORDER BY name")
    assert settings
    assert sorted((row[0], row[1]) for row in table("setting")) == settings


def test_every_sqlstate_is_listed():
    """Those of src/error/code.rs, and those that the install scripts raise."""
    states = set(re.findall(r'=> "([0-9A-Z]{5})",', (TREE / "src" / "error" / "code.rs").read_text()))
    assert len(states) > 15
    for script in (TREE / "sql").glob("pg_belay--*.sql"):
        states |= set(re.findall(r"ERRCODE = '([0-9A-Z]{5})'", script.read_text()))
    assert sorted(row[0] for row in table("SQLSTATE")) == sorted(states)


def test_every_routine_is_listed_with_its_arguments(db):
    routines = db.rows(
        """
        SELECT p.proname, coalesce(p.proargnames[:p.pronargs], '{}')
        FROM pg_proc p
        JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'pg_belay'
        WHERE p.prorettype <> 'trigger'::regtype
        """
    )
    listed = [re.fullmatch(r"(\w+)\((.*)\)", row[0]) for row in table("routine")]
    assert all(listed), [row[0] for row in table("routine")]
    named = [(match[1], re.findall(r"\w+", match[2])) for match in listed]
    assert sorted(named) == sorted(routines)


def test_every_table_is_listed(db):
    tables = db.rows("SELECT relname FROM pg_class WHERE relnamespace = 'belay'::regnamespace AND relkind IN ('r', 'v')")
    assert sorted(row[0] for row in table("table")) == sorted(name for (name,) in tables)


def test_every_state_is_listed(db):
    body = db.one("SELECT prosrc FROM pg_proc WHERE oid = 'belay.migrate_status(text)'::regprocedure")
    deciding = body[: body.index("AS standing")]
    states = set(re.findall(r"\b(?:THEN|ELSE) '([^']+)'", deciding))
    assert {"applied", "pending"} <= states
    assert sorted(row[0] for row in table("state")) == sorted(states)


def test_every_directive_is_listed():
    source = (TREE / "core" / "src" / "directive" / "parse.rs").read_text()
    words = re.findall(r'^(?:pub\(crate\) )?const [A-Z_]+: &str = "([a-z-]+)";', source, re.MULTILINE)
    assert len(words) >= 4
    assert sorted({row[0].split(" ")[0] for row in table("directive")}) == sorted(words)


def test_every_fence_is_of_a_known_kind():
    assert {block.language for section in SECTIONS for block in section.blocks} <= LANGUAGES


def test_every_text_follows_the_sql_that_prints_it():
    for section in SECTIONS:
        before = None
        for block in section.blocks:
            assert block.language != "text" or before == "sql", f"line {block.first}: nothing prints this"
            before = block.language


def test_every_link_into_the_page_leads_somewhere():
    page = re.sub(r"^```.*?^```$", "", README.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\(#([^)]+)\)", page))
    assert links
    assert links - anchors == set()


def test_every_file_that_is_linked_exists():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README.read_text()) if "://" not in link]
    assert links
    assert [link for link in links if not (TREE / link).exists()] == []


def test_every_make_target_is_there():
    targets = set(re.findall(r"^([a-z-]+):", (TREE / "Makefile").read_text(), re.MULTILINE)) | {"install"}
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", README.read_text(), re.MULTILINE))
    assert {"demo", "test"} <= named
    assert named - targets == set()


def test_versions_are_the_tree_s():
    manifest = (TREE / "Cargo.toml").read_text()
    version = re.search(r'^version = "(.+)"', manifest, re.MULTILINE)[1]
    rust = re.search(r'^rust-version = "(.+)"', manifest, re.MULTILINE)[1]
    page = README.read_text()
    assert set(re.findall(r"pg_belay-([0-9.]+)-pg", page)) == {version}
    assert re.findall(r"Rust ([0-9.]+) or newer", page) == [rust]
    assert f"## [{version}]" in (TREE / "CHANGELOG.md").read_text()


# ── Claims that no fence shows ───────────────────────────────────────────────────────────────────────────────────────


def test_pg_dump_needs_select_on_all_of_the_ledger_or_leaves_the_schema_out(db):
    db.execute("SELECT belay.migrate_register('0001', 'CREATE TABLE t ()')")
    role = db.role("backup")
    whole = db.client("pg_dump", user=role)
    assert whole.returncode != 0
    assert re.search("permission denied|lack SELECT privilege", whole.stderr)
    without = db.client("pg_dump", "--exclude-schema", "belay", user=role)
    assert without.returncode == 0, without.stderr
    assert "COPY belay." not in without.stdout

    for kind in ("TABLES", "SEQUENCES"):
        db.execute(f"GRANT SELECT ON ALL {kind} IN SCHEMA belay TO {role}")
    whole = db.client("pg_dump", user=role)
    assert whole.returncode == 0, whole.stderr
    assert "COPY belay.definition" in whole.stdout
