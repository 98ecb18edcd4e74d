"""Whether the order of two migrations can matter, told by what each of them touched: see `pairs` for the table.

Each pair runs in both orders, in a project whose ordering is disjoint: Belay must refuse the second one, which is late,
where they meet, and keep it where they do not. What either touched when it came first must say the same.
"""

from __future__ import annotations

import itertools
import re
from typing import Callable, Iterator

import pytest

from footprints import FIRST, SECOND, Order, make_schema, one_after_the_other
from harness.database import Database
from harness.session import describe
from ledger import applied
from pairs import BASE, PAIRS, Pair


class Place:
    """A database with two roles, where pairs run in schemas of their own."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._roles = {"{a}": db.role("a"), "{b}": db.role("b")}
        self._numbers = itertools.count(1)

    def run(self, pair: Pair, late_first: bool) -> tuple[Order, bool | None]:
        """What became of it, and whether they meet; None where the second one came to no verdict."""
        schema = f"s{next(self._numbers)}"
        setup, late, other = (self._filled(text, schema) for text in (pair.setup, pair.late, pair.other))
        make_schema(self.db, schema, f"{BASE}; {setup}")
        self.db.session.notices.clear()
        order = one_after_the_other(self.db, schema, *((late, other) if late_first else (other, late)), ordering="disjoint")
        return order, self._verdict(order, schema)

    def _verdict(self, order: Order, project: str) -> bool | None:
        if order.error is None:
            assert applied(self.db, project) == [FIRST, SECOND]
            kept = f"{SECOND} sorts before {FIRST}, which is applied: kept, since they touch nothing in common"
            assert kept in self.db.session.messages
            return False
        if order.error.sqlstate != "MG001" or "runs without a transaction" in order.error.diag.message_primary:
            return None
        assert applied(self.db, project) == [FIRST]
        assert f'"{SECOND}" sorts before "{FIRST}", which is applied already, and they meet' in str(order.error)
        both = rf'"({FIRST}|{SECOND})" .+"(?!\1)({FIRST}|{SECOND})"'
        assert re.search(both, order.error.diag.message_detail), describe(order.error)
        return True

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


def marked(pair: Pair):
    marks = [pytest.mark.xfail(reason=pair.wrong)] if pair.wrong else []
    return pytest.param(pair, id=pair.id, marks=marks)


@pytest.mark.parametrize("pair", [marked(pair) for pair in PAIRS])
def test_the_verdict_of(places, pair: Pair):
    (late_second, first_verdict), (late_first, second_verdict) = (places(pair).run(pair, late_first) for late_first in (False, True))
    for order, clash, verdict in ((late_second, pair.clash[0], first_verdict), (late_first, pair.clash[1], second_verdict)):
        assert order.first is not None, f"it fails by itself: {order.error}"
        if clash is not None or order.error is None:
            assert (order.error and order.error.sqlstate) == clash, order.error
        else:
            assert order.error.sqlstate == "MG001", order.error
    meeting = late_first.first.meeting(late_second.first)
    verdicts = {"each by itself": meeting is not None, "late second": first_verdict, "late first": second_verdict}
    wrong = [place for place, meets in verdicts.items() if meets not in (None, pair.meets)]
    told = f"{pair.late}:\n{late_first.first}\n{pair.other}:\n{late_second.first}"
    assert not wrong, f"{pair.why}\n{', '.join(wrong)}\neach by itself: {meeting}\n{told}\n{late_second.error}\n{late_first.error}"
