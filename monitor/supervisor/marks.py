"""Marks in the environment that identify every process of a tree.

Each child gets a mark in its environment, which all its descendants inherit and no other process has. Process groups
and parent ids are not enough: a process that a user's check starts may have a session of its own, and the parent of an
orphan is init.
"""

from __future__ import annotations

import contextlib
import os
import time

import psutil

VARIABLE = "CELERY_HEALTH_MONITOR_TREE"  # MONITOR_* are settings, and an unknown one is an error
_GIVE_UP_SECONDS = 30.0


def marked_processes(mark: str) -> list[psutil.Process]:
    """Return the living processes of this user whose mark is ``mark`` or below it (``TOKEN`` covers ``TOKEN/web``)."""
    return [process for process in psutil.process_iter() if _is_below(_mark_of(process), mark)]


def end_marked(mark: str, *, grace_seconds: float) -> None:
    """Send SIGTERM to all marked processes, and SIGKILL to those left after ``grace_seconds``. Wait until none is left.

    Return without success half a minute after ``grace_seconds``: a process that survives SIGKILL for so long is blocked
    in the kernel.
    """
    started = time.monotonic()
    terminated: set[psutil.Process] = set()
    empty_scans = 0
    while empty_scans < 2 and time.monotonic() - started < grace_seconds + _GIVE_UP_SECONDS:
        found = marked_processes(mark)
        # Two empty scans are needed: a child between fork and exec does not have its mark yet.
        empty_scans = 0 if found else empty_scans + 1
        is_expired = time.monotonic() - started >= grace_seconds
        for process in found:
            with contextlib.suppress(psutil.Error):
                if is_expired:
                    process.kill()
                elif process not in terminated:
                    process.terminate()
                    terminated.add(process)
        psutil.wait_procs(found, timeout=0.1) if found else time.sleep(0.1)


def _mark_of(process: psutil.Process) -> str:
    try:
        if process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
            return ""
        return str(process.environ().get(VARIABLE, ""))
    except (psutil.Error, OSError):
        return ""


def _is_below(found: str, mark: str) -> bool:
    return found == mark or found.startswith(f"{mark}/")
