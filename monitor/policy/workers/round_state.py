"""State that one round over the workers stores for the next: sent heartbeats, expected queues, grace periods.

While the store or the broker is down, or no rounds take place, the monitor cannot observe workers and must not blame
them. So after a restart of the store or the broker, and after a gap between rounds, all ages are counted anew. Until
the grace period ends, a worker or queue that has not been observed again keeps its last verdict.
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
"""Rounds are half an interval apart. A longer pause is a gap: beacons may be missing for the same reason."""

GRACE_INTERVALS = 2.5
"""Length of a grace period. After it, a dead worker's beacon is overdue, and an idle worker's heartbeat is overdue."""

RECONNECT_SECONDS = 10.0
"""Celery's workers may need this long to reconnect to a restarted broker."""

CLOCK_TOLERANCE_SECONDS = 5.0
"""The store's clock may step back by this much in a fail-over."""

AWAITED_KEPT = 5
"""Unanswered heartbeats stored for each worker and queue."""

QUEUES_KEPT = 1000
"""Most expected queues in the round state."""

DEPARTED_KEPT = 2000
DEPARTED_SECONDS = 7 * 86_400.0
"""Number and age of forgotten workers in the round state."""

ROUND_STATE_BYTES = 8 * 1024 * 1024
ENTRIES_KEPT = 20_000
"""Most bytes of the round state, and most entries of each of its fields, that are read."""

_STORED_NAMES = {"awaited": "asked"}
"""Fields whose key in the stored round state differs from their name, because all versions write that key."""

CHECK_PREFIXES = ("worker:", "queue:", "host:")
"""Prefixes of the checks that a round writes, besides the summary."""


@dataclass(frozen=True, slots=True)
class GracePeriod:
    """Time after a fault of the store, the broker or the monitor.

    Failures before ``since`` are ignored. Verdicts on workers and queues not observed after ``since`` are suspended
    until ``until``.
    """

    since: float = 0.0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class QueueRoundState:
    """Round state of one expected queue.

    - ``declared_at``: last time at which a worker or the configuration declared it, or other messages than heartbeats
      waited in it.
    - ``served_at``: last time at which a worker is known to have served it.
    - ``head``: identity of the message at its head; ``head_since``: time since which it is the same.
    - ``left_at``: time at which the last worker that served it left with a goodbye.
    - ``instance``: instance of the worker whose beacon declared it last. None when no worker with an agent ever did.
    """

    declared_at: float
    served_at: float
    head: str | None = None
    head_since: float | None = None
    left_at: float | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class RoundState:
    """State that a round leaves for the next one.

    - ``round_at``: time of the round; ``emitted_at``: time of the last round that sent heartbeats.
    - ``store``, ``broker``: their grace periods; ``servers``: identities of the store's and the broker's server.
    - ``awaited``: times at which unanswered heartbeats were sent, by target field: the oldest, and the newest others.
    - ``queues``: the expected queues, by name.
    - ``worked``: by worker, the number of finished tasks (heartbeats included), and the time at which it last changed
      (0 for never).
    - ``departed``: instrumented workers that were forgotten, with the time of that.
    - ``written``: checks that have a state; ``closed``: those of them that got their last outcome.
    - ``removed``: workers whose own queue has been removed.
    - ``project``: name of the project that owned the store.
    """

    round_at: float
    emitted_at: float = 0.0
    store: GracePeriod = GracePeriod()
    broker: GracePeriod = GracePeriod()
    servers: tuple[str | None, str | None] = (None, None)
    awaited: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    queues: Mapping[str, QueueRoundState] = field(default_factory=dict)
    worked: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    departed: Mapping[str, float] = field(default_factory=dict)
    written: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    project: str = ""

    @property
    def since(self) -> float:
        """Time before which failures are ignored."""
        return max(self.store.since, self.broker.since)


def encode(state: RoundState) -> bytes:
    """Return the round state as JSON, about 130 bytes for each worker."""
    value = {_STORED_NAMES.get(name, name): content for name, content in dataclasses.asdict(state).items()}
    value["queues"] = {name: list(dataclasses.astuple(queue)) for name, queue in state.queues.items()}
    for name in ("written", "closed", "removed"):
        value[name] = sorted(value[name])
    return json.dumps(value, separators=(",", ":")).encode()


def decode(raw: bytes) -> tuple[RoundState | None, int]:
    """Return the round state and the number of rejected entries; None for bytes that are not a round state.

    An entry with a time later than the round's is rejected: a round would wait for it without end.
    """
    try:
        value = decoding.load(raw, max_bytes=ROUND_STATE_BYTES)
        round_at = decoding.moment(value["round_at"])
        at = partial(_moment_until, round_at + CLOCK_TOLERANCE_SECONDS)
        state = RoundState(
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
        "awaited": _entries(
            value.get(_STORED_NAMES["awaited"]), _target, lambda sent: tuple(map(at, sent))[:AWAITED_KEPT]
        ),
        "queues": _entries(value.get("queues"), decoding.object_name, lambda queue: _queue(at, queue)),
        "worked": _entries(value.get("worked"), decoding.object_name, lambda each: _worked(at, *each)),
        "departed": _entries(value.get("departed"), decoding.object_name, at),
        "written": _names(value.get("written"), _check),
        "closed": _names(value.get("closed"), _check),
        "removed": _names(value.get("removed"), decoding.object_name),
    }
    fields: dict[str, Any] = {name: valid for name, (valid, _) in entries.items()}
    return dataclasses.replace(state, **fields), sum(rejected for _, rejected in entries.values())


