"""Sets of migrations drawn at random, of statements that each tell whether they have run.

    drawn = draw_set(random.Random(7))
    db.execute(drawn.setup)
    for migration in drawn.migrations: ...        # name, text, statements
    print(drawn)                                  # what has to be known to repeat it by hand

Each statement works on tables of its own number, so that what blocks or breaks one leaves the others alone, and what
one does stays as it is: nothing later takes it away.
"""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Callable


@dataclasses.dataclass(frozen=True)
class Statement:
    text: str
    #: Is true when it has run, exactly once; None where nothing tells.
    effect: str | None = None
    #: What has to be there before any migration.
    setup: str = ""
    #: Each lets a transaction hold what the statement has to wait for.
    blockers: tuple[str, ...] = ()
    #: Makes it fail, and what the operator then does about it.
    breaks: str = ""
    mends: str = ""
    #: It cannot run in a transaction block.
    alone: bool = False
    #: Its effect can be there although it failed.
    commits: bool = False


@dataclasses.dataclass(frozen=True)
class Migration:
    name: str
    text: str
    statements: tuple[Statement, ...]
    transactional: bool


@dataclasses.dataclass(frozen=True)
class MigrationSet:
    migrations: tuple[Migration, ...]

    @property
    def statements(self) -> list[Statement]:
        return [statement for migration in self.migrations for statement in migration.statements]

    @property
    def setup(self) -> str:
        return ";\n".join(statement.setup for statement in self.statements if statement.setup)

    @property
    def transactional(self) -> bool:
        return all(migration.transactional for migration in self.migrations)

    def __str__(self) -> str:
        files = "\n".join(f"--- {migration.name}\n{migration.text}" for migration in self.migrations)
        return f"--- setup\n{self.setup}\n{files}"


# ── what runs anywhere ───────────────────────────────────────────────────────────────────────────────────────────────


def _there(relation: str) -> str:
    return f"SELECT to_regclass('{relation}') IS NOT NULL"


def _base(n: int) -> str:
    return f"CREATE TABLE base{n} (id int PRIMARY KEY, word text); INSERT INTO base{n} SELECT g, 'a' FROM generate_series(1, 20) g"


def _advisory(n: int) -> str:
    return f"SELECT pg_advisory_xact_lock(42, {n})"


def _table(n: int) -> Statement:
    text = f"CREATE TABLE made{n} (id int REFERENCES base{n}, word text DEFAULT 'a;b')"
    return Statement(text, _there(f"made{n}"), _base(n), (f"INSERT INTO base{n} VALUES (99)",))


def _column(n: int) -> Statement:
    effect = f"SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'base{n}'::regclass AND attname = 'added')"
    text = f"ALTER TABLE base{n} ADD COLUMN added int DEFAULT 7"
    return Statement(text, effect, _base(n), (f"SELECT FROM base{n}", f"LOCK TABLE base{n}"))


def _constraint(n: int) -> Statement:
    effect = f"SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = 'word_key{n}')"
    text = f"ALTER TABLE base{n} ADD CONSTRAINT word_key{n} UNIQUE (word)"
    setup = _base(n).replace("'a'", "g::text")
    breaks = f"INSERT INTO base{n} VALUES (-1, '1')"
    return Statement(text, effect, setup, (f"SELECT FROM base{n}",), breaks, f"DELETE FROM base{n} WHERE id = -1")


def _row(n: int) -> Statement:
    setup = f"CREATE TABLE log{n} (n int)"
    effect = f"SELECT count(*) = 1 FROM log{n}"
    return Statement(f"INSERT INTO log{n} VALUES ({n})", effect, setup, (f"LOCK TABLE log{n} IN SHARE MODE",))


def _rows(n: int) -> Statement:
    effect = f"SELECT bool_and(word = 'ab') FROM base{n}"
    return Statement(f"UPDATE base{n} SET word = word || 'b'", effect, _base(n), (f"SELECT FROM base{n} WHERE id = 9 FOR UPDATE",))


