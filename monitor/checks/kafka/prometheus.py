"""Measurement of consumer groups from the recording rules of a Prometheus.

It has the same form as that of the brokers, with fewer numbers. The rules are those of
``compose/prometheus/kafka.rules.yml``. Prometheus stores the past, so the check needs no memory for the window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from monitor.checks.base import CheckFailed
from monitor.checks.kafka.recorded import RecordedFacts, facts_query, read_recorded_facts
from monitor.checks.prometheus import Prometheus, QueryResult, QuerySample
from monitor.policy.consumer_groups.measurement import Measurement, WindowedValue
from monitor.policy.consumer_groups.reasons import MISSING

SKEW = "kafka:group_skew_ratio"
CONSUMERS = "kafka:group_consumer_count"
LAG = "kafka:group_lag_sum"
DRAIN_ETA = "kafka:group_drain_eta_seconds"
MEMBERS = "kafka_consumergroup_members"
OFFSETS = "kafka_consumergroup_current_offset"
RESOLUTION_SECONDS = 15.0  # the evaluation interval of the rules
UNCOUNTED = (
    "0 members, but the offsets move: exporters do not count members of KIP-848 groups, so the number is unknown"
)
COUNTED_NOW = "consumers are counted now, not over the window: Prometheus does not have kafka:group_consumer_count"


@dataclass(frozen=True, slots=True)
class GroupQuery:
    """Parameters of the measurement of each group. Durations are in seconds; a threshold of None is off.

    ``topics`` are names and patterns of the topics whose skew counts; empty means all. Series without a topic always
    count. ``lag`` and ``drain_eta`` request these numbers too, with one additional query each.
    """

    window_seconds: float = 300.0
    sustained_seconds: float = 30.0
    skew_threshold: float | None = 4.0
    min_consumers: int | None = 2
    topics: Sequence[str] = ()
    lag: bool = False
    drain_eta: bool = False


def measure(prometheus: Prometheus, group: str, query: GroupQuery) -> Measurement:
    """Return the measurement of a group. Raises :class:`CheckFailed` if Prometheus answers neither query.

    Of each ``WindowedValue``, ``now`` stays None; the age of the newest sample is queried instead. ``held`` is queried
    only if the worst value is beyond its threshold; otherwise it is the worst value. It is None if the series is
    younger than ``sustained_seconds``.
    """
    missing: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    skew = consumers = WindowedValue()
    rejection: CheckFailed | None = None
    try:
        skew, unmatched = _skew(prometheus, group, query)
    except _MissingSeries as gap:
        missing["skew"] = gap.message
    except CheckFailed as failure:
        if failure.reason != "bad_query":
            raise  # the next query would fail alike
        rejection, missing["skew"] = failure, "Prometheus rejected the query for the skew"
    try:
        consumers, notes = _consumers(prometheus, group, query)
    except _MissingSeries as gap:
        missing["consumers"] = gap.message
    except CheckFailed as failure:
        if rejection is not None:
            raise
        missing["consumers"] = f"Prometheus did not return the number of consumers ({failure.reason})"
    facts = RecordedFacts() if {"skew", "consumers"} <= missing.keys() else _read_facts(prometheus, group, query)
    if facts.note:
        notes += (facts.note,)
    lag = drain_eta = None
    if query.lag:
        lag, number_notes = _number_now(prometheus, LAG, group)
        notes += number_notes
    if query.drain_eta:
        drain_eta, number_notes = _number_now(prometheus, DRAIN_ETA, group)
        notes += number_notes
    return Measurement(
        skew=skew,
        consumers=consumers,
        lag=None if lag is None else int(lag),
        drain_eta_seconds=drain_eta,
        missing=missing,
        age_seconds=facts.age_seconds,
        loss=facts.loss,
        unmatched=unmatched,
        remarks=notes,
    )


class _MissingSeries(CheckFailed):
    """Failure of a Prometheus that answers, but lacks a series. The message is public and names no host."""

    def __init__(self, message: str) -> None:
        super().__init__(MISSING, message)


def _read_facts(prometheus: Prometheus, group: str, query: GroupQuery) -> RecordedFacts:
    matcher = _matcher(group)
    needed = {SKEW: query.skew_threshold is not None, CONSUMERS: bool(query.min_consumers)}
    series = [f"{rule}{{{matcher}}}" for rule, is_needed in needed.items() if is_needed]
    window = query.window_seconds
    step = _duration(max(1.0, min(RESOLUTION_SECONDS, window / 20)))
    return read_recorded_facts(
        prometheus,
        facts_query(series, matcher, window=_duration(window), step=step),
        lambda s: _counts(s, query.topics),
    )


def _skew(prometheus: Prometheus, group: str, query: GroupQuery) -> tuple[WindowedValue, tuple[str, ...]]:
    """Return the skew, and the names and patterns of topics that match no topic in the rule's series of the group."""
    series = f"{SKEW}{{{_matcher(group)}}}"
    answer = prometheus.query(f"max_over_time({series}[{_duration(query.window_seconds)}])")
    if not answer.samples:
        raise _explain_missing(prometheus, SKEW)
    unmatched = tuple(each for each in query.topics if not _of_topics(answer, [each]).samples)
    answer = _of_topics(answer, query.topics)
    if not answer.samples:
        return WindowedValue(), unmatched
    worst = round(max(_finite(answer), default=1.0), 2)  # rules of other authors return NaN for a mean of 0
    held: float | None = worst
    is_beyond = query.skew_threshold is not None and worst > query.skew_threshold
    if is_beyond and query.sustained_seconds > 0:
        values = _finite(_of_topics(prometheus.query(_sustained_query(series, "max", "min", query)), query.topics))
        held = round(max(values), 2) if values else None
    return WindowedValue(worst=worst, held=held), unmatched


