"""History: samples and roll-ups of past results."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, Protocol

from monitor.history.buckets import Buckets
from monitor.history.samples import Sample, Samples
from monitor.history.uptime import Uptimes


class HistoryBounds(NamedTuple):
    """The times at which samples and roll-ups begin, in epoch seconds; None when there are none."""

    raw: float | None = None
    rollups: float | None = None


class CompactionResult(NamedTuple):
    """The outcome of one compaction.

    ``hours`` counts the hours that were closed or added to, ``evicted`` the blocks that were removed to keep the memory
    budget. ``kept_bytes`` is the size of history after it.
    """

    hours: int = 0
    evicted: int = 0
    kept_bytes: int = 0


class History(Protocol):
    """Reader of past results. :class:`StateStore` writes samples, together with the state that they belong to.

    Every method may raise :class:`StoreUnavailable`. Stored values that cannot be decoded are treated as absent.
    """

    def samples(
        self, check: str, since: float, until: float | None = None, names: Collection[str] | None = None
    ) -> Samples:
        """Return the check's samples in [since, until), preceded by the one that is still valid at ``since``, if any.

        Only the series in ``names`` are included, all when None. ``until`` None means now.
        """
        ...

    def rollups(self, checks: Iterable[str], since: float, until: float | None = None) -> dict[str, Buckets]:
        """Return each check's buckets, from the one of ``since`` to the one that ends at ``until`` (None means now).

        They include samples that are not rolled up yet. A check without history has empty buckets.
        """
        ...

    def uptimes(self, checks: Iterable[str], spans: Mapping[str, float], day_count: int) -> dict[str, Uptimes]:
        """Return each check's uptime figures for windows that end now, and for the last ``day_count`` UTC days.

        ``spans`` are the windows' lengths in seconds by name. The result equals that of `monitor.history.uptime` over
        roll-ups, at a lower cost for many checks and days.
        """
        ...

    def latest(self, checks: Iterable[str], at: float) -> dict[str, Sample]:
        """Return each check's last sample at or before ``at``. Checks whose last sample has expired are left out."""
        ...

    def reaches(self) -> HistoryBounds:
        """Return how far back samples and roll-ups reach."""
        ...

    def compact(self, now: float) -> CompactionResult:
        """Pack and roll up waiting samples, then delete expired blocks, then the oldest ones until the budget is kept.

        Idempotent: it may be interrupted anywhere, repeated, and run by several processes at once.
        """
        ...
