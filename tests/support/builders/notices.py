"""Notices and texts for tests of channels."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest

from monitor.alerts.base import Channel, Undelivered
from monitor.alerts.registry import CHANNELS
from monitor.alerts.text import render
from monitor.model.checks import Notice, NoticeKind, Status

FIRING = Notice(
    id="worker:celery@host.example:7",
    kind=NoticeKind.FIRING,
    check="worker:celery@host.example",
    old=Status.OK,
    status=Status.ERROR,
    since=1_700_000_000.0,
    at=1_700_000_003.5,
    reason="wedged",
    message="slots are free and nothing is executed — ünï",
    labels={"team": "shop"},
    data={"active": 0},
)


def firing(**changes: Any) -> Notice:
    """Return a notice of a check that started to fail just now."""
    now = time.time()
    return dataclasses.replace(FIRING, **{"since": now, "at": now, **changes})


def resolved(notice: Notice, **changes: Any) -> Notice:
    """Return a notice of its end."""
    end = {"id": notice.id + "1", "kind": NoticeKind.RESOLVED, "old": notice.status, "status": Status.OK}
    return dataclasses.replace(notice, **{**end, "at": time.time(), "reason": None, "message": None, **changes})


def send(channel: Channel, notice: Notice = FIRING, timeout_seconds: float = 20.0) -> None:
    """Send a notice with the default text."""
    channel.send(notice, render(notice), timeout_seconds)


def refusal(sending: Callable[[], None]) -> Undelivered:
    """Return the error of a notice that could not be delivered."""
    with pytest.raises(Undelivered) as caught:
        sending()
    return caught.value


def channel(name: str, **options: Any) -> Channel:
    """Return a channel with its options."""
    return CHANNELS.build(name, options)
