"""Files of the monitor on this machine: the data directory, and the files of workers and roles that have ended."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from monitor.agent import beacon_file, beacon_places
from monitor.lib.own_files import belongs_to_another
from monitor.model.uninstall import Contents, StoredItems
from monitor.ports.uninstall import PlaceUnavailable

LOCK = "up.lock"
FILES = (LOCK, "project", "project-facts", "token", "web-address", "sidecar.json")
DIRECTORIES = ("redis", "used-codes")
DATABASE = "monitor.sqlite3"
"""Empty database that `monitor up` watches. If the file is not empty, another program has written to it."""

NAMES_KEPT = 10


class DataDirectoryPlace:
    """A :class:`monitor.ports.uninstall.Place`: the data directory, and further directories of the monitor.

    Other files in the data directory are kept. The directory is removed if it is empty then.
    """

    def __init__(self, directory: Path, further: Sequence[Path] = ()) -> None:
        self._directory, self._further = directory, further

    @property
    def title(self) -> str:
        """Return the path of the data directory."""
        return f"data directory {self._directory}"

    def find(self) -> Contents:
        """Return the files of the monitor, and the `monitor up` that uses the directory."""
        try:
            own = [*self._own()]
            other = [path.name for path in self._entries() if path not in own]
            users = ("monitor up",) if self._is_locked() else ()
        except OSError as error:
            raise PlaceUnavailable(f"cannot read {self._directory}: {error.strerror}") from None
        kept = (StoredItems("other files", len(other), tuple(sorted(other)[:NAMES_KEPT])),) if other else ()
        return Contents(_items("files and directories", own), kept, users)

    def remove(self) -> Contents:
        """Delete the files. Return what was deleted."""
        found = self.find()
        try:
            for path in [*self._own()]:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            with contextlib.suppress(OSError):  # it does not exist, or it contains other files
                self._directory.rmdir()
        except OSError as error:
            raise PlaceUnavailable(f"cannot delete {error.filename}: {error.strerror}") from None
        return found

    def _entries(self) -> list[Path]:
        if not self._directory.is_dir() or belongs_to_another(self._directory):
            return []
        return sorted(self._directory.iterdir())

    def _own(self) -> Iterator[Path]:
        for path in self._entries():
            is_database = path.name == DATABASE and path.stat().st_size == 0
            is_temporary = path.name.startswith((".sidecar.json.", *(f"{name}." for name in FILES)))
            if path.name in (*FILES, *DIRECTORIES) or is_database or is_temporary:
                yield path
        yield from (path for path in self._further if path.is_dir() and not belongs_to_another(path))

    def _is_locked(self) -> bool:
        with contextlib.suppress(FileNotFoundError), (self._directory / LOCK).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
        return False


class SamplesPlace:
    """A :class:`monitor.ports.uninstall.Place`: the files that agents and roles write for `monitor probe`.

    Files of processes that run are kept: all projects of one user share the directory. Each function in ``ended``
    returns the paths of some of the files in a directory: those whose process has ended.
    """

    def __init__(self, ended: Sequence[Callable[[str], list[str]]]) -> None:
        self._ended_in = ended

    @property
    def title(self) -> str:
        """Return the path of the directory."""
        return f"files of workers and roles in {beacon_file.directory()}"

    def find(self) -> Contents:
        """Return the files of processes that have ended."""
        return Contents(_items("files", self._ended()))

    def remove(self) -> Contents:
        """Delete the files, and the directory if it is empty then. Return what was deleted."""
        ended = self._ended()
        for path in ended:
            path.unlink(missing_ok=True)
        for directory in beacon_places.directories():
            with contextlib.suppress(OSError):
                Path(directory).rmdir()
        return Contents(_items("files", ended))

    def _ended(self) -> list[Path]:
        found: list[Path] = []
        for directory in beacon_places.directories():
            for ended_in in self._ended_in:
                with contextlib.suppress(OSError):
                    found += map(Path, ended_in(directory))
        return found


def _items(kind: str, paths: Sequence[Path]) -> tuple[StoredItems, ...]:
    names = tuple(path.name for path in paths[:NAMES_KEPT])
    return (StoredItems(kind, len(paths), names),) if paths else ()
