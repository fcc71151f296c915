"""What the tasks log: one event for each outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from structlog.typing import EventDict

from monitor.config import CheckSpec, Config
from monitor.model.checks import Outcome, Status
from monitor.policy.schedule import Plan
from monitor.ports.executor import ExecutorStarting, ExecutorUnavailable
from monitor.ports.history import CompactionResult
from monitor.ports.store import FlightRefused, StoreUnavailable
from monitor.tasks import checks, history, registration
from monitor.testing import MemoryHistory, MemoryStore
from monitor.wiring import Runtime
from tests.support.logs import capture_logs
from tests.unit.services.test_run_check import ScriptedExecutor

CHECK = CheckSpec(name="db", kind="database", interval=10, timeout=5, valid_for=30)


def events(store: Any, run: Callable[[CheckSpec], Outcome], *, name: str = "db", times: int = 1) -> list[EventDict]:
    """What is logged by running the check so many times."""
    runtime = Runtime(Config(), {"db": CHECK}, Plan([CHECK]), store, ScriptedExecutor(run))
    with capture_logs() as logged:
        for _ in range(times):
            checks.run(Celery(), runtime, name)
    return logged


def fine(check: CheckSpec) -> Outcome:
    return Outcome(Status.OK)


def test_a_transition_is_news_and_the_same_again_is_not() -> None:
    """The first result makes a transition (info); the second changes nothing (debug)."""
    first, second = events(MemoryStore(), fine, times=2)
    assert (first["event"], first["log_level"], first["was"], first["now"]) == (
        "check.completed",
        "info",
        "unknown",
        "ok",
    )
    assert first["transition"].startswith("db:")
    assert (second["event"], second["log_level"]) == ("check.completed", "debug")
    assert "transition" not in second


def test_a_failure_says_why() -> None:
    """Reason and message of the outcome are in its event."""
    [event] = events(MemoryStore(), lambda check: Outcome(Status.ERROR, reason="refused", message="no route"))
    assert (event["status"], event["reason"], event["message"]) == ("error", "refused", "no route")


@pytest.mark.parametrize(
    ("outcome", "level"),
    [
        (Outcome(Status.OK, message="System healthy"), "debug"),
        (Outcome(Status.OK, {"note": "the last verdict is held: refused"}, message="System healthy"), "info"),
        (Outcome(Status.WARNING, message="fuller"), "info"),
    ],
)
def test_that_all_is_well_is_no_news(outcome: Outcome, level: str) -> None:
    """A sidecar beside each pod would say it every ten seconds; that a verdict is only held is worth a line."""
    _, again = events(MemoryStore(), lambda check: outcome, times=2)
    assert (again["log_level"], again.get("note")) == (level, outcome.data.get("note"))


@pytest.mark.parametrize(
    ("error", "event", "level"),
    [
        (FlightRefused("db", "busy"), "check.dropped", "info"),
        (StoreUnavailable("gone"), "check.store_unavailable", "warning"),
    ],
)
def test_what_was_not_run_is_logged(error: Exception, event: str, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused flight and a store that is away: one event each, and no exception into Celery."""
    store = MemoryStore()

    def take(*args: Any, **kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(store.states, "take", take)
    [logged] = events(store, fine)
    assert (logged["event"], logged["log_level"]) == (event, level)


def test_no_process_to_run_in_is_an_error() -> None:
    """Somebody has to look at it."""

    def fail(check: CheckSpec) -> Outcome:
        raise ExecutorUnavailable("no process")

    [logged] = events(MemoryStore(), fail)
    assert (logged["event"], logged["log_level"]) == ("check.not_run", "error")


def test_an_import_that_goes_on_is_no_error() -> None:
    """The worker reports it once for all checks: here it is a detail."""

    def fail(check: CheckSpec) -> Outcome:
        raise ExecutorStarting(42.0)

    [logged] = events(MemoryStore(), fail)
    assert (logged["event"], logged["log_level"]) == ("check.not_run", "debug")
    assert logged["message"] == "importing the project, 42 s"


def test_a_check_that_is_not_on_the_roster_is_said() -> None:
    """Beat and worker were deployed with different configurations."""
    [logged] = events(MemoryStore(), fine, name="nowhere")
    assert (logged["event"], logged["log_level"]) == ("check.unknown", "warning")


class FullHistory(MemoryHistory):
    """Says that some of it had to go; or does not answer."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(lambda: 1000.0)
        self._error = error

    def compact(self, now: float) -> CompactionResult:
        if self._error:
            raise self._error
        return CompactionResult(hours=3, evicted=2, kept_bytes=64)


@pytest.mark.parametrize(
    ("kept", "events"),
    [
        (MemoryHistory(lambda: 1000.0), ["history.compacted"]),
        (FullHistory(), ["history.compacted", "history.evicted"]),
        (FullHistory(StoreUnavailable("gone")), ["history.store_unavailable"]),
    ],
)
def test_what_became_of_history_is_logged(kept: MemoryHistory, events: list[str]) -> None:
    """That it was packed, that some had to go, that the store was away; and no exception into Celery."""
    store = MemoryStore()
    store.history = kept
    runtime = Runtime(Config(), {}, Plan([]), store, ScriptedExecutor(fine))
    with capture_logs() as logged:
        history.compact(Celery(), runtime)
    assert [event["event"] for event in logged] == events


def test_history_is_packed_by_beat_where_it_is_kept() -> None:
    """Every minute; and not at all where it is switched off."""
    entries = {name: entry["task"] for name, entry in registration.beat_schedule(Config()).items()}
    off = registration.beat_schedule(Config.model_validate({"history": {"enabled": False}}))
    assert entries.items() - {name: entry["task"] for name, entry in off.items()}.items() == {
        ("celery-health-monitor-history", history.COMPACT)
    }
