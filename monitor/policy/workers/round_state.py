"""State that a round over the workers stores for the next round: sent heartbeats, expected queues, grace periods.

While the store or the broker is down, or while no rounds take place, the monitor cannot observe workers. So a grace
period begins in three cases: the store restarts, the broker restarts, or there is a gap between two rounds. All ages
are then counted from the start of the grace period. During the grace period, a worker or queue that was not observed
since its start keeps its last verdict.
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
"""A time between two rounds is a gap if it is longer than this, in intervals.

Rounds are half an interval apart. The cause of a gap may also have prevented beacons.
"""

GRACE_INTERVALS = 2.5
"""Length of a grace period, in intervals.

In this time the beacon of a dead worker becomes overdue, and so does the heartbeat of a worker that consumes nothing.
"""

RECONNECT_SECONDS = 10.0
"""Time that Celery's workers may need to reconnect to a restarted broker."""

CLOCK_TOLERANCE_SECONDS = 5.0
"""In a fail-over the store's clock may go back by this time."""

UNANSWERED_KEPT = 5
"""Most unanswered heartbeats in the round state for each worker and each queue."""

QUEUES_KEPT = 1000
"""Most expected queues in the round state."""

DEPARTED_KEPT = 2000
"""Most forgotten workers in the round state."""
DEPARTED_SECONDS = 7 * 86_400.0
"""Time for which the round state keeps a forgotten worker."""

ROUND_STATE_BYTES = 8 * 1024 * 1024
"""Most bytes of a round state. A longer one is rejected."""
ENTRIES_KEPT = 20_000
"""Most entries that are read of each field of the round state. Further entries are rejected."""

_STORED_NAMES = {"unanswered": "asked"}
"""By name of a field, its key in the stored round state. Earlier versions wrote this key."""

CHECK_PREFIXES = ("worker:", "queue:", "host:")
"""Prefixes of the names of the checks that a round writes. It also writes the check ``workers``."""


@dataclass(frozen=True, slots=True)
class GracePeriod:
    """Grace period from ``since`` to ``until``, after a fault of the store, the broker or the monitor.

    Failures before ``since`` are ignored. Until ``until``, the verdict of a worker or queue that was not observed after
    ``since`` is suspended.
    """

    since: float = 0.0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class QueueRoundState:
    """Round state of one expected queue.

    - ``declared_at``: last time at which one of these was true: a beacon declares the queue, the configuration names
      it, or messages other than heartbeats wait in it.
    - ``served_at``: last time at which a worker is known to have served the queue.
    - ``head``: id of the message at the head of the queue.
    - ``head_since``: time since which this message has been at the head.
    - ``left_at``: time of the goodbye of the last worker that served the queue.
    - ``instance``: instance of the worker whose beacon declared the queue last. None when no beacon ever declared it.
    """

    declared_at: float
    served_at: float
    head: str | None = None
    head_since: float | None = None
    left_at: float | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class RoundState:
    """State that a round stores for the next round.

    - ``round_at``: time of the round.
    - ``emitted_at``: time of the last round that sent heartbeats.
    - ``store``, ``broker``: grace periods of the store and of the broker.
    - ``servers``: ids of the server of the store and of the server of the broker.
    - ``unanswered``: by target field, the times at which the unanswered heartbeats were sent. If there are more than
      `UNANSWERED_KEPT`, the oldest time and the newest times are kept.
    - ``queues``: by name, the expected queues.
    - ``worked``: by target of a worker, its number of finished tasks (heartbeats included), and the time at which this
      number last changed (0: never).
    - ``departed``: by node name of a forgotten worker with an agent, the time at which it was forgotten.
    - ``written``: names of the checks that rounds have written and that have a state in the store.
    - ``closed``: names of the checks in ``written`` that got their last outcome (see `rounds.with_last_outcomes`).
    - ``removed``: targets of the workers whose own queue was deleted.
    - ``project``: name of the project that the store belonged to.
    """

    round_at: float
    emitted_at: float = 0.0
    store: GracePeriod = GracePeriod()
    broker: GracePeriod = GracePeriod()
    servers: tuple[str | None, str | None] = (None, None)
    unanswered: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    queues: Mapping[str, QueueRoundState] = field(default_factory=dict)
    worked: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    departed: Mapping[str, float] = field(default_factory=dict)
    written: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    project: str = ""

    @property
    def since(self) -> float:
        """Start of the newest grace period. Failures before it are ignored."""
        return max(self.store.since, self.broker.since)


