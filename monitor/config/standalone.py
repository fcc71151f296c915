"""The name of a monitor that belongs to no project: random, and kept in its data directory for all of its roles."""

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
    """Return the identity of a monitor with this data directory, `.monitor` by default; without a name if it has none.

    A role that was started by itself ``makes`` a name where a directory is configured. The roles of one monitor may run
    in containers that share no directory: so that name is one of this host, and says nothing on another one.
    """
    found = (
        name_in(directory, host=socket.gethostname()) if directory and makes else read(directory or DEFAULT_DIRECTORY)
    )
    return Identity(found, random=True) if found else Identity()


def name_in(directory: Path, *, host: str = "") -> str | None:
    """Return the name in a data directory, made now if there is none; None where that cannot be used."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (directory / FILE).exists() and not belongs_to_another(directory):
            name = f"standalone-{secrets.token_hex(4)}"
            create(directory / FILE, f"{name}@{host}\n" if is_name(host) else f"{name}\n")
    except OSError:
        return None
    return read(directory)


def read(directory: Path) -> str | None:
    """Return the name in a data directory; None where there is none, or the directory is another user's."""
    try:
        if belongs_to_another(directory):
            return None
        descriptor = os.open(directory / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            name = file.read(_MOST_BYTES).decode(errors="replace").strip()
    except OSError:
        return None
    return name if is_name(name) else None
