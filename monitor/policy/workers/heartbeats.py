"""Selection of the workers and queues that get a heartbeat in a round, and of the queues that must not get one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import NamedTuple

from monitor.agent.capacity import is_costly
from monitor.agent.formats import JSON
from monitor.agent.lasting_queues import FANOUT
from monitor.agent.protocol import EXPIRES_SECONDS, Beacon, direct_queue, is_direct_queue, target_field
from monitor.config.settings import WorkerSettings
from monitor.policy.workers.round_state import UNANSWERED_KEPT, RoundState
from monitor.ports.workers import BrokerSnapshot, QueueDepth, StoredBeacon, WorkerReport

SEND_INTERVALS = 0.75
"""Least time between two sendings. Rounds are half an interval apart, and none is exactly on time."""

SPARSE_INTERVALS = 5.0
RARE_INTERVALS = 30.0
"""Least time between two heartbeats to a worker whose pool processes are expensive: while tasks wait, and otherwise."""

CLEARED_BACKLOG_LIMIT = 20
"""Heartbeats are removed only from queues with at most this many messages."""

BEAT_NODE_PREFIX = "celerybeat@"
"""Prefix of the node name of a beat that listens to remote control (Celery 5.7). It consumes no queue of tasks."""

_SINGLE_CONSUMER_NAME = re.compile(r"(.*\.)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|.+@.+\.dq2")
"""Names of queues for one process: those of kombu's `Broadcast` and of Celery's `worker_direct`."""


class Heartbeat(NamedTuple):
    """Heartbeat to send.

    ``kind`` is ``worker`` or ``queue``, ``target`` the tested worker or queue, ``queue`` the queue that it is sent to.
    """

    kind: str
    target: str
    queue: str
    content_type: str = JSON
    """The agent reads the worker's own queue itself and understands JSON there, whatever the application accepts."""


@dataclass(frozen=True)
class RoundInput:
    """Input of one round.

    ``broker`` is None when the broker did not answer. ``connected`` holds, by target, whether a worker with an overdue
    beacon is still connected to the store; it is None when the server does not report that.
    """

    settings: WorkerSettings
    report: WorkerReport
    broker: BrokerSnapshot | None
    state: RoundState
    connected: Mapping[str, bool] | None

    @property
    def now(self) -> float:
        """Time of the round by the store's clock."""
        return self.report.now

    @cached_property
    def nodes(self) -> frozenset[str]:
        """Names of all workers that have written a beacon."""
        return frozenset(stored.beacon.node for stored in self.report.beacons.values())

    @cached_property
    def consumed(self) -> frozenset[str]:
        """Queues that workers consume, according to beacons that are not overdue."""
        return consumed_queues(self.report, self.settings)

    @cached_property
    def fanout(self) -> frozenset[str]:
        """Queues of fanout exchanges, according to the beacons. On Redis these are not lists."""
        declared = [stored.beacon.short_lived or {} for stored in self.report.beacons.values()]
        return frozenset(queue for each in declared for queue, reason in each.items() if reason == FANOUT)


def declared_queues(report: WorkerReport) -> dict[str, StoredBeacon]:
    """Return the lasting queues that workers declare, each with the newest beacon that declares it.

    A queue is lasting when at least one worker declares it as lasting. Workers' own queues are left out.
    """
    declared: dict[str, StoredBeacon] = {}
    for stored in sorted(report.beacons.values(), key=lambda stored: stored.at):
        lasting = frozenset(stored.beacon.queues) - _short_lived(stored.beacon)
        declared |= dict.fromkeys(lasting, stored)
    return {queue: stored for queue, stored in declared.items() if not is_direct_queue(queue)}


def short_lived_queues(report: WorkerReport, state: RoundState) -> set[str]:
    """Return the queues that are not lasting: declared as short-lived, or recognised by name.

    Names are used for queues in the round state of an earlier version, which did not store whether a queue is lasting.
    """
    declared = {queue for stored in report.beacons.values() for queue in _short_lived(stored.beacon)}
    unknown = {queue for queue, queue_state in state.queues.items() if queue_state.instance is None}
    return declared | {queue for queue in unknown if _SINGLE_CONSUMER_NAME.fullmatch(queue)}


def consumed_queues(report: WorkerReport, settings: WorkerSettings) -> frozenset[str]:
    """Return the queues that workers consume, according to beacons that are not overdue."""
    limit = 2 * settings.interval_seconds
    present = [stored.beacon for stored in report.beacons.values() if report.now - stored.at <= limit]
    return frozenset(queue for beacon in present if not beacon.leaving for queue in beacon.queues)


