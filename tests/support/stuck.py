"""Code that does not end by itself, for whoever claims to end it."""

from __future__ import annotations

import ctypes
from typing import NoReturn


def blocked_in_c_with_the_gil() -> None:
    """A C call that does not let any other thread run, for an hour."""
    ctypes.PyDLL("libc.so.6").sleep(3600)


def busy_and_deaf() -> NoReturn:
    """A loop that catches whatever is thrown into it."""
    while True:
        try:
            while True:
                pass
        except BaseException:  # noqa: BLE001
            continue
