"""Consumer groups as a Prometheus has recorded them: the same measurement as our own looks give, of fewer numbers.

The recording rules are those of ``compose/prometheus/kafka.rules.yml``. Their numbers reach as far back as
Prometheus does, so that nothing has to be remembered here.
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
RESOLUTION_SECONDS = 15.0  # as often as the rules are evaluated
UNCOUNTED = "0 members of a group whose offsets move: exporters count no consumers of KIP-848, so how many is not known"
COUNTED_NOW = "consumers are counted now, not over the window: Prometheus does not have kafka:group_consumer_count"


@dataclass(frozen=True, slots=True)
class GroupQuery:
    """What is to be known of each group. Durations in seconds; a threshold of None is never passed.

    ``topics`` are names and patterns of the topics whose skew counts; none: all. Series without a topic always count.
    ``lag`` and ``drain_eta``: whether these are wanted too, each for one query more.
    """

    window_seconds: float = 300.0
    sustained_seconds: float = 30.0
    skew_threshold: float | None = 4.0
    min_consumers: int | None = 2
    topics: Sequence[str] = ()
    lag: bool = False
    drain_eta: bool = False


def measure(prometheus: Prometheus, group: str, query: GroupQuery) -> Measurement:
    """What Prometheus knows of a group. Raises :class:`CheckFailed` when it does not answer, or to neither query.

    ``now`` is not asked for, but how old the newest sample is. ``held`` is asked for where the worst value is beyond
    its threshold, and else the worst value itself; it is None when the series is younger than ``sustained_seconds``.
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
            raise  # the next query would meet the same
        rejection, missing["skew"] = failure, "Prometheus refused the query for the skew"
    try:
        consumers, notes = _consumers(prometheus, group, query)
    except _MissingSeries as gap:
        missing["consumers"] = gap.message
    except CheckFailed as failure:
        if rejection is not None:
            raise
        missing["consumers"] = f"Prometheus did not tell the consumers ({failure.reason})"
    facts = RecordedFacts() if {"skew", "consumers"} <= missing.keys() else _read_facts(prometheus, group, query)
    notes += facts.notes
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
        notes=notes,
    )


class _MissingSeries(CheckFailed):
    """Prometheus answers, and has no such series. The message is for the public: it names no host."""

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
    """The skew, and the names and patterns of topics that match none which the rule has of the group."""
    series = f"{SKEW}{{{_matcher(group)}}}"
    answer = prometheus.query(f"max_over_time({series}[{_duration(query.window_seconds)}])")
    if not answer.samples:
        raise _explain_missing(prometheus, SKEW)
    unmatched = tuple(each for each in query.topics if not _of_topics(answer, [each]).samples)
    answer = _of_topics(answer, query.topics)
    if not answer.samples:
        return WindowedValue(), unmatched
    worst = round(max(_finite(answer), default=1.0), 2)  # NaN is the mean of no lag: rules other than ours say it so
    held: float | None = worst
    beyond = query.skew_threshold is not None and worst > query.skew_threshold
    if beyond and query.sustained_seconds > 0:
        stayed = _finite(_of_topics(prometheus.query(_sustained_query(series, "max", "min", query)), query.topics))
        held = round(max(stayed), 2) if stayed else None
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
    """Counted from the exporter's own metrics, for want of the rule."""
    counting = f"count(count by (memberid) ({OFFSETS}{{{_matcher(group)}}}))"
    count = min(_finite(prometheus.query(counting)), default=None)
    if count is None:
        raise _explain_missing(prometheus, CONSUMERS)
    # That counts the absence of the label as a member: one of them where partitions have no owner, and the only one
    # where the exporter knows no such label, as the stock one, which tells the members' number instead.
    exactly = (
        f"max({MEMBERS}{{{_matcher(group)}}}) or "
        f'count(count by (memberid) ({OFFSETS}{{{_matcher(group)},memberid!=""}}))'
    )
    members = min(_finite(prometheus.query(exactly)), default=None)
    if members is not None:
        counting, count = exactly, members
    elif count == 1:
        raise _MissingSeries(f"Prometheus has no {CONSUMERS}, and the exporter does not tell the members")
    every = _duration(_step(query))
    if count == 0 and _consumes_uncounted(prometheus, lambda length: f"({counting})[{length}:{every}]", group, query):
        return WindowedValue(), (UNCOUNTED,)
    held: float | None = count
    if query.sustained_seconds > 0 and _too_few(count, query):
        lately = f"[{_duration(query.sustained_seconds)}:{_duration(_step(query))}]"
        held = min(_finite(prometheus.query(f"max_over_time(({counting}){lately})")), default=None)
    return WindowedValue(now=count, worst=count, held=held), (COUNTED_NOW,)


