"""The store in Redis or Valkey. See docs/decisions/0002 for why scripts, and for what they keep."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.model import Changes, Flight, Snapshot, State, Transition, Window
from monitor.ports import FlightLost, FlightRefused, Reducer, StoreUnavailable
from monitor.store import codec, scripts
from monitor.store.history import TRANSITIONS_KEPT, samples_kept
from monitor.store.link import Argument, Link

CONFLICTS_BORNE = 16


@dataclass(frozen=True, slots=True)
class _Held(Flight):
    """A flight that remembers the state it took off from, which saves ``update`` from reading it."""

    seen: bytes = field(default=b"", repr=False, compare=False)


class RedisStore:
    """A :class:`monitor.ports.Store` on a Redis server, 6.2 or newer, or Valkey.

    Nothing connects before the first call. ``url`` is ``redis://``, ``rediss://`` or ``unix://``; every key begins
    with ``prefix``. A call takes at most about three times ``timeout_seconds``. May be shared by threads, and kept
    across a fork. ``history_bytes`` is what history may occupy for ``roster_size`` checks together.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "monitor:",
        timeout_seconds: float = 2.0,
        history_bytes: int = 64 * 2**20,
        roster_size: int = 100,
        retries: bool = True,
    ) -> None:
        self._link = Link(url, timeout_seconds=timeout_seconds, retries=retries)
        self._prefix = prefix
        self._history_bytes_per_check = history_bytes // max(1, roster_size)
        self._states, self._meta = f"{prefix}states", f"{prefix}meta"
        self._changed, self._retries = f"{prefix}changed", f"{prefix}retries"
        self._transitions, self._dispatch = f"{prefix}transitions", f"{prefix}dispatch"

    @classmethod
    def reader(cls, url: str, *, prefix: str = "monitor:", timeout_seconds: float = 0.2) -> RedisStore:
        """A store for those who only read and would rather have no answer than a late one: no retries."""
        return cls(url, prefix=prefix, timeout_seconds=timeout_seconds, retries=False)

    def now(self) -> float:
        """The server's clock, in seconds since the Unix epoch. Raises StoreUnavailable."""
        seconds, microseconds = self._link.call("TIME")
        return int(seconds) + int(microseconds) / 1e6

    def take(self, check: str, run_id: str, *, lease_seconds: float, overdue_at: float | None = None) -> Flight:
        """Take the check's flight. Raises FlightRefused (``busy``, ``overdue``) and StoreUnavailable."""
        answer, *flight = self._link.run(
            scripts.TAKE,
            [self._flight(check), self._states, self._meta],
            [check, run_id, max(1, round(lease_seconds * 1e3)), _stamp(overdue_at), codec.LIMIT_BYTES],
        )
        if answer != b"taken":
            raise FlightRefused(check, str(answer, "ascii"))
        token, taken_at, seen = flight
        return _Held(check, run_id, int(token), int(taken_at) / 1e6, bytes(seen))

    def update(self, flight: Flight, reducer: Reducer) -> tuple[Transition, ...]:
        """Replace the state by ``reducer(state)`` and free the flight; the transitions this made.

        Raises FlightLost when the flight is not the current one, and StoreUnavailable, after which it is not known
        whether it was applied: asking again with the same flight answers as the first time.
        """
        seen = flight.seen if isinstance(flight, _Held) else b"".join(self._read_raw("names", flight.check)[5:])
        for _ in range(CONFLICTS_BORNE):
            record = codec.decode(flight.check, seen)
            if record and record.run_id == flight.run_id:
                self.release(flight)
                return record.transitions
            state, transitions = reducer(codec.believed(record, flight.taken_at))
            answer, current = self._commit(flight, seen, codec.Record(state, flight.run_id, transitions))
            if answer == b"done":
                return transitions
            if answer == b"lost":
                return _applied_before(flight, current)
            seen = current
        raise StoreUnavailable(f"the state of {flight.check} is being changed by somebody who holds no flight")

    def release(self, flight: Flight) -> None:
        """Free a flight without a result. Raises StoreUnavailable."""
        self._link.run(scripts.RELEASE, [self._flight(flight.check)], [str(flight.token)])

    def claim_window(self, fingerprint: str, *, at_least_seconds: float = 0.0) -> Window | None:
        """The time since the last claim; None if younger than ``at_least_seconds``. Raises StoreUnavailable."""
        answer = self._link.run(
            scripts.CLAIM,
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
        start = f"({after}" if after and re.fullmatch(r"\d{1,16}-\d{1,16}", after) else "-"
        found: list[tuple[str, Transition]] = []
        while len(found) < limit:
            page = self._link.run(scripts.PAGE, [self._transitions], [start, limit, codec.LIMIT_BYTES])
            for entry, raw in zip(page[::2], page[1::2], strict=True):
                start = f"({entry.decode()}"
                if transition := codec.decode_transition(raw):
                    found.append((entry.decode(), transition))
            if len(page) < 2 * limit:
                break
        return found[:limit]

    def forget(self, checks: Iterable[str]) -> None:
        """Remove everything about ``checks`` but their past transitions. Raises StoreUnavailable."""
        names = list(checks)
        keys = [self._meta, self._states, self._changed, self._retries, *map(self._history, names)]
        if names:
            self._link.run(scripts.FORGET, keys, names)

    def close(self) -> None:
        """Close the idle connections."""
        self._link.close()

    def _commit(self, flight: Flight, seen: bytes, record: codec.Record) -> tuple[bytes, bytes]:
        state, name = record.state, flight.check
        # A state that was changed without a new result (an overdue one) adds nothing to history.
        sample = codec.encode_sample(state.result) if state.result.run_id == flight.run_id else b""
        kept = samples_kept(state.result, len(sample), self._history_bytes_per_check)
        arguments: list[Argument] = [name, str(flight.token), seen, codec.encode(record), _stamp(state.retry_at)]
        arguments += [sample, kept, TRANSITIONS_KEPT, codec.LIMIT_BYTES]
        for transition in record.transitions:
            arguments += [transition.id, codec.encode_transition(transition)]
        keys = [self._flight(name), self._states, self._meta, self._changed]
        keys += [self._retries, self._transitions, self._history(name)]
        answer = self._link.run(scripts.COMMIT, keys, arguments)
        return answer[0], answer[1] if len(answer) > 1 else b""

    def _read(self, *mode: str) -> tuple[tuple[bytes, bytes, int], float, dict[str, State]]:
        now, epoch, change, full, *flat = self._read_raw(*mode)
        read_at = int(now) / 1e6
        return (epoch, change, full), read_at, dict(_understood(flat, read_at))

    def _read_raw(self, *mode: str) -> list[Any]:
        keys = [self._meta, self._states, self._changed]
        answer: list[Any] = self._link.run(scripts.READ, keys, [codec.LIMIT_BYTES, *mode])
        return answer

    def _flight(self, check: str) -> str:
        return f"{self._prefix}flight:{check}"

    def _history(self, check: str) -> str:
        return f"{self._prefix}history:{check}"


def _applied_before(flight: Flight, current: bytes) -> tuple[Transition, ...]:
    record = codec.decode(flight.check, current)
    if record is None or record.run_id != flight.run_id:
        raise FlightLost(f"{flight.check}: flight {flight.token} is not the current one")
    return record.transitions


def _understood(flat: Sequence[Any], now: float) -> Iterator[tuple[str, State]]:
    for name, raw in zip(flat[::2], flat[1::2], strict=True):
        check = name.decode(errors="replace")
        if state := codec.believed(codec.decode(check, raw), now):
            yield check, state


def _names(raw: Sequence[bytes]) -> Iterator[str]:
    return (name.decode(errors="replace") for name in raw)


def _stamp(at: float | None) -> str:
    return "" if at is None else str(round(at * 1e6))
