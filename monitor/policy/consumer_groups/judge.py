"""Verdict on one consumer group, derived from the group's memory and an observation or a measurement.

Each function returns the verdict and the new memory. ``now`` is the time of the store's clock, in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from monitor.model.checks import Status
from monitor.model.consumer_groups import GroupObservation
from monitor.policy.consumer_groups import window
from monitor.policy.consumer_groups.holding import NOTE_CHARACTERS, as_held, last_verdict, no_data, with_verdict
from monitor.policy.consumer_groups.limits import Limits, format_duration, public_limits
from monitor.policy.consumer_groups.measurement import NOT_MEASURED, Measurement, WindowedValue
from monitor.policy.consumer_groups.measuring import derive_measurement, restart_standstills
from monitor.policy.consumer_groups.memory import GroupMemory, GroupVerdict, new_memory
from monitor.policy.consumer_groups.reasons import MISSING, GroupReason
from monitor.policy.consumer_groups.rules import RULES, Finding, RuleInput, current_conditions
from monitor.policy.states import GroupHold

LATE_SECONDS = 60.0
"""If the numbers of a Prometheus are older than this, the verdict is marked as held."""

HEALTHY = "System healthy"
ABSENT = "absent"
_WORST_FIRST = (Status.ERROR, Status.UNKNOWN, Status.WARNING)


class GroupJudgement(NamedTuple):
    """Verdict, and the memory for the next run. If the verdict is None, the group and its memory are to be removed."""

    verdict: GroupVerdict | None
    memory: GroupMemory


def judge_observation(
    observation: GroupObservation, memory: GroupMemory | None, now: float, limits: Limits, *, hint: str = ""
) -> GroupJudgement:
    """Return the verdict on an observed group.

    If the cluster does not know the group, ``hint`` is appended to the message.
    """
    if not observation.known:
        return _judge_unknown_group(memory or new_memory(now, known=False), now, limits, hint)
    if memory is None or not memory.known:
        memory = new_memory(now)
    elif ABSENT in memory.condition_since:
        memory = restart_standstills(memory, now)
    memory, measured = derive_measurement(observation, memory, now, limits)
    return _apply_rules(measured, memory, now, limits)


def judge_measurement(
    measured: Measurement, memory: GroupMemory | None, now: float, limits: Limits, *, hold: GroupHold | None = None
) -> GroupJudgement:
    """Return the verdict on numbers from a Prometheus.

    1. Without ``hold``, a missing number is an error.
    2. With ``hold``, a missing number keeps its last value for ``hold.seconds``.
    3. If a number is missing for longer, the verdict is ``no_data``, or an error if the other numbers show one.
    4. If all numbers are older than ``hold.seconds``, the verdict is ``no_data``.
    """
    memory = memory or new_memory(now)
    if window.is_interrupted(memory, now, limits):
        memory = _update_conditions(memory, frozenset(), now)
    fewest = measured.consumers.held
    has_no_consumer_count = measured.consumers == NOT_MEASURED and "consumers" not in measured.missing
    if memory.settled_at is None and (has_no_consumer_count or (fewest is not None and fewest >= limits.min_consumers)):
        memory = replace(memory, settled_at=now)
    measured = replace(
        measured,
        skew=_with_value_now(measured.skew),
        consumers=_with_value_now(measured.consumers),
        settled=memory.settled_at is not None,
    )
    memory = replace(memory, usual_interval_seconds=window.usual_interval(memory, now), observed_at=now)
    needed = {
        "skew": limits.skew_threshold is not None,
        "consumers": limits.min_consumers > 0,
        "lag": limits.max_lag is not None,
        "drain_eta": limits.max_drain_eta_seconds is not None,
    }
    missing = {name: why for name, why in measured.missing.items() if needed.get(name)}
    if missing and hold is None:
        text = "; ".join(missing.values())
        return GroupJudgement(GroupVerdict(Status.ERROR, MISSING, text, _public_numbers(measured, limits)), memory)
    memory = _update_conditions(memory, {f"no_{name}" for name in missing}, now, prefix="no_")
    if missing and hold is not None:
        return _judge_with_gaps(measured, missing, memory, now, limits, hold=hold)
    numbers_at = now - measured.age_seconds
    if hold is not None and measured.age_seconds > hold.seconds:
        return GroupJudgement(no_data(MISSING, measured.remarks, limits, hold), memory)
    judged = _apply_rules(measured, memory, now, limits)
    judged = judged._replace(memory=with_verdict(judged.memory, judged.verdict, numbers_at))
    if hold is None or judged.verdict is None or measured.age_seconds <= LATE_SECONDS:
        return judged
    note = f"the newest numbers are {format_duration(round(measured.age_seconds))} old: the last verdict is kept"
    return judged._replace(verdict=as_held(judged.verdict, note, measured.age_seconds))


def judge_deleted_group(memory: GroupMemory, now: float, limits: Limits) -> GroupJudgement:
    """Return the verdict on a deleted group: a warning for ``window_seconds``, and None after that."""
    deleted_at = now if memory.deleted_at is None else memory.deleted_at
    memory = replace(memory, deleted_at=deleted_at)
    if now - deleted_at >= limits.window_seconds:
        return GroupJudgement(None, memory)
    text = f"Gone: the group has been deleted ({format_duration(round(now - deleted_at))} ago)"
    return GroupJudgement(GroupVerdict(Status.WARNING, GroupReason.GONE, text, public_limits(limits)), memory)


def _judge_unknown_group(memory: GroupMemory, now: float, limits: Limits, hint: str) -> GroupJudgement:
    if memory.known and ABSENT not in memory.condition_since:
        memory = replace(memory, condition_since={ABSENT: now})
    since = memory.condition_since.get(ABSENT, memory.first_at)
    grace = limits.sustained_seconds if memory.known else limits.start_grace_seconds
    text = f"Unknown group: the cluster has no group of this name (for: {format_duration(round(now - since))}){hint}"
    early = now - since < grace
    verdict = GroupVerdict(Status.UNKNOWN, GroupReason.UNKNOWN_GROUP, text, public_limits(limits), early)
    return GroupJudgement(verdict, replace(memory, observed_at=now))


def _apply_rules(measured: Measurement, memory: GroupMemory, now: float, limits: Limits) -> GroupJudgement:
    memory = _update_conditions(memory, current_conditions(measured, limits), now)
    rule_input = RuleInput(measured, {name: now - since for name, since in memory.condition_since.items()})
    findings = [finding for rule in RULES if (finding := rule(rule_input, limits))]
    age = now - memory.first_at
    early = age < limits.start_grace_seconds
    if early:
        findings = [finding for finding in findings if not finding.ignored_at_start]
    data = _public_numbers(measured, limits) | ({"findings": [each.reason for each in findings]} if findings else {})
    if early and _is_starting(measured, limits) and not any(each.status is Status.ERROR for each in findings):
        count = _first_known(measured.consumers.now, 0)
        text = (
            f"Starting: {count:g} consumers (min: {limits.min_consumers},"
            f" for: {format_duration(round(age))}, grace: {format_duration(limits.start_grace_seconds)})"
        )
        return GroupJudgement(GroupVerdict(Status.UNKNOWN, GroupReason.STARTING, text, data, early=True), memory)
    verdict = _verdict(findings, data)
    topic = GroupReason.UNKNOWN_TOPIC
    if verdict.reason == topic and (early or rule_input.lasted_seconds[topic] < limits.sustained_seconds):
        verdict = verdict._replace(early=True)
    return GroupJudgement(verdict, memory)


def _judge_with_gaps(
    measured: Measurement,
    missing: Mapping[str, str],
    memory: GroupMemory,
    now: float,
    limits: Limits,
    *,
    hold: GroupHold,
) -> GroupJudgement:
    last = last_verdict(memory, now, hold)
    settled = measured.settled or "consumers" in missing
    if last is not None:
        measured = replace(_fill_gaps(measured, missing, last, memory, now), settled=settled)
        judged = _apply_rules(measured, memory, now, limits)
        assert judged.verdict is not None  # noqa: S101  _conclude always returns a verdict
        age = now - (memory.numbers_at or now)
        return judged._replace(verdict=as_held(judged.verdict, "", age))
    remarks = (*measured.remarks, *missing.values())
    judged = _apply_rules(replace(measured, settled=settled, remarks=remarks), memory, now, limits)
    if judged.verdict is not None and judged.verdict.status is Status.ERROR:
        return judged
    verdict = no_data(MISSING, remarks, limits, hold)
    return judged._replace(verdict=verdict._replace(data={**_public_numbers(measured, limits), **verdict.data}))


def _verdict(findings: list[Finding], data: Mapping[str, Any]) -> GroupVerdict:
    if not findings:
        return GroupVerdict(Status.OK, None, HEALTHY, data)
    worst = min(
        findings, key=lambda finding: _WORST_FIRST.index(finding.status)
    )  # the first finding of the worst status
    return GroupVerdict(worst.status, worst.reason, "; ".join(finding.message for finding in findings), data)


def _is_starting(measured: Measurement, limits: Limits) -> bool:
    count = _first_known(measured.consumers.now, limits.min_consumers)
    return not measured.settled or count < limits.min_consumers


def _update_conditions(
    memory: GroupMemory, current: set[str] | frozenset[str], now: float, prefix: str = ""
) -> GroupMemory:
    """Return the memory with the current conditions. A condition that is already in the memory keeps its start.

    There are two kinds of conditions: missing numbers, whose names begin with ``no_``, and all others. ``prefix``
    selects the kind to update; the other kind does not change.
    """
    others = {
        name: since for name, since in memory.condition_since.items() if name.startswith("no_") != (prefix == "no_")
    }
    return replace(
        memory, condition_since={**others, **{name: memory.condition_since.get(name, now) for name in sorted(current)}}
    )


def _fill_gaps(
    measured: Measurement, missing: Mapping[str, str], verdict: GroupVerdict, memory: GroupMemory, now: float
) -> Measurement:
    last = verdict.data
    remarks = list(measured.remarks)
    for name, why in missing.items():
        duration = format_duration(round(now - memory.condition_since[f"no_{name}"]))
        remarks.append(f"{why} (for: {duration}, the last value is kept)")
    kept: dict[str, Any] = {
        "skew": WindowedValue(last.get("skew_ratio"), last.get("skew_ratio_max"), last.get("skew_ratio_max")),
        "consumers": WindowedValue(last.get("consumers"), last.get("consumers_min"), last.get("consumers_min")),
        "lag": last.get("lag"),
        "drain_eta_seconds": last.get("drain_eta_seconds"),
    }
    fields = {"drain_eta_seconds" if name == "drain_eta" else name for name in missing}
    return replace(measured, remarks=tuple(remarks), **{name: kept[name] for name in fields})


def _with_value_now(value: WindowedValue) -> WindowedValue:
    """Return the value with ``now`` set. If the source has no current number, it is taken from the window."""
    return value._replace(now=_first_known(value.now, value.held, value.worst))


def _public_numbers(measured: Measurement, limits: Limits) -> dict[str, Any]:
    """Return the public numbers. Unknown numbers are left out."""
    skew, consumers = measured.skew, measured.consumers
    numbers = {
        "lag": measured.lag,
        "lag_seconds": _rounded(measured.lag_seconds, 1),
        "retention_share": _rounded(measured.retention_share, 3),
        "skew_ratio": skew.now,
        "skew_ratio_max": skew.held,
        "consumers": _count(consumers.now),
        "consumers_min": _count(consumers.held),
        "partitions": measured.partitions,
        "unassigned_partitions": measured.unassigned,
        "consume_rate": _rounded(measured.consume_rate, 2),
        "produce_rate": _rounded(measured.produce_rate, 2),
        "drain_eta_seconds": _rounded(measured.drain_eta_seconds, 1),
        "hottest_partition": measured.hottest,
        "state": measured.state or None,
        "numbers_age_seconds": round(measured.age_seconds, 1) or None,
        "note": "; ".join(measured.remarks)[:NOTE_CHARACTERS] or None,
    }
    return {name: value for name, value in numbers.items() if value is not None} | public_limits(limits)


def _first_known(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _count(value: float | None) -> int | None:
    return None if value is None else round(value)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