def _consumes_uncounted(prometheus: Prometheus, counted: Callable[[str], str], group: str, query: GroupQuery) -> bool:
    """Whether offsets moved at some time within the window, while no member was counted for longer than that.

    ``counted`` is the range of the count of this length. It is longer on both sides than that of the offsets: members
    that have just gone, or have just come, are still, or already, counted somewhere in it.
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
    """What a rule has of the group now, None where it is infinite; or None, and why it is not known."""
    try:
        answer = prometheus.query(f"{rule}{{{_matcher(group)}}}")
        if not answer.samples:
            raise _explain_missing(prometheus, rule)
    except _MissingSeries as gap:
        return None, (gap.message,)
    except CheckFailed as failure:
        return None, (f"Prometheus did not tell {rule} ({failure.reason})",)
    return max(_finite(answer), default=None), ()


def _too_few(count: float, query: GroupQuery) -> bool:
    return query.min_consumers is not None and count < query.min_consumers


def _explain_missing(prometheus: Prometheus, rule: str) -> _MissingSeries:
    """Why there is no series: no such rule, or no such group. One cheap query more, which may fail."""
    try:
        others = max(_finite(prometheus.query(f"count({rule})")), default=0.0)
    except CheckFailed:
        others = 0.0
    if others:
        return _MissingSeries(f"Prometheus has no {rule} of this group, but of others: is the name right?")
    if not _has_exporter(prometheus):
        return _MissingSeries(f"Prometheus has no series {rule}, nor of an exporter: is the exporter up, and scraped?")
    return _MissingSeries(f"Prometheus has no series {rule}: are the recording rules loaded?")


def _has_exporter(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.query(f"count({MEMBERS}) or count({OFFSETS})").samples)
    except CheckFailed:
        return True


def _sustained_query(series: str, outer: str, inner: str, query: GroupQuery) -> str:
    """Beyond what the value stayed for a while, at its worst within the window.

    A series that has just begun has stayed nowhere: ``offset`` demands that it was there at the beginning of the while.
    """
    sustained = query.sustained_seconds
    step = _step(query)
    reach = max(step, query.window_seconds - sustained)  # each while lies within the window
    stayed = f"{inner}_over_time({series}[{_duration(sustained)}]) and {series} offset {_duration(sustained)}"
    return f"{outer}_over_time(({stayed})[{_duration(reach)}:{_duration(step)}])"


def _step(query: GroupQuery) -> float:
    return min(RESOLUTION_SECONDS, max(1.0, query.sustained_seconds / 2))


def _finite(answer: QueryResult) -> list[float]:
    return [sample.value for sample in answer.samples if math.isfinite(sample.value)]


def _of_topics(answer: QueryResult, patterns: Sequence[str]) -> QueryResult:
    # Not asked for in the query: rules of others may have one series for a group, and no topic.
    return replace(answer, samples=tuple(each for each in answer.samples if _counts(each, patterns)))


def _counts(sample: QuerySample, patterns: Sequence[str]) -> bool:
    topic = sample.labels.get("topic")
    return topic is None or not patterns or any(fnmatchcase(topic, pattern) for pattern in patterns)


def _matcher(group: str) -> str:
    return f"consumergroup={_quoted(group)}"


def _quoted(text: str) -> str:
    """As a string of PromQL, whose escapes are those of Go."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _duration(seconds: float) -> str:
    """``5m``, ``30s``, ``1500ms``: PromQL knows no fractions."""
    milliseconds = max(1, round(seconds * 1000))
    for unit, size in (("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"
