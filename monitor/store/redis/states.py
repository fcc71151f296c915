"""States in Redis or Valkey. See docs/decisions/0002 for why scripts, and for what they keep."""

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

CONFLICTS_BORNE = 16
ENTRIES_PER_COMMIT = 100  # a script holds up everybody else for a few milliseconds at most


@dataclass(frozen=True, slots=True)
class _Held(Flight):
    """A flight that remembers the state it took off from, which saves ``update`` from reading it."""

    seen: bytes = field(default=b"", repr=False, compare=False)


class RedisStateStore:
    """A :class:`monitor.ports.store.StateStore` over the store's connection.

    The samples of ``roster_size`` checks are kept as ``retention`` says, for ``history`` to read.
    """

    def __init__(
        self,
        link: RedisConnection,
        prefix: str,
        aside: RejectedValues,
        *,
        history: RedisHistory,
        retention: Retention,
        roster_size: int,
    ) -> None:
        self._link, self._prefix, self._aside, self._history = link, prefix, aside, history
        self._retention, self._keys = retention, HistoryKeys.of(prefix)
        # Should nobody pack them, the lists of samples stay within the budget by themselves.
        self._lines_kept = max(100, retention.budget_bytes // max(1, roster_size) // LINE_BYTES)
        self._states, self._meta = f"{prefix}states", f"{prefix}meta"
        self._changed, self._retries = f"{prefix}changed", f"{prefix}retries"
        self._memory = f"{prefix}memory"
        self._transitions, self._dispatch = f"{prefix}transitions", f"{prefix}dispatch"
        self._unreleased: dict[str, Flight] = {}

    def now(self) -> float:
        """The server's clock, in seconds since the Unix epoch. Raises StoreUnavailable."""
        return self._link.now()

    def take(self, check: str, run_id: str, *, lease_seconds: float, overdue_at: float | None = None) -> Flight:
        """Take the check's flight. Raises FlightRefused (``busy``, ``overdue``) and StoreUnavailable."""
        if left := self._unreleased.get(check):
            self.release(left)
        answer, *flight = self._link.run(
            "take",
            [self._flight(check), self._states, self._meta, self._memory],
            [
                *(check, run_id, max(1, round(lease_seconds * 1e3)), _stamp(overdue_at)),
                *(codec.LIMIT_BYTES, codec.MEMORY_LIMIT_BYTES),
            ],
        )
        if answer != b"taken":
            raise FlightRefused(check, str(answer, "ascii"))
        token, taken_at, seen, raw = flight
        memory = codec.decode_memory(raw)
        if raw and memory is None:
            self._aside.count("memory")
            # A kind without a memory never replaces it, and unpacking it in each run takes time and memory.
            self._link.run("discard", [self._memory], [check, raw])
        return _Held(check, run_id, int(token), int(taken_at) / 1e6, memory, bytes(seen))

    def update(self, flight: Flight, reducer: Reducer, *, memory: str | None = None) -> tuple[Transition, ...]:
        """Replace the state by ``reducer(state)`` and the memory, and free the flight; the transitions this made.

        Raises FlightLost when the flight is not the current one, and StoreUnavailable, after which it is not known
        whether it was applied: asking again with the same flight answers as the first time.
        """
        seen = flight.seen if isinstance(flight, _Held) else b"".join(self._read_raw("names", flight.check)[6:])
        made = self._replace(flight, {flight.check: reducer}, {flight.check: seen}, (flight.check,), memory)
        return made[flight.check]

    def update_many(
        self, flight: Flight, reducers: Mapping[str, Reducer], *, history: Container[str] = ()
    ) -> dict[str, tuple[Transition, ...]]:
        """Replace the states of several checks that one flight observed; the transitions of each. Keeps the flight.

        Raises FlightLost and StoreUnavailable, after which some of them may have been applied: asking again with the
        same flight answers as the first time. Only checks in ``history`` leave a sample there.
        """
        made: dict[str, tuple[Transition, ...]] = {}
        names = list(reducers)
        for start in range(0, len(names), ENTRIES_PER_COMMIT):
            some = names[start : start + ENTRIES_PER_COMMIT]
            flat = self._read_raw("names", *some)[5:]
            seen = {name.decode(): bytes(raw) for name, raw in zip(flat[::2], flat[1::2], strict=True)}
            made |= self._replace(flight, {name: reducers[name] for name in some}, seen, history)
        return made

    def release(self, flight: Flight) -> None:
        """Free a flight without a result. Raises StoreUnavailable; then the next :meth:`take` of the check frees it.

        A server that comes back with its data would else refuse the check until the lease is over.
        """
        self._unreleased[flight.check] = flight
        self._link.run("release", [self._flight(flight.check)], [str(flight.token)])
        self._unreleased.pop(flight.check, None)

    def claim_window(self, fingerprint: str, *, at_least_seconds: float = 0.0) -> Window | None:
        """The time since the last claim; None if younger than ``at_least_seconds``. Raises StoreUnavailable."""
        answer = self._link.run(
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
        """When the last window was claimed; None when there has been none. Raises StoreUnavailable."""
        cursor = self._link.call("HGET", self._dispatch, "cursor")
        return int(cursor) / 1e6 if cursor and cursor.isdigit() and len(cursor) <= 16 else None

    def read(self, checks: Iterable[str] | None = None) -> Snapshot:
        """The states of ``checks`` (all when None) that can be understood. Raises StoreUnavailable."""
        _, now, states = self._read(*(["all"] if checks is None else ["names", *checks]))
        return Snapshot(states, now)

    def changes(self, cursor: str | None) -> Changes:
        """The states written since ``cursor`` (all of them when it means nothing here). Raises StoreUnavailable."""
        since = re.fullmatch(r"(\d{1,16}):(\d{1,16})", cursor or "")
        (epoch, change, full), now, states = self._read(*(["since", *since.groups()] if since else ["all"]))
        return Changes(states, f"{epoch.decode()}:{change.decode()}", bool(full), now)

    def transitions(self, *, after: str | None = None, limit: int = 100) -> list[tuple[str, Transition]]:
        """Up to ``limit`` transitions after the cursor ``after``, oldest first. Raises StoreUnavailable."""
        start = f"({after}" if after and re.fullmatch(r"\d{1,16}(-\d{1,16})?", after) else "-"
        found: list[tuple[str, Transition]] = []
        while len(found) < limit:
            page = self._link.run("page", [self._transitions], [start, limit, codec.LIMIT_BYTES])
            for entry, raw in zip(page[::2], page[1::2], strict=True):
                start = f"({entry.decode()}"
                transition = codec.decode_transition(raw)
                if transition is not None:
                    found.append((entry.decode(), transition))
            if len(page) < 2 * limit:
                break
        return found[:limit]

    def sweep(self) -> None:
        """Remove what is beyond all limits, whoever wrote it. Raises StoreUnavailable."""
        for key, kind in ((self._states, "state"), (self._memory, "memory")):
            limit = codec.LIMIT_BYTES if kind == "state" else codec.MEMORY_LIMIT_BYTES
            removed = sweep(self._link, key, changed=self._changed, least=1, limit=limit)
            self._aside.count(kind, removed + self._link.run("shorten", [key], [limit]))

    def forget(self, checks: Iterable[str]) -> None:
        """Remove everything about ``checks`` but their past transitions. Raises StoreUnavailable."""
        names = list(checks)
        if names:
            keys = [self._meta, self._states, self._changed, self._retries, self._memory]
            self._history.forget(names, self.now())
            self._link.run("forget", keys, names)

    def _replace(
        self,
        flight: Flight,
        reducers: Mapping[str, Reducer],
        seen: Mapping[str, bytes],
        history: Container[str],
        memory: str | None = None,
    ) -> dict[str, tuple[Transition, ...]]:
        made: dict[str, tuple[Transition, ...]] = {}
        free = flight.check in reducers  # who writes the flight's own check is done with it
        current = {name: seen.get(name, b"") for name in reducers}
        for _ in range(CONFLICTS_BORNE):
            records: dict[str, codec.StoredCheck] = {}
            for name, raw in current.items():
                before = codec.decode(name, raw)
                if before and before.run_id == flight.run_id:
                    made[name] = before.transitions
                    continue
                state, transitions = reducers[name](codec.believed(before, flight.taken_at))
                records[name] = codec.StoredCheck(state, flight.run_id, transitions)
            if not records:
                if free:
                    self.release(flight)
                return made
            entries = {name: (current[name], record) for name, record in records.items()}
            answer, conflicts = self._commit(flight, entries, history, free, memory)
            if answer == b"lost":
                return made | {name: _applied_before(flight, name, raw) for name, raw in conflicts.items()}
            made |= {name: record.transitions for name, record in records.items() if name not in conflicts}
            if not conflicts:
                return made
            current = conflicts
        raise StoreUnavailable(f"the state of {min(current)} is being changed by somebody who holds no flight")

    def _commit(
        self,
        flight: Flight,
        entries: Mapping[str, tuple[bytes, codec.StoredCheck]],
        history: Container[str],
        free: bool,
        memory: str | None,
    ) -> tuple[bytes, dict[str, bytes]]:
        """The script's answer, and what is there now instead of what was seen."""
        keys = [self._flight(flight.check), self._states, self._meta, self._changed, self._retries, self._transitions]
        keys += [self._memory, self._keys.open]
        arguments: list[Argument] = [str(flight.token), "1" if free else "", TRANSITIONS_KEPT, codec.LIMIT_BYTES]
        arguments += [flight.check, b"" if memory is None else codec.encode_memory(memory)]
        arguments += [self._lines_kept, self._retention.line_seconds]
        for name, (seen, record) in entries.items():
            state = record.state
            # A state that was changed without a new result (an overdue one) adds nothing to history.
            new = self._retention.enabled and name in history and state.result.run_id == flight.run_id
            hour = int(state.result.observed_at // HOUR_SECONDS)
            line = encode_line(sample_of(state)) if new else b""
            keys.append(self._keys.open_list(name, hour))
            arguments += [name, seen, codec.encode(record), _stamp(state.retry_at), line, hour]
            arguments.append(len(record.transitions))
            for transition in record.transitions:
                arguments += [transition.id, codec.encode_transition(transition)]
        answer, *rest = self._link.run("commit", keys, arguments)
        names = list(entries)
        if answer == b"lost":
            return answer, dict(zip(names, rest, strict=True))
        return answer, {names[place - 1]: bytes(raw) for place, raw in zip(rest[::2], rest[1::2], strict=True)}

    def _read(self, *mode: str) -> tuple[tuple[bytes, bytes, int], float, dict[str, State]]:
        now, epoch, change, full, refused, *flat = self._read_raw(*mode)
        read_at = int(now) / 1e6
        records = {name: _record(name, raw) for name, raw in zip(flat[::2], flat[1::2], strict=True)}
        wrong = {name: raw for name, raw in zip(flat[::2], flat[1::2], strict=True) if records[name] is None}
        self._set_aside(wrong, refused, everything=mode[0] == "all")
        believed = {name.decode(): codec.believed(record, read_at) for name, record in records.items() if record}
        return (epoch, change, full), read_at, {name: state for name, state in believed.items() if state}

    def _set_aside(self, wrong: Mapping[bytes, bytes], refused: int, *, everything: bool) -> None:
        """Count the states that are none, and remove them where all are read: no run may ever replace them."""
        self._aside.count("state", len(wrong) + refused)
        if wrong and everything and self._aside.writes:
            pairs = [part for item in wrong.items() for part in item]
            for start in range(0, len(pairs), 2 * ENTRIES_PER_COMMIT):
                self._link.run("discard", [self._states], pairs[start : start + 2 * ENTRIES_PER_COMMIT])

    def _read_raw(self, *mode: str) -> list[Any]:
        keys = [self._meta, self._states, self._changed]
        answer: list[Any] = self._link.run("read", keys, [codec.LIMIT_BYTES, *mode])
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


def _stamp(at: float | None) -> str:
    return "" if at is None else str(round(at * 1e6))
