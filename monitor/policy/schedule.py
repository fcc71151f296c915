"""When each check is due: at its own phase of its interval, forever.

A check with interval ``i`` is due at every moment ``t`` with ``t % i == phase(name) * i``. The phase
is a stable hash of the name, so that checks spread over the interval and keep their place when the
roster changes or a process restarts. Pure: a plan answers for any stretch of time it is asked about.
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
    """A check to run, and the moment at which it was due (store's clock)."""

    check: str
    due_at: float


def phase(name: str) -> float:
    """A number in [0, 1) that depends on nothing but the name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest()) / 2**56


class Plan:
    """The roster, sorted by when in its interval each check is due: a question costs what its answer holds."""

    def __init__(self, checks: Iterable[CheckSpec]) -> None:
        slots: dict[float, list[tuple[float, str]]] = defaultdict(list)
        for check in checks:
            slots[check.interval_seconds].append((phase(check.name) * check.interval_seconds, check.name))
        self._slots = {interval: sorted(entries) for interval, entries in slots.items()}
        self._names = frozenset(name for entries in self._slots.values() for _, name in entries)

    def due(self, window: Window) -> list[DueCheck]:
        """What to run in ``window``, each check at most once however long the window is, the earliest first.

        Everything when there has been no window before; checks never observed at once; retries
        once their time has come.
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
    """What of ``due`` to send, while ``waiting`` runs of earlier windows have not been taken by any worker.

    A queue that is longer than workers empty within an interval holds runs that are overdue when they are taken: then
    all work is wasted. So no more wait than half a window's worth, or ``at_least``. When not everything fits,
    chance decides: a check left out now is as likely as any other to be in the next time.
    """
    if waiting == 0:
        return list(due)
    room = max(len(due) // 2, at_least) - waiting
    if room >= len(due):
        return list(due)
    return sorted(choose(due, max(0, room)), key=lambda due: due.due_at)


def _latest(entries: list[tuple[float, str]], interval: float, since: float, until: float) -> dict[str, float]:
    """For each entry with a due time in (since, until], the last such time."""
    turn = math.floor(until / interval)
    found: dict[str, float] = {}
    for start in (turn * interval, (turn - 1) * interval):  # the interval that `until` lies in, and the one before
        low = bisect_right(entries, (since - start, "\U0010ffff"))
        high = bisect_right(entries, (until - start, "\U0010ffff"))
        for offset, name in entries[low:high]:
            found.setdefault(name, start + offset)
    return found
