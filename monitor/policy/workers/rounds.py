"""Judgement of all workers, queues and hosts in one round, and the summary of all of them."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.agent.capacity import has_free_capacity
from monitor.agent.protocol import EXPIRES_SECONDS, Beacon, target_field
from monitor.config.settings import WorkerSettings
from monitor.lib.safe_names import check_name
from monitor.model.checks import Outcome, WorkerVerdict
from monitor.policy.runtime_checks import SUMMARY
from monitor.policy.workers import instances, round_state
from monitor.policy.workers.heartbeats import RoundInput, is_withheld, may_rest
from monitor.policy.workers.instances import WorkerInstance
from monitor.policy.workers.outcomes import FORGOTTEN, host_outcome, queue_outcome, summary_outcome, worker_outcome
from monitor.policy.workers.round_state import UNANSWERED_KEPT, GracePeriod, QueueRoundState, RoundState
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
"""After this time without a declaration, a queue is no longer expected."""


@dataclass(frozen=True, slots=True)
class RoundResult:
    """Result of judging one round.

    - ``state``: the round state for the next round.
    - ``outcomes``: by name of a check, its outcome.
    - ``suspended``: names of the checks that keep their last result, if they have one.
    - ``forgotten``: targets of the workers whose beacons have to be deleted.
    - ``ended``: targets of the workers whose own queues have to be deleted.
    """

    state: RoundState
    outcomes: Mapping[str, Outcome]
    suspended: frozenset[str]
    forgotten: tuple[str, ...]
    ended: tuple[str, ...]


def judge(inputs: RoundInput) -> RoundResult:
    """Judge every worker, queue and host."""
    outcomes: dict[str, Outcome] = {}
    verdicts: dict[str, WorkerVerdict] = {}
    suspended: set[str] = set()
    # By queue, the workers that declare it, each with the last time at which the worker served its queues.
    declarations: dict[str, list[tuple[WorkerInstance, float | None]]] = defaultdict(list)
    forgotten: list[str] = []
    ended: list[str] = []
    for node, node_instances in _judge_instances(inputs).items():
        to_forget = {each.target for each in instances.instances_to_forget(node_instances, inputs.settings)}
        forgotten += to_forget
        present = [each for each in node_instances if each.target not in to_forget]
        if not present:
            continue
        for each in present:
            verdicts[each.target] = each.verdict
            if _has_ended(each.worker, each.verdict, inputs.settings) and each.target not in inputs.state.removed:
                ended.append(each.target)
        deciding = instances.deciding_instances(present, inputs.settings)
        name = check_name("worker", node)
        outcomes[name] = instances.node_outcome(deciding, instances.duplicate_instances(deciding, inputs.settings))
        if any(each.suspended for each in deciding):
            suspended.add(name)
        for each in deciding:
            if each.verdict is not WorkerVerdict.RETIRED:
                served_at = None if each.suspended else served_until(each.worker, each.verdict, inputs.now)
                for queue in each.worker.beacon.queues:
                    declarations[queue].append((each, served_at))
    queue_states, goodbyes = {}, _goodbyes(inputs)
    for queue in inputs.state.queues:
        # Of several instances of a node, the dict keeps the last one. The worst instance is the first, so reverse them.
        verdict_by_node = {each.worker.beacon.node: each.verdict for each, _ in reversed(declarations[queue])}
        served_at = max((at for _, at in declarations[queue] if at is not None), default=0.0)
        has_capacity = _has_capacity([(each.worker.beacon, each.verdict) for each, _ in declarations[queue]])
        state = _queue_state(inputs, queue, served_at, has_capacity)
        if not verdict_by_node:
            state = _with_goodbye(inputs, state, goodbyes.get(queue))
        queue_states[queue] = state
        observation = _queue_observation(inputs, queue, state, tuple(each.verdict for each, _ in declarations[queue]))
        name = check_name("queue", queue)
        outcomes[name] = queue_outcome(observation, queue_verdict(observation, inputs.settings), verdict_by_node)
        if _is_queue_suspended(inputs, observation, state):
            suspended.add(name)
    outcomes |= _host_outcomes(inputs)
    # A worker whose own queue was deleted may run again and declare the queue again.
    running = {
        target for target, verdict in verdicts.items() if verdict in (WorkerVerdict.STARTING, WorkerVerdict.CONSUMING)
    }
    removed = (inputs.state.removed & verdicts.keys()) - running
    departed = {inputs.report.beacons[target].beacon.node for target in forgotten}
    next_state = dataclasses.replace(inputs.state, queues=queue_states, removed=removed)
    next_state = round_state.with_departed(next_state, departed)
    return RoundResult(next_state, outcomes, frozenset(suspended), tuple(forgotten), (*ended, *forgotten))


def with_summary(
    outcomes: Mapping[str, Outcome], kept: Mapping[str, Outcome], inputs: RoundInput, suspended: bool
) -> dict[str, Outcome]:
    """Return the outcomes, with ``kept`` in place of the judged outcomes of suspended checks, and their summary.

    There is no summary if there are no outcomes.
    """
    all_outcomes = {**outcomes, **kept}
    if all_outcomes:
        all_outcomes[SUMMARY] = summary_outcome(all_outcomes, suspended=suspended, critical=inputs.settings.critical)
    return all_outcomes


def with_last_outcomes(
    outcomes: Mapping[str, Outcome], state: RoundState
) -> tuple[dict[str, Outcome], RoundState, frozenset[str]]:
    """Return the outcomes, the round state and the names of the checks to forget.

    A check that is no longer judged (its worker, queue or host no longer exists) gets one last outcome. This outcome is
    ok, so it resolves the alert of the check. The next round forgets the check.
    """
    no_longer_judged = state.written - outcomes.keys()
    to_forget = no_longer_judged & state.closed
    to_close = no_longer_judged - to_forget
    state = dataclasses.replace(state, written=frozenset(outcomes) | to_close, closed=to_close)
    return {**outcomes, **dict.fromkeys(to_close, FORGOTTEN)}, state, to_forget


def _judge_instances(inputs: RoundInput) -> dict[str, list[WorkerInstance]]:
    """Judge every instance of every worker. Return the instances by node name."""
    by_node: dict[str, list[WorkerInstance]] = defaultdict(list)
    for target, stored in inputs.report.beacons.items():
        worker = _worker_observation(inputs, target, stored)
        verdict = worker_verdict(worker, inputs.settings)
        suspended = verdict is not WorkerVerdict.RETIRED and _is_suspended(inputs, worker)
        outcome = worker_outcome(worker, verdict, inputs.settings, inputs.version)
        by_node[stored.beacon.node].append(WorkerInstance(worker, verdict, outcome, suspended))
    return by_node


def _worker_observation(inputs: RoundInput, target: str, stored: StoredBeacon) -> WorkerObservation:
    field = target_field("worker", target)
    unanswered = inputs.state.unanswered.get(field) if stored.beacon.direct else None
    _, worked_at = inputs.state.worked.get(target, (0, 0.0))
    return WorkerObservation(
        beacon=stored.beacon,
        silence_seconds=max(0.0, inputs.now - max(stored.at, inputs.state.store.since)),
        beacon_age_seconds=max(0.0, inputs.now - stored.at),
        beacon_at=stored.at,
        executed=inputs.report.executed.get(field),
        unanswered_seconds=max(0.0, inputs.now - unanswered[0]) if unanswered else None,
        connected=None if inputs.connected is None else inputs.connected.get(target, False),
        worked_seconds=max(0.0, inputs.now - worked_at) if worked_at else None,
    )


def _is_suspended(inputs: RoundInput, worker: WorkerObservation) -> bool:
    """Return whether the verdict of a worker is suspended, because the store or the broker has failed.

    It is suspended during the grace period. It is not suspended if the worker was observed since the failure, or if it
    has started since the failure.
    """
    store, broker, since = inputs.state.store, inputs.state.broker, inputs.state.since
    until = max(store.until, broker.until) if has_fresh_beacon(worker, inputs.settings) else store.until
    observed_since = worker.executed is not None and worker.executed.sent_at > since and worker.beacon_at > since
    return inputs.now < until and not observed_since and worker.started_at <= since


def _has_ended(worker: WorkerObservation, verdict: WorkerVerdict, settings: WorkerSettings) -> bool:
    """Return whether a worker ended so long ago that its own queue can be deleted."""
    if verdict is WorkerVerdict.RETIRED:
        return worker.beacon_age_seconds > 2 * settings.interval_seconds
    return verdict is WorkerVerdict.LOST and worker.beacon_age_seconds > EXPIRES_SECONDS


def _queue_state(inputs: RoundInput, queue: str, served_at: float, has_capacity: bool) -> QueueRoundState:
    """Return the state of a queue after this round. ``served_at`` is the last time at which its workers served it."""
    state = inputs.state.queues[queue]
    depth = inputs.broker.queues.get(queue) if inputs.broker else None
    if depth and depth.pending > UNANSWERED_KEPT:  # tasks wait too: the queue is in use
        state = dataclasses.replace(state, declared_at=inputs.now)
    executed = inputs.report.executed.get(target_field("queue", queue))
    if executed and state.instance is None:  # executed by a worker that writes no beacons
        served_at = max(served_at, executed.done_at)
    state = dataclasses.replace(state, served_at=max(state.served_at, min(served_at, inputs.now)))
    return round_state.with_queue_head(state, depth, inputs.now, has_capacity=has_capacity)


def _has_capacity(workers: Sequence[tuple[Beacon, WorkerVerdict]]) -> bool:
    """Return whether a worker of a queue can take a message now and execute it. True if no worker serves the queue."""
    serving = [(beacon, verdict) for beacon, verdict in workers if verdict in SERVING]
    return not serving or any(
        verdict is WorkerVerdict.CONSUMING and has_free_capacity(beacon) for beacon, verdict in serving
    )


def _goodbyes(inputs: RoundInput) -> dict[str, float]:
    """Return, by queue, the time of the last goodbye of a worker of the queue.

    The goodbye of a worker may have been replaced by the beacon of its next start. So it also counts as a goodbye when
    the instance that declared a queue has no beacon any more and served the queue until a moment ago.
    """
    recent = inputs.now - 2 * inputs.settings.interval_seconds
    instance_ids = {stored.beacon.instance for stored in inputs.report.beacons.values()}
    goodbyes = {
        queue: state.served_at
        for queue, state in inputs.state.queues.items()
        if state.instance is not None and state.instance not in instance_ids and state.served_at >= recent
    }
    for stored in inputs.report.beacons.values():
        if stored.beacon.leaving:
            goodbyes |= {queue: max(stored.at, goodbyes.get(queue, 0.0)) for queue in stored.beacon.queues}
    return goodbyes


def _with_goodbye(inputs: RoundInput, state: QueueRoundState, goodbye_at: float | None) -> QueueRoundState:
    """Return the state of a queue that no worker declares, with the time of the goodbye of its last worker.

    The goodbye is ignored if no worker had served the queue for two intervals before the goodbye.
    """
    if goodbye_at is None:
        return state
    failed_before = goodbye_at - max(state.served_at, inputs.state.since) > 2 * inputs.settings.interval_seconds
    # Until the end of a grace period, the worker may have served the queue without being observed.
    if failed_before and goodbye_at > _latest_end(inputs.state.store, inputs.state.broker):
        return state
    return dataclasses.replace(state, left_at=max(goodbye_at, state.left_at or 0.0))


def _queue_observation(
    inputs: RoundInput, queue: str, state: QueueRoundState, workers: tuple[WorkerVerdict, ...]
) -> QueueObservation:
    field = target_field("queue", queue)
    unanswered = inputs.state.unanswered.get(field)
    depth = inputs.broker.queues.get(queue) if inputs.broker else None
    served_at = max(state.served_at, inputs.state.since)
    left_at = state.left_at if state.left_at is not None and state.left_at >= state.served_at else None
    return QueueObservation(
        name=queue,
        unserved_seconds=max(0.0, inputs.now - served_at),
        workers=workers,
        executed=inputs.report.executed.get(field),
        unanswered_seconds=max(0.0, inputs.now - unanswered[0]) if unanswered else None,
        head_seconds=None if state.head_since is None else inputs.now - max(state.head_since, inputs.state.since),
        pending=depth.pending if depth else None,
        withheld=is_withheld(inputs, queue),
        left_seconds=None if left_at is None else max(0.0, inputs.now - left_at),
        may_rest=may_rest(inputs.settings, queue),
        untaken_seconds=_untaken_seconds(inputs, state, depth, unanswered or ()),
    )


def _untaken_seconds(
    inputs: RoundInput, state: QueueRoundState, depth: QueueDepth | None, unanswered: tuple[float, ...]
) -> float | None:
    """Return the time for which a message other than a heartbeat has waited while none was taken from the queue."""
    if depth is None or depth.pending <= len(unanswered) or state.head_since is None:
        return None
    return max(0.0, inputs.now - max(state.head_since, state.served_at, inputs.state.since))


def _is_queue_suspended(inputs: RoundInput, queue: QueueObservation, state: QueueRoundState) -> bool:
    """Return whether the verdict of a queue is suspended: in a grace period, if it was not observed since its start."""
    since = inputs.state.since
    observed_since = state.served_at > since or (queue.executed is not None and queue.executed.sent_at > since)
    return inputs.now < _latest_end(inputs.state.store, inputs.state.broker) and not observed_since


def _latest_end(*periods: GracePeriod) -> float:
    return max(each.until for each in periods)


def _host_outcomes(inputs: RoundInput) -> dict[str, Outcome]:
    newest: dict[str, StoredBeacon] = {}
    nodes: dict[str, list[str]] = defaultdict(list)
    for stored in inputs.report.beacons.values():
        beacon = stored.beacon
        if beacon.leaving or not beacon.vitals or inputs.now - stored.at > 2 * inputs.settings.interval_seconds:
            continue
        nodes[beacon.host].append(beacon.node)
        if beacon.host not in newest or newest[beacon.host].at < stored.at:
            newest[beacon.host] = stored
    return {
        check_name("host", host): host_outcome(host, stored.beacon.vitals, nodes[host])
        for host, stored in newest.items()
    }
