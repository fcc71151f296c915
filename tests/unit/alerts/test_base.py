"""What sending promises, whatever a channel does."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

import pytest
import structlog
from pydantic import SecretStr

from monitor.alerts.base import Attempt, Channel, Permanent, Temporary
from monitor.alerts.text import Text
from monitor.model.checks import Notice
from tests.support.builders.notices import refusal, send
from tests.support.logs import capture_logs
from tests.support.processes import wait_for

URL = SecretStr("https://hooks.example.com/sw0rdfish/T%2F42?key=marlin")


@dataclass(frozen=True, kw_only=True)
class Odd(Channel):
    """A channel that raises, or does not come back."""

    name = "odd"
    url: SecretStr = URL
    failure: Exception | None = None
    released: threading.Event | None = None

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:
        """Whatever it was made for."""
        if self.released is not None:
            attempt.when_over(self.released.set)
            self.released.wait(30)
        if self.failure is not None:
            raise self.failure


def test_what_is_raised_keeps_its_kind_and_loses_its_secrets() -> None:
    """Any part of an address, as it is or decoded; its host stays."""
    failure = refusal(lambda: send(Odd(failure=Temporary("hooks.example.com: no T/42 in /sw0rdfish, marlin", 7.0))))
    assert isinstance(failure, Temporary)
    assert (failure.reason, failure.retry_after_seconds) == ("hooks.example.com: no *** in /***, ***", 7.0)
    failure = refusal(lambda: send(Odd(failure=Permanent("https://hooks.example.com/sw0rdfish/T%2F42?key=marlin"))))
    assert isinstance(failure, Permanent)
    assert failure.reason == "***"


def test_what_nobody_expected_is_tried_again_and_logged() -> None:
    """A fault of the channel's code: without a traceback, whose text may hold secrets."""
    with capture_logs() as logged:
        failure = refusal(lambda: send(Odd(failure=KeyError("sw0rdfish"))))
    assert isinstance(failure, Temporary)
    assert failure.reason == "KeyError: '***'"
    assert [(entry["event"], entry["error"], entry["message"]) for entry in logged] == [
        ("channel.failed", "KeyError", "'***'")
    ]


def test_what_is_under_way_is_ended_when_the_time_is_over() -> None:
    """The sender goes on; what was registered is called, and the thread ends."""
    released = threading.Event()
    began = time.monotonic()
    failure = refusal(lambda: send(Odd(released=released), timeout_seconds=0.2))
    assert isinstance(failure, Temporary)
    assert failure.reason == "not delivered within 0.2 s"
    assert time.monotonic() - began < 5
    assert released.is_set()
    wait_for(lambda: "alert-odd" not in [each.name for each in threading.enumerate()], seconds=20)


def test_registered_too_late_is_ended_at_once() -> None:
    """A connection that was made after the time was over."""
    attempt, ended = Attempt(0.0), threading.Event()
    attempt.finish()
    attempt.when_over(ended.set)
    assert ended.is_set()
    assert attempt.remaining_seconds > 0


def test_the_log_s_context_is_known_in_the_channel(caplog: pytest.LogCaptureFixture) -> None:
    """`check` and `task_id`, bound by the task, are in what a channel logs."""
    seen: list[dict[str, object]] = []

    @dataclass(frozen=True, kw_only=True)
    class Looks(Channel):
        def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:
            seen.append(structlog.contextvars.get_contextvars())

    with structlog.contextvars.bound_contextvars(task_id="t1"), caplog.at_level(logging.INFO):
        send(Looks())
    assert seen == [{"task_id": "t1"}]
