"""What is said of every worker, queue and host in one round, and of all of them together."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.agent.capacity import has_room
from monitor.agent.protocol import EXPIRES_SECONDS, Beacon, target_field
from monitor.config.settings import WorkerSettings
from monitor.model.checks import Outcome, WorkerVerdict
from monitor.policy.runtime_checks import SUMMARY, check_name
from monitor.policy.workers import instances, round_state
from monitor.policy.workers import outcomes as told
from monitor.policy.workers.heartbeats import RoundInput, is_withheld, may_rest
from monitor.policy.workers.instances import WorkerInstance
from monitor.policy.workers.round_state import AWAITED_KEPT, GracePeriod, RoundState
from monitor.policy.workers.verdicts import (
    SERVING,
    QueueObservation,
    WorkerObservation,
    has_fresh_beacon,
    queue_verdict,
    served_until,
    worker_verdict,
)
from monitor.ports.workers import QueueDepth, StoredBeacon

QUEUE_FORGOTTEN_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What a round has to say. ``suspended`` are the checks whose last result is kept, if they have one.

    ``gone`` are the targets of workers to forget, ``vanished`` those of workers whose own queues are to be removed.
    """

    notes: RoundState
    outcomes: Mapping[str, Outcome]
    suspended: frozenset[str]
    gone: tuple[str, ...]
    vanished: tuple[str, ...]


def judge(scene: RoundInput) -> RoundResult:
    """Every worker, queue and host, and all of them together."""
    outcomes: dict[str, Outcome] = {}
    verdicts: dict[str, WorkerVerdict] = {}
    suspended: set[str] = set()
    proofs: dict[str, list[tuple[WorkerInstance, float | None]]] = defaultdict(list)
    gone: list[str] = []
    vanished: list[str] = []
    for node, known in _by_node(scene).items():
        past = {each.target for each in instances.expired_instances(known, scene.settings)}
        gone += past
        present = [each for each in known if each.target not in past]
        if not present:
            continue
        for each in present:
            verdicts[each.target] = each.verdict
            if _is_vanished(each.worker, each.verdict, scene.settings) and each.target not in scene.notes.removed:
                vanished.append(each.target)
        counted = instances.counted_instances(present, scene.settings)
        name = check_name("worker", node)
        outcomes[name] = instances.node_outcome(counted, instances.duplicate_instances(counted, scene.settings))
        if any(each.suspended for each in counted):
            suspended.add(name)
        for each in counted:
            if each.verdict is not WorkerVerdict.RETIRED:
                proven = None if each.suspended else served_until(each.worker, each.verdict, scene.now)
                for queue in each.worker.beacon.queues:
                    proofs[queue].append((each, proven))
    queues, goodbyes = {}, _goodbyes(scene)
    for queue in scene.notes.queues:
        # The worst of a node's instances comes first: the mapping is made from the last one on.
        declared = {each.worker.beacon.node: each.verdict for each, _ in reversed(proofs[queue])}
        served = max((at for _, at in proofs[queue] if at is not None), default=0.0)
        able = _is_able([(each.worker.beacon, each.verdict) for each, _ in proofs[queue]])
        note = _queue_note(scene, queue, served, able)
        if not declared:
            note = _left(scene, note, goodbyes.get(queue))
        queues[queue] = note
        sight = _queue(scene, queue, note, tuple(each.verdict for each, _ in proofs[queue]))
        name = check_name("queue", queue)
        outcomes[name] = told.queue_outcome(sight, queue_verdict(sight, scene.settings), declared)
        if _is_queue_suspended(scene, sight, note):
            suspended.add(name)
    outcomes |= _hosts(scene)
    back = {each for each, verdict in verdicts.items() if verdict in (WorkerVerdict.STARTING, WorkerVerdict.CONSUMING)}
    removed = (scene.notes.removed & verdicts.keys()) - back
    departed = {scene.sighting.beacons[target].beacon.node for target in gone}
    notes = round_state.with_departed(dataclasses.replace(scene.notes, queues=queues, removed=removed), departed)
    return RoundResult(notes, outcomes, frozenset(suspended), tuple(gone), (*vanished, *gone))


