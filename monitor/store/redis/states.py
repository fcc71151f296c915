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
from monitor.store.redis.surplus_fields import delete_surplus_fields
from monitor.store.rejected import RejectedValues
from monitor.store.retention import LINE_BYTES, TRANSITIONS_KEPT, HistoryKeys, Retention, encode_line

MAX_CONFLICTS = 16
ENTRIES_PER_COMMIT = 100  # a script blocks the server for a few milliseconds at most


@dataclass(frozen=True, slots=True)
class _TakenFlight(Flight):
    """A flight, and the state that was stored when the flight was taken. With it, ``update`` needs no read."""

    stored: bytes = field(default=b"", repr=False, compare=False)


class RedisStateStore:
    """A :class:`monitor.ports.store.StateStore` over the store's connection.

    It writes a sample with each state, if ``retention`` is enabled, and deletes samples through ``history``. The number
    of waiting samples of each check is limited so that ``roster_size`` checks stay within the budget of ``retention``.
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
        # Limit for each list of samples. It keeps all lists together within the budget when no compaction runs.
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
        """Take the check's flight. Raise FlightRefused (``busy``, ``overdue``) or StoreUnavailable."""
        if unreleased := self._unreleased.get(check):
            self.release(unreleased)
        answer, *flight = self._connection.run(
            "take",
            [self._flight_key(check), self._states, self._meta, self._memory],
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
            # A kind that stores no memory would never replace this value, and each run would unpack it again.
            self._connection.run("discard", [self._memory], [check, raw])
        return _TakenFlight(check, run_id, int(token), int(taken_at) / 1e6, memory, bytes(stored))

    def update(self, flight: Flight, reducer: Reducer, *, memory: str | None = None) -> tuple[Transition, ...]:
        """Store ``reducer(state)`` and ``memory``, release the flight, and return the transitions.

        Raise FlightLost when the flight is not the current one. Raise StoreUnavailable when it is unknown whether the
        update was applied. A repeated call with the same flight applies the update at most once, and returns the same
        transitions.
        """
        if isinstance(flight, _TakenFlight):
            stored = flight.stored
        else:
            stored = self._stored_states([flight.check]).get(flight.check, b"")
        transitions = self._replace(flight, {flight.check: reducer}, {flight.check: stored}, (flight.check,), memory)
        return transitions[flight.check]

    def update_many(
        self, flight: Flight, reducers: Mapping[str, Reducer], *, sampled_checks: Container[str] = ()
    ) -> dict[str, tuple[Transition, ...]]:
        """Replace the states of several checks of one flight. Return the transitions of each check.

        The flight is not released. Only the checks in ``sampled_checks`` get a sample. Raise FlightLost or
        StoreUnavailable. After an error, some of the checks may have been updated: a repeated call with the same flight
        updates the others, and returns the transitions of all.
        """
        transitions: dict[str, tuple[Transition, ...]] = {}
        names = list(reducers)
        for start in range(0, len(names), ENTRIES_PER_COMMIT):
            batch = names[start : start + ENTRIES_PER_COMMIT]
            batch_reducers = {name: reducers[name] for name in batch}
            transitions |= self._replace(flight, batch_reducers, self._stored_states(batch), sampled_checks)
        return transitions

    def release(self, flight: Flight) -> None:
        """Release a flight without a result. Raise StoreUnavailable.

        If this fails, the next :meth:`take` of the check releases the flight first. Otherwise the check could not run
        until the lease ends.
        """
        self._unreleased[flight.check] = flight
        self._connection.run("release", [self._flight_key(flight.check)], [str(flight.token)])
        self._unreleased.pop(flight.check, None)

    def claim_window(self, roster_fingerprint: str, *, at_least_seconds: float = 0.0) -> Window | None:
        """Claim the time from the last claim until now. Return this window. Raise StoreUnavailable.

        Return None when the last claim was made less than ``at_least_seconds`` ago.
        """
        answer = self._connection.run(
            "claim",
            [self._dispatch, self._retries, self._states],
            [roster_fingerprint, round(at_least_seconds * 1e6), uuid.uuid4().hex],
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
        """Return the end of the last claimed window; None when no window was claimed. Raise StoreUnavailable."""
        cursor = self._connection.call("HGET", self._dispatch, "cursor")
        return int(cursor) / 1e6 if cursor and cursor.isdigit() and len(cursor) <= 16 else None

    def read(self, checks: Iterable[str] | None = None) -> Snapshot:
        """Return the states of ``checks``; of all checks when None. Raise StoreUnavailable."""
        _, now, states = self._read(*(["all"] if checks is None else ["names", *checks]))
        return Snapshot(states, now)

    def changes(self, cursor: str | None) -> Changes:
        """Return the states written after ``cursor``; all states if it is not valid. Raise StoreUnavailable."""
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

    def delete_oversized(self) -> None:
        """Delete states and memories that are too large, and those above the maximum number. Raise StoreUnavailable."""
        for key, kind in ((self._states, "state"), (self._memory, "memory")):
            limit = codec.LIMIT_BYTES if kind == "state" else codec.MEMORY_LIMIT_BYTES
            removed = delete_surplus_fields(self._connection, key, changed=self._changed, least=1, limit=limit)
            self._rejected.count(kind, removed + self._connection.run("delete_oversized", [key], [limit]))

    def forget(self, checks: Iterable[str]) -> None:
        """Delete the states, memories and history of ``checks``, but not their transitions. Raise StoreUnavailable."""
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
        sampled_checks: Container[str],
        memory: str | None = None,
    ) -> dict[str, tuple[Transition, ...]]:
        made: dict[str, tuple[Transition, ...]] = {}
        releases = flight.check in reducers  # the flight ends when the state of its own check is written
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
            answer, conflicts = self._commit(flight, entries, sampled_checks, releases, memory)
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
        sampled_checks: Container[str],
        releases: bool,
        memory: str | None,
    ) -> tuple[bytes, dict[str, bytes]]:
        """Write the entries. Return ``lost`` or ``done``, and the stored values of the entries that were not written.

        An entry is not written when its stored value is no longer the one that the reducer got, and when the flight is
        lost.
        """
        keys = [self._flight_key(flight.check), self._states, self._meta, self._changed, self._retries]
        keys += [self._transitions, self._memory, self._keys.open]
        arguments: list[Argument] = [str(flight.token), "1" if releases else "", TRANSITIONS_KEPT, codec.LIMIT_BYTES]
        arguments += [flight.check, b"" if memory is None else codec.encode_memory(memory)]
        arguments += [self._lines_kept, self._retention.line_seconds]
        for name, (stored, record) in entries.items():
            state = record.state
            # A sweep changes states without a new result: it adds no sample.
            is_sampled = self._retention.enabled and name in sampled_checks and state.result.run_id == flight.run_id
            hour = int(state.result.observed_at // HOUR_SECONDS)
            line = encode_line(sample_of(state)) if is_sampled else b""
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
        now, epoch, change, full, oversized_count, *flat = self._read_raw(*mode)
        read_at = int(now) / 1e6
        records = {name: _record(name, raw) for name, raw in zip(flat[::2], flat[1::2], strict=True)}
        undecodable = {name: raw for name, raw in zip(flat[::2], flat[1::2], strict=True) if records[name] is None}
        self._reject(undecodable, oversized_count, has_read_all=mode[0] == "all")
        trusted = {name.decode(): codec.trusted_state(record, read_at) for name, record in records.items() if record}
        return (epoch, change, full), read_at, {name: state for name, state in trusted.items() if state}

    def _reject(self, undecodable: Mapping[bytes, bytes], oversized_count: int, *, has_read_all: bool) -> None:
        """Count undecodable and oversized states. After a read of all states, delete the undecodable ones."""
        self._rejected.count("state", len(undecodable) + oversized_count)
        if undecodable and has_read_all and self._rejected.writes:
            pairs = [value for item in undecodable.items() for value in item]
            for start in range(0, len(pairs), 2 * ENTRIES_PER_COMMIT):
                self._connection.run("discard", [self._states], pairs[start : start + 2 * ENTRIES_PER_COMMIT])

    def _stored_states(self, checks: Sequence[str]) -> dict[str, bytes]:
        """Return the stored values of these checks, without checks that have no state."""
        _, _, _, _, _, *flat = self._read_raw("names", *checks)
        return {name.decode(): bytes(raw) for name, raw in zip(flat[::2], flat[1::2], strict=True)}

    def _read_raw(self, *mode: str) -> list[Any]:
        keys = [self._meta, self._states, self._changed]
        answer: list[Any] = self._connection.run("read", keys, [codec.LIMIT_BYTES, *mode])
        return answer

    def _flight_key(self, check: str) -> str:
        return f"{self._prefix}flight:{check}"


def _applied_before(flight: Flight, name: str, current: bytes) -> tuple[Transition, ...]:
    """Return the transitions of an update that this run has already made; raise FlightLost if it has made none."""
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
