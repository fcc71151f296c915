"""Code that never ends by itself, for tests of time limits."""

from __future__ import annotations

import ctypes
from typing import NoReturn


def blocked_in_c_with_the_gil() -> None:
    """Run C code for an hour without releasing the GIL."""
    ctypes.PyDLL("libc.so.6").sleep(3600)


def busy_and_deaf() -> NoReturn:
    """Loop, and catch every exception that is raised inside."""
    while True:
        try:
            while True:
                pass
        except BaseException:  # noqa: BLE001
            continue
