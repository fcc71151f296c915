"""Rules that select the workers and queues to which a round sends heartbeats."""

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
"""Least time between two rounds that send heartbeats.

Rounds are about half an interval apart, so heartbeats are sent once in an interval.
"""

SPARSE_INTERVALS = 5.0
"""While tasks wait: least time between two heartbeats to a worker whose pool processes are expensive."""
RARE_INTERVALS = 30.0
"""While no tasks wait: least time between two heartbeats to a worker whose pool processes are expensive."""

CLEARED_BACKLOG_LIMIT = 20
"""Heartbeats are not removed from queues with more messages than this."""

BEAT_NODE_PREFIX = "celerybeat@"
"""Prefix of the node names of beats. Beat of Celery 5.7 answers remote control like a worker, but consumes no queue."""

_SINGLE_CONSUMER_NAME = re.compile(r"(.*\.)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|.+@.+\.dq2")
"""Pattern of the names of queues that only one process consumes: kombu's `Broadcast` and Celery's `worker_direct`."""


class Heartbeat(NamedTuple):
    """A heartbeat to send.

    ``kind`` is ``worker`` or ``queue``. ``target`` is the tested worker or queue. The heartbeat is sent to ``queue``.
    """

    kind: str
    target: str
    queue: str
    content_type: str = JSON
    """Direct heartbeats are JSON: the agent reads a worker's own queue itself, whatever the application accepts."""


@dataclass(frozen=True)
class RoundInput:
    """Input of one round.

    ``report`` is what the workers have written into the store, and ``state`` the round state. ``broker`` is None when
    the broker did not answer. ``connected`` holds, by target, whether a worker with an overdue beacon is still
    connected to the store. It is None when the store does not report that. ``version`` is the version of the monitor;
    empty if it is not compared with the versions of the agents.
    """

    settings: WorkerSettings
    report: WorkerReport
    broker: BrokerSnapshot | None
    state: RoundState
    connected: Mapping[str, bool] | None
    version: str = ""

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
        """Queues of fanout exchanges, according to the beacons. They get no heartbeats: on Redis they are not lists."""
        declared = [stored.beacon.short_lived or {} for stored in self.report.beacons.values()]
        return frozenset(queue for each in declared for queue, reason in each.items() if reason == FANOUT)


def declared_queues(report: WorkerReport) -> dict[str, StoredBeacon]:
    """Return the lasting queues in the beacons, each with the newest beacon that declares it as lasting.

    Workers' own queues, which get direct heartbeats, are left out.
    """
    declared: dict[str, StoredBeacon] = {}
    for stored in sorted(report.beacons.values(), key=lambda stored: stored.at):
        lasting = frozenset(stored.beacon.queues) - _short_lived(stored.beacon)
        declared |= dict.fromkeys(lasting, stored)
    return {queue: stored for queue, stored in declared.items() if not is_direct_queue(queue)}


def short_lived_queues(report: WorkerReport, state: RoundState) -> set[str]:
    """Return the queues that are not lasting.

    A queue is not lasting if a beacon declares it as short-lived. A queue in the round state that no beacon has
    declared may be from an earlier version, which did not distinguish them. Such a queue is recognised by its name.
    """
    declared = {queue for stored in report.beacons.values() for queue in _short_lived(stored.beacon)}
    undeclared = {queue for queue, queue_state in state.queues.items() if queue_state.instance is None}
    return declared | {queue for queue in undeclared if _SINGLE_CONSUMER_NAME.fullmatch(queue)}


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
    """Return the queues from which heartbeats have to be removed.

    No worker consumes such a queue, so it gets no heartbeats now. It may still contain heartbeats in two cases: some of
    its heartbeats are unanswered, or its head has changed. The head changes when a worker that shuts down returns its
    prefetched messages, which may be heartbeats.
    """
    clearable = {queue: depth for queue, depth in broker.queues.items() if 0 < depth.pending <= CLEARED_BACKLOG_LIMIT}
    return [
        queue
        for queue, queue_state in state.queues.items()
        if queue in clearable
        and not (queue in consumed or _may_have_unknown_workers(state, settings, queue))
        and (clearable[queue].head != queue_state.head or target_field("queue", queue) in state.unanswered)
    ]


def no_longer_expected(state: RoundState) -> list[str]:
    """Return the queues with unanswered heartbeats that are no longer expected."""
    with_unanswered = [target.removeprefix("queue:") for target in state.unanswered if target.startswith("queue:")]
    return [queue for queue in with_unanswered if queue not in state.queues]


