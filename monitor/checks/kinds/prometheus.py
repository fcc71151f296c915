"""Check that compares the result of a Prometheus query with thresholds."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SecretStr

from monitor.checks.base import CheckFailed, Kind, Observation
from monitor.checks.failures import io_timeout
from monitor.checks.prometheus import REASONS, BaseUrl, Prometheus, PrometheusEndpoint, QuerySample
from monitor.checks.registry import register
from monitor.config.headers import Headers
from monitor.config.model import DEFAULT_HOLD_SECONDS
from monitor.config.units import HoldTime, Seconds
from monitor.model.checks import NO_PAST, Outcome, Past, Reason, Status

MAX_SHOWN = 20  # series in the detail, the worst first
PARTIAL = "the answer is incomplete: some data is missing"
Limit = Annotated[float | None, Field(allow_inf_nan=False)]


@register("prometheus")
@dataclass(frozen=True, kw_only=True)
class PrometheusQuery(Kind):
    """Send an instant query to Prometheus (or Thanos, Mimir, VictoriaMetrics) and compare the result with thresholds.

    - A value equal to a threshold is ok.
    - If the result has several series, the check has the status of the worst series. Authorised clients see its labels.
    - Series with the value NaN are ignored. If all values are NaN, the result is empty.
    - A query that filters, such as ``up == 0``, has an empty result if there is no problem: set ``on_empty = "ok"``.
    - An answer may be incomplete (``warnings`` of Thanos, ``isPartial`` of VictoriaMetrics). If a value in it is beyond
      a threshold, the check has the status of that threshold, with a ``note``. Otherwise the check is an error with the
      reason ``unavailable``.
    """

    url: Annotated[
        BaseUrl,
        Field(description="base URL of Prometheus, such as https://host/prefix; may contain user:password@"),
    ]
    query: Annotated[
        str, Field(min_length=1, description="PromQL expression whose result is a scalar or an instant vector")
    ]
    error_above: Annotated[Limit, Field(description="threshold: the check is an error above it")] = None
    warning_above: Annotated[
        Limit, Field(description="threshold: the check is a warning above it; must be less than error_above")
    ] = None
    warning_below: Annotated[
        Limit, Field(description="threshold: the check is a warning below it; must be more than error_below")
    ] = None
    error_below: Annotated[Limit, Field(description="threshold: the check is an error below it")] = None
    on_empty: Annotated[
        Literal["unknown", "error", "ok", "hold"],
        Field(description="status if the result is empty; `hold` keeps the last verdict for `hold_for`"),
    ] = "unknown"
    on_source_failure: Annotated[
        Literal["fail", "hold"],
        Field(
            description="result if Prometheus does not answer or its answer is incomplete: `fail` makes the check "
            "an error, `hold` keeps the last verdict for `hold_for`. A rejected query is always an error"
        ),
    ] = "fail"
    hold_for: Annotated[
        HoldTime,
        Field(
            description="with `hold`: maximum age of the kept verdict, in seconds. If the verdict is older, or if "
            "there was no verdict yet, the check is unknown and fails. With `forever`, the maximum age is 5 minutes, "
            "and the unknown check fails no probe"
        ),
    ] = DEFAULT_HOLD_SECONDS
    attempt_timeout: Annotated[Seconds, Field(gt=0, description="time limit of one attempt, in seconds")] = 1.5
    retries: Annotated[
        int,
        Field(
            ge=0,
            le=10,
            description="maximum number of further attempts after a temporary failure, within the check's timeout",
        ),
    ] = 2
    username: Annotated[str | None, Field(description="user name for basic authentication")] = None
    password: Annotated[SecretStr | None, Field(description="password for basic authentication; needs `username`")] = (
        field(default=None, repr=False)
    )
    token: Annotated[
        SecretStr | None, Field(description="bearer token; takes precedence over `username` and the URL's credentials")
    ] = field(default=None, repr=False)
    headers: Annotated[
        Headers,
        Field(description="additional request headers, such as X-Scope-OrgID; their values are treated as secrets"),
    ] = field(default_factory=dict, repr=False)
    verify_tls: Annotated[bool, Field(description="whether to verify the server's certificate")] = True
    ca_file: Annotated[
        str | None,
        Field(description="path of a PEM file with CA certificates, which replace the system's CA certificates"),
    ] = None

    reports: ClassVar[Mapping[str, str]] = {
        "value": "value of the worst series; absent if it is infinite or the result is empty",
        "series": "number of series in the result, without those with the value NaN",
        "failing": "number of series in the result whose value is beyond a threshold",
        "note": "that the answer is incomplete, or why the last verdict is kept; absent otherwise",
        "held_seconds": "age of the kept verdict, in seconds; absent if no verdict is kept",
    }
    series: ClassVar[tuple[str, ...]] = ("value",)
    reasons: ClassVar[Mapping[str, str]] = {
        **REASONS,
        Reason.ABOVE_THRESHOLD: "the value is above its threshold",
        "below_threshold": "the value is below its threshold",
        "no_data": "the result is empty, or all its values are NaN",
    }
    example: ClassVar[Mapping[str, Any]] = {
        "url": "http://127.0.0.1:9090",
        "query": "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
        "warning_above": 0.5,
        "error_above": 2,
        "on_empty": "ok",
    }

    def __post_init__(self) -> None:
        above, below = (self.warning_above, self.error_above), (self.error_below, self.warning_below)
        if not _is_ascending(*above):
            raise ValueError("warning_above must be less than error_above: otherwise the check is never a warning")
        if not _is_ascending(*below):
            raise ValueError("warning_below must be more than error_below: otherwise the check is never a warning")
        if self.password is not None and self.username is None:
            raise ValueError("password needs username")

    def run(self, timeout_seconds: float, past: Past = NO_PAST) -> Outcome:
        """Observe and judge. If there is no value, keep the last verdict if the option for that case is ``hold``."""
        try:
            outcome = self.judge(self.observe(timeout_seconds))
        except CheckFailed as failure:
            outcome = Outcome(Status.ERROR, failure.data, failure.reason, failure.message)
            # A rejected query is a permanent failure: a kept verdict would hide it.
            keeps_verdict = self.on_source_failure == "hold" and failure.reason != "bad_query"
            return _held(outcome, past, self.hold_for) if keeps_verdict else outcome
        if outcome.reason == "unavailable" and self.on_source_failure == "hold":
            return _held(outcome, past, self.hold_for)
        if outcome.reason == "no_data" and self.on_empty == "hold":
            return _held(outcome, past, self.hold_for)
        if "hold" in (self.on_source_failure, self.on_empty):
            return dataclasses.replace(outcome, memory=_memory(outcome, past))
        return outcome

    def observe(self, timeout_seconds: float) -> Observation:
        """Send the query, with retries, within the timeout."""
        server = PrometheusEndpoint(
            self.url,
            self.username,
            self.password,
            self.token,
            self.ca_file,
            self.verify_tls,
            self.attempt_timeout,
            self.retries,
            self.headers,
        )
        with Prometheus(server, io_timeout(timeout_seconds)) as prometheus:
            result = prometheus.query(self.query, accept_partial=True)
        samples = sorted((each for each in result.samples if not math.isnan(each.value)), key=self._severity_order)
        failing = sum(self._level(each.value)[0] is not Status.OK for each in samples)
        data: dict[str, Any] = {"series": len(samples), "failing": failing}
        detail: dict[str, Any] = {"series": [_shown(each) for each in samples[: -MAX_SHOWN - 1 : -1]]}
        if samples and math.isfinite(samples[-1].value):
            data["value"] = samples[-1].value
        if result.warnings:
            detail["warnings"] = list(result.warnings)
        if result.partial_reason is not None:
            data["note"], detail["partial"] = PARTIAL, result.partial_reason
        return Observation(data, detail)

    def judge(self, observation: Observation) -> Outcome:
        """Return warning or error if a value is beyond a threshold, else ok. An empty result gives ``on_empty``.

        An incomplete result without a value beyond a threshold is an error.
        """
        outcome, partial_reason = self._judge_numbers(observation), observation.detail.get("partial")
        if partial_reason is None or outcome.reason in (Reason.ABOVE_THRESHOLD, "below_threshold"):
            return outcome
        return Outcome(Status.ERROR, outcome.data, "unavailable", partial_reason, outcome.detail)

    def _judge_numbers(self, observation: Observation) -> Outcome:
        data, detail = observation.data, observation.detail
        if not data["series"]:
            status = Status(self.on_empty) if self.on_empty != "hold" else Status.UNKNOWN
            if status is Status.OK:
                return Outcome(status, data, detail=detail)
            return Outcome(status, data, "no_data", "the result of the query is empty", detail)
        worst = (detail.get("series") or [{"value": data.get("value")}])[0]
        value = float(data.get("value", worst["value"]))
        status, reason, limit = self._level(value)
        if reason is None:
            return Outcome(status, data, detail=detail)
        side = "above" if reason == Reason.ABOVE_THRESHOLD else "below"
        message = f"{worst.get('labels') or 'the value'} is {value:g}, {side} {limit:g}"
        if data["series"] > 1:
            message += f" ({data['failing']} of {data['series']} series)"
        return Outcome(status, data, reason, message, detail)

    def _level(self, value: float) -> tuple[Status, str | None, float]:
        for status, above, below in (
            (Status.ERROR, self.error_above, self.error_below),
            (Status.WARNING, self.warning_above, self.warning_below),
        ):
            if above is not None and value > above:
                return status, Reason.ABOVE_THRESHOLD, above
            if below is not None and value < below:
                return status, "below_threshold", below
        return Status.OK, None, 0.0

    def _severity_order(self, sample: QuerySample) -> tuple[int, float]:
        """Return a sort key: the status, then how far the value is beyond a threshold (negative: within)."""
        return self._level(sample.value)[0].severity, max(self._distances(sample.value), default=sample.value)

    def _distances(self, value: float) -> Iterator[float]:
        yield from (value - limit for limit in (self.warning_above, self.error_above) if limit is not None)
        yield from (limit - value for limit in (self.warning_below, self.error_below) if limit is not None)


def _is_ascending(lower: float | None, higher: float | None) -> bool:
    return lower is None or higher is None or lower < higher


def _memory(outcome: Outcome, past: Past) -> str:
    verdict = {"status": outcome.status, "reason": outcome.reason, "message": outcome.message}
    return json.dumps({"at": past.now, **verdict, "data": dict(outcome.data)})


def _held(failure: Outcome, past: Past, hold_for: float) -> Outcome:
    """Return the last verdict, marked as held. If it is too old or there is none, return unknown."""
    forever = hold_for == math.inf
    keep_seconds = DEFAULT_HOLD_SECONDS if forever else hold_for
    note = f"the last verdict is held: {failure.reason}"
    try:
        last = json.loads(past.memory or "")
        age_seconds = round(max(0.0, past.now - last["at"]), 1)
        data = {**last["data"], "note": note, "held_seconds": age_seconds}
        status, reason, message = Status(last["status"]), last["reason"], last["message"]
        if age_seconds > keep_seconds:
            raise ValueError("too old")
    except (ValueError, LookupError, TypeError):  # no memory, or the memory of another version
        data = {"note": f"no verdict to hold: {failure.reason}"}
        return Outcome(Status.UNKNOWN, data, failure.reason, failure.message, held=forever)
    return Outcome(status, data, reason, "; ".join(filter(None, (message, failure.message))), held=True)


def _shown(sample: QuerySample) -> dict[str, Any]:
    value = sample.value if math.isfinite(sample.value) else f"{sample.value:+}"
    return {"labels": _selector(sample.labels), "value": value}


def _selector(labels: Mapping[str, str]) -> str:
    """Return labels in the notation of Prometheus: ``up{instance="a", job="b"}``."""
    pairs = ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(labels.items()) if name != "__name__")
    return f"{labels.get('__name__', '')}{{{pairs}}}" if labels else ""
