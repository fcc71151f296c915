"""Removal of the store's keys, for `monitor uninstall`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from monitor.agent.identity import Identity
from monitor.agent.protocol import Keys, identity_of, target_field
from monitor.lib.redis_urls import parse
from monitor.model.uninstall import Contents, StoredItems
from monitor.policy.workers.round_state import decode as decode_round_state
from monitor.ports.store import StoreUnavailable
from monitor.ports.uninstall import PlaceOfAnother, PlaceUnavailable
from monitor.ports.workers import StoredBeacon
from monitor.services.ownership import explanation
from monitor.store.redis.connection import RedisConnection
from monitor.store.redis.key_names import kind_of
from monitor.store.redis.ownership import RedisOwnership
from monitor.store.redis.roles import RedisRoles
from monitor.store.redis.scanning import scan
from monitor.store.redis.workers import stored_beacon

KEYS_PER_COMMAND = 500
NAMES_KEPT = 5
OVERDUE_INTERVALS = 2.0
"""An agent whose beacon is older than this has ended."""


@dataclass(frozen=True, slots=True)
class WatchedWorkers:
    """The workers and queues that the store knows: targets of direct queues, queues, and node names."""

    targets: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()


class StorePlace:
    """A :class:`monitor.ports.uninstall.Place`: the keys below the prefix of one store.

    Other keys below the prefix are kept, since a program of the user may have written them. Of the hashes that agents
    of other projects also write to, only the fields of this project are deleted.
    """

    def __init__(self, url: str, prefix: str, project: Identity) -> None:
        self._connection = RedisConnection(url, timeout_seconds=5.0, retries=True)
        self._url, self._prefix, self._project = url, prefix, project

    @property
    def title(self) -> str:
        """Return the address of the store and its prefix."""
        url = parse(self._url)
        address = url.path or ", ".join(f"{host}:{port or ''}".rstrip(":") for host, port in url.addresses)
        return f"store {address}/{url.database}, keys {self._prefix}*"

    def find(self) -> Contents:
        """Return the keys by kind, the keys that are kept, and the roles and agents that run."""
        return self._guarded(removes=False)

    def remove(self) -> Contents:
        """Delete the keys. Return what was deleted."""
        return self._guarded(removes=True)

    def workers(self) -> WatchedWorkers:
        """Return the workers and queues that the store knows. Raise StoreUnavailable."""
        own = [stored.beacon for stored in self._beacons().values() if not self._is_foreign(stored)]
        state, _ = decode_round_state(bytes(self._connection.ask("GET", f"{self._prefix}fleet") or b""))
        queues = {queue for beacon in own for queue in beacon.queues} | set(state.queues if state else ())
        targets = {beacon.target for beacon in own} | set(state.removed if state else ())
        return WatchedWorkers(frozenset(targets), frozenset(queues), frozenset(beacon.node for beacon in own))

    def _guarded(self, *, removes: bool) -> Contents:
        try:
            owner = RedisOwnership(self._connection, self._prefix).read()
            if owner is not None and self._project.differs_from(owner):
                raise PlaceOfAnother(explanation(self._project, owner))
            return self._contents(removes=removes)
        except StoreUnavailable as error:
            raise PlaceUnavailable(f"the store does not answer: {error}") from None

    def _contents(self, *, removes: bool) -> Contents:
        beacons = self._beacons()
        users = (*self._roles(), *self._agents(beacons.values()))
        foreign = {target: stored for target, stored in beacons.items() if self._is_foreign(stored)}
        shared = Keys.of(self._prefix) if foreign else ()
        by_kind: dict[str, list[str]] = defaultdict(list)
        kept: list[str] = []
        for key in list(scan(self._connection, self._prefix)):
            name = key.decode(errors="surrogateescape")
            kind = kind_of(name.removeprefix(self._prefix))
            if (name in shared and not self._own_fields(name, foreign)) or kind is None:
                kept.append(name)
            else:
                by_kind[kind].append(name)
        if removes:
            self._delete([name for names in by_kind.values() for name in names if name not in shared])
            for name in shared:
                self._delete_fields(name, self._own_fields(name, foreign))
        items = tuple(_items(f"keys: {kind}", names) for kind, names in sorted(by_kind.items()))
        return Contents(items, (_items("keys of other programs", kept),) if kept else (), users)

    def _roles(self) -> Iterator[str]:
        for role, host, pid in RedisRoles(self._connection, self._prefix).running():
            yield f"monitor {role} (host {host}, pid {pid})"

    def _agents(self, beacons: Iterable[StoredBeacon]) -> Iterator[str]:
        now = self._connection.now()
        for stored in beacons:
            beacon = stored.beacon
            is_fresh = now - stored.at <= OVERDUE_INTERVALS * beacon.interval_seconds
            if is_fresh and not beacon.leaving and not self._is_foreign(stored):
                yield f"agent in the worker {beacon.node} (host {beacon.host}, pid {beacon.pid})"

    def _is_foreign(self, stored: StoredBeacon) -> bool:
        return self._project.ignores(identity_of(stored.beacon))

    def _beacons(self) -> Mapping[str, StoredBeacon]:
        """Return the beacons by field."""
        now, key = self._connection.now(), Keys.of(self._prefix).beacons
        values = self._connection.ask("HGETALL", key)
        decoded = {field: stored_beacon(field, raw, now) for field, raw in (values or {}).items()}
        return {field.decode(errors="replace"): stored for field, stored in decoded.items() if stored is not None}

    def _own_fields(self, key: str, foreign: Mapping[str, StoredBeacon]) -> list[bytes]:
        theirs = {field.encode() for field in foreign}
        theirs |= {target_field("worker", stored.beacon.target).encode() for stored in foreign.values()}
        theirs |= {target_field("queue", queue).encode() for each in foreign.values() for queue in each.beacon.queues}
        return [field for field in self._connection.ask("HKEYS", key) or () if field not in theirs]

    def _delete(self, names: list[str]) -> None:
        for start in range(0, len(names), KEYS_PER_COMMAND):
            keys = [name.encode(errors="surrogateescape") for name in names[start : start + KEYS_PER_COMMAND]]
            if self._connection.ask("UNLINK", *keys) is None:  # a large key is freed in the background
                self._connection.call("DEL", *keys)

    def _delete_fields(self, key: str, fields: list[bytes]) -> None:
        for start in range(0, len(fields), KEYS_PER_COMMAND):
            self._connection.call("HDEL", key, *fields[start : start + KEYS_PER_COMMAND])


class StrayAgentsPlace(StorePlace):
    """A :class:`monitor.ports.uninstall.Place`: keys of this project's agents below another prefix than the monitor's.

    Agents write there if they do not have the setting `key_prefix` of the monitor. Nothing is removed if the prefix
    belongs to a store, or if agents write there that are not known to belong to this project.
    """

    def _contents(self, *, removes: bool) -> Contents:
        beacons = self._beacons().values()
        is_store = any(self._connection.call("EXISTS", f"{self._prefix}{name}") for name in ("states", "project"))
        if is_store or not beacons or not all(map(self._is_own, beacons)):
            return Contents()
        names = [key for key in Keys.of(self._prefix) if self._connection.call("EXISTS", key)]
        if removes:
            self._delete(names)
        return Contents((_items("keys: workers", names),), (), tuple(self._agents(beacons)))

    def _is_own(self, stored: StoredBeacon) -> bool:
        identity = identity_of(stored.beacon)
        return bool(identity.name and self._project.name) and not self._project.differs_from(identity)


def _items(kind: str, names: list[str]) -> StoredItems:
    printable = (name.encode(errors="surrogateescape").decode(errors="replace") for name in sorted(names)[:NAMES_KEPT])
    return StoredItems(kind, len(names), tuple(printable))
