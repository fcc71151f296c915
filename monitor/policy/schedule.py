"""Schedule of the checks: each check is due once in its interval, always at its own phase.

A check with interval ``i`` is due at every time ``t`` with ``t % i == phase(name) * i``. The phase is a hash of the
name. So checks are spread over the interval, and a check keeps its phase when the roster changes or a process restarts.
There is no IO and no clock here. Only the default of ``choose`` is random.
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
    """A check to run. ``due_at`` is the time at which it was due, by the store's clock."""

    check: str
    due_at: float


def phase(name: str) -> float:
    """Return a number in [0, 1) that depends only on the name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest()) / 2**56


class Plan:
    """The roster, sorted by interval and phase, so that due checks are found without reading the other checks."""

    def __init__(self, checks: Iterable[CheckSpec]) -> None:
        entries_by_interval: dict[float, list[tuple[float, str]]] = defaultdict(list)
        for check in checks:
            entries_by_interval[check.interval_seconds].append((phase(check.name) * check.interval_seconds, check.name))
        self._entries = {interval: sorted(entries) for interval, entries in entries_by_interval.items()}
        self._names = frozenset(name for entries in self._entries.values() for _, name in entries)

    def due(self, window: Window) -> list[DueCheck]:
        """Return the checks to run in ``window``, the earliest first. Each check occurs at most once.

        In the first window of a store, all checks are due. In later windows, these checks are due:

        - Checks with a due time in the window.
        - Checks whose retry is due.
        - Checks that were never observed.
        """
        if window.since is None:
            return [DueCheck(name, window.until) for name in sorted(self._names)]
        due_at: dict[str, float] = {}
        for interval, entries in self._entries.items():
            due_at.update(_last_due_times(entries, interval, window.since, window.until))
        at_once = set(window.retries) & self._names
        if window.observed is not None:
            at_once |= self._names - window.observed
        due_at.update((name, window.until) for name in at_once - due_at.keys())
        return sorted((DueCheck(name, at) for name, at in due_at.items()), key=lambda due: due.due_at)


def admit(
    due: Sequence[DueCheck], waiting: int, *, min_queue_limit: int, choose: Choose = random.sample
) -> list[DueCheck]:
    """Return the due checks for which a task is to be sent now. ``waiting`` is the number of runs in the queue.

    If runs wait in the queue for longer than the interval of their check, workers drop each run as overdue, and no
    check runs at all. So the length of the queue is limited to half the number of due checks, or to ``min_queue_limit``
    if that is more. If the queue is empty, all due checks are sent.

    If not all due checks can be sent, ``choose`` selects some at random, so that no check is always left out.
    """
    if waiting == 0:
        return list(due)
    free = max(len(due) // 2, min_queue_limit) - waiting
    if free >= len(due):
        return list(due)
    return sorted(choose(due, max(0, free)), key=lambda due: due.due_at)


def _last_due_times(entries: list[tuple[float, str]], interval: float, since: float, until: float) -> dict[str, float]:
    """Return, by name, the last due time in (since, until] of each entry that has a due time there."""
    number = math.floor(until / interval)
    due_at: dict[str, float] = {}
    for start in (number * interval, (number - 1) * interval):  # the interval that contains `until`, and the one before
        low = bisect_right(entries, (since - start, "\U0010ffff"))
        high = bisect_right(entries, (until - start, "\U0010ffff"))
        for offset, name in entries[low:high]:
            due_at.setdefault(name, start + offset)
    return due_at
