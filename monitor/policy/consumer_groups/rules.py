"""Rules that judge a consumer group. Each rule is a pure function that returns a finding or None.

The rules follow Burrow's evaluator (core/internal/evaluator/caching.go of linkedin/Burrow), with one difference. Burrow
reads each commit: if commits repeat the same offset, the group is stalled; if there are no commits, it is stopped.
This monitor reads only the committed offsets, which are the same in both cases. So the rules distinguish them by the
group's members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from monitor.model.checks import Status
from monitor.policy.consumer_groups.limits import Limits, format_duration
from monitor.policy.consumer_groups.measurement import Measurement
from monitor.policy.consumer_groups.reasons import GroupReason

REBALANCING_SHARE_LIMIT = 0.5
"""If more than this share of the observations found a rebalance, the rule `rebalancing` has a finding."""


@dataclass(frozen=True, slots=True)
class RuleInput:
    """Input of the rules. ``lasted_seconds`` maps each current condition to the seconds since its start."""

    measured: Measurement
    lasted_seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """Problem that a rule found. If ``ignored_at_start``, it does not count within ``start_grace_seconds``."""

    reason: GroupReason
    message: str
    status: Status = Status.ERROR
    ignored_at_start: bool = False


def skewed(rule_input: RuleInput, limits: Limits) -> Finding | None:
    """Report a skew that was above the threshold for ``sustained`` seconds within the window.

    One partition then has most of the lag of its topic.
    """
    ratio, threshold = rule_input.measured.skew.held, limits.skew_threshold
    if ratio is None or threshold is None or ratio <= threshold:
        return None
    window = format_duration(limits.window_seconds)
    text = f"Hot-key skew high: {ratio:.2f}x (threshold: {float(threshold)}x, window: {window})"
    return Finding(GroupReason.SKEW, text)


def under_replicated(rule_input: RuleInput, limits: Limits) -> Finding | None:
    """Report that for ``sustained`` seconds within the window there were fewer consumers than ``min_consumers``."""
    count = rule_input.measured.consumers.held
    if count is None or count >= limits.min_consumers:
        return None
    window = format_duration(limits.window_seconds)
    text = f"Under-replicated: {count:g} consumers (min: {limits.min_consumers}, window: {window})"
    return Finding(GroupReason.UNDER_REPLICATED, text, ignored_at_start=True)


def stopped(rule_input: RuleInput, limits: Limits) -> Finding | None:
    """Report that records wait and that there was no member and no commit for ``stalled_after_seconds``."""
    measured, limit = rule_input.measured, limits.stalled_after_seconds
    seconds = min(measured.memberless_seconds, measured.silent_seconds)
    if not measured.stuck or seconds < limit:
        return None
    lag = sum(partition.lag for partition in measured.stuck)
    times = f"for: {_rounded_duration(seconds)}, limit: {format_duration(limit)}"
    text = f"Stopped: no consumer and no commit ({times}, lag: {lag})"
    return Finding(GroupReason.STOPPED, text, ignored_at_start=True)


def stalled(rule_input: RuleInput, limits: Limits) -> Finding | None:
    """Report partitions with waiting records whose committed offset has not moved for ``stalled_after_seconds``.

    If the group has neither members nor commits, the rule `stopped` reports this instead.
    """
    stuck = rule_input.measured.stuck
    if not stuck or stopped(rule_input, limits):
        return None
    first, count = stuck[0], len(stuck)
    text = (
        f"Stalled: {count} partition{'s' if count > 1 else ''} without progress, such as {first.tp.topic}"
        f"[{first.tp.partition}] (lag: {first.lag}, for: {_rounded_duration(first.seconds)},"
        f" limit: {format_duration(limits.stalled_after_seconds)})"
    )
    return Finding(GroupReason.STALLED, text)


def unowned(rule_input: RuleInput, limits: Limits) -> Finding | None:
    """Report partitions without an owner in topics that the group consumes, for ``sustained`` seconds.

    A group without members, or during a rebalance, has no such partitions.
    """
    count = rule_input.measured.unowned
    if not count or not _lasts(rule_input, GroupReason.UNOWNED_PARTITIONS, limits):
        return None
    lasted = _rounded_duration(rule_input.lasted_seconds[GroupReason.UNOWNED_PARTITIONS])
    text = f"Unowned: {count} partition{'s' if count > 1 else ''} without a consumer (for: {lasted})"
    return Finding(GroupReason.UNOWNED_PARTITIONS, text, ignored_at_start=True)


def rebalancing(rule_input: RuleInput, limits: Limits) -> Finding | None:
    """Report that most of the recent observations found a rebalance: it does not end, or rebalances are frequent."""
    share = rule_input.measured.rebalancing
    if share <= REBALANCING_SHARE_LIMIT:
        return None
    text = f"Rebalancing: at {share:.0%} of the observations (for: {format_duration(limits.rebalancing_after_seconds)})"
    return Finding(GroupReason.REBALANCING, text, ignored_at_start=True)


def lagging(rule_input: RuleInput, limits: Limits) -> Finding | None:
    """Report a lag above ``max_lag`` for ``sustained`` seconds."""
    if not _lasts(rule_input, GroupReason.LAG, limits):
        return None
    return Finding(GroupReason.LAG, f"Lag high: {rule_input.measured.lag} messages (limit: {limits.max_lag})")


def lag_too_old(rule_input: RuleInput, limits: Limits) -> Finding | None:
    """Report a record that has waited longer than ``max_lag_age_seconds``."""
    age, limit = rule_input.measured.lag_seconds, limits.max_lag_age_seconds
    if age is None or limit is None or not _lasts(rule_input, GroupReason.LAG_AGE, limits):
        return None
    hottest = rule_input.measured.hottest
    text = f"Lag old: a record in {hottest} has waited for {_rounded_duration(age)} (limit: {format_duration(limit)})"
    return Finding(GroupReason.LAG_AGE, text)


def near_deletion(rule_input: RuleInput, limits: Limits) -> Finding | None:
    """Report a large share of waiting records among the stored ones: retention may delete waiting records soon."""
    share, limit = rule_input.measured.retention_share, limits.max_retention_share
    if share is None or limit is None or not _lasts(rule_input, GroupReason.RETENTION_SHARE, limits):
        return None
    hottest = rule_input.measured.hottest
    text = f"Lag near the retention: {share:.0%} of {hottest} waits (limit: {limit:.0%})"
    return Finding(GroupReason.RETENTION_SHARE, text)


def draining_slowly(rule_input: RuleInput, limits: Limits) -> Finding | None:
    """Report that consuming all waiting records at the current rate would take too long."""
    eta, limit = rule_input.measured.drain_eta_seconds, limits.max_drain_eta_seconds
    if eta is None or limit is None or not _lasts(rule_input, GroupReason.DRAIN_ETA, limits):
        return None
    return Finding(
        GroupReason.DRAIN_ETA, f"Drain time high: {_rounded_duration(eta)} (limit: {format_duration(limit)})"
    )


def rewound(rule_input: RuleInput, limits: Limits) -> Finding | None:
    """Report a committed offset that moved back, so that the group consumes records again.

    This is only a warning, because an operator may have reset the offset on purpose.
    """
    rewind = rule_input.measured.rewind
    if rewind is None:
        return None
    text = (
        f"Rewound: {rewind.tp.topic}[{rewind.tp.partition}] went back by {rewind.records} messages"
        f" ({_rounded_duration(rewind.seconds_ago)} ago, window: {format_duration(limits.window_seconds)})"
    )
    return Finding(GroupReason.REWOUND, text, Status.WARNING)


def records_lost(rule_input: RuleInput, limits: Limits) -> Finding | None:
    """Report records that were deleted before the group committed them.

    This is only a warning, because a restart of the consumers would not restore the records.
    """
    loss = rule_input.measured.loss
    if loss is None:
        return None
    text = (
        f"Records lost: {loss.tp.topic}[{loss.tp.partition}] lost {loss.records} messages to retention"
        f" ({_rounded_duration(loss.seconds_ago)} ago, window: {format_duration(limits.window_seconds)})"
    )
    return Finding(GroupReason.RECORDS_LOST, text, Status.WARNING)


def unknown_topic(rule_input: RuleInput, limits: Limits) -> Finding | None:  # noqa: ARG001
    """Report a topic filter that matches no topic the group consumes.

    The status is unknown, because the topic that the operator meant is not judged.
    """
    if not rule_input.measured.unmatched:
        return None
    return Finding(GroupReason.UNKNOWN_TOPIC, unknown_topic_text(rule_input.measured.unmatched), Status.UNKNOWN)


def unknown_topic_text(patterns: Iterable[str]) -> str:
    """Return the message about topic names and patterns that match no consumed topic."""
    return f"Unknown topic: nothing that is consumed matches {', '.join(patterns)}"


RULES: tuple[Callable[[RuleInput, Limits], Finding | None], ...] = (
    skewed,
    under_replicated,
    stopped,
    stalled,
    unowned,
    rebalancing,
    lagging,
    lag_too_old,
    near_deletion,
    draining_slowly,
    rewound,
    records_lost,
    unknown_topic,
)
"""Rules in the order in which findings are listed. The first finding of the worst status gives the group's reason."""


def current_conditions(measured: Measurement, limits: Limits) -> frozenset[str]:
    """Return the conditions that are true now. The rules judge a condition after ``sustained`` seconds."""
    holds = {
        GroupReason.LAG: _above(measured.lag, limits.max_lag),
        GroupReason.LAG_AGE: _above(measured.lag_seconds, limits.max_lag_age_seconds),
        GroupReason.RETENTION_SHARE: _above(measured.retention_share, limits.max_retention_share),
        GroupReason.DRAIN_ETA: _above(measured.drain_eta_seconds, limits.max_drain_eta_seconds),
        GroupReason.UNOWNED_PARTITIONS: measured.unowned > 0,
        GroupReason.UNKNOWN_TOPIC: bool(measured.unmatched),
    }
    return frozenset(name for name, is_true in holds.items() if is_true)


def _above(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit


def _lasts(rule_input: RuleInput, condition: GroupReason, limits: Limits) -> bool:
    return condition in rule_input.lasted_seconds and rule_input.lasted_seconds[condition] >= limits.sustained_seconds


def _rounded_duration(seconds: float) -> str:
    return format_duration(round(seconds))
