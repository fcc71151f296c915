"""The rules by which a consumer group is judged. Each is pure, says one thing, and says it in one sentence.

In the manner of Burrow's evaluator (core/internal/evaluator/caching.go of linkedin/Burrow), which judges from the
commits themselves: one that repeats an offset is stalled there, and none at all is stopped. Looks at offsets cannot
tell these apart, so here it is the members that do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from monitor.model.checks import Status
from monitor.policy.consumer_groups.limits import Limits, format_duration
from monitor.policy.consumer_groups.measurement import Measurement
from monitor.policy.consumer_groups.reasons import GroupReason

REBALANCING_SHARE_LIMIT = 0.5
"""A group is always rebalancing when more than this share of the looks saw it do so."""


@dataclass(frozen=True, slots=True)
class RuleInput:
    """What the rules look at. ``lasting``: for how many seconds one of the ``conditions`` has held."""

    measured: Measurement
    lasting: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule has to say. ``forgiven`` says that it means nothing while a group starts."""

    reason: GroupReason
    message: str
    status: Status = Status.ERROR
    forgiven: bool = False


def skewed(view: RuleInput, limits: Limits) -> Finding | None:
    """One partition has most of a topic's lag: max / mean was above the threshold for a while within the window."""
    ratio, threshold = view.measured.skew.held, limits.skew_threshold
    if ratio is None or threshold is None or ratio <= threshold:
        return None
    text = f"Hot-key skew high: {ratio:.2f}x (threshold: {float(threshold)}x, window: {format_duration(limits.window_seconds)})"
    return Finding(GroupReason.SKEW, text)


def under_replicated(view: RuleInput, limits: Limits) -> Finding | None:
    """There were fewer consumers than there must be, for a while within the window."""
    count = view.measured.consumers.held
    if count is None or count >= limits.min_consumers:
        return None
    text = f"Under-replicated: {count:g} consumers (min: {limits.min_consumers}, window: {format_duration(limits.window_seconds)})"
    return Finding(GroupReason.UNDER_REPLICATED, text, forgiven=True)


def stopped(view: RuleInput, limits: Limits) -> Finding | None:
    """Records wait, and nobody is there: no member and no commit, for as long as a consumer may take."""
    measured, limit = view.measured, limits.stalled_after_seconds
    seconds = min(measured.memberless_seconds, measured.silent_seconds)
    if not measured.stuck or seconds < limit:
        return None
    lag = sum(each.lag for each in measured.stuck)
    text = f"Stopped: no consumer and no commit (for: {_whole(seconds)}, limit: {format_duration(limit)}, lag: {lag})"
    return Finding(GroupReason.STOPPED, text, forgiven=True)


def stalled(view: RuleInput, limits: Limits) -> Finding | None:
    """Records wait in a partition whose committed offset stands, while the group is there."""
    stuck = view.measured.stuck
    if not stuck or stopped(view, limits):
        return None
    first, count = stuck[0], len(stuck)
    text = (
        f"Stalled: {count} partition{'s' if count > 1 else ''} without progress, such as {first.at.topic}"
        f"[{first.at.partition}] (lag: {first.lag}, for: {_whole(first.seconds)},"
        f" limit: {format_duration(limits.stalled_after_seconds)})"
    )
    return Finding(GroupReason.STALLED, text)


def unowned(view: RuleInput, limits: Limits) -> Finding | None:
    """Partitions of topics that the group consumes belong to nobody, though it has members and is not rebalancing."""
    count = view.measured.unowned
    if not count or not _lasts(view, GroupReason.UNOWNED_PARTITIONS, limits):
        return None
    lasted = _whole(view.lasting[GroupReason.UNOWNED_PARTITIONS])
    text = f"Unowned: {count} partition{'s' if count > 1 else ''} without a consumer (for: {lasted})"
    return Finding(GroupReason.UNOWNED_PARTITIONS, text, forgiven=True)


def rebalancing(view: RuleInput, limits: Limits) -> Finding | None:
    """A rebalance that does not end, or one after the other."""
    share = view.measured.rebalancing
    if share <= REBALANCING_SHARE_LIMIT:
        return None
    text = f"Rebalancing: at {share:.0%} of the looks (for: {format_duration(limits.rebalancing_after_seconds)})"
    return Finding(GroupReason.REBALANCING, text, forgiven=True)


def lagging(view: RuleInput, limits: Limits) -> Finding | None:
    """More messages wait than may."""
    if not _lasts(view, GroupReason.LAG, limits):
        return None
    return Finding(GroupReason.LAG, f"Lag high: {view.measured.lag} messages (limit: {limits.max_lag})")


