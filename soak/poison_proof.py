"""The proof that each subsystem of the product works: it does something new."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable

import redis
from celery import Celery

from soak.poison_broken import NODE, PREFIX
from soak.poison_http import HEALTH, Client, Wrong
from tests.support.alert_receiver import Receiver

SUBSYSTEMS = ("runs", "verdicts", "alerts", "packing", "queries")
WORKER = f"worker:{NODE}"
PATHS = tuple(
    HEALTH + path
    for path in (
        *("live/", "detailed/", "detailed/?full", "snapshot/", "workers/", "alerts/", "events/", "startup/"),
        *("history/?check=sound", "history/overview/", "uptime/", "uptime/?check=sound", "detailed/?at=-1m"),
        *(
            "history/?check=sound&format=csv",
            "uptime/?format=csv",
            "checks/sound/",
            "groups/ready/",
            "events/?limit=1000",
        ),
    )
)
TURNED_EVERY_SECONDS = 2.5
"""What has been poisoned may have cost alerting its memory: what was ok before, and is, is no news then."""


class Proof:
    """Gives each subsystem something to do, and waits until it is done."""

    def __init__(self, client: redis.Redis, http: Client, receiver: Receiver, url: str, number: int) -> None:
        self._client, self._http, self._receiver, self._url = client, http, receiver, url
        self._number = number

    def within(self, seconds: float) -> dict[str, float | None]:
        """How long each subsystem takes to do something new; None for what does not within ``seconds``."""
        began, now = time.monotonic(), clock(self._client)
        wanted: dict[str, Callable[[], bool]] = {
            "runs": self._state_since("sound", now),
            "verdicts": self._state_since(WORKER, now),
            "alerts": self._told(),
            "packing": self._packed(now),
            "queries": self._answered(),
        }
        found: dict[str, float | None] = dict.fromkeys(wanted)
        while time.monotonic() - began < seconds and None in found.values():
            for name, is_done in wanted.items():
                if found[name] is None:
                    with contextlib.suppress(redis.RedisError, OSError, Wrong):
                        found[name] = time.monotonic() - began if is_done() else None
            time.sleep(0.1)
        return found

    def _state_since(self, check: str, since: float) -> Callable[[], bool]:
        def done() -> bool:
            raw = self._client.hget(f"{PREFIX}states", check)
            state = json.loads(raw) if raw and len(raw) < 65_536 else {}
            with contextlib.suppress(KeyError, TypeError):
                return bool(since < float(state["r"]["o"]) < since + 3600 and state["r"]["s"] == "ok")
            return False

        def safely() -> bool:
            with contextlib.suppress(ValueError, RecursionError, AttributeError):
                return done()
            return False

        return safely

    def _told(self) -> Callable[[], bool]:
        known, turned_at, status = len(self._receiver.taken), 0.0, b""

        def done() -> bool:
            nonlocal turned_at, status
            fresh = self._receiver.taken[known:]
            if any(one.body["check"] == "flip" and one.body["status"] == status.decode() for one in fresh):
                return True
            if time.monotonic() - turned_at > TURNED_EVERY_SECONDS:
                turned_at = time.monotonic()
                status = b"ok" if self._client.get("test:flip") == b"error" else b"error"
                self._client.set("test:flip", status)
            return False

        return done

    def _packed(self, now: float) -> Callable[[], bool]:
        hour, name = int(now // 3600) - 1, f"packed{self._number}"
        key, start = f"{PREFIX}open:{name}:{hour}", hour * 3600 * 10**6
        lines = [json.dumps([start + at * 10**6, 0, 90 * 10**6, None, {"response_time_ms": at}]) for at in range(40)]
        self._client.rpush(key, *lines)
        with contextlib.suppress(redis.ResponseError):  # of another type: then somebody must repair it
            self._client.zadd(f"{PREFIX}open", {f"{name}|{hour}": (hour + 1) * 3600})
        sent_at = 0.0

        def done() -> bool:
            nonlocal sent_at
            if time.monotonic() - sent_at > 1:  # beat sends it once a minute; the first may find what it has to repair
                sent_at = time.monotonic()
                self._send("monitor.tasks.compact")
            with contextlib.suppress(redis.ResponseError):
                if self._client.exists(key):
                    self._client.zadd(f"{PREFIX}open", {f"{name}|{hour}": (hour + 1) * 3600})
            return not self._client.exists(key)

        return done

    def _answered(self) -> Callable[[], bool]:
        left = list(PATHS)

        def done() -> bool:
            while left:
                status, body = self._http.get(left[0], seconds=2)
                if status != 200:
                    return False
                if "history/?check=sound" in left[0] and "csv" not in left[0] and not body.get("points", body):
                    return False
                left.pop(0)
            status, body = self._http.get(f"{HEALTH}checks/sound/")
            return status == 200 and body["status"] == "ok"

        return done

    def _send(self, task: str) -> None:
        with Celery(broker=self._url, set_as_current=False) as app:
            app.send_task(task, queue="monitor", ignore_result=True)


def clock(client: redis.Redis) -> float:
    """The server's time."""
    seconds, micros = client.time()
    return float(seconds) + float(micros) / 1e6
