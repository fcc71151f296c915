"""What people read."""

from __future__ import annotations

import dataclasses

import pytest

from monitor.alerts.text import (
    DEFAULT_BODY,
    DEFAULT_BODY_RESOLVED,
    DEFAULT_TITLE,
    NAMES,
    duration,
    field_text,
    iso,
    render,
    template_problem,
)
from monitor.model.checks import NoticeKind, Status
from tests.support.builders.notices import FIRING


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        (NoticeKind.FIRING, Status.ERROR, "[firing] db: error (timeout)"),
        (NoticeKind.FIRING, Status.WARNING, "[firing] db: warning (timeout)"),
        (NoticeKind.REMINDER, Status.STALE, "[reminder] db: still stale after 1 h 5 min (timeout)"),
        (NoticeKind.RESOLVED, Status.OK, "[resolved] db: ok again"),
        (NoticeKind.FLAPPING, Status.ERROR, "[flapping] db: flapping: silent until it settles"),
    ],
)
def test_the_title_says_what_is_the_matter(kind: NoticeKind, status: Status, said: str) -> None:
    """Without a template."""
    reason = None if kind is NoticeKind.RESOLVED else "timeout"
    notice = dataclasses.replace(FIRING, check="db", kind=kind, status=status, reason=reason, at=FIRING.since + 3905)
    assert render(notice).title == said


def test_the_body_says_the_rest() -> None:
    """Without a template."""
    assert render(FIRING).body == (
        "error since 2023-11-14T22:13:20.000Z (4 s), was ok\n"
        "reason: wedged\n"
        "message: slots are free and nothing is executed — ünï\n"
        "labels: team=shop\n"
        "data: active=0\n"
        "notice: worker:celery@host.example:7\n"
    )


def test_the_body_of_a_resolved_notice_has_the_time_of_the_failure() -> None:
    """The check is ok since the end of the failure, and not since its begin."""
    resolved = dataclasses.replace(
        FIRING, kind=NoticeKind.RESOLVED, status=Status.OK, old=Status.ERROR, at=FIRING.since + 3905
    )
    first = render(resolved).body.splitlines()[0]
    assert first == "ok again, was error: the failure began at 2023-11-14T22:13:20.000Z and lasted 1 h 5 min"


def test_templates_know_every_documented_name() -> None:
    """And labels; what a check does not have is a dash, and a label that it does not have is nothing."""
    everything = " ".join(f"${{{name}}}" for name in NAMES)
    assert template_problem(everything) is None
    text = render(
        dataclasses.replace(FIRING, reason=None), "$check $$5 ${label_team}$label_none!", everything + " $reason"
    )
    assert text.title == f"{FIRING.check} $5 shop!"
    assert text.body.endswith(" -")


def test_a_title_is_one_line() -> None:
    """A line break in a mail's subject would be another header."""
    assert render(dataclasses.replace(FIRING, message="a\r\nBcc: everybody"), "$message").title == "a Bcc: everybody"


@pytest.mark.parametrize(
    ("template", "hint"),
    [("$chekc", "unknown name: $chekc; known: headline, id,"), ("5 $", "write $$"), ("${x", "write $$")],
)
def test_what_is_wrong_with_a_template(template: str, hint: str) -> None:
    """Said in words, for a configuration error."""
    found = template_problem(template)
    assert found is not None
    assert hint in found


def test_nothing_is_wrong_with_the_default() -> None:
    """By the same test."""
    assert template_problem(DEFAULT_TITLE) is None
    assert template_problem(DEFAULT_BODY) is None
    assert template_problem(DEFAULT_BODY_RESOLVED) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "0 s"), (0.4, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (3605, "1 h"), (90_000, "1 d 1 h")],
)
def test_durations_in_words(seconds: float, said: str) -> None:
    """The two largest units."""
    assert duration(seconds) == said


def test_times_are_rfc_3339() -> None:
    """In UTC."""
    assert iso(0.25) == "1970-01-01T00:00:00.250Z"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("ticking_since", 1795748040.9, "2026-11-27T02:54:00.900Z"),
        ("set_aside_at", 1795748040, "2026-11-27T02:54:00.000Z"),
        ("since", 1795748040, "2026-11-27T02:54:00.000Z"),
        ("lag_since", 12, "12"),
        ("looks_at", True, "True"),
        ("pending_tasks", 1795748040, "1795748040"),
        ("flat", 1795748040, "1795748040"),
    ],
)
def test_a_moment_is_a_time(name: str, value: object, shown: str) -> None:
    """What is named as one and can be one; in an alert as in a table."""
    assert field_text(name, value) == shown
    assert f"{name}={shown}" in render(dataclasses.replace(FIRING, data={name: value})).body