def aged(view: RuleInput, limits: Limits) -> Finding | None:
    """A record has waited for longer than one may."""
    age, limit = view.measured.lag_seconds, limits.max_lag_age_seconds
    if age is None or limit is None or not _lasts(view, GroupReason.LAG_AGE, limits):
        return None
    at = view.measured.hottest
    text = f"Lag old: a record in {at} has waited for {_whole(age)} (limit: {format_duration(limit)})"
    return Finding(GroupReason.LAG_AGE, text)


def near_deletion(view: RuleInput, limits: Limits) -> Finding | None:
    """Too much waits of what the retention has left: it may delete records before they are consumed."""
    share, limit = view.measured.retention_share, limits.max_retention_share
    if share is None or limit is None or not _lasts(view, GroupReason.RETENTION_SHARE, limits):
        return None
    at = view.measured.hottest
    text = f"Lag near the retention: {share:.0%} of {at} waits (limit: {limit:.0%})"
    return Finding(GroupReason.RETENTION_SHARE, text)


def draining_slowly(view: RuleInput, limits: Limits) -> Finding | None:
    """What waits would take too long to consume, at the present rate."""
    eta, limit = view.measured.drain_eta_seconds, limits.max_drain_eta_seconds
    if eta is None or limit is None or not _lasts(view, GroupReason.DRAIN_ETA, limits):
        return None
    return Finding(GroupReason.DRAIN_ETA, f"Drain time high: {_whole(eta)} (limit: {format_duration(limit)})")


def rewound(view: RuleInput, limits: Limits) -> Finding | None:
    """A committed offset went back: records are consumed once more. Somebody may have wanted it: a warning."""
    rewind = view.measured.rewind
    if rewind is None:
        return None
    text = (
        f"Rewound: {rewind.at.topic}[{rewind.at.partition}] went back by {rewind.records} messages"
        f" ({_whole(rewind.seconds_ago)} ago, window: {format_duration(limits.window_seconds)})"
    )
    return Finding(GroupReason.REWOUND, text, Status.WARNING)


def records_lost(view: RuleInput, limits: Limits) -> Finding | None:
    """Records were deleted before the group had committed them. No restart brings them back: a warning."""
    loss = view.measured.loss
    if loss is None:
        return None
    text = (
        f"Records lost: {loss.at.topic}[{loss.at.partition}] lost {loss.records} messages to retention"
        f" ({_whole(loss.seconds_ago)} ago, window: {format_duration(limits.window_seconds)})"
    )
    return Finding(GroupReason.RECORDS_LOST, text, Status.WARNING)


def unmatched(view: RuleInput, limits: Limits) -> Finding | None:  # noqa: ARG001
    """A filter of topics matches nothing that the group consumes: what it was to watch is not known."""
    if not view.measured.unmatched:
        return None
    return Finding(GroupReason.UNKNOWN_TOPIC, unknown_topic_text(view.measured.unmatched), Status.UNKNOWN)


def unknown_topic_text(patterns: Iterable[str]) -> str:
    """What is said of names and patterns of topics that match nothing."""
    return f"Unknown topic: nothing that is consumed matches {', '.join(patterns)}"


RULES: tuple[Callable[[RuleInput, Limits], Finding | None], ...] = (
    skewed,
    under_replicated,
    stopped,
    stalled,
    unowned,
    rebalancing,
    lagging,
    aged,
    near_deletion,
    draining_slowly,
    rewound,
    records_lost,
    unmatched,
)
"""In the order in which they are told: the first is the group's reason."""


def current_conditions(measured: Measurement, limits: Limits) -> frozenset[str]:
    """What holds just now of that which counts once it has held for ``sustained`` seconds."""
    holds = {
        GroupReason.LAG: _above(measured.lag, limits.max_lag),
        GroupReason.LAG_AGE: _above(measured.lag_seconds, limits.max_lag_age_seconds),
        GroupReason.RETENTION_SHARE: _above(measured.retention_share, limits.max_retention_share),
        GroupReason.DRAIN_ETA: _above(measured.drain_eta_seconds, limits.max_drain_eta_seconds),
        GroupReason.UNOWNED_PARTITIONS: measured.unowned > 0,
        GroupReason.UNKNOWN_TOPIC: bool(measured.unmatched),
    }
    return frozenset(name for name, true in holds.items() if true)


def _above(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit


def _lasts(view: RuleInput, condition: GroupReason, limits: Limits) -> bool:
    return condition in view.lasting and view.lasting[condition] >= limits.sustained_seconds


def _whole(seconds: float) -> str:
    return format_duration(round(seconds))
