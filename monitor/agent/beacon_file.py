"""Where workers leave their pulse for ``monitor probe worker``: one small file for each worker, on the same machine.

Times are CLOCK_MONOTONIC, which all processes of a machine share. Lines of a name and a value instead of JSON, and no
import that the interpreter has not made anyway: see :mod:`monitor.agent.liveness`.
"""

import errno
import os
import stat
import time

from monitor.agent.liveness import LivenessSample

VARIABLE = "CELERY_HEALTH_MONITOR_DIR"
_SUFFIX = ".pulse"
_LARGEST = 16384
_PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@.-_"
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
"""All others are floats."""


class LocalWorker:
    """A worker that runs on this machine: its node name, process id, last pulse, and that one's age in seconds."""

    __slots__ = ("age_seconds", "node", "pid", "pulse")

    def __init__(self, node: str, pid: int, pulse: LivenessSample, age_seconds: float) -> None:
        self.node = node
        self.pid = pid
        self.pulse = pulse
        self.age_seconds = age_seconds


def directory() -> str:
    """Where to read: ``$CELERY_HEALTH_MONITOR_DIR``, else the directory below /tmp that belongs to this user.

    Another user may have taken the name that it should have. Then it is one of that name and a suffix: the first that
    is this user's, which nobody else can make.
    """
    usual = _usual()
    if os.environ.get(VARIABLE) or not _is_foreign(usual):
        return usual
    parent, name = os.path.split(usual)
    others = (os.path.join(parent, each) for each in sorted(os.listdir(parent)) if each.startswith(f"{name}."))
    return next((path for path in others if not _is_foreign(path)), usual)


def directory_to_write() -> str:
    """The same, made under another name where that of `directory` belongs to somebody else. Raises OSError."""
    found = directory()
    if os.environ.get(VARIABLE) or not _is_foreign(found):
        return found
    os.mkdir(f"{found}.{os.urandom(8).hex()}", 0o700)
    return directory()  # of two that are made at once, both processes take the first


def write(directory: str, node: str, pulse: LivenessSample) -> None:
    """Replace the pulse of ``node``, a worker whose main process is this one. Raises OSError.

    Makes the directory for this user alone, and refuses one that belongs to another. The first call of a process also
    removes what workers that have ended have left behind.
    """
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        _check(directory)
    pid = os.getpid()
    path = _path(directory, node)
    if (directory, pid) not in _tidied:
        _tidied.add((directory, pid))
        _remove_ended(directory)
    lines = [
        f"node {node}".replace("\n", " "),
        f"pid {pid}",
        f"started {_started(pid) or 0}",
        f"at {time.monotonic():.3f}",
    ]
    lines += [f"{name} {_text(name, getattr(pulse, name))}" for name in LivenessSample.__slots__]
    write_file(f"{path}.new", "\n".join(lines).encode("utf-8", "surrogateescape"), path)


def write_file(temporary: str, content: bytes, path: str | None) -> None:
    """Write a file and give it the name ``path``, or only try to, and remove it. Raises OSError, and leaves nothing."""
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
        _unlink(temporary)
        raise
    _unlink(temporary)


def remove(directory: str, node: str) -> None:
    """Take the pulse of ``node`` away, if there is one: the worker has ended. Raises OSError."""
    try:
        os.unlink(_path(directory, node))
    except FileNotFoundError:
        pass


def read(directory: str) -> list[LocalWorker]:
    """All workers that have left a pulse there and whose process exists. Raises OSError."""
    _check(directory)
    seen = [_read(os.path.join(directory, name)) for name in _names(directory)]
    now = time.monotonic()
    return [
        LocalWorker(node, pid, pulse, max(0.0, now - at))
        for node, pid, started, at, pulse in filter(None, seen)
        if _runs(pid, started) and at < now + 1.0  # more: it was another boot
    ]


_tidied: set[tuple[str, int]] = set()


def _usual() -> str:
    return os.environ.get(VARIABLE) or f"/tmp/celery-health-monitor-{os.geteuid()}"  # noqa: S108  (see _is_foreign)


def _is_foreign(path: str) -> bool:
    """Whether it exists and is not a directory of this user."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    return not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid()


def _check(directory: str) -> None:
    """It must be this user's; one that was named on purpose may also be root's, as a mounted volume is."""
    named, user = os.environ.get(VARIABLE) == directory, os.geteuid()
    status = os.stat(directory) if named else os.lstat(directory)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{directory} is no directory")
    if status.st_uid != user and not (named and 0 in (status.st_uid, user)):
        raise PermissionError(f"{directory} belongs to somebody else")


def _path(directory: str, node: str) -> str:
    """Name the file of a worker whose main process is this one: another worker may have the same node name."""
    kept = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in node.encode("utf-8", "surrogateescape"))
    return os.path.join(directory, f"{kept}.{os.getpid()}{_SUFFIX}")


def _names(directory: str) -> list[str]:
    return sorted(name for name in os.listdir(directory) if name.endswith(_SUFFIX))


def _remove_ended(directory: str) -> None:
    for name in _names(directory):
        path = os.path.join(directory, name)
        seen = _read(path)
        if seen is None or not _runs(seen[1], seen[2]):
            _unlink(path)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def _read(path: str) -> tuple[str, int, int, float, LivenessSample] | None:
    """Node, process id and its start, when it was written, and the pulse; None for anything else."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            text = os.read(file, _LARGEST).decode("utf-8", "surrogateescape")
        finally:
            os.close(file)
        values = dict(line.split(" ", 1) for line in text.split("\n"))
        pulse = LivenessSample(**{name: _value(name, values[name]) for name in LivenessSample.__slots__})  # type: ignore[arg-type]
        return values["node"], int(values["pid"]), int(values["started"]), float(values["at"]), pulse
    except (OSError, ValueError, KeyError):
        return None


def _text(name: str, value: str | float | None) -> str:
    if value is None:
        return "-"
    kind = _TYPES.get(name, float)
    return f"{value:.3f}" if kind is float else str(kind(value)).replace("\n", " ")


def _value(name: str, text: str) -> str | float | None:
    return None if text == "-" else _TYPES.get(name, float)(text)


def _runs(pid: int, started: int) -> bool:
    """Whether that process exists still, and is not another one that has got its id since."""
    now_started = _started(pid)
    if now_started is not None:
        return now_started == started
    if os.path.exists("/proc/self/stat"):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _started(pid: int) -> int | None:
    """When it started, in clock ticks since the machine's boot (proc(5)); None once it has ended, or without /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, *fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if state in (b"Z", b"X") else int(fields[18])
