"""Where a worker's pulse is: in the directory of :mod:`monitor.agent.beacon_file`, or in memory if that is full.

As light as that module: see :mod:`monitor.agent.liveness`.
"""

import errno
import os

from monitor.agent import beacon_file
from monitor.agent.liveness import LivenessSample

MEMORY = "/dev/shm"  # noqa: S108 - below it is a directory of this user, which is checked
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def write(node: str, pulse: LivenessSample) -> None:
    """Write the pulse of ``node`` into the usual directory, or into memory if it cannot be written. Raises OSError."""
    directory = beacon_file.directory()
    try:
        directory = beacon_file.directory_to_write()
        beacon_file.write(directory, node, pulse)
    except OSError:
        if not os.path.isdir(MEMORY):
            raise
        beacon_file.write(_in_memory(directory), node, pulse)
        _used.add(_in_memory(directory))
    else:
        while _used:
            _remove(_used.pop(), node)


def read(directory: str) -> list[beacon_file.LocalWorker]:
    """Return all workers with a pulse in ``directory`` or its place in memory; the newest one of each. Raises OSError.

    FileNotFoundError: neither exists.
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
    for sighting in sorted(found, key=lambda each: -each.age_seconds):
        newest[sighting.node, sighting.pid] = sighting
    return sorted(newest.values(), key=lambda each: each.node)


def full(directory: str) -> str | None:
    """Return why no worker can write its pulse there, or into memory; None when it can, or when that is not for space.

    Tries it: a file system that is full for its users, or read-only, need not look like that.
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
"""The places in memory that this process has written to."""


def _remove(place: str, node: str) -> None:
    try:
        beacon_file.remove(place, node)
        os.rmdir(place)
    except OSError:
        pass  # another worker uses it


def _in_memory(directory: str) -> str:
    """Return the place in memory that belongs to ``directory``: of the same user, for its own workers alone."""
    name = directory.replace("=", "=0").replace("/", "=1")
    return os.path.join(MEMORY, f"celery-health-monitor-{os.geteuid()}-{name}")
