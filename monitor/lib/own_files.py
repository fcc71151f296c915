"""Directories and files that other users of the machine can neither replace nor read."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path


def belongs_to_another(directory: Path) -> bool:
    """Return whether an untrusted user owns an existing directory, and so could replace the files in it.

    The current user and root are trusted. Root is trusted because volumes are often mounted with the owner root. If the
    current user is root, every owner is trusted, unless every user can write to the parent directory, as in ``/tmp``.
    Raise OSError if the directory cannot be read.
    """
    owner, user = directory.stat().st_uid, os.geteuid()
    if owner in (user, 0):
        return False
    return user != 0 or bool(directory.resolve().parent.stat().st_mode & stat.S_IWOTH)


def is_private(directory: Path) -> bool:
    """Return whether a path is a directory that this user owns, and not a symbolic link."""
    try:
        status = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def replace(path: Path, text: str) -> None:
    """Create or replace a file with this text that only this user can read. Raise OSError if that fails."""
    temporary = _write_temporary(path, text)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink()
        raise


def create(path: Path, text: str) -> None:
    """Create a file with this text that only this user can read. Do nothing if the file exists.

    The file appears with its complete text. If several processes create it at the same time, the text of the first
    process is kept. Raise OSError if the file cannot be created.
    """
    temporary = _write_temporary(path, text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _write_temporary(path: Path, text: str) -> Path:
    """Return a new file beside ``path`` with this text."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    return temporary