def encode(state: RoundState) -> bytes:
    """Return the round state as JSON, about 130 bytes for each worker."""
    value = {_STORED_NAMES.get(name, name): content for name, content in dataclasses.asdict(state).items()}
    value["queues"] = {name: list(dataclasses.astuple(queue)) for name, queue in state.queues.items()}
    for name in ("written", "closed", "removed"):
        value[name] = sorted(value[name])
    return json.dumps(value, separators=(",", ":")).encode()


def decode(raw: bytes) -> tuple[RoundState | None, int]:
    """Return the round state, or None for bytes that are no round state, and the number of rejected entries.

    An entry whose time is later than the time of the round is rejected: its age would never reach a limit.
    """
    try:
        value = decoding.load(raw, max_bytes=ROUND_STATE_BYTES)
        round_at = decoding.moment(value["round_at"])
        moment = partial(_moment_until, round_at + CLOCK_TOLERANCE_SECONDS)
        state = RoundState(
            round_at=round_at,
            emitted_at=moment(value["emitted_at"]),
            store=GracePeriod(moment(value["store"]["since"]), decoding.moment(value["store"]["until"])),
            broker=GracePeriod(moment(value["broker"]["since"]), decoding.moment(value["broker"]["until"])),
            servers=(_decode_name(value["servers"][0]), _decode_name(value["servers"][1])),
            project=_decode_name(value.get("project")) or "",
        )
    except decoding.BROKEN:
        return None, 1 if raw else 0
    entries = {
        "unanswered": _decode_entries(
            value.get(_STORED_NAMES["unanswered"]),
            _decode_target,
            lambda sent: tuple(map(moment, sent))[:UNANSWERED_KEPT],
        ),
        "queues": _decode_entries(
            value.get("queues"), decoding.object_name, lambda queue: _decode_queue(moment, queue)
        ),
        "worked": _decode_entries(
            value.get("worked"), decoding.object_name, lambda each: _decode_worked(moment, *each)
        ),
        "departed": _decode_entries(value.get("departed"), decoding.object_name, moment),
        "written": _decode_names(value.get("written"), _decode_check),
        "closed": _decode_names(value.get("closed"), _decode_check),
        "removed": _decode_names(value.get("removed"), decoding.object_name),
    }
    fields: dict[str, Any] = {name: valid for name, (valid, _) in entries.items()}
    return dataclasses.replace(state, **fields), sum(rejected for _, rejected in entries.values())


def resume(
    before: RoundState | None, report: WorkerReport, broker: BrokerSnapshot | None, interval_seconds: float
) -> RoundState:
    """Return the round state with which this round begins.

    After a gap between rounds, both grace periods begin: that of the store and that of the broker. They also begin
    after a restart of the store. After a restart of the broker, and while it does not answer, only its own begins. When
    the grace period of the broker begins, the unanswered heartbeats are removed from the round state.
    """
    now = report.now
    after_gap = GracePeriod(now, now + GRACE_INTERVALS * interval_seconds)
    after_restart = GracePeriod(now, now + max(GRACE_INTERVALS * interval_seconds, RECONNECT_SECONDS))
    servers = (report.server, broker.server if broker else None)
    if before is None or before.round_at > now:
        # If the server has just started, it has probably restarted and lost the round state.
        just_started = report.up_seconds is not None and report.up_seconds < 2 * RECONNECT_SECONDS
        grace = after_restart if just_started else after_gap
        return RoundState(now, store=grace, broker=grace, servers=servers)
    latest = after_restart.until
    before = dataclasses.replace(
        before, store=_at_most_until(before.store, latest), broker=_at_most_until(before.broker, latest)
    )
    store_grace, broker_grace = before.store, before.broker
    if now - before.round_at > GAP_INTERVALS * interval_seconds:
        store_grace, broker_grace = _extended(store_grace, after_gap), _extended(broker_grace, after_gap)
    if _differ(before.servers[0], servers[0]):
        store_grace, broker_grace = after_restart, after_restart
    if broker is None or _differ(before.servers[1], servers[1]):
        broker_grace = after_restart
    unanswered = before.unanswered if broker_grace is before.broker else {}
    known_servers = tuple(new or old for new, old in zip(servers, before.servers, strict=True))
    return dataclasses.replace(
        before,
        round_at=now,
        store=store_grace,
        broker=broker_grace,
        servers=(known_servers[0], known_servers[1]),
        unanswered=unanswered,
    )


