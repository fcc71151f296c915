"""Finding every process of a tree, however it forked, re-parented itself or changed its session.

Each child gets a mark in its environment, which all its descendants inherit and nobody else has. Process groups
and parent ids are not enough: what a user's check starts may have a session of its own, and orphans belong to init.
"""

from __future__ import annotations

import contextlib
import os
import time

import psutil

VARIABLE = "CELERY_HEALTH_MONITOR_TREE"  # MONITOR_* are settings, and an unknown one is an error
_GIVE_UP_SECONDS = 30.0


def marked_processes(mark: str) -> list[psutil.Process]:
    """The living processes of this user whose mark is ``mark`` or lies below it (``TOKEN`` covers ``TOKEN/web``)."""
    return [process for process in psutil.process_iter() if _is_below(_mark_of(process), mark)]


def end_marked(mark: str, *, grace_seconds: float) -> None:
    """SIGTERM to all of them, SIGKILL to those left after ``grace_seconds``; returns when none is left.

    Gives up half a minute after the grace: what survives SIGKILL that long is stuck in the kernel.
    """
    started = time.monotonic()
    asked: set[psutil.Process] = set()
    empty_looks = 0
    while empty_looks < 2 and time.monotonic() - started < grace_seconds + _GIVE_UP_SECONDS:
        found = marked_processes(mark)
        # Looks twice: a child between fork and exec does not carry its mark yet.
        empty_looks = 0 if found else empty_looks + 1
        expired = time.monotonic() - started >= grace_seconds
        for process in found:
            with contextlib.suppress(psutil.Error):
                if expired:
                    process.kill()
                elif process not in asked:
                    process.terminate()
                    asked.add(process)
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
