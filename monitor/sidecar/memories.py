"""File with the states and memories of all checks. A restarted sidecar loads it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
from pathlib import Path

from monitor.lib import decoding, logs
from monitor.lib.own_files import belongs_to_another
from monitor.store.memory.states import MemoryStateStore

FILE = "sidecar.json"
VERSION = 1
LIMIT_BYTES = 32 * 1024 * 1024

log = logs.get_logger("monitor.sidecar")


class UnusableDirectory(Exception):
    """Error for a data directory that cannot be used. Its message contains the cause."""


class MemoryFile:
    """File with a copy of a store in RAM. Thread-safe."""

    def __init__(self, directory: Path, store: MemoryStateStore) -> None:
        """Create ``directory`` if it does not exist. Raise :class:`UnusableDirectory` if it cannot be used."""
        self._path = directory / FILE
        self._temporary_path = directory / f".{FILE}.{os.getpid()}"
        self._store = store
        self._lock = threading.Lock()
        self._cursor: str | None = None
        self._failing = False
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if belongs_to_another(directory):
                raise PermissionError(errno.EPERM, "it belongs to another user")
            self._write("")
            self._temporary_path.unlink()
        except OSError as error:
            raise UnusableDirectory(f"cannot use the data directory {directory}: {error.strerror}") from error

    def load(self) -> None:
        """Load the file into the store. If the file does not exist or is invalid, the store stays empty."""
        try:
            with self._path.open("rb") as file:
                stored = decoding.load(file.read(LIMIT_BYTES + 1), max_bytes=LIMIT_BYTES)
            if stored.get("version") != VERSION:
                raise ValueError(f"version {stored.get('version')}")
            self._store.restore(stored)
        except FileNotFoundError:
            return
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            log.warning("sidecar.memories_unreadable", file=str(self._path), error=f"{type(error).__name__}: {error}")

    def save(self) -> None:
        """Write the file if the store has changed.

        The file is replaced atomically. Of consecutive write errors, only the first is logged.
        """
        with self._lock:
            cursor = self._store.changes(self._cursor).cursor
            if cursor == self._cursor:
                return
            try:
                self._write(json.dumps({"version": VERSION, **self._store.export()}))
                self._temporary_path.replace(self._path)
            except OSError as error:
                with contextlib.suppress(OSError):
                    self._temporary_path.unlink()
                if not self._failing:
                    log.warning("sidecar.memories_not_written", file=str(self._path), error=str(error.strerror))
                self._failing = True
                return
            self._cursor, self._failing = cursor, False

    def _write(self, text: str) -> None:
        descriptor = os.open(self._temporary_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
