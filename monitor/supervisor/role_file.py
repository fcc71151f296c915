"""Files that tell ``monitor probe role`` which roles run on this machine, one small file for each process of a role.

A role writes its name, the URL of its liveness endpoint (if it serves one), and the time at which its main loop last
turned. The files lie beside the liveness samples of workers, and the same rules decide who may write them (see
:mod:`monitor.agent.beacon_file`). This module imports only modules that the interpreter has loaded at its start.
"""

import os
import time

from monitor.agent import beacon_file, beacon_places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WRITE_SECONDS = 5.0
"""Interval at which a role with a main loop of its own writes its file."""

STOPPED_AFTER_SECONDS = 20.0
"""Age of the file after which its process counts as stopped."""

HANGS_AFTER_SECONDS = 300.0
"""Time without a turn of the main loop after which a role hangs.

One turn of the loop waits for the broker, and so for name servers. A dead name server may take minutes to give up on,
and a restart would not help.
"""

_SUFFIX = ".role"
_MAX_BYTES = 4096


class LocalRole:
    """A role that runs on this machine: its name, process id, liveness URL, and the ages of its file and its last turn.

    ``url`` is empty without an endpoint. ``age_seconds`` is None for a role that writes its file only once.
    ``turn_age_seconds`` is None before the first turn.
    """

    __slots__ = ("age_seconds", "pid", "role", "turn_age_seconds", "url")

    def __init__(
        self, role: str, pid: int, url: str, age_seconds: float | None, turn_age_seconds: float | None
    ) -> None:
        self.role = role
        self.pid = pid
        self.url = url
        self.age_seconds = age_seconds
        self.turn_age_seconds = turn_age_seconds


class RoleFile:
    """File of the role that this process runs.

    A failure to write the file never ends the role: the probe finds out that the directory cannot be written.
    """

    def __init__(self, role: str, url: str = "") -> None:
        self._role = role
        self._url = url
        self._turned_at: float | None = None
        self._written_at: float | None = None

    def write_once(self) -> None:
        """Write the file for a role that only its liveness endpoint judges."""
        self._write(repeats=False)

    def turn(self) -> None:
        """Record a turn of the role's main loop."""
        self._turned_at = time.monotonic()

    def write_if_due(self) -> None:
        """Record a turn, and write the file unless it was written in the last ``WRITE_SECONDS``.

        Called by a main loop that never waits for another system.
        """
        self.turn()
        if self._written_at is None or time.monotonic() - self._written_at >= WRITE_SECONDS:
            self._write(repeats=True)

    def keep_written(self) -> None:
        """Write the file every ``WRITE_SECONDS`` in a thread, because the main loop may wait for another system.

        Raise RuntimeError if no thread can be started.
        """
        import threading  # noqa: PLC0415 - the probe needs no threads

        self._write(repeats=True)
        threading.Thread(target=self._keep_written, name="monitor-role-file", daemon=True).start()

    def _keep_written(self) -> None:
        while True:
            time.sleep(WRITE_SECONDS)
            self._write(repeats=True)

    def _write(self, *, repeats: bool) -> None:
        self._written_at = time.monotonic()
        pid = os.getpid()
        lines = [
            f"role {self._role}",
            f"pid {pid}",
            f"started {beacon_file.start_ticks(pid) or 0}",
            f"at {self._written_at:.3f}" if repeats else "at -",
            f"turned {'-' if self._turned_at is None else f'{self._turned_at:.3f}'}",
            f"url {self._url or '-'}",
        ]
        content = "\n".join(lines).encode("utf-8", "surrogateescape")
        try:
            directory = beacon_file.directory_to_write()
        except OSError:
            directory = beacon_file.directory()
        for place in (directory, beacon_places.in_memory(directory)):
            try:
                _write_into(place, f"{self._role}.{pid}{_SUFFIX}", content)
            except OSError:
                continue
            return


def read(directory: str) -> list[LocalRole]:
    """Return the roles that run, from the files in ``directory`` and in its counterpart in memory.

    Raise OSError as `beacon_places.read_both`.
    """
    newest: dict[int, LocalRole] = {}
    for role in beacon_places.read_both(directory, _read_all):
        other = newest.get(role.pid)
        if other is None or (role.age_seconds or 0.0) < (other.age_seconds or 0.0):
            newest[role.pid] = role
    return sorted(newest.values(), key=lambda role: (role.role, role.pid))


def ended(directory: str) -> list[str]:
    """Return the paths of the files whose process has ended, and of invalid files. Raises OSError."""
    beacon_file.require_own(directory)
    entries = [(path, _values(path)) for path in _paths(directory)]
    return [path for path, values in entries if values is None or not _is_running(values)]


def _is_running(values: "Mapping[str, str]") -> bool:
    return beacon_file.is_running(int(values["pid"]), int(values["started"]))


def _write_into(directory: str, name: str, content: bytes) -> None:
    beacon_file.make_own(directory)
    path = os.path.join(directory, name)
    if directory not in _cleaned:
        _cleaned.add(directory)
        for path_of_ended in ended(directory):
            beacon_file.unlink(path_of_ended)
    beacon_file.write_file(f"{path}.new", content, path)


_cleaned: set[str] = set()
"""Directories from which this process has removed the files of roles that have ended."""


def _read_all(directory: str) -> "Iterator[LocalRole]":
    beacon_file.require_own(directory)
    for path in _paths(directory):
        values = _values(path)
        if values is not None and _is_running(values):
            url = "" if values["url"] == "-" else values["url"]
            yield LocalRole(values["role"], int(values["pid"]), url, _age(values["at"]), _age(values["turned"]))


def _paths(directory: str) -> list[str]:
    return sorted(os.path.join(directory, name) for name in os.listdir(directory) if name.endswith(_SUFFIX))


def _age(text: str) -> float | None:
    return None if text == "-" else max(0.0, time.monotonic() - float(text))


def _values(path: str) -> dict[str, str] | None:
    """Return the values in a file; None for an invalid file."""
    try:
        values = beacon_file.read_values(path, _MAX_BYTES)
        int(values["pid"]), int(values["started"]), _age(values["at"]), _age(values["turned"])
        return values if {"role", "url"} <= values.keys() else None
    except (OSError, ValueError, KeyError):
        return None
