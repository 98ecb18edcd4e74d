"""Draws of two migrations, each run in both orders: where Belay calls them disjoint, both must leave the same database.

    for one in judge(server, {7: draw_pair(Random(7))}):
        one.ran                                 # both of them work where the other one has not run
        one.disjoint                            # what Belay says, in any of the orders
        one.counter_example                     # what shows that it is wrong, else None

The draws share two databases, one for each order, in schemas of their own; what reaches beyond its schema gets databases
of its own.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from typing import Iterator, Mapping

from footprints import Order, make_schema, one_after_the_other
from harness.database import Database
from harness.random_pair import RandomPair, setup
from harness.server import Server
from harness.session import describe

#: What the drawn statements grant to and give away to.
ROLES = ("draw_a", "draw_b")

#: pg_dump's entries, by their headings; what it sets in between depends on what came before.
_HEADING = re.compile(r"^--\n-- ((?:Data for )?Name: .*)\n--\n", re.MULTILINE)
_SETTING = re.compile(r"^SET default_.*\n", re.MULTILINE)


@dataclasses.dataclass
class Judged:
    seed: int
    pair: RandomPair
    #: With the late one second, as where it arrives late, and first, as its name says.
    late: Order
    in_order: Order
    difference: str = ""

    @property
    def ran(self) -> bool:
        return self.late.first is not None and self.in_order.first is not None

    @property
    def meetings(self) -> dict[str, str | None]:
        """Each by itself, and in each order where both ran."""
        found = {"each by itself": self.late.first.meeting(self.in_order.first)}
        orders = {"late second": self.late, "late first": self.in_order}
        return found | {place: order.meeting for place, order in orders.items() if order.error is None}

    @property
    def disjoint(self) -> bool:
        return self.ran and None in self.meetings.values()

    @property
    def counter_example(self) -> str | None:
        if not self.disjoint:
            return None
        errors = [f"{place} fails: {describe(error)}" for place, error in (
            ("the late one as the second", self.late.error), ("the other one as the second", self.in_order.error),
        ) if error is not None]  # fmt: skip
        return "\n".join(errors) or self.difference or None

    def __str__(self) -> str:
        verdicts = "\n".join(f"{place}: {why or 'disjoint'}" for place, why in self.meetings.items()) if self.ran else "void"
        return (
            f"{self.pair}\n{verdicts}\nfootprint of the late one, first:\n{self.in_order.first}\n"
            f"footprint of the other one, first:\n{self.late.first}\n"
            f"footprint of the late one, second:\n{self.late.second}\n{self.counter_example or ''}"
        )


def make_roles(server: Server) -> None:
    server.psql("".join(f"CREATE ROLE {role};" for role in ROLES), check=True)


def judge(server: Server, pairs: Mapping[int, RandomPair]) -> Iterator[Judged]:
    together = {seed: pair for seed, pair in pairs.items() if not pair.alone}
    yield from _judge(server, together)
    for seed in pairs.keys() - together.keys():
        yield from _judge(server, {seed: pairs[seed]})


def _judge(server: Server, pairs: Mapping[int, RandomPair]) -> list[Judged]:
    databases = [Database.create(server, "belay_template") for _ in ("late", "in order")]
    try:
        judged = [_run(databases, f"d{seed}", seed, pair) for seed, pair in pairs.items()]
        whole = any(pair.alone for pair in pairs.values())
        suspects = [one for one in judged if one.disjoint and one.late.error is None and one.in_order.error is None]
        if suspects:
            dumps = [_entries(db.dump("--exclude-schema", "belay")) for db in databases]
            for one in suspects:
                one.difference = _difference(*(_about(dump, "" if whole else f"d{one.seed}") for dump in dumps))
        return judged
    finally:
        for db in databases:
            db.remove()


def _run(databases: list[Database], schema: str, seed: int, pair: RandomPair) -> Judged:
    late, other = (text.replace("{s}", schema) for text in (pair.late, pair.other))
    orders = []
    for db, texts in zip(databases, ((other, late), (late, other))):
        make_schema(db, schema, setup(1).replace("{s}", schema))
        orders.append(one_after_the_other(db, schema, *texts))
    return Judged(seed, pair, *orders)


def _entries(dump: str) -> list[str]:
    """Each with its heading, in an order that does not depend on OIDs."""
    _, *parts = _HEADING.split(_SETTING.sub("", dump))
    return sorted(f"-- {heading}\n{body.strip()}" for heading, body in zip(parts[::2], parts[1::2]))


def _about(entries: list[str], schema: str) -> list[str]:
    """Those that name the schema, or something that is called after it."""
    named = re.compile(rf"\b{schema}(?=\b|_)")
    return [entry for entry in entries if named.search(entry)]


def _difference(late: list[str], in_order: list[str]) -> str:
    if late == in_order:
        return ""
    lines = ["\n".join(entries).splitlines() for entries in (late, in_order)]
    return "\n".join(difflib.unified_diff(*lines, "late second", "late first", lineterm="", n=2))
