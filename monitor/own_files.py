"""Whether a directory can be trusted with what is ours, on a machine that other users share."""

from __future__ import annotations

import os
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
