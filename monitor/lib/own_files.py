"""Files of ours on a machine that other users share: directories that can be trusted, and files made in them."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path


def belongs_to_another(directory: Path) -> bool:
    """Whether an existing directory was made by another user, who could replace whatever is put there.

    A directory of root's is trusted: volumes are often mounted so. Root itself trusts a directory of any user, unless
    it is in one where everybody can make directories, as in ``/tmp``. Raises OSError.
    """
    owner, user = directory.stat().st_uid, os.geteuid()
    if owner in (user, 0):
        return False
    return user != 0 or bool(directory.resolve().parent.stat().st_mode & stat.S_IWOTH)


def is_private(directory: Path) -> bool:
    """Whether it is a directory of this user's, and no link to one."""
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def create(path: Path, text: str) -> None:
    """Make a file that only this user can read, whole or not at all, unless it is there. Raises OSError.

    The first of several processes wins; the others leave its file as it is.
    """
    made = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    try:
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        made.unlink()
