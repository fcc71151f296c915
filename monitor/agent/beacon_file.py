"""Files that hold the liveness samples of the workers on this machine, one small file for each worker process.

The beacon thread writes the files, and ``monitor probe worker`` reads them. Times are values of CLOCK_MONOTONIC, which
all processes of a machine share. Each line of a file is a name and a value, since JSON would need an import. This
module imports only modules that the interpreter has loaded at its start: see :mod:`monitor.agent.liveness`.
"""

import errno
import os
import stat
import time

from monitor.agent.liveness import LivenessSample

VARIABLE = "CELERY_HEALTH_MONITOR_DIR"
_SUFFIX = ".pulse"
_MAX_BYTES = 16384
_UNESCAPED = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@.-_"
_TYPES = {
    "phase": str,
    "pool": str,
    "slots": int,
    "active": int,
    "reserved": int,
    "taken": int,
    "stuck": int,
    "holding_back": int,
    "judged": int,
    "dear": int,
    "store_answers": int,
    "broker_reachable": int,
}
"""Types of the fields in a file. All other fields are floats."""


class LocalWorker:
    """A worker on this machine: its node name, process id, last liveness sample, and the age of this sample."""

    __slots__ = ("age_seconds", "node", "pid", "sample")

    def __init__(self, node: str, pid: int, sample: LivenessSample, age_seconds: float) -> None:
        self.node = node
        self.pid = pid
        self.sample = sample
        self.age_seconds = age_seconds


def directory() -> str:
    """Return the directory to read: ``$CELERY_HEALTH_MONITOR_DIR``, else this user's directory below /tmp.

    If another user has created the directory below /tmp, the result is the first directory (in sorted order) whose name
    is this name with a suffix, and which belongs to this user. Only this user can have created such a directory.
    """
    default = _default_directory()
    if os.environ.get(VARIABLE) or not _is_foreign(default):
        return default
    parent, name = os.path.split(default)
    with_suffix = (os.path.join(parent, entry) for entry in sorted(os.listdir(parent)) if entry.startswith(f"{name}."))
    return next((path for path in with_suffix if not _is_foreign(path)), default)


def directory_to_write() -> str:
    """Return `directory`, or a new one with a random suffix if `directory` belongs to another user. Raises OSError."""
    path = directory()
    if os.environ.get(VARIABLE) or not _is_foreign(path):
        return path
    os.mkdir(f"{path}.{os.urandom(8).hex()}", 0o700)
    return directory()  # if two processes each create one, both use the one that sorts first


def write(directory: str, node: str, sample: LivenessSample) -> None:
    """Replace the sample of ``node``, a worker whose main process is this one. Raises OSError.

    The directory is created with mode 0700. If it belongs to another user, PermissionError is raised. The first call of
    a process also removes the files of workers that have ended.
    """
    make_own(directory)
    pid = os.getpid()
    path = _path(directory, node)
    if (directory, pid) not in _cleaned:
        _cleaned.add((directory, pid))
        _remove_ended(directory)
    lines = [
        f"node {node}".replace("\n", " "),
        f"pid {pid}",
        f"started {start_ticks(pid) or 0}",
        f"at {time.monotonic():.3f}",
    ]
    lines += [f"{name} {_encoded(name, getattr(sample, name))}" for name in LivenessSample.__slots__]
    write_file(f"{path}.new", "\n".join(lines).encode("utf-8", "surrogateescape"), path)


