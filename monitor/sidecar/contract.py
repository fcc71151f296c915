"""What ``/health``, ``/ready`` and ``/status`` of the Kafka probe say (DESIGN, section 4): bodies made of states.

The probe is the group ``ready``. Its checks of the kind ``kafka_group`` supply the numbers: the first that fails or,
when none does, the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor import policy
from monitor.api import entries
from monitor.api.refresher import Moment
from monitor.api.roster import Roster
from monitor.config import CheckSpec
from monitor.config.probe_environment import GROUPS_OPTION, KIND
from monitor.config.units import seconds
from monitor.documents import exact
from monitor.model import Overall, State, Status
from monitor.policy.consumer_groups.limits import Limits, short

HEALTHY = "System healthy"
SKEW, CONSUMERS = "skew", "under_replicated"
DEFAULTS = Limits()
CHECK_TYPES: Mapping[str | None, str] = {SKEW: "skew_ratio", CONSUMERS: "consumer_count"}
"""The reasons of the two checks of the contract, and what they are called there."""

RULES = frozenset(
    {SKEW, CONSUMERS, "stalled", "stopped", "rewound", "lag", "drain_eta", "rebalancing", "unowned_partitions"}
    | {"unknown_group", "starting"}
)
"""The reasons whose messages hold numbers and names only. Those of a source that failed may hold hosts."""


@dataclass(frozen=True)
class Said:
    """What one check of the group says at a moment: its reading, and the state that this is of."""

    check: CheckSpec
    reading: policy.Reading
    state: State | None

    @property
    def fails(self) -> bool:
        """Whether it fails the group."""
        return self.check.critical and policy.fails(self.reading)

    @property
    def reason(self) -> str | None:
        """Why it is what it is."""
        return self.reading.reason

    def number(self, *names: str) -> float | None:
        """The first of these numbers that it has."""
        data = self.state.result.data if self.state else {}
        for name in names:
            value = data.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return value
        return None

    def limit(self, name: str) -> float | None:
        """A threshold: as the result names it, else as configured."""
        known = self.number(name)
        return known if known is not None else _number(self.check.options.get(name, getattr(DEFAULTS, name)))


@dataclass(frozen=True)
class Verdict:
    """What the probe says at a moment. ``spoken`` is the check that supplies the numbers, where there is one."""

    healthy: bool
    failing: tuple[Said, ...]
    spoken: Said | None
    now: float
    problem: str | None = None

    @property
    def message(self) -> str:
        """One sentence: of the first that fails, and how many fail besides."""
        if self.problem:
            return f"Nothing is checked: {self.problem}"
        if self.healthy:
            return HEALTHY
        first = self.spoken if self.spoken is not None and self.spoken.fails else self.failing[0]
        others = len(self.failing) - 1
        return _sentence(first) + (f" (and {others} more)" if others else "")


def look(roster: Roster, moment: Moment) -> Verdict:
    """What the group ``ready`` says at this moment."""
    group = roster.ready
    said = [Said(check, *roster.read(check, moment, hold=group.hold)) for check in group.checks]
    overall = roster.overall(group, {each.check.name: each.reading for each in said})
    ours = [each for each in said if each.check.kind == KIND]
    spoken = next((each for each in ours if each.fails), ours[0] if ours else None)
    failing = tuple(each for each in said if each.fails)
    return Verdict(overall is not Overall.UNHEALTHY, failing, spoken, moment.now, roster.problem)


def ready(verdict: Verdict) -> dict[str, Any]:
    """The body of ``/ready``. What follows ``checks`` is more than the contract asks for."""
    spoken = verdict.spoken
    window = _window_seconds(spoken)
    body: dict[str, Any] = {
        "healthy": verdict.healthy,
        "message": verdict.message,
        "window_minutes": _plain(window / 60),
        "checks": {
            "skew_ratio": {
                "value": _rounded(skew_ratio(spoken)),
                "threshold": _rounded(spoken.limit("skew_threshold") if spoken else None),
                "healthy": _passes(verdict, SKEW),
                "window": short(window),
                "aggregation": "max",
            },
            "consumer_count": {
                "value": _plain(consumer_count(spoken)),
                "min_required": _plain(spoken.limit("min_consumers") if spoken else None),
                "healthy": _passes(verdict, CONSUMERS),
                "window": short(window),
                "aggregation": "min",
            },
        },
    }
    return body | (_about(spoken, verdict.now) if spoken else {})


def status(verdict: Verdict, roster: Roster) -> dict[str, Any]:
    """The body of ``/status``: the same, and what it is configured to."""
    checks = [check for check in roster.ready.checks if check.kind == KIND]
    return {"overall_healthy": verdict.healthy, **ready(verdict), "config": {c.name: _config(c) for c in checks}}


def skew_ratio(said: Said | None) -> float | None:
    """The skew that is judged: the maximum over the window, as far as it is known."""
    return said.number("skew_ratio_max", "skew_ratio") if said else None


def consumer_count(said: Said | None) -> float | None:
    """The consumers that are judged: the minimum over the window, as far as it is known."""
    return said.number("consumers_min", "consumers") if said else None


def service(roster: Roster) -> str:
    """What the sidecar is beside: the consumer groups it watches."""
    groups: dict[str, None] = {}
    for check in roster.checks.values():
        if check.kind == KIND:
            groups.update(dict.fromkeys(_names(check.options.get(GROUPS_OPTION))))
    return ",".join(groups) or "monitor"


def failures(verdict: Verdict) -> list[tuple[str, str]]:
    """What fails, as (check_type, reason): the two checks of the contract, ``kafka_group`` or another kind."""
    found = [(CHECK_TYPES.get(each.reason, each.check.kind), each.reason or "failed") for each in verdict.failing]
    return found or ([] if verdict.healthy else [("configuration", verdict.problem or "failed")])


def _sentence(said: Said) -> str:
    result = said.state.result if said.state else None
    if said.check.kind != KIND:
        return f"{said.check.name}: {said.reason or said.reading.status.value}"
    if said.reason == "stale" and result is not None:
        return f"Last result is out of date (observed {exact(result.observed_at)})"
    if result is None:
        return "Not observed yet"
    if said.reason in RULES and result.message:
        return result.message
    if result.status.severity < 2:
        return "Recovering: not yet confirmed"
    return f"Source failed: {said.reason or said.reading.status.value}"


def _passes(verdict: Verdict, reason: str) -> bool:
    """Whether one of the two checks passes. While their numbers are not known, they go with the verdict."""
    spoken = verdict.spoken
    if spoken is None or not spoken.fails:
        return verdict.healthy or spoken is not None
    findings = spoken.state.result.data.get("findings") if spoken.state else None
    known = spoken.reason in RULES
    return known and spoken.reason != reason and (not isinstance(findings, list) or reason not in findings)


def _about(said: Said, now: float) -> dict[str, Any]:
    """How much the numbers are worth."""
    about: dict[str, Any] = {"check": said.check.name, "status": said.reading.status.value}
    if said.reason:
        about["reason"] = said.reason
    if note := _note(said):
        about["note"] = note
    if said.state is not None:
        about["age_ms"] = entries.age_ms(said.state, now)
    return about


def _note(said: Said) -> str | None:
    told = said.state.result.data.get("note") if said.state else None
    notes = [told] if isinstance(told, str) else []
    if said.reading.held and said.reason == "stale":
        notes.append("the last verdict is kept: no new result has come")
    elif said.reading.held and said.state is None:
        notes.append("not observed yet: healthy until the first result")
    elif said.reading.held and said.reading.status is Status.UNKNOWN and not notes:
        notes.append(f"too early to say: {said.reason}" if said.reason else "too early to say")
    return "; ".join(notes) or None


def _config(check: CheckSpec) -> dict[str, Any]:
    """What is not for everybody stays out: addresses, and whatever lets one in."""
    options = check.options
    shown = {
        "groups": _names(options.get(GROUPS_OPTION)),
        "topics": _names(options.get("topics")),
        "source": options.get("source", "kafka"),
        "skew_threshold": _number(options.get("skew_threshold", DEFAULTS.skew_threshold)),
        "min_consumers": _plain(_number(options.get("min_consumers", DEFAULTS.min_consumers))),
        "window_minutes": _plain(_option_seconds(options.get("window")) / 60),
        "interval_seconds": _plain(check.interval_seconds),
        "timeout_seconds": _plain(check.timeout_seconds),
    }
    if shown["source"] == "prometheus":
        shown |= {name: options.get(name) for name in ("prometheus_timeout", "prometheus_retries")}
    return {name: value for name, value in shown.items() if value not in (None, [])}


def _window_seconds(said: Said | None) -> float:
    known = said.number("window_seconds") if said else None
    return known or _option_seconds(said.check.options.get("window") if said else None)


def _option_seconds(option: Any) -> float:
    try:
        return float(seconds(option)) if option is not None else DEFAULTS.window_seconds
    except (TypeError, ValueError):
        return DEFAULTS.window_seconds


def _names(option: Any) -> list[str]:
    if isinstance(option, str):
        return [name.strip() for name in option.split(",") if name.strip()]
    return [str(name) for name in option or ()]


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 2)


def _plain(value: float | None) -> float | None:
    """A whole number without its fraction."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
