"""States in Redis or Valkey. See docs/decisions/0002 for the scripts and their guarantees."""

from __future__ import annotations

import re
import uuid
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.history.samples import HOUR_SECONDS, sample_of
from monitor.model.checks import Changes, Flight, Snapshot, State, Transition, Window
from monitor.ports.store import FlightLost, FlightRefused, Reducer, StoreUnavailable
from monitor.store import codec
from monitor.store.redis.connection import Argument, RedisConnection
from monitor.store.redis.history import RedisHistory
from monitor.store.redis.sweeping import sweep
from monitor.store.rejected import RejectedValues
from monitor.store.retention import LINE_BYTES, TRANSITIONS_KEPT, HistoryKeys, Retention, encode_line

MAX_CONFLICTS = 16
ENTRIES_PER_COMMIT = 100  # a script blocks the server for a few milliseconds at most


@dataclass(frozen=True, slots=True)
class _TakenFlight(Flight):
    """A flight with the state that was stored when it was taken, which saves ``update`` a read."""

    stored: bytes = field(default=b"", repr=False, compare=False)


class RedisStateStore:
    """A :class:`monitor.ports.store.StateStore` over the store's connection.

    Samples of ``roster_size`` checks are stored for ``history``, within the limits of ``retention``.
    """

    def __init__(
        self,
        connection: RedisConnection,
        prefix: str,
        rejected: RejectedValues,
        *,
        history: RedisHistory,
        retention: Retention,
        roster_size: int,
    ) -> None:
        self._connection, self._prefix, self._rejected, self._history = connection, prefix, rejected, history
        self._retention, self._keys = retention, HistoryKeys.of(prefix)
        # This limit keeps the lists of samples within the budget when no compaction runs.
        self._lines_kept = max(100, retention.budget_bytes // max(1, roster_size) // LINE_BYTES)
        self._states, self._meta = f"{prefix}states", f"{prefix}meta"
        self._changed, self._retries = f"{prefix}changed", f"{prefix}retries"
        self._memory = f"{prefix}memory"
        self._transitions, self._dispatch = f"{prefix}transitions", f"{prefix}dispatch"
        self._unreleased: dict[str, Flight] = {}

    def now(self) -> float:
        """Return the server's time, in seconds since the Unix epoch. Raise StoreUnavailable."""
        return self._connection.now()

    def take(self, check: str, run_id: str, *, lease_seconds: float, overdue_at: float | None = None) -> Flight:
        """Take the check's flight. Raise FlightRefused (``busy``, ``overdue``) and StoreUnavailable."""
        if unreleased := self._unreleased.get(check):
            self.release(unreleased)
        answer, *flight = self._connection.run(
            "take",
            [self._flight(check), self._states, self._meta, self._memory],
            [
                *(check, run_id, max(1, round(lease_seconds * 1e3)), _microseconds(overdue_at)),
                *(codec.LIMIT_BYTES, codec.MEMORY_LIMIT_BYTES),
            ],
        )
        if answer != b"taken":
            raise FlightRefused(check, str(answer, "ascii"))
        token, taken_at, stored, raw = flight
        memory = codec.decode_memory(raw)
        if raw and memory is None:
            self._rejected.count("memory")
            # A kind without a memory never replaces it, and each run would spend time and memory to unpack it.
            self._connection.run("discard", [self._memory], [check, raw])
        return _TakenFlight(check, run_id, int(token), int(taken_at) / 1e6, memory, bytes(stored))

    def update(self, flight: Flight, reducer: Reducer, *, memory: str | None = None) -> tuple[Transition, ...]:
        """Replace the state by ``reducer(state)`` and the memory, and release the flight. Return the transitions.

        Raise FlightLost when the flight is not the current one. Raise StoreUnavailable when it is unknown whether the
        update was applied; a repeated call with the same flight returns the same transitions.
        """
        stored = (
            flight.stored if isinstance(flight, _TakenFlight) else b"".join(self._read_raw("names", flight.check)[6:])
        )
        made = self._replace(flight, {flight.check: reducer}, {flight.check: stored}, (flight.check,), memory)
        return made[flight.check]

    def update_many(
        self, flight: Flight, reducers: Mapping[str, Reducer], *, history: Container[str] = ()
    ) -> dict[str, tuple[Transition, ...]]:
        """Replace the states of several checks of one flight. Return the transitions of each. Keep the flight.

        Raise FlightLost and StoreUnavailable, after which some updates may have been applied; a repeated call with the
        same flight returns the same transitions. Only the checks in ``history`` get a sample.
        """
        made: dict[str, tuple[Transition, ...]] = {}
        names = list(reducers)
        for start in range(0, len(names), ENTRIES_PER_COMMIT):
            batch = names[start : start + ENTRIES_PER_COMMIT]
            flat = self._read_raw("names", *batch)[5:]
            stored = {name.decode(): bytes(raw) for name, raw in zip(flat[::2], flat[1::2], strict=True)}
            made |= self._replace(flight, {name: reducers[name] for name in batch}, stored, history)
        return made

    def release(self, flight: Flight) -> None:
        """Release a flight without a result. Raise StoreUnavailable.

        After a failure, the next :meth:`take` of the check releases it. Otherwise a server that returns with its data
        would refuse the check until the lease ends.
        """
        self._unreleased[flight.check] = flight
        self._connection.run("release", [self._flight(flight.check)], [str(flight.token)])
        self._unreleased.pop(flight.check, None)

    def claim_window(self, fingerprint: str, *, at_least_seconds: float = 0.0) -> Window | None:
        """Claim the time since the last claim. Raise StoreUnavailable.

        Return None when the last claim is younger than ``at_least_seconds``.
        """
        answer = self._connection.run(
            "claim",
            [self._dispatch, self._retries, self._states],
            [fingerprint, round(at_least_seconds * 1e6), uuid.uuid4().hex],
        )
        if answer is None:
            return None
        until, since, retries, observed = answer
        return Window(
            since=int(since) / 1e6 if since else None,
            until=int(until) / 1e6,
            retries=tuple(_names(retries)),
            observed=None if observed is None else frozenset(_names(observed)),
        )

    def dispatched_at(self) -> float | None:
        """Return the time of the last claimed window; None when there is none. Raise StoreUnavailable."""
        cursor = self._connection.call("HGET", self._dispatch, "cursor")
        return int(cursor) / 1e6 if cursor and cursor.isdigit() and len(cursor) <= 16 else None

    def read(self, checks: Iterable[str] | None = None) -> Snapshot:
        """Return the decodable states of ``checks``, of all checks when None. Raise StoreUnavailable."""
        _, now, states = self._read(*(["all"] if checks is None else ["names", *checks]))
        return Snapshot(states, now)

    def changes(self, cursor: str | None) -> Changes:
        """Return the states written since ``cursor``; all of them when it is not valid. Raise StoreUnavailable."""
        since = re.fullmatch(r"(\d{1,16}):(\d{1,16})", cursor or "")
        (epoch, change, full), now, states = self._read(*(["since", *since.groups()] if since else ["all"]))
        return Changes(states, f"{epoch.decode()}:{change.decode()}", bool(full), now)

    def transitions(self, *, after: str | None = None, limit: int = 100) -> list[tuple[str, Transition]]:
        """Return up to ``limit`` transitions after the cursor ``after``, oldest first. Raise StoreUnavailable."""
        start = f"({after}" if after and re.fullmatch(r"\d{1,16}(-\d{1,16})?", after) else "-"
        found: list[tuple[str, Transition]] = []
        while len(found) < limit:
            page = self._connection.run("page", [self._transitions], [start, limit, codec.LIMIT_BYTES])
            for entry, raw in zip(page[::2], page[1::2], strict=True):
                start = f"({entry.decode()}"
                transition = codec.decode_transition(raw)
                if transition is not None:
                    found.append((entry.decode(), transition))
            if len(page) < 2 * limit:
                break
        return found[:limit]

    def sweep(self) -> None:
        """Delete states and memories beyond all limits, whichever program wrote them. Raise StoreUnavailable."""
        for key, kind in ((self._states, "state"), (self._memory, "memory")):
            limit = codec.LIMIT_BYTES if kind == "state" else codec.MEMORY_LIMIT_BYTES
            removed = sweep(self._connection, key, changed=self._changed, least=1, limit=limit)
            self._rejected.count(kind, removed + self._connection.run("remove_oversized", [key], [limit]))

    def forget(self, checks: Iterable[str]) -> None:
        """Delete everything about ``checks`` except their past transitions. Raise StoreUnavailable."""
        names = list(checks)
        if names:
            keys = [self._meta, self._states, self._changed, self._retries, self._memory]
            self._history.forget(names, self.now())
            self._connection.run("forget", keys, names)

    def _replace(
        self,
        flight: Flight,
        reducers: Mapping[str, Reducer],
        stored: Mapping[str, bytes],
        history: Container[str],
        memory: str | None = None,
    ) -> dict[str, tuple[Transition, ...]]:
        made: dict[str, tuple[Transition, ...]] = {}
        releases = flight.check in reducers  # writing the flight's own check ends the flight
        current = {name: stored.get(name, b"") for name in reducers}
        for _ in range(MAX_CONFLICTS):
            records: dict[str, codec.StoredCheck] = {}
            for name, raw in current.items():
                before = codec.decode(name, raw)
                if before and before.run_id == flight.run_id:
                    made[name] = before.transitions
                    continue
                state, transitions = reducers[name](codec.trusted_state(before, flight.taken_at))
                records[name] = codec.StoredCheck(state, flight.run_id, transitions)
            if not records:
                if releases:
                    self.release(flight)
                return made
            entries = {name: (current[name], record) for name, record in records.items()}
            answer, conflicts = self._commit(flight, entries, history, releases, memory)
            if answer == b"lost":
                return made | {name: _applied_before(flight, name, raw) for name, raw in conflicts.items()}
            made |= {name: record.transitions for name, record in records.items() if name not in conflicts}
            if not conflicts:
                return made
            current = conflicts
        raise StoreUnavailable(
            f"the state of {min(current)} is being changed by another program, which holds no flight"
        )

    def _commit(
        self,
        flight: Flight,
        entries: Mapping[str, tuple[bytes, codec.StoredCheck]],
        history: Container[str],
        releases: bool,
        memory: str | None,
    ) -> tuple[bytes, dict[str, bytes]]:
        """Return the script's reply, and the current values of the entries in conflict."""
        keys = [self._flight(flight.check), self._states, self._meta, self._changed, self._retries, self._transitions]
        keys += [self._memory, self._keys.open]
        arguments: list[Argument] = [str(flight.token), "1" if releases else "", TRANSITIONS_KEPT, codec.LIMIT_BYTES]
        arguments += [flight.check, b"" if memory is None else codec.encode_memory(memory)]
        arguments += [self._lines_kept, self._retention.line_seconds]
        for name, (stored, record) in entries.items():
            state = record.state
            # A state that changed without a new result (because it is overdue) adds no sample.
            new = self._retention.enabled and name in history and state.result.run_id == flight.run_id
            hour = int(state.result.observed_at // HOUR_SECONDS)
            line = encode_line(sample_of(state)) if new else b""
            keys.append(self._keys.open_list(name, hour))
            arguments += [name, stored, codec.encode(record), _microseconds(state.retry_at), line, hour]
            arguments.append(len(record.transitions))
            for transition in record.transitions:
                arguments += [transition.id, codec.encode_transition(transition)]
        answer, *rest = self._connection.run("commit", keys, arguments)
        names = list(entries)
        if answer == b"lost":
            return answer, dict(zip(names, rest, strict=True))
        return answer, {names[place - 1]: bytes(raw) for place, raw in zip(rest[::2], rest[1::2], strict=True)}

    def _read(self, *mode: str) -> tuple[tuple[bytes, bytes, int], float, dict[str, State]]:
        now, epoch, change, full, refused, *flat = self._read_raw(*mode)
        read_at = int(now) / 1e6
        records = {name: _record(name, raw) for name, raw in zip(flat[::2], flat[1::2], strict=True)}
        undecodable = {name: raw for name, raw in zip(flat[::2], flat[1::2], strict=True) if records[name] is None}
        self._reject(undecodable, refused, everything=mode[0] == "all")
        trusted = {name.decode(): codec.trusted_state(record, read_at) for name, record in records.items() if record}
        return (epoch, change, full), read_at, {name: state for name, state in trusted.items() if state}

    def _reject(self, undecodable: Mapping[bytes, bytes], refused: int, *, everything: bool) -> None:
        """Count the undecodable states. Delete them when all are read, since perhaps no run ever replaces them."""
        self._rejected.count("state", len(undecodable) + refused)
        if undecodable and everything and self._rejected.writes:
            pairs = [value for item in undecodable.items() for value in item]
            for start in range(0, len(pairs), 2 * ENTRIES_PER_COMMIT):
                self._connection.run("discard", [self._states], pairs[start : start + 2 * ENTRIES_PER_COMMIT])

    def _read_raw(self, *mode: str) -> list[Any]:
        keys = [self._meta, self._states, self._changed]
        answer: list[Any] = self._connection.run("read", keys, [codec.LIMIT_BYTES, *mode])
        return answer

    def _flight(self, check: str) -> str:
        return f"{self._prefix}flight:{check}"


def _applied_before(flight: Flight, name: str, current: bytes) -> tuple[Transition, ...]:
    record = codec.decode(name, current)
    if record is None or record.run_id != flight.run_id:
        raise FlightLost(f"{flight.check}: flight {flight.token} is not the current one")
    return record.transitions


def _record(name: bytes, raw: bytes) -> codec.StoredCheck | None:
    return codec.decode(name.decode(errors="replace"), raw)


def _names(raw: Sequence[bytes]) -> Iterator[str]:
    return (name.decode(errors="replace") for name in raw)


def _microseconds(at: float | None) -> str:
    return "" if at is None else str(round(at * 1e6))
