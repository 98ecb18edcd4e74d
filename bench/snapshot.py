"""What belay.snapshot() costs: for a large schema, and for one of an ordinary application, of which a contract check takes two."""

import statistics

from apply import CREATE_EXTENSION
from report import Row, spread
from server import Session

LARGE_LIMIT_MS = 1500
TAKE = "SELECT length(belay.snapshot()::text);"


def tables(count):
    """Tables with 10 columns and 3 indexes each, the one of the primary key among them."""
    columns = ", ".join(f"c{number} text NOT NULL DEFAULT ''x''" for number in range(2, 11))
    return f"""
        SELECT format('CREATE TABLE t%1$s (c1 bigint PRIMARY KEY, {columns})', n) FROM generate_series(1, {count}) n \\gexec
        SELECT format('CREATE INDEX ON t%1$s (c2)', n) FROM generate_series(1, {count}) n \\gexec
        SELECT format('CREATE INDEX ON t%1$s (c3, c4)', n) FROM generate_series(1, {count}) n \\gexec
    """


def application(count):
    """Tables, and as many functions and triggers: 4, 20 and 10 are what procrastinate has."""
    return tables(count) + f"""
        SELECT format('CREATE FUNCTION f%1$s(a integer, b text DEFAULT NULL) RETURNS integer LANGUAGE sql AS $$ SELECT 1 $$', n)
          FROM generate_series(1, {count * 5}) n \\gexec
        CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
        SELECT format('CREATE TRIGGER g%1$s BEFORE INSERT ON t1 FOR EACH ROW EXECUTE FUNCTION fired()', n)
          FROM generate_series(1, {count * 3}) n \\gexec
    """


def taken(server, setup, rounds):
    """Milliseconds of CPU: of the first snapshot of a session, which fills its caches, and of later ones."""
    database = server.fresh_database("belay_bench_snapshot", CREATE_EXTENSION + setup + "VACUUM ANALYZE;")
    with Session(server, database) as session:
        samples = [session.time(TAKE).cpu * 1000 for _ in range(rounds + 1)]
    server.drop_database(database)
    return samples[0], samples[1:]


def rows(server, large, rounds, progress):
    """`large` tables, and the schema of an application."""
    progress(f"snapshots of {large} tables")
    first, later = taken(server, tables(large), rounds)
    yield Row(f"snapshot of {large} tables, 10 columns and 3 indexes each", statistics.median(later), "ms", LARGE_LIMIT_MS,
              f"CPU {spread(later)}; the first of a session {first:.1f}")
    progress("snapshots of an application's schema")
    first, later = taken(server, application(4), max(rounds, 20))
    yield Row("snapshot of 4 tables, 21 functions, 12 triggers", statistics.median(later), "ms",
              note=f"CPU {spread(later)}; the first of a session {first:.1f}")
