"""History: samples and roll-ups of the past."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, Protocol

from monitor.history.buckets import Buckets
from monitor.history.samples import Sample, Samples
from monitor.history.uptime import Uptimes


class HistoryBounds(NamedTuple):
    """How far back history goes, in epoch seconds; None where there is none."""

    raw: float | None = None
    rollups: float | None = None


class CompactionResult(NamedTuple):
    """What one compaction did: hours that were closed or added to, blocks that had to go for the memory budget, and
    the bytes that history occupies now."""

    hours: int = 0
    evicted: int = 0
    kept_bytes: int = 0


class History(Protocol):
    """What was observed. Samples are written by :class:`StateStore`, together with the state that they are of.

    Every method may raise :class:`StoreUnavailable`. What cannot be understood is as good as absent.
    """

    def samples(
        self, check: str, since: float, until: float | None = None, names: Collection[str] | None = None
    ) -> Samples:
        """The check's samples in [since, until), and before them the one that still holds at ``since``, if any.

        With their series of these ``names``, all when None.
        """
        ...

    def rollups(self, checks: Iterable[str], since: float, until: float | None = None) -> dict[str, Buckets]:
        """Buckets of each check from that of ``since`` on, up to the bucket's end ``until``, or up to now.

        Samples that are not rolled up yet are in them. A check of which nothing is known has empty ones.
        """
        ...

    def uptimes(self, checks: Iterable[str], spans: Mapping[str, float], day_count: int) -> dict[str, Uptimes]:
        """The figures of each check's windows up to now (``spans`` by name, in seconds), and of so many UTC days.

        What `monitor.history.uptime` makes of roll-ups, for less: of many checks and days.
        """
        ...

    def latest(self, checks: Iterable[str], at: float) -> dict[str, Sample]:
        """The last sample of each check up to the moment ``at``; not of those that have none that may hold still."""
        ...

    def reaches(self) -> HistoryBounds:
        """How far back there are samples, and roll-ups."""
        ...

    def compact(self, now: float) -> CompactionResult:
        """Pack and roll up what is waiting, drop what is too old, and then the oldest until the budget is kept.

        Idempotent: may be ended anywhere, run again, and run by several at once.
        """
        ...
