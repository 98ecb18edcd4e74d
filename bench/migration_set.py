"""A migration set of any size, the same bytes on every run, and the ways to apply it.

Five kinds in turn, as an application that grows writes them: create table, add column, add index, insert rows,
create function. Each file is small, because the benchmark is after what surrounds a migration, not after its SQL.
"""

import json
from pathlib import Path

TABLE = """\
CREATE TABLE {table} (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL,
    title      text NOT NULL CHECK (title <> ''),
    amount     numeric(12, 2) NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
"""

COLUMN = """\
ALTER TABLE {table} ADD COLUMN state text NOT NULL DEFAULT 'new';
COMMENT ON COLUMN {table}.state IS 'new, open or closed';
"""

INDEX = """\
CREATE INDEX {table}_account_idx ON {table} (account_id, created_at DESC);
"""

ROWS = """\
INSERT INTO {table} (account_id, title, amount) VALUES
    (1, 'first', 10.50),
    (2, 'second; with a semicolon', 20),
    (3, 'third, it''s quoted', 30.25);
"""

FUNCTION = """\
CREATE FUNCTION {table}_close(p_id bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    -- Closed already is not an error.
    UPDATE {table} SET state = 'closed' WHERE id = p_id AND state <> 'closed';
    RETURN FOUND;
END;
$$;
"""

KINDS = (("table", TABLE), ("state", COLUMN), ("account_idx", INDEX), ("rows", ROWS), ("close", FUNCTION))


def generate(count):
    """`count` migrations as {file name: content}, in the order they are applied."""
    files = {}
    for number in range(count):
        table = f"ledger_{number // len(KINDS):05d}"
        kind, text = KINDS[number % len(KINDS)]
        files[f"{number + 1:05d}_{table}_{kind}.sql"] = text.format(table=table)
    return files


class MigrationSet:
    """The generated files in a folder, as psql reads them, and in one JSON object, as Belay's loader takes them."""

    def __init__(self, folder, count):
        self.count = count
        self.folder = Path(folder) / f"set-{count}"
        self.folder.mkdir(exist_ok=True)
        self.files = generate(count)
        for name, text in self.files.items():
            (self.folder / name).write_text(text)
        self.json = Path(folder) / f"set-{count}.json"
        self.json.write_text(json.dumps(self.files))

    def psql_committed(self):
        """What a careful shell script does: each file and its version row in one transaction, one session for all."""
        lines = ["CREATE TABLE schema_version (version text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());"]
        for name in self.files:
            lines += ["BEGIN;", rf"\i '{self.folder / name}'", f"INSERT INTO schema_version (version) VALUES ('{name}');", "COMMIT;"]
        return "\n".join(lines)

    def psql_one_transaction(self):
        """The same files and version rows in a single transaction."""
        lines = [line for line in self.psql_committed().splitlines() if line not in ("BEGIN;", "COMMIT;")]
        return "\n".join(["BEGIN;", *lines, "COMMIT;"])

    def belay_load(self):
        return rf"""\set files `cat '{self.json}'`
SELECT count(*) FROM belay.migrate_load_files(files => :'files'::jsonb) \g /dev/null"""

    def belay_load_and_up(self, arguments=""):
        return f"{self.belay_load()}\nCALL belay.migrate_up({arguments});"

    def bare_engine(self):
        """The same texts executed and committed by a loop inside the server: an engine that keeps no ledger."""
        return rf"""\set files `cat '{self.json}'`
CALL bare_engine(:'files');"""


BARE_ENGINE = """\
CREATE PROCEDURE bare_engine(files jsonb) LANGUAGE plpgsql AS $$
DECLARE
    -- An array, not a query to loop over: a cursor would be kept open, and made holdable, over each commit.
    texts text[] := ARRAY(SELECT value FROM jsonb_each_text(files) ORDER BY key);
    migration text;
BEGIN
    FOREACH migration IN ARRAY texts LOOP
        EXECUTE migration;
        COMMIT;
    END LOOP;
END;
$$;
"""
