"""Schedule of the checks: each is due once in its interval, always at its own phase.

A check with interval ``i`` is due at every time ``t`` with ``t % i == phase(name) * i``. The phase is a stable hash of
the name, so that checks are spread over the interval and keep their phase when the roster changes or a process
restarts. The rules are pure: a plan can be computed for any window of time.
"""

from __future__ import annotations

import hashlib
import math
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from monitor.config import CheckSpec
from monitor.model.checks import Window

Choose = Callable[[Sequence["DueCheck"], int], list["DueCheck"]]


class DueCheck(NamedTuple):
    """A check to run, and the time at which it was due, by the store's clock."""

    check: str
    due_at: float


def phase(name: str) -> float:
    """Return a number in [0, 1) that depends only on the name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest()) / 2**56


class Plan:
    """The roster, sorted by interval and phase, so that finding the due checks costs in proportion to their number."""

    def __init__(self, checks: Iterable[CheckSpec]) -> None:
        slots: dict[float, list[tuple[float, str]]] = defaultdict(list)
        for check in checks:
            slots[check.interval_seconds].append((phase(check.name) * check.interval_seconds, check.name))
        self._slots = {interval: sorted(entries) for interval, entries in slots.items()}
        self._names = frozenset(name for entries in self._slots.values() for _, name in entries)

    def due(self, window: Window) -> list[DueCheck]:
        """Return the checks to run in ``window``, the earliest first. Each occurs at most once, even in a long window.

        All checks are due in the first window of a store. Checks that were never observed, and retries whose time
        has passed, are due at once.
        """
        if window.since is None:
            return [DueCheck(name, window.until) for name in sorted(self._names)]
        found: dict[str, float] = {}
        for interval, entries in self._slots.items():
            found.update(_latest(entries, interval, window.since, window.until))
        at_once = set(window.retries) & self._names
        if window.observed is not None:
            at_once |= self._names - window.observed
        found.update((name, window.until) for name in at_once - found.keys())
        return sorted((DueCheck(name, at) for name, at in found.items()), key=lambda due: due.due_at)


def admit(due: Sequence[DueCheck], waiting: int, *, at_least: int, choose: Choose = random.sample) -> list[DueCheck]:
    """Return the checks of ``due`` to send, while ``waiting`` earlier runs have not been taken by any worker.

    If a queue holds more runs than workers can take within an interval, all runs are overdue when they are taken and
    all work is wasted. So at most half the due checks, or ``at_least``, may wait. When not all fit, ``choose`` picks
    among them at random, so that a check that is left out now is as likely as any other to be sent next time.
    """
    if waiting == 0:
        return list(due)
    free = max(len(due) // 2, at_least) - waiting
    if free >= len(due):
        return list(due)
    return sorted(choose(due, max(0, free)), key=lambda due: due.due_at)


def _latest(entries: list[tuple[float, str]], interval: float, since: float, until: float) -> dict[str, float]:
    """Return the last due time in (since, until] of each entry that has one, by name."""
    current = math.floor(until / interval)
    found: dict[str, float] = {}
    for start in (current * interval, (current - 1) * interval):  # the interval with `until` in it, and the one before
        low = bisect_right(entries, (since - start, "\U0010ffff"))
        high = bisect_right(entries, (until - start, "\U0010ffff"))
        for offset, name in entries[low:high]:
            found.setdefault(name, start + offset)
    return found
