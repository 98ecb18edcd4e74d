"""What migrations touched, as the ledger tells it, and what becomes of two of them that run one after the other.

    order = one_after_the_other(db, "p", "ALTER TABLE t ADD a int", "CREATE INDEX ON t (id)")
    order.error                                   # what the second one failed with, else None
    order.meeting                               # why they are not disjoint, else None
    order.first.defines                         # {'relation public.t'}

`Footprint.meeting` is the rule itself, told once more: two footprints meet when they share an object and at least one of
them does more than read it, or when one of them counts as everything.
"""

from __future__ import annotations

import dataclasses
import re

import psycopg
from psycopg import sql

from harness.database import Database

#: The first one sorts after the second, which is late.
FIRST, SECOND = "3_other", "2_late"


@dataclasses.dataclass(frozen=True)
class Footprint:
    reads: frozenset[str]
    writes: frozenset[str]
    defines: frozenset[str]
    everything: str | None

    @classmethod
    def of(cls, db: Database, name: str, project: str = "default") -> Footprint:
        """Of the attempt that applied it."""
        query = """
            SELECT s.reads, s.writes, s.defines, s.everything FROM belay.step s JOIN belay.project p ON p.id = s.project_id
            WHERE p.name = %s AND s.name = %s AND s.direction = 'up' AND s.outcome = 'applied'
        """
        ((reads, writes, defines, everything),) = db.rows(query, [project, name])
        assert reads is not None or everything is not None, f'no footprint was kept of "{name}"'
        return cls(frozenset(reads or ()), frozenset(writes or ()), frozenset(defines or ()), everything)

    def within(self, schema: str) -> Footprint:
        """With `{s}` for the schema that it ran in, to be held against that of another schema."""
        renamed = [frozenset(re.sub(rf"\b{schema}(?=\b|_)", "{s}", one) for one in kind) for kind in (self.reads, self.writes, self.defines)]
        return Footprint(*renamed, self.everything)

    def access(self, touched: str) -> str | None:
        for access in ("defines", "writes", "reads"):
            if touched in getattr(self, access):
                return access
        return None

    def meeting(self, other: Footprint) -> str | None:
        """Why their order may matter; None when they are disjoint."""
        for one, place in ((self, "the first"), (other, "the second")):
            if one.everything is not None:
                return f"{place} {one.everything}"
        mine, theirs = self.writes | self.defines, other.writes | other.defines
        shared = sorted(mine & (theirs | other.reads) | theirs & self.reads)
        return "; ".join(f"{one}: {self.access(one)}, {other.access(one)}" for one in shared) or None

    def __str__(self) -> str:
        lists = [f"  {access}: {', '.join(sorted(getattr(self, access))) or '-'}" for access in ("reads", "writes", "defines")]
        return "\n".join([*lists, f"  everything: {self.everything or '-'}"])


@dataclasses.dataclass(frozen=True)
class Order:
    """Two migrations, applied one after the other."""

    first: Footprint | None
    second: Footprint | None
    #: What one of them failed with; the footprint of that one is None, and what follows it did not run.
    error: psycopg.Error | None = None

    @property
    def meeting(self) -> str | None:
        return self.first.meeting(self.second)


def make_project(db: Database, project: str, ordering: str) -> None:
    """A project whose migrations run in the schema of its name, in front of `public`."""
    query = "SELECT belay.project_create(%s, ordering => %s, search_path => %s)"
    db.execute(query, [project, ordering, f"{sql.Identifier(project).as_string()}, public"])


def make_schema(db: Database, name: str, setup: str) -> None:
    """A schema with what the statements of `setup` make in it."""
    schema = sql.Identifier(name).as_string()
    db.execute(f"CREATE SCHEMA {schema}; SET search_path = {schema}, public; {setup}; RESET search_path")


def apply(db: Database, name: str, text: str, project: str) -> None:
    db.execute("SELECT belay.migrate_register(%s, %s, project => %s)", [name, text, project])
    db.execute("CALL belay.migrate_up(project => %s)", [project])


def one_after_the_other(db: Database, project: str, first: str, second: str, ordering: str = "permissive") -> Order:
    """Applies both, the one that sorts last at first. Where `ordering` is disjoint, Belay may refuse the second one."""
    make_project(db, project, ordering)
    found: list[Footprint | None] = [None, None]
    for place, (name, text) in enumerate([(FIRST, first), (SECOND, second)]):
        try:
            apply(db, name, text, project)
        except psycopg.Error as error:
            return Order(*found, error)
        found[place] = Footprint.of(db, name, project).within(project)
    return Order(*found)


def by_itself(db: Database, project: str, text: str) -> Footprint | None:
    """What a migration would touch, told from a transaction that is rolled back; None where it fails."""
    db.execute("BEGIN")
    try:
        apply(db, FIRST, text, project)
        return Footprint.of(db, FIRST, project)
    except psycopg.Error:
        return None
    finally:
        db.execute("ROLLBACK")
