"""Storage of liveness samples in a directory on disk, or in memory (``/dev/shm``) if the disk cannot be written.

Like :mod:`monitor.agent.beacon_file`, this module imports only modules that the interpreter has loaded at its start.
"""

import errno
import os

from monitor.agent import beacon_file
from monitor.agent.liveness import LivenessSample

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    T = TypeVar("T")

MEMORY = "/dev/shm"  # noqa: S108 - `beacon_file` tests that the directory below it belongs to this user
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def write(node: str, sample: LivenessSample) -> None:
    """Write the sample of ``node`` to disk, or into memory if that fails. Raises OSError if both fail."""
    directory = beacon_file.directory()
    try:
        directory = beacon_file.directory_to_write()
        beacon_file.write(directory, node, sample)
    except OSError:
        if not os.path.isdir(MEMORY):
            raise
        beacon_file.write(in_memory(directory), node, sample)
        _used_in_memory.add(in_memory(directory))
    else:
        while _used_in_memory:
            _remove(_used_in_memory.pop(), node)


def read(directory: str) -> list[beacon_file.LocalWorker]:
    """Return all workers with a sample in ``directory`` or its counterpart in memory, each with its newest sample.

    Raises OSError as `read_both`.
    """
    workers = read_both(directory, beacon_file.read)
    newest: dict[tuple[str, int], beacon_file.LocalWorker] = {}
    for worker in sorted(workers, key=lambda worker: -worker.age_seconds):
        newest[worker.node, worker.pid] = worker
    return sorted(newest.values(), key=lambda worker: worker.node)


def read_both(directory: str, read_one: "Callable[[str], Iterable[T]]") -> "list[T]":
    """Return what ``read_one`` finds in ``directory`` and in its counterpart in memory.

    If nothing is found and a directory cannot be read, the first OSError is raised: FileNotFoundError for a directory
    that does not exist.
    """
    found: list[T] = []
    failure: OSError | None = None
    for candidate in (directory, in_memory(directory)):
        try:
            found += list(read_one(candidate))
        except OSError as error:
            failure = failure or error
    if failure is not None and not found:
        raise failure
    return found


def why_not_writable(directory: str) -> str | None:
    """Return why neither ``directory`` nor its counterpart in memory can be written; None if one can be written.

    The reasons are: full, over quota, read-only. For any other reason the result is None. The function writes a file,
    because a file system may report free space that its users must not use.
    """
    errors = [_try_to_write(candidate) for candidate in (directory, in_memory(directory))]
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


def directories() -> tuple[str, str]:
    """Return the two directories that may contain samples: on disk and in memory."""
    directory = beacon_file.directory()
    return directory, in_memory(directory)


_used_in_memory: set[str] = set()
"""Directories in memory that this process has written to."""


def _remove(directory: str, node: str) -> None:
    try:
        beacon_file.remove(directory, node)
        os.rmdir(directory)
    except OSError:
        pass  # another worker uses the directory


def in_memory(directory: str) -> str:
    """Return the counterpart of ``directory`` in memory. Its name has the user id and the path of ``directory``."""
    name = directory.replace("=", "=0").replace("/", "=1")
    return os.path.join(MEMORY, f"celery-health-monitor-{os.geteuid()}-{name}")
