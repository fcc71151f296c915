"""Measurement of a consumer group, either from observations of the cluster or from a Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.model.consumer_groups import TopicPartition


class WindowedValue(NamedTuple):
    """Current value of a number, and its values over the window. None if unknown.

    ``worst`` is the maximum over the window for skew and the minimum for consumers. ``held`` is the worst value that
    lasted: for some period of ``sustained`` seconds in the window, the number was always that bad or worse. The rules
    judge ``held``. If ``sustained`` is 0, ``held`` equals ``worst``.
    """

    now: float | None = None
    worst: float | None = None
    held: float | None = None


NOT_MEASURED = WindowedValue()


class StuckPartition(NamedTuple):
    """Partition with lag, and the seconds for which its committed offset has not moved."""

    at: TopicPartition
    lag: int
    seconds: float


class CommitRewind(NamedTuple):
    """Move of a committed offset to an earlier record: the number of records, and the seconds since then."""

    at: TopicPartition
    records: int
    seconds_ago: float


class RecordLoss(NamedTuple):
    """Records that were deleted before the group committed them, and the seconds since this was noticed."""

    at: TopicPartition
    records: int
    seconds_ago: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """Numbers of a consumer group at one moment. None or empty means unknown, or that there is nothing to report.

    ``skew`` is the highest lag of a partition divided by the mean lag, in the worst topic. It is 1 if it has no
    meaning: too little lag, or a single partition. ``consumers`` is the number of members. ``lag`` is in messages,
    rates are in messages per second. ``hottest`` is the partition with the most lag; ``lag_seconds`` is the age of its
    oldest waiting record, and ``retention_share`` is the share of its stored records that wait. ``missing`` maps each
    number that the source should have and lacks (``skew``, ``consumers``, ...) to the cause, without host names.
    ``age_seconds`` is the age of the newest numbers.

    The following fields come from observations of the cluster; a Prometheus supplies ``loss``, ``unmatched`` and
    ``remarks`` of them. ``unassigned`` partitions have no owner;
    ``unowned`` is how many of them should have one. ``memberless_seconds`` and ``silent_seconds`` are the times without
    a member and without a commit. ``stuck`` lists partitions, longest first. ``rewind`` and ``loss`` are the latest
    ones within the window. ``rebalancing`` is the share of observations within ``rebalancing_after`` that found a
    rebalance; it is 0 if the observations do not cover that period or the last rebalance is not recent. ``settled`` is
    true if the group has had enough consumers, outside of a rebalance, at least once. ``unmatched`` lists the topic
    patterns that match no topic the group consumes. ``remarks`` are reported in the result's note and not judged.
    """

    skew: WindowedValue = NOT_MEASURED
    consumers: WindowedValue = NOT_MEASURED
    lag: int | None = None
    lag_seconds: float | None = None
    retention_share: float | None = None
    drain_eta_seconds: float | None = None
    consume_rate: float | None = None
    produce_rate: float | None = None
    partitions: int | None = None
    hottest: str | None = None
    state: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)
    age_seconds: float = 0.0

    unassigned: int | None = None
    unowned: int = 0
    memberless_seconds: float = 0.0
    silent_seconds: float = 0.0
    stuck: tuple[StuckPartition, ...] = ()
    rewind: CommitRewind | None = None
    loss: RecordLoss | None = None
    rebalancing: float = 0.0
    settled: bool = True
    unmatched: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