def _function(n: int) -> Statement:
    body = f"BEGIN\n    PERFORM 1; -- it's one;\n    RETURN 'a;' || {n};\nEND"
    text = f"CREATE FUNCTION made{n}() RETURNS text LANGUAGE plpgsql AS $$\n{body}\n$$"
    return Statement(text, f"SELECT to_regproc('made{n}') IS NOT NULL")


def _enum(n: int) -> Statement:
    return Statement(f"CREATE TYPE made{n} AS ENUM ('a', 'b;c')", f"SELECT to_regtype('made{n}') IS NOT NULL")


def _label(n: int) -> Statement:
    effect = f"SELECT EXISTS (SELECT FROM pg_enum WHERE enumtypid = 'mood{n}'::regtype AND enumlabel = 'new')"
    setup = f"CREATE TYPE mood{n} AS ENUM ('old')"
    return Statement(f"ALTER TYPE mood{n} ADD VALUE 'new'", effect, setup, (f"COMMENT ON TYPE mood{n} IS 'x'",))


def _block(n: int) -> Statement:
    body = f"BEGIN CREATE TABLE made{n} (); PERFORM pg_advisory_xact_lock_shared(42, {n}); CREATE VIEW seen{n} AS SELECT {n} AS n; END"
    effect = f"SELECT to_regclass('made{n}') IS NOT NULL AND to_regclass('seen{n}') IS NOT NULL"
    return Statement(f"DO $$ {body} $$", effect, "", (_advisory(n),))


def _gate(n: int) -> Statement:
    """Who is held here has done what stands before and nothing of what follows."""
    return Statement(f"SELECT pg_advisory_xact_lock_shared(42, {n})", None, "", (_advisory(n),))


def _setting(n: int) -> Statement:
    return Statement("SET work_mem = '5MB'")


def _deferred(n: int) -> Statement:
    """What it breaks is seen at COMMIT, and so is what it waits for."""
    setup = (
        f"CREATE TABLE parent{n} (id int PRIMARY KEY); INSERT INTO parent{n} VALUES (1);"
        f"CREATE TABLE child{n} (id int REFERENCES parent{n} DEFERRABLE INITIALLY DEFERRED)"
    )
    return Statement(
        f"INSERT INTO child{n} VALUES (1)", f"SELECT count(*) = 1 FROM child{n}", setup,
        (f"SELECT FROM parent{n} FOR UPDATE",), f"DELETE FROM parent{n}", f"INSERT INTO parent{n} VALUES (1)",
    )  # fmt: skip


# ── what commits by itself ───────────────────────────────────────────────────────────────────────────────────────────

_OLD_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1"


def _build(n: int, text: str = "CREATE INDEX CONCURRENTLY made{n} ON base{n} (word)", name: str = "made{n}") -> Statement:
    effect = f"SELECT coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{name.format(n=n)}')), false)"
    blockers = (f"INSERT INTO base{n} VALUES (99)", f"LOCK TABLE base{n} IN SHARE MODE", _OLD_SNAPSHOT)
    return Statement(text.format(n=n), effect, _base(n), blockers, alone=True)


def _unnamed_build(n: int) -> Statement:
    made = _build(n, "CREATE INDEX CONCURRENTLY ON base{n} (lower(word), id)")
    found = f"FROM pg_index WHERE indrelid = 'base{n}'::regclass AND indisvalid AND pg_get_indexdef(indexrelid) LIKE '%(lower(word), id)'"
    return dataclasses.replace(made, effect=f"SELECT count(*) = 1 {found}")


def _careful_build(n: int) -> Statement:
    return _build(n, 'CREATE INDEX CONCURRENTLY IF NOT EXISTS "Made; {n}" ON base{n} (word)', '"Made; {n}"')


def _unique_build(n: int) -> Statement:
    made = _build(n, "CREATE UNIQUE INDEX CONCURRENTLY made{n} ON base{n} (abs(id))")
    return dataclasses.replace(made, breaks=f"INSERT INTO base{n} VALUES (-1, 'b')", mends=f"DELETE FROM base{n} WHERE id = -1")


