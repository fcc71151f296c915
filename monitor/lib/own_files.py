"""Files of the current user on a shared machine: trusted directories, and the creation of private files."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path


def belongs_to_another(directory: Path) -> bool:
    """Return whether another user owns an existing directory, and so could replace the files in it.

    A directory of root is trusted, because volumes are often mounted with that owner. Root itself trusts a directory of
    any user unless every user can write to its parent, as in ``/tmp``. Raise OSError if it cannot be read.
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


def create(path: Path, text: str) -> None:
    """Create a file that only this user can read, atomically, unless it exists. Raise OSError if that fails.

    If several processes create the file at the same time, the first one succeeds, and the others leave it unchanged.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
