"""Whom to send a heartbeat in a round over the workers, and to which queues none may be sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import NamedTuple

from monitor.agent.capacity import is_dear
from monitor.agent.formats import JSON
from monitor.agent.lasting_queues import FANOUT
from monitor.agent.protocol import EXPIRES_SECONDS, Beacon, direct_queue, is_direct_queue, target_field
from monitor.config.settings import WorkerSettings
from monitor.policy.workers.round_state import AWAITED_KEPT, RoundState
from monitor.ports.workers import BrokerSnapshot, QueueDepth, StoredBeacon, WorkerReport

SEND_INTERVALS = 0.75  # rounds are half an interval apart, and none is exactly on time
SPARSE_INTERVALS = 5.0
RARE_INTERVALS = 30.0
"""A worker whose processes are dear gets a heartbeat so seldom, or rarely while nothing waits for it."""

CLEARED_BACKLOG_LIMIT = 20
"""Among more messages than this, heartbeats are not looked for."""

BEAT_NODE_PREFIX = "celerybeat@"
"""What the name of a beat begins with that listens to remote control (Celery 5.7): it consumes no queue of tasks."""

_MADE_FOR_ONE = re.compile(r"(.*\.)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|.+@.+\.dq2")
"""Names that kombu's `Broadcast` and Celery's `worker_direct` give to the queue of one process."""


class Heartbeat(NamedTuple):
    """A heartbeat to send: what it is to prove, the queue it goes to, and the content type in which it goes."""

    kind: str
    target: str
    queue: str
    content_type: str = JSON
    """The agent reads its own queue itself: JSON there, whatever the application accepts."""


@dataclass(frozen=True)
class RoundInput:
    """All that one round knows: what the workers wrote, what the broker holds (None: it did not answer)."""

    settings: WorkerSettings
    sighting: WorkerReport
    broker: BrokerSnapshot | None
    notes: RoundState
    connected: Mapping[str, bool] | None

    @property
    def now(self) -> float:
        """By the store's clock."""
        return self.sighting.now

    @cached_property
    def nodes(self) -> frozenset[str]:
        """The names of all workers that have written a beacon."""
        return frozenset(seen.beacon.node for seen in self.sighting.beacons.values())

    @cached_property
    def consumed(self) -> frozenset[str]:
        """The queues that workers consume, by beacons that are not overdue."""
        return consumed_queues(self.sighting, self.settings)

    @cached_property
    def fanout(self) -> frozenset[str]:
        """The queues of fanout exchanges, by the workers' beacons: on Redis they are no lists."""
        declared = [seen.beacon.short_lived or {} for seen in self.sighting.beacons.values()]
        return frozenset(queue for each in declared for queue, reason in each.items() if reason == FANOUT)


def declared_queues(sighting: WorkerReport) -> dict[str, StoredBeacon]:
    """Return the lasting queues that workers declare, without their own, each with the newest beacon that does so.

    A queue is lasting when one of its workers declares it as such.
    """
    declared: dict[str, StoredBeacon] = {}
    for seen in sorted(sighting.beacons.values(), key=lambda seen: seen.at):
        lasting = frozenset(seen.beacon.queues) - _short_lived(seen.beacon)
        declared |= dict.fromkeys(lasting, seen)
    return {queue: seen for queue, seen in declared.items() if not is_direct_queue(queue)}


def short_lived_queues(sighting: WorkerReport, notes: RoundState) -> set[str]:
    """Return the queues that are not lasting, by a worker's beacon, or by their names in an earlier version's notes."""
    declared = {queue for seen in sighting.beacons.values() for queue in _short_lived(seen.beacon)}
    noted = {queue for queue, note in notes.queues.items() if note.instance is None}
    return declared | {queue for queue in noted if _MADE_FOR_ONE.fullmatch(queue)}


