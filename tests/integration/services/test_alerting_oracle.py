"""No incident is lost and no two share an id, whatever happens to the store: its clock, its data, its server."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor import policy
from monitor.config import CheckSpec, Config
from monitor.model.checks import NoticeKind, Result, Status, Transition
from monitor.ports.store import FlightLost
from monitor.services import alerting
from monitor.store.redis.store import RedisStore
from tests.integration.store.test_outbox import configured
from tests.support.builders.alerting import channel
from tests.support.processes import missing, wait_for
from tests.support.redis_server import RedisServer, StartRedis, find_binary

HOUR = 3600
STEPS = 80
CHECKS = ("a", "b", "c")
FAULTS = ("clock forward", "clock back", "old dump", "fail-over", "flush", "stream deleted", "stream trimmed")


class World:
    """A store on a Valkey with a clock that the test sets, and everything that was made and notified."""

    def __init__(self, directory: Path, start_redis: StartRedis) -> None:
        self._offset = directory / "offset"
        self._offset.write_text("+0")
        self._start_redis = start_redis
        self._binary = str(_with_clock(directory, self._offset))
        self._seconds = 0
        self._dump = directory / "dump.rdb"
        self._use(self._start())
        self.incidents: list[Transition] = []
        self.notified: list[tuple[str, NoticeKind, str]] = []
        self.since_fault: list[Transition] = []

    def turn(self, check: str, status: Status) -> None:
        """Store one result, and remember the transitions that it made. A lease ends when the clock steps: try again."""
        try:
            self._turn(check, status)
        except FlightLost:
            self._turn(check, status)

    def _turn(self, check: str, status: Status) -> None:
        spec = CheckSpec(name=check, kind="cpu", interval=10, timeout=5, valid_for=30)
        flight = self.store.states.take(check, f"{random.getrandbits(128):032x}", lease_seconds=5)
        result = Result(flight.run_id, status, flight.taken_at, flight.taken_at + 30, 1.0)
        made = self.store.states.update(flight, lambda state: policy.advance(state, result, spec))
        self.incidents += made
        self.since_fault += made

    def sweep(self) -> None:
        """Mark what is out of date, as a sweep does."""
        flight = self.store.states.take("sweep", f"{random.getrandbits(128):032x}", lease_seconds=5)
        late = [
            state for state in self.store.states.read().states.values() if flight.taken_at > state.result.valid_until
        ]
        reducers = {
            known.check: lambda state, known=known: policy.expire(state or known, flight.taken_at, flight.run_id)
            for known in late
        }
        made = self.store.states.update_many(flight, reducers)
        self.store.states.release(flight)
        found = [transition for some in made.values() for transition in some]
        self.incidents += found
        self.since_fault += found

    def decide(self) -> None:
        """Decide, and remember what is notified."""
        config = configured(channel(severity="warning"))
        for _, notice in alerting.decide(config, store=self.store.states, outbox=self.store.alerts):
            self.notified.append((notice.check, notice.kind, notice.id))

    def save(self) -> None:
        """Keep the data as it is now, for `old dump`."""
        with self._server.client() as client:
            client.save()
        shutil.copy(self._server.directory / "dump.rdb", self._dump)

    def fault(self, name: str) -> None:
        """Let it happen. What was stored before may be lost."""
        match name:
            case "clock forward" | "clock back":
                self._seconds += HOUR if name == "clock forward" else -HOUR
                self._offset.write_text(f"{self._seconds:+d}")
            case "old dump":
                if self._dump.exists():
                    self._server.kill()
                    shutil.copy(self._dump, self._server.directory / "dump.rdb")
                    self._server.start()
            case "fail-over":
                self._fail_over()
            case "flush":
                with self._server.client() as client:
                    client.flushall()
            case _:
                with self._server.client() as client:
                    key = self.store.alerts._transitions
                    client.delete(key) if name == "stream deleted" else client.xtrim(key, maxlen=1, approximate=False)
        self.since_fault = []

    def close(self) -> None:
        """Close the connections."""
        self.store.close()

    def _fail_over(self) -> None:
        """A replica that lags by the next changes becomes the master."""
        replica = self._start()
        with replica.client() as client:
            client.replicaof("127.0.0.1", self._server.port)
            wait_for(lambda: client.info("replication")["master_link_status"] == "up", seconds=20, what="a replica")
            client.replicaof("NO", "ONE")
        self.turn(CHECKS[0], random.choice([Status.OK, Status.ERROR]))
        self.decide()
        self.close()
        self._server.kill()
        self._use(replica)

    def _start(self, *options: str) -> RedisServer:
        return self._start_redis("--save", "", "--dbfilename", "dump.rdb", *options, path=self._binary)

    def _use(self, server: RedisServer) -> None:
        self._server = server
        self.store = RedisStore(server.url)


@pytest.fixture
def world(tmp_path: Path, start_redis: StartRedis) -> Iterator[World]:
    """A store whose clock and data suffer."""
    world = World(tmp_path, start_redis)
    alerting.decide(Config(), store=world.store.states, outbox=world.store.alerts)
    yield world
    world.close()


@pytest.mark.parametrize("seed", range(8))
def test_every_incident_after_the_last_fault_is_notified_under_an_id_of_its_own(world: World, seed: int) -> None:
    """Transitions, sweeps, decisions and faults in random order; then no fault any more."""
    dice = random.Random(seed)
    random.seed(seed)
    faults = dice.sample(FAULTS, k=len(FAULTS))
    for step in range(STEPS):
        world.turn(dice.choice(CHECKS), dice.choice([Status.OK, Status.ERROR]))
        if dice.random() < 0.3:
            world.decide()
        if dice.random() < 0.1:
            world.sweep()
        if dice.random() < 0.1:
            world.save()
        if step % 10 == 9 and faults:
            world.fault(faults.pop())
    for check in CHECKS:
        for status in (Status.ERROR, Status.OK, Status.ERROR):
            world.turn(check, status)
    world.decide()

    ids = [transition.id for transition in world.incidents]
    assert len(set(ids)) == len(ids), "two incidents share an id"
    notified = {notice_id for _, _, notice_id in world.notified}
    began = [transition for transition in world.since_fault if transition.new is Status.ERROR]
    failing = {transition.id for transition in began if transition.old.severity < Status.ERROR.severity}
    assert len(failing) >= len(CHECKS)
    assert failing <= notified, f"not notified: {failing - notified}"
    assert {notice_id for _, kind, notice_id in world.notified if kind is NoticeKind.FIRING} <= set(ids)


def test_a_clock_that_was_ahead_silences_nothing(world: World) -> None:
    """The store's clock was an hour ahead and is right again: every later incident is notified."""
    world.fault("clock forward")
    world.turn("a", Status.ERROR)
    world.decide()
    world.fault("clock back")
    for status in (Status.OK, Status.ERROR) * 4:
        world.turn("a", status)
        world.decide()
    notified = {notice_id for _, _, notice_id in world.notified}
    assert {transition.id for transition in world.incidents if transition.new is Status.ERROR} <= notified


def _with_clock(directory: Path, offset: Path) -> Path:
    """Return a program: Valkey with a clock that is off by what the file says. Redis does not start so."""
    valkey = find_binary("valkey-server") or missing("valkey-server")
    library = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None) or missing("faketime")
    program = directory / "valkey-with-a-clock"
    program.write_text(
        "#!/bin/sh\n"
        f"export LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={offset} FAKETIME_NO_CACHE=1\n"
        f'export FAKETIME_DONT_FAKE_MONOTONIC=1\nexec {valkey} "$@"\n'
    )
    program.chmod(0o755)
    return program
