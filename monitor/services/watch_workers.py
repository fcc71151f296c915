"""One round over the workers: send heartbeats, judge every worker and queue, store the outcomes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.agent.identity import Identity
from monitor.agent.protocol import Beacon, direct_queue, identity_of, target_field
from monitor.config.settings import WorkerSettings
from monitor.model.checks import Flight, Outcome, State, Transition
from monitor.policy.runtime_checks import SUMMARY, check_spec
from monitor.policy.workers import heartbeats, rounds
from monitor.policy.workers.heartbeats import Heartbeat, RoundInput
from monitor.policy.workers.round_state import (
    AWAITED_KEPT,
    CHECK_PREFIXES,
    RoundState,
    after_failed_send,
    decode,
    encode,
    resume,
    with_expected_queues,
    with_finished_tasks,
    with_sent_heartbeats,
    without_answered,
    without_removed,
)
from monitor.ports.store import StateStore
from monitor.ports.workers import Broker, BrokerSnapshot, BrokerUnavailable, StoredBeacon, WorkerRegistry, WorkerReport
from monitor.services.flight import NotCompleted, in_flight, store_outcomes

FLIGHT = "fleet"

REMOVAL_TRIES_SECONDS = 3600.0
"""Time for which rounds try to remove the queue of an ended instance. A broker may refuse it for ever."""

LEASE_SECONDS = 6.0  # a round gives up a broker that does not answer after about 5 s


@dataclass(frozen=True, slots=True)
class WorkerRound:
    """Result of one round.

    ``event`` is ``completed``, ``dropped`` (too early, another round is running, or the store belongs to another
    project) or ``lost`` (the lease ended). ``sent`` counts heartbeats, ``suspended`` checks that keep their last
    result. ``broker_message`` is the broker's error, if it failed. ``ignored`` names the other projects whose workers
    write into this store.
    """

    event: str
    reason: str | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    transitions: tuple[Transition, ...] = ()
    sent: int = 0
    suspended: int = 0
    broker_message: str | None = None
    ignored: tuple[str, ...] = ()


def run_round(
    settings: WorkerSettings,
    *,
    store: StateStore,
    fleet: WorkerRegistry,
    broker: Broker,
    project: Identity = Identity(),  # noqa: B008 - frozen
    owner: Identity | None = None,
) -> WorkerRound:
    """Send heartbeats to workers and queues, judge all by the answers so far, and store the outcomes under one flight.

    Call it twice in an interval. A broker that does not answer suspends the verdicts. Workers of a project other than
    ``project`` are ignored, and so is the round state of a project that owned the store before ``owner``. In a store
    that belongs to another project the round does nothing. Raises StoreUnavailable.
    """
    if project.differs_from(owner):
        return WorkerRound("dropped", "other_project")
    lease_seconds = max(LEASE_SECONDS, 2 * settings.interval_seconds)
    owner_name = owner.name if owner and not owner.is_local else ""
    try:
        with in_flight(store, FLIGHT, lease_seconds=lease_seconds) as flight:
            return _Round(settings, store, fleet, broker, flight, project, owner_name).run()
    except NotCompleted as end:
        return WorkerRound(end.event, end.reason)


@dataclass
class _Round:
    """One round in flight. ``_owner`` names the project that the store belongs to; empty for none or a local one."""

    _settings: WorkerSettings
    _store: StateStore
    _fleet: WorkerRegistry
    _broker: Broker
    _flight: Flight
    _project: Identity
    _owner: str
    _message: str | None = None
    _others: dict[str, StoredBeacon] = field(default_factory=dict)

    def run(self) -> WorkerRound:
        report, interval = self._own(self._fleet.report()), self._settings.interval_seconds
        began = time.monotonic()
        before, rejected = decode(report.round_state)
        if before is not None and self._owner and before.project not in ("", self._owner):
            before = None  # its queues and workers belong to the previous owner of the store
        self._fleet.count_rejected("round_state", rejected)
        if before is not None and 0 <= report.now - before.round_at < interval / 4:
            return WorkerRound("dropped", "early")
        inputs = self._inputs(report, before)
        plan = heartbeats.plan_heartbeats(inputs)
        sent = self._send(plan, report.now - began)
        state = with_sent_heartbeats(inputs.state, sent, report.now if plan else None)
        if self._message:
            state = after_failed_send(state, interval)
        judged = rounds.judge(dataclasses.replace(inputs, state=state))
        kept = self._kept(judged.suspended)
        final = rounds.with_summary(judged.outcomes, kept, inputs, bool(judged.suspended) or self._message is not None)
        final, state, forget = rounds.with_closing_outcomes(final, judged.state)
        state = dataclasses.replace(state, project=self._owner or state.project)
        state, removed = self._remove(state, judged.ended)
        forgotten = [report.beacons[target] for target in judged.forgotten]
        # An instance stays known while its queue cannot be removed: nothing else would ever remove the queue.
        removable = [stored.beacon for stored in forgotten if removed or report.now - stored.at > REMOVAL_TRIES_SECONDS]
        self._fleet.store_round(encode(state), emitted=sent, removed=[*removable, *self._ended_others(report.now)])
        transitions = self._write(final, sampled=bool(sent))
        if forget:
            self._store.forget(forget)
        ignored = tuple(sorted({stored.beacon.project for stored in self._others.values()}))
        return WorkerRound(
            "completed", None, final, transitions, len(sent), len(judged.suspended), self._message, ignored
        )

    def _own(self, report: WorkerReport) -> WorkerReport:
        """Return the report without the workers of other projects, which are kept in ``_others``."""
        beacons = report.beacons.items()
        self._others = {
            target: stored for target, stored in beacons if self._project.ignores(identity_of(stored.beacon))
        }
        own = {target: stored for target, stored in beacons if target not in self._others}
        return dataclasses.replace(report, beacons=own)

    def _ended_others(self, now: float) -> list[Beacon]:
        """Return the workers of other projects whose beacons have expired. No other monitor removes these beacons."""
        limit = self._settings.forget_lost_after_seconds
        return [stored.beacon for stored in self._others.values() if now - stored.at > limit]

    def _inputs(self, report: WorkerReport, before: RoundState | None) -> RoundInput:
        settings = self._settings
        started = {
            target_field("worker", target): stored.at - stored.beacon.up_seconds
            for target, stored in report.beacons.items()
        }
        if before is not None:
            before = without_answered(before, report.executed, started)
        declared = heartbeats.declared_queues(report)
        consumed = heartbeats.consumed_queues(report, settings)
        snapshot = self._broker_snapshot(before, declared, consumed)
        state = resume(before, report, snapshot, settings.interval_seconds)
        if before is None:
            states = self._store.read().states
            state = dataclasses.replace(
                state, written=frozenset(n for n in states if n == SUMMARY or n.startswith(CHECK_PREFIXES))
            )
        state = with_finished_tasks(state, report)
        short_lived = heartbeats.short_lived_queues(report, state)
        state = with_expected_queues(state, declared, short_lived, settings.queues, rounds.QUEUE_FORGOTTEN_SECONDS)
        if snapshot is not None:
            snapshot, state = self._take_back(snapshot, state, consumed)
        overdue = heartbeats.overdue_beacons(report, state, settings)
        connected = self._fleet.connected([stored.beacon for stored in overdue]) if overdue else {}
        return RoundInput(settings, report, snapshot, state, connected)

    def _broker_snapshot(
        self, state: RoundState | None, declared: Iterable[str], consumed: frozenset[str]
    ) -> BrokerSnapshot | None:
        waiting = state.awaited if state else {}
        expected = {*declared, *self._settings.queues, *(state.queues if state else ())}
        # Of the workers' own queues, only those in which heartbeats pile up are read.
        crowded = [direct_queue(t.removeprefix("worker:")) for t, sent in waiting.items() if _is_crowded(t, sent)]
        heads = {target.removeprefix("queue:") for target in waiting if target.startswith("queue:")}
        heads |= expected - consumed
        try:
            snapshot = self._broker.snapshot([*sorted(expected), *crowded], heads=heads)
            # Workers of other projects on this broker have an agent, too: they do not count as unknown.
            others = {stored.beacon.node for stored in self._others.values()}
            return dataclasses.replace(snapshot, nodes=snapshot.nodes - others)
        except BrokerUnavailable as error:
            self._message = str(error)
            return None

    def _take_back(
        self, snapshot: BrokerSnapshot, state: RoundState, consumed: frozenset[str]
    ) -> tuple[BrokerSnapshot, RoundState]:
        """Remove heartbeats from queues that no worker consumes, and from queues that are not expected any more.

        An autoscaler would start a worker for these heartbeats. Return the snapshot and the round state without them.
        """
        queues = heartbeats.queues_to_clear(state, snapshot, self._settings, consumed)
        obsolete = heartbeats.no_longer_expected(state)
        if not queues and not obsolete:
            return snapshot, state
        try:
            removed = self._broker.take_back([*queues, *obsolete])
        except BrokerUnavailable:  # or the broker does not permit that
            return snapshot, state
        depths = {queue: snapshot.queues[queue].without(removed[queue]) for queue in queues if queue in removed}
        snapshot = dataclasses.replace(snapshot, queues={**snapshot.queues, **depths})
        return snapshot, without_removed(state, [*removed, *obsolete])

    def _send(self, plan: list[Heartbeat], clock_offset: float) -> dict[str, float]:
        sent: dict[str, float] = {}

        def each() -> Iterator[tuple[str, tuple[Any, ...], str]]:
            for heartbeat in plan:
                stamp = round((time.monotonic() + clock_offset) * 1e6)
                yield heartbeat.queue, (heartbeat.kind, heartbeat.target, stamp), heartbeat.content_type
                sent[target_field(heartbeat.kind, heartbeat.target)] = stamp / 1e6

        if plan:
            try:
                self._broker.send(each())
            except BrokerUnavailable as error:
                self._message = str(error)
        return sent

    def _kept(self, suspended: frozenset[str]) -> dict[str, Outcome]:
        """Return the stored outcomes of suspended checks."""
        if not suspended:
            return {}
        return {name: _as_suspended(state) for name, state in self._store.read(suspended).states.items()}

    def _remove(self, state: RoundState, ended: tuple[str, ...]) -> tuple[RoundState, bool]:
        """Remove the own queues of ended workers. Return the round state, and whether the broker did so."""
        if not ended:
            return state, True
        try:
            self._broker.remove([direct_queue(target) for target in ended])
        except BrokerUnavailable as error:
            self._message = str(error)
            return state, False
        return dataclasses.replace(state, removed=state.removed | set(ended)), True

    def _write(self, outcomes: Mapping[str, Outcome], *, sampled: bool) -> tuple[Transition, ...]:
        interval = self._settings.interval_seconds
        # History expects one sample in an interval. Workers are too short-lived for history.
        history = {name for name in outcomes if name == SUMMARY or name.startswith("queue:")} if sampled else ()
        checks = [(check_spec(name, interval), outcome) for name, outcome in outcomes.items()]
        return store_outcomes(self._store, self._flight, checks, history=history)


def _is_crowded(target: str, sent: tuple[float, ...]) -> bool:
    return target.startswith("worker:") and len(sent) >= AWAITED_KEPT


def _as_suspended(state: State) -> Outcome:
    result = state.result
    data = {**result.data, "suspended": True}
    return Outcome(result.status, data, result.reason, result.message, result.detail, series=result.series)
