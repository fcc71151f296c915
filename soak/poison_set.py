"""The product as a set of real processes, and the proof that each of its subsystems works."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from monitor.agent.protocol import decode, target_field
from monitor.model.alerts import DeadLetter, Silence
from monitor.model.checks import Notice, NoticeKind, Status
from soak.nodes import Node
from soak.poison_broken import CHANNEL, NODE, PREFIX, Templates
from soak.poison_http import TOKEN, Client, Wrong
from soak.poison_proof import PATHS, WORKER, Proof, clock
from tests.support.alert_receiver import Receiver, receiving
from tests.support.processes import wait_for
from tests.support.redis_server import RedisServer, find_binary
from tests.support.roles import Monitor

INTERVAL_SECONDS = 5.0
"""Between two runs of a check, rounds over the workers, and sweeps of alerting: nothing may stand still for longer."""
SLACK_SECONDS = 3.0
"""A round or run that has begun before the last poison, and a machine that is busy."""
RSS_LIMIT_MB = 200.0


class PoisonSet:
    """Redis, `monitor worker`, `beat` and `web`, a receiver of alerts, and one instrumented worker of the user."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="poison-"))
        self.redis = RedisServer(binary=find_binary("redis-server") or find_binary("valkey-server") or "redis-server")
        self._ends = contextlib.ExitStack()
        self.receiver: Receiver = self._ends.enter_context(receiving())
        self.monitor = Monitor(self.directory, self.redis, _configuration(self.receiver.url), {"MONITOR_TOKEN": TOKEN})
        self.client = self.redis.client(socket_timeout=60)
        self.http = Client(self.monitor.port)
        self.peaks: dict[str, float] = {}
        self._roles: dict[str, Any] = {}
        self._stop = threading.Event()
        self._numbers = itertools.count(1)

    def __enter__(self) -> PoisonSet:
        self._roles = {"worker": self.monitor.worker(), "beat": self.monitor.beat(), "web": self.monitor.web()}
        env = {**self.monitor.env, "CELERY_BROKER_URL": self.redis.url}
        self._roles["node"] = Node(NODE.partition("@")[0], pool="prefork", slots=2, queues=["celery"], env=env)
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._sampler.join()
        self.client.close()
        self._roles["node"].teardown()
        self.monitor.stop()
        self._ends.close()
        self.redis.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def logs(self) -> str:
        """What the processes have logged last, for whoever looks for the cause."""
        return "\n".join(f"--- {name} ({role.status})\n{role.logs()[-6000:]}" for name, role in self._roles.items())

    def ended(self) -> list[str]:
        """The roles that have ended by themselves."""
        return [f"{name} ended with {role.exit_code}" for name, role in self._roles.items() if role.status == "exited"]

    def heal(self) -> None:
        """Remove all that is stored, and start again what has ended: the next kind finds a sound set."""
        for key in list(self.client.scan_iter(f"{PREFIX}*", count=10_000)):
            self.client.unlink(key)
        for role in self._roles.values():
            if role.status == "running" and too_large({role.name: _megabytes(role.pid)}):
                role.kill()  # it would keep what it has taken
            if role.status == "exited":
                role.start()
        self.take_peaks()

    def take_peaks(self) -> dict[str, float]:
        """The largest resident memory of each role's processes in MiB, since this was asked last."""
        peaks, self.peaks = self.peaks, {}
        return peaks

    def proof(self, seconds: float) -> dict[str, float | None]:
        """How long each subsystem takes to do something new; None for what does not within ``seconds``."""
        return Proof(self.client, self.http, self.receiver, self.redis.url, next(self._numbers)).within(seconds)

    def ask_all(self) -> list[str]:
        """Every endpoint once; what is wrong with the answers."""
        wrong = []
        for path in PATHS:
            try:
                self.http.get(path)
            except Wrong as error:
                wrong.append(f"GET {path}: {error}")
            except OSError as error:
                wrong.append(f"GET {path}: no answer ({type(error).__name__})")
        return wrong

    def templates(self) -> Templates:
        """Values that the running set has written, once it has written one of each."""

        def read() -> dict[str, bytes] | None:
            entries = self.client.xrevrange(f"{PREFIX}transitions", count=50)
            flips = [fields[b"transition"] for _, fields in entries if b'"flip"' in fields.get(b"transition", b"")]
            hour = int(clock(self.client) // 3600)
            packed = next(iter(self.client.scan_iter(f"{PREFIX}raw:packed*")), b"-")
            rolled = next(iter(self.client.scan_iter(f"{PREFIX}roll:packed*")), b"-")
            beacon = self.client.hget(f"{PREFIX}beacons", NODE) or b""
            sound = decode(beacon.partition(b"|")[2])
            target = sound.target if sound else NODE
            lines = self.client.lrange(f"{PREFIX}open:sound:{hour}", -1, -1)
            found = {
                "state": self.client.hget(f"{PREFIX}states", "sound"),
                "worker_state": self.client.hget(f"{PREFIX}states", WORKER),
                "beacon": beacon,
                "target": target.encode(),
                "heartbeat": self.client.hget(f"{PREFIX}heartbeats", target_field("worker", target)),
                "transition": flips[0] if flips else None,
                "notes": self.client.get(f"{PREFIX}fleet"),
                "line": lines[0] if lines else None,
                "hour": self.client.get(packed),
                "day": self.client.get(rolled),
                "alert": self.client.hget(f"{PREFIX}alerting:alerts", "flip"),
            }
            return {name: value for name, value in found.items() if value} if all(found.values()) else None

        def attempt() -> dict[str, bytes] | None:
            self.proof(2 * INTERVAL_SECONDS)
            return read()

        found, now = wait_for(attempt, seconds=90, what=f"templates of all\n{self.logs()}"), clock(self.client)
        notice = Notice(
            "flip:1", NoticeKind.FIRING, "poisoned", Status.OK, Status.ERROR, now, now, "r", "m", {"a": "b"}
        )
        silence = Silence("x", "poison-*", now, now + 60, "why", "by")
        letter = DeadLetter(CHANNEL, notice, "reason", now, 3)
        made = {"notice": notice, "silence": silence, "letter": letter}
        return Templates(now, **found, **{name: json.dumps(dataclasses.asdict(v)).encode() for name, v in made.items()})

    def _sample(self) -> None:
        while not self._stop.wait(0.1):
            for name, role in list(self._roles.items()):
                self.peaks[name] = max(self.peaks.get(name, 0.0), _megabytes(role.pid))


def _megabytes(pid: int) -> float:
    """The resident memory of the largest of a process and its children, in MiB."""
    sizes = [0.0]
    with contextlib.suppress(psutil.Error):
        whole = psutil.Process(pid)
        for process in (whole, *whole.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                sizes.append(process.memory_info().rss / 2**20)
    return max(sizes)


def too_large(peaks: Mapping[str, float]) -> list[str]:
    """The roles of which a process was larger than it may be."""
    return [f"{name} had {used:.0f} MB" for name, used in sorted(peaks.items()) if used > RSS_LIMIT_MB]


def _configuration(url: str) -> str:
    return f"""
[workers]
interval = {INTERVAL_SECONDS}
[alerting]
sweep_interval = {INTERVAL_SECONDS}
flap_changes = 100000
[checks.sound]
kind = "python"
path = "tests.support.user_checks:nothing"
interval = {INTERVAL_SECONDS}
groups = ["ready"]
[checks.flip]
kind = "python"
path = "tests.support.user_checks:status"
arguments = {{ key = "flip" }}
interval = 2
[channels.{CHANNEL}]
kind = "webhook"
url = "{url}"
timeout = "5s"
"""
