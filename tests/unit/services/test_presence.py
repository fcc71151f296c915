"""Records of the roles that run."""

from __future__ import annotations

import os
import socket

from monitor.ports.store import StoreUnavailable
from monitor.services.presence import Presence
from monitor.store.memory.store import MemoryStore
from tests.support.processes import wait_for

PLACE = ("beat", socket.gethostname(), os.getpid())


def test_a_role_is_recorded_while_it_runs() -> None:
    roles = MemoryStore().roles
    presence = Presence("beat", roles)
    presence.start()
    wait_for(lambda: roles.running() == [PLACE], what="the record")
    presence.end()
    assert roles.running() == []
    presence.join(5)
    assert not presence.is_alive()


def test_nothing_is_written_into_a_store_of_another_project() -> None:
    roles, asked = MemoryStore().roles, []
    presence = Presence("beat", roles, is_allowed=lambda: bool(asked.append(1)))
    presence.start()
    wait_for(lambda: asked, what="the question whether it may write")
    presence.end()
    assert roles.running() == []


def test_a_store_that_does_not_answer_stops_nothing() -> None:
    class Down:
        calls = 0

        def announce(self, role: str, host: str, pid: int) -> None:
            self.calls += 1
            raise StoreUnavailable("down")

        def leave(self, role: str, host: str, pid: int) -> None:
            raise AssertionError("nothing was recorded")

        def running(self) -> list[tuple[str, str, int]]:
            return []

    roles = Down()
    presence = Presence("web", roles)
    presence.start()
    wait_for(lambda: roles.calls >= 2, what="the second attempt")
    presence.end()
    presence.join(5)
    assert not presence.is_alive()
