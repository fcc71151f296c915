"""Ending with the process that started us, on systems that can."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> Callable[[], None] | None:
    """What to call in a process for it to get SIGTERM when its parent ends; None where there is no such thing.

    Linux only (prctl(2)). Found before a fork, the call itself is safe between fork and exec.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
