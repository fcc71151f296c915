"""Registry of workers in Redis: beacons, heartbeats and the round state."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from monitor.agent import protocol
from monitor.agent.protocol import Beacon, Keys, client_name, target_field
from monitor.lib import decoding
from monitor.ports.workers import ExecutedHeartbeat, StoredBeacon, WorkerReport
from monitor.store.redis.connection import Argument, RedisConnection
from monitor.store.redis.surplus_fields import delete_surplus_fields
from monitor.store.rejected import RejectedValues

LIMIT_BYTES = 64 * 1024
ROUND_STATE_LIMIT_BYTES = 8 * 1024 * 1024
BEACON_LEAST_BYTES = 100
SHORT_BYTES = 1000
FUTURE_SECONDS = 5.0
ORPHAN_SECONDS = 3600.0
"""An executed heartbeat of a worker without a beacon is deleted after this time. It was recorded while the worker's
beacon was deleted."""


class RedisWorkers:
    """A :class:`monitor.ports.workers.WorkerRegistry` over the store's connection."""

    def __init__(self, connection: RedisConnection, prefix: str, rejected: RejectedValues) -> None:
        self._connection, self._rejected = connection, rejected
        self._keys, self._round_state_key = Keys.of(prefix), f"{prefix}fleet"

    def report(self) -> WorkerReport:
        """Return all beacons and executed heartbeats, and the round state. Raise StoreUnavailable.

        Delete and count invalid beacons and heartbeats.
        """
        self._rejected.count(
            "beacon",
            delete_surplus_fields(self._connection, self._keys.beacons, least=BEACON_LEAST_BYTES, limit=LIMIT_BYTES),
        )
        for key in (self._keys.heartbeats, self._keys.emitted):
            self._rejected.count("heartbeat", delete_surplus_fields(self._connection, key, least=1, limit=SHORT_BYTES))
        keys = [self._keys.beacons, self._keys.heartbeats, self._round_state_key]
        clock, round_state, *hashes = self._connection.run("workers_read", keys, [LIMIT_BYTES, ROUND_STATE_LIMIT_BYTES])
        now = int(clock) / 1e6
        (nodes, beacons, oversized), (targets, heartbeats, too_long) = hashes
        decoded = {field: stored_beacon(field, value, now) for field, value in zip(nodes, beacons, strict=True)}
        executed = {field: _executed(value, now) for field, value in zip(targets, heartbeats, strict=True)}
        newest = _newest(decoded.values())
        kept = {
            field.decode(errors="replace"): entry
            for field, entry in executed.items()
            if entry is not None and not _is_orphan(field, entry, newest, now)
        }
        if invalid := [
            node for node, entry in decoded.items() if entry is None or newest[entry.beacon.target] != entry
        ]:
            self._connection.call("HDEL", self._keys.beacons, *invalid)
        self._rejected.count("beacon", sum(entry is None for entry in decoded.values()) + oversized)
        if invalid := [field for field in executed if field.decode(errors="replace") not in kept]:
            self._connection.call("HDEL", self._keys.heartbeats, *invalid)
            self._connection.call("HDEL", self._keys.emitted, *invalid)
        self._rejected.count("heartbeat", sum(entry is None for entry in executed.values()) + too_long)
        server, up_seconds = _server_id_and_uptime(self._connection.ask("INFO", "server"))
        return WorkerReport(now, newest, kept, bytes(round_state), server, up_seconds)

    def round_state(self) -> bytes:
        """Return the state that the last round stored. Empty if it is missing or too large. Raise StoreUnavailable."""
        stored = self._connection.ask("GETRANGE", self._round_state_key, 0, ROUND_STATE_LIMIT_BYTES)
        return stored if isinstance(stored, bytes) and len(stored) <= ROUND_STATE_LIMIT_BYTES else b""

    def count_rejected(self, kind: str, number: int = 1) -> None:
        """Count rejected values that the caller found in the report. Raise nothing."""
        self._rejected.count(kind, number)

    def connected(self, workers: Iterable[Beacon]) -> Mapping[str, bool] | None:
        """Return for each worker's target whether the worker is connected to the store.

        Return None when the server does not report its connections. Raise StoreUnavailable.
        """
        requested = list(workers)
        ids = [str(beacon.client_id) for beacon in requested if beacon.client_id is not None]
        answer = self._connection.ask("CLIENT", "LIST", *(["ID", *ids] if len(ids) == len(requested) else []))
        if not isinstance(answer, bytes):
            return None
        clients = dict(re.findall(rb"^id=(\d+) .*? name=(\S*)", answer, re.MULTILINE))
        names = set(clients.values())
        return {beacon.target: _is_connected(beacon, clients, names) for beacon in requested}

    def store_round(self, round_state: bytes, *, emitted: Mapping[str, float], removed: Iterable[Beacon] = ()) -> None:
        """Store the round state and the send times of heartbeats. Delete the workers in ``removed``.

        Raise StoreUnavailable.
        """
        workers = list(removed)
        arguments: list[Argument] = [round_state, len(emitted)]
        for field, sent_at in emitted.items():
            arguments += [field, str(round(sent_at * 1e6))]
        arguments.append(len(workers))
        for beacon in workers:
            arguments += [beacon.node, beacon.instance, target_field("worker", beacon.target)]
        self._connection.run("workers_write", [*self._keys, self._round_state_key], arguments)