def consumed_queues(sighting: WorkerReport, settings: WorkerSettings) -> frozenset[str]:
    """Return the queues that workers consume, by beacons that are not overdue."""
    limit = 2 * settings.interval_seconds
    present = [seen.beacon for seen in sighting.beacons.values() if sighting.now - seen.at <= limit]
    return frozenset(queue for beacon in present if not beacon.leaving for queue in beacon.queues)


def may_rest(settings: WorkerSettings, queue: str) -> bool:
    """Return whether a queue may be without a worker for as long as nothing waits in it."""
    return any(fnmatchcase(queue, pattern) for pattern in settings.may_rest)


def queues_to_clear(
    notes: RoundState, broker: BrokerSnapshot, settings: WorkerSettings, consumed: frozenset[str]
) -> list[str]:
    """Return the queues that get no heartbeats now and in which some may be: they are waited for, or another message is
    at the head, for a worker that ends returns what it has taken in advance.
    """
    waiting = {queue: depth for queue, depth in broker.queues.items() if 0 < depth.pending <= CLEARED_BACKLOG_LIMIT}
    return [
        queue
        for queue, note in notes.queues.items()
        if queue in waiting
        and not (queue in consumed or _is_tried(notes, settings, queue))
        and (waiting[queue].head != note.head or target_field("queue", queue) in notes.asked)
    ]


def no_longer_expected(notes: RoundState) -> list[str]:
    """Return the queues that are not expected any more, and from which heartbeats are waited for."""
    asked = [target.removeprefix("queue:") for target in notes.asked if target.startswith("queue:")]
    return [queue for queue in asked if queue not in notes.queues]


def overdue_beacons(sighting: WorkerReport, notes: RoundState, settings: WorkerSettings) -> list[StoredBeacon]:
    """The workers that are overdue with their beacons: is their connection still there?"""
    limit = 2 * settings.interval_seconds
    since = notes.store.since
    return [
        seen
        for seen in sighting.beacons.values()
        if not seen.beacon.leaving and sighting.now - max(seen.at, since) > limit
    ]


def plan_heartbeats(scene: RoundInput) -> list[Heartbeat]:
    """What to send now. Who leaves heartbeats unanswered gets no more than a few, until some of them are gone."""
    notes, settings, broker = scene.notes, scene.settings, scene.broker
    if broker is None or scene.now - notes.emitted_at < SEND_INTERVALS * settings.interval_seconds:
        return []
    plan = []
    for target, seen in sorted(scene.sighting.beacons.items()):
        fresh = scene.now - seen.at <= 2 * settings.interval_seconds
        queue = direct_queue(target)
        if fresh and seen.beacon.direct and not seen.beacon.leaving and _is_worth_it(scene, broker, target, seen):
            asked = notes.asked.get(target_field("worker", target), ())
            if len(asked) < AWAITED_KEPT or _some_are_gone(broker.queues.get(queue), asked):
                plan.append(Heartbeat("worker", target, queue))
    for queue in sorted(notes.queues):
        may = _may_ask if queue in scene.consumed else _may_try
        if may(scene, broker, queue) and not is_withheld(scene, queue):
            plan.append(Heartbeat("queue", queue, queue, _content_type(scene, queue) or JSON))
    return plan


def is_withheld(scene: RoundInput, queue: str) -> bool:
    """Whether a queue gets no heartbeat, since a worker may take it that can only log an error: one without
    ``monitor.install(app)``, or one that accepts no content type that we can write and the others accept, too.
    Or one whose processes are dear: its own heartbeats serve its queues, too.
    """
    if scene.broker is None:
        return False
    if queue in scene.fanout or _is_dear(scene, queue) or _content_type(scene, queue) is None:
        return True
    if queue in scene.settings.queues:
        return False
    if any(_is_stranger(scene, node) for node in scene.broker.nodes):
        return True
    depth = scene.broker.queues.get(queue)
    consumers = depth.consumers if depth else None
    if consumers is None:
        return False
    return consumers > sum(queue in seen.beacon.queues for seen in scene.sighting.beacons.values())


