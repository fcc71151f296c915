"""Marks: values of an environment variable that identify every process of a process tree.

The supervisor sets a mark in the environment of each child process. All descendants of the child inherit the mark, and
no other process has it. Process groups and parent ids are not enough: a process that a user's check starts may have its
own session, and the parent of an orphan is init.
"""

from __future__ import annotations

import contextlib
import os
import time

import psutil

VARIABLE = "CELERY_HEALTH_MONITOR_TREE"  # not MONITOR_...: these variables are settings, and an unknown one is an error
_GIVE_UP_SECONDS = 30.0


def marked_processes(mark: str) -> list[psutil.Process]:
    """Return the running processes of this user whose mark is ``mark`` or begins with ``mark`` and a slash."""
    return [process for process in psutil.process_iter() if _matches(_mark_of(process), mark)]


def end_marked(mark: str, *, grace_seconds: float) -> None:
    """Send SIGTERM to all processes with ``mark``, and SIGKILL to those that still run after ``grace_seconds``.

    Return when no such process is left, or half a minute after ``grace_seconds``: a process that survives SIGKILL for
    so long is blocked in the kernel.
    """
    started = time.monotonic()
    terminated: set[psutil.Process] = set()
    empty_scans = 0
    while empty_scans < 2 and time.monotonic() - started < grace_seconds + _GIVE_UP_SECONDS:
        processes = marked_processes(mark)
        # Two empty scans are needed: a child process has its mark only after exec.
        empty_scans = 0 if processes else empty_scans + 1
        must_kill = time.monotonic() - started >= grace_seconds
        for process in processes:
            with contextlib.suppress(psutil.Error):
                if must_kill:
                    process.kill()
                elif process not in terminated:
                    process.terminate()
                    terminated.add(process)
        psutil.wait_procs(processes, timeout=0.1) if processes else time.sleep(0.1)


def _mark_of(process: psutil.Process) -> str:
    try:
        if process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
            return ""
        return str(process.environ().get(VARIABLE, ""))
    except (psutil.Error, OSError):
        return ""


def _matches(process_mark: str, mark: str) -> bool:
    return process_mark == mark or process_mark.startswith(f"{mark}/")
