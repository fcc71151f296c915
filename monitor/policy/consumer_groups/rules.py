"""Rules that judge a consumer group. Each rule is a pure function that returns at most one finding with one sentence.

They follow Burrow's evaluator (core/internal/evaluator/caching.go of linkedin/Burrow), which reads the commits
themselves: a commit that repeats an offset means stalled, no commit at all means stopped. Offsets alone cannot
distinguish these two cases, so these rules use the group's members to do so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from monitor.model.checks import Status
from monitor.policy.consumer_groups.limits import Limits, format_duration
from monitor.policy.consumer_groups.measurement import Measurement
from monitor.policy.consumer_groups.reasons import GroupReason

REBALANCING_SHARE_LIMIT = 0.5
"""Share of observations with a rebalance above which the rule `rebalancing` reports it."""


@dataclass(frozen=True, slots=True)
class RuleInput:
    """Input of the rules. ``lasting`` maps each current condition to the number of seconds it has held."""

    measured: Measurement
    lasting: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of a rule that found a problem. ``ignored_at_start`` findings do not count while a group starts."""

    reason: GroupReason
    message: str
    status: Status = Status.ERROR
    ignored_at_start: bool = False


def skewed(facts: RuleInput, limits: Limits) -> Finding | None:
    """Report a hot partition: one that has most of a topic's lag.

    The finding is made if the skew was above the threshold for ``sustained`` seconds within the window.
    """
    ratio, threshold = facts.measured.skew.held, limits.skew_threshold
    if ratio is None or threshold is None or ratio <= threshold:
        return None
    window = format_duration(limits.window_seconds)
    text = f"Hot-key skew high: {ratio:.2f}x (threshold: {float(threshold)}x, window: {window})"
    return Finding(GroupReason.SKEW, text)


def under_replicated(facts: RuleInput, limits: Limits) -> Finding | None:
    """Report fewer consumers than required for ``sustained`` seconds within the window."""
    count = facts.measured.consumers.held
    if count is None or count >= limits.min_consumers:
        return None
    window = format_duration(limits.window_seconds)
    text = f"Under-replicated: {count:g} consumers (min: {limits.min_consumers}, window: {window})"
    return Finding(GroupReason.UNDER_REPLICATED, text, ignored_at_start=True)


def stopped(facts: RuleInput, limits: Limits) -> Finding | None:
    """Report waiting records without any member or commit for longer than ``stalled_after_seconds``."""
    measured, limit = facts.measured, limits.stalled_after_seconds
    seconds = min(measured.memberless_seconds, measured.silent_seconds)
    if not measured.stuck or seconds < limit:
        return None
    lag = sum(each.lag for each in measured.stuck)
    times = f"for: {_rounded_duration(seconds)}, limit: {format_duration(limit)}"
    text = f"Stopped: no consumer and no commit ({times}, lag: {lag})"
    return Finding(GroupReason.STOPPED, text, ignored_at_start=True)


def stalled(facts: RuleInput, limits: Limits) -> Finding | None:
    """Report partitions with waiting records whose committed offset does not move.

    The group has members or commits; without them the rule `stopped` applies.
    """
    stuck = facts.measured.stuck
    if not stuck or stopped(facts, limits):
        return None
    first, count = stuck[0], len(stuck)
    text = (
        f"Stalled: {count} partition{'s' if count > 1 else ''} without progress, such as {first.at.topic}"
        f"[{first.at.partition}] (lag: {first.lag}, for: {_rounded_duration(first.seconds)},"
        f" limit: {format_duration(limits.stalled_after_seconds)})"
    )
    return Finding(GroupReason.STALLED, text)


def unowned(facts: RuleInput, limits: Limits) -> Finding | None:
    """Report partitions without an owner, in topics that the group consumes.

    The group has members and does not rebalance.
    """
    count = facts.measured.unowned
    if not count or not _lasts(facts, GroupReason.UNOWNED_PARTITIONS, limits):
        return None
    lasted = _rounded_duration(facts.lasting[GroupReason.UNOWNED_PARTITIONS])
    text = f"Unowned: {count} partition{'s' if count > 1 else ''} without a consumer (for: {lasted})"
    return Finding(GroupReason.UNOWNED_PARTITIONS, text, ignored_at_start=True)