def resume(
    before: RoundState | None, report: WorkerReport, broker: BrokerSnapshot | None, interval_seconds: float
) -> RoundState:
    """Return the round state that this round begins with.

    A gap between rounds, and a restart of the store or the broker, begin grace periods. Unanswered heartbeats are
    dropped when the broker's grace period begins.
    """
    now = report.now
    grace = GracePeriod(now, now + GRACE_INTERVALS * interval_seconds)
    restart = GracePeriod(now, now + max(GRACE_INTERVALS * interval_seconds, RECONNECT_SECONDS))
    servers = (report.server, broker.server if broker else None)
    if before is None or before.round_at > now:
        # The round state may be missing because the server has just restarted without it.
        just_started = report.up_seconds is not None and report.up_seconds < 2 * RECONNECT_SECONDS
        start = restart if just_started else grace
        return RoundState(now, store=start, broker=start, servers=servers)
    latest = max(grace.until, restart.until)
    before = dataclasses.replace(
        before, store=_at_most_until(before.store, latest), broker=_at_most_until(before.broker, latest)
    )
    store_grace, broker_grace = before.store, before.broker
    if now - before.round_at > GAP_INTERVALS * interval_seconds:
        store_grace, broker_grace = _extended(store_grace, grace), _extended(broker_grace, grace)
    if _differ(before.servers[0], servers[0]):
        store_grace, broker_grace = restart, restart
    if broker is None or _differ(before.servers[1], servers[1]):
        broker_grace = restart
    awaited = before.awaited if broker_grace is before.broker else {}
    kept = tuple(new or old for new, old in zip(servers, before.servers, strict=True))
    return dataclasses.replace(
        before, round_at=now, store=store_grace, broker=broker_grace, servers=(kept[0], kept[1]), awaited=awaited
    )


def after_failed_send(state: RoundState, interval_seconds: float) -> RoundState:
    """Return the round state after heartbeats could not be sent: no answer is awaited, and a grace period begins."""
    until = state.round_at + max(GRACE_INTERVALS * interval_seconds, RECONNECT_SECONDS)
    return dataclasses.replace(state, broker=GracePeriod(state.round_at, until), awaited={})


def without_answered(
    state: RoundState, executed: Mapping[str, ExecutedHeartbeat], started: Mapping[str, float]
) -> RoundState:
    """Return the round state without heartbeats that no longer await an answer.

    An answer is not awaited once a newer heartbeat was executed, the worker has restarted, or the worker is not known
    any more. ``started`` holds the start times of the known workers, by target field.
    """
    awaited = {}
    for target, sent in state.awaited.items():
        if target.startswith("worker:") and target not in started:
            continue
        done = executed[target].sent_at if target in executed else 0.0
        # Times may differ in the last microsecond after they were stored as text.
        newest = max(done, started.get(target, 0.0)) + 1e-6
        if left := tuple(at for at in sent if at > newest):
            awaited[target] = left
    return dataclasses.replace(state, awaited=awaited)


def with_sent_heartbeats(state: RoundState, sent: Mapping[str, float], emitted_at: float | None) -> RoundState:
    """Return the round state with heartbeats that were just sent. Of many, the oldest and the newest ones are kept."""
    merged = dict(state.awaited)
    for target, at in sent.items():
        waiting = (*merged.get(target, ()), at)
        merged[target] = waiting if len(waiting) <= AWAITED_KEPT else (waiting[0], *waiting[2:])
    return dataclasses.replace(state, awaited=merged, emitted_at=emitted_at or state.emitted_at)


def with_finished_tasks(state: RoundState, report: WorkerReport) -> RoundState:
    """Return the round state with the number of tasks and heartbeats that each worker has finished."""
    worked = {}
    for node, stored in report.beacons.items():
        finished = stored.beacon.done + stored.beacon.heartbeats
        before, at = state.worked.get(node, (finished, 0.0))
        if finished < before:  # it has restarted
            at = 0.0
        worked[node] = (finished, stored.at if finished > before else at)
    return dataclasses.replace(state, worked=worked)


