"""What was measured of a consumer group, whether by our own looks at its cluster or by asking a Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.model.consumer_groups import TopicPartition


class WindowedValue(NamedTuple):
    """A number now, and over the window. None: not known.

    ``worst`` is its maximum over the window (skew) or its minimum (consumers). ``held`` is the worst value at or
    beyond which it stayed for all of some ``sustained`` seconds within the window: the one that is judged.
    With ``sustained`` 0 the two are the same.
    """

    now: float | None = None
    worst: float | None = None
    held: float | None = None


NOT_MEASURED = WindowedValue()


class StuckPartition(NamedTuple):
    """A partition with lag whose committed offset has not moved, for as many seconds."""

    at: TopicPartition
    lag: int
    seconds: float


class CommitRewind(NamedTuple):
    """A committed offset that went back by so many records, so many seconds ago."""

    at: TopicPartition
    records: int
    seconds_ago: float


class RecordLoss(NamedTuple):
    """Records that were deleted before the group had committed them, noticed so many seconds ago."""

    at: TopicPartition
    records: int
    seconds_ago: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is known of a group at one moment. None, or empty: not known, or there is none of it.

    ``skew`` is max / mean of partition lag in the worst topic, 1 where it does not count (too little lag, one
    partition). ``consumers`` counts the group's members. ``lag`` is in messages, rates in messages per second.
    Of the ``hottest`` partition, the one with the most lag, ``lag_seconds`` is the age of the oldest record that waits
    and ``retention_share`` the share that waits of all records that are there.
    ``missing`` says of what the source should have told (``skew``, ``consumers``) and did not, why, without hosts.
    ``age_seconds`` is the age of the newest numbers.

    What only our own looks can tell: ``unassigned`` partitions have no owner; ``unowned`` are those of them that
    should have one. For how long it has had no member and has committed nothing (``memberless_seconds``,
    ``silent_seconds``); ``stuck`` partitions, longest first; the latest ``rewind`` and ``loss`` within the window;
    ``rebalancing`` is the share of looks within ``rebalancing_after`` that saw it rebalance, 0 unless the looks go back
    that far and it was seen rebalancing lately. ``settled`` is whether it has had enough consumers, outside of a
    rebalance, at least once. ``unmatched`` are the patterns of topics of which the group consumes none. ``notes`` are
    said, and not judged.
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
    notes: tuple[str, ...] = ()