def may_rest(settings: WorkerSettings, queue: str) -> bool:
    """Return whether a queue may be without a worker while no message waits in it (``workers.may_rest``)."""
    return any(fnmatchcase(queue, pattern) for pattern in settings.may_rest)


def queues_to_clear(
    state: RoundState, broker: BrokerSnapshot, settings: WorkerSettings, consumed: frozenset[str]
) -> list[str]:
    """Return the queues that get no heartbeats now, but may still contain some.

    These are queues with unanswered heartbeats, and queues whose head has changed: a worker that shuts down returns
    the messages that it has prefetched, which may be heartbeats.
    """
    waiting = {queue: depth for queue, depth in broker.queues.items() if 0 < depth.pending <= CLEARED_BACKLOG_LIMIT}
    return [
        queue
        for queue, queue_state in state.queues.items()
        if queue in waiting
        and not (queue in consumed or _may_have_unknown_workers(state, settings, queue))
        and (waiting[queue].head != queue_state.head or target_field("queue", queue) in state.unanswered)
    ]


def no_longer_expected(state: RoundState) -> list[str]:
    """Return the queues with unanswered heartbeats that are not expected any more."""
    unanswered = [target.removeprefix("queue:") for target in state.unanswered if target.startswith("queue:")]
    return [queue for queue in unanswered if queue not in state.queues]


def overdue_beacons(report: WorkerReport, state: RoundState, settings: WorkerSettings) -> list[StoredBeacon]:
    """Return the beacons that are overdue. The caller reads whether their workers are still connected."""
    limit = 2 * settings.interval_seconds
    since = state.store.since
    return [
        stored
        for stored in report.beacons.values()
        if not stored.beacon.leaving and report.now - max(stored.at, since) > limit
    ]


def plan_heartbeats(inputs: RoundInput) -> list[Heartbeat]:
    """Return the heartbeats to send now.

    A worker or queue with :data:`UNANSWERED_KEPT` unanswered heartbeats gets no more, until some of these were lost.
    """
    state, settings, broker = inputs.state, inputs.settings, inputs.broker
    if broker is None or inputs.now - state.emitted_at < SEND_INTERVALS * settings.interval_seconds:
        return []
    plan = []
    for target, stored in sorted(inputs.report.beacons.items()):
        is_fresh = inputs.now - stored.at <= 2 * settings.interval_seconds
        queue = direct_queue(target)
        takes_heartbeats = is_fresh and stored.beacon.direct and not stored.beacon.leaving
        if takes_heartbeats and _is_worth_its_cost(inputs, broker, target, stored):
            unanswered = state.unanswered.get(target_field("worker", target), ())
            if len(unanswered) < UNANSWERED_KEPT or _some_were_lost(broker.queues.get(queue), unanswered):
                plan.append(Heartbeat("worker", target, queue))
    for queue in sorted(state.queues):
        can_send = _can_send_to_known if queue in inputs.consumed else _can_send_to_unknown
        if can_send(inputs, broker, queue) and not is_withheld(inputs, queue):
            plan.append(Heartbeat("queue", queue, queue, _content_type(inputs, queue) or JSON))
    return plan


def is_withheld(inputs: RoundInput, queue: str) -> bool:
    """Return whether a queue gets no heartbeats. There are four reasons:

    - The queue belongs to a fanout exchange.
    - A worker of the queue has expensive pool processes. Its direct heartbeats then count for its queues, too.
    - No content type that the monitor can write is accepted by all workers of the queue. A worker that does not accept
      it would log an error for each heartbeat.
    - A worker without ``monitor.install(app)`` may consume the queue, and would log an error for each heartbeat. Queues
      in ``workers.queues`` get heartbeats all the same.
    """
    if inputs.broker is None:
        return False
    if queue in inputs.fanout or _is_expensive(inputs, queue) or _content_type(inputs, queue) is None:
        return True
    if queue in inputs.settings.queues:
        return False
    if any(_is_unknown_worker(inputs, node) for node in inputs.broker.nodes):
        return True
    depth = inputs.broker.queues.get(queue)
    consumers = depth.consumers if depth else None
    if consumers is None:
        return False
    return consumers > sum(queue in stored.beacon.queues for stored in inputs.report.beacons.values())


