"""Pairs of migrations drawn at random, over a small fixed schema.

    pair = draw_pair(random.Random(7))
    pair.late, pair.other                       # their texts, where {s} stands for the schema
    pair.alone                                  # it changes more of its database than what is named after that schema

    first, second = draw_unrelated(random.Random(7))    # of two groups of tables that have nothing to do with each other

`setup(1)` makes the tables of group 1. What a statement names is drawn from `WORDS`, with the group's number for a `#`;
a name that was drawn once is likely to be drawn again. The same text does the same at any time.
"""

from __future__ import annotations

import dataclasses
from random import Random

from .random_statements import ALONE, DUETS, SETUP, TOPICS, WIDE, WORDS

#: How likely the two migrations are about one topic, a name is one that was drawn already, a pair is one of the duets.
SAME_TOPIC, SAME_NAME, DUET = 0.5, 0.5, 0.06


@dataclasses.dataclass(frozen=True)
class RandomPair:
    late: str
    other: str
    alone: bool

    def __str__(self) -> str:
        return f"--- late\n{self.late};\n--- other\n{self.other};"


class _Names(dict):
    """What `{word}` stands for: drawn anew each time; `{word!}` is the one that was drawn last."""

    def __init__(self, random: Random, group: int, again: float) -> None:
        super().__init__(s="{s}")
        self._random, self.group, self._again = random, group, again
        self._drawn: dict[str, list[str]] = {}

    def __missing__(self, word: str) -> str:
        if word.endswith("_again"):
            return self._drawn[word.removesuffix("_again")][-1]
        before = self._drawn.setdefault(word, [])
        if before and self._random.random() < self._again:
            before.append(self._random.choice(before))
        else:
            before.append(self._random.choice(WORDS[word]).replace("#", str(self.group)))
        return before[-1]


def setup(group: int) -> str:
    return SETUP.replace("#", str(group))


def draw_pair(random: Random) -> RandomPair:
    names = _Names(random, 1, SAME_NAME)
    if random.random() < DUET:
        drawn = [[one] for one in random.choice(DUETS)]
    else:
        topics = [random.choice(list(TOPICS))] * 2
        if random.random() >= SAME_TOPIC:
            topics[1] = random.choice(list(TOPICS))
        drawn = [_templates(random, topic) for topic in topics]
    texts = [_text(templates, names) for templates in drawn]
    random.shuffle(texts)
    return RandomPair(*texts, any(template in ALONE for templates in drawn for template in templates))


def draw_unrelated(random: Random) -> tuple[str, str]:
    """Of group 1 and of group 2, without statements that are about more than their group."""
    drawn = []
    for group in (1, 2):
        names = _Names(random, group, 0)
        drawn.append(_text(_templates(random, random.choice(list(TOPICS)), WIDE | ALONE), names))
    return drawn[0], drawn[1]


def _templates(random: Random, topic: str, without: frozenset[str] = frozenset()) -> list[str]:
    """One to three statements, most of them about the topic."""
    drawn = []
    for _ in range(random.choice([1, 1, 1, 2, 2, 3])):
        about = topic if random.random() < 0.8 else random.choice(list(TOPICS))
        allowed = [template for template in TOPICS[about] if template not in without]
        if not allowed:
            about = "rows"
            allowed = TOPICS[about]
        drawn.append(random.choice(allowed))
        if drawn[-1] in ALONE and random.random() < 0.6:  # they need databases of their own, which take time
            drawn[-1] = random.choice(allowed)
    return drawn


def _text(templates: list[str], names: _Names) -> str:
    return ";\n".join(template.replace("#", str(names.group)).format_map(names) for template in templates)
