"""A notice as JSON: what a webhook's body and a program's input are."""

from __future__ import annotations

from typing import Any

from monitor.alerts.text import Text, iso
from monitor.model import Notice, Status


def as_json(notice: Notice, text: Text) -> dict[str, Any]:
    """All that is known of it. Times are ISO 8601 in UTC."""
    return {
        "id": notice.id,
        "kind": notice.kind.value,
        "check": notice.check,
        "status": notice.status.value,
        "was": notice.old.value,
        "severity": severity(notice.status),
        "reason": notice.reason,
        "message": notice.message,
        "since": iso(notice.since),
        "at": iso(notice.at),
        "labels": dict(notice.labels),
        "data": dict(notice.data),
        "title": text.title,
        "body": text.body,
    }


def severity(status: Status) -> str:
    """``ok``, ``warning`` or ``critical``."""
    return ("ok", "warning", "critical")[status.severity]
