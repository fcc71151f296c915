"""What ``/health``, ``/ready`` and ``/status`` of the Kafka probe say (DESIGN, section 4): bodies made of a verdict."""

from __future__ import annotations

from typing import Any

from monitor.api import entries
from monitor.api.roster import RosterReader
from monitor.config import CheckSpec
from monitor.config.probe_environment import GROUPS_OPTION, KIND
from monitor.config.units import seconds
from monitor.model.checks import Reason, Status
from monitor.policy.consumer_groups.limits import Limits, format_duration
from monitor.policy.consumer_groups.reasons import GroupReason
from monitor.sidecar.verdict import RULE_REASONS, CheckVerdict, SidecarVerdict, consumer_count, skew_ratio

DEFAULTS = Limits()


def ready_body(verdict: SidecarVerdict) -> dict[str, Any]:
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
                "threshold": _rounded(_limit(spoken, "skew_threshold")),
                "healthy": _passes(verdict, GroupReason.SKEW),
                "window": format_duration(window),
                "aggregation": "max",
            },
            "consumer_count": {
                "value": _plain(consumer_count(spoken)),
                "min_required": _plain(_limit(spoken, "min_consumers")),
                "healthy": _passes(verdict, GroupReason.UNDER_REPLICATED),
                "window": format_duration(window),
                "aggregation": "min",
            },
        },
    }
    return body | (_about(spoken, verdict.now) if spoken else {})


def status_body(verdict: SidecarVerdict, roster: RosterReader) -> dict[str, Any]:
    """The body of ``/status``: the same, and what it is configured to."""
    checks = [check for check in roster.ready.checks if check.kind == KIND]
    overall = verdict.healthy and not verdict.lacks_data
    return {"overall_healthy": overall, **ready_body(verdict), "config": {c.name: _config(c) for c in checks}}


def service_name(roster: RosterReader) -> str:
    """What the sidecar is beside: the consumer groups it watches."""
    groups: dict[str, None] = {}
    for check in roster.checks.values():
        if check.kind == KIND:
            groups.update(dict.fromkeys(_names(check.options.get(GROUPS_OPTION))))
    return ",".join(groups) or "monitor"


def _passes(verdict: SidecarVerdict, reason: str) -> bool:
    """Whether one of the two checks passes. While their numbers are not known, they go with the verdict."""
    spoken = verdict.spoken
    if spoken is not None and spoken.lacks_data:
        return False
    if spoken is None or not spoken.fails:
        return verdict.healthy or spoken is not None
    return spoken.reason in RULE_REASONS and not spoken.found(reason)


def _limit(said: CheckVerdict | None, name: str) -> float | None:
    """A threshold: as the result names it, else as configured."""
    known = said.number(name) if said else None
    if said is None or known is not None:
        return known
    return _number(said.check.options.get(name, getattr(DEFAULTS, name)))


def _about(said: CheckVerdict, now: float) -> dict[str, Any]:
    """How much the numbers are worth."""
    about: dict[str, Any] = {"check": said.check.name, "status": said.reading.status.value}
    if said.reason:
        about["reason"] = said.reason
    if said.reading.held and not (said.state and said.state.result.grace):
        about["held"] = True
    if len(said.findings) > 1:
        about["findings"] = list(said.findings)
    if note := _note(said):
        about["note"] = note
    if said.state is not None:
        about["age_ms"] = entries.age_ms(said.state, now)
    return about


def _note(said: CheckVerdict) -> str | None:
    told = said.state.result.data.get("note") if said.state else None
    notes = [told] if isinstance(told, str) else []
    if said.reading.held and said.reason == Reason.STALE:
        notes.append("the last verdict is kept: no new result has come")
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
        shown |= {name: options.get(name) for name in ("prometheus_timeout", "prometheus_retries", "hold_for")}
    return {name: value for name, value in shown.items() if value not in (None, [])}


def _window_seconds(said: CheckVerdict | None) -> float:
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
