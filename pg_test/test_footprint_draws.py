"""Random pairs of migrations: what Belay calls disjoint leaves the same database in either order, as pg_dump tells it.

Each test is a batch of draws, each made from a seed. `make soak` runs more of them; to repeat one alone:

    BELAY_PG=18 BELAY_SOAK_SEED=18007 BELAY_SOAK_DRAWS=1 .belay/venv/bin/python -m pytest pg_test/test_footprint_draws.py -k order
"""

from __future__ import annotations

import os
from random import Random
from typing import Iterator

import pytest

from commuting import judge, make_roles
from footprints import make_schema, one_after_the_other
from harness.database import Database
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


@pytest.fixture
def place(with_roles: Server) -> Iterator[Database]:
    db = Database.create(with_roles, "belay_template")
    yield db
    db.remove()


def test_of_200_pairs_on_unrelated_tables_at_least_190_are_called_disjoint(place: Database):
    met, ran = [], 0
    for seed in range(FIRST_SEED, FIRST_SEED + 300):
        schema = f"d{seed}"
        first, second = (text.replace("{s}", schema) for text in draw_unrelated(Random(seed)))
        make_schema(place, schema, (setup(1) + setup(2)).replace("{s}", schema))
        order = one_after_the_other(place, schema, first, second)
        if order.error is None:
            ran += 1
            if order.meeting:
                met.append(f"{order.meeting}\n  {first}\n  {second}")
        if ran == 200:
            break
    assert ran == 200, f"{ran} of 300 pairs run"
    assert len(met) <= 10, "\n".join(met)
