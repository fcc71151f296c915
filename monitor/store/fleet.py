"""What workers write into Redis, and what their rounds note there."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from monitor.agent import protocol
from monitor.agent.protocol import Active, Beacon, Keys, target_field
from monitor.ports import Executed, Seen, Sighting
from monitor.store.link import Argument, Link
from monitor.store.scripts import NOTE, SIGHT

LIMIT_BYTES = 64 * 1024
FUTURE_SECONDS = 5.0
ORPHAN_SECONDS = 3600.0
"""A heartbeat of a worker that has no beacon is removed after this long: it was executed while it was forgotten."""


class RedisFleet:
    """A :class:`monitor.ports.Fleet` on the store's server. Connects to nothing before the first call."""

    def __init__(self, url: str, *, prefix: str = "monitor:", timeout_seconds: float = 2.0) -> None:
        self._link = Link(url, timeout_seconds=timeout_seconds, retries=True)
        self._keys, self._notes = Keys.of(prefix), f"{prefix}fleet"

    def sight(self) -> Sighting:
        """Everything the workers have written; what is no beacon and no heartbeat is removed. StoreUnavailable."""
        keys = [self._keys.beacons, self._keys.heartbeats, self._notes]
        clock, notes, beacons, heartbeats = self._link.run(SIGHT, keys, [])
        now = int(clock) / 1e6
        seen = {field: _seen(field, value, now) for field, value in _pairs(beacons)}
        executed = {field: _executed(value, now) for field, value in _pairs(heartbeats)}
        known = {node.decode(): entry for node, entry in seen.items() if entry is not None}
        done = {
            field.decode(errors="replace"): entry
            for field, entry in executed.items()
            if entry is not None and not _is_orphan(field, entry, known, now)
        }
        if garbage := [node for node, entry in seen.items() if entry is None]:
            self._link.call("HDEL", self._keys.beacons, *garbage)
        if garbage := [field for field in executed if field.decode(errors="replace") not in done]:
            self._link.call("HDEL", self._keys.heartbeats, *garbage)
        server, up_seconds = _server(self._link.ask("INFO", "server"))
        return Sighting(now, known, done, bytes(notes), server, up_seconds)

    def connected(self, workers: Iterable[Beacon]) -> Mapping[str, bool] | None:
        """Which workers' connections are still open, by node; None when the server does not tell. StoreUnavailable."""
        asked = list(workers)
        ids = [str(beacon.client_id) for beacon in asked if beacon.client_id is not None]
        answer = self._link.ask("CLIENT", "LIST", *(["ID", *ids] if len(ids) == len(asked) else []))
        if not isinstance(answer, bytes):
            return None
        clients = dict(re.findall(rb"^id=(\d+) .*? name=(\S*)", answer, re.MULTILINE))
        names = set(clients.values())
        return {beacon.node: _is_connected(beacon, clients, names) for beacon in asked}

    def note(self, notes: bytes, *, emitted: Mapping[str, float], gone: Iterable[str] = ()) -> None:
        """Keep the notes, say when heartbeats were sent, and forget nodes. Raises StoreUnavailable."""
        nodes = list(gone)
        arguments: list[Argument] = [notes, len(emitted)]
        for field, sent_at in emitted.items():
            arguments += [field, str(round(sent_at * 1e6))]
        arguments += [len(nodes), *nodes, *(target_field("worker", node) for node in nodes)]
        self._link.run(NOTE, [*self._keys, self._notes], arguments)

    def close(self) -> None:
        """Close the idle connections."""
        self._link.close()


def _pairs(flat: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _seen(node: bytes, raw: bytes, now: float) -> Seen | None:
    """None for what no agent has written. A beacon from the future comes of a fail-over, and is as good as none."""
    stamp, _, text = raw.partition(b"|")
    if len(raw) > LIMIT_BYTES or not re.fullmatch(rb"\d{1,16}", stamp):
        return None
    at, beacon = int(stamp) / 1e6, protocol.decode(text)
    if beacon is None or at > now + FUTURE_SECONDS:
        return None
    sound = _sound(beacon)
    return Seen(sound, at) if sound is not None and sound.node.encode(errors="replace") == node else None


def _executed(raw: bytes, now: float) -> Executed | None:
    fields = re.fullmatch(rb"(\d{1,16})\|(\d{1,16})\|(.{0,500})", raw, re.DOTALL)
    if not fields:
        return None
    sent_at, done_at = int(fields[1]) / 1e6, int(fields[2]) / 1e6
    return Executed(sent_at, done_at, fields[3].decode(errors="replace")) if sent_at <= now + FUTURE_SECONDS else None


def _is_orphan(field: bytes, executed: Executed, known: Mapping[str, Seen], now: float) -> bool:
    kind, _, target = field.decode(errors="replace").partition(":")
    if kind == "queue":
        return False
    return kind != "worker" or (target not in known and now - executed.done_at > ORPHAN_SECONDS)


def _is_connected(beacon: Beacon, clients: Mapping[bytes, bytes], names: set[bytes]) -> bool:
    name = re.sub(r"[^!-~]", "_", f"monitor-agent:{beacon.node}").encode()
    if beacon.client_id is None:
        return name in names
    # Numbers begin anew with the server: another client may have it.
    return clients.get(str(beacon.client_id).encode()) == name


def _server(info: Any) -> tuple[str | None, float | None]:
    # Redis-py makes a dict of this answer.
    if not isinstance(info, dict):
        return None, None
    run_id, seconds = info.get("run_id"), info.get("uptime_in_seconds")
    return (str(run_id) if run_id else None), (float(seconds) if isinstance(seconds, int) else None)


def _sound(beacon: Beacon) -> Beacon | None:
    """The beacon with numbers where numbers belong; None when that cannot be."""
    try:
        return dataclasses.replace(
            beacon,
            node=_text(beacon.node),
            host=_text(beacon.host),
            pid=int(beacon.pid),
            pool=_text(beacon.pool),
            slots=max(1, int(beacon.slots)),
            interval_seconds=_number(beacon.interval_seconds),
            up_seconds=max(0.0, _number(beacon.up_seconds)),
            queues=tuple(_text(queue) for queue in beacon.queues[:1000]),
            direct=bool(beacon.direct),
            accept=tuple(_text(content_type) for content_type in beacon.accept[:50]),
            active=tuple(Active(_text(task.task), _number(task.age_seconds)) for task in beacon.active[:200]),
            active_count=int(beacon.active_count),
            reserved=int(beacon.reserved),
            done=int(beacon.done),
            loop_lag_seconds=_maybe(beacon.loop_lag_seconds),
            connected=bool(beacon.connected),
            leaving=bool(beacon.leaving),
            client_id=None if beacon.client_id is None else max(1, int(beacon.client_id)),
            rss_mb=_maybe(beacon.rss_mb),
            vitals=_vitals(beacon.vitals),
            versions={_text(name): _text(version) for name, version in beacon.versions.items()},
        )
    except (ValueError, TypeError, AttributeError, OverflowError):
        return None


def _vitals(vitals: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    kinds = ("cpu", "memory", "disk", "connections")
    return {
        kind: {_text(name): _plain(number) for name, number in vitals[kind].items()} for kind in kinds if kind in vitals
    }


def _plain(value: Any) -> float:
    return value if isinstance(value, int) and not isinstance(value, bool) else _number(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError
    return float(value)


def _maybe(value: Any) -> float | None:
    return None if value is None else _number(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 500:
        raise TypeError
    value.encode()  # a lone surrogate, which JSON can spell, cannot be written anywhere
    return value