def _newest(entries: Iterable[StoredBeacon | None]) -> dict[str, StoredBeacon]:
    """Return the newest beacon of each target. An agent without permission to delete leaves an old beacon."""
    newest: dict[str, StoredBeacon] = {}
    for entry in entries:
        if entry is not None and (entry.beacon.target not in newest or newest[entry.beacon.target].at < entry.at):
            newest[entry.beacon.target] = entry
    return newest


def stored_beacon(field: bytes, raw: bytes, now: float) -> StoredBeacon | None:
    """Return the decoded beacon; None if no agent wrote it, or if its time is in the future (after a fail-over)."""
    stamp, _, text = raw.partition(b"|")
    try:
        at, beacon = decoding.digits(stamp) / 1e6, protocol.decode(text)
    except ValueError:
        return None
    if beacon is None or at > now + FUTURE_SECONDS:
        return None
    if field.decode(errors="replace") not in (beacon.node, f"{beacon.node}.{beacon.instance}"):
        return None
    return StoredBeacon(beacon, at)


def _executed(raw: bytes, now: float) -> ExecutedHeartbeat | None:
    fields = re.fullmatch(rb"(\d{1,16})\|(\d{1,16})\|(.{0,500}?)(?:\|([0-9a-f]{16})?)?", raw, re.DOTALL)
    if not fields:
        return None
    sent_at, done_at = int(fields[1]) / 1e6, int(fields[2]) / 1e6
    if max(sent_at, done_at) > now + FUTURE_SECONDS:
        return None
    return ExecutedHeartbeat(sent_at, done_at, fields[3].decode(errors="replace"), (fields[4] or b"").decode())


def _is_orphan(field: bytes, executed: ExecutedHeartbeat, beacons: Mapping[str, StoredBeacon], now: float) -> bool:
    kind, _, target = field.decode(errors="replace").partition(":")
    if kind == "queue":
        return False
    return kind != "worker" or (target not in beacons and now - executed.done_at > ORPHAN_SECONDS)


def _is_connected(beacon: Beacon, clients: Mapping[bytes, bytes], names: set[bytes]) -> bool:
    name = client_name(beacon.target).encode()
    if beacon.client_id is None:
        return name in names
    # After a restart the server counts client ids from 1 again, so another client may have the id of this worker.
    return clients.get(str(beacon.client_id).encode()) == name


def _server_id_and_uptime(info: Any) -> tuple[str | None, float | None]:
    # Redis-py converts the reply of INFO to a dict.
    if not isinstance(info, dict):
        return None, None
    run_id, seconds = info.get("run_id"), info.get("uptime_in_seconds")
    return (str(run_id) if run_id else None), (float(seconds) if isinstance(seconds, int) else None)
