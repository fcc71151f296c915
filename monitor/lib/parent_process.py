"""Signal to a process when its parent process ends (Linux only)."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> Callable[[], None] | None:
    """Return a function, or None on systems other than Linux.

    After a process has called the returned function, the kernel sends SIGTERM to the process when its parent ends. The
    function may be called between fork and exec, because the library is loaded here, before the fork.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
