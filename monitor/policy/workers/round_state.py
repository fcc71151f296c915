"""What one round over the workers notes for the next: what was asked, what is expected, and since when to judge.

Whoever was not heard while nobody could be heard is not to blame. So after a restart of the store or the broker, and
after a gap between rounds, ages begin anew, and who has not been heard since keeps the verdict it had for a while.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from monitor.agent.protocol import target_field
from monitor.lib import decoding
from monitor.policy.runtime_checks import SUMMARY
from monitor.ports.workers import BrokerSnapshot, ExecutedHeartbeat, QueueDepth, StoredBeacon, WorkerReport

GAP_INTERVALS = 1.25
"""Rounds are half an interval apart. A longer pause than this is a gap: beacons may be missing for the same reason."""

GRACE_INTERVALS = 2.5
"""After so long, whoever is gone is overdue with a beacon, and whoever does nothing is overdue with a heartbeat."""

RECONNECT_SECONDS = 10.0
"""Celery's workers may take this long to come back to a broker that was restarted."""

CLOCK_TOLERANCE_SECONDS = 5.0
"""So far apart may two moments of the store's clock be that follow each other, after a fail-over."""

AWAITED_KEPT = 5
QUEUES_KEPT = 1000
DEPARTED_KEPT = 2000
DEPARTED_SECONDS = 7 * 86_400.0
ROUND_STATE_BYTES = 8 * 1024 * 1024
ENTRIES_KEPT = 20_000
CHECK_PREFIXES = ("worker:", "queue:", "host:")
"""What the names of the checks begin with that a round writes, besides the summary."""


@dataclass(frozen=True, slots=True)
class GracePeriod:
    """Nothing before ``since`` is held against anybody, and who has not been heard since is not judged ``until``."""

    since: float = 0.0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class QueueRoundState:
    """Of an expected queue: when it was last declared, and served; what its head is, and since when.

    ``left_at``: when the last worker that served it said goodbye. ``instance``: the instance of the worker whose beacon
    named it last; None when no worker with our agent ever did.
    """

    declared_at: float
    served_at: float
    head: str | None = None
    head_since: float | None = None
    left_at: float | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class RoundState:
    """What is noted. ``asked`` holds, by target field, when heartbeats were sent that are waited for: the oldest, and
    the newest of the others. ``worked`` is how many tasks, heartbeats included, each worker had finished, and when
    that last was another number (0 for never). ``departed`` are workers that were instrumented and are forgotten.
    ``written`` are the checks that have a state, ``closed`` those of them of which the last has been said.
    """

    round_at: float
    emitted_at: float = 0.0
    store: GracePeriod = GracePeriod()
    broker: GracePeriod = GracePeriod()
    servers: tuple[str | None, str | None] = (None, None)
    asked: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    queues: Mapping[str, QueueRoundState] = field(default_factory=dict)
    worked: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    departed: Mapping[str, float] = field(default_factory=dict)
    written: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    """Workers whose own queue is removed already."""
    project: str = ""
    """The name of the project that the store belonged to."""

    @property
    def since(self) -> float:
        """Nothing before it is held against anybody."""
        return max(self.store.since, self.broker.since)


def encode(notes: RoundState) -> bytes:
    """As JSON, about 130 bytes for each worker."""
    value = dataclasses.asdict(notes)
    value["queues"] = {name: list(dataclasses.astuple(queue)) for name, queue in notes.queues.items()}
    for name in ("written", "closed", "removed"):
        value[name] = sorted(value[name])
    return json.dumps(value, separators=(",", ":")).encode()


def decode(raw: bytes) -> tuple[RoundState | None, int]:
    """The notes, and how many entries were set aside; None for what is no notes at all.

    No time is later than that of the round, so that nothing which a round waits for is never over.
    """
    try:
        value = decoding.load(raw, most_bytes=ROUND_STATE_BYTES)
        round_at = decoding.moment(value["round_at"])
        at = partial(_moment_until, round_at + CLOCK_TOLERANCE_SECONDS)
        notes = RoundState(
            round_at=round_at,
            emitted_at=at(value["emitted_at"]),
            store=GracePeriod(at(value["store"]["since"]), decoding.moment(value["store"]["until"])),
            broker=GracePeriod(at(value["broker"]["since"]), decoding.moment(value["broker"]["until"])),
            servers=(_name(value["servers"][0]), _name(value["servers"][1])),
            project=_name(value.get("project")) or "",
        )
    except decoding.BROKEN:
        return None, 1 if raw else 0
    entries = {
        "asked": _entries(value.get("asked"), _target, lambda sent: tuple(map(at, sent))[:AWAITED_KEPT]),
        "queues": _entries(value.get("queues"), decoding.label, lambda queue: _queue(at, queue)),
        "worked": _entries(value.get("worked"), decoding.label, lambda each: _worked(at, *each)),
        "departed": _entries(value.get("departed"), decoding.label, at),
        "written": _names(value.get("written"), _check),
        "closed": _names(value.get("closed"), _check),
        "removed": _names(value.get("removed"), decoding.label),
    }
    found: dict[str, Any] = {name: read for name, (read, _) in entries.items()}
    return dataclasses.replace(notes, **found), sum(left_out for _, left_out in entries.values())


