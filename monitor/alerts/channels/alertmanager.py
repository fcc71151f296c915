"""Channel `alertmanager`: alerts for the Alertmanager of Prometheus, by version 2 of its API."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from monitor.alerts.base import Attempt, Channel, Temporary, Undelivered
from monitor.alerts.http import SecretUrl, host_of, post, to_json
from monitor.alerts.registry import register
from monitor.alerts.text import Text, iso, severity
from monitor.config.headers import Headers, merged_headers
from monitor.config.units import Seconds
from monitor.lib import logs
from monitor.lib.safe_names import digest
from monitor.model.checks import Notice, NoticeKind

log = logs.get_logger(__name__)

_PATH = "/api/v2/alerts"
_FAILING_SEVERITIES = ("warning", "critical")


@register("alertmanager")
@dataclass(frozen=True, kw_only=True)
class Alertmanager(Channel):
    """Firing and resolved alerts for [Alertmanager](https://prometheus.io/docs/alerting/latest/alerts_api/) 0.16 or
    later, by POST to `/api/v2/alerts`.

    Alertmanager identifies an alert by its labels: `alertname`, `check`, `severity` (`warning` or `critical`), the
    labels of the check, and `extra_labels`. The annotations of an alert are `summary` (the title), `description` (the
    body), `kind`, `status`, `reason` and `notice` (the id of the notification). When the severity of a check changes,
    one request sends the alert with the new severity and resolves the alert with the old severity.

    Alertmanager loses alerts when it restarts, and resolves an alert at the time `endsAt` of the alert. So a firing
    alert must be sent repeatedly, and the default of `reminder` is 2 minutes for this kind of channel. People get no
    additional notifications, because Alertmanager repeats its own notifications only after its `repeat_interval`.
    `endsAt` is `ends_after_seconds` after the last request. The default is long, so that no alert is resolved while the
    monitor is down.

    Each notification is sent to all `urls` at the same time, because the members of a cluster of Alertmanagers do not
    forward alerts to one another. The notification is delivered if at least one member accepts it. A delivery is
    repeated or given up by the same rules as for `webhook`.
    """

    urls: Annotated[
        tuple[SecretUrl, ...],
        Field(min_length=1, description="http or https URLs of Alertmanager, one for each member of a cluster"),
    ]
    token: Annotated[SecretStr | None, Field(description="bearer token for the requests")] = None
    headers: Annotated[
        Headers, Field(description="additional request headers, such as X-Scope-OrgID. Their values are secrets")
    ] = field(default_factory=dict)
    alertname: Annotated[
        str,
        Field(
            min_length=1,
            description="value of the label `alertname`. After a change of this option new alerts are created, and the "
            "old alerts remain until their `endsAt`",
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
            description="time in seconds after the last request at which Alertmanager resolves an alert. Set it to "
            "more than `reminder`: otherwise Alertmanager resolves alerts that still fire",
        ),
    ] = 86_400.0
    ca_file: Annotated[
        str | None,
        Field(description="path of a PEM file with the CA certificates to trust. Default: those of the system"),
    ] = None

    example: ClassVar[Mapping[str, Any]] = {
        "urls": ["http://alertmanager-0:9093", "http://alertmanager-1:9093"],
        "extra_labels": {"environment": "production"},
        "generator_url": "https://shop.example.com/admin/monitoring/",
    }
    reminder_seconds: ClassVar[float | None] = 120.0

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:
        """Send one request to each member, all at the same time.

        Return if at least one member has accepted its request. The results of the others are awaited for a shorter time
        then. Raise the failure of a member if no member has accepted its request.
        """
        body = to_json(list(self.alerts(notice, text, time.time())))
        results: queue.SimpleQueue[Undelivered | None] = queue.SimpleQueue()
        for url in self.urls:
            arguments = (url, body, attempt, results)
            threading.Thread(target=self._send_to, args=arguments, name="alert-alertmanager", daemon=True).start()
        failures, accepted_count = [], 0
        for _ in self.urls:
            try:
                result = results.get(timeout=attempt.remaining_seconds * (0.3 if accepted_count else 0.9))
            except queue.Empty:
                result = Temporary("a member did not answer in time")
            if result is None:
                accepted_count += 1
            else:
                failures.append(result)
        if not accepted_count:
            raise next((failure for failure in failures if isinstance(failure, Temporary)), failures[0])
        for failure in failures:
            log.warning("channel.member_failed", channel_kind=self.name, message=self.hide(failure.reason))

    def alerts(self, notice: Notice, text: Text, now: float) -> Iterator[dict[str, Any]]:
        """Yield the alerts of a notice in the format of the API."""
        before, current = severity(notice.old), severity(notice.status)
        if notice.kind is NoticeKind.RESOLVED:
            # A change from error to warning causes no notice. So if the last status was a warning, the alert that
            # Alertmanager has may be the critical one. Both are resolved.
            firing, resolved = [], ["critical"] if before == "critical" else list(_FAILING_SEVERITIES)
        else:
            firing = [current if current in _FAILING_SEVERITIES else "warning"]
            resolved = [before] if before in _FAILING_SEVERITIES and before not in firing else []
        ends = [(label, now + self.ends_after_seconds) for label in firing]
        ends += [(label, notice.at) for label in resolved]
        for severity_label, end in ends:
            alert = {
                "labels": self._labels(notice, severity_label),
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
        original = {name: value for name, value in {**notice.labels, **self.extra_labels}.items() if value}
        labels = {_label_name(name): value for name, value in original.items()}
        if len(labels) < len(original):  # two names became equal when invalid characters were replaced
            labels = {_label_name(name, with_digest=True): value for name, value in original.items()}
        return labels | {"alertname": self.alertname, "check": notice.check, "severity": severity_label}

    def _send_to(
        self, url: SecretStr, body: bytes, attempt: Attempt, results: queue.SimpleQueue[Undelivered | None]
    ) -> None:
        """Send the request to one member. Put the failure into ``results``, or None if the member has accepted it."""
        token = {"Authorization": f"Bearer {self.token.get_secret_value()}"} if self.token else {}
        headers = merged_headers(token, self.headers)
        address = url.get_secret_value().rstrip("/")
        try:
            post(
                SecretStr(address if address.endswith(_PATH) else address + _PATH), body, headers, attempt, self.ca_file
            )
            results.put(None)
        except Undelivered as failure:
            results.put(failure)
        except Exception as failure:  # noqa: BLE001  (an unexpected failure of one member must not hide the others)
            results.put(Temporary(f"{host_of(url)}: {type(failure).__name__}"))


def _label_name(name: str, *, with_digest: bool = False) -> str:
    """Return a name that Alertmanager accepts: only letters, digits and underscores.

    With ``with_digest``, a name that had to be changed gets a digest of the original name, so that it stays unique.
    """
    valid = re.sub(r"^(?=[0-9])", "_", re.sub(r"[^A-Za-z0-9_]", "_", name))
    return f"{valid}_{digest(name)}" if with_digest and valid != name else valid
