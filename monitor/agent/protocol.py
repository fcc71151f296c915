"""What the agent in a worker and the monitor say to each other: names, keys, and the beacon's fields.

Standard library only. Ages and durations, never the worker's wall clock: the one clock is the store's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple

from monitor.agent.identity import NAME_BYTES, Identity
from monitor.lib import decoding
from monitor.lib.safe_names import safe_name

HEARTBEAT = "monitor.tasks.heartbeat"
"""The heartbeat task. Arguments: kind (``worker`` or ``queue``), target (:attr:`Beacon.target` or queue name), sent
(microseconds since the Unix epoch by the store's clock)."""

EXPIRES_SECONDS = 300
"""What a heartbeat may wait in a worker's own queue, where the broker counts that (AMQP): no worker's clock does."""

DIRECT_QUEUE_EXPIRES_SECONDS = 300
"""An unconsumed direct queue goes after this long (AMQP; Redis from kombu 5.7 on)."""

BEACON_BYTES = 64 * 1024
QUEUES_KEPT, ACTIVE_KEPT, VERSIONS_KEPT = 1000, 200, 20
"""Of a beacon that has more, the rest is left out."""

_OWN_QUEUE = "monitor.worker."
NODE_BYTES = decoding.LABEL_BYTES - len(_OWN_QUEUE)
"""The longest name of a worker whose own queue can have a name."""
_FORBIDDEN = re.compile(r"[^!-~]")


def instance_target(node: str, instance: str) -> str:
    """Return the target of one start of a worker: ``NODE.INSTANCE``. A node is cut where that would be too long."""
    kept = node.encode()[: NODE_BYTES - len(instance) - 1].decode(errors="ignore")
    return f"{kept}.{instance}"


def direct_queue(target: str) -> str:
    """Return the name of the own queue of one start of a worker (see :attr:`Beacon.target`)."""
    return f"{_OWN_QUEUE}{target}"


def is_direct_queue(queue: str) -> bool:
    """Whether a queue is some worker's own one."""
    return queue.startswith(_OWN_QUEUE)


def client_name(node: str) -> str:
    """The name of the agent's connection to the store, as Redis takes it."""
    return f"monitor-agent:{safe_name(node, _FORBIDDEN, most_characters=2 * NODE_BYTES)}"


def target_field(kind: str, target: str) -> str:
    """Where in the hashes of :class:`Keys` something about a worker or a queue stands."""
    return f"{kind}:{target}"


class Keys(NamedTuple):
    """The keys in the store that agents write. All of them are hashes."""

    beacons: str
    """``NODE`` -> ``SEEN_AT|JSON``: when it was written, in microseconds by the store's clock, and the beacon.

    Where several workers run under one name, or did, this is the one that wrote last; the others stand beside it under
    ``NODE.INSTANCE``.
    """
    heartbeats: str
    """``worker:TARGET`` or ``queue:QUEUE`` -> ``SENT|DONE|NODE|INSTANCE``: the newest executed heartbeat; microseconds.
    Agents of earlier versions leave ``|INSTANCE`` out."""
    emitted: str
    """``worker:TARGET`` or ``queue:QUEUE`` -> ``SENT``: the newest heartbeat that the monitor has sent."""

    @classmethod
    def of(cls, prefix: str) -> Keys:
        """The keys below the store's prefix (the setting ``key_prefix``)."""
        return cls(f"{prefix}beacons", f"{prefix}heartbeats", f"{prefix}emitted")


@dataclass(frozen=True, slots=True)
class ActiveTask:
    """A task in one of the pool's slots."""

    task: str
    age_seconds: float


@dataclass(frozen=True)
class Beacon:
    """What a worker says about itself, in JSON under the names of these fields."""

    node: str
    """Celery's name of the worker, ``celery@host``."""
    host: str
    pid: int
    pool: str
    """``prefork``, ``threads``, ``gevent``, ``eventlet`` or ``solo``; else the name of its class."""
    slots: int
    """How many tasks it can execute at once."""
    interval_seconds: float
    """Time between two beacons."""
    up_seconds: float
    """Since the worker was ready to consume."""
    queues: tuple[str, ...] = ()
    """What it consumes now, its direct queue left out."""
    direct: bool = False
    """Whether it consumes its direct queue. If not, the broker refuses that."""
    active: tuple[ActiveTask, ...] = ()
    """The tasks in its slots, the oldest first; at most 200."""
    active_count: int = 0
    reserved: int = 0
    """Tasks taken from the broker and not yet in a slot."""
    held_back: int = 0
    """How many of those may not begin yet: their rate limit or their ETA forbids it."""
    prefetch_full: bool = False
    """Whether it takes no messages, those of its direct queue included, before it has acknowledged some."""
    done: int = 0
    """Tasks executed since it started."""
    heartbeats: int = 0
    """Heartbeats executed since it started; 0 from agents before this field was there."""
    stalled: int = 0
    """Slots that are stopped, or execute nothing although they were given something; ``active`` has none of theirs."""
    tasks_per_child: int | None = None
    """After how many tasks a process of the pool is replaced; None for never."""
    loop_lag_seconds: float | None = None
    """Since the consumer's timer last ticked (it does every second); None where the pool has no such loop."""
    connected: bool = True
    """Whether its consumer has a connection to the broker; while it looks for one, its loop does not turn."""
    restarts: int = 0
    """How often its consumer has connected anew."""
    instance: str = ""
    """Which start of the worker this is: another one under the same name has another word here."""
    direct_queue: str = ""
    """The name of its direct queue. Empty in beacons of earlier versions: ``monitor.worker.NODE`` then."""
    leaving: bool = False
    """It has said goodbye. No other beacon of this ``instance`` comes after that."""
    client_id: int | None = None
    """CLIENT ID of the connection that writes the beacon; None when it may not ask."""
    rss_mb: float | None = None
    """Resident memory of the worker's main process, in MiB."""
    vitals: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Of its host: ``cpu`` (percent, count), ``memory`` (percent, available_mb, total_mb), ``disk`` (percent, free_mb,
    total_mb), ``connections`` (active_connections). What cannot be measured is left out."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of celery, kombu, redis, python."""
    project: str = ""
    """The name of its project, by which a monitor ignores the workers of others (`monitor.agent.identity`). Empty from
    agents of earlier versions, and where nothing names it."""
    application: str = ""
    """The name of its Celery application."""
    settings_module: str = ""
    """The first part of its Django settings module's name."""
    accept: tuple[str, ...] = ("application/json",)
    """The content types that its application accepts. Agents before this field was there were sent JSON alone."""
    short_lived: Mapping[str, str] | None = None
    """Of ``queues``, those that are not lasting, and why: ``fanout``, ``exclusive``, ``auto_delete``, ``expires``,
    ``not_durable`` or ``node`` (made for this node alone). None from agents before this field was there."""

    @property
    def target(self) -> str:
        """What this start of the worker is called where heartbeats are sent and recorded."""
        return self.direct_queue.removeprefix(_OWN_QUEUE) or self.node


def with_project(beacon: Beacon, project: Identity) -> Beacon:
    """Return the beacon with the identity of its worker's project."""
    application = next(iter(project.applications), "")
    return replace(beacon, project=project.name, application=application, settings_module=project.module)


def identity_of(beacon: Beacon) -> Identity:
    """Return the identity of a worker's project."""
    applications = (beacon.application,) if beacon.application else ()
    return Identity(beacon.project, applications, beacon.settings_module)


def encode(beacon: Beacon) -> str:
    """Return the beacon as JSON.

    A monitor of an earlier version sends heartbeats to ``monitor.worker.NODE`` when ``direct`` is true, and nothing
    consumes that: it reads false there, and judges the worker without heartbeats.
    """
    value = asdict(beacon)
    if beacon.direct_queue:
        value |= {"direct": False, _CONSUMES_DIRECT: beacon.direct}
    return json.dumps(value, separators=(",", ":"))


def decode(text: str | bytes) -> Beacon | None:
    """The beacon; None for anything that is none. Unknown fields, of a newer agent, are left out."""
    try:
        value: dict[str, Any] = decoding.load(text, most_bytes=BEACON_BYTES)
        known = {entry.name: value[entry.name] for entry in fields(Beacon) if entry.name in value}
        known["queues"] = tuple(map(str, known.get("queues", ())))
        if known.get("direct_queue"):
            known["direct"] = bool(value.get(_CONSUMES_DIRECT))
        if "accept" in known:
            known["accept"] = tuple(map(str, known["accept"]))
        known["active"] = tuple(ActiveTask(str(a["task"]), float(a["age_seconds"])) for a in known.get("active", ()))
        return _within_limits(Beacon(**known))
    except decoding.BROKEN:
        return None


def _within_limits(beacon: Beacon) -> Beacon:
    label, text, amount, count = decoding.label, decoding.text, decoding.amount, decoding.count
    return replace(
        beacon,
        node=label(beacon.node, most_bytes=NODE_BYTES),
        host=label(beacon.host),
        pid=count(beacon.pid),
        pool=decoding.text(beacon.pool, most_bytes=decoding.LABEL_BYTES),
        slots=max(1, count(beacon.slots)),
        interval_seconds=amount(beacon.interval_seconds),
        up_seconds=max(0.0, amount(beacon.up_seconds)),
        queues=tuple(name for name in map(decoding.text, beacon.queues[:QUEUES_KEPT]) if _is_label(name)),
        direct=bool(beacon.direct),
        active=tuple(ActiveTask(_clipped(task.task), amount(task.age_seconds)) for task in beacon.active[:ACTIVE_KEPT]),
        active_count=count(beacon.active_count),
        reserved=count(beacon.reserved),
        held_back=count(beacon.held_back),
        prefetch_full=bool(beacon.prefetch_full),
        done=count(beacon.done),
        heartbeats=count(beacon.heartbeats),
        stalled=count(beacon.stalled),
        tasks_per_child=None if beacon.tasks_per_child is None else count(beacon.tasks_per_child),
        loop_lag_seconds=decoding.optional_amount(beacon.loop_lag_seconds),
        connected=bool(beacon.connected),
        restarts=count(beacon.restarts),
        instance=_instance(beacon.instance),
        direct_queue=_own_queue(beacon.direct_queue),
        leaving=bool(beacon.leaving),
        client_id=None if beacon.client_id is None else max(1, count(beacon.client_id)),
        rss_mb=decoding.optional_amount(beacon.rss_mb),
        vitals={kind: _vitals(beacon.vitals[kind]) for kind in _HOST_KINDS if kind in beacon.vitals},
        project=text(beacon.project, most_bytes=NAME_BYTES),
        application=text(beacon.application, most_bytes=NAME_BYTES),
        settings_module=text(beacon.settings_module, most_bytes=NAME_BYTES),
        versions={label(name): label(version) for name, version in [*beacon.versions.items()][:VERSIONS_KEPT]},
        accept=tuple(label(content_type) for content_type in beacon.accept[:VERSIONS_KEPT]),
        short_lived=None if beacon.short_lived is None else _reasons(beacon.short_lived, beacon.queues),
    )


def _is_label(name: str) -> bool:
    """Whether a queue can be the target of a heartbeat."""
    return 0 < len(name.encode()) <= decoding.LABEL_BYTES


def _reasons(short_lived: Mapping[str, str], queues: tuple[str, ...]) -> dict[str, str]:
    return {name: decoding.label(short_lived[name]) for name in queues[:QUEUES_KEPT] if name in short_lived}


def _instance(value: Any) -> str:
    """Return the id of an instance: letters and digits, for it is part of names, and scripts search it in the JSON."""
    found = decoding.text(value, most_bytes=_INSTANCE_BYTES)
    if found and not (found.isascii() and found.isalnum()):
        raise ValueError("no instance")
    return found


def _own_queue(value: Any) -> str:
    """Return the name of a direct queue: heartbeats are sent to it, and later it is removed."""
    found = decoding.text(value, most_bytes=decoding.LABEL_BYTES)
    if found and (found == _OWN_QUEUE or not is_direct_queue(found)):
        raise ValueError("no worker's own queue")
    return found


def _clipped(task: str) -> str:
    return decoding.text(task).encode()[: decoding.LABEL_BYTES].decode(errors="ignore")


def _vitals(numbers: Mapping[str, float]) -> dict[str, float]:
    return {decoding.label(name): decoding.number(value) for name, value in [*numbers.items()][:VERSIONS_KEPT]}


_CONSUMES_DIRECT = "consumes_direct_queue"
_INSTANCE_BYTES = 64
_HOST_KINDS = ("cpu", "memory", "disk", "connections")
