"""Who is sent a heartbeat while others wait unanswered: pure rules."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.agent.formats import JSON
from monitor.agent.protocol import Beacon
from monitor.config.settings import WorkerSettings
from monitor.policy.workers import heartbeats
from monitor.policy.workers.round_state import UNANSWERED_KEPT, QueueRoundState, RoundState
from monitor.ports.workers import BrokerSnapshot, QueueDepth, StoredBeacon, WorkerReport
from tests.support.builders import NOW


def consumer(place: int = 0, **fields: Any) -> StoredBeacon:
    """A worker that consumes `mail`."""
    return StoredBeacon(Beacon(f"w{place}@h", "h", 1, "prefork", 1, T, 100.0, ("mail",), **fields), NOW)


T = 10.0

CROWDED = {
    "few are waited for": (UNANSWERED_KEPT - 1, QueueDepth(500, "a"), 1.0, True),
    "all of them still wait": (UNANSWERED_KEPT, QueueDepth(UNANSWERED_KEPT, "a"), 1000.0, False),
    "somebody purged the queue": (UNANSWERED_KEPT, QueueDepth(0), 1.0, True),
    "somebody purged it, and tasks come all the time": (
        UNANSWERED_KEPT,
        QueueDepth(UNANSWERED_KEPT - 1, "b"),
        1.0,
        True,
    ),
    "a long backlog that moves": (UNANSWERED_KEPT, QueueDepth(500, "b"), 5 * T + 1, True),
    "a long backlog that moves, asked a moment ago": (UNANSWERED_KEPT, QueueDepth(500, "b"), 5 * T - 1, False),
    "a long backlog that does not move": (UNANSWERED_KEPT, QueueDepth(500, "a"), 1000.0, False),
    "a queue that is not seen": (UNANSWERED_KEPT, None, 1000.0, False),
}


@pytest.mark.parametrize(("waiting", "depth", "asked_ago", "is_asked"), CROWDED.values(), ids=CROWDED)
def test_a_queue_that_does_not_answer(waiting: int, depth: QueueDepth | None, asked_ago: float, is_asked: bool) -> None:
    """It gets a few heartbeats and then no more, unless some of those that are waited for cannot be there any more."""
    asked = tuple(NOW - asked_ago - place * T for place in reversed(range(waiting)))
    notes = RoundState(
        round_at=NOW - T / 2,
        emitted_at=NOW - T,
        unanswered={"queue:mail": asked},
        queues={"mail": QueueRoundState(NOW, NOW, head="a", head_since=NOW - 100)},
    )
    broker = BrokerSnapshot({"mail": depth} if depth else {})
    scene = heartbeats.RoundInput(
        WorkerSettings(interval=T), WorkerReport(NOW, {"w0@h": consumer()}, {}), broker, notes, {}
    )
    assert [found.queue for found in heartbeats.plan_heartbeats(scene)] == (["mail"] if is_asked else [])


MSGPACK, YAML = "application/x-msgpack", "application/x-yaml"

ACCEPTED = {
    "all accept JSON": ([(JSON,), (MSGPACK, JSON)], JSON),
    "an agent that does not say what it accepts": ([None], JSON),
    "all accept another one that we can write": ([(YAML,), (MSGPACK, YAML)], YAML),
    "no worker is known": ([], JSON),
    "one that we cannot write": ([(MSGPACK,)], None),
    "they have none in common": ([(JSON,), (YAML,)], None),
    "one cannot be told what it accepts": ([(JSON,), ()], None),
}


@pytest.mark.parametrize(("accepted", "content_type"), ACCEPTED.values(), ids=ACCEPTED)
@pytest.mark.parametrize("configured", [(), ("mail",)], ids=["declared", "configured"])
def test_the_content_type_of_a_queue(
    accepted: list[tuple[str, ...] | None], content_type: str | None, configured: tuple[str, ...]
) -> None:
    """A queue's heartbeats are in a form that each of its workers accepts; without one they are withheld."""
    beacons = {}
    for place, types in enumerate(accepted):
        fields = {} if types is None else {"accept": types}
        beacons[f"w{place}@h"] = consumer(place, **fields)
    notes = RoundState(round_at=NOW - T / 2, emitted_at=NOW - T, queues={"mail": QueueRoundState(NOW, NOW)})
    broker = BrokerSnapshot({"mail": QueueDepth(0)}, content_types=(JSON, YAML))
    scene = heartbeats.RoundInput(
        WorkerSettings(interval=T, queues=configured), WorkerReport(NOW, beacons, {}), broker, notes, {}
    )
    sent = [(found.queue, found.content_type) for found in heartbeats.plan_heartbeats(scene)]
    somebody = accepted or configured  # who takes a heartbeat, as far as it is known
    assert sent == ([("mail", content_type)] if content_type and somebody else [])
    assert heartbeats.is_withheld(scene, "mail") is (content_type is None)