def with_expected_queues(
    state: RoundState,
    declared: Mapping[str, StoredBeacon],
    short_lived: Container[str],
    configured: Iterable[str],
    forget_seconds: float,
) -> RoundState:
    """Return the round state with the expected queues: configured, or declared within ``forget_seconds``.

    ``declared`` holds the lasting queues in the workers' beacons, each with the newest of these beacons. A new
    queue was served when that beacon was written. ``short_lived`` holds the queues that are known not to be lasting.
    """
    now = state.round_at
    present = {*declared, *configured}
    queues = {name: queue for name, queue in state.queues.items() if name in present or name not in short_lived}
    for name in present:
        stored = declared.get(name)
        known = queues.get(name) or QueueRoundState(now, min(now, stored.at) if stored else now)
        instance = stored.beacon.instance if stored else known.instance
        queues[name] = dataclasses.replace(known, declared_at=now, instance=instance)
    expected = {name: queue for name, queue in queues.items() if now - queue.declared_at < forget_seconds}
    if len(expected) > QUEUES_KEPT:
        newest = sorted(expected, key=lambda name: (name in present, expected[name].declared_at), reverse=True)
        expected = {name: expected[name] for name in newest[:QUEUES_KEPT]}
    return dataclasses.replace(state, queues=expected)


def with_queue_head(
    queue: QueueRoundState, depth: QueueDepth | None, now: float, *, has_capacity: bool
) -> QueueRoundState:
    """Return the state of a queue after its head was read.

    The age of the head counts only while ``has_capacity``: while some worker can take a message and execute it.
    """
    head = depth.head if depth else None
    if head is None:
        return dataclasses.replace(queue, head=None, head_since=None)
    return queue if has_capacity and head == queue.head else dataclasses.replace(queue, head=head, head_since=now)


def without_removed(state: RoundState, queues: Iterable[str]) -> RoundState:
    """Return the round state without unanswered heartbeats of queues from which the heartbeats were removed."""
    removed = {target_field("queue", queue) for queue in queues}
    return dataclasses.replace(state, awaited={key: sent for key, sent in state.awaited.items() if key not in removed})


def with_departed(state: RoundState, nodes: Iterable[str]) -> RoundState:
    """Return the round state with workers that are forgotten now.

    The broker may still report such a worker. It must not count as one without an agent.
    """
    now = state.round_at
    departed = {node: at for node, at in state.departed.items() if now - at < DEPARTED_SECONDS}
    departed |= dict.fromkeys(nodes, now)
    newest = sorted(departed.items(), key=lambda item: -item[1])[:DEPARTED_KEPT]
    return dataclasses.replace(state, departed=dict(newest))


def _extended(old: GracePeriod, new: GracePeriod) -> GracePeriod:
    """Return a grace period that begins with the new one and ends with the later of both."""
    return GracePeriod(new.since, max(old.until, new.until))


def _at_most_until(grace: GracePeriod, latest: float) -> GracePeriod:
    """Return the grace period, which ends no later than one that begins now."""
    return grace if grace.until <= latest else GracePeriod(grace.since, latest)


def _differ(old: str | None, new: str | None) -> bool:
    return old is not None and new is not None and old != new


def _moment_until(latest: float, value: Any) -> float:
    at = decoding.moment(value)
    if at > latest:
        raise ValueError("later than the round")
    return at


def _entries(value: Any, name: Callable[[Any], str], entry: Callable[[Any], Any]) -> tuple[dict[str, Any], int]:
    """Return the valid entries of a JSON object, and the number of invalid ones."""
    if not isinstance(value, dict):
        return {}, 1
    found, rejected = {}, max(0, len(value) - ENTRIES_KEPT)
    for key in [*value][:ENTRIES_KEPT]:
        try:
            found[name(key)] = entry(value[key])
        except decoding.BROKEN:
            rejected += 1
    return found, rejected


def _names(value: Any, name: Callable[[Any], str]) -> tuple[frozenset[str], int]:
    if not isinstance(value, list):
        return frozenset(), 1
    found, rejected = _entries(dict.fromkeys(each for each in value if isinstance(each, str)), name, bool)
    return frozenset(found), rejected + sum(not isinstance(each, str) for each in value)


def _check(value: Any) -> str:
    name = decoding.check_name(value)
    if name != SUMMARY and not name.startswith(CHECK_PREFIXES):
        raise ValueError("not a check that a round writes")
    return name


def _target(value: Any) -> str:
    return decoding.object_name(value, max_bytes=decoding.OBJECT_NAME_BYTES + len("worker:"))


def _queue(at: Callable[[Any], float], values: Any) -> QueueRoundState:
    # Earlier versions wrote only the first four values.
    declared_at, served_at, head, head_since, left_at, instance = [*values, None, None][:6]
    head_since, left_at = (None if each is None else at(each) for each in (head_since, left_at))
    return QueueRoundState(at(declared_at), at(served_at), _name(head), head_since, left_at, _name(instance))


def _worked(at: Callable[[Any], float], done: Any, since: Any) -> tuple[int, float]:
    return decoding.count(done), at(since)


def _name(value: Any) -> str | None:
    return None if value is None else decoding.text(value, max_bytes=decoding.OBJECT_NAME_BYTES)
