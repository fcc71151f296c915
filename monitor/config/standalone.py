"""Random name of a monitor without a project, kept in a file in the data directory, so that all roles have one name."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

from monitor.agent.identity import Identity, is_name
from monitor.lib.own_files import belongs_to_another, create

FILE = "project"
DEFAULT_DIRECTORY = Path(".monitor")
_MAX_BYTES = 1024


def identity(directory: Path | None, *, creates_name: bool = False) -> Identity:
    """Return the identity of a monitor with this data directory (default: `.monitor`). It has no name if none is kept.

    With ``creates_name``, a missing name is created if ``directory`` is not None. A role that is started separately
    creates a name. The roles of one monitor may run in containers that share no directory. So the created name contains
    the host, and is not compared with names from other hosts.
    """
    if directory and creates_name:
        name = read_or_create(directory, host=socket.gethostname())
    else:
        name = read(directory or DEFAULT_DIRECTORY)
    return Identity(name, random=True) if name else Identity()


def read_or_create(directory: Path, *, host: str = "") -> str | None:
    """Return the name in a data directory. Create a missing name. Return None if the directory cannot be used."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (directory / FILE).exists() and not belongs_to_another(directory):
            name = f"standalone-{secrets.token_hex(4)}"
            create(directory / FILE, f"{name}@{host}\n" if is_name(host) else f"{name}\n")
    except OSError:
        return None
    return read(directory)


def read(directory: Path) -> str | None:
    """Return the name in a data directory. None if there is no name, or if the directory belongs to another user."""
    try:
        if belongs_to_another(directory):
            return None
        descriptor = os.open(directory / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            name = file.read(_MAX_BYTES).decode(errors="replace").strip()
    except OSError:
        return None
    return name if is_name(name) else None
