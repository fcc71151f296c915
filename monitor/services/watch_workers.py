"""The use case of the workers: one round that sends heartbeats, judges every worker and queue, and stores it."""

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
"""For so long it is tried to remove the queue of an instance that was replaced. A broker may refuse it for ever."""
LEASE_SECONDS = 6.0  # a broker that does not answer is given up after about 5


@dataclass(frozen=True, slots=True)
class WorkerRound:
    """What became of one round. ``event`` is ``completed``, ``dropped`` (too early, or one is going on) or ``lost``."""

    event: str
    reason: str | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    transitions: tuple[Transition, ...] = ()
    sent: int = 0
    suspended: int = 0
    broker_message: str | None = None
    ignored: tuple[str, ...] = ()
    """The names of other projects whose workers write into this store."""


def run_round(
    settings: WorkerSettings,
    *,
    store: StateStore,
    fleet: WorkerRegistry,
    broker: Broker,
    project: Identity = Identity(),  # noqa: B008 - frozen
    owner: Identity | None = None,
) -> WorkerRound:
    """Ask every worker and queue, judge them by what they have answered so far, and store it under one flight.

    Workers of another project than ``project`` are ignored, and so is what a round has noted before the store belonged
    to ``owner``. Nothing is done in a store whose owner is another project.
    To be called twice in an interval. Raises StoreUnavailable; a broker that does not answer suspends the verdicts.
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
    _settings: WorkerSettings
    _store: StateStore
    _fleet: WorkerRegistry
    _broker: Broker
    _flight: Flight
    _project: Identity
    _owner: str
    """The name of the project that the store belongs to; empty for none, and for a monitor without a project."""
    _message: str | None = None
    _others: dict[str, StoredBeacon] = field(default_factory=dict)

    def run(self) -> WorkerRound:
        sighting, interval = self._own(self._fleet.sight()), self._settings.interval_seconds
        began = time.monotonic()
        before, left_out = decode(sighting.notes)
        if before is not None and self._owner and before.project not in ("", self._owner):
            before = None  # its queues and workers are those of the project that had the store
        self._fleet.set_aside("round_state", left_out)
        if before is not None and 0 <= sighting.now - before.round_at < interval / 4:
            return WorkerRound("dropped", "early")
        scene = self._scene(sighting, before)
        plan = heartbeats.plan_heartbeats(scene)
        sent = self._send(plan, sighting.now - began)
        notes = with_sent_heartbeats(scene.notes, sent, sighting.now if plan else None)
        if self._message:
            notes = after_failed_send(notes, interval)
        judged = rounds.judge(dataclasses.replace(scene, notes=notes))
        kept = self._kept(judged.suspended)
        final = rounds.with_summary(judged.outcomes, kept, scene, bool(judged.suspended) or self._message is not None)
        final, notes, forget = rounds.with_closing_outcomes(final, judged.notes)
        notes = dataclasses.replace(notes, project=self._owner or notes.project)
        notes, removed = self._remove(notes, judged.vanished)
        past = [sighting.beacons[target] for target in judged.gone]
        # An instance whose queue could not be removed stays known for a while: nothing else would ever remove it.
        gone = [seen.beacon for seen in past if removed or sighting.now - seen.at > REMOVAL_TRIES_SECONDS]
        self._fleet.note(encode(notes), emitted=sent, gone=[*gone, *self._past_others(sighting.now)])
        transitions = self._write(final, sampled=bool(sent))
        if forget:
            self._store.forget(forget)
        ignored = tuple(sorted({seen.beacon.project for seen in self._others.values()}))
        return WorkerRound(
            "completed", None, final, transitions, len(sent), len(judged.suspended), self._message, ignored
        )

    def _own(self, sighting: WorkerReport) -> WorkerReport:
        """Return what was sighted without the workers of other projects; these are kept in ``_others``."""
        found = sighting.beacons.items()
        self._others = {target: seen for target, seen in found if self._project.ignores(identity_of(seen.beacon))}
        own = {target: seen for target, seen in found if target not in self._others}
        return dataclasses.replace(sighting, beacons=own)

    def _past_others(self, now: float) -> list[Beacon]:
        """Return the workers of other projects that are gone: no other monitor removes what they have left here."""
        limit = self._settings.forget_lost_after_seconds
        return [seen.beacon for seen in self._others.values() if now - seen.at > limit]

    def _scene(self, sighting: WorkerReport, before: RoundState | None) -> RoundInput:
        settings = self._settings
        started = {
            target_field("worker", target): seen.at - seen.beacon.up_seconds
            for target, seen in sighting.beacons.items()
        }
        if before is not None:
            before = without_answered(before, sighting.executed, started)
        declared = heartbeats.declared_queues(sighting)
        consumed = heartbeats.consumed_queues(sighting, settings)
        look = self._look(before, declared, consumed)
        notes, _ = resume(before, sighting, look, settings.interval_seconds)
        if before is None:
            states = self._store.read().states
            notes = dataclasses.replace(
                notes, written=frozenset(n for n in states if n == SUMMARY or n.startswith(CHECK_PREFIXES))
            )
        notes = with_finished_tasks(notes, sighting)
        short_lived = heartbeats.short_lived_queues(sighting, notes)
        notes = with_expected_queues(notes, declared, short_lived, settings.queues, rounds.QUEUE_FORGOTTEN_SECONDS)
        if look is not None:
            look, notes = self._take_back(look, notes, consumed)
        unseen = heartbeats.overdue_beacons(sighting, notes, settings)
        connected = self._fleet.connected([seen.beacon for seen in unseen]) if unseen else {}
        return RoundInput(settings, sighting, look, notes, connected)

    def _look(
        self, notes: RoundState | None, declared: Iterable[str], consumed: frozenset[str]
    ) -> BrokerSnapshot | None:
        waiting = notes.asked if notes else {}
        expected = {*declared, *self._settings.queues, *(notes.queues if notes else ())}
        # Of the workers' own queues only those are looked at in which heartbeats pile up.
        crowded = [direct_queue(t.removeprefix("worker:")) for t, sent in waiting.items() if _is_crowded(t, sent)]
        heads = {target.removeprefix("queue:") for target in waiting if target.startswith("queue:")}
        heads |= expected - consumed
        try:
            look = self._broker.look([*sorted(expected), *crowded], heads=heads)
            # No strangers: a worker of another project on this broker has the agent, too.
            return dataclasses.replace(look, nodes=look.nodes - {seen.beacon.node for seen in self._others.values()})
        except BrokerUnavailable as error:
            self._message = str(error)
            return None

    def _take_back(
        self, look: BrokerSnapshot, notes: RoundState, consumed: frozenset[str]
    ) -> tuple[BrokerSnapshot, RoundState]:
        """Remove our heartbeats from queues that no worker consumes, since an autoscaler would start one for them, and
        from queues that are not expected any more.
        """
        queues, gone = (
            heartbeats.queues_to_clear(notes, look, self._settings, consumed),
            heartbeats.no_longer_expected(notes),
        )
        if not queues and not gone:
            return look, notes
        try:
            found = self._broker.take_back([*queues, *gone])
        except BrokerUnavailable:  # or it does not permit that
            return look, notes
        depths = {queue: look.queues[queue].without(found[queue]) for queue in queues if queue in found}
        return dataclasses.replace(look, queues={**look.queues, **depths}), without_removed(notes, [*found, *gone])

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
        if not suspended:
            return {}
        return {name: _again(state) for name, state in self._store.read(suspended).states.items()}

    def _remove(self, notes: RoundState, vanished: tuple[str, ...]) -> tuple[RoundState, bool]:
        """Remove the own queues of workers. Return the notes, and whether that was possible."""
        if not vanished:
            return notes, True
        try:
            self._broker.remove([direct_queue(target) for target in vanished])
        except BrokerUnavailable as error:
            self._message = str(error)
            return notes, False
        return dataclasses.replace(notes, removed=notes.removed | set(vanished)), True

    def _write(self, outcomes: Mapping[str, Outcome], *, sampled: bool) -> tuple[Transition, ...]:
        interval = self._settings.interval_seconds
        # Once in an interval, which is what history reckons with. Workers come and go: they leave none.
        history = {name for name in outcomes if name == SUMMARY or name.startswith("queue:")} if sampled else ()
        checks = [(check_spec(name, interval), outcome) for name, outcome in outcomes.items()]
        return store_outcomes(self._store, self._flight, checks, history=history)


def _is_crowded(target: str, sent: tuple[float, ...]) -> bool:
    return target.startswith("worker:") and len(sent) >= AWAITED_KEPT


def _again(state: State) -> Outcome:
    result = state.result
    data = {**result.data, "suspended": True}
    return Outcome(result.status, data, result.reason, result.message, result.detail, series=result.series)
