"""End of a process together with its parent process (Linux only)."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> Callable[[], None] | None:
    """Return a function that makes the calling process get SIGTERM when its parent ends; None on other systems.

    It uses prctl(2), which only Linux has. If this function was called before a fork, the returned one is safe to call
    between fork and exec.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
