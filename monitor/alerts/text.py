"""A notice as a title and a body, from templates with ``$names``, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Template
from typing import Any

from monitor.model.checks import Notice, NoticeKind, Status

NAMES: Mapping[str, str] = {
    "headline": "in a few words: the check, what is the matter and, of a reminder, for how long",
    "id": "the notice's id; the same when it is delivered again",
    "kind": "`firing`, `reminder`, `resolved` or `flapping`",
    "check": "name of the check",
    "was": "the check's status before",
    "status": "its status now",
    "reason": "code that says why; `-` without one",
    "message": "the same in words, may hold hosts; `-` without one",
    "since": "since when it is so (ISO 8601, UTC)",
    "at": "when it was decided to tell it (ISO 8601, UTC)",
    "duration": "the time between the two, such as `1 h 5 min`",
    "labels": "the check's labels, such as `team=shop, tier=1`; `-` without any",
    "data": "the numbers that go with it, such as `pending_tasks=10`; `-` without any",
}
LABEL = "label_"
_FIRST_MOMENT, _LAST_MOMENT = 1e9, 1e11
"""Epoch seconds: smaller and larger numbers are no time of ours, whatever their name is."""

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
    """What a person reads. The title is one line."""

    title: str
    body: str


def render(notice: Notice, title: str | None = None, body: str | None = None) -> Text:
    """The text of a notice, from templates that :func:`problem` finds nothing wrong with; None: the default ones."""
    values = _Values(_values(notice), notice.labels)
    headline = Template(title or DEFAULT_TITLE).substitute(values)
    # A title is a mail's subject, a chat's headline: a line break in it would be another header.
    return Text(" ".join(headline.split()), Template(body or DEFAULT_BODY).substitute(values))


def as_json(notice: Notice, text: Text) -> dict[str, Any]:
    """Return all that is known of a notice, as JSON: a webhook's body, a program's input. Times are ISO 8601 in UTC."""
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


def problem(template: str) -> str | None:
    """What is wrong with a template, in words; None when nothing is."""
    parsed = Template(template)
    if not parsed.is_valid():
        return "a $ that begins no name; write $$ for a dollar sign"
    unknown = [name for name in parsed.get_identifiers() if name not in NAMES and not name.startswith(LABEL)]
    if unknown:
        return f"there is no ${', no $'.join(unknown)}; there are: {', '.join(NAMES)}, {LABEL}NAME"
    return None


def iso(seconds: float) -> str:
    """A time in ISO 8601 and RFC 3339, UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def field(name: str, value: object) -> str:
    """Return a field of a check's data as people read it: what is named as a moment (``..._at``) as a time."""
    is_moment = name.rpartition("_")[2] in ("at", "since") and type(value) in (int, float)
    if is_moment and isinstance(value, int | float) and _FIRST_MOMENT <= value < _LAST_MOMENT:
        return iso(value)
    return str(value)


def duration(seconds: float) -> str:
    """A duration as a person says it: its two largest units."""
    left = round(max(seconds, 0))
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        parts.append(f"{count} {unit}" if count else "")
    first = next((place for place, part in enumerate(parts) if part), len(parts) - 1)
    return " ".join(part for part in parts[first : first + 2] if part) or "0 s"


class _Values(Mapping[str, str]):
    """The values of all names; a label that a check does not have is empty."""

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
    # A half of a surrogate pair, out of some server's error, is what neither JSON nor a mail can say.
    return {name: value.encode("utf-8", "replace").decode() for name, value in values.items()}


def _headline(notice: Notice) -> str:
    why = f" ({notice.reason})" if notice.reason else ""
    match notice.kind:
        case NoticeKind.FIRING:
            said = f"{notice.status.value}{why}"
        case NoticeKind.REMINDER:
            said = f"still {notice.status.value} after {duration(notice.at - notice.since)}{why}"
        case NoticeKind.RESOLVED:
            said = f"{notice.status.value} again"
        case NoticeKind.FLAPPING:
            said = "flapping: silent until it settles"
    return f"{notice.check}: {said}"


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={field(name, value)}" for name, value in values.items()) or "-"
