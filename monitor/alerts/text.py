"""Texts of a notice (title and body from templates with ``$names``), and its JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Template
from typing import Any

from monitor.model.checks import Notice, NoticeKind, Status

NAMES: Mapping[str, str] = {
    "headline": "summary: the check, its status, the reason and, in a reminder, the time for which it lasts",
    "id": "id of the notification; the same if it is delivered again",
    "kind": "`firing`, `reminder`, `resolved` or `flapping`",
    "check": "name of the check",
    "was": "status of the check before the change",
    "status": "status of the check after the change",
    "reason": "reason code; `-` without one",
    "message": "message of the check, which may contain host names; `-` without one",
    "since": "time of the change (ISO 8601, UTC)",
    "at": "time of the decision to send the notification (ISO 8601, UTC)",
    "duration": "time from `$since` to `$at`, such as `1 h 5 min`",
    "labels": "labels of the check, such as `team=shop, tier=1`; `-` without labels",
    "data": "data of the check, such as `pending_tasks=10`; `-` without data",
}
LABEL = "label_"
_FIRST_MOMENT, _LAST_MOMENT = 1e9, 1e11
"""Range of epoch seconds. Numbers outside of it are not shown as times, whatever their name is."""

DEFAULT_TITLE = "[$kind] $headline"

DEFAULT_BODY = """\
$status since $since ($duration), was $was
reason: $reason
message: $message
labels: $labels
data: $data
notice: $id
"""


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a notice for people. The title is one line."""

    title: str
    body: str


def render(notice: Notice, title: str | None = None, body: str | None = None) -> Text:
    """Return the text of a notice from templates without a :func:`problem`. None selects the default template."""
    values = _Values(_values(notice), notice.labels)
    headline = Template(title or DEFAULT_TITLE).substitute(values)
    # The title becomes the subject of a mail: a line break in it would begin another header.
    return Text(" ".join(headline.split()), Template(body or DEFAULT_BODY).substitute(values))


def as_json(notice: Notice, text: Text) -> dict[str, Any]:
    """Return all fields of a notice for a webhook's body or a program's input. Times are ISO 8601 in UTC."""
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
    """Return ``ok``, ``warning`` or ``critical``."""
    return ("ok", "warning", "critical")[status.severity]


def template_problem(template: str) -> str | None:
    """Return a hint about an invalid template; None for a valid one."""
    parsed = Template(template)
    if not parsed.is_valid():
        return "a $ without a name; write $$ for a dollar sign"
    unknown = [name for name in parsed.get_identifiers() if name not in NAMES and not name.startswith(LABEL)]
    if unknown:
        return f"unknown name: ${', $'.join(unknown)}; known: {', '.join(NAMES)}, {LABEL}NAME"
    return None


def iso(seconds: float) -> str:
    """Return a time in ISO 8601 and RFC 3339, in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def field(name: str, value: object) -> str:
    """Return a field of a check's data as text. A field that is named as a moment (``..._at``) becomes a time."""
    is_moment = name.rpartition("_")[2] in ("at", "since") and type(value) in (int, float)
    if is_moment and isinstance(value, int | float) and _FIRST_MOMENT <= value < _LAST_MOMENT:
        return iso(value)
    return str(value)


def duration(seconds: float) -> str:
    """Return a duration in its two largest units, such as ``1 h 5 min``."""
    left = round(max(seconds, 0))
    amounts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        amounts.append(f"{count} {unit}" if count else "")
    first = next((index for index, amount in enumerate(amounts) if amount), len(amounts) - 1)
    return " ".join(amount for amount in amounts[first : first + 2] if amount) or "0 s"


class _Values(Mapping[str, str]):
    """Values of all names in templates. A label that the check does not have is empty."""

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


def _values(notice: Notice) -> dict[str, str]:
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
    # An error of a server may contain half of a surrogate pair, which neither JSON nor a mail can encode.
    return {name: value.encode("utf-8", "replace").decode() for name, value in values.items()}


def _headline(notice: Notice) -> str:
    why = f" ({notice.reason})" if notice.reason else ""
    match notice.kind:
        case NoticeKind.FIRING:
            summary = f"{notice.status.value}{why}"
        case NoticeKind.REMINDER:
            summary = f"still {notice.status.value} after {duration(notice.at - notice.since)}{why}"
        case NoticeKind.RESOLVED:
            summary = f"{notice.status.value} again"
        case NoticeKind.FLAPPING:
            summary = "flapping: silent until it settles"
    return f"{notice.check}: {summary}"


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={field(name, value)}" for name, value in values.items()) or "-"