def with_summary(
    outcomes: Mapping[str, Outcome], kept: Mapping[str, Outcome], scene: RoundInput, suspended: bool
) -> dict[str, Outcome]:
    """The outcomes, those that are kept in place of those that were judged, and their summary if there is anything."""
    final = {**outcomes, **kept}
    if final:
        final[SUMMARY] = told.summary_outcome(final, suspended=suspended, critical=scene.settings.critical)
    return final


def with_closing_outcomes(
    final: Mapping[str, Outcome], notes: RoundState
) -> tuple[dict[str, Outcome], RoundState, frozenset[str]]:
    """The outcomes with a last word on each check that is no more, the notes, and the checks to forget.

    What is gone is first said to be fine, so that its alarm ends, and forgotten by the next round.
    """
    leftover = notes.written - final.keys()
    forget = leftover & notes.closed
    close = leftover - forget
    notes = dataclasses.replace(notes, written=frozenset(final) | close, closed=close)
    return {**final, **dict.fromkeys(close, told.FORGOTTEN)}, notes, forget


def _by_node(scene: RoundInput) -> dict[str, list[WorkerInstance]]:
    """Judge every instance of every worker."""
    found: dict[str, list[WorkerInstance]] = defaultdict(list)
    for target, seen in scene.sighting.beacons.items():
        worker = _worker(scene, target, seen)
        verdict = worker_verdict(worker, scene.settings)
        suspended = verdict is not WorkerVerdict.RETIRED and _is_suspended(scene, worker)
        outcome = told.worker_outcome(worker, verdict, scene.settings)
        found[seen.beacon.node].append(WorkerInstance(worker, verdict, outcome, suspended))
    return found


def _worker(scene: RoundInput, target: str, seen: StoredBeacon) -> WorkerObservation:
    field = target_field("worker", target)
    asked = scene.notes.asked.get(field) if seen.beacon.direct else None
    _, worked_at = scene.notes.worked.get(target, (0, 0.0))
    return WorkerObservation(
        beacon=seen.beacon,
        beacon_age=max(0.0, scene.now - max(seen.at, scene.notes.store.since)),
        unseen_seconds=max(0.0, scene.now - seen.at),
        seen_at=seen.at,
        executed=scene.sighting.executed.get(field),
        waiting_seconds=max(0.0, scene.now - asked[0]) if asked else None,
        connected=None if scene.connected is None else scene.connected.get(target, False),
        worked_seconds=max(0.0, scene.now - worked_at) if worked_at else None,
    )


def _is_suspended(scene: RoundInput, worker: WorkerObservation) -> bool:
    """Return whether it may still be silent for what happened to the store or the broker. One that has started since
    cannot.
    """
    store, broker, since = scene.notes.store, scene.notes.broker, scene.notes.since
    until = max(store.until, broker.until) if has_fresh_beacon(worker, scene.settings) else store.until
    heard = worker.executed is not None and worker.executed.sent_at > since and worker.seen_at > since
    return scene.now < until and not heard and worker.started_at <= since


def _is_vanished(worker: WorkerObservation, verdict: WorkerVerdict, settings: WorkerSettings) -> bool:
    if verdict is WorkerVerdict.RETIRED:
        return worker.unseen_seconds > 2 * settings.interval_seconds
    return verdict is WorkerVerdict.LOST and worker.unseen_seconds > EXPIRES_SECONDS


def _queue_note(scene: RoundInput, queue: str, served_at: float, able: bool) -> round_state.QueueRoundState:
    """Return the note after this round. ``able``: some worker of the queue can take a message and execute it now."""
    note = scene.notes.queues[queue]
    depth = scene.broker.queues.get(queue) if scene.broker else None
    if depth and depth.pending > AWAITED_KEPT:  # more than our heartbeats: somebody still sends to it
        note = dataclasses.replace(note, declared_at=scene.now)
    executed = scene.sighting.executed.get(target_field("queue", queue))
    if executed and note.instance is None:  # by a worker of which nothing else is known
        served_at = max(served_at, executed.done_at)
    note = dataclasses.replace(note, served_at=max(note.served_at, min(served_at, scene.now)))
    return round_state.with_queue_head(note, depth, scene.now, able=able)


