"""Progress of a fork server's start, in a file that all processes share that may use the fork server.

The fork server holds a lock on the first byte of the file as long as it lives, and on the second byte when it serves
requests. The kernel releases both locks when the fork server ends. So a process finds out without a request and without
waiting whether a fork server is alive and whether it is ready.
"""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass

ALIVE, READY = 0, 1
"""Locked bytes of the file."""

IMPORTING, OPTIONAL = "importing", "optional"
"""Phases of a start: the imports that every check needs, then the modules of users."""

_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Progress:
    """Phase of a start. ``started_at`` and ``phase_at`` are times of the system's monotonic clock."""

    phase: str
    started_at: float
    phase_at: float

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return max(0.0, time.monotonic() - self.started_at)

    @property
    def phase_seconds(self) -> float:
        """Time since the phase began."""
        return max(0.0, time.monotonic() - self.phase_at)


def write(descriptor: int, phase: str, started_at: float | None = None) -> None:
    """Store the phase that begins now. Without ``started_at``, the start begins now too."""
    now = time.monotonic()
    text = f"{phase} {now if started_at is None else started_at:.3f} {now:.3f}"
    os.pwrite(descriptor, text.encode().ljust(_LENGTH), 0)


def read(descriptor: int) -> Progress | None:
    """Return the progress of the last start, or None if there was none."""
    parts = os.pread(descriptor, _LENGTH, 0).decode(errors="replace").split()
    try:
        phase, started_at, phase_at = parts
        return Progress(phase, float(started_at), float(phase_at))
    except ValueError:
        return None


def is_locked(descriptor: int, byte: int) -> bool:
    """Return whether another process, a fork server, holds the lock on a byte."""
    try:
        # LOCK_SH, so that several processes can test at the same time. A fork server holds LOCK_EX.
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, byte)
    except OSError:
        return True
    fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, byte)
    return False
