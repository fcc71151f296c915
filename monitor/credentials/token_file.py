"""File of the token that a monitor's web server generates. Only the user of the server can read the file."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from monitor.lib.own_files import belongs_to_another, create

NAME = "token"
LEAST_CHARACTERS = 16
_MAX_BYTES = 4096


class TokenUnusable(Exception):
    """Error for a token file that cannot be used. Its message contains the reason and the remedy."""


def is_sound(token: str) -> bool:
    """Return whether a token has at least 16 printable ASCII characters, and no space at the start or the end."""
    is_printable = all(" " <= character <= "~" for character in token)
    return len(token) >= LEAST_CHARACTERS and is_printable and token == token.strip()


def read(directory: Path) -> str | None:
    """Return the token in ``directory``; None if there is no token file.

    Raises TokenUnusable if the file is a symbolic link, if another user owns the file or can read it, or if the token
    is invalid.
    """
    path = directory / NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TokenUnusable(f"cannot read {path}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise TokenUnusable(f"{path} must be a file that only this user can read (mode 0600); delete it")
        token = os.read(descriptor, _MAX_BYTES).decode("ascii", errors="replace").strip()
    finally:
        os.close(descriptor)
    if not is_sound(token):
        raise TokenUnusable(
            f"{path} contains no token of at least {LEAST_CHARACTERS} printable ASCII characters; delete it"
        )
    return token


def prepare(directory: Path) -> None:
    """Create the directory if it does not exist. Raises TokenUnusable if the directory belongs to another user."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if belongs_to_another(directory):
            raise TokenUnusable(f"the directory {directory} belongs to another user")
    except OSError as error:
        raise TokenUnusable(f"cannot use {directory}: {error.strerror}") from error


def ensure(directory: Path) -> str:
    """Return the token in ``directory``. Generates one if there is no token file. Raises TokenUnusable."""
    prepare(directory)
    try:
        if (token := read(directory)) is not None:
            return token
        create(directory / NAME, secrets.token_urlsafe(32) + "\n")
    except OSError as error:
        raise TokenUnusable(f"cannot write to {directory}: {error.strerror}") from error
    token = read(directory)
    if token is None:
        raise TokenUnusable(f"{directory / NAME} was deleted by another process at the same time; try again")
    return token
