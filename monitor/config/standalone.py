"""Random name of a monitor without a project. It is kept in the data directory, for all roles of the monitor."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

from monitor.agent.identity import Identity, is_name
from monitor.lib.own_files import belongs_to_another, create

FILE = "project"
DEFAULT_DIRECTORY = Path(".monitor")
_MOST_BYTES = 1024


def identity(directory: Path | None, *, makes: bool = False) -> Identity:
    """Return the identity of a monitor with this data directory (default: `.monitor`), without a name if there is none.

    With ``makes``, a name is created if a directory is configured; a role that is started separately does so. The roles
    of one monitor may run in containers that share no directory, so the created name contains the host and is not
    compared with names of other hosts.
    """
    found = (
        name_in(directory, host=socket.gethostname()) if directory and makes else read(directory or DEFAULT_DIRECTORY)
    )
    return Identity(found, random=True) if found else Identity()


def name_in(directory: Path, *, host: str = "") -> str | None:
    """Return the name in a data directory, created if there is none; None if the directory cannot be used."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (directory / FILE).exists() and not belongs_to_another(directory):
            name = f"standalone-{secrets.token_hex(4)}"
            create(directory / FILE, f"{name}@{host}\n" if is_name(host) else f"{name}\n")
    except OSError:
        return None
    return read(directory)


def read(directory: Path) -> str | None:
    """Return the name in a data directory; None if there is none, or if the directory belongs to another user."""
    try:
        if belongs_to_another(directory):
            return None
        descriptor = os.open(directory / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            name = file.read(_MOST_BYTES).decode(errors="replace").strip()
    except OSError:
        return None
    return name if is_name(name) else None
