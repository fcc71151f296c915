"""Whom to send a heartbeat in a round over the workers, and to which queues none may be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from monitor.agent.capacity import is_dear
from monitor.agent.formats import JSON
from monitor.agent.protocol import EXPIRES_SECONDS, direct_queue, is_direct_queue, target_field
from monitor.config.settings import Workers
from monitor.policy.notes import ASKED_KEPT, Notes
from monitor.ports import BrokerSight, Depth, Seen, Sighting

EMIT_INTERVALS = 0.75  # rounds are half an interval apart, and none is exactly on time
SELDOM_INTERVALS = 5.0
RARELY_INTERVALS = 30.0
"""A worker whose processes are dear gets a heartbeat so seldom, or rarely while nothing waits for it."""


class Heartbeat(NamedTuple):
    """A heartbeat to send: what it is to prove, the queue it goes to, and the content type in which it goes."""

    kind: str
    target: str
    queue: str
    content_type: str = JSON
    """The agent reads its own queue itself: JSON there, whatever the application accepts."""


@dataclass(frozen=True)
class Scene:
    """All that one round knows: what the workers wrote, what the broker holds (None: it did not answer)."""

    settings: Workers
    sighting: Sighting
    broker: BrokerSight | None
    notes: Notes
    connected: Mapping[str, bool] | None

    @property
    def now(self) -> float:
        """By the store's clock."""
        return self.sighting.now


def declared_queues(sighting: Sighting) -> set[str]:
    """The queues that workers declare, without their own."""
    return {queue for seen in sighting.beacons.values() for queue in seen.beacon.queues if not is_direct_queue(queue)}


def unseen(sighting: Sighting, notes: Notes, settings: Workers) -> list[Seen]:
    """The workers that are overdue with their beacons: is their connection still there?"""
    limit = 2 * settings.interval_seconds
    since = notes.store.since
    return [
        seen
        for seen in sighting.beacons.values()
        if not seen.beacon.leaving and sighting.now - max(seen.at, since) > limit
    ]


def heartbeats(scene: Scene) -> list[Heartbeat]:
    """What to send now. Who leaves heartbeats unanswered gets no more than a few, until some of them are gone."""
    notes, settings, broker = scene.notes, scene.settings, scene.broker
    if broker is None or scene.now - notes.emitted_at < EMIT_INTERVALS * settings.interval_seconds:
        return []
    plan = []
    for node, seen in sorted(scene.sighting.beacons.items()):
        fresh = scene.now - seen.at <= 2 * settings.interval_seconds
        queue = direct_queue(node)
        if fresh and seen.beacon.direct and not seen.beacon.leaving and _is_worth_it(scene, broker, node, seen):
            asked = notes.asked.get(target_field("worker", node), ())
            if len(asked) < ASKED_KEPT or _some_are_gone(broker.queues.get(queue), asked):
                plan.append(Heartbeat("worker", node, queue))
    for queue in sorted(notes.queues):
        if not is_withheld(scene, queue) and _may_ask(scene, broker, queue):
            plan.append(Heartbeat("queue", queue, queue, _content_type(scene, queue) or JSON))
    return plan


def is_withheld(scene: Scene, queue: str) -> bool:
    """Whether a queue gets no heartbeat, since a worker may take it that can only log an error: one without
    ``monitor.install(app)``, or one that accepts no content type that we can write and the others accept, too.
    Or one whose processes are dear: its own heartbeats serve its queues, too.
    """
    if scene.broker is None:
        return False
    if _is_dear(scene, queue) or _content_type(scene, queue) is None:
        return True
    if queue in scene.settings.queues:
        return False
    beacons = scene.sighting.beacons
    if any(node not in beacons and node not in scene.notes.departed for node in scene.broker.nodes):
        return True
    depth = scene.broker.queues.get(queue)
    consumers = depth.consumers if depth else None
    return consumers is not None and consumers > sum(queue in seen.beacon.queues for seen in beacons.values())


def _is_dear(scene: Scene, queue: str) -> bool:
    """Return whether a heartbeat to a queue may cost one of its workers a process."""
    beacons = (seen.beacon for seen in scene.sighting.beacons.values())
    return any(is_dear(beacon) and queue in beacon.queues and not beacon.leaving for beacon in beacons)


def _content_type(scene: Scene, queue: str) -> str | None:
    """The first content type that every known worker of a queue accepts."""
    written = scene.broker.content_types if scene.broker else ()
    accepted = [
        seen.beacon.accept
        for seen in scene.sighting.beacons.values()
        if queue in seen.beacon.queues and not seen.beacon.leaving
    ]
    return next((each for each in written if all(each in some for some in accepted)), None)


def _is_worth_it(scene: Scene, broker: BrokerSight, node: str, seen: Seen) -> bool:
    """Return whether a worker's heartbeat tells more than it costs.

    Where processes are dear, what the beacon shows to be finished is proof enough. Without it, one is sent soon when
    tasks wait, and else rarely.
    """
    beacon = seen.beacon
    if not is_dear(beacon):
        return True
    depths = (broker.queues.get(queue) for queue in beacon.queues)
    waits = beacon.reserved > beacon.held_back or any(depth is not None and depth.pending > 0 for depth in depths)
    pause = (SELDOM_INTERVALS if waits else RARELY_INTERVALS) * scene.settings.interval_seconds
    field = target_field("worker", node)
    executed, started = scene.sighting.executed.get(field), seen.at - beacon.up_seconds
    latest = max(
        scene.notes.asked.get(field, (0.0,))[-1],
        scene.notes.worked.get(node, (0, 0.0))[1],
        executed.done_at if executed is not None and executed.done_at >= started else 0.0,
    )
    return scene.now - latest > pause


def _some_are_gone(depth: Depth | None, asked: tuple[float, ...]) -> bool:
    """Fewer messages wait than heartbeats are waited for: some were purged, or swallowed."""
    return depth is not None and depth.pending < len(asked)


def _may_ask(scene: Scene, broker: BrokerSight, queue: str) -> bool:
    asked = scene.notes.asked.get(target_field("queue", queue), ())
    depth = broker.queues.get(queue)
    if len(asked) < ASKED_KEPT or _some_are_gone(depth, asked):
        return True
    # In a long backlog they expire, and those of one that was purged are gone: one more now and then, while it moves.
    moves = depth is not None and depth.head is not None and depth.head != scene.notes.queues[queue].head
    pause = min(EXPIRES_SECONDS, SELDOM_INTERVALS * scene.settings.interval_seconds)
    return moves and scene.now - asked[-1] > pause
