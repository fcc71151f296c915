"""What happened is told: all of it, and not twice, whatever dies on the way."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator

from monitor import policy
from monitor.config import CheckSpec, Config
from monitor.model.checks import Result, State, Status, Transition
from monitor.services import alerting
from monitor.store.redis.store import RedisStore
from tests.support.alert_receiver import Received, Receiver, receiving
from tests.support.celery_nodes import ROOT
from tests.support.processes import wait_for
from tests.support.redis_server import RedisServer

CHECKS = 250
TRANSITIONS = 1000  # four of each check: error, ok, error, ok
REPLICAS = 2
KILLS = 6


class Replicas:
    """Two delivery replicas; one that was killed is replaced. Each process has a name of its own."""

    def __init__(self, *arguments: str) -> None:
        self.killed: list[str] = []
        self._arguments = arguments
        self._names = (f"replica-{number}" for number in itertools.count())
        self._running = [self._start() for _ in range(REPLICAS)]

    def kill_one(self, dice: random.Random) -> None:
        """SIGKILL one of them, and start another in its place."""
        name, process = self._running.pop(dice.randrange(REPLICAS))
        process.kill()
        process.wait()
        self.killed.append(name)
        self._running.append(self._start())

    def stop(self) -> None:
        """End them all."""
        for _, process in self._running:
            process.kill()
            process.wait()

    def _start(self) -> tuple[str, subprocess.Popen[bytes]]:
        name = next(self._names)
        argv = [sys.executable, "-m", "tests.support.alert_replica", *self._arguments, name]
        return name, subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL)


def test_every_transition_is_told_although_senders_die(redis_server: RedisServer, key_prefix: str) -> None:
    """1,000 transitions, two senders that are killed, a receiver that fails at random: each is told, in order; twice
    only where a crash fell between sending and acknowledging."""
    store = RedisStore(redis_server.url, prefix=key_prefix)
    dice = random.Random(3)
    # From here on every transition counts; what happened before anybody looked is told as it stands then.
    alerting.decide(Config(), store=store.states, outbox=store.alerts)
    with receiving(failing=0.2) as receiver:
        replicas = Replicas(redis_server.url, key_prefix, receiver.url)
        try:
            writer = threading.Thread(target=write_transitions, args=(store,), daemon=True)
            writer.start()
            for share in range(1, KILLS + 1):
                at_least = share * TRANSITIONS // (KILLS + 2)
                wait_for(lambda n=at_least: len(receiver.taken) >= n, seconds=60, what=f"{at_least} were told")
                replicas.kill_one(dice)
            wait_for(
                lambda: len({one.body["id"] for one in receiver.taken}) >= TRANSITIONS, seconds=90, what="all told"
            )
            wait_for(lambda: not store.alerts.overview().queues[0].pending, seconds=30, what="nothing is left")
        finally:
            replicas.stop()
        writer.join(timeout=10)
        judge(receiver, store, replicas.killed)
    store.close()


def write_transitions(store: RedisStore) -> None:
    """Each check fails, recovers, fails and recovers."""
    for status in (Status.ERROR, Status.OK, Status.ERROR, Status.OK):
        for number in range(CHECKS):
            change(store, f"check-{number:03}", status)


def change(store: RedisStore, check: str, status: Status) -> tuple[Transition, ...]:
    """One run of a check, as the runner stores it."""
    spec = CheckSpec(name=check, kind="x", interval=600.0, timeout=5.0)
    flight = store.states.take(check, f"{check}-{time.monotonic_ns()}", lease_seconds=30)
    result = Result(flight.run_id, status, flight.taken_at, flight.taken_at + 1800, 1.0)

    def reducer(state: State | None) -> tuple[State, tuple[Transition, ...]]:
        return policy.advance(state, result, spec)

    return store.states.update(flight, reducer)


def judge(receiver: Receiver, store: RedisStore, killed: list[str]) -> None:
    """Compare what was told with what happened."""
    happened = {transition.id for _, transition in store.states.transitions(limit=2 * TRANSITIONS)}
    told: dict[str, list[Received]] = defaultdict(list)
    for one in receiver.taken:
        told[one.body["id"]].append(one)
    assert len(happened) == TRANSITIONS
    assert told.keys() == happened
    twice = [times for times in told.values() if len(times) > 1]
    print(f"\n{TRANSITIONS} told, {receiver.refused} refused, {len(killed)} killed, {len(twice)} told twice by a crash")
    assert len(twice) <= len(killed)
    for times in twice:
        assert len(times) == 2
        assert times[0].sender in killed  # which never said that it had told it
    for kinds in in_order(receiver):
        assert kinds == ["firing", "resolved", "firing", "resolved"]
    assert store.alerts.overview().dead_letter_count == 0


def in_order(receiver: Receiver) -> Iterator[list[str]]:
    """What was told of each check, without repetitions."""
    for number in range(CHECKS):
        ids: dict[str, str] = {}
        for one in receiver.taken:
            if one.body["check"] == f"check-{number:03}":
                ids.setdefault(one.body["id"], one.body["kind"])
        yield list(ids.values())
