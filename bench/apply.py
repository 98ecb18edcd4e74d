"""500 small migrations: Belay against one psql session that runs the same files.

The thresholds are judged by the rounds in which all sides run one after another. Beside them stand the figures of
rounds in which two sides run at the same time on one core, which vary far less on a machine that is not idle.
"""

import statistics
from dataclasses import dataclass

from migration_set import BARE_ENGINE
from report import Row, spread

CREATE_EXTENSION = "CREATE EXTENSION pg_belay;"
COMMITTED_LIMIT = 0.85
PER_RUN_LIMIT = 0.75
OWN_COST_LIMIT_MS = 0.25


@dataclass
class Side:
    """One way to apply the set: how its database is prepared, and the script that is measured."""

    name: str
    setup: str
    script: str


def sides(migrations, with_belay):
    """Everything that takes part, by name, in the order in which a round runs it."""
    belay = [
        Side("belay", CREATE_EXTENSION, migrations.belay_load_and_up()),
        Side("per_run", CREATE_EXTENSION, migrations.belay_load_and_up("transaction => 'per_run'")),
    ]
    others = [
        Side("psql", "", migrations.psql_committed()),
        Side("bare", BARE_ENGINE, migrations.bare_engine()),
        Side("psql_one", "", migrations.psql_one_transaction()),
    ]
    return {side.name: side for side in (others + belay if with_belay else others)}


def comparisons(with_belay):
    """Which two sides are set against each other."""
    belay = [("belay", "psql"), ("per_run", "psql"), ("belay", "bare"), ("per_run", "psql_one")]
    return [*(belay if with_belay else []), ("bare", "psql")]


def one_after_another(server, migrations, rounds, with_belay, progress, pin=False):
    """Each side in a fresh database, `rounds` times A B A B; {(side, side): [(run, run), ...]}.

    With `pin` the backend has a core to itself and the client runs on another, as with a client on another machine.
    """
    runs = {name: [] for name in sides(migrations, with_belay)}
    for number in range(rounds):
        progress(f"{migrations.count} migrations, round {number + 1} of {rounds}")
        for side in sides(migrations, with_belay).values():
            database = server.fresh_database(f"belay_bench_{side.name}", side.setup)
            run = server.run_pinned([(side.script, database)])[0] if pin else server.run_script(side.script, database)
            runs[side.name].append(run)
            server.drop_database(database)
    return {(a, b): list(zip(runs[a], runs[b], strict=True)) for a, b in comparisons(with_belay)}


def side_by_side(server, migrations, rounds, with_belay, progress):
    """The same comparisons, the two sides of each at the same time; nothing where the machine does not allow it."""
    all_sides = sides(migrations, with_belay)
    runs = {pair: [] for pair in comparisons(with_belay)}
    for number in range(rounds):
        progress(f"{migrations.count} migrations side by side, round {number + 1} of {rounds}")
        for pair, samples in runs.items():
            jobs = [(all_sides[name].script, server.fresh_database(f"belay_bench_{name}", all_sides[name].setup))
                    for name in pair]
            samples.append(tuple(server.run_pinned(jobs)))
            for _, database in jobs:
                server.drop_database(database)
    return runs


def rows(apart, together, count):
    """`apart` and `together`: what one_after_another and side_by_side returned, the latter perhaps empty."""

    def ratio(what, pair, limit=None):
        samples = [a.cpu / b.cpu for a, b in apart[pair]]
        wall = statistics.median(a.wall / b.wall for a, b in apart[pair])
        beside = spread([a.cpu / b.cpu for a, b in together[pair]]) if together else "not possible"
        return Row(what, statistics.median(samples), "", limit,
                   f"CPU {spread(samples)}; side by side {beside}; wall clock {wall:.2f}")

    def own_cost(pair):
        samples = cost(apart[pair])
        beside = spread(cost(together[pair])) if together else "not possible"
        return Row("Belay's own cost a migration", statistics.median(samples), "ms", OWN_COST_LIMIT_MS,
                   f"CPU over the bare engine {spread(samples)}; side by side {beside}")

    def cost(pairs):
        return [(a.cpu - b.cpu) * 1000 / count for a, b in pairs]

    psql = [run for _, run in apart["bare", "psql"]]
    yield Row(f"psql: {count} migrations, each committed", statistics.median(run.cpu for run in psql) * 1000, "ms",
              note=f"backend CPU; wall clock {statistics.median(run.wall for run in psql) * 1000:.0f} ms")
    if ("belay", "psql") in apart:
        yield ratio(f"{count} migrations, each committed, load included / psql", ("belay", "psql"), COMMITTED_LIMIT)
        yield ratio("the same with per_run / psql", ("per_run", "psql"), PER_RUN_LIMIT)
        yield own_cost(("belay", "bare"))
        yield ratio("per_run / psql in one transaction", ("per_run", "psql_one"))
    yield ratio("bare engine / psql", ("bare", "psql"))


def durable_rows(apart):
    """With fsync the disk decides: wall clock only, no threshold."""
    for (side, against), pairs in apart.items():
        if against == "psql":
            wall = [a.wall / b.wall for a, b in pairs]
            yield Row(f"fsync on: {side} / psql", statistics.median(wall), "", note=f"wall clock {spread(wall)}")
