"""A query to Prometheus, and the number it comes to."""

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
PARTIAL = "a part of the data is missing in the answer"
Limit = Annotated[float | None, Field(allow_inf_nan=False)]


@register("prometheus")
@dataclass(frozen=True, kw_only=True)
class PrometheusQuery(Kind):
    """An instant query to Prometheus (or Thanos, Mimir, VictoriaMetrics), judged by thresholds.

    A threshold itself is still fine. Of several series the worst counts; authorised readers see which. A series that
    is NaN says nothing: a result of nothing else is an empty one. A query that filters, such as ``up == 0``, is empty
    when all is well: that is ``on_empty = "ok"``.

    An answer without a part of the data (``warnings`` of Thanos, ``isPartial`` of VictoriaMetrics) is never ok: what
    is there and beyond a threshold counts, with a note; anything else is ``unavailable``, as without an answer.
    """

    url: Annotated[BaseUrl, Field(description="address, with the prefix of its path if any; may hold user:password@")]
    query: Annotated[str, Field(min_length=1, description="PromQL: a scalar, or an instant vector")]
    error_above: Annotated[Limit, Field(description="above it: error")] = None
    warning_above: Annotated[Limit, Field(description="above it: warning")] = None
    warning_below: Annotated[Limit, Field(description="below it: warning")] = None
    error_below: Annotated[Limit, Field(description="below it: error")] = None
    on_empty: Annotated[
        Literal["unknown", "error", "ok", "hold"],
        Field(description="what a result without any number is; hold: the last verdict, for `hold_for`"),
    ] = "unknown"
    on_source_failure: Annotated[
        Literal["fail", "hold"],
        Field(description="when Prometheus cannot be asked: error, or the last verdict, for `hold_for`, and a note"),
    ] = "fail"
    hold_for: Annotated[
        HoldTime,
        Field(
            description="with hold: how old a verdict may be. Then, and before the first one, the check is unknown and "
            "fails; with `forever` it is so after 5 minutes, and fails nothing"
        ),
    ] = DEFAULT_HOLD_SECONDS
    attempt_timeout: Annotated[Seconds, Field(gt=0, description="time limit of one attempt")] = 1.5
    retries: Annotated[int, Field(ge=0, le=10, description="further attempts, as long as the check has time")] = 2
    username: Annotated[str | None, Field(description="user of basic authentication")] = None
    password: Annotated[SecretStr | None, Field(description="its password")] = field(default=None, repr=False)
    token: Annotated[SecretStr | None, Field(description="bearer token, instead of a user")] = field(
        default=None, repr=False
    )
    headers: Annotated[
        Headers, Field(description="more request headers, such as X-Scope-OrgID; their values are taken for secrets")
    ] = field(default_factory=dict, repr=False)
    verify_tls: Annotated[bool, Field(description="whether the server's certificate must be valid")] = True
    ca_file: Annotated[str | None, Field(description="CA certificates to trust instead of the system's")] = None

    reports: ClassVar[Mapping[str, str]] = {
        "value": "the number; of several series the worst; absent when it is infinite or there is none",
        "series": "series in the result, without those that are NaN",
        "failing": "those of them that are beyond a threshold",
        "note": "that a part of the data is missing, or why the last verdict is held",
        "held_seconds": "how old the verdict is that is held; absent when there has been none",
    }
    series: ClassVar[tuple[str, ...]] = ("value",)
    reasons: ClassVar[Mapping[str, str]] = {
        **REASONS,
        Reason.ABOVE_THRESHOLD: "the number is above its threshold",
        "below_threshold": "the number is below its threshold",
        "no_data": "the result is empty, or NaN",
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
            raise ValueError("warning_above is never reached: it must be less than error_above")
        if not _is_ascending(*below):
            raise ValueError("warning_below is never reached: it must be more than error_below")
        if self.password is not None and self.username is None:
            raise ValueError("a password needs a username")

    def run(self, timeout_seconds: float, past: Past = NO_PAST) -> Outcome:
        """Observe and judge, or hold what was judged last where that is wanted."""
        try:
            outcome = self.judge(self.observe(timeout_seconds))
        except CheckFailed as failure:
            outcome = Outcome(Status.ERROR, failure.data, failure.reason, failure.message)
            # A query that is refused is our own fault, and stays so: to hold a verdict would hide it for ever.
            hold = self.on_source_failure == "hold" and failure.reason != "bad_query"
            return _held(outcome, past, self.hold_for) if hold else outcome
        if outcome.reason == "unavailable" and self.on_source_failure == "hold":
            return _held(outcome, past, self.hold_for)
        if outcome.reason == "no_data" and self.on_empty == "hold":
            return _held(outcome, past, self.hold_for)
        if "hold" in (self.on_source_failure, self.on_empty):
            return dataclasses.replace(outcome, memory=_memory(outcome, past))
        return outcome

    def observe(self, timeout_seconds: float) -> Observation:
        """Ask once, or some more times; within the timeout."""
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
            answer = prometheus.query(self.query, partial=True)
        samples = sorted((each for each in answer.samples if not math.isnan(each.value)), key=self._badness)
        failing = sum(self._level(each.value)[0] is not Status.OK for each in samples)
        data: dict[str, Any] = {"series": len(samples), "failing": failing}
        detail: dict[str, Any] = {"series": [_shown(each) for each in samples[: -MAX_SHOWN - 1 : -1]]}
        if samples and math.isfinite(samples[-1].value):
            data["value"] = samples[-1].value
        if answer.warnings:
            detail["warnings"] = list(answer.warnings)
        if answer.partial is not None:
            data["note"], detail["partial"] = PARTIAL, answer.partial
        return Observation(data, detail)

    def judge(self, observation: Observation) -> Outcome:
        """Beyond a threshold is a warning or an error; a result without a number is what ``on_empty`` says.

        With a part of the data missing, only what is beyond a threshold is believed.
        """
        outcome, partial = self._judge_numbers(observation), observation.detail.get("partial")
        if partial is None or outcome.reason in (Reason.ABOVE_THRESHOLD, "below_threshold"):
            return outcome
        return Outcome(Status.ERROR, outcome.data, "unavailable", partial, outcome.detail)

    def _judge_numbers(self, observation: Observation) -> Outcome:
        data, detail = observation.data, observation.detail
        if not data["series"]:
            status = Status(self.on_empty) if self.on_empty != "hold" else Status.UNKNOWN
            if status is Status.OK:
                return Outcome(status, data, detail=detail)
            return Outcome(status, data, "no_data", "the query gives no data", detail)
        worst = (detail.get("series") or [{"value": data.get("value")}])[0]
        value = float(data.get("value", worst["value"]))
        status, reason, limit = self._level(value)
        if reason is None:
            return Outcome(status, data, detail=detail)
        where = "above" if reason == Reason.ABOVE_THRESHOLD else "below"
        message = f"{worst.get('labels') or 'the value'} is {value:g}, {where} {limit:g}"
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

    def _badness(self, sample: QuerySample) -> tuple[int, float]:
        """Its order: by what it is, then by how far it is beyond a threshold, or how near to one."""
        return self._level(sample.value)[0].severity, max(self._distances(sample.value), default=sample.value)

    def _distances(self, value: float) -> Iterator[float]:
        yield from (value - limit for limit in (self.warning_above, self.error_above) if limit is not None)
        yield from (limit - value for limit in (self.warning_below, self.error_below) if limit is not None)


def _is_ascending(lower: float | None, higher: float | None) -> bool:
    return lower is None or higher is None or lower < higher


def _memory(outcome: Outcome, past: Past) -> str:
    said = {"status": outcome.status, "reason": outcome.reason, "message": outcome.message, "data": dict(outcome.data)}
    return json.dumps({"at": past.now, **said})


def _held(failure: Outcome, past: Past, hold_for: float) -> Outcome:
    """Return the last verdict, and that it is held; unknown when it is too old, and when there has been none."""
    forever = hold_for == math.inf
    keep_seconds = DEFAULT_HOLD_SECONDS if forever else hold_for
    note = f"the last verdict is held: {failure.reason}"
    try:
        last = json.loads(past.memory or "")
        age_seconds = round(max(0.0, past.now - last["at"]), 1)
        data = {**last["data"], "note": note, "held_seconds": age_seconds}
        status, reason, before = Status(last["status"]), last["reason"], last["message"]
        if age_seconds > keep_seconds:
            raise ValueError("too old")
    except (ValueError, LookupError, TypeError):  # none, or one of another version
        data = {"note": f"no verdict to hold: {failure.reason}"}
        return Outcome(Status.UNKNOWN, data, failure.reason, failure.message, held=forever)
    return Outcome(status, data, reason, "; ".join(filter(None, (before, failure.message))), held=True)


def _shown(sample: QuerySample) -> dict[str, Any]:
    value = sample.value if math.isfinite(sample.value) else f"{sample.value:+}"
    return {"labels": _selector(sample.labels), "value": value}


def _selector(labels: Mapping[str, str]) -> str:
    """As Prometheus writes a series: ``up{instance="a", job="b"}``."""
    pairs = ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(labels.items()) if name != "__name__")
    return f"{labels.get('__name__', '')}{{{pairs}}}" if labels else ""
