"""Record of used login codes. All processes share it, and it is kept across restarts."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

from monitor.credentials.signed import CODE_SECONDS
from monitor.lib.own_files import belongs_to_another

_KEPT_SECONDS = 2 * CODE_SECONDS


class UsedCodes:
    """Record of used codes: one empty file for each code, in a subdirectory of the data directory.

    The name of the file is a digest of the code.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._directory = data_dir / "used-codes"

    def claim(self, code: str) -> bool:
        """Mark the code as used. Return True if the code was unused before. Raises OSError.

        Raises PermissionError if the data directory belongs to another user, who could delete the file.
        """
        if belongs_to_another(self._data_dir):
            raise PermissionError(f"the directory {self._data_dir} belongs to another user")
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._delete_old_files()
        name = hashlib.sha256(code.encode()).hexdigest()[:32]
        try:
            os.close(os.open(self._directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return False
        return True

    def _delete_old_files(self) -> None:
        for file in self._directory.iterdir():
            with contextlib.suppress(OSError):
                if file.stat().st_mtime < time.time() - _KEPT_SECONDS:
                    file.unlink()
