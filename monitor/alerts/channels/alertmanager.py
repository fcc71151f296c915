"""Channel `alertmanager`: Prometheus' Alertmanager, by version 2 of its API."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import structlog
from pydantic import Field, SecretStr

from monitor.alerts.base import Attempt, Channel, Temporary, Undelivered
from monitor.alerts.http import SecretUrl, host_of, post, to_json
from monitor.alerts.registry import register
from monitor.alerts.text import Text, iso, severity
from monitor.config.headers import Headers, merged_headers
from monitor.config.units import Seconds
from monitor.lib.safe_names import digest
from monitor.model.checks import Notice, NoticeKind

log = structlog.get_logger(__name__)

_PATH = "/api/v2/alerts"
_FIRING = ("warning", "critical")


@register("alertmanager")
@dataclass(frozen=True, kw_only=True)
class Alertmanager(Channel):
    """Firing and resolved alerts for [Alertmanager](https://prometheus.io/docs/alerting/latest/alerts_api/) 0.16 or
    later, by POST to `/api/v2/alerts`.

    An alert is identified by its labels: `alertname`, `check`, `severity` (`warning` or `critical`), the labels of the
    check, and `extra_labels`. Its annotations are `summary` (the title), `description` (the body), `kind`, `status`,
    `reason` and `notice` (the id). When the severity changes, the same request resolves the alert of the other
    severity.

    Alertmanager expects a firing alert to be sent repeatedly: it forgets alerts when it restarts, and resolves them at
    their `endsAt`. So the default of `reminder` is 2 minutes for this kind of channel. This causes no additional
    notifications, because Alertmanager has its own `repeat_interval`. `endsAt` is `ends_after_seconds` after the last
    request. This time is long, because an alert should not be resolved while the monitor is down.

    Each notification is sent to all `urls` at the same time, as the members of a cluster expect; one member that
    accepts it is enough. A delivery is repeated or given up by the same rules as for `webhook`.
    """

    urls: Annotated[
        tuple[SecretUrl, ...],
        Field(min_length=1, description="http or https URLs of Alertmanager, one for each member of a cluster"),
    ]
    token: Annotated[SecretStr | None, Field(description="bearer token for the requests")] = None
    headers: Annotated[
        Headers, Field(description="additional request headers, such as X-Scope-OrgID; their values are secrets")
    ] = field(default_factory=dict)
    alertname: Annotated[
        str,
        Field(
            min_length=1,
            description="value of the label `alertname`; a change makes new alerts, and the old ones end at `endsAt`",
        ),
    ] = "HealthCheck"
    extra_labels: Annotated[Mapping[str, str], Field(description="labels that are added to each alert")] = field(
        default_factory=dict
    )
    generator_url: Annotated[
        str | None,
        Field(
            pattern=r"^https?://", description="http or https URL to which Alertmanager links, such as the dashboard"
        ),
    ] = None
    ends_after_seconds: Annotated[
        Seconds,
        Field(
            ge=60,
            description="seconds after the last request at which Alertmanager resolves an alert; shorter than the "
            "`reminder`, it resolves alerts that still fire",
        ),
    ] = 86_400.0
    ca_file: Annotated[
        str | None, Field(description="path of a PEM file with the CA certificates to trust; without it the system's")
    ] = None

    example: ClassVar[Mapping[str, Any]] = {
        "urls": ["http://alertmanager-0:9093", "http://alertmanager-1:9093"],
        "extra_labels": {"environment": "production"},
        "generator_url": "https://shop.example.com/admin/monitoring/",
    }
    reminder_seconds: ClassVar[float | None] = 120.0

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:
        """Send one request to each member. Return when one has accepted it and the others are finished or late."""
        body = to_json(list(self.alerts(notice, text, time.time())))
        answers: queue.SimpleQueue[Undelivered | None] = queue.SimpleQueue()
        for url in self.urls:
            arguments = (url, body, attempt, answers)
            threading.Thread(target=self._send_to, args=arguments, name="alert-alertmanager", daemon=True).start()
        failures, accepted = [], 0
        for _ in self.urls:
            try:
                # After one has accepted it, wait only a little for the results of the others.
                answer = answers.get(timeout=attempt.remaining_seconds * (0.3 if accepted else 0.9))
            except queue.Empty:
                answer = Temporary("a member did not answer in time")
            if answer is None:
                accepted += 1
            else:
                failures.append(answer)
        if not accepted:
            raise next((each for each in failures if isinstance(each, Temporary)), failures[0])
        for failure in failures:
            log.warning("channel.member_failed", channel_kind=self.name, message=self.hide(failure.reason))

    def alerts(self, notice: Notice, text: Text, now: float) -> Iterator[dict[str, Any]]:
        """Yield the alerts of a notice in the format of the API."""
        before, current = severity(notice.old), severity(notice.status)
        if notice.kind is NoticeKind.RESOLVED:
            # A change to a milder status is not notified: an alert sent as critical may have become a warning since.
            fires, ends = [], ["critical"] if before == "critical" else list(_FIRING)
        else:
            fires = [current if current in _FIRING else "warning"]
            ends = [before] if before in _FIRING and before not in fires else []
        for each, end in [(one, now + self.ends_after_seconds) for one in fires] + [(one, notice.at) for one in ends]:
            alert = {
                "labels": self._labels(notice, each),
                "annotations": {
                    "summary": text.title,
                    "description": text.body,
                    "kind": notice.kind.value,
                    "status": notice.status.value,
                    "reason": notice.reason or "",
                    "notice": notice.id,
                },
                "startsAt": iso(min(notice.since, end)),
                "endsAt": iso(end),
            }
            yield alert | ({"generatorURL": self.generator_url} if self.generator_url else {})

    def _labels(self, notice: Notice, severity_label: str) -> dict[str, str]:
        given = {name: value for name, value in {**notice.labels, **self.extra_labels}.items() if value}
        labels = {_label_name(name): value for name, value in given.items()}
        if len(labels) < len(given):  # two names have become equal: changed names get a digest
            labels = {_label_name(name, with_digest=True): value for name, value in given.items()}
        return labels | {"alertname": self.alertname, "check": notice.check, "severity": severity_label}

    def _send_to(
        self, url: SecretStr, body: bytes, attempt: Attempt, answers: queue.SimpleQueue[Undelivered | None]
    ) -> None:
        token = {"Authorization": f"Bearer {self.token.get_secret_value()}"} if self.token else {}
        headers = merged_headers(token, self.headers)
        address = url.get_secret_value().rstrip("/")
        try:
            post(
                SecretStr(address if address.endswith(_PATH) else address + _PATH), body, headers, attempt, self.ca_file
            )
            answers.put(None)
        except Undelivered as failure:
            answers.put(failure)
        except Exception as failure:  # noqa: BLE001  (an unexpected failure of one member must not hide the others)
            answers.put(Temporary(f"{host_of(url)}: {type(failure).__name__}"))


def _label_name(name: str, *, with_digest: bool = False) -> str:
    """Return a name that Alertmanager accepts: letters, digits and underscores."""
    valid = re.sub(r"^(?=[0-9])", "_", re.sub(r"[^A-Za-z0-9_]", "_", name))
    return f"{valid}_{digest(name)}" if with_digest and valid != name else valid
