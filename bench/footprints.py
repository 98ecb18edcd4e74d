"""What it costs to keep footprints, and to hold that of a late arrival against a long history."""

import statistics

from apply import CREATE_EXTENSION
from report import Row, spread
from server import Session

KEEPING_LIMIT = 1.05
CHECK_LIMIT_MS = 20

DISJOINT = CREATE_EXTENSION + "SELECT belay.project_create('default', ordering => 'disjoint');"
UP = "CALL belay.migrate_up();"


def keeping(server, migrations, pairs, progress):
    """The same set with and without footprints: one after the other, and at the same time on one core."""

    def sides():
        for setting in ("on", "off"):
            script = f"SET belay.footprints = {setting};\n{migrations.belay_load_and_up()}"
            yield script, server.fresh_database(f"belay_bench_footprints_{setting}", CREATE_EXTENSION)

    def drop(jobs):
        for _, database in jobs:
            server.drop_database(database)

    apart, together = [], []
    for number in range(pairs):
        progress(f"{migrations.count} migrations with and without footprints, round {number + 1} of {pairs}")
        jobs = list(sides())
        # Whoever goes first meets a colder machine.
        order = jobs if number % 2 else jobs[::-1]
        runs = {script: server.run_script(script, database) for script, database in order}
        apart.append(tuple(runs[script].cpu for script, _ in jobs))
        drop(jobs)
        if server.can_pin():
            jobs = list(sides())
            together.append(tuple(run.cpu for run in server.run_pinned(jobs)))
            drop(jobs)
    beside = [kept / none for kept, none in together]
    alone = [kept / none for kept, none in apart]
    judged = beside or alone
    yield Row(f"{migrations.count} migrations with footprints / without", statistics.median(judged), "", KEEPING_LIMIT,
              f"CPU, side by side {spread(beside) if beside else 'not possible'}; one after another {spread(alone)}")


def late_arrival(server, migrations, pairs, progress):
    """A late arrival that meets nothing against one that comes in time; the difference is the check."""
    progress(f"late arrivals against {migrations.count} applied migrations")
    database = server.fresh_database("belay_bench_late", DISJOINT)
    server.run_script(migrations.belay_load_and_up(), database)
    server.query("VACUUM ANALYZE;", database)
    samples = []
    with Session(server, database) as session:
        for number in range(pairs + 1):
            pair = []
            for name in (f"00000_late_{number}", f"99999_in_time_{number}"):
                session.time(f"SELECT belay.migrate_register('{name}', 'CREATE TABLE t{name} (id integer)');")
                pair.append(session.time(UP).cpu)
            samples.append(pair)
    server.drop_database(database)
    # The first pair fills the session's caches.
    late = [(late - in_time) * 1000 for late, in_time in samples[1:]]
    yield Row(f"check of a late arrival against {migrations.count} applied", statistics.median(late), "ms", CHECK_LIMIT_MS,
              f"CPU over one that comes in time {spread(late)}")


def rows(server, small, large, pairs, progress):
    """`small` is applied with and without footprints, `large` is the history that late arrivals meet."""
    yield from keeping(server, small, pairs, progress)
    yield from late_arrival(server, large, pairs, progress)
