"""Bodies of ``/ready`` and ``/status``, made from a verdict. The bodies are compatible with the older Kafka probe."""

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
    """Return the body of ``/ready``. The older probe had no keys after ``checks``."""
    main_check = verdict.main_check
    window = _window_seconds(main_check)
    body: dict[str, Any] = {
        "healthy": verdict.healthy,
        "message": verdict.message,
        "window_minutes": _without_fraction(window / 60),
        "checks": {
            "skew_ratio": {
                "value": _rounded(skew_ratio(main_check)),
                "threshold": _rounded(_threshold(main_check, "skew_threshold")),
                "healthy": _is_healthy(verdict, GroupReason.SKEW),
                "window": format_duration(window),
                "aggregation": "max",
            },
            "consumer_count": {
                "value": _without_fraction(consumer_count(main_check)),
                "min_required": _without_fraction(_threshold(main_check, "min_consumers")),
                "healthy": _is_healthy(verdict, GroupReason.UNDER_REPLICATED),
                "window": format_duration(window),
                "aggregation": "min",
            },
        },
    }
    return body | (_additional_keys(main_check, verdict.now) if main_check else {})


def status_body(verdict: SidecarVerdict, roster: RosterReader) -> dict[str, Any]:
    """Return the body of ``/status``: the body of ``/ready`` and the configuration."""
    checks = [check for check in roster.ready.checks if check.kind == KIND]
    overall = verdict.healthy and not verdict.lacks_data
    return {
        "overall_healthy": overall,
        **ready_body(verdict),
        "config": {check.name: _config(check) for check in checks},
    }


def service_name(roster: RosterReader) -> str:
    """Return the service's name: the names of the watched consumer groups, or ``monitor`` if there are none."""
    groups: dict[str, None] = {}
    for check in roster.checks.values():
        if check.kind == KIND:
            groups.update(dict.fromkeys(_names(check.options.get(GROUPS_OPTION))))
    return ",".join(groups) or "monitor"


def _is_healthy(verdict: SidecarVerdict, reason: str) -> bool:
    """Return ``healthy`` for ``skew_ratio`` or ``consumer_count``. ``reason`` is the reason code of its rule.

    The result is false in three cases: (1) the rule has a finding; (2) the check fails for a reason that is not the
    reason of a rule; (3) the check lacks data. Without a check of the kind ``kafka_group``, the result is the overall
    verdict.
    """
    main_check = verdict.main_check
    if main_check is not None and main_check.lacks_data:
        return False
    if main_check is None or not main_check.fails:
        return verdict.healthy or main_check is not None
    return main_check.reason in RULE_REASONS and not main_check.has_finding(reason)


def _threshold(verdict: CheckVerdict | None, name: str) -> float | None:
    """Return a threshold: from the check's result, or from the configuration if the result has none."""
    stored = verdict.number(name) if verdict else None
    if verdict is None or stored is not None:
        return stored
    return _number(verdict.check.options.get(name, getattr(DEFAULTS, name)))


def _additional_keys(verdict: CheckVerdict, now: float) -> dict[str, Any]:
    """Return the keys that the older probe did not have."""
    keys: dict[str, Any] = {"check": verdict.check.name, "status": verdict.reading.status.value}
    if verdict.reason:
        keys["reason"] = verdict.reason
    if verdict.reading.held and not (verdict.state and verdict.state.result.grace):
        keys["held"] = True
    if len(verdict.findings) > 1:
        keys["findings"] = list(verdict.findings)
    if note := _note(verdict):
        keys["note"] = note
    if verdict.state is not None:
        keys["age_ms"] = entries.age_ms(verdict.state, now)
    return keys


def _note(verdict: CheckVerdict) -> str | None:
    stored = verdict.state.result.data.get("note") if verdict.state else None
    remarks = [stored] if isinstance(stored, str) else []
    if verdict.reading.held and verdict.reason == Reason.STALE:
        remarks.append("the last verdict is kept: there is no new result")
    elif verdict.reading.held and verdict.reading.status is Status.UNKNOWN and not remarks:
        remarks.append(f"too early to judge: {verdict.reason}" if verdict.reason else "too early to judge")
    return "; ".join(remarks) or None


def _config(check: CheckSpec) -> dict[str, Any]:
    """Return the configuration of a check, without addresses and credentials."""
    options = check.options
    config = {
        "groups": _names(options.get(GROUPS_OPTION)),
        "topics": _names(options.get("topics")),
        "source": options.get("source", "kafka"),
        "skew_threshold": _number(options.get("skew_threshold", DEFAULTS.skew_threshold)),
        "min_consumers": _without_fraction(_number(options.get("min_consumers", DEFAULTS.min_consumers))),
        "window_minutes": _without_fraction(_option_seconds(options.get("window")) / 60),
        "interval_seconds": _without_fraction(check.interval_seconds),
        "timeout_seconds": _without_fraction(check.timeout_seconds),
    }
    if config["source"] == "prometheus":
        config |= {name: options.get(name) for name in ("prometheus_timeout", "prometheus_retries", "hold_for")}
    return {name: value for name, value in config.items() if value not in (None, [])}


def _window_seconds(verdict: CheckVerdict | None) -> float:
    stored = verdict.number("window_seconds") if verdict else None
    return stored or _option_seconds(verdict.check.options.get("window") if verdict else None)


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


def _without_fraction(value: float | None) -> float | None:
    """Return the value, as an int if it is a whole number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
