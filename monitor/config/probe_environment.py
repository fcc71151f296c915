"""Environment variables of a sidecar, such as ``KAFKA_GROUP``. They configure the check ``kafka``.

An older program, the Kafka consumer probe, used the same variables. The sidecar replaces this program. In other
processes the variables may have other purposes, so only a sidecar reads them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

from monitor.config.errors import NO_VALUE, problem
from monitor.config.layers import Layer
from monitor.config.units import FOREVER, hold_time
from monitor.lib.safe_names import safe_name

SIDECAR_VARIABLE = "CELERY_HEALTH_MONITOR_SIDECAR"
"""Variable that a sidecar sets for itself and its child processes.

Its name does not begin with MONITOR_, because an unknown variable with this prefix is an error.
"""

CHECK = "kafka"
KIND = "kafka_group"
GROUPS_OPTION = "consumer_groups"
"""Option of the kind that names the consumer groups. The key ``groups`` of a check names groups of checks."""

DEFAULT_LABEL = "default of the sidecar"
OLDER_PROBE_DEFAULTS: Mapping[str, str] = {"KAFKA_GROUP": "crm-events-sse", "PROMETHEUS_URL": "http://prometheus:9090"}
"""Defaults of the older program. They apply if no consumer group and no check is configured."""
OLDER_PROBE_LABEL = "default of the probe, because nothing is configured"
_PREFIX = "monitor:sidecar:"
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.@-]")


class _Variable(NamedTuple):
    """Environment variable: the key that it sets, its parser, its default, and a valid example of a parsed value."""

    path: tuple[str, ...]
    parse: Callable[[str], Any]
    default: Any = None
    example: Any = None


def is_sidecar(environ: Mapping[str, str]) -> bool:
    """Return whether this is the environment of a process of a sidecar."""
    return bool(environ.get(SIDECAR_VARIABLE))


def mark_as_sidecar(environ: MutableMapping[str, str]) -> None:
    """Mark the environment, so that :func:`is_sidecar` returns true for it."""
    environ[SIDECAR_VARIABLE] = "1"


def read(environ: Mapping[str, str], file: Mapping[str, Any]) -> Layer:
    """Return the layer of a sidecar: its defaults and, if ``KAFKA_GROUP`` is set, the check ``kafka``.

    - Without ``KAFKA_GROUP``, checks must be configured in ``file`` or in the environment.
    - If neither the group, nor a source, nor a check is configured, ``OLDER_PROBE_DEFAULTS`` apply.
    - If both ``KAFKA_BROKERS`` and ``PROMETHEUS_URL`` are set, the check reads from Prometheus, as the older program.
    """
    layer = Layer()
    given = {name: environ[name] for name in PROBE_VARIABLES if environ.get(name)}
    assumed = OLDER_PROBE_DEFAULTS if _is_nothing_configured(given, environ, file) else {}
    given |= assumed
    values = {name: _parsed(layer, name, text) for name, text in given.items()}
    group = given.get("KAFKA_GROUP")
    _put_defaults(layer, group)
    if group is not None:
        source = "prometheus" if "PROMETHEUS_URL" in given else "kafka"
        _put_check(layer, source)
    for name, variable in PROBE_VARIABLES.items():
        if variable.path[0] == "checks" and group is None:
            continue
        if values.get(name) is not None:
            layer.put(variable.path, values[name], OLDER_PROBE_LABEL if name in assumed else f"environment {name}")
        elif variable.default is not None:
            layer.put(variable.path, variable.default, DEFAULT_LABEL)
        elif name in given:
            # The value is invalid, and its problem is reported. With the example, the other keys can be validated.
            layer.put(variable.path, variable.example, DEFAULT_LABEL)
    if group is not None and "PROMETHEUS_URL" in given:
        _put_hold(
            layer, values.get("HOLD_FOR") or values.get("WINDOW_MINUTES") or PROBE_VARIABLES["WINDOW_MINUTES"].default
        )
    _report_missing(layer, given, environ, file)
    return layer


def namespace(group: str | None) -> str:
    """Return a name that separates the sidecars of a group from others and from a monitor in the same Redis."""
    return safe_name(group or "", _FORBIDDEN, max_characters=60)


def _put_defaults(layer: Layer, group: str | None) -> None:
    name = namespace(group)
    layer.put(("default_checks",), False, DEFAULT_LABEL)
    layer.put(("workers", "enabled"), False, DEFAULT_LABEL)
    layer.put(("key_prefix",), f"{_PREFIX}{name}:" if name else _PREFIX, DEFAULT_LABEL)
    layer.put(("queue",), f"{_PREFIX}{name}" if name else _PREFIX.rstrip(":"), DEFAULT_LABEL)


def _put_check(layer: Layer, source: str) -> None:
    label = "environment KAFKA_GROUP"
    layer.put(("checks", CHECK, "kind"), KIND, label)
    layer.put(("checks", CHECK, "groups"), ["ready"], label)
    layer.put(("checks", CHECK, "source"), source, label)


def _put_hold(layer: Layer, hold_for: float | str) -> None:
    layer.put(("groups", "ready", "stale"), "hold", "environment PROMETHEUS_URL")
    layer.put(("groups", "ready", "hold_for"), hold_for, "environment PROMETHEUS_URL")


def _report_missing(
    layer: Layer, given: Mapping[str, str], environ: Mapping[str, str], file: Mapping[str, Any]
) -> None:
    """Report missing variables, unless checks are configured in the file or in ``MONITOR_CHECKS__*`` variables."""
    if _has_checks_elsewhere(environ, file):
        return
    if "KAFKA_GROUP" not in given:
        hint = "is required; name the consumer group to watch (or configure checks in monitor.toml)"
        layer.problems.append(problem(["KAFKA_GROUP"], NO_VALUE, hint))
    if "KAFKA_BROKERS" not in given and "PROMETHEUS_URL" not in given:
        hint = "is required, unless PROMETHEUS_URL is set; list the brokers, such as kafka-1:9092,kafka-2:9092"
        layer.problems.append(problem(["KAFKA_BROKERS"], NO_VALUE, hint))
        if "KAFKA_GROUP" in given:
            layer.put(PROBE_VARIABLES["KAFKA_BROKERS"].path, PROBE_VARIABLES["KAFKA_BROKERS"].example, DEFAULT_LABEL)


def _has_checks_elsewhere(environ: Mapping[str, str], file: Mapping[str, Any]) -> bool:
    return bool(file.get("checks")) or any(name.startswith("MONITOR_CHECKS__") for name in environ)


def _is_nothing_configured(given: Mapping[str, str], environ: Mapping[str, str], file: Mapping[str, Any]) -> bool:
    sources = [name for name in given if name.startswith("KAFKA_") or name == "PROMETHEUS_URL"]
    return not sources and not _has_checks_elsewhere(environ, file)


def _parsed(layer: Layer, name: str, text: str) -> Any:
    """Return the parsed value of a variable. Report a problem and return None if the value is invalid."""
    try:
        return PROBE_VARIABLES[name].parse(text.strip())
    except ValueError as error:
        layer.problems.append(problem([name], text, str(error), "environment"))
        return None


def _unchanged(text: str) -> str:
    return text


def _names(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise ValueError("should list at least one name")
    return names


def _brokers(text: str) -> list[str]:
    brokers = [part.strip() for part in text.split(",") if part.strip()]
    if not brokers or not all(re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:[0-9]{1,5})?", part) for part in brokers):
        raise ValueError("should list brokers as host:port, such as kafka-1:9092,kafka-2:9092")
    return brokers


def _url(text: str) -> str:
    if re.match(r"https?://[^/\s]", text) is None:
        raise ValueError("should be the URL of a Prometheus server, such as http://prometheus:9090")
    return text


def _number(hint: str, *, least: float = 0.0, divisor: float = 1.0) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(hint) from None
        if not math.isfinite(value) or value <= 0 or value < least:
            raise ValueError(hint)
        return value / divisor

    return number


def _hold_time(text: str) -> str:
    try:
        is_valid = hold_time(text) > 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError(f"should be a duration above 0, such as 10m, or {FOREVER}")
    return text


def _count(hint: str) -> Callable[[str], int]:
    def count(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text) is None:
            raise ValueError(hint)
        return int(text)

    return count


_CHECK_PATH = ("checks", CHECK)

PROBE_VARIABLES: Mapping[str, _Variable] = {
    "KAFKA_BROKERS": _Variable((*_CHECK_PATH, "brokers"), _brokers, example=["kafka:9092"]),
    "KAFKA_GROUP": _Variable((*_CHECK_PATH, GROUPS_OPTION), _names, example=["*"]),
    "KAFKA_TOPIC": _Variable((*_CHECK_PATH, "topics"), _names, example=["*"]),
    "PROMETHEUS_URL": _Variable((*_CHECK_PATH, "prometheus_url"), _url, example="http://prometheus:9090"),
    "SKEW_THRESHOLD": _Variable(
        (*_CHECK_PATH, "skew_threshold"),
        _number("should be a number of at least 1, such as 4.0 (max / mean of the lags)", least=1.0),
        4.0,
    ),
    "MIN_CONSUMERS": _Variable((*_CHECK_PATH, "min_consumers"), _count("should be a whole number, such as 2"), 2),
    "WINDOW_MINUTES": _Variable(
        (*_CHECK_PATH, "window"), _number("should be a number of minutes above 0, such as 5", divisor=1 / 60), 300.0
    ),
    "HOLD_FOR": _Variable((*_CHECK_PATH, "hold_for"), _hold_time, example="5m"),
    "PROM_TIMEOUT_MS": _Variable(
        (*_CHECK_PATH, "prometheus_timeout"),
        _number("should be a number of milliseconds above 0, such as 1500", divisor=1000),
        1.5,
    ),
    "PROM_RETRIES": _Variable((*_CHECK_PATH, "prometheus_retries"), _count("should be a whole number, such as 2"), 2),
    "BIND_HOST": _Variable(("sidecar", "host"), _unchanged),
}
"""Variables of a sidecar by name, in the order in which the documentation lists them."""
