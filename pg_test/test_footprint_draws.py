"""Random pairs of migrations: what Belay calls disjoint leaves the same database in either order, as pg_dump tells it.

Each test is a batch of draws, each made from a seed. `make soak` runs more of them; to repeat one alone:

    BELAY_PG=18 BELAY_SOAK_SEED=18007 BELAY_SOAK_DRAWS=1 .belay/venv/bin/python -m pytest pg_test/test_footprint_draws.py -k order
"""

from __future__ import annotations

import os
from random import Random

import pytest

from commuting import judge, make_roles
from footprints import by_itself, make_project, make_schema
from harness.random_pair import draw_pair, draw_unrelated, setup
from harness.server import MAJORS, Server

MAJOR = int(os.environ.get("BELAY_PG", max(MAJORS)))
#: Each major draws its own.
FIRST_SEED = int(os.environ.get("BELAY_SOAK_SEED", MAJOR * 1000))
DRAWS = int(os.environ.get("BELAY_SOAK_DRAWS", 200))
BATCH = 25
#: Of a whole batch at least so many are disjoint, and meet: or the draws would say nothing.
FEW = 3


@pytest.fixture(scope="module")
def with_roles(server: Server) -> Server:
    make_roles(server)
    return server


@pytest.mark.thinned
@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + DRAWS, BATCH))
def test_what_is_called_disjoint_may_run_in_either_order(with_roles: Server, first: int):
    seeds = range(first, min(first + BATCH, FIRST_SEED + DRAWS))
    judged = list(judge(with_roles, {seed: draw_pair(Random(seed)) for seed in seeds}))
    wrong = [one for one in judged if one.counter_example]
    for one in wrong:
        print(f"BELAY_PG={MAJOR} BELAY_SOAK_SEED={one.seed} BELAY_SOAK_DRAWS=1\n{one}\n")
    assert not wrong, f"order matters in {len(wrong)} draws that are called disjoint"
    if len(seeds) == BATCH:
        disjoint = sum(one.disjoint for one in judged)
        met = sum(one.ran and not one.disjoint for one in judged)
        assert min(disjoint, met) >= FEW, f"{disjoint} are disjoint, {met} meet, of {len(judged)}"


def test_of_200_pairs_on_unrelated_tables_at_least_190_are_called_disjoint(with_roles: Server, new_database):
    db = new_database()
    make_schema(db, "d", (setup(1) + setup(2)).replace("{s}", "d"))
    make_project(db, "d", "disjoint")
    met, ran = [], 0
    for seed in range(FIRST_SEED, FIRST_SEED + 300):
        texts = [text.replace("{s}", "d") for text in draw_unrelated(Random(seed))]
        first, second = (by_itself(db, "d", text) for text in texts)
        if ran < 200 and first and second:
            ran += 1
            if meeting := first.meeting(second):
                met.append("\n  ".join([meeting, *texts]))
    assert ran == 200, f"{ran} of 300 pairs run"
    assert len(met) <= 10, "\n".join(met)
