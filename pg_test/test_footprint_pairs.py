"""Whether the order of two migrations can matter, told by what each of them touched: see `pairs` for the table.

Each pair runs in both orders, and the verdict must be the same: of what either touched when it came first, and of what
both touched in each of the orders.
"""

from __future__ import annotations

import itertools
from typing import Callable, Iterator

import pytest

from footprints import Order, make_schema, one_after_the_other
from harness.database import Database
from pairs import BASE, PAIRS, Pair


class Place:
    """A database with two roles, where pairs run in schemas of their own."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._roles = {"{a}": db.role("a"), "{b}": db.role("b")}
        self._numbers = itertools.count(1)

    def run(self, pair: Pair, late_first: bool) -> Order:
        schema = f"s{next(self._numbers)}"
        setup, late, other = (self._filled(text, schema) for text in (pair.setup, pair.late, pair.other))
        make_schema(self.db, schema, f"{BASE}; {setup}")
        return one_after_the_other(self.db, schema, *((late, other) if late_first else (other, late)))

    def _filled(self, text: str, schema: str) -> str:
        for word, name in {"{s}": schema, **self._roles}.items():
            text = text.replace(word, name)
        return text


@pytest.fixture(scope="module")
def shared(server) -> Iterator[Place]:
    db = Database.create(server, "belay_template")
    yield Place(db)
    db.remove()


@pytest.fixture
def places(shared: Place, new_database: Callable[..., Database]) -> Callable[[Pair], Place]:
    return lambda pair: Place(new_database()) if pair.alone else shared


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.id)
def test_the_verdict_of(places, pair: Pair):
    runs = [places(pair).run(pair, late_first) for late_first in (False, True)]
    for run, expected in zip(runs, pair.clash):
        assert run.first is not None, f"it fails by itself: {run.error}"
        assert (run.error and run.error.sqlstate) == expected, run.error
    verdicts = {"each by itself": runs[1].first.meeting(runs[0].first)}
    verdicts |= {place: run.meeting for place, run in zip(("late second", "late first"), runs) if run.error is None}
    told = "\n".join(f"{place}: {why}" for place, why in verdicts.items())
    met = {why is not None for why in verdicts.values()}
    assert met == {pair.meets}, f"{pair.why}\n{told}\n{pair.late}:\n{runs[1].first}\n{pair.other}:\n{runs[0].first}"
