"""Protocol between the agents and the monitor: names, keys of the store, and the fields of a beacon.

The module uses only the standard library. A beacon holds ages and durations, never times of the worker's wall clock:
all times are those of the store's clock.
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
"""Name of the heartbeat task.

Its arguments are the kind (``worker`` or ``queue``), the target (:attr:`Beacon.target` or a queue's name) and the send
time (microseconds since the Unix epoch by the store's clock)."""

EXPIRES_SECONDS = 300
"""Expiration of a heartbeat in a direct queue. Only the broker applies it (AMQP), never a worker's clock."""

DIRECT_QUEUE_EXPIRES_SECONDS = 300
"""Time after which the broker deletes a direct queue without a consumer (AMQP; Redis since kombu 5.7)."""

BEACON_BYTES = 64 * 1024
QUEUES_KEPT, ACTIVE_KEPT, VERSIONS_KEPT = 1000, 200, 20
"""Limits of a beacon. Entries beyond them are dropped."""

_OWN_QUEUE = "monitor.worker."
NODE_BYTES = decoding.OBJECT_NAME_BYTES - len(_OWN_QUEUE)
"""Longest node name in bytes, so that the name of the direct queue stays within its limit."""
_FORBIDDEN = re.compile(r"[^!-~]")


def instance_target(node: str, instance: str) -> str:
    """Return the target of one instance of a worker: ``NODE.INSTANCE``. A node name that is too long is truncated."""
    kept = node.encode()[: NODE_BYTES - len(instance) - 1].decode(errors="ignore")
    return f"{kept}.{instance}"


def direct_queue(target: str) -> str:
    """Return the name of the direct queue of a target (see :attr:`Beacon.target`)."""
    return f"{_OWN_QUEUE}{target}"


def is_direct_queue(queue: str) -> bool:
    """Return whether a queue is the direct queue of a worker."""
    return queue.startswith(_OWN_QUEUE)


def client_name(node: str) -> str:
    """Return the name of an agent's connection to the store in a form that CLIENT SETNAME accepts."""
    return f"monitor-agent:{safe_name(node, _FORBIDDEN, max_characters=2 * NODE_BYTES)}"


def target_field(kind: str, target: str) -> str:
    """Return the field of a worker or a queue in the hashes of :class:`Keys`."""
    return f"{kind}:{target}"


class Keys(NamedTuple):
    """Keys in the store for beacons and heartbeats. All of them are hashes."""

    beacons: str
    """``NODE`` -> ``SEEN_AT|JSON``: time of writing in microseconds by the store's clock, and the beacon.

    If several instances have one node name, this field holds the one that wrote last. The fields ``NODE.INSTANCE`` hold
    the others.
    """
    heartbeats: str
    """``worker:TARGET`` or ``queue:QUEUE`` -> ``SENT|DONE|NODE|INSTANCE`` of the newest executed heartbeat.

    Times are in microseconds. Agents of earlier versions omit ``|INSTANCE``."""
    emitted: str
    """``worker:TARGET`` or ``queue:QUEUE`` -> ``SENT`` of the newest heartbeat that was sent. The monitor writes it."""

    @classmethod
    def of(cls, prefix: str) -> Keys:
        """Return the keys for the store's prefix (the setting ``key_prefix``)."""
        return cls(f"{prefix}beacons", f"{prefix}heartbeats", f"{prefix}emitted")


@dataclass(frozen=True, slots=True)
class ActiveTask:
    """A task in one of the pool's slots."""

    task: str
    age_seconds: float


@dataclass(frozen=True)
class Beacon:
    """The state of a worker, as its agent reports it. It is stored as JSON with the names of these fields."""

    node: str
    """Celery's name of the worker, ``celery@host``."""
    host: str
    pid: int
    pool: str
    """``prefork``, ``threads``, ``gevent``, ``eventlet`` or ``solo``; for other pools the name of the class."""
    slots: int
    """Number of tasks that it can execute at once."""
    interval_seconds: float
    """Time between two beacons."""
    up_seconds: float
    """Time since the worker was ready to consume."""
    queues: tuple[str, ...] = ()
    """Queues that it consumes now, without its direct queue."""
    direct: bool = False
    """True if it consumes its direct queue, False if the broker refuses that."""
    active: tuple[ActiveTask, ...] = ()
    """The tasks in its slots, oldest first; at most 200."""
    active_count: int = 0
    reserved: int = 0
    """Number of tasks taken from the broker that are not yet in a slot."""
    held_back: int = 0
    """Number of reserved tasks that may not start yet because of a rate limit or an ETA."""
    prefetch_full: bool = False
    """True if the prefetch limit is reached: it takes no messages, also not from its direct queue."""
    done: int = 0
    """Number of tasks executed since its start."""
    heartbeats: int = 0
    """Number of heartbeats executed since its start; 0 from agents without this field."""
    stalled: int = 0
    """Number of slots that are stopped, or do not execute the task they got. ``active`` omits their tasks."""
    tasks_per_child: int | None = None
    """Number of tasks after which a process of the pool is replaced; None for never."""
    loop_lag_seconds: float | None = None
    """Delay of the consumer's timer, which should tick every second; None while the consumer is not connected."""
    connected: bool = True
    """True if its consumer is connected to the broker. While it reconnects, its loop does not turn."""
    restarts: int = 0
    """Number of times that its consumer has reconnected."""
    instance: str = ""
    """Id of this instance, which differs for each start of the worker."""
    direct_queue: str = ""
    """Name of its direct queue. Empty from earlier versions, where it is ``monitor.worker.NODE``."""
    leaving: bool = False
    """True for the goodbye, which is the last beacon of an instance."""
    client_id: int | None = None
    """CLIENT ID of the connection that writes the beacon; None if the server does not permit the command."""
    rss_mb: float | None = None
    """Resident memory of the worker's main process, in MiB."""
    vitals: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Metrics of its host: ``cpu`` (percent, count), ``memory`` (percent, available_mb, total_mb), ``disk`` (percent,
    free_mb, total_mb), ``connections`` (active_connections). Those that cannot be measured are omitted."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of celery, kombu, redis and python."""
    project: str = ""
    """Name of its project. A monitor ignores workers of other projects (`monitor.agent.identity`). Empty from agents of
    earlier versions, and if the project has no name."""
    application: str = ""
    """Name of its Celery application."""
    settings_module: str = ""
    """Top package of its Django settings module."""
    accept: tuple[str, ...] = ("application/json",)
    """Content types that its application accepts. Agents without this field get JSON only."""
    short_lived: Mapping[str, str] | None = None
    """Those of ``queues`` that are not lasting, with the reason: ``fanout``, ``exclusive``, ``auto_delete``,
    ``expires``, ``not_durable`` or ``node`` (for this node only). None from agents without this field."""

    @property
    def target(self) -> str:
        """Return the name of this instance as the target of heartbeats: ``NODE.INSTANCE``."""
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

    A monitor of an earlier version would send heartbeats to ``monitor.worker.NODE`` if ``direct`` were true, and no
    worker consumes that queue. So ``direct`` is false in the JSON, and such a monitor judges without direct heartbeats.
    """
    value = asdict(beacon)
    if beacon.direct_queue:
        value |= {"direct": False, _CONSUMES_DIRECT: beacon.direct}
    return json.dumps(value, separators=(",", ":"))


def decode(text: str | bytes) -> Beacon | None:
    """Return the beacon; None for invalid input. Unknown fields, as from a newer agent, are ignored."""
    try:
        value: dict[str, Any] = decoding.load(text, max_bytes=BEACON_BYTES)
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
    object_name, text, amount, count = decoding.object_name, decoding.text, decoding.amount, decoding.count
    return replace(
        beacon,
        node=object_name(beacon.node, max_bytes=NODE_BYTES),
        host=object_name(beacon.host),
        pid=count(beacon.pid),
        pool=decoding.text(beacon.pool, max_bytes=decoding.OBJECT_NAME_BYTES),
        slots=max(1, count(beacon.slots)),
        interval_seconds=amount(beacon.interval_seconds),
        up_seconds=max(0.0, amount(beacon.up_seconds)),
        queues=tuple(name for name in map(decoding.text, beacon.queues[:QUEUES_KEPT]) if _is_object_name(name)),
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
        project=text(beacon.project, max_bytes=NAME_BYTES),
        application=text(beacon.application, max_bytes=NAME_BYTES),
        settings_module=text(beacon.settings_module, max_bytes=NAME_BYTES),
        versions={
            object_name(name): object_name(version) for name, version in [*beacon.versions.items()][:VERSIONS_KEPT]
        },
        accept=tuple(object_name(content_type) for content_type in beacon.accept[:VERSIONS_KEPT]),
        short_lived=None if beacon.short_lived is None else _reasons(beacon.short_lived, beacon.queues),
    )


def _is_object_name(name: str) -> bool:
    """Return whether the name of a queue is short enough for the target of a heartbeat."""
    return 0 < len(name.encode()) <= decoding.OBJECT_NAME_BYTES


def _reasons(short_lived: Mapping[str, str], queues: tuple[str, ...]) -> dict[str, str]:
    return {name: decoding.object_name(short_lived[name]) for name in queues[:QUEUES_KEPT] if name in short_lived}


def _instance(value: Any) -> str:
    """Return a valid instance id: ASCII letters and digits. Names contain it, and scripts search for it in the JSON."""
    found = decoding.text(value, max_bytes=_INSTANCE_BYTES)
    if found and not (found.isascii() and found.isalnum()):
        raise ValueError("not an instance id")
    return found


def _own_queue(value: Any) -> str:
    """Return a valid name of a direct queue. The monitor sends to this queue and deletes it later."""
    found = decoding.text(value, max_bytes=decoding.OBJECT_NAME_BYTES)
    if found and (found == _OWN_QUEUE or not is_direct_queue(found)):
        raise ValueError("not a direct queue")
    return found


def _clipped(task: str) -> str:
    return decoding.text(task).encode()[: decoding.OBJECT_NAME_BYTES].decode(errors="ignore")


def _vitals(numbers: Mapping[str, float]) -> dict[str, float]:
    return {decoding.object_name(name): decoding.number(value) for name, value in [*numbers.items()][:VERSIONS_KEPT]}


_CONSUMES_DIRECT = "consumes_direct_queue"
_INSTANCE_BYTES = 64
_HOST_KINDS = ("cpu", "memory", "disk", "connections")