def _is_stranger(scene: RoundInput, node: str) -> bool:
    known = node in scene.nodes or node in scene.notes.departed
    return not known and not node.startswith(BEAT_NODE_PREFIX)


def _short_lived(beacon: Beacon) -> frozenset[str]:
    if beacon.short_lived is not None:
        return frozenset(beacon.short_lived)
    return frozenset(queue for queue in beacon.queues if _MADE_FOR_ONE.fullmatch(queue))


def _is_dear(scene: RoundInput, queue: str) -> bool:
    """Return whether a heartbeat to a queue may cost one of its workers a process."""
    beacons = (seen.beacon for seen in scene.sighting.beacons.values())
    return any(is_dear(beacon) and queue in beacon.queues and not beacon.leaving for beacon in beacons)


def _content_type(scene: RoundInput, queue: str) -> str | None:
    """The first content type that every known worker of a queue accepts."""
    written = scene.broker.content_types if scene.broker else ()
    accepted = [
        seen.beacon.accept
        for seen in scene.sighting.beacons.values()
        if queue in seen.beacon.queues and not seen.beacon.leaving
    ]
    return next((each for each in written if all(each in some for some in accepted)), None)


def _is_worth_it(scene: RoundInput, broker: BrokerSnapshot, target: str, seen: StoredBeacon) -> bool:
    """Return whether a worker's heartbeat tells more than it costs.

    Where processes are dear, what the beacon shows to be finished is proof enough. Without it, one is sent soon when
    tasks wait, and else rarely.
    """
    beacon = seen.beacon
    if not is_dear(beacon):
        return True
    depths = (broker.queues.get(queue) for queue in beacon.queues)
    waits = beacon.reserved > beacon.held_back or any(depth is not None and depth.pending > 0 for depth in depths)
    pause = (SPARSE_INTERVALS if waits else RARE_INTERVALS) * scene.settings.interval_seconds
    field = target_field("worker", target)
    executed, started = scene.sighting.executed.get(field), seen.at - beacon.up_seconds
    latest = max(
        scene.notes.asked.get(field, (0.0,))[-1],
        scene.notes.worked.get(target, (0, 0.0))[1],
        executed.done_at if executed is not None and executed.done_at >= started else 0.0,
    )
    return scene.now - latest > pause


def _some_are_gone(depth: QueueDepth | None, asked: tuple[float, ...]) -> bool:
    """Fewer messages wait than heartbeats are waited for: some were purged, or swallowed."""
    return depth is not None and depth.pending < len(asked)


def _is_tried(notes: RoundState, settings: WorkerSettings, queue: str) -> bool:
    """Return whether a queue that no known worker consumes gets heartbeats: one that is configured, and that no worker
    with our agent ever consumed. Its workers may execute heartbeats all the same.
    """
    return notes.queues[queue].instance is None and queue in settings.queues and not may_rest(settings, queue)


def _may_try(scene: RoundInput, broker: BrokerSnapshot, queue: str) -> bool:
    """Return whether such a queue gets a heartbeat now: one at a time."""
    depth = broker.queues.get(queue)
    none_waits = target_field("queue", queue) not in scene.notes.asked or (depth is not None and depth.pending == 0)
    return none_waits and _is_tried(scene.notes, scene.settings, queue)


def _may_ask(scene: RoundInput, broker: BrokerSnapshot, queue: str) -> bool:
    asked = scene.notes.asked.get(target_field("queue", queue), ())
    depth = broker.queues.get(queue)
    if len(asked) < AWAITED_KEPT or _some_are_gone(depth, asked):
        return True
    # In a long backlog they wait for long, and those of one that was purged are gone: one more now and then, while it
    # moves.
    moves = depth is not None and depth.head is not None and depth.head != scene.notes.queues[queue].head
    pause = min(EXPIRES_SECONDS, SPARSE_INTERVALS * scene.settings.interval_seconds)
    return moves and scene.now - asked[-1] > pause
