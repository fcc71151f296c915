"""Storage of liveness samples in the directory of :mod:`monitor.agent.beacon_file`, or in memory if that is full.

This module imports as little as that one: see :mod:`monitor.agent.liveness`.
"""

import errno
import os

from monitor.agent import beacon_file
from monitor.agent.liveness import LivenessSample

MEMORY = "/dev/shm"  # noqa: S108 - the directory below it is checked to be this user's
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def write(node: str, sample: LivenessSample) -> None:
    """Write the sample of ``node`` into the usual directory, or into memory if that one fails. Raises OSError."""
    directory = beacon_file.directory()
    try:
        directory = beacon_file.directory_to_write()
        beacon_file.write(directory, node, sample)
    except OSError:
        if not os.path.isdir(MEMORY):
            raise
        beacon_file.write(_in_memory(directory), node, sample)
        _used.add(_in_memory(directory))
    else:
        while _used:
            _remove(_used.pop(), node)


def read(directory: str) -> list[beacon_file.LocalWorker]:
    """Return all workers with a sample in ``directory`` or its counterpart in memory, each with its newest sample.

    Raises OSError if no sample was found and a directory could not be read, FileNotFoundError if none exists.
    """
    found: list[beacon_file.LocalWorker] = []
    failure: OSError | None = None
    for place in (directory, _in_memory(directory)):
        try:
            found += beacon_file.read(place)
        except OSError as error:
            failure = failure or error
    if failure is not None and not found:
        raise failure
    newest: dict[tuple[str, int], beacon_file.LocalWorker] = {}
    for worker in sorted(found, key=lambda each: -each.age_seconds):
        newest[worker.node, worker.pid] = worker
    return sorted(newest.values(), key=lambda each: each.node)


def full(directory: str) -> str | None:
    """Return why ``directory`` cannot be written (full, over quota, read-only); None if a worker can write its sample.

    Also None if the counterpart in memory can be written, or if writing fails for another reason. The function writes
    a file to find out: a file system may report free space that its users must not use.
    """
    errors = [_try_to_write(place) for place in (directory, _in_memory(directory))]
    if None in errors or errors[0] is None or errors[0].errno not in _FULL:
        return None
    return os.strerror(errors[0].errno)


def _try_to_write(directory: str) -> OSError | None:
    try:
        path = directory if os.path.isdir(directory) else os.path.dirname(directory)
        beacon_file.write_file(os.path.join(path, f".celery-health-monitor-probe-{os.getpid()}"), b" " * 4096, None)
    except OSError as error:
        return error
    return None


_used: set[str] = set()
"""Directories in memory that this process has written to."""


def _remove(place: str, node: str) -> None:
    try:
        beacon_file.remove(place, node)
        os.rmdir(place)
    except OSError:
        pass  # another worker uses it


def _in_memory(directory: str) -> str:
    """Return the directory in memory that is the counterpart of ``directory``, for this user and these workers only."""
    name = directory.replace("=", "=0").replace("/", "=1")
    return os.path.join(MEMORY, f"celery-health-monitor-{os.geteuid()}-{name}")