def _consumers(prometheus: Prometheus, group: str, query: GroupQuery) -> tuple[WindowedValue, tuple[str, ...]]:
    series = f"{CONSUMERS}{{{_matcher(group)}}}"
    answer = prometheus.query(f"min_over_time({series}[{_duration(query.window_seconds)}])")
    if not answer.samples:
        return _consumers_now(prometheus, group, query)
    worst = min(_finite(answer), default=None)
    if worst is None:
        raise _MissingSeries(f"{CONSUMERS} of the group is not a number")
    if worst == 0 and _consumes_uncounted(prometheus, lambda length: f"{series}[{length}]", group, query):
        return WindowedValue(), (UNCOUNTED,)
    held: float | None = worst
    if query.sustained_seconds > 0 and _too_few(worst, query):
        held = min(_finite(prometheus.query(_sustained_query(series, "min", "max", query))), default=None)
    return WindowedValue(worst=worst, held=held), ()


def _consumers_now(prometheus: Prometheus, group: str, query: GroupQuery) -> tuple[WindowedValue, tuple[str, ...]]:
    """Return the number of consumers now, from the exporter's own metrics, because the rule has no series."""
    counting = f"count(count by (memberid) ({OFFSETS}{{{_matcher(group)}}}))"
    count = min(_finite(prometheus.query(counting)), default=None)
    if count is None:
        raise _explain_missing(prometheus, CONSUMERS)
    # The query counts an absent label as one member: if some partitions have no owner, or if the exporter does not
    # export the label at all. The stock exporter does not; it exports the number of members instead.
    exactly = (
        f"max({MEMBERS}{{{_matcher(group)}}}) or "
        f'count(count by (memberid) ({OFFSETS}{{{_matcher(group)},memberid!=""}}))'
    )
    members = min(_finite(prometheus.query(exactly)), default=None)
    if members is not None:
        counting, count = exactly, members
    elif count == 1:
        raise _MissingSeries(f"Prometheus has no {CONSUMERS}, and the exporter does not export the members")
    every = _duration(_step(query))
    if count == 0 and _consumes_uncounted(prometheus, lambda length: f"({counting})[{length}:{every}]", group, query):
        return WindowedValue(), (UNCOUNTED,)
    held: float | None = count
    if query.sustained_seconds > 0 and _too_few(count, query):
        lately = f"[{_duration(query.sustained_seconds)}:{_duration(_step(query))}]"
        held = min(_finite(prometheus.query(f"max_over_time(({counting}){lately})")), default=None)
    return WindowedValue(now=count, worst=count, held=held), (COUNTED_NOW,)


