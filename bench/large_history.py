"""What calls cost in a database whose history is long."""

import statistics

from apply import CREATE_EXTENSION
from report import Row
from server import Session

NOTHING_PENDING_LIMIT_MS = 5
STATUS_LIMIT_TIMES = 12
RELOAD_LIMIT_S = 1

UP = "CALL belay.migrate_up();"
STATUS = "SELECT * FROM belay.migrate_status();"


def database_with(server, migrations):
    """A database in which all of a set is applied, with the statistics that autovacuum would have gathered by then."""
    database = server.fresh_database(f"belay_bench_{migrations.count}", CREATE_EXTENSION)
    server.run_script(migrations.belay_load_and_up(), database)
    server.query("VACUUM ANALYZE;", database)
    return database


def nothing_pending(server, small, large, pairs):
    """`migrate_up` with nothing to do: in a session that did it before, and as the first call of a new session."""
    warm, cold = [], []
    with Session(server, small.database) as few, Session(server, large.database) as many:
        few.time(UP)
        many.time(UP)
        for _ in range(pairs):
            warm.append((few.time(UP).wall, many.time(UP).wall))
    for _ in range(pairs):
        cold.append(tuple(first_call(server, side.database) for side in (small, large)))
    for name, samples in (("", warm), (", first call of a session", cold)):
        difference = statistics.median(many - few for few, many in samples) * 1000
        few_ms, many_ms = (statistics.median(side) * 1000 for side in zip(*samples, strict=True))
        yield Row(f"nothing pending: {large.count} applied against {small.count}{name}", difference, "ms",
                  NOTHING_PENDING_LIMIT_MS, f"wall clock {many_ms:.2f} ms against {few_ms:.2f} ms")


def first_call(server, database):
    with Session(server, database) as session:
        return session.time(UP).wall


def status(server, middle, large, pairs):
    samples = []
    with Session(server, middle.database) as few, Session(server, large.database) as many:
        few.time(STATUS)
        many.time(STATUS)
        for _ in range(pairs):
            samples.append((few.time(STATUS), many.time(STATUS)))
    times = [many.cpu / few.cpu for few, many in samples]
    wall = statistics.median(many.wall / few.wall for few, many in samples)
    milliseconds = statistics.median(many.wall for _, many in samples) * 1000
    yield Row(f"status: {large.count} against {middle.count}", statistics.median(times), "times", STATUS_LIMIT_TIMES,
              f"CPU {min(times):.1f}–{max(times):.1f}; wall clock {wall:.1f}; {milliseconds:.0f} ms for {large.count}")


def reload(server, large, pairs):
    """Loading what is loaded and applied already, as each deployment does: in a new session each time."""
    samples = []
    for _ in range(pairs):
        with Session(server, large.database) as session:
            samples.append(session.time(large.migrations.belay_load()))
    cpu = statistics.median(sample.cpu for sample in samples)
    wall = [sample.wall for sample in samples]
    yield Row(f"loading {large.count} unchanged files again", statistics.median(wall), "s", RELOAD_LIMIT_S,
              f"wall clock {min(wall):.2f}–{max(wall):.2f}; CPU {cpu:.2f}")


class Applied:
    """A set and the database that has it."""

    def __init__(self, server, migrations):
        self.migrations = migrations
        self.count = migrations.count
        self.database = database_with(server, migrations)


def rows(server, small, middle, large, pairs, progress):
    """`small`, `middle`, `large`: migration sets of rising size."""
    sides = []
    for migrations in (small, middle, large):
        progress(f"applying {migrations.count} migrations")
        sides.append(Applied(server, migrations))
    small, middle, large = sides
    progress("calls in a long history")
    yield from nothing_pending(server, small, large, pairs)
    yield from status(server, middle, large, pairs)
    yield from reload(server, large, pairs)
    for side in sides:
        server.drop_database(side.database)
