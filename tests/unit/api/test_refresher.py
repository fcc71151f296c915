"""The thread that reads the store, over stores that misbehave in every way a program can."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from monitor.api.refresher import Refresher
from monitor.model.checks import Changes, Snapshot
from monitor.ports.store import StoreUnavailable
from monitor.store.memory.store import MemoryStore
from tests.support.builders.values import record
from tests.support.processes import wait_for


class Scripted:
    """A reader over a store in memory, that does first what a test says. Shared by all connections made."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.before: Callable[[], object] = lambda: None
        self.connections = self.closed = 0

    def connect(self) -> Any:
        self.connections += 1
        return self

    @property
    def states(self) -> Scripted:
        return self

    def changes(self, cursor: str | None) -> Changes:
        self.before()
        return self.store.states.changes(cursor)

    def read(self, checks: Iterable[str] | None = None) -> Snapshot:
        return self.store.states.read(checks)

    def refusal(self) -> str | None:
        return None

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
def refresher(scripted: Scripted) -> Iterator[Refresher]:
    refresher = Refresher(scripted.connect, interval_seconds=0.01)
    yield refresher
    refresher.stop()


def raising(error: BaseException) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def test_before_the_first_attempt_nothing_is_known(refresher: Refresher) -> None:
    """Neither that the store answers, nor that it does not."""
    moment = refresher.snapshot()
    assert (dict(moment.states), moment.answering, moment.tried) == ({}, None, False)


def test_it_learns_what_changes(refresher: Refresher, scripted: Scripted) -> None:
    """States that were there before, and states that come later."""
    record(scripted.store, "database")
    refresher.start()
    wait_for(lambda: "database" in refresher.snapshot().states, what="the first state")
    record(scripted.store, "redis")
    wait_for(lambda: set(refresher.snapshot().states) == {"database", "redis"}, what="the second state")
    assert refresher.snapshot().answering


def test_a_store_that_was_emptied_is_empty(refresher: Refresher, scripted: Scripted) -> None:
    """What was read before it was flushed is not kept."""
    record(scripted.store, "database")
    refresher.start()
    wait_for(lambda: refresher.snapshot().states, what="the state")
    scripted.store = MemoryStore()
    wait_for(lambda: not refresher.snapshot().states, what="no state")


@pytest.mark.parametrize(
    "error", [StoreUnavailable("gone"), OSError(), ValueError("garbage"), RecursionError(), MemoryError()]
)
def test_no_error_ends_it(refresher: Refresher, scripted: Scripted, error: Exception) -> None:
    """The states stay, the store is known not to answer, the connection is given up; and then it recovers."""
    record(scripted.store, "database")
    refresher.start()
    wait_for(lambda: refresher.snapshot().answering, what="the first read")
    scripted.before = raising(error)
    wait_for(lambda: refresher.snapshot().answering is False, what="the failure")
    assert "database" in refresher.snapshot().states
    assert scripted.closed > 1
    scripted.before = lambda: None
    wait_for(lambda: refresher.snapshot().answering, what="the recovery")
    assert scripted.connections > 2


def test_a_connection_that_was_closed_while_idle_is_no_news(refresher: Refresher, scripted: Scripted) -> None:
    """The second attempt, over a new connection, is the one that counts."""
    refresher.start()
    wait_for(lambda: refresher.snapshot().answering, what="the first read")
    seen: list[bool | None] = []

    def fail_once() -> None:
        scripted.before = lambda: seen.append(refresher.snapshot().answering)
        raise StoreUnavailable("closed by the server")

    scripted.before = fail_once
    wait_for(lambda: len(seen) > 3, what="reads over a new connection")
    assert all(seen)


def test_a_thread_that_hangs_is_noticed_by_who_asks(refresher: Refresher, scripted: Scripted) -> None:
    """A name server that does not answer keeps the thread for as long as it likes; requests see the silence."""
    record(scripted.store, "database")
    go_on = threading.Event()
    scripted.before = lambda: go_on.wait(30)
    refresher.start()
    wait_for(lambda: refresher.snapshot().answering is False, what="silence")
    assert refresher.snapshot().tried, "a container starts without the store"
    go_on.set()
    wait_for(lambda: refresher.snapshot().answering, what="the answer")


def test_time_is_the_stores(scripted: Scripted) -> None:
    """A process whose own clock is an hour off judges ages as everybody else does."""
    hour_ahead = MemoryStore(clock=lambda: 1_900_000_000.0)
    refresher = Refresher(lambda: hour_ahead)
    assert refresher.read_once().now == pytest.approx(1_900_000_000.0, abs=1)
    refresher.stop()


def test_what_somebody_else_has_damaged_is_noticed(refresher: Refresher, scripted: Scripted) -> None:
    """What is known is read again now and then, since damage is not announced as a change."""
    record(scripted.store, "database")
    refresher.start()
    wait_for(lambda: refresher.snapshot().states, what="the state")
    scripted.store.states._kept["database"].raw = b"garbage"
    wait_for(lambda: not refresher.snapshot().states, what="no state")


FORK = """
import os, sys, time
from monitor.api.refresher import Refresher
from monitor.store.memory.store import MemoryStore
from tests.support.builders.values import record

stores = []
def connect():
    stores.append(MemoryStore())
    record(stores[-1], f"made-by-{os.getpid()}")
    return stores[-1]

refresher = Refresher(connect, interval_seconds=0.01)
refresher.start()
while not refresher.snapshot().states:
    time.sleep(0.01)
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
deadline = time.monotonic() + 10
while f"made-by-{os.getpid()}" not in refresher.snapshot().states:
    if time.monotonic() > deadline:
        os._exit(1)
    time.sleep(0.01)
os._exit(0)
"""


def test_a_forked_process_gets_a_thread_and_a_connection_of_its_own() -> None:
    """gunicorn --preload builds the application once and forks its workers from it."""
    done = subprocess.run([sys.executable, "-c", FORK], timeout=30, check=False)
    assert done.returncode == 0