def after_failed_send(state: RoundState, interval_seconds: float) -> RoundState:
    """Return the round state after heartbeats could not be sent: a grace period of the broker begins.

    The unanswered heartbeats are removed from the round state.
    """
    until = state.round_at + max(GRACE_INTERVALS * interval_seconds, RECONNECT_SECONDS)
    return dataclasses.replace(state, broker=GracePeriod(state.round_at, until), unanswered={})


def without_answered(
    state: RoundState, executed: Mapping[str, ExecutedHeartbeat], started_at: Mapping[str, float]
) -> RoundState:
    """Return the round state without the heartbeats that are no longer counted as unanswered.

    There are three cases: this heartbeat or a newer one was executed, the worker has started since, or the worker has
    no beacon any more. ``started_at`` holds the start times of the workers, by target field.
    """
    unanswered = {}
    for target, sent in state.unanswered.items():
        if target.startswith("worker:") and target not in started_at:
            continue
        executed_at = executed[target].sent_at if target in executed else 0.0
        # Storing a time as text may change its last microsecond.
        answered_until = max(executed_at, started_at.get(target, 0.0)) + 1e-6
        if left := tuple(at for at in sent if at > answered_until):
            unanswered[target] = left
    return dataclasses.replace(state, unanswered=unanswered)


def with_sent_heartbeats(state: RoundState, sent: Mapping[str, float], emitted_at: float | None) -> RoundState:
    """Return the round state with the heartbeats that were just sent."""
    merged = dict(state.unanswered)
    for target, at in sent.items():
        times = (*merged.get(target, ()), at)
        # The oldest time is always kept, because it gives the age.
        merged[target] = times if len(times) <= UNANSWERED_KEPT else (times[0], *times[2:])
    return dataclasses.replace(state, unanswered=merged, emitted_at=emitted_at or state.emitted_at)


def with_finished_tasks(state: RoundState, report: WorkerReport) -> RoundState:
    """Return the round state with the number of tasks and heartbeats that each worker has finished."""
    worked = {}
    for target, stored in report.beacons.items():
        finished = stored.beacon.done + stored.beacon.heartbeats
        finished_before, changed_at = state.worked.get(target, (finished, 0.0))
        if finished < finished_before:  # the worker has restarted
            changed_at = 0.0
        worked[target] = (finished, stored.at if finished > finished_before else changed_at)
    return dataclasses.replace(state, worked=worked)


def with_expected_queues(
    state: RoundState,
    declared: Mapping[str, StoredBeacon],
    short_lived: Container[str],
    configured: Iterable[str],
    forget_seconds: float,
) -> RoundState:
    """Return the round state with the expected queues: configured, or declared within ``forget_seconds``.

    ``declared`` holds the lasting queues in the beacons, each with the newest beacon that declares it. A new
    queue counts as served at the time of this beacon. ``short_lived`` holds the names of queues that are not lasting.
    """
    now = state.round_at
    present = {*declared, *configured}
    queues = {name: queue for name, queue in state.queues.items() if name in present or name not in short_lived}
    for name in present:
        stored = declared.get(name)
        queue = queues.get(name) or QueueRoundState(now, min(now, stored.at) if stored else now)
        instance = stored.beacon.instance if stored else queue.instance
        queues[name] = dataclasses.replace(queue, declared_at=now, instance=instance)
    expected = {name: queue for name, queue in queues.items() if now - queue.declared_at < forget_seconds}
    if len(expected) > QUEUES_KEPT:
        newest = sorted(expected, key=lambda name: (name in present, expected[name].declared_at), reverse=True)
        expected = {name: expected[name] for name in newest[:QUEUES_KEPT]}
    return dataclasses.replace(state, queues=expected)


