"""Waiting for a condition, always with a bound."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

T = TypeVar("T")


def poll_until(condition: Callable[[], T], bound: float = 20, what: str = "") -> T:
    """Calls `condition` every few milliseconds until it returns something true, and returns that.

    Fails the test, naming `what` and the last value, when `bound` seconds have passed.
    """
    deadline = time.monotonic() + bound
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {bound} s still not: {what or condition}; last value: {value!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