def write_file(temporary: str, content: bytes, path: str | None) -> None:
    """Write ``content`` to the file ``temporary``, and rename the file to ``path``.

    If ``path`` is None, the file is removed again. If writing fails, the file is removed and OSError is raised.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    try:
        file = os.open(temporary, flags, 0o600)
        try:
            if os.write(file, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), temporary)
        finally:
            os.close(file)
        if path is not None:
            os.replace(temporary, path)
            return
    except OSError:
        unlink(temporary)
        raise
    unlink(temporary)


def remove(directory: str, node: str) -> None:
    """Remove the sample of ``node``, a worker whose main process is this one, if there is one. Raises OSError."""
    try:
        os.unlink(_path(directory, node))
    except FileNotFoundError:
        pass


def read(directory: str) -> list[LocalWorker]:
    """Return all workers that have a sample in ``directory`` and whose process exists. Raises OSError."""
    require_own(directory)
    entries = [_read(os.path.join(directory, name)) for name in _sample_names(directory)]
    now = time.monotonic()
    return [
        LocalWorker(node, pid, sample, max(0.0, now - at))
        for node, pid, started, at, sample in filter(None, entries)
        if is_running(pid, started) and at < now + 1.0  # a time in the future was written before a reboot
    ]


def ended(directory: str) -> list[str]:
    """Return the paths of the samples whose process has ended, and of invalid samples. Raises OSError."""
    require_own(directory)
    paths = [os.path.join(directory, name) for name in _sample_names(directory)]
    entries = [(path, _read(path)) for path in paths]
    return [path for path, entry in entries if entry is None or not is_running(entry[1], entry[2])]


_cleaned: set[tuple[str, int]] = set()


def _default_directory() -> str:
    return os.environ.get(VARIABLE) or f"/tmp/celery-health-monitor-{os.geteuid()}"  # noqa: S108  (see _is_foreign)


def _is_foreign(path: str) -> bool:
    """Return whether the path exists and is not a directory of this user."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    return not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid()


def make_own(directory: str) -> None:
    """Create a directory with mode 0700, unless it exists. Raises OSError if it belongs to another user."""
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        require_own(directory)


def require_own(directory: str) -> None:
    """Raise OSError unless the directory belongs to this user.

    The directory in ``$CELERY_HEALTH_MONITOR_DIR`` may also belong to root, as mounted volumes do. If this user is
    root, that directory may belong to any user.
    """
    named, user = os.environ.get(VARIABLE) == directory, os.geteuid()
    status = os.stat(directory) if named else os.lstat(directory)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{directory} is not a directory")
    if status.st_uid != user and not (named and 0 in (status.st_uid, user)):
        raise PermissionError(f"{directory} belongs to another user")


def _path(directory: str, node: str) -> str:
    """Return the path for a worker whose main process is this one.

    The path contains the process id, because several workers may have one node name.
    """
    file_name = "".join(
        chr(byte) if byte in _UNESCAPED else f"%{byte:02x}" for byte in node.encode("utf-8", "surrogateescape")
    )
    return os.path.join(directory, f"{file_name}.{os.getpid()}{_SUFFIX}")


def _sample_names(directory: str) -> list[str]:
    return sorted(name for name in os.listdir(directory) if name.endswith(_SUFFIX))


def _remove_ended(directory: str) -> None:
    for path in ended(directory):
        unlink(path)


def unlink(path: str) -> None:
    """Remove a file, if that is possible."""
    try:
        os.unlink(path)
    except OSError:
        pass


def _read(path: str) -> tuple[str, int, int, float, LivenessSample] | None:
    """Return node, process id, start of the process, time of writing, and sample; None for an invalid file."""
    try:
        values = read_values(path, _MAX_BYTES)
        sample = LivenessSample(**{name: _decoded(name, values[name]) for name in LivenessSample.__slots__})  # type: ignore[arg-type]
        return values["node"], int(values["pid"]), int(values["started"]), float(values["at"]), sample
    except (OSError, ValueError, KeyError):
        return None


def read_values(path: str, max_bytes: int) -> dict[str, str]:
    """Return the names and values in the lines of a file. Raises OSError, and ValueError for an invalid file."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        text = os.read(file, max_bytes).decode("utf-8", "surrogateescape")
    finally:
        os.close(file)
    return dict(line.split(" ", 1) for line in text.split("\n"))


def _encoded(name: str, value: str | float | None) -> str:
    if value is None:
        return "-"
    kind = _TYPES.get(name, float)
    return f"{value:.3f}" if kind is float else str(kind(value)).replace("\n", " ")


def _decoded(name: str, text: str) -> str | float | None:
    return None if text == "-" else _TYPES.get(name, float)(text)


def is_running(pid: int, started: int) -> bool:
    """Return whether the process still exists. False if its id now belongs to a newer process."""
    current_start = start_ticks(pid)
    if current_start is not None:
        return current_start == started
    if os.path.exists("/proc/self/stat"):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def start_ticks(pid: int) -> int | None:
    """Return the start of a process in clock ticks since boot (proc(5)); None if it has ended, or without /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, *fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if state in (b"Z", b"X") else int(fields[18])
