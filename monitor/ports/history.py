"""History: samples and roll-ups of past results."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, Protocol

from monitor.history.buckets import Buckets
from monitor.history.samples import Sample, Samples
from monitor.history.uptime import Uptimes


class HistoryBounds(NamedTuple):
    """The times at which the samples (``raw``) and the roll-ups begin; None when there are none."""

    raw: float | None = None
    rollups: float | None = None


class CompactionResult(NamedTuple):
    """The outcome of one compaction.

    ``hours`` counts the hours of checks whose waiting samples were packed. ``evicted`` counts the blocks that were
    deleted to stay within the memory budget. ``kept_bytes`` is the size of history after the compaction.
    """

    hours: int = 0
    evicted: int = 0
    kept_bytes: int = 0


class History(Protocol):
    """Reader of past results, and their compaction. :class:`StateStore` writes a sample together with its state.

    Every method may raise :class:`StoreUnavailable`. Stored values that cannot be decoded are ignored.
    """

    def samples(
        self, check: str, since: float, until: float | None = None, names: Collection[str] | None = None
    ) -> Samples:
        """Return the check's samples in [since, until). When ``until`` is None, it is the current time.

        An earlier sample that is still valid at ``since`` is returned first. Only the series in ``names`` are included;
        all series when None.
        """
        ...

    def rollups(self, checks: Iterable[str], since: float, until: float | None = None) -> dict[str, Buckets]:
        """Return each check's buckets from ``since`` to ``until``. When ``until`` is None, it is the current time.

        The first bucket contains ``since``. Samples that are not rolled up yet are included. A check without history
        has empty buckets.
        """
        ...

    def uptimes(self, checks: Iterable[str], spans: Mapping[str, float], day_count: int) -> dict[str, Uptimes]:
        """Return each check's uptime figures for windows that end now, and for the last ``day_count`` UTC days.

        ``spans`` maps a window's name to its length in seconds. The figures are the same as those that
        `monitor.history.uptime` computes from :meth:`rollups`, but cost less for many checks and days.
        """
        ...

    def latest(self, checks: Iterable[str], at: float) -> dict[str, Sample]:
        """Return each check's last sample in the two days before ``at``. Checks without such a sample are left out."""
        ...

    def reaches(self) -> HistoryBounds:
        """Return the times at which samples and roll-ups begin."""
        ...

    def compact(self, now: float) -> CompactionResult:
        """Pack and roll up waiting samples. Delete expired blocks, then the oldest blocks above the memory budget.

        A compaction may be interrupted and repeated, and several processes may compact at the same time.
        """
        ...
