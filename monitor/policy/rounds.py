"""What is said of every worker, queue and host in one round, and of all of them together."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.agent.capacity import has_room
from monitor.agent.protocol import EXPIRES_SECONDS, Beacon, target_field
from monitor.config.settings import Workers
from monitor.model import Outcome, WorkerVerdict
from monitor.policy import notes as noting
from monitor.policy import told
from monitor.policy.asking import Scene, is_withheld
from monitor.policy.notes import ASKED_KEPT, Notes, Patience
from monitor.policy.workers import (
    SERVING,
    SUMMARY,
    QueueSight,
    WorkerSight,
    check_name,
    is_over,
    is_seen,
    proven_at,
    queue_verdict,
    worker_verdict,
)
from monitor.ports import Seen

QUEUE_FORGOTTEN_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Judged:
    """What a round has to say. ``suspended`` are the checks whose last result is kept, if they have one."""

    notes: Notes
    outcomes: Mapping[str, Outcome]
    suspended: frozenset[str]
    gone: tuple[str, ...]
    vanished: tuple[str, ...]
    """Workers whose own queues are to be removed."""


def judge(scene: Scene) -> Judged:
    """Every worker, queue and host, and all of them together."""
    outcomes: dict[str, Outcome] = {}
    verdicts: dict[str, WorkerVerdict] = {}
    suspended: set[str] = set()
    proofs: dict[str, list[tuple[str, float | None]]] = defaultdict(list)
    gone, vanished = [], []
    for node, seen in scene.sighting.beacons.items():
        worker = _worker(scene, node, seen)
        verdict = worker_verdict(worker, scene.settings)
        name = check_name("worker", node)
        if is_over(worker, scene.settings):
            gone.append(node)
            continue
        if verdict is not WorkerVerdict.RETIRED and _is_suspended(scene, worker):
            suspended.add(name)
        verdicts[node] = verdict
        outcomes[name] = told.worker(worker, verdict, scene.settings)
        if _is_vanished(worker, verdict, scene.settings) and node not in scene.notes.removed:
            vanished.append(node)
        if verdict is not WorkerVerdict.RETIRED:
            for queue in worker.beacon.queues:
                proven = None if name in suspended else proven_at(worker, verdict, scene.now)
                proofs[queue].append((node, proven))
    queues = {}
    for queue in scene.notes.queues:
        declared = {node: verdicts[node] for node, _ in proofs[queue]}
        served = max((at for _, at in proofs[queue] if at is not None), default=0.0)
        able = _is_able([(scene.sighting.beacons[node].beacon, verdicts[node]) for node, _ in proofs[queue]])
        queues[queue] = note = _queue_note(scene, queue, served, able)
        sight = _queue(scene, queue, note, tuple(declared.values()))
        name = check_name("queue", queue)
        outcomes[name] = told.queue(sight, queue_verdict(sight, scene.settings), declared)
        if _is_queue_suspended(scene, sight, note):
            suspended.add(name)
    outcomes |= _hosts(scene)
    back = {node for node, verdict in verdicts.items() if verdict in (WorkerVerdict.STARTING, WorkerVerdict.CONSUMING)}
    removed = (scene.notes.removed & verdicts.keys()) - back
    notes = noting.with_departed(dataclasses.replace(scene.notes, queues=queues, removed=removed), gone)
    return Judged(notes, outcomes, frozenset(suspended), tuple(gone), (*vanished, *gone))


def with_summary(
    outcomes: Mapping[str, Outcome], kept: Mapping[str, Outcome], scene: Scene, suspended: bool
) -> dict[str, Outcome]:
    """The outcomes, those that are kept in place of those that were judged, and their summary if there is anything."""
    final = {**outcomes, **kept}
    if final:
        final[SUMMARY] = told.summary(final, suspended=suspended, critical=scene.settings.critical)
    return final


def without_past(final: Mapping[str, Outcome], notes: Notes) -> tuple[dict[str, Outcome], Notes, frozenset[str]]:
    """The outcomes with a last word on each check that is no more, the notes, and the checks to forget.

    What is gone is first said to be fine, so that its alarm ends, and forgotten by the next round.
    """
    leftover = notes.written - final.keys()
    forget = leftover & notes.closed
    close = leftover - forget
    notes = dataclasses.replace(notes, written=frozenset(final) | close, closed=close)
    return {**final, **dict.fromkeys(close, told.FORGOTTEN)}, notes, forget


def _worker(scene: Scene, node: str, seen: Seen) -> WorkerSight:
    field = target_field("worker", node)
    asked = scene.notes.asked.get(field) if seen.beacon.direct else None
    _, worked_at = scene.notes.worked.get(node, (0, 0.0))
    return WorkerSight(
        beacon=seen.beacon,
        beacon_age=max(0.0, scene.now - max(seen.at, scene.notes.store.since)),
        unseen_seconds=max(0.0, scene.now - seen.at),
        seen_at=seen.at,
        executed=scene.sighting.executed.get(field),
        waiting_seconds=max(0.0, scene.now - asked[0]) if asked else None,
        connected=None if scene.connected is None else scene.connected.get(node, False),
        worked_seconds=max(0.0, scene.now - worked_at) if worked_at else None,
    )


def _is_suspended(scene: Scene, worker: WorkerSight) -> bool:
    store, broker, since = scene.notes.store, scene.notes.broker, scene.notes.since
    until = max(store.until, broker.until) if is_seen(worker, scene.settings) else store.until
    heard = worker.executed is not None and worker.executed.sent_at > since and worker.seen_at > since
    return scene.now < until and not heard


def _is_vanished(worker: WorkerSight, verdict: WorkerVerdict, settings: Workers) -> bool:
    if verdict is WorkerVerdict.RETIRED:
        return worker.unseen_seconds > 2 * settings.interval_seconds
    return verdict is WorkerVerdict.LOST and worker.unseen_seconds > EXPIRES_SECONDS


def _queue_note(scene: Scene, queue: str, served_at: float, able: bool) -> noting.QueueNote:
    """Return the note after this round. ``able``: some worker of the queue can take a message and execute it now."""
    note = scene.notes.queues[queue]
    depth = scene.broker.queues.get(queue) if scene.broker else None
    if depth and depth.pending > ASKED_KEPT:  # more than our heartbeats: somebody still sends to it
        note = dataclasses.replace(note, declared_at=scene.now)
    note = dataclasses.replace(note, served_at=max(note.served_at, served_at))
    return noting.looked_at(note, depth, scene.now, able=able)


def _is_able(workers: Sequence[tuple[Beacon, WorkerVerdict]]) -> bool:
    """Return whether some worker that serves a queue can take a message and execute it now, or none serves it."""
    serving = [(beacon, verdict) for beacon, verdict in workers if verdict in SERVING]
    return not serving or any(verdict is WorkerVerdict.CONSUMING and has_room(beacon) for beacon, verdict in serving)


def _queue(scene: Scene, queue: str, note: noting.QueueNote, workers: tuple[WorkerVerdict, ...]) -> QueueSight:
    field = target_field("queue", queue)
    asked = scene.notes.asked.get(field)
    depth = scene.broker.queues.get(queue) if scene.broker else None
    return QueueSight(
        name=queue,
        unserved_seconds=max(0.0, scene.now - max(note.served_at, scene.notes.since)),
        workers=workers,
        executed=scene.sighting.executed.get(field),
        waiting_seconds=max(0.0, scene.now - asked[0]) if asked else None,
        head_seconds=None if note.head_since is None else scene.now - max(note.head_since, scene.notes.since),
        pending=depth.pending if depth else None,
        withheld=is_withheld(scene, queue),
    )


def _is_queue_suspended(scene: Scene, queue: QueueSight, note: noting.QueueNote) -> bool:
    since = scene.notes.since
    heard = note.served_at > since or (queue.executed is not None and queue.executed.sent_at > since)
    return scene.now < _until(scene.notes.store, scene.notes.broker) and not heard


def _until(*patience: Patience) -> float:
    return max(each.until for each in patience)


def _hosts(scene: Scene) -> dict[str, Outcome]:
    newest: dict[str, Seen] = {}
    nodes: dict[str, list[str]] = defaultdict(list)
    for node, seen in scene.sighting.beacons.items():
        beacon = seen.beacon
        if beacon.leaving or not beacon.vitals or scene.now - seen.at > 2 * scene.settings.interval_seconds:
            continue
        nodes[beacon.host].append(node)
        if beacon.host not in newest or newest[beacon.host].at < seen.at:
            newest[beacon.host] = seen
    return {check_name("host", host): told.host(host, seen.beacon.vitals, nodes[host]) for host, seen in newest.items()}