def _is_able(workers: Sequence[tuple[Beacon, WorkerVerdict]]) -> bool:
    """Return whether some worker that serves a queue can take a message and execute it now, or none serves it."""
    serving = [(beacon, verdict) for beacon, verdict in workers if verdict in SERVING]
    return not serving or any(verdict is WorkerVerdict.CONSUMING and has_room(beacon) for beacon, verdict in serving)


def _goodbyes(scene: RoundInput) -> dict[str, float]:
    """Return when the last worker of a queue left it, by queue. One whose beacon has been replaced by that of another
    start has left, too, when its queue was served until a moment ago.
    """
    recent = scene.now - 2 * scene.settings.interval_seconds
    instances = {seen.beacon.instance for seen in scene.sighting.beacons.values()}
    found = {
        queue: note.served_at
        for queue, note in scene.notes.queues.items()
        if note.instance is not None and note.instance not in instances and note.served_at >= recent
    }
    for seen in scene.sighting.beacons.values():
        if seen.beacon.leaving:
            found |= {queue: max(seen.at, found.get(queue, 0.0)) for queue in seen.beacon.queues}
    return found


def _left(
    scene: RoundInput, note: round_state.QueueRoundState, goodbye_at: float | None
) -> round_state.QueueRoundState:
    """Return the note of a queue that no worker consumes, with the goodbye that ended its service; without it when the
    service had failed before.
    """
    if goodbye_at is None:
        return note
    failed = goodbye_at - max(note.served_at, scene.notes.since) > 2 * scene.settings.interval_seconds
    if failed and goodbye_at > _until(scene.notes.store, scene.notes.broker):  # until then it may not have been heard
        return note
    return dataclasses.replace(note, left_at=max(goodbye_at, note.left_at or 0.0))


def _queue(
    scene: RoundInput, queue: str, note: round_state.QueueRoundState, workers: tuple[WorkerVerdict, ...]
) -> QueueObservation:
    field = target_field("queue", queue)
    asked = scene.notes.asked.get(field)
    depth = scene.broker.queues.get(queue) if scene.broker else None
    served_at = max(note.served_at, scene.notes.since)
    left_at = note.left_at if note.left_at is not None and note.left_at >= note.served_at else None
    return QueueObservation(
        name=queue,
        unserved_seconds=max(0.0, scene.now - served_at),
        workers=workers,
        executed=scene.sighting.executed.get(field),
        waiting_seconds=max(0.0, scene.now - asked[0]) if asked else None,
        head_seconds=None if note.head_since is None else scene.now - max(note.head_since, scene.notes.since),
        pending=depth.pending if depth else None,
        withheld=is_withheld(scene, queue),
        left_seconds=None if left_at is None else max(0.0, scene.now - left_at),
        may_rest=may_rest(scene.settings, queue),
        untaken_seconds=_untaken(scene, note, depth, asked or ()),
    )


def _untaken(
    scene: RoundInput, note: round_state.QueueRoundState, depth: QueueDepth | None, asked: tuple[float, ...]
) -> float | None:
    """Return for how long a message that is not ours has waited in a queue while none was taken."""
    if depth is None or depth.pending <= len(asked) or note.head_since is None:
        return None
    return max(0.0, scene.now - max(note.head_since, note.served_at, scene.notes.since))


def _is_queue_suspended(scene: RoundInput, queue: QueueObservation, note: round_state.QueueRoundState) -> bool:
    since = scene.notes.since
    heard = note.served_at > since or (queue.executed is not None and queue.executed.sent_at > since)
    return scene.now < _until(scene.notes.store, scene.notes.broker) and not heard


def _until(*patience: GracePeriod) -> float:
    return max(each.until for each in patience)


def _hosts(scene: RoundInput) -> dict[str, Outcome]:
    newest: dict[str, StoredBeacon] = {}
    nodes: dict[str, list[str]] = defaultdict(list)
    for seen in scene.sighting.beacons.values():
        beacon = seen.beacon
        if beacon.leaving or not beacon.vitals or scene.now - seen.at > 2 * scene.settings.interval_seconds:
            continue
        nodes[beacon.host].append(beacon.node)
        if beacon.host not in newest or newest[beacon.host].at < seen.at:
            newest[beacon.host] = seen
    return {
        check_name("host", host): told.host_outcome(host, seen.beacon.vitals, nodes[host])
        for host, seen in newest.items()
    }
