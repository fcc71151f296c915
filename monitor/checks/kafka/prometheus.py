"""Measurement of consumer groups from the recording rules of a Prometheus.

The recording rules are in ``compose/prometheus/kafka.rules.yml``. Prometheus has no data for some fields of
``Measurement``; these keep their defaults. Prometheus stores past values, so the check does not store a window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from monitor.checks.base import CheckFailed
from monitor.checks.kafka.recorded import RecordedFacts, read_recorded_facts, recorded_facts_query
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
class MeasurementOptions:
    """Options of the measurement of a group. A threshold of None turns the rule off.

    ``topics`` are names and patterns: the skew of other topics is ignored. If it is empty, no topic is ignored. Series
    without the label ``topic`` are never ignored. ``lag`` and ``drain_eta`` are True if the group's lag or drain ETA is
    measured; each needs one additional query.
    """

    window_seconds: float = 300.0
    sustained_seconds: float = 30.0
    skew_threshold: float | None = 4.0
    min_consumers: int | None = 2
    topics: Sequence[str] = ()
    lag: bool = False
    drain_eta: bool = False


def measure(prometheus: Prometheus, group: str, options: MeasurementOptions) -> Measurement:
    """Return the measurement of a group.

    Raises :class:`CheckFailed` if Prometheus does not answer, or if it rejects the queries for the skew and for the
    consumers. If it rejects one of the two, or has no series for it, the number is in ``missing``.

    Fields of the two ``WindowedValue``:

    - ``held`` is the result of a query only if ``worst`` is beyond its threshold; otherwise it equals ``worst``. It is
      None if the series is younger than ``sustained_seconds``.
    - ``now`` is None, except for consumers without a recording rule. ``age_seconds`` is the age of the newest sample.
    """
    missing: dict[str, str] = {}
    remarks: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    skew = consumers = WindowedValue()
    rejection: CheckFailed | None = None
    try:
        skew, unmatched = _skew(prometheus, group, options)
    except _MissingSeries as gap:
        missing["skew"] = gap.message
    except CheckFailed as failure:
        if failure.reason != "bad_query":
            raise  # the next query would fail for the same reason
        rejection, missing["skew"] = failure, "Prometheus rejected the query for the skew"
    try:
        consumers, remarks = _consumers(prometheus, group, options)
    except _MissingSeries as gap:
        missing["consumers"] = gap.message
    except CheckFailed as failure:
        if rejection is not None:
            raise
        missing["consumers"] = f"Prometheus did not return the number of consumers ({failure.reason})"
    recorded = (
        RecordedFacts() if {"skew", "consumers"} <= missing.keys() else _read_recorded(prometheus, group, options)
    )
    if recorded.remark:
        remarks += (recorded.remark,)
    lag = drain_eta = None
    if options.lag:
        lag, more_remarks = _number_now(prometheus, LAG, group)
        remarks += more_remarks
    if options.drain_eta:
        drain_eta, more_remarks = _number_now(prometheus, DRAIN_ETA, group)
        remarks += more_remarks
    return Measurement(
        skew=skew,
        consumers=consumers,
        lag=None if lag is None else int(lag),
        drain_eta_seconds=drain_eta,
        missing=missing,
        age_seconds=recorded.age_seconds,
        loss=recorded.loss,
        unmatched=unmatched,
        remarks=remarks,
    )


class _MissingSeries(CheckFailed):
    """Failure because Prometheus answers, but has no such series. The message is public, so it names no host."""

    def __init__(self, message: str) -> None:
        super().__init__(MISSING, message)


def _read_recorded(prometheus: Prometheus, group: str, options: MeasurementOptions) -> RecordedFacts:
    matcher = _matcher(group)
    needed = {SKEW: options.skew_threshold is not None, CONSUMERS: bool(options.min_consumers)}
    series = [f"{rule}{{{matcher}}}" for rule, is_needed in needed.items() if is_needed]
    window = options.window_seconds
    step = _duration(max(1.0, min(RESOLUTION_SECONDS, window / 20)))
    return read_recorded_facts(
        prometheus,
        recorded_facts_query(series, matcher, window=_duration(window), step=step),
        lambda sample: _matches_topics(sample, options.topics),
    )


def _skew(prometheus: Prometheus, group: str, options: MeasurementOptions) -> tuple[WindowedValue, tuple[str, ...]]:
    """Return the skew of the group, and the items of ``options.topics`` that match no topic of the group."""
    series = f"{SKEW}{{{_matcher(group)}}}"
    answer = prometheus.query(f"max_over_time({series}[{_duration(options.window_seconds)}])")
    if not answer.samples:
        raise _explain_missing(prometheus, SKEW)
    unmatched = tuple(each for each in options.topics if not _select_topics(answer, [each]).samples)
    answer = _select_topics(answer, options.topics)
    if not answer.samples:
        return WindowedValue(), unmatched
    worst = round(max(_finite(answer), default=1.0), 2)  # a user's own rules may return NaN for a mean of 0
    held: float | None = worst
    is_beyond = options.skew_threshold is not None and worst > options.skew_threshold
    if is_beyond and options.sustained_seconds > 0:
        values = _finite(
            _select_topics(prometheus.query(_sustained_query(series, "max", "min", options)), options.topics)
        )
        held = round(max(values), 2) if values else None
    return WindowedValue(worst=worst, held=held), unmatched


def _consumers(
    prometheus: Prometheus, group: str, options: MeasurementOptions
) -> tuple[WindowedValue, tuple[str, ...]]:
    series = f"{CONSUMERS}{{{_matcher(group)}}}"
    answer = prometheus.query(f"min_over_time({series}[{_duration(options.window_seconds)}])")
    if not answer.samples:
        return _consumers_now(prometheus, group, options)
    worst = min(_finite(answer), default=None)
    if worst is None:
        raise _MissingSeries(f"{CONSUMERS} of the group is not a number")
    if worst == 0 and _offsets_move_without_members(prometheus, lambda length: f"{series}[{length}]", group, options):
        return WindowedValue(), (UNCOUNTED,)
    held: float | None = worst
    if options.sustained_seconds > 0 and _too_few(worst, options):
        held = min(_finite(prometheus.query(_sustained_query(series, "min", "max", options))), default=None)
    return WindowedValue(worst=worst, held=held), ()


def _consumers_now(
    prometheus: Prometheus, group: str, options: MeasurementOptions
) -> tuple[WindowedValue, tuple[str, ...]]:
    """Return the number of consumers now, from the exporter's own metrics. Used if the recording rule has no series."""
    count_query = f"count(count by (memberid) ({OFFSETS}{{{_matcher(group)}}}))"
    count = min(_finite(prometheus.query(count_query)), default=None)
    if count is None:
        raise _explain_missing(prometheus, CONSUMERS)
    # An absent label counts as one member. Partitions without an owner have no ``memberid``. The stock exporter never
    # exports ``memberid``; it exports the number of members instead.
    exact_query = (
        f"max({MEMBERS}{{{_matcher(group)}}}) or "
        f'count(count by (memberid) ({OFFSETS}{{{_matcher(group)},memberid!=""}}))'
    )
    members = min(_finite(prometheus.query(exact_query)), default=None)
    if members is not None:
        count_query, count = exact_query, members
    elif count == 1:
        raise _MissingSeries(f"Prometheus has no {CONSUMERS}, and the exporter does not export the members")
    step = _duration(_step(options))
    if count == 0 and _offsets_move_without_members(
        prometheus, lambda length: f"({count_query})[{length}:{step}]", group, options
    ):
        return WindowedValue(), (UNCOUNTED,)
    held: float | None = count
    if options.sustained_seconds > 0 and _too_few(count, options):
        sustained = f"[{_duration(options.sustained_seconds)}:{step}]"
        held = min(_finite(prometheus.query(f"max_over_time(({count_query}){sustained})")), default=None)
    return WindowedValue(now=count, worst=count, held=held), (COUNTED_NOW,)


