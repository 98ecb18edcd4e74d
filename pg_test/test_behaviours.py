"""The rows of behaviours/runner.md, Sourcegraph's runner and store: each is a test named by its id, or has no meaning here.

A test carries the id as `sg_NN` in its name: `pytest -k sg_14` runs what SG-14 has become.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

#: What a row has become here. The tests hold the details.
COVERED = {
    1: "lock, run, ledger, unlock: the run's row is there before the first body and closed after the last",
    2: "half done while the lock is held is `running`; who comes waits",
    3: "what is ahead of the target that is asked for does not count",
    4: "an up to the latest waits, everything else fails with 55P03; on_contention and wait say otherwise",
    5: "migrate_validate says that a run is going on and never waits; migrate_wait waits",
    6: "two int4 keys, polled without a snapshot, given back on every way out",
    7: "who got the lock plans again",
    8: "nothing to do returns without the lock",
    9: "transactional: body and ledger rows commit together; otherwise the intent is committed before, the outcome after",
    10: "the newest attempt decides; there is no backfill",
    11: "only a non-transactional migration is dirty; status names statement, error and next command",
    12: "a build of another session is waited for; what a dead one left is cleared away and repeated",
    14: "valid: go on; invalid and left alone: drop concurrently, build again; another index: 42P07",
    16: "closed: what runs is known by the lock, not by what can be seen of it",
    17: "the phase and progress of a build that is waited for are told",
    18: "up, to and release; the graph is a line with requirements",
    19: "migrate_down() is undo: one migration, the last; nothing to revert is said, and ambiguous it cannot be",
    20: "projects run side by side; a call names one",
    21: "what is missing up to a target or release is named",
    22: "on_privileged apply and refuse; a down is refused as a whole",
    25: "migrate_mark: nothing runs; who, when and why are kept",
    31: "one outer BEGIN and COMMIT are taken off; YAML front matter is not a layout here",
    32: "concurrent builds are found with the server's grammar, in up and down, with any name, beside other statements",
    33: "extension DDL is privileged without being declared",
}

#: Why a row is no test.
WITHOUT_MEANING = {
    13: "flags to pass over a dirty or pending row: a run resumes by itself, and an operator says what happened by migrate_mark (SG-25)",
    15: "release of the lock during a build, and re-entry: the lock is an advisory lock of the session, polled by others, and needs no release",
    23: "hash of the privileged ids: the mode that asks for it does not exist, see SG-22 and SG-25",
    24: "combinations of the flags of SG-22 and SG-23: on_privileged is one argument with two words",
    26: "describe and drift belong to the snapshot, refusal of skipped releases and of unfinished jobs to later issues",
    27: "upgrade and downgrade over releases with drift checks and out-of-band migrations: later issues; release => is SG-18",
    30: "directories with metadata.yaml are not one of the layouts (test_loading.py has those)",
    34: "roots, parents and cycles of a graph: names have one order, `requires` is judged by the planner (test_planning.py, KY tests)",
    35: "nonIdempotent is read by nothing in the origin",
    36: "up, down and up again of everything as a check: the reversibility proof of a later issue; the sample application does it in test_real_input.py",
    40: "out-of-band migrations (SG-40 to SG-45): jobs, a later issue",
    41: "see SG-40",
    42: "see SG-40",
    43: "see SG-40",
    44: "see SG-40",
    45: "see SG-40",
}

#: The rows of the list; it has no others.
ROWS = [*range(1, 28), *range(30, 37), *range(40, 46)]


def rows_of_tests() -> set[int]:
    found: set[int] = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE):
            ids = re.search(r"_sg((?:_\d\d)+)_", name)
            if ids:
                found |= {int(number) for number in re.findall(r"\d\d", ids[1])}
    return found


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_tested_or_has_no_meaning(row):
    assert (row in COVERED) != (row in WITHOUT_MEANING)
    assert (row in rows_of_tests()) == (row in COVERED)


def test_no_row_is_made_up():
    assert rows_of_tests() | COVERED.keys() | WITHOUT_MEANING.keys() <= set(ROWS)