def overdue_beacons(report: WorkerReport, state: RoundState, settings: WorkerSettings) -> list[StoredBeacon]:
    """Return the beacons that are overdue."""
    limit = 2 * settings.interval_seconds
    since = state.store.since
    return [
        stored
        for stored in report.beacons.values()
        if not stored.beacon.leaving and report.now - max(stored.at, since) > limit
    ]


def plan_heartbeats(inputs: RoundInput) -> list[Heartbeat]:
    """Return the heartbeats to send now.

    A worker or queue that has `UNANSWERED_KEPT` unanswered heartbeats gets no more, unless some of these were lost.
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
    - A worker of the queue has expensive pool processes. The direct heartbeats of the worker then count for its queues.
    - The workers of the queue accept no common content type in which the monitor can send. A worker logs an error for a
      heartbeat in a content type that it does not accept.
    - A worker without ``monitor.install(app)`` may consume the queue. Such a worker logs an error for each heartbeat.
      This reason does not apply to queues in ``workers.queues``.
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
    """Return whether a node that the broker reports is a worker without an agent."""
    is_known = node in inputs.nodes or node in inputs.state.departed
    return not is_known and not node.startswith(BEAT_NODE_PREFIX)


def _short_lived(beacon: Beacon) -> frozenset[str]:
    """Return the queues in a beacon that are not lasting. Earlier agents did not list them: use the names then."""
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
    return next((each for each in supported if all(each in content_types for content_types in accepted)), None)


def _is_worth_its_cost(inputs: RoundInput, broker: BrokerSnapshot, target: str, stored: StoredBeacon) -> bool:
    """Return whether to send a direct heartbeat to a worker, given what a heartbeat costs it.

    If the worker's pool processes are cheap, always. If they are expensive, only after a pause in which the worker got
    no heartbeat, executed none and finished no task. The pause is `SPARSE_INTERVALS` while tasks wait, and else
    `RARE_INTERVALS`.
    """
    beacon = stored.beacon
    if not is_costly(beacon):
        return True
    depths = (broker.queues.get(queue) for queue in beacon.queues)
    tasks_wait = beacon.reserved > beacon.held_back or any(depth is not None and depth.pending > 0 for depth in depths)
    pause_seconds = (SPARSE_INTERVALS if tasks_wait else RARE_INTERVALS) * inputs.settings.interval_seconds
    field = target_field("worker", target)
    executed, started_at = inputs.report.executed.get(field), stored.at - beacon.up_seconds
    last_at = max(
        inputs.state.unanswered.get(field, (0.0,))[-1],
        inputs.state.worked.get(target, (0, 0.0))[1],
        executed.done_at if executed is not None and executed.done_at >= started_at else 0.0,
    )
    return inputs.now - last_at > pause_seconds


def _some_were_lost(depth: QueueDepth | None, unanswered: tuple[float, ...]) -> bool:
    """Return whether some unanswered heartbeats were lost: fewer messages wait than heartbeats are unanswered."""
    return depth is not None and depth.pending < len(unanswered)


def _may_have_unknown_workers(state: RoundState, settings: WorkerSettings, queue: str) -> bool:
    """Return whether workers that write no beacons may consume a queue and execute its heartbeats.

    This is assumed if the queue is in ``workers.queues`` and no beacon ever declared it.
    """
    return state.queues[queue].instance is None and queue in settings.queues and not may_rest(settings, queue)


def _can_send_to_unknown(inputs: RoundInput, broker: BrokerSnapshot, queue: str) -> bool:
    """Return whether a queue that no worker with a beacon consumes gets a heartbeat now: only one waits at a time."""
    depth = broker.queues.get(queue)
    is_empty = depth is not None and depth.pending == 0
    none_waits = is_empty or target_field("queue", queue) not in inputs.state.unanswered
    return none_waits and _may_have_unknown_workers(inputs.state, inputs.settings, queue)


def _can_send_to_known(inputs: RoundInput, broker: BrokerSnapshot, queue: str) -> bool:
    """Return whether a queue that workers with beacons consume gets a heartbeat now."""
    unanswered = inputs.state.unanswered.get(target_field("queue", queue), ())
    depth = broker.queues.get(queue)
    if len(unanswered) < UNANSWERED_KEPT or _some_were_lost(depth, unanswered):
        return True
    # In a long queue heartbeats wait for a long time. They may also have been purged, without a sign of that in the
    # length. So while the head of the queue changes, one more heartbeat is sent now and then.
    is_moving = depth is not None and depth.head is not None and depth.head != inputs.state.queues[queue].head
    pause_seconds = min(EXPIRES_SECONDS, SPARSE_INTERVALS * inputs.settings.interval_seconds)
    return is_moving and inputs.now - unanswered[-1] > pause_seconds
