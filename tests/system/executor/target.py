"""What the check processes of these tests run: things that are done, and things that never end."""

import contextlib
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from monitor.model.checks import Outcome, Past, Status
from tests.support.stuck import blocked_in_c_with_the_gil, busy_and_deaf


def prepare(kinds: Iterable[str]) -> None:
    """Import what is named: ``bad`` never ends, and cannot be interrupted. ``gate=FILE`` ends when the file exists."""
    if "bad" in kinds:
        _holding_the_gil()
    for gate in (kind.removeprefix("gate=") for kind in kinds if kind.startswith("gate=")):
        while not Path(gate).exists():
            time.sleep(0.02)


def run(kind: str, options: Mapping[str, Any], timeout_seconds: float, past: Past) -> Outcome:
    """Do what the kind says."""
    if kind == "remembers":
        return _remembers(past)
    return globals()[f"_{kind}"](**options)


def _remembers(past: Past) -> Outcome:
    count = int(past.memory or 0) + 1
    parts = {"one": Outcome(Status.WARNING, {"n": count}, "few", grace=True), "gone": None}
    return Outcome(Status.OK, {"now": past.now}, children=parts, memory=str(count))


def _long_memory() -> Outcome:
    return Outcome(Status.OK, memory="x" * 2**24)


def _fine(**options: Any) -> Outcome:
    return Outcome(Status.OK, {"pid": os.getpid(), **options})


def _blocked_socket() -> Outcome:
    left, _right = socket.socketpair()
    left.recv(1)
    raise AssertionError


def _holding_the_gil() -> Outcome:
    blocked_in_c_with_the_gil()
    raise AssertionError


def _busy_loop() -> Outcome:
    busy_and_deaf()


def _deaf() -> Outcome:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    while True:
        time.sleep(3600)


def _dies() -> Outcome:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _exits() -> Outcome:
    sys.exit(3)


def _raises() -> Outcome:
    raise RuntimeError("secret text")


def _writes_elsewhere() -> Outcome:
    """Write to every descriptor: one of them is the connection to the worker."""
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(descriptor, struct.pack("!i", 4) + b"null")
    return Outcome(Status.OK)


def _not_json() -> Outcome:
    return Outcome(Status.OK, {"value": object()})


def _endless_data() -> Outcome:
    return Outcome(Status.OK, {"value": "x" * 2**20})
