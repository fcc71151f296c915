"""Title and body of a notice, from templates with ``$names``, and the notice as JSON.

A notice is one notification for one channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Template
from typing import Any

from monitor.model.checks import Notice, NoticeKind, Status

NAMES: Mapping[str, str] = {
    "headline": "summary, such as `db: error (timeout)`. In a reminder it contains how long the failure lasts",
    "id": "id of the notification. A notification that is delivered again has the same id",
    "kind": "`firing`, `reminder`, `resolved` or `flapping`",
    "check": "name of the check",
    "was": "status of the check before the change",
    "status": "status of the check after the change",
    "reason": "reason code, such as `timeout`. `-` if there is none",
    "message": "message of the check, which may contain host names. `-` if there is none",
    "since": "time of the last change of the status. In `reminder` and `resolved`: time at which the failure began "
    "(ISO 8601, UTC)",
    "at": "time of the decision to send the notification (ISO 8601, UTC)",
    "duration": "time from `$since` to `$at`, such as `1 h 5 min`",
    "labels": "labels of the check, such as `team=shop, tier=1`. `-` if there are none",
    "data": "data of the check, such as `pending_tasks=10`. `-` if there are none",
}
"""Names in templates, each with its description in ``docs/channels.md``."""

LABEL = "label_"
"""Prefix of further names in templates: ``$label_team`` is the value of the check's label ``team``."""

_FIRST_MOMENT, _LAST_MOMENT = 1e9, 1e11
"""Range of epoch seconds. A number outside of the range is never shown as a time."""

DEFAULT_TITLE = "[$kind] $headline"

_FIELDS = """\
reason: $reason
message: $message
labels: $labels
data: $data
notice: $id
"""
DEFAULT_BODY = "$status since $since ($duration), was $was\n" + _FIELDS
# In `resolved`, $since is the time at which the failure began, and not the time since which the check is ok.
DEFAULT_BODY_RESOLVED = "$status again, was $was: the failure began at $since and lasted $duration\n" + _FIELDS


@dataclass(frozen=True, slots=True)
class Text:
    """Title and body of a notice. The title is one line."""

    title: str
    body: str


def render(notice: Notice, title: str | None = None, body: str | None = None) -> Text:
    """Return the text of a notice. ``title`` and ``body`` are templates, by default those for the notice's kind.

    The templates must be valid: :func:`template_problem` must return None for them.
    """
    default_body = DEFAULT_BODY_RESOLVED if notice.kind is NoticeKind.RESOLVED else DEFAULT_BODY
    values = _TemplateValues(_field_values(notice), notice.labels)
    rendered_title = Template(title or DEFAULT_TITLE).substitute(values)
    # The title becomes the subject of a mail. A line break in it would begin another header.
    return Text(" ".join(rendered_title.split()), Template(body or default_body).substitute(values))


def as_json(notice: Notice, text: Text) -> dict[str, Any]:
    """Return the notice as the JSON object that the channels `webhook`, `exec` and `log` send.

    Times are ISO 8601 in UTC.
    """
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
    """Return the severity of a status: ``ok``, ``warning`` or ``critical``."""
    return ("ok", "warning", "critical")[status.severity]


def template_problem(template: str) -> str | None:
    """Return what is wrong with an invalid template, or None for a valid one."""
    parsed = Template(template)
    if not parsed.is_valid():
        return "a $ without a name; write $$ for a dollar sign"
    unknown = [name for name in parsed.get_identifiers() if name not in NAMES and not name.startswith(LABEL)]
    if unknown:
        return f"unknown name: ${', $'.join(unknown)}; known: {', '.join(NAMES)}, {LABEL}NAME"
    return None


def iso(seconds: float) -> str:
    """Return epoch seconds as text in UTC, in the format of ISO 8601 and RFC 3339, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def field_text(name: str, value: object) -> str:
    """Return the value of a field of a check's data as text.

    If the name of the field is or ends in ``at`` or ``since``, epoch seconds are shown as a time.
    """
    is_moment = name.rpartition("_")[2] in ("at", "since") and type(value) in (int, float)
    if is_moment and isinstance(value, int | float) and _FIRST_MOMENT <= value < _LAST_MOMENT:
        return iso(value)
    return str(value)


def duration(seconds: float) -> str:
    """Return a duration in its two largest units, such as ``1 h 5 min``."""
    remaining_seconds = round(max(seconds, 0))
    amounts = []
    for unit_seconds, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, remaining_seconds = divmod(remaining_seconds, unit_seconds)
        amounts.append(f"{count} {unit}" if count else "")
    first = next((index for index, amount in enumerate(amounts) if amount), len(amounts) - 1)
    return " ".join(amount for amount in amounts[first : first + 2] if amount) or "0 s"


class _TemplateValues(Mapping[str, str]):
    """Values of all names in templates. The value of a label that the check does not have is an empty text."""

    def __init__(self, values: Mapping[str, str], labels: Mapping[str, str]) -> None:
        self._values = values
        self._labels = labels

    def __getitem__(self, name: str) -> str:
        if name in self._values:
            return self._values[name]
        return str(self._labels.get(name.removeprefix(LABEL), ""))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _field_values(notice: Notice) -> dict[str, str]:
    values = {
        "headline": _headline(notice),
        "id": notice.id,
        "kind": notice.kind.value,
        "check": notice.check,
        "was": notice.old.value,
        "status": notice.status.value,
        "reason": notice.reason or "-",
        "message": notice.message or "-",
        "since": iso(notice.since),
        "at": iso(notice.at),
        "duration": duration(notice.at - notice.since),
        "labels": _pairs(notice.labels),
        "data": _pairs(notice.data),
    }
    # The message of a server may contain half of a surrogate pair, which cannot be encoded as UTF-8.
    return {name: value.encode("utf-8", "replace").decode() for name, value in values.items()}


def _headline(notice: Notice) -> str:
    reason = f" ({notice.reason})" if notice.reason else ""
    match notice.kind:
        case NoticeKind.FIRING:
            summary = f"{notice.status.value}{reason}"
        case NoticeKind.REMINDER:
            summary = f"still {notice.status.value} after {duration(notice.at - notice.since)}{reason}"
        case NoticeKind.RESOLVED:
            summary = f"{notice.status.value} again"
        case NoticeKind.FLAPPING:
            summary = "flapping: silent until it settles"
    return f"{notice.check}: {summary}"


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={field_text(name, value)}" for name, value in values.items()) or "-"
