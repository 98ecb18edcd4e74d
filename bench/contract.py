"""What the contract adds to a pre migration: the same pre with the contract enforced and with it off, one after the other."""

import statistics

from apply import CREATE_EXTENSION
from report import Row, spread
from server import Session
from snapshot import application

ADDED_LIMIT_MS = 15
CALLS = 5
PROJECT = "SELECT FROM belay.project_create('default', naming => 'release');"
UP = "CALL belay.migrate_up(phase => 'pre');"


def register(server, database, number, contract):
    """A pre of a release of its own that changes next to nothing: its check also keeps what the release found."""
    server.query(
        f"SELECT FROM belay.project_alter('default', contract => '{contract}');"
        f"SELECT FROM belay.migrate_register('1.0.{number}_01_pre_note', $$COMMENT ON TABLE t1 IS '{number}'$$);",
        database,
    )


def rows(server, rounds, progress):
    """Of an application's schema; the first call of a session fills its caches."""
    database = server.fresh_database("belay_bench_contract", CREATE_EXTENSION + application(4) + PROJECT + "VACUUM ANALYZE;")
    first, later = {"off": [], "enforce": []}, {"off": [], "enforce": []}
    number = 0
    for _ in range(rounds):
        progress("a pre migration with the contract and without")
        for contract in first:
            with Session(server, database) as session:
                for call in range(CALLS):
                    number += 1
                    register(server, database, number, contract)
                    cpu = session.time(UP).cpu * 1000
                    (later if call else first)[contract].append(cpu)
    server.drop_database(database)
    for what, samples in (("a session's first", first), ("a later", later)):
        added = [a - b for a, b in zip(samples["enforce"], samples["off"], strict=True)]
        yield Row(f"contract check, {what} pre migration", statistics.median(added), "ms", ADDED_LIMIT_MS,
                  f"CPU {spread(added)}; without it {statistics.median(samples['off']):.1f} ms")
