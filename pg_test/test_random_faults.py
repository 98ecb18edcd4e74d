"""Random sets of migrations, disturbed by random faults at random moments.

After each fault: the session is usable, the lock is free, the ledger is true, `migrate_up` completes, and the schema is
that of a run that nobody disturbed.

Each draw is made from a seed, which is the test's name. `make soak` runs more of them; to repeat one:

    BELAY_PG=18 BELAY_SOAK_SEED=18007 BELAY_SOAK_DRAWS=1 .belay/venv/bin/python -m pytest pg_test/test_random_faults.py

What is drawn is the same each time; what runs at the same moment depends on the machine.
"""

from __future__ import annotations

import os
from random import Random
from typing import Callable

import pytest

from harness.random_fault import draw_fault
from harness.random_set import draw_set
from harness.server import MAJORS, Server
from survival import Databases, survive

MAJOR = int(os.environ.get("BELAY_PG", max(MAJORS)))
#: Each major draws its own.
FIRST_SEED = int(os.environ.get("BELAY_SOAK_SEED", MAJOR * 1000))
DRAWS = int(os.environ.get("BELAY_SOAK_DRAWS", 50))
#: How many draws of a hundred take the server down.
CRASHES = 12


@pytest.fixture(scope="module")
def databases() -> Databases:
    return Databases()


@pytest.mark.thinned
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + DRAWS))
def test_a_disturbed_run_is_survived(
    server: Server, crash_server: Callable[[], Server], databases: Databases, seed: int
) -> None:
    random = Random(seed)
    crash = random.random() < CRASHES / 100
    drawn = draw_set(random)
    faults = [draw_fault(random, drawn, crash) for _ in range(random.choice([1, 1, 2, 3]))]
    print(f"BELAY_PG={MAJOR} BELAY_SOAK_SEED={seed} BELAY_SOAK_DRAWS=1")
    print(drawn)
    print(*(f"fault: {fault}" for fault in faults), sep="\n")
    survive(crash_server() if crash else server, databases, drawn, faults)