def with_queue_head(
    queue: QueueRoundState, depth: QueueDepth | None, now: float, *, has_capacity: bool
) -> QueueRoundState:
    """Return the state of a queue after its head was read.

    ``has_capacity`` is whether a worker can take a message now and execute it. While no worker can, ``head_since`` is
    the current time: that the head does not change proves nothing then.
    """
    head = depth.head if depth else None
    if head is None:
        return dataclasses.replace(queue, head=None, head_since=None)
    return queue if has_capacity and head == queue.head else dataclasses.replace(queue, head=head, head_since=now)


def without_removed(state: RoundState, queues: Iterable[str]) -> RoundState:
    """Return the round state after the heartbeats in ``queues`` were removed: these are no longer unanswered."""
    removed = {target_field("queue", queue) for queue in queues}
    return dataclasses.replace(
        state, unanswered={key: sent for key, sent in state.unanswered.items() if key not in removed}
    )


def with_departed(state: RoundState, nodes: Iterable[str]) -> RoundState:
    """Return the round state with the nodes that are forgotten now.

    The broker may still report a forgotten worker. It must not be taken for a worker without an agent.
    """
    now = state.round_at
    departed = {node: at for node, at in state.departed.items() if now - at < DEPARTED_SECONDS}
    departed |= dict.fromkeys(nodes, now)
    newest = sorted(departed.items(), key=lambda item: -item[1])[:DEPARTED_KEPT]
    return dataclasses.replace(state, departed=dict(newest))


def _extended(old: GracePeriod, new: GracePeriod) -> GracePeriod:
    """Return a grace period that begins with the new one and ends with the one that ends later."""
    return GracePeriod(new.since, max(old.until, new.until))


def _at_most_until(grace: GracePeriod, latest: float) -> GracePeriod:
    """Return the grace period with its end at ``latest`` at the latest."""
    return grace if grace.until <= latest else GracePeriod(grace.since, latest)


def _differ(old: str | None, new: str | None) -> bool:
    return old is not None and new is not None and old != new


def _moment_until(latest: float, value: Any) -> float:
    moment = decoding.moment(value)
    if moment > latest:
        raise ValueError("later than the round")
    return moment


def _decode_entries(
    value: Any, decode_key: Callable[[Any], str], decode_value: Callable[[Any], Any]
) -> tuple[dict[str, Any], int]:
    """Return the valid entries of a JSON object, and the number of rejected entries."""
    if not isinstance(value, dict):
        return {}, 1
    valid, rejected = {}, max(0, len(value) - ENTRIES_KEPT)
    for key in [*value][:ENTRIES_KEPT]:
        try:
            valid[decode_key(key)] = decode_value(value[key])
        except decoding.BROKEN:
            rejected += 1
    return valid, rejected


def _decode_names(value: Any, decode_name: Callable[[Any], str]) -> tuple[frozenset[str], int]:
    """Return the valid names of a JSON list, and the number of rejected entries."""
    if not isinstance(value, list):
        return frozenset(), 1
    texts = [each for each in value if isinstance(each, str)]
    valid, rejected = _decode_entries(dict.fromkeys(texts), decode_name, bool)
    return frozenset(valid), rejected + len(value) - len(texts)


def _decode_check(value: Any) -> str:
    name = decoding.check_name(value)
    if name != SUMMARY and not name.startswith(CHECK_PREFIXES):
        raise ValueError("not a check that a round writes")
    return name


def _decode_target(value: Any) -> str:
    return decoding.object_name(value, max_bytes=decoding.OBJECT_NAME_BYTES + len("worker:"))


def _decode_queue(moment: Callable[[Any], float], values: Any) -> QueueRoundState:
    # Earlier versions wrote only the first four values.
    declared_at, served_at, head, head_since, left_at, instance = [*values, None, None][:6]
    head_since, left_at = (None if each is None else moment(each) for each in (head_since, left_at))
    return QueueRoundState(
        moment(declared_at), moment(served_at), _decode_name(head), head_since, left_at, _decode_name(instance)
    )


def _decode_worked(moment: Callable[[Any], float], finished: Any, changed_at: Any) -> tuple[int, float]:
    return decoding.count(finished), moment(changed_at)


def _decode_name(value: Any) -> str | None:
    return None if value is None else decoding.text(value, max_bytes=decoding.OBJECT_NAME_BYTES)
