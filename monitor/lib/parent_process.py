"""Signal to a process when its parent process ends (Linux only)."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> Callable[[], None] | None:
    """Return a function for a child process to call, or None on systems other than Linux.

    After a process has called the returned function, the kernel sends SIGTERM to the process when its parent ends. The
    returned function may be called between fork and exec, because it loads no library.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