def _consumes_uncounted(prometheus: Prometheus, counted: Callable[[str], str], group: str, query: GroupQuery) -> bool:
    """Return whether offsets moved at some time within the window while no member was counted.

    ``counted`` returns the range selector of the count for a length. Its range begins before and ends after that of the
    offsets, so that it includes members that have just left or just joined.
    """
    if not _too_few(0, query):
        return False
    window, step = query.window_seconds, _duration(_step(query))
    none = f"max_over_time({counted(_duration(window * 0.6))}) == 0"
    lately = f"[{_duration(window * 0.4)}] offset {_duration(window * 0.1)}"
    moved = f"sum(changes({OFFSETS}{{{_matcher(group)}}}{lately})) > 0"
    found = prometheus.query(f"max_over_time(({none} and on () {moved})[{_duration(window)}:{step}])")
    return bool(found.samples)


def _number_now(prometheus: Prometheus, rule: str, group: str) -> tuple[float | None, tuple[str, ...]]:
    """Return the current value of a rule for the group (None if it is infinite) and an empty tuple.

    If the value is not known, return None and a tuple with the cause.
    """
    try:
        answer = prometheus.query(f"{rule}{{{_matcher(group)}}}")
        if not answer.samples:
            raise _explain_missing(prometheus, rule)
    except _MissingSeries as gap:
        return None, (gap.message,)
    except CheckFailed as failure:
        return None, (f"Prometheus did not return {rule} ({failure.reason})",)
    return max(_finite(answer), default=None), ()


def _too_few(count: float, query: GroupQuery) -> bool:
    return query.min_consumers is not None and count < query.min_consumers


def _explain_missing(prometheus: Prometheus, rule: str) -> _MissingSeries:
    """Return the failure for a missing series: the rule or the group is unknown. Sends one or two cheap queries."""
    try:
        others = max(_finite(prometheus.query(f"count({rule})")), default=0.0)
    except CheckFailed:
        others = 0.0
    if others:
        return _MissingSeries(f"Prometheus has {rule} of other groups, but not of this one: is the name right?")
    if not _has_exporter(prometheus):
        return _MissingSeries(
            f"Prometheus has no series {rule}, and none of an exporter: is the exporter up and scraped?"
        )
    return _MissingSeries(f"Prometheus has no series {rule}: are the recording rules loaded?")


def _has_exporter(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.query(f"count({MEMBERS}) or count({OFFSETS})").samples)
    except CheckFailed:
        return True


def _sustained_query(series: str, outer: str, inner: str, query: GroupQuery) -> str:
    """Return the query for the worst value that lasted ``sustained_seconds`` within the window.

    ``inner`` and ``outer`` are ``min`` and ``max`` or the reverse. A value of a series that has just begun does not
    count: ``offset`` requires a sample at the beginning of the sustained time.
    """
    sustained = query.sustained_seconds
    step = _step(query)
    reach = max(step, query.window_seconds - sustained)  # each sustained time lies within the window
    stayed = f"{inner}_over_time({series}[{_duration(sustained)}]) and {series} offset {_duration(sustained)}"
    return f"{outer}_over_time(({stayed})[{_duration(reach)}:{_duration(step)}])"


def _step(query: GroupQuery) -> float:
    return min(RESOLUTION_SECONDS, max(1.0, query.sustained_seconds / 2))


def _finite(answer: QueryResult) -> list[float]:
    return [sample.value for sample in answer.samples if math.isfinite(sample.value)]


def _of_topics(answer: QueryResult, patterns: Sequence[str]) -> QueryResult:
    # Not filtered by the query: rules of other authors may have one series for a group, without a topic.
    return replace(answer, samples=tuple(each for each in answer.samples if _counts(each, patterns)))


def _counts(sample: QuerySample, patterns: Sequence[str]) -> bool:
    topic = sample.labels.get("topic")
    return topic is None or not patterns or any(fnmatchcase(topic, pattern) for pattern in patterns)


def _matcher(group: str) -> str:
    return f"consumergroup={_quoted(group)}"


def _quoted(text: str) -> str:
    """Return a text as a PromQL string literal, with the escapes of Go."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _duration(seconds: float) -> str:
    """Return a duration as ``5m``, ``30s`` or ``1500ms``: PromQL does not accept fractions."""
    milliseconds = max(1, round(seconds * 1000))
    for unit, size in (("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"