def _is_unknown_worker(inputs: RoundInput, node: str) -> bool:
    is_known = node in inputs.nodes or node in inputs.state.departed
    return not is_known and not node.startswith(BEAT_NODE_PREFIX)


def _short_lived(beacon: Beacon) -> frozenset[str]:
    """Return the queues in a beacon that are not lasting. Beacons of earlier agents do not list them."""
    if beacon.short_lived is not None:
        return frozenset(beacon.short_lived)
    return frozenset(queue for queue in beacon.queues if _SINGLE_CONSUMER_NAME.fullmatch(queue))


def _is_expensive(inputs: RoundInput, queue: str) -> bool:
    """Return whether a heartbeat to a queue may use up an expensive pool process of one of its workers."""
    beacons = (stored.beacon for stored in inputs.report.beacons.values())
    return any(is_costly(beacon) and queue in beacon.queues and not beacon.leaving for beacon in beacons)


def _content_type(inputs: RoundInput, queue: str) -> str | None:
    """Return the first content type that every known worker of a queue accepts; None when there is none."""
    supported = inputs.broker.content_types if inputs.broker else ()
    accepted = [
        stored.beacon.accept
        for stored in inputs.report.beacons.values()
        if queue in stored.beacon.queues and not stored.beacon.leaving
    ]
    return next((one for one in supported if all(one in content_types for content_types in accepted)), None)


def _is_worth_its_cost(inputs: RoundInput, broker: BrokerSnapshot, target: str, stored: StoredBeacon) -> bool:
    """Return whether a direct heartbeat is worth its cost for a worker.

    It always is, unless the worker's pool processes are expensive. Then finished tasks in the beacon are enough proof,
    and without them a heartbeat is sent after `SPARSE_INTERVALS` while tasks wait, or after `RARE_INTERVALS`.
    """
    beacon = stored.beacon
    if not is_costly(beacon):
        return True
    depths = (broker.queues.get(queue) for queue in beacon.queues)
    tasks_wait = beacon.reserved > beacon.held_back or any(depth is not None and depth.pending > 0 for depth in depths)
    pause = (SPARSE_INTERVALS if tasks_wait else RARE_INTERVALS) * inputs.settings.interval_seconds
    field = target_field("worker", target)
    executed, started = inputs.report.executed.get(field), stored.at - beacon.up_seconds
    latest = max(
        inputs.state.unanswered.get(field, (0.0,))[-1],
        inputs.state.worked.get(target, (0, 0.0))[1],
        executed.done_at if executed is not None and executed.done_at >= started else 0.0,
    )
    return inputs.now - latest > pause


def _some_were_lost(depth: QueueDepth | None, unanswered: tuple[float, ...]) -> bool:
    """Return whether fewer messages wait than heartbeats are unanswered: some were purged, or taken and lost."""
    return depth is not None and depth.pending < len(unanswered)


def _may_have_unknown_workers(state: RoundState, settings: WorkerSettings, queue: str) -> bool:
    """Return whether workers that are not known may consume a queue and execute its heartbeats.

    This is assumed of configured queues that no worker with an agent ever consumed.
    """
    return state.queues[queue].instance is None and queue in settings.queues and not may_rest(settings, queue)


def _can_send_to_unknown(inputs: RoundInput, broker: BrokerSnapshot, queue: str) -> bool:
    """Return whether a queue that no known worker consumes gets a heartbeat now: one at a time."""
    depth = broker.queues.get(queue)
    is_empty = depth is not None and depth.pending == 0
    none_waits = is_empty or target_field("queue", queue) not in inputs.state.unanswered
    return none_waits and _may_have_unknown_workers(inputs.state, inputs.settings, queue)


def _can_send_to_known(inputs: RoundInput, broker: BrokerSnapshot, queue: str) -> bool:
    """Return whether a queue that known workers consume gets a heartbeat now."""
    unanswered = inputs.state.unanswered.get(target_field("queue", queue), ())
    depth = broker.queues.get(queue)
    if len(unanswered) < UNANSWERED_KEPT or _some_were_lost(depth, unanswered):
        return True
    # Heartbeats wait for a long time in a long backlog, or were purged with an earlier one. While the head of the queue
    # changes, one more is sent now and then.
    is_moving = depth is not None and depth.head is not None and depth.head != inputs.state.queues[queue].head
    pause = min(EXPIRES_SECONDS, SPARSE_INTERVALS * inputs.settings.interval_seconds)
    return is_moving and inputs.now - unanswered[-1] > pause