def _offsets_move_without_members(
    prometheus: Prometheus, count_over: Callable[[str], str], group: str, options: MeasurementOptions
) -> bool:
    """Return whether offsets moved at some time within the window while the number of members was 0.

    ``count_over`` returns the range selector of the number of members for a duration. The range for the members begins
    before the range for the offsets and ends after it. So a member that committed and left, or joined and committed, is
    not missed.
    """
    if not _too_few(0, options):
        return False
    window, step = options.window_seconds, _duration(_step(options))
    no_members = f"max_over_time({count_over(_duration(window * 0.6))}) == 0"
    shorter_range = f"[{_duration(window * 0.4)}] offset {_duration(window * 0.1)}"
    moved = f"sum(changes({OFFSETS}{{{_matcher(group)}}}{shorter_range})) > 0"
    answer = prometheus.query(f"max_over_time(({no_members} and on () {moved})[{_duration(window)}:{step}])")
    return bool(answer.samples)


def _number_now(prometheus: Prometheus, rule: str, group: str) -> tuple[float | None, tuple[str, ...]]:
    """Return the current value of a recording rule for the group, and remarks.

    An infinite value is returned as None, without a remark. An unknown value is returned as None, with a remark that
    contains the cause.
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


def _too_few(count: float, options: MeasurementOptions) -> bool:
    return options.min_consumers is not None and count < options.min_consumers


def _explain_missing(prometheus: Prometheus, rule: str) -> _MissingSeries:
    """Return the failure for a rule without a series of the group. Sends one or two cheap queries to find the cause.

    The cause is the name of the group if ``rule`` has series of other groups. It is the exporter if Prometheus has no
    metrics of an exporter. Otherwise it is the recording rules.
    """
    try:
        series_count = max(_finite(prometheus.query(f"count({rule})")), default=0.0)
    except CheckFailed:
        series_count = 0.0
    if series_count:
        return _MissingSeries(f"Prometheus has {rule} of other groups, but not of this group: is the name right?")
    if not _has_exporter(prometheus):
        return _MissingSeries(
            f"Prometheus has no series {rule}, and no metrics of an exporter: is the exporter up and scraped?"
        )
    return _MissingSeries(f"Prometheus has no series {rule}: are the recording rules loaded?")


def _has_exporter(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.query(f"count({MEMBERS}) or count({OFFSETS})").samples)
    except CheckFailed:
        return True


def _sustained_query(series: str, outer: str, inner: str, options: MeasurementOptions) -> str:
    """Return the query for the worst value that lasted ``sustained_seconds`` within the window.

    For the highest value, ``outer`` is ``max`` and ``inner`` is ``min``; for the lowest value, the reverse. ``offset``
    requires a sample at the beginning of the sustained time, so a series that has just begun has no such value.
    """
    sustained = options.sustained_seconds
    step = _step(options)
    search_seconds = max(step, options.window_seconds - sustained)  # so each sustained time lies within the window
    lasted = f"{inner}_over_time({series}[{_duration(sustained)}]) and {series} offset {_duration(sustained)}"
    return f"{outer}_over_time(({lasted})[{_duration(search_seconds)}:{_duration(step)}])"


def _step(options: MeasurementOptions) -> float:
    return min(RESOLUTION_SECONDS, max(1.0, options.sustained_seconds / 2))


def _finite(answer: QueryResult) -> list[float]:
    return [sample.value for sample in answer.samples if math.isfinite(sample.value)]


def _select_topics(answer: QueryResult, patterns: Sequence[str]) -> QueryResult:
    # Filtered here and not by the query: the rules of a user may have one series for a group, without a topic.
    return replace(answer, samples=tuple(each for each in answer.samples if _matches_topics(each, patterns)))


def _matches_topics(sample: QuerySample, patterns: Sequence[str]) -> bool:
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
