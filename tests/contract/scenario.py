"""Run the monitor's tasks one after the other, by their names, in a process in which nothing is left to chance.

``python -m tests.contract.scenario PORT NOW RESULT [FILE]`` works on the Redis of that port. The time is NOW, and goes
on only between two tasks. A FILE is loaded first: the store that real roles of an earlier commit have written. RESULT
gets what lies in the store at the end. Check processes are real; the time that a check takes is always 0 there.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import redis

from tests.contract import names, stores
from tests.contract.clock import ClockProxy

TASKS = "monitor.tasks."
CHECKS = ("steady", "orders", "depot")


def main() -> None:
    """Run the scenario."""
    port, now, result, files = int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
    numbers = itertools.count(1)
    uuid.uuid4 = lambda: uuid.UUID(int=next(numbers) * 0x1234567B97F4A7C15F39CC0605CEDC83 % 2**128)
    random.uniform = lambda least, most: (least + most) / 2
    random.random = lambda: 0.5
    time.perf_counter = lambda: 0.0
    clock = ClockProxy(port, now)
    time.time = lambda: clock.now
    client = redis.Redis(port=port)
    for file in files:
        stores.load(client, stores.read(Path(file))["store"])
    os.environ["MONITOR_REDIS_URL"] = clock.url
    said = Path(os.environ["CONTRACT_FILE"])
    said.write_text("")
    from monitor.standalone.celery_app import app

    def run(task: str, *arguments: Any, after: float = 0.0) -> None:
        clock.set(clock.now + after)
        app.tasks[TASKS + task](*arguments)
        _expire(client)

    def round_of_checks(after: float) -> None:
        run("dispatch", after=after)
        for check in CHECKS:
            run("run_check", check, clock.now - 0.25)
        run("workers", after=0.5)
        run("pulse", after=0.25)
        run("alert")
        for channel in ("gone", "hook", "log"):
            run("deliver", channel)

    for _ in range(3):
        round_of_checks(after=10.0)
    said.write_text("error")
    for _ in range(3):
        round_of_checks(after=10.0)
    run("compact", after=60.0)
    said.write_text("")
    round_of_checks(after=3600.0)  # all states were stale
    run("compact", after=60.0)
    round_of_checks(after=10.0)
    result.write_text(_without_chance(client, stores.dump(client)))
    names.end_check_processes()


def _expire(client: redis.Redis) -> None:
    """Delete what lives for a minute at most: by the server's clock, so how fast this machine is would decide."""
    for key in client.scan_iter("monitor:*", count=1000):
        if 0 <= client.pttl(key) <= 60_000:
            client.delete(key)


def _without_chance(client: redis.Redis, found: stores.Dump) -> str:
    """Replace what is made up: the ids of the server, of runs, and of entries of streams (by the server's own clock).

    The same id has the same name everywhere. A time to live is rounded to hours.
    """
    made = [number for entry in found.values() if entry["type"] == "stream" for number, _ in entry["value"]]
    for entry in found.values():
        entry["ttl"] = entry["ttl"] and f"{entry['ttl'] / 3_600_000:.0f} hours"
    text = json.dumps(found, indent=1).replace(str(client.info("server")["run_id"]), "SERVER")
    for place, number in enumerate(dict.fromkeys(made)):
        text = text.replace(number, f"ENTRY-{place}")
    ids = dict.fromkeys(re.findall(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", text))
    for place, made_up in enumerate(ids):  # of runs; the first eight digits are in the ids of transitions and notices
        text = re.sub(rf"(?<![0-9a-f])(?:{made_up}|{made_up[:8]})(?![0-9a-f])", f"RUN-{place}", text)
    return _MESSAGE.sub(r"\1...", text) + "\n"


_MESSAGE = re.compile(r'(\\"(?:m|message)\\":\\")(?:(?!\\").)*')
"""A message, in JSON in a text in JSON: prose, which may change."""


if __name__ == "__main__":
    main()
