"""Protocol between the agents and the monitor: names, keys of the store, and the fields of a beacon.

The module uses only the standard library. A beacon contains ages and durations, but no times: the store adds the time
of writing by its own clock, and the worker's wall clock is not used.
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
"""Time after which the broker drops a heartbeat in a direct queue (AMQP only). Workers do not apply it."""

DIRECT_QUEUE_EXPIRES_SECONDS = 300
"""Time after which the broker deletes a direct queue without a consumer (AMQP; Redis since kombu 5.7)."""

PACKAGE = "monitor"
"""Name of this package in :attr:`Beacon.versions`."""

BEACON_BYTES = 64 * 1024
QUEUES_KEPT, ACTIVE_KEPT, VERSIONS_KEPT = 1000, 200, 20
"""Limits of a beacon: queues, active tasks, and versions or content types. Entries beyond a limit are dropped."""

DIRECT_QUEUE_PREFIX = "monitor.worker."
NODE_BYTES = decoding.OBJECT_NAME_BYTES - len(DIRECT_QUEUE_PREFIX)
"""Limit on a node name in bytes, so that the name of the direct queue stays within the limit for queue names."""
_FORBIDDEN = re.compile(r"[^!-~]")


def instance_target(node: str, instance: str) -> str:
    """Return the target of one instance of a worker: ``NODE.INSTANCE``. A node name that is too long is truncated."""
    short_node = node.encode()[: NODE_BYTES - len(instance) - 1].decode(errors="ignore")
    return f"{short_node}.{instance}"


def direct_queue(target: str) -> str:
    """Return the name of the direct queue of a target (see :attr:`Beacon.target`)."""
    return f"{DIRECT_QUEUE_PREFIX}{target}"


def is_direct_queue(queue: str) -> bool:
    """Return whether a queue is the direct queue of a worker."""
    return queue.startswith(DIRECT_QUEUE_PREFIX)


def client_name(node: str) -> str:
    """Return the name of an agent's connection, for CLIENT SETNAME: printable ASCII characters without spaces."""
    return f"monitor-agent:{safe_name(node, _FORBIDDEN, max_characters=2 * NODE_BYTES)}"


def target_field(kind: str, target: str) -> str:
    """Return the field of a worker or a queue in the hashes ``heartbeats`` and ``emitted`` of :class:`Keys`."""
    return f"{kind}:{target}"


class Keys(NamedTuple):
    """Keys in the store for beacons and heartbeats. All of them are hashes."""

    beacons: str
    """``NODE`` -> ``WRITTEN_AT|JSON``: time of writing in microseconds by the store's clock, and the beacon.

    If several instances have one node name, the field ``NODE`` holds the beacon that was written last. The fields
    ``NODE.INSTANCE`` hold the beacons of the other instances.
    """
    heartbeats: str
    """``worker:TARGET`` or ``queue:QUEUE`` -> ``SENT|DONE|NODE|INSTANCE`` of the newest executed heartbeat.

    ``SENT`` and ``DONE`` are times in microseconds. Agents of earlier versions omit ``|INSTANCE``."""
    emitted: str
    """``worker:TARGET`` or ``queue:QUEUE`` -> ``SENT`` of the newest heartbeat sent. Written by the monitor."""

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
    """The state of a worker, as its agent reports it. It is stored as JSON with these field names."""

    node: str
    """Celery's name of the worker, ``celery@host``."""
    host: str
    pid: int
    pool: str
    """``prefork``, ``threads``, ``gevent``, ``eventlet`` or ``solo``; for other pools the name of the class."""
    slots: int
    """Number of tasks that the worker can execute at once."""
    interval_seconds: float
    """The setting ``workers.interval``. The agent writes two beacons in each interval."""
    up_seconds: float
    """Time since the worker was ready to consume."""
    queues: tuple[str, ...] = ()
    """Queues that the worker consumes now, without its direct queue."""
    direct: bool = False
    """True if the worker consumes its direct queue, False if the broker refuses this queue."""
    active: tuple[ActiveTask, ...] = ()
    """The tasks in the worker's slots, oldest first; at most 200."""
    active_count: int = 0
    """Number of tasks in the worker's slots."""
    reserved: int = 0
    """Number of tasks taken from the broker that are not yet in a slot."""
    held_back: int = 0
    """Number of reserved tasks that may not start yet because of a rate limit or an ETA."""
    prefetch_full: bool = False
    """True if the prefetch limit keeps the worker from taking any message, even from its direct queue."""
    done: int = 0
    """Number of tasks executed since the worker's start, without heartbeats."""
    heartbeats: int = 0
    """Number of heartbeats executed since the worker's start; 0 from agents without this field."""
    stalled: int = 0
    """Number of slots that hold a task without executing it, or whose process is stopped (`monitor.agent.slots`).

    ``active`` omits the tasks in these slots."""
    tasks_per_child: int | None = None
    """Number of tasks after which a process of the pool is replaced; None for never."""
    loop_lag_seconds: float | None = None
    """Delay of the consumer's timer, which ticks every second; None while the consumer is not connected."""
    connected: bool = True
    """True if the consumer is connected to the broker. While it reconnects, the event loop does not turn."""
    restarts: int = 0
    """Number of times that the consumer has reconnected."""
    instance: str = ""
    """Id of this instance. Each start of the worker has a new id."""
    direct_queue: str = ""
    """Name of the worker's direct queue. Empty from earlier versions, which use ``monitor.worker.NODE``."""
    leaving: bool = False
    """True for the goodbye, which is the last beacon of an instance."""
    client_id: int | None = None
    """CLIENT ID of the connection that writes the beacon; None if the server does not permit the command."""
    rss_mb: float | None = None
    """Resident memory of the worker's main process, in MiB."""
    vitals: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Metrics of the worker's host: ``cpu`` (percent, count), ``memory`` (percent, available_mb, total_mb), ``disk``
    (percent, free_mb, total_mb), ``connections`` (active_connections). Metrics that cannot be measured are omitted."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of celery, kombu, redis, python, and of this package with the name ``monitor``."""
    project: str = ""
    """Name of the worker's project. A monitor ignores workers of other projects (`monitor.agent.identity`). Empty from
    agents of earlier versions, and if the project has no name."""
    application: str = ""
    """Name of the worker's Celery application."""
    settings_module: str = ""
    """Top package of the Django settings module."""
    accept: tuple[str, ...] = ("application/json",)
    """Content types that the application accepts. Agents without this field accept JSON only."""
    short_lived: Mapping[str, str] | None = None
    """The queues in ``queues`` that are not lasting, each with a reason: ``fanout``, ``exclusive``, ``auto_delete``,
    ``expires``, ``not_durable`` or ``node`` (named after this node). None from agents without this field."""

    @property
    def version(self) -> str:
        """Version of the agent. Empty from agents of earlier versions, ``unknown`` if pip has not installed it."""
        return self.versions.get(PACKAGE, "")

    @property
    def target(self) -> str:
        """Return the target of direct heartbeats: ``NODE.INSTANCE``, or ``NODE`` for agents of earlier versions."""
        return self.direct_queue.removeprefix(DIRECT_QUEUE_PREFIX) or self.node


