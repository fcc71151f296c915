"""States in memory, for users' tests and for processes without Redis."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, TypeGuard

from monitor.history.samples import sample_of
from monitor.lib import decoding
from monitor.model.checks import Changes, Flight, Snapshot, State, Transition, Window
from monitor.policy import FUTURE_TOLERANCE_SECONDS
from monitor.ports.store import FlightLost, FlightRefused, Reducer
from monitor.store import codec
from monitor.store.memory.history import MemoryHistory
from monitor.store.retention import TRANSITIONS_KEPT


@dataclass(slots=True)
class _Kept:
    raw: bytes
    change: int


@dataclass(slots=True)
class _Dispatch:
    cursor: float | None = None
    roster_fingerprint: str | None = None
    retries: dict[str, float] = field(default_factory=dict)


class MemoryStateStore:
    """A :class:`monitor.ports.store.StateStore` in this process, with the time of ``clock``. Threads may share it.

    States are encoded as in Redis, so that a test reads the same values as from Redis. With ``keeps_history``, samples
    are added to ``history``.
    """

    def __init__(self, clock: Callable[[], float], history: MemoryHistory, *, keeps_history: bool) -> None:
        self._clock = clock
        self._history, self._keeps_history = history, keeps_history
        self._lock = RLock()
        self._kept: dict[str, _Kept] = {}
        self._flights: dict[str, tuple[Flight, float]] = {}
        self._dispatch = _Dispatch()
        self._memories: dict[str, str] = {}
        self._transitions: deque[tuple[int, Transition]] = deque(maxlen=TRANSITIONS_KEPT)
        self._stored = self._tokens = self._change = 0
        self._epoch = 1

    def now(self) -> float:
        """Return the clock's time, in seconds since the Unix epoch."""
        return self._clock()

    def take(self, check: str, run_id: str, *, lease_seconds: float, overdue_at: float | None = None) -> Flight:
        """Take the check's flight. Raise FlightRefused (``busy``, ``overdue``)."""
        with self._lock:
            now, held = self._clock(), self._current(check)
            if held and held.run_id == run_id:
                return held
            if overdue_at is not None and now > overdue_at:
                raise FlightRefused(check, "overdue")
            if held:
                raise FlightRefused(check, "busy")
            self._tokens += 1
            flight = Flight(check, run_id, self._tokens, now, self._memories.get(check))
            self._flights[check] = flight, now + lease_seconds
            return flight

    def update(self, flight: Flight, reducer: Reducer, *, memory: str | None = None) -> tuple[Transition, ...]:
        """Store ``reducer(state)`` and ``memory``, and release the flight. Raise FlightLost."""
        with self._lock:
            transitions = self._replace(flight, flight.check, reducer, sampled=True)
            if memory is not None and self._is_current(flight):
                self._memories[flight.check] = memory
            self.release(flight)
            return transitions

    def update_many(
        self,
        flight: Flight,
        reducers: Mapping[str, Reducer],
        *,
        sampled_checks: Container[str] = (),
    ) -> dict[str, tuple[Transition, ...]]:
        """Replace the states of several checks of one flight. Return the transitions of each. Raise FlightLost."""
        with self._lock:
            return {
                name: self._replace(flight, name, reducer, sampled=name in sampled_checks)
                for name, reducer in reducers.items()
            }

    def release(self, flight: Flight) -> None:
        """Release a flight without a result."""
        with self._lock:
            if self._is_current(flight):
                del self._flights[flight.check]

    def claim_window(self, roster_fingerprint: str, *, at_least_seconds: float = 0.0) -> Window | None:
        """Claim the time from the last claim until now. Return None when that is less than ``at_least_seconds``."""
        with self._lock:
            now, last = self._clock(), self._dispatch
            since = last.cursor
            if since is not None and since > now + FUTURE_TOLERANCE_SECONDS:
                since = None
            if since is not None and now - since < at_least_seconds:
                return None
            if since is not None and since > now:
                return None
            retries = tuple(name for name, at in sorted(last.retries.items(), key=lambda item: item[1]) if at <= now)
            waiting = {name: at for name, at in last.retries.items() if at > now}
            is_new = since is None or last.roster_fingerprint != roster_fingerprint
            self._dispatch = _Dispatch(now, roster_fingerprint, waiting)
            return Window(since, now, retries, frozenset(self._kept) if is_new else None)

    def dispatched_at(self) -> float | None:
        """Return the end of the last claimed window; None when no window was claimed."""
        return self._dispatch.cursor

    def read(self, checks: Iterable[str] | None = None) -> Snapshot:
        """Return the states of ``checks``; of all checks when None."""
        with self._lock:
            now = self._clock()
            names = list(self._kept) if checks is None else [name for name in checks if name in self._kept]
            return Snapshot(self._decoded_states(names, now), now)

    def changes(self, cursor: str | None) -> Changes:
        """Return the states written after ``cursor``; all states when it is not a cursor of this store."""
        with self._lock:
            now, known = self._clock(), self._change_of(cursor)
            names = [name for name, kept in self._kept.items() if known is None or kept.change > known]
            return Changes(self._decoded_states(names, now), f"{self._epoch}:{self._change}", known is None, now)

    def transitions(self, *, after: str | None = None, limit: int = 100) -> list[tuple[str, Transition]]:
        """Return up to ``limit`` transitions after the cursor ``after``, oldest first."""
        with self._lock:
            kept = list(self._transitions)
            start = bisect_right(kept, int(after), key=lambda item: item[0]) if after and after.isdigit() else 0
            return [(str(number), transition) for number, transition in kept[start : start + limit]]

    def forget(self, checks: Iterable[str]) -> None:
        """Delete the states, memories and history of ``checks``, but not their transitions."""
        with self._lock:
            names = list(checks)
            self._history.forget(names)
            for name in names:
                self._kept.pop(name, None)
                self._memories.pop(name, None)
                self._dispatch.retries.pop(name, None)
            self._epoch += 1

    def export(self) -> dict[str, Any]:
        """Return the states and memories as JSON values, for :meth:`restore` in another process."""
        with self._lock:
            states = {name: kept.raw.decode() for name, kept in self._kept.items()}
            return {"states": states, "memories": dict(self._memories)}

    def restore(self, exported: Mapping[str, Any]) -> None:
        """Add the states and memories of an export, without invalid ones. Raise ValueError for a malformed export."""
        states, memories = exported.get("states"), exported.get("memories")
        if not (_is_text_mapping(states) and _is_text_mapping(memories)):
            raise ValueError("an export contains states and memories, both as text by check")
        with self._lock:
            for name, text in states.items():
                raw = text.encode(errors="replace")
                if codec.decode(name, raw) is not None:
                    self._change += 1
                    self._kept[name] = _Kept(raw, self._change)
            self._memories.update((name, memory) for name, memory in memories.items() if _is_valid_memory(name, memory))

    def _replace(self, flight: Flight, check: str, reducer: Reducer, *, sampled: bool) -> tuple[Transition, ...]:
        kept = self._kept.get(check)
        record = codec.decode(check, kept.raw) if kept else None
        if record and record.run_id == flight.run_id:
            return record.transitions
        if not self._is_current(flight):
            raise FlightLost(f"{flight.check}: flight {flight.token} is not the current one")
        state, transitions = reducer(codec.trusted_state(record, flight.taken_at))
        self._write(check, codec.StoredCheck(state, flight.run_id, transitions))
        if sampled and self._keeps_history and state.result.run_id == flight.run_id:
            self._history.add(check, [sample_of(state)])
        return transitions

    def _write(self, check: str, record: codec.StoredCheck) -> None:
        self._change += 1
        self._kept[check] = _Kept(codec.encode(record), self._change)
        for transition in record.transitions:
            self._stored += 1
            self._transitions.append((self._stored, transition))
        self._dispatch.retries.pop(check, None)
        if record.state.retry_at is not None:
            self._dispatch.retries[check] = record.state.retry_at

    def _current(self, check: str) -> Flight | None:
        flight, ends_at = self._flights.get(check, (None, 0.0))
        return flight if flight and self._clock() < ends_at else None

    def _is_current(self, flight: Flight) -> bool:
        current = self._current(flight.check)
        return current is not None and current.token == flight.token

    def _change_of(self, cursor: str | None) -> int | None:
        epoch, _, change = (cursor or "").partition(":")
        if epoch != str(self._epoch) or not change.isdigit() or int(change) > self._change:
            return None
        return int(change)

    def _decoded_states(self, names: Iterable[str], now: float) -> dict[str, State]:
        records = {name: codec.decode(name, self._kept[name].raw) for name in names}
        states = {name: codec.trusted_state(record, now) for name, record in records.items()}
        return {name: state for name, state in states.items() if state is not None}


def _is_valid_memory(name: str, memory: str) -> bool:
    try:
        return bool(decoding.check_name(name) and decoding.text(memory, max_bytes=codec.MEMORY_TEXT_LIMIT_BYTES))
    except ValueError:
        return False


def _is_text_mapping(value: Any) -> TypeGuard[Mapping[str, str]]:
    return isinstance(value, Mapping) and all(isinstance(each, str) for item in value.items() for each in item)
