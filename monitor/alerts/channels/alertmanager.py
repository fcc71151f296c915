"""Prometheus' Alertmanager, by version 2 of its API."""

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
    """POSTs alerts to [Alertmanager](https://prometheus.io/docs/alerting/latest/alerts_api/) (`/api/v2/alerts`, 0.16 or
    later), resolved ones too.

    Labels, which identify an alert there: `alertname`, `check`, `severity` (`warning` or `critical`), the check's own
    labels and `extra_labels`. Annotations: `summary` (the title), `description` (the body), `kind`, `status`, `reason`
    and `notice` (its id). When the severity changes, the alert of the other severity is resolved by the same request.

    Alertmanager expects that what still fires is sent again and again: what it is told once it forgets when it
    restarts, and takes for resolved at its `endsAt`. So the `reminder` of this kind of channel is 2 minutes unless it
    is configured; nobody is told more often by that, since Alertmanager has its own `repeat_interval`. `endsAt` is
    `ends_after_seconds` after the last time of sending, and long: a monitor that is down is no reason to call
    something resolved.

    All `urls` are told at once, as a cluster's members want it; one that took it is enough. Tried again and given up
    as by `webhook`.
    """

    urls: Annotated[tuple[SecretUrl, ...], Field(min_length=1, description="one for each member of a cluster")]
    token: Annotated[SecretStr | None, Field(description="bearer token")] = None
    headers: Annotated[
        Headers, Field(description="more request headers, such as X-Scope-OrgID; their values are taken for secrets")
    ] = field(default_factory=dict)
    alertname: Annotated[str, Field(min_length=1, description="the label of that name")] = "HealthCheck"
    extra_labels: Annotated[Mapping[str, str], Field(description="labels of every alert")] = field(default_factory=dict)
    generator_url: Annotated[
        str | None, Field(pattern=r"^https?://", description="link back, such as the dashboard's address")
    ] = None
    ends_after_seconds: Annotated[
        Seconds, Field(ge=60, description="when it takes what nobody resolved or sent again for resolved")
    ] = 86_400.0
    ca_file: Annotated[str | None, Field(description="CA certificates to trust instead of the system's")] = None

    example: ClassVar[Mapping[str, Any]] = {
        "urls": ["http://alertmanager-0:9093", "http://alertmanager-1:9093"],
        "extra_labels": {"environment": "production"},
        "generator_url": "https://shop.example.com/admin/monitoring/",
    }
    reminder_seconds: ClassVar[float | None] = 120.0

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:
        """One request to each member; done when one has taken it and the others are through or late."""
        body = to_json(list(self.alerts(notice, text, time.time())))
        answers: queue.SimpleQueue[Undelivered | None] = queue.SimpleQueue()
        for url in self.urls:
            arguments = (url, body, attempt, answers)
            threading.Thread(target=self._tell, args=arguments, name="alert-alertmanager", daemon=True).start()
        failures, taken = [], 0
        for _ in self.urls:
            try:
                # Once one has taken it, the others' reasons are worth some waiting, but not being late.
                answer = answers.get(timeout=attempt.remaining_seconds * (0.3 if taken else 0.9))
            except queue.Empty:
                answer = Temporary("a member did not answer in time")
            if answer is None:
                taken += 1
            else:
                failures.append(answer)
        if not taken:
            raise next((each for each in failures if isinstance(each, Temporary)), failures[0])
        for failure in failures:
            log.warning("channel.member_failed", channel_kind=self.name, message=self.hide(failure.reason))

    def alerts(self, notice: Notice, text: Text, now: float) -> Iterator[dict[str, Any]]:
        """The alerts that a notice is, in the words of the API."""
        before, current = severity(notice.old), severity(notice.status)
        if notice.kind is NoticeKind.RESOLVED:
            # Getting milder is no news, so that what was told as critical may be a warning in the end.
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
        if len(labels) < len(given):  # two names have become one: those that were changed get a digest
            labels = {_label_name(name, with_digest=True): value for name, value in given.items()}
        return labels | {"alertname": self.alertname, "check": notice.check, "severity": severity_label}

    def _tell(
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
        except Exception as failure:  # noqa: BLE001  (a member that nobody foresaw must not hide the others)
            answers.put(Temporary(f"{host_of(url)}: {type(failure).__name__}"))


def _label_name(name: str, *, with_digest: bool = False) -> str:
    """A name that Alertmanager takes: letters, digits and underscores."""
    taken = re.sub(r"^(?=[0-9])", "_", re.sub(r"[^A-Za-z0-9_]", "_", name))
    return f"{taken}_{digest(name)}" if with_digest and taken != name else taken