def resume(
    before: RoundState | None, sighting: WorkerReport, broker: BrokerSnapshot | None, interval_seconds: float
) -> tuple[RoundState, bool]:
    """The notes this round begins with, and whether broker and store are as they were before."""
    now = sighting.now
    patience = GracePeriod(now, now + GRACE_INTERVALS * interval_seconds)
    restart = GracePeriod(now, now + max(GRACE_INTERVALS * interval_seconds, RECONNECT_SECONDS))
    servers = (sighting.server, broker.server if broker else None)
    if before is None or before.round_at > now:
        # The notes may be missing because the server has just come back without them.
        just_started = sighting.up_seconds is not None and sighting.up_seconds < 2 * RECONNECT_SECONDS
        start = restart if just_started else patience
        return RoundState(now, store=start, broker=start, servers=servers), False
    latest = max(patience.until, restart.until)
    before = dataclasses.replace(before, store=_until(before.store, latest), broker=_until(before.broker, latest))
    store, theirs = before.store, before.broker
    if now - before.round_at > GAP_INTERVALS * interval_seconds:
        store, theirs = _later(store, patience), _later(theirs, patience)
    if _differ(before.servers[0], servers[0]):
        store, theirs = restart, restart
    if broker is None or _differ(before.servers[1], servers[1]):
        theirs = restart
    asked = before.asked if theirs is before.broker else {}
    kept = tuple(new or old for new, old in zip(servers, before.servers, strict=True))
    whole = store is before.store and theirs is before.broker
    notes = dataclasses.replace(
        before, round_at=now, store=store, broker=theirs, servers=(kept[0], kept[1]), asked=asked
    )
    return notes, whole


def after_failed_send(notes: RoundState, interval_seconds: float) -> RoundState:
    """The notes after heartbeats could not be sent: nobody is asked anything that is waited for."""
    until = notes.round_at + max(GRACE_INTERVALS * interval_seconds, RECONNECT_SECONDS)
    return dataclasses.replace(notes, broker=GracePeriod(notes.round_at, until), asked={})


def without_answered(
    notes: RoundState, executed: Mapping[str, ExecutedHeartbeat], started: Mapping[str, float]
) -> RoundState:
    """Without the heartbeats that are waited for no longer: a newer one was executed, or the worker began later.

    Or the worker is known no more: ``started`` holds when each of them began.
    """
    asked = {}
    for target, sent in notes.asked.items():
        if target.startswith("worker:") and target not in started:
            continue
        done = executed[target].sent_at if target in executed else 0.0
        newest = max(done, started.get(target, 0.0)) + 1e-6  # as text they may differ in the last microsecond
        if left := tuple(at for at in sent if at > newest):
            asked[target] = left
    return dataclasses.replace(notes, asked=asked)


def with_sent_heartbeats(notes: RoundState, sent: Mapping[str, float], emitted_at: float | None) -> RoundState:
    """With the heartbeats that were sent just now. Of many that wait, the oldest and the newest are kept."""
    merged = dict(notes.asked)
    for target, at in sent.items():
        waiting = (*merged.get(target, ()), at)
        merged[target] = waiting if len(waiting) <= AWAITED_KEPT else (waiting[0], *waiting[2:])
    return dataclasses.replace(notes, asked=merged, emitted_at=emitted_at or notes.emitted_at)


def with_finished_tasks(notes: RoundState, sighting: WorkerReport) -> RoundState:
    """With what every worker has finished by its newest beacon: tasks and heartbeats."""
    worked = {}
    for node, seen in sighting.beacons.items():
        finished = seen.beacon.done + seen.beacon.heartbeats
        before, at = notes.worked.get(node, (finished, 0.0))
        if finished < before:  # it has started anew
            at = 0.0
        worked[node] = (finished, seen.at if finished > before else at)
    return dataclasses.replace(notes, worked=worked)


