"""The process that plays the shop: it writes the present as checks and rounds would, and the past meanwhile.

``python -m demo.present``: a child of `demo.tree`, which has started the server it writes to.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import redis

from demo import fleet, kafka, past
from demo.history import HistoryWriter
from demo.shop import CHECKS, INTERVAL, outcome
from demo.story import Story, tell
from monitor import policy, wiring
from monitor.config import CheckSpec, Config
from monitor.lib import logs
from monitor.model.checks import Flight, Outcome
from monitor.policy.runtime_checks import SUMMARY, check_spec
from monitor.ports.store import FlightLost, FlightRefused, Reducer, Store, StoreUnavailable
from monitor.store.redis.connection import RedisConnection
from monitor.supervisor import embedded

MARK = "demo.json"
PREFIX = "demo:"
ROUND_SECONDS = 5.0
PACK_SECONDS = 60.0

log = logs.get_logger("demo")


class NotOurs(Exception):
    """The server is not one that a demo has started: nothing is written there."""


class Present:
    """What goes on in the shop, written through the store's own ``take``, ``update`` and ``update_many``."""

    def __init__(self, store: Store, checks: Mapping[str, CheckSpec], story: Story) -> None:
        self._store, self._checks, self._story = store, checks, story
        self._rounds = 0

    def look(self, name: str) -> None:
        """One run of a check of the roster."""
        check = self._checks[name]
        flight = self._store.states.take(name, uuid.uuid4().hex, lease_seconds=5)
        self._store.states.update(flight, self._reducer(check, flight, *outcome(self._story, name, flight.taken_at)))

    def round(self) -> None:
        """One round over workers, queues and consumer groups."""
        flight = self._store.states.take("demo:round", uuid.uuid4().hex, lease_seconds=5)
        found = {name: (each, 0.0) for name, each in fleet.outcomes(self._story, flight.taken_at).items()}
        found |= kafka.outcomes(self._story, flight.taken_at)
        reducers = {name: self._reducer(check_spec(name, ROUND_SECONDS), flight, *each) for name, each in found.items()}
        # Workers come and go: they leave no history.
        kept = [name for name in found if name == SUMMARY or name.startswith(("queue:", "group:"))]
        self._rounds += 1
        self._store.states.update_many(flight, reducers, sampled_checks=kept if self._rounds % 2 else ())
        self._store.states.release(flight)

    def everything(self) -> None:
        """All of it once."""
        for name in CHECKS:
            self.look(name)
        self.round()

    def _reducer(self, check: CheckSpec, flight: Flight, found: Outcome, took: float) -> Reducer:
        result = policy.as_result(check, flight, found, took)
        return lambda state: policy.advance(state, result, check)


def run(config: Config, home: Path) -> None:
    """Write until SIGTERM. Raises :class:`NotOurs`."""
    url = wiring.required_url(config, "redis_url")
    store, link = wiring.build_store(config), RedisConnection(url, timeout_seconds=2.0, retries=True)
    ensure_ours(url, home, link)
    story, is_new = _story(link, json.loads((home / MARK).read_text()))
    if is_new:
        past.record(story, store)
    present = Present(store, config.checks, story)
    present.everything()
    log.warning("demo.started", message="what is shown is demo data: nothing is being watched", seed=story.seed)
    pieces = past.fill(story, store, HistoryWriter(redis.Redis.from_url(url), config.key_prefix))
    due = {
        **{name: time.monotonic() + INTERVAL * (1 + place / len(CHECKS)) for place, name in enumerate(CHECKS)},
        "round": time.monotonic() + ROUND_SECONDS,
        "pack": time.monotonic() + PACK_SECONDS,
    }
    while True:
        try:
            _turn(present, store, due, pieces)
        except (StoreUnavailable, FlightRefused, FlightLost) as error:
            log.warning("demo.not_written", message=str(error))
            time.sleep(0.5)


def ensure_ours(url: str, home: Path, link: RedisConnection) -> None:
    """Raises :class:`NotOurs` unless this is the server that a demo started over ``home``, with nobody's data in it."""
    if url != embedded.server_url(home) or not (home / MARK).exists():
        raise NotOurs(f"{url} is not the embedded server of a demo in {home}")
    _, directory = link.call("CONFIG", "GET", "dir")
    if Path(os.fsdecode(directory)).resolve() != (home / "redis").resolve():
        raise NotOurs(f"the server at {url} keeps its data elsewhere")
    if link.call("DBSIZE") and not link.call("EXISTS", f"{PREFIX}story"):
        raise NotOurs(f"the server at {url} holds somebody's data")


def _story(link: RedisConnection, plan: Mapping[str, float]) -> tuple[Story, bool]:
    """The story, and whether it begins now: after a crash of this process it goes on."""
    seconds, microseconds = link.call("TIME")
    now = int(seconds) + int(microseconds) / 1e6
    is_new = bool(link.call("SETNX", f"{PREFIX}story", repr(now)))
    began = float(link.call("GET", f"{PREFIX}story"))
    return tell(int(plan["seed"]), began, began + plan["incident_in"]), is_new


def _turn(present: Present, store: Store, due: dict[str, float], pieces: Iterator[None]) -> None:
    """What is due; else a piece of the past; else a little sleep."""
    name = min(due, key=lambda each: due[each])
    if due[name] <= time.monotonic():
        due[name] += {"round": ROUND_SECONDS, "pack": PACK_SECONDS}.get(name, INTERVAL)
        if name == "round":
            present.round()
        elif name == "pack":
            store.history.compact(store.states.now())
        else:
            present.look(name)
    elif next(pieces, pieces) is pieces:
        time.sleep(min(0.2, max(0.0, due[name] - time.monotonic())))


def main() -> None:
    """The process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    config = wiring.load().config
    logs.configure(config.log_format, config.log_level)
    try:
        run(config, Path(os.environ["MONITOR_DATA_DIR"]))
    except NotOurs as error:
        log.error("demo.refused", message=str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
