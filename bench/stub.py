"""Stands in for the workers of a queue: takes its messages and notes when. Only for the Redis transport.

``python -m bench.stub URL QUEUE FILE`` is the process; :class:`Stub` is what a benchmark sees of it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import redis

from bench.processes import running

TAKE_AT_MOST = 500
WRITE_EVERY_SECONDS = 0.25


class Taken(NamedTuple):
    """A message: its check, when it was taken (Unix time), and how long after its due time; None when it has none."""

    check: str
    at: float
    delay_seconds: float | None


class Stub:
    """What was taken so far."""

    def __init__(self, file: Path) -> None:
        self._file = file.open()
        self._rest = ""
        self.taken: list[Taken] = []
        self.until = 0.0

    def look(self) -> None:
        """Read what is new: ``taken`` is complete up to ``until`` then."""
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        for line in lines:
            self.until, taken = json.loads(line)
            self.taken += [Taken(*values) for values in taken]


@contextlib.contextmanager
def stub(url: str, queue: str, directory: Path) -> Iterator[Stub]:
    """A stub that takes messages until the end of the block."""
    file = directory / f"taken-{time.monotonic_ns()}"
    file.touch()
    with running("bench.stub", url, queue, str(file)):
        yield Stub(file)


def main() -> None:
    """Take messages until ended."""
    url, queue, file = sys.argv[1:]
    client = redis.Redis.from_url(url)
    taken: list[Taken] = []
    write_at = time.time()
    with Path(file).open("a") as output:
        while True:
            messages = client.rpop(queue, TAKE_AT_MOST) or []
            now = time.time()  # the server's clock, too: it is on this machine
            taken += [_read(message, now) for message in messages]
            if now >= write_at:
                output.write(json.dumps([now, taken]) + "\n")
                output.flush()
                taken, write_at = [], now + WRITE_EVERY_SECONDS
            if not messages:
                time.sleep(0.005)


def _read(message: bytes, now: float) -> Taken:
    """A message in kombu's envelope for Redis, whose arguments are a check's name and perhaps its due time."""
    arguments = json.loads(base64.b64decode(json.loads(message)["body"]))[0]
    return Taken(arguments[0], now, now - arguments[1] if len(arguments) > 1 else None)


if __name__ == "__main__":
    main()
