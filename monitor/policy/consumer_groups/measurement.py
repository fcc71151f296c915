"""Measurement of a consumer group. Its source is either observations of the cluster or a Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.model.consumer_groups import TopicPartition


class WindowedValue(NamedTuple):
    """Values of a number (skew or consumers): the current one, and two over the window. None if unknown.

    - ``now`` is the current value.
    - ``worst`` is the maximum of the skew over the window, or the minimum of the consumers.
    - ``held`` is the worst value that lasted for ``sustained`` seconds: the window contains a period of this length in
      which the number was always this bad or worse. The rules judge ``held``. If ``sustained`` is 0, ``held`` equals
      ``worst``.
    """

    now: float | None = None
    worst: float | None = None
    held: float | None = None


NOT_MEASURED = WindowedValue()


class StuckPartition(NamedTuple):
    """Partition with lag whose committed offset has not moved for ``seconds``."""

    tp: TopicPartition
    lag: int
    seconds: float


class CommitRewind(NamedTuple):
    """Move of a committed offset back by ``records``. ``seconds_ago`` is the time since the move."""

    tp: TopicPartition
    records: int
    seconds_ago: float


class RecordLoss(NamedTuple):
    """Records that were deleted before the group committed them. The check noticed this ``seconds_ago``."""

    tp: TopicPartition
    records: int
    seconds_ago: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """Numbers of a consumer group at one moment. A number that is unknown is None.

    Both sources supply:

    - ``skew``: max / mean of the partitions' lags, in the topic where this is highest. It is 1 if the lag is too low
      or the topic has a single partition.
    - ``consumers``: the number of members.
    - ``lag``: the number of waiting messages. ``consume_rate`` and ``produce_rate`` are in messages per second.
    - ``hottest``: the partition with the most lag. ``lag_seconds`` is the age of its oldest waiting record, and
      ``retention_share`` is its lag divided by the number of its stored records.
    - ``missing``: the numbers that the source should have but lacks (``skew``, ``consumers``, ...), each with the
      cause, without host names.
    - ``age_seconds``: the age of the newest numbers.
    - ``loss``: the latest loss of records within the window.
    - ``unmatched``: the topic patterns that match no topic that the group consumes.
    - ``remarks``: texts for the result's note. They are not judged.

    Only observations of the cluster supply:

    - ``unassigned``: the number of partitions without an owner. ``unowned`` is the number of those that should have an
      owner.
    - ``memberless_seconds`` and ``silent_seconds``: the time since the group last had a member, and since its last
      commit.
    - ``stuck``: the stuck partitions, the one that is stuck longest first.
    - ``rewind``: the latest rewind within the window.
    - ``rebalancing``: the share of the observations in the last ``rebalancing_after`` seconds that found a rebalance.
      It is 0 if the observations do not cover this period, or if the last rebalance is not recent.
    - ``settled``: whether the group has had enough consumers, outside of a rebalance, at least once.
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
