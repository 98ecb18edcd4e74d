"""Column changes in tests: the eight verbs by short names, what must hold after each call, and writers that run meanwhile."""

from __future__ import annotations

import random
import threading

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from harness.database import Database
from harness.session import Session

#: Short name → procedure, of both families.
RENAME = {
    "begin": "rename_column_concurrently",
    "undo": "undo_rename_column_concurrently",
    "cleanup": "cleanup_concurrent_column_rename",
    "undo cleanup": "undo_cleanup_concurrent_column_rename",
}
TYPE = {
    "begin": "change_column_type_concurrently",
    "undo": "undo_change_column_type_concurrently",
    "cleanup": "cleanup_concurrent_column_type_change",
    "undo cleanup": "undo_cleanup_concurrent_column_type_change",
}

#: What each verb does in each phase; an SQLSTATE: it is refused.
PHASES = {
    "old": {"begin": "both", "undo": "old", "cleanup": "55000", "undo cleanup": "old"},
    "both": {"begin": "both", "undo": "old", "cleanup": "new", "undo cleanup": "both"},
    "new": {"begin": "new", "undo": "55000", "cleanup": "new", "undo cleanup": "both"},
}


class Change:
    """A change of a column of table t: `amount` to `total`, or `amount` from integer to `new_type`."""

    def __init__(self, kind: str, new_type: str = "bigint", using: str | None = None, back: str | None = None) -> None:
        self.kind = kind
        self.old = "amount"
        self.new = "total" if kind == "rename" else "amount_for_type_change"
        self.types = (new_type, using, back)

    def call(self, verb: str) -> str:
        if self.kind == "rename":
            arguments, name = [self.old, self.new], RENAME[verb]
        else:
            arguments, name = [self.old, *(self.types if verb == "begin" else ())], TYPE[verb]
        listed = SQL(", ").join(map(Literal, ["t", *arguments]))
        return SQL("CALL belay.{}({})").format(SQL(name), listed).as_string()

    def phase(self, db: Database) -> str:
        """By the table itself."""
        there = columns(db)
        if self.old in there and self.new in there:
            return "both"
        if self.kind == "rename":
            return "old" if self.old in there else "new"
        return "old" if there[self.old] == "integer" else "new"


def columns(db: Database) -> dict[str, str]:
    query = """
        SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped
    """
    return dict(db.rows(query))


def make_table(db: Database, rows: int = 200) -> None:
    db.execute("""
        CREATE TABLE t (
            id bigint PRIMARY KEY, amount integer NOT NULL DEFAULT 7 CONSTRAINT small CHECK (amount < 1000000), note text, seen int DEFAULT 0);
        CREATE INDEX t_amount ON t (amount) WHERE amount > 3;
        COMMENT ON COLUMN t.amount IS 'how much';
    """)
    db.execute("INSERT INTO t SELECT g, g %% 100 FROM generate_series(1, %s) g", [rows])


def assert_sound(db: Database, change: Change) -> str:
    """No orphans, both columns equal in phase both; the phase."""
    phase = change.phase(db)
    change_id = db.one("SELECT id FROM belay.column_change")
    triggers = [name for (name,) in db.rows("SELECT tgname::text FROM pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal")]
    assert triggers == ([f"zz_belay_sync_{change_id}"] if phase == "both" else [])
    assert db.one("SELECT phase FROM belay.column_change") in ((phase,) if change_id else (None,))
    left = """
        SELECT relname::text FROM pg_class WHERE relname LIKE 'belay\\_%' AND relnamespace = 'public'::regnamespace
        UNION ALL SELECT conname::text FROM pg_constraint WHERE conrelid = 't'::regclass AND conname LIKE 'belay\\_%'
        UNION ALL SELECT attname::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attname LIKE 'belay\\_%' AND NOT attisdropped
    """
    if phase == "both":
        query = SQL("SELECT count(*) FROM t WHERE {}::text IS DISTINCT FROM {}::text").format(Identifier(change.old), Identifier(change.new))
        assert db.one(query) == 0
    else:
        assert db.rows(left) == []
    assert db.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == []
    return phase


class Writer:
    """Code of one version: it writes the column that it knows, while there is one, to a value of its own in each row of its own."""

    def __init__(self, db: Database, column: str, first: int, seed: int) -> None:
        self.column, self.first = column, first
        self.draw = random.Random(seed)
        self.session = db.connect()
        self.written: dict[int, int] = {}
        self.errors: list[str] = []
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        number = self.first
        while not self.ends.is_set():
            value = self.draw.randrange(100_000)
            row = self.draw.choice(list(self.written)) if self.written and self.draw.random() < 0.5 else None
            try:
                if row is None:
                    number += 1
                    row = number
                    self.session.execute(SQL("INSERT INTO t (id, {}) VALUES ({}, {})").format(Identifier(self.column), row, value))
                else:
                    self.session.execute(SQL("UPDATE t SET {} = {} WHERE id = {}").format(Identifier(self.column), value, row))
                self.written[row] = value
            except psycopg.errors.UndefinedColumn:
                pass  # this version's column is not there in this phase
            except psycopg.Error as error:
                self.errors.append(f"{error.sqlstate} {error}")

    def stop(self) -> None:
        self.ends.set()
        self.thread.join(20)
        assert not self.thread.is_alive()


def assert_nothing_lost(db: Database, change: Change, writers: list[Writer]) -> None:
    column = change.old if change.old in columns(db) else change.new
    stored = dict(db.rows(SQL("SELECT id, {}::bigint FROM t").format(Identifier(column))))
    for writer in writers:
        assert writer.errors == []
        assert {row: stored[row] for row in writer.written} == writer.written


def walk(db: Database, change: Change, draw: random.Random, steps: int) -> list[str]:
    """Calls verbs at random; after each the phase is what the table of phases says. The verbs, for the error."""
    phase, walked = change.phase(db), []
    session: Session = db.connect(options="-c belay.batch_size=50 -c belay.batch_pause=0 -c belay.lock_retries=50 -c belay.lock_timeout=200ms")
    for _ in range(steps):
        verb = draw.choice(list(RENAME))
        walked.append(verb)
        expected = PHASES[phase][verb]
        try:
            session.execute(change.call(verb))
            found = "done"
        except psycopg.Error as error:
            found = error.sqlstate
            assert found == expected, f"{walked}: {error}"
        if found == "done":
            assert expected in PHASES, f"{walked} was not refused"
            phase = expected
        assert assert_sound(db, change) == phase, walked
    return walked
