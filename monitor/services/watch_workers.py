"""A round over the workers: it sends heartbeats, judges every worker and queue, and stores the outcomes."""

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
    CHECK_PREFIXES,
    UNANSWERED_KEPT,
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
"""Name of the flight of a round."""

REMOVAL_TRIES_SECONDS = 3600.0
"""Time for which rounds try to delete the own queue of an ended worker. Some brokers never permit that."""

LEASE_SECONDS = 6.0
"""Shortest lease of a round. A round waits about 5 s for a broker that does not answer."""


@dataclass(frozen=True, slots=True)
class WorkerRound:
    """Result of one round.

    - ``event``: ``completed``, ``dropped`` or ``lost`` (the lease ended during the round). A round is dropped when the
      last one was a moment ago, when another round is running, or when the store belongs to another project.
    - ``sent``: number of heartbeats that were sent.
    - ``suspended``: number of checks that keep their last result.
    - ``broker_message``: error of the broker, or None.
    - ``ignored``: names of other projects whose workers write into this store.
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
    registry: WorkerRegistry,
    broker: Broker,
    project: Identity = Identity(),  # noqa: B008 - frozen
    owner: Identity | None = None,
    version: str = "",
) -> WorkerRound:
    """Send heartbeats, judge every worker and queue by the heartbeats executed so far, and store the outcomes.

    Call it twice in an interval. If the broker does not answer, verdicts are suspended. Raises StoreUnavailable.

    ``project`` is the project of this monitor, ``owner`` the project that the store belongs to (None: no project). If
    they differ, the round does nothing. Workers of other projects that write into the store are ignored. A round state
    that another project stored, before ``owner`` took over the store, is ignored as well. ``version`` is the version of
    the monitor, which is compared with the versions of the agents (empty: not compared).
    """
    if project.differs_from(owner):
        return WorkerRound("dropped", "other_project")
    lease_seconds = max(LEASE_SECONDS, 2 * settings.interval_seconds)
    owner_name = owner.name if owner and not owner.is_local else ""
    try:
        with in_flight(store, FLIGHT, lease_seconds=lease_seconds) as flight:
            return _Round(settings, store, registry, broker, flight, project, owner_name, version).run()
    except NotCompleted as end:
        return WorkerRound(end.event, end.reason)


@dataclass
class _Round:
    """A round that holds its flight.

    ``_owner`` is the name of the project that the store belongs to. It is empty if the store belongs to no project, or
    if the name was generated for this machine.
    """

    _settings: WorkerSettings
    _store: StateStore
    _registry: WorkerRegistry
    _broker: Broker
    _flight: Flight
    _project: Identity
    _owner: str
    _version: str
    _broker_message: str | None = None
    _foreign_beacons: dict[str, StoredBeacon] = field(default_factory=dict)

    def run(self) -> WorkerRound:
        report, interval = self._without_other_projects(self._registry.report()), self._settings.interval_seconds
        started_at = time.monotonic()
        before, rejected = decode(report.round_state)
        if before is not None and self._owner and before.project not in ("", self._owner):
            before = None  # its queues and workers belong to the project that owned the store before
        self._registry.count_rejected("round_state", rejected)
        if before is not None and 0 <= report.now - before.round_at < interval / 4:
            return WorkerRound("dropped", "early")
        inputs = self._inputs(report, before)
        plan = heartbeats.plan_heartbeats(inputs)
        sent = self._send(plan, report.now - started_at)
        state = with_sent_heartbeats(inputs.state, sent, report.now if plan else None)
        if self._broker_message:
            state = after_failed_send(state, interval)
        judged = rounds.judge(dataclasses.replace(inputs, state=state))
        kept = self._kept_outcomes(judged.suspended)
        is_suspended = bool(judged.suspended) or self._broker_message is not None
        outcomes = rounds.with_summary(judged.outcomes, kept, inputs, is_suspended)
        outcomes, state, checks_to_forget = rounds.with_last_outcomes(outcomes, judged.state)
        state = dataclasses.replace(state, project=self._owner or state.project)
        state, queues_deleted = self._delete_direct_queues(state, judged.ended)
        forgotten = [report.beacons[target] for target in judged.forgotten]
        # While the broker does not delete the own queue of a worker, the beacon is kept, so that the next round tries
        # again. After an hour the beacon is deleted, and the queue remains.
        removable = [
            stored.beacon for stored in forgotten if queues_deleted or report.now - stored.at > REMOVAL_TRIES_SECONDS
        ]
        self._registry.store_round(
            encode(state), emitted=sent, removed=[*removable, *self._expired_foreign_beacons(report.now)]
        )
        transitions = self._store_outcomes(outcomes, sampled=bool(sent))
        if checks_to_forget:
            self._store.forget(checks_to_forget)
        ignored = tuple(sorted({stored.beacon.project for stored in self._foreign_beacons.values()}))
        return WorkerRound(
            "completed", None, outcomes, transitions, len(sent), len(judged.suspended), self._broker_message, ignored
        )

    def _without_other_projects(self, report: WorkerReport) -> WorkerReport:
        """Return the report without the workers of other projects. ``_foreign_beacons`` holds these by target."""
        beacons = report.beacons.items()
        self._foreign_beacons = {
            target: stored for target, stored in beacons if self._project.ignores(identity_of(stored.beacon))
        }
        own = {target: stored for target, stored in beacons if target not in self._foreign_beacons}
        return dataclasses.replace(report, beacons=own)

    def _expired_foreign_beacons(self, now: float) -> list[Beacon]:
        """Return the expired beacons of other projects' workers. No other monitor deletes beacons from this store."""
        max_age_seconds = self._settings.forget_lost_after_seconds
        return [stored.beacon for stored in self._foreign_beacons.values() if now - stored.at > max_age_seconds]

    def _inputs(self, report: WorkerReport, before: RoundState | None) -> RoundInput:
        """Return the input of the rules. ``before`` is the state that the last round stored."""
        settings = self._settings
        started_at = {
            target_field("worker", target): stored.at - stored.beacon.up_seconds
            for target, stored in report.beacons.items()
        }
        if before is not None:
            before = without_answered(before, report.executed, started_at)
        declared = heartbeats.declared_queues(report)
        consumed = heartbeats.consumed_queues(report, settings)
        snapshot = self._broker_snapshot(before, declared, consumed)
        state = resume(before, report, snapshot, settings.interval_seconds)
        if before is None:  # the round state is missing, so the names of the written checks come from the states
            states = self._store.read().states
            state = dataclasses.replace(
                state,
                written=frozenset(name for name in states if name == SUMMARY or name.startswith(CHECK_PREFIXES)),
            )
        state = with_finished_tasks(state, report)
        short_lived = heartbeats.short_lived_queues(report, state)
        state = with_expected_queues(state, declared, short_lived, settings.queues, rounds.QUEUE_FORGOTTEN_SECONDS)
        if snapshot is not None:
            snapshot, state = self._remove_heartbeats(snapshot, state, consumed)
        overdue = heartbeats.overdue_beacons(report, state, settings)
        connected = self._registry.connected([stored.beacon for stored in overdue]) if overdue else {}
        return RoundInput(settings, report, snapshot, state, connected, self._version)

    def _broker_snapshot(
        self, state: RoundState | None, declared: Iterable[str], consumed: frozenset[str]
    ) -> BrokerSnapshot | None:
        unanswered = state.unanswered if state else {}
        expected = {*declared, *self._settings.queues, *(state.queues if state else ())}
        # When `UNANSWERED_KEPT` heartbeats to a worker are unanswered, the length of its own queue is read: it shows
        # whether some of these heartbeats were lost.
        direct_queues = [
            direct_queue(target.removeprefix("worker:"))
            for target, sent in unanswered.items()
            if target.startswith("worker:") and len(sent) >= UNANSWERED_KEPT
        ]
        # The head of a queue is read only if a heartbeat to it is unanswered, or if no worker consumes it.
        queues_with_head = {target.removeprefix("queue:") for target in unanswered if target.startswith("queue:")}
        queues_with_head |= expected - consumed
        try:
            snapshot = self._broker.snapshot([*sorted(expected), *direct_queues], heads=queues_with_head)
            # A node without a beacon counts as a worker without an agent. Workers of other projects have an agent, so
            # their nodes are left out.
            foreign_nodes = {stored.beacon.node for stored in self._foreign_beacons.values()}
            return dataclasses.replace(snapshot, nodes=snapshot.nodes - foreign_nodes)
        except BrokerUnavailable as error:
            self._broker_message = str(error)
            return None

    def _remove_heartbeats(
        self, snapshot: BrokerSnapshot, state: RoundState, consumed: frozenset[str]
    ) -> tuple[BrokerSnapshot, RoundState]:
        """Remove heartbeats from queues that no worker consumes, and from queues that are no longer expected.

        An autoscaler that counts waiting messages would start a worker for these heartbeats. Return the snapshot and
        the round state without the removed heartbeats.
        """
        unconsumed = heartbeats.queues_to_clear(state, snapshot, self._settings, consumed)
        obsolete = heartbeats.no_longer_expected(state)
        if not unconsumed and not obsolete:
            return snapshot, state
        try:
            removed_counts = self._broker.take_back([*unconsumed, *obsolete])
        except BrokerUnavailable:  # it does not answer, or it does not permit the removal
            return snapshot, state
        depths = {
            queue: snapshot.queues[queue].without(removed_counts[queue])
            for queue in unconsumed
            if queue in removed_counts
        }
        snapshot = dataclasses.replace(snapshot, queues={**snapshot.queues, **depths})
        return snapshot, without_removed(state, [*removed_counts, *obsolete])

    def _send(self, plan: list[Heartbeat], clock_offset: float) -> dict[str, float]:
        """Send the heartbeats. Return the time at which each was sent, by target field.

        ``clock_offset`` is the store's clock minus the monotonic clock.
        """
        sent: dict[str, float] = {}

        def stamped_heartbeats() -> Iterator[tuple[str, tuple[Any, ...], str]]:
            for heartbeat in plan:
                stamp = round((time.monotonic() + clock_offset) * 1e6)
                yield heartbeat.queue, (heartbeat.kind, heartbeat.target, stamp), heartbeat.content_type
                sent[target_field(heartbeat.kind, heartbeat.target)] = stamp / 1e6

        if plan:
            try:
                self._broker.send(stamped_heartbeats())
            except BrokerUnavailable as error:
                self._broker_message = str(error)
        return sent

    def _kept_outcomes(self, suspended: frozenset[str]) -> dict[str, Outcome]:
        """Return the stored outcomes of suspended checks."""
        if not suspended:
            return {}
        return {name: _as_suspended(state) for name, state in self._store.read(suspended).states.items()}

    def _delete_direct_queues(self, state: RoundState, ended: tuple[str, ...]) -> tuple[RoundState, bool]:
        """Delete the own queues of ended workers. Return the round state, and whether the broker deleted the queues."""
        if not ended:
            return state, True
        try:
            self._broker.remove([direct_queue(target) for target in ended])
        except BrokerUnavailable as error:
            self._broker_message = str(error)
            return state, False
        return dataclasses.replace(state, removed=state.removed | set(ended)), True

    def _store_outcomes(self, outcomes: Mapping[str, Outcome], *, sampled: bool) -> tuple[Transition, ...]:
        interval = self._settings.interval_seconds
        # History gets one sample in an interval, so only rounds that send heartbeats write samples. History keeps the
        # summary and the queues. It keeps no workers, because they exist for too short a time.
        history = {name for name in outcomes if name == SUMMARY or name.startswith("queue:")} if sampled else ()
        checks = [(check_spec(name, interval), outcome) for name, outcome in outcomes.items()]
        return store_outcomes(self._store, self._flight, checks, history=history)


def _as_suspended(state: State) -> Outcome:
    """Return the last outcome of a check, marked as suspended."""
    result = state.result
    data = {**result.data, "suspended": True}
    return Outcome(result.status, data, result.reason, result.message, result.detail, series=result.series)
