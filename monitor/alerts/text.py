"""What is said: a title and a body, from templates with ``$names``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from string import Template

from monitor.model import Notice, NoticeKind

NAMES: Mapping[str, str] = {
    "headline": "one sentence: the check, what is the matter, and for how long",
    "check": "name of the check",
    "kind": "`firing`, `reminder`, `resolved` or `flapping`",
    "status": "the check's status now",
    "old": "its status before",
    "reason": "code that says why, `-` without one",
    "message": "the same in words, `-` without one; may hold hosts",
    "since": "since when it is so; of a resolved one, since when it was not ok (ISO 8601, UTC)",
    "at": "when this was decided (ISO 8601, UTC)",
    "duration": "the time between the two, as `5 min`",
    "labels": "all labels, as `team=shop, tier=1`; `-` without any",
    "data": "the numbers that go with it, as `pending_tasks=10`; `-` without any",
    "id": "the notice's id; the same when it is delivered again",
}
LABEL = "label_"
DEFAULT_TITLE = "[$kind] $headline"
DEFAULT_BODY = """\
$headline

Check: $check
Status: $status (was $old)
Reason: $reason
Message: $message
Since: $since ($duration)
Labels: $labels
Notice: $id
"""


@dataclass(frozen=True, slots=True)
class Text:
    """What a person reads. The title is one line."""

    title: str
    body: str


def render(notice: Notice, title: str = DEFAULT_TITLE, body: str = DEFAULT_BODY) -> Text:
    """The text of a notice, from templates that :func:`problem` finds nothing wrong with."""
    names = _Values(_values(notice), notice.labels)
    # A title is a mail's subject, a chat's headline: a line break in it would be another header.
    return Text(" ".join(Template(title).substitute(names).split()), Template(body).substitute(names))


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


def duration(seconds: float) -> str:
    """A duration as a person says it: its two largest units."""
    left = round(max(seconds, 0))
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


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
    return {
        "headline": _headline(notice),
        "check": notice.check,
        "kind": notice.kind.value,
        "status": notice.status.value,
        "old": notice.old.value,
        "reason": notice.reason or "-",
        "message": notice.message or "-",
        "since": iso(notice.since),
        "at": iso(notice.at),
        "duration": duration(notice.at - notice.since),
        "labels": _pairs(notice.labels),
        "data": _pairs(notice.data),
        "id": notice.id,
    }


def _headline(notice: Notice) -> str:
    lasted = duration(notice.at - notice.since)
    why = f" ({notice.reason})" if notice.reason else ""
    match notice.kind:
        case NoticeKind.FIRING:
            return f"{notice.check}: {notice.status.value}{why}"
        case NoticeKind.REMINDER:
            return f"{notice.check}: still {notice.status.value} after {lasted}{why}"
        case NoticeKind.RESOLVED:
            return f"{notice.check}: {notice.status.value} again after {lasted}"
        case NoticeKind.FLAPPING:
            return f"{notice.check}: flapping{why}"


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items()) or "-"
