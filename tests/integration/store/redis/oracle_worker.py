"""What the processes of the oracle test do until they are killed, or told to stop."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from pathlib import Path

from monitor.config import CheckSpec
from monitor.model.checks import Flight, Transition
from monitor.policy import advance
from monitor.ports.store import FlightLost, FlightRefused, Reducer, StateStore
from monitor.store import codec
from monitor.store.redis.states import RedisStateStore
from monitor.store.redis.store import RedisStore
from monitor.store.retention import Retention
from tests.integration.store.redis.oracle import Log, make_result

ROSTER = {
    name: CheckSpec(name=name, kind="python", interval=10, timeout=5, valid_for=30, **thresholds)
    for name, thresholds in {
        "prompt": {},
        "slow-to-fail": {"failure_threshold": 2},
        "slow-to-heal": {"success_threshold": 3},
        "slow": {"failure_threshold": 3, "success_threshold": 2, "retry_interval": 1},
        "another": {},
    }.items()
}


class Unguarded(RedisStateStore):
    """Sabotage: everybody may fly, and the state is written over whatever is there by now."""

    def take(self, check: str, run_id: str, *, lease_seconds: float, overdue_at: float | None = None) -> Flight:
        """A flight that nobody else respects."""
        token = self._connection.call("INCR", f"{self._prefix}unguarded")
        return Flight(check, run_id, int(token), self.now())

    def update(self, flight: Flight, reducer: Reducer) -> tuple[Transition, ...]:
        """Read, think, write."""
        state, transitions = reducer(self.read([flight.check]).states.get(flight.check))
        record = codec.StoredCheck(state, flight.run_id, transitions)
        self._connection.call("HSET", self._states, flight.check, codec.encode(record))
        for transition in transitions:
            self._connection.call("XADD", self._transitions, "*", "transition", codec.encode_transition(transition))
        return transitions


def guarded(url: str, prefix: str) -> StateStore:
    """The states of a store as they are."""
    return RedisStore(url, prefix=prefix).states


def unguarded(url: str, prefix: str) -> StateStore:
    """The sabotaged ones."""
    store = RedisStore(url, prefix=prefix)
    return Unguarded(
        store._connection,
        prefix,
        store._rejected,
        history=store.history,
        retention=Retention(),
        roster_size=len(ROSTER),
    )


def work(connect: Callable[[str, str], StateStore], url: str, prefix: str, directory: str, seed: int) -> None:
    """Take, log, update, log, until a file named ``stop`` appears."""
    choose = random.Random(seed)
    log = Log(Path(directory) / f"{seed}.log")
    store, stop = connect(url, prefix), Path(directory) / "stop"
    while not stop.exists():
        check = choose.choice(list(ROSTER.values()))
        try:
            # Short, so that what a killed process held is soon free; a slow one may well lose it.
            flight = store.take(check.name, uuid.uuid4().hex, lease_seconds=0.25)
        except FlightRefused:
            continue
        status = choose.choice(("ok", "warning", "error"))
        result = make_result(flight.run_id, status, flight.taken_at)
        where = {"run": flight.run_id, "token": flight.token, "check": check.name}
        log.before(event="try", status=status, taken_at=flight.taken_at, **where)
        try:
            made = store.update(flight, lambda state, result=result, check=check: advance(state, result, check))  # type: ignore[misc]
        except FlightLost:
            log.after(event="lost", **where)
        else:
            log.after(event="done", ids=[transition.id for transition in made], **where)