def _drop(n: int) -> Statement:
    setup = f"{_base(n)}; CREATE INDEX old{n} ON base{n} (word)"
    effect = f"SELECT to_regclass('old{n}') IS NULL"
    return Statement(f"DROP INDEX CONCURRENTLY old{n}", effect, setup, (f"SELECT FROM base{n}", f"LOCK TABLE base{n}"), alone=True)


def _reindex(n: int) -> Statement:
    return Statement(
        f"REINDEX INDEX CONCURRENTLY base{n}_pkey", None, _base(n), (f"INSERT INTO base{n} VALUES (99)", _OLD_SNAPSHOT), alone=True
    )


def _reindex_table(n: int) -> Statement:
    setup = f"{_base(n)}; CREATE INDEX old{n} ON base{n} (word)"
    return Statement(f"REINDEX TABLE CONCURRENTLY base{n}", None, setup, (f"INSERT INTO base{n} VALUES (99)", _OLD_SNAPSHOT), alone=True)


def _vacuum(n: int) -> Statement:
    return Statement(f"VACUUM (ANALYZE) base{n}", None, _base(n), (f"LOCK TABLE base{n} IN SHARE UPDATE EXCLUSIVE MODE",), alone=True)


def _detach(n: int) -> Statement:
    setup = (
        f"CREATE TABLE parts{n} (id int) PARTITION BY RANGE (id);"
        f"CREATE TABLE part{n} PARTITION OF parts{n} FOR VALUES FROM (0) TO (9)"
    )
    effect = f"SELECT NOT relispartition FROM pg_class WHERE oid = 'part{n}'::regclass"
    return Statement(f"ALTER TABLE parts{n} DETACH PARTITION part{n} CONCURRENTLY", effect, setup, (f"SELECT FROM parts{n}",), alone=True)


def _committing_block(n: int) -> Statement:
    body = (
        f"BEGIN COMMIT; INSERT INTO log{n} SELECT 1 WHERE NOT EXISTS (SELECT FROM log{n}); COMMIT;"
        f" PERFORM pg_advisory_xact_lock_shared(42, {n}); END"
    )
    blockers = (f"LOCK TABLE log{n} IN SHARE MODE", _advisory(n))
    return Statement(f"DO $$ {body} $$", f"SELECT count(*) = 1 FROM log{n}", f"CREATE TABLE log{n} (n int)", blockers, commits=True)


ANYWHERE = (
    _table, _column, _constraint, _row, _row, _rows, _function, _enum, _label, _block, _gate, _gate, _setting, _deferred, _deferred,
)  # fmt: skip
ALONE = (_build, _build, _unnamed_build, _careful_build, _unique_build, _drop, _reindex, _reindex_table, _vacuum, _detach)

# ── drawing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_KINDS = ("in a transaction", "in a transaction", "found by its statements", "found by its statements", "by its directive")


def draw_set(random: Random) -> MigrationSet:
    """Two to five migrations of one to four statements; a quarter of the sets runs in transactions only."""
    kinds = _KINDS[:1] if random.random() < 0.25 else _KINDS
    numbers = iter(range(1, 100))
    migrations = [_draw_migration(random, at, random.choice(kinds), numbers) for at in range(1, random.randint(2, 5) + 1)]
    return MigrationSet(tuple(migrations))


def _draw_migration(random: Random, at: int, kind: str, numbers) -> Migration:
    makers: list[Callable[[int], Statement]] = random.choices(ANYWHERE, k=random.randint(1, 4))
    if kind == "found by its statements":
        for maker in random.choices(ALONE, k=random.randint(1, 2)):
            makers.insert(random.randint(0, len(makers)), maker)
    elif kind == "by its directive" and random.random() < 0.4:
        makers.insert(random.randint(0, len(makers)), _committing_block)
    statements = tuple(maker(next(numbers)) for maker in makers)
    head = "-- belay: transaction off\n" if kind == "by its directive" else ""
    between = random.choice([";\n", "; ", ";\n\n-- isn't; this a comment?\n", " /* a; b */;\n"])
    text = head + between.join(statement.text for statement in statements) + random.choice(["", ";", ";\n"])
    return Migration(f"{at:04}_drawn", text, statements, kind == "in a transaction")