def with_project(beacon: Beacon, project: Identity) -> Beacon:
    """Return the beacon with the identity of the worker's project."""
    application = next(iter(project.applications), "")
    return replace(beacon, project=project.name, application=application, settings_module=project.module)


def identity_of(beacon: Beacon) -> Identity:
    """Return the identity of the worker's project, as the beacon contains it."""
    applications = (beacon.application,) if beacon.application else ()
    return Identity(beacon.project, applications, beacon.settings_module)


def encode(beacon: Beacon) -> str:
    """Return the beacon as JSON.

    A monitor of an earlier version sends heartbeats to ``monitor.worker.NODE`` if ``direct`` is true. No worker
    consumes that queue any more. So the JSON contains ``direct`` as false. The field ``consumes_direct_queue`` contains
    the true value.
    """
    value = asdict(beacon)
    if beacon.direct_queue:
        value |= {"direct": False, _CONSUMES_DIRECT: beacon.direct}
    return json.dumps(value, separators=(",", ":"))


def decode(text: str | bytes) -> Beacon | None:
    """Return the beacon in a JSON text; None if it is invalid. Unknown fields, as from a newer agent, are ignored."""
    try:
        value: dict[str, Any] = decoding.load(text, max_bytes=BEACON_BYTES)
        values = {entry.name: value[entry.name] for entry in fields(Beacon) if entry.name in value}
        values["queues"] = tuple(map(str, values.get("queues", ())))
        if values.get("direct_queue"):
            values["direct"] = bool(value.get(_CONSUMES_DIRECT))
        if "accept" in values:
            values["accept"] = tuple(map(str, values["accept"]))
        values["active"] = tuple(
            ActiveTask(str(task["task"]), float(task["age_seconds"])) for task in values.get("active", ())
        )
        return _within_limits(Beacon(**values))
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
        queues=tuple(name for name in map(decoding.text, beacon.queues[:QUEUES_KEPT]) if _has_valid_length(name)),
        direct=bool(beacon.direct),
        active=tuple(
            ActiveTask(_truncated(task.task), amount(task.age_seconds)) for task in beacon.active[:ACTIVE_KEPT]
        ),
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
        instance=_valid_instance(beacon.instance),
        direct_queue=_valid_direct_queue(beacon.direct_queue),
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


def _has_valid_length(name: str) -> bool:
    """Return whether the name of a queue has a valid length. Heartbeats contain the name."""
    return 0 < len(name.encode()) <= decoding.OBJECT_NAME_BYTES


def _reasons(short_lived: Mapping[str, str], queues: tuple[str, ...]) -> dict[str, str]:
    return {name: decoding.object_name(short_lived[name]) for name in queues[:QUEUES_KEPT] if name in short_lived}


def _valid_instance(value: Any) -> str:
    """Return the instance id, or raise ValueError unless it consists of ASCII letters and digits.

    Names of queues contain the id, and the Lua scripts search for it in the JSON.
    """
    instance = decoding.text(value, max_bytes=_INSTANCE_BYTES)
    if instance and not (instance.isascii() and instance.isalnum()):
        raise ValueError("not an instance id")
    return instance


def _valid_direct_queue(value: Any) -> str:
    """Return the name of a direct queue, or raise ValueError: the monitor sends to the queue and deletes it later."""
    queue = decoding.text(value, max_bytes=decoding.OBJECT_NAME_BYTES)
    if queue and (queue == DIRECT_QUEUE_PREFIX or not is_direct_queue(queue)):
        raise ValueError("not a direct queue")
    return queue


def _truncated(task: str) -> str:
    return decoding.text(task).encode()[: decoding.OBJECT_NAME_BYTES].decode(errors="ignore")


def _vitals(numbers: Mapping[str, float]) -> dict[str, float]:
    return {decoding.object_name(name): decoding.number(value) for name, value in [*numbers.items()][:VERSIONS_KEPT]}


_CONSUMES_DIRECT = "consumes_direct_queue"
_INSTANCE_BYTES = 64
_HOST_KINDS = ("cpu", "memory", "disk", "connections")