def rebalancing(facts: RuleInput, limits: Limits) -> Finding | None:
    """Report a rebalance that does not end, or one rebalance after another."""
    share = facts.measured.rebalancing
    if share <= REBALANCING_SHARE_LIMIT:
        return None
    text = f"Rebalancing: at {share:.0%} of the observations (for: {format_duration(limits.rebalancing_after_seconds)})"
    return Finding(GroupReason.REBALANCING, text, ignored_at_start=True)


def lagging(facts: RuleInput, limits: Limits) -> Finding | None:
    """Report a lag above the limit."""
    if not _lasts(facts, GroupReason.LAG, limits):
        return None
    return Finding(GroupReason.LAG, f"Lag high: {facts.measured.lag} messages (limit: {limits.max_lag})")


def lag_too_old(facts: RuleInput, limits: Limits) -> Finding | None:
    """Report a record that has waited longer than the limit."""
    age, limit = facts.measured.lag_seconds, limits.max_lag_age_seconds
    if age is None or limit is None or not _lasts(facts, GroupReason.LAG_AGE, limits):
        return None
    at = facts.measured.hottest
    text = f"Lag old: a record in {at} has waited for {_rounded_duration(age)} (limit: {format_duration(limit)})"
    return Finding(GroupReason.LAG_AGE, text)


def near_deletion(facts: RuleInput, limits: Limits) -> Finding | None:
    """Report that a large share of the stored records waits: retention may delete records before they are consumed."""
    share, limit = facts.measured.retention_share, limits.max_retention_share
    if share is None or limit is None or not _lasts(facts, GroupReason.RETENTION_SHARE, limits):
        return None
    at = facts.measured.hottest
    text = f"Lag near the retention: {share:.0%} of {at} waits (limit: {limit:.0%})"
    return Finding(GroupReason.RETENTION_SHARE, text)


def draining_slowly(facts: RuleInput, limits: Limits) -> Finding | None:
    """Report that the waiting records would take too long to consume at the present rate."""
    eta, limit = facts.measured.drain_eta_seconds, limits.max_drain_eta_seconds
    if eta is None or limit is None or not _lasts(facts, GroupReason.DRAIN_ETA, limits):
        return None
    return Finding(
        GroupReason.DRAIN_ETA, f"Drain time high: {_rounded_duration(eta)} (limit: {format_duration(limit)})"
    )


def rewound(facts: RuleInput, limits: Limits) -> Finding | None:
    """Report a committed offset that moved back, so that records are consumed again.

    A warning, because it may be intended.
    """
    rewind = facts.measured.rewind
    if rewind is None:
        return None
    text = (
        f"Rewound: {rewind.at.topic}[{rewind.at.partition}] went back by {rewind.records} messages"
        f" ({_rounded_duration(rewind.seconds_ago)} ago, window: {format_duration(limits.window_seconds)})"
    )
    return Finding(GroupReason.REWOUND, text, Status.WARNING)


def records_lost(facts: RuleInput, limits: Limits) -> Finding | None:
    """Report records that were deleted before the group committed them.

    A warning, because a restart does not restore them.
    """
    loss = facts.measured.loss
    if loss is None:
        return None
    text = (
        f"Records lost: {loss.at.topic}[{loss.at.partition}] lost {loss.records} messages to retention"
        f" ({_rounded_duration(loss.seconds_ago)} ago, window: {format_duration(limits.window_seconds)})"
    )
    return Finding(GroupReason.RECORDS_LOST, text, Status.WARNING)


def unknown_topic(facts: RuleInput, limits: Limits) -> Finding | None:  # noqa: ARG001
    """Report a topic filter that matches no topic the group consumes.

    The status is unknown: the intended topic is not watched.
    """
    if not facts.measured.unmatched:
        return None
    return Finding(GroupReason.UNKNOWN_TOPIC, unknown_topic_text(facts.measured.unmatched), Status.UNKNOWN)


def unknown_topic_text(patterns: Iterable[str]) -> str:
    """Return the message about topic names and patterns that match nothing."""
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
    """Return the conditions that hold now. A condition counts after ``sustained`` seconds."""
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


def _lasts(facts: RuleInput, condition: GroupReason, limits: Limits) -> bool:
    return condition in facts.lasting and facts.lasting[condition] >= limits.sustained_seconds


def _rounded_duration(seconds: float) -> str:
    return format_duration(round(seconds))