def with_expected_queues(
    notes: RoundState,
    declared: Mapping[str, StoredBeacon],
    short_lived: Container[str],
    configured: Iterable[str],
    forget_seconds: float,
) -> RoundState:
    """Return the notes with all queues that are expected: configured, declared now, or once and not yet given up.

    ``declared``: the lasting queues in the workers' beacons, each with the newest of these beacons: a queue that is new
    was served when that was written. ``short_lived``: those that are known not to be lasting.
    """
    now = notes.round_at
    here = {*declared, *configured}
    queues = {name: note for name, note in notes.queues.items() if name in here or name not in short_lived}
    for name in here:
        seen = declared.get(name)
        known = queues.get(name) or QueueRoundState(now, min(now, seen.at) if seen else now)
        instance = seen.beacon.instance if seen else known.instance
        queues[name] = dataclasses.replace(known, declared_at=now, instance=instance)
    expected = {name: note for name, note in queues.items() if now - note.declared_at < forget_seconds}
    if len(expected) > QUEUES_KEPT:
        newest = sorted(expected, key=lambda name: (name in here, expected[name].declared_at), reverse=True)
        expected = {name: expected[name] for name in newest[:QUEUES_KEPT]}
    return dataclasses.replace(notes, queues=expected)


def with_queue_head(note: QueueRoundState, depth: QueueDepth | None, now: float, *, able: bool) -> QueueRoundState:
    """The note after a look at the queue's head.

    Only that time counts in which somebody was ``able`` to take it: a head that workers have no room for may stand.
    """
    head = depth.head if depth else None
    if head is None:
        return dataclasses.replace(note, head=None, head_since=None)
    return note if able and head == note.head else dataclasses.replace(note, head=head, head_since=now)


def without_removed(notes: RoundState, queues: Iterable[str]) -> RoundState:
    """Return the notes without the heartbeats of queues from which they were removed."""
    removed = {target_field("queue", queue) for queue in queues}
    return dataclasses.replace(notes, asked={key: sent for key, sent in notes.asked.items() if key not in removed})


def with_departed(notes: RoundState, nodes: Iterable[str]) -> RoundState:
    """With workers that are forgotten now, so that what the broker still knows of them is no stranger."""
    now = notes.round_at
    departed = {node: at for node, at in notes.departed.items() if now - at < DEPARTED_SECONDS}
    departed |= dict.fromkeys(nodes, now)
    newest = sorted(departed.items(), key=lambda item: -item[1])[:DEPARTED_KEPT]
    return dataclasses.replace(notes, departed=dict(newest))


def _later(old: GracePeriod, new: GracePeriod) -> GracePeriod:
    return GracePeriod(new.since, max(old.until, new.until))


def _until(patience: GracePeriod, latest: float) -> GracePeriod:
    """No patience outlasts one that begins now."""
    return patience if patience.until <= latest else GracePeriod(patience.since, latest)


def _differ(old: str | None, new: str | None) -> bool:
    return old is not None and new is not None and old != new


def _moment_until(latest: float, value: Any) -> float:
    at = decoding.moment(value)
    if at > latest:
        raise ValueError("from the future")
    return at


def _entries(value: Any, name: Callable[[Any], str], entry: Callable[[Any], Any]) -> tuple[dict[str, Any], int]:
    """The entries of a JSON object that can be understood, and how many cannot."""
    if not isinstance(value, dict):
        return {}, 1
    found, left_out = {}, max(0, len(value) - ENTRIES_KEPT)
    for key in [*value][:ENTRIES_KEPT]:
        try:
            found[name(key)] = entry(value[key])
        except decoding.BROKEN:
            left_out += 1
    return found, left_out


def _names(value: Any, name: Callable[[Any], str]) -> tuple[frozenset[str], int]:
    if not isinstance(value, list):
        return frozenset(), 1
    found, left_out = _entries(dict.fromkeys(each for each in value if isinstance(each, str)), name, bool)
    return frozenset(found), left_out + sum(not isinstance(each, str) for each in value)


def _check(value: Any) -> str:
    name = decoding.check_name(value)
    if name != SUMMARY and not name.startswith(CHECK_PREFIXES):
        raise ValueError("no check of a round")
    return name


def _target(value: Any) -> str:
    return decoding.label(value, most_bytes=decoding.LABEL_BYTES + len("worker:"))


def _queue(at: Callable[[Any], float], values: Any) -> QueueRoundState:
    # Earlier versions wrote the first four of them.
    declared_at, served_at, head, head_since, left_at, instance = [*values, None, None][:6]
    head_since, left_at = (None if each is None else at(each) for each in (head_since, left_at))
    return QueueRoundState(at(declared_at), at(served_at), _name(head), head_since, left_at, _name(instance))


def _worked(at: Callable[[Any], float], done: Any, since: Any) -> tuple[int, float]:
    return decoding.count(done), at(since)


def _name(value: Any) -> str | None:
    return None if value is None else decoding.text(value, most_bytes=decoding.LABEL_BYTES)
