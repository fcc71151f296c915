"""The name of a monitor that belongs to no project: random, and kept in its data directory for all of its roles."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

from monitor.agent.identity import Identity, is_name
from monitor.own_files import belongs_to_another

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
            _write(directory, f"{name}@{host}" if is_name(host) else name)
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


def _write(directory: Path, name: str) -> None:
    made = directory / f"{FILE}.{secrets.token_hex(8)}"
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{name}\n")
    try:
        os.link(made, directory / FILE)  # whole, or not at all; the first of two processes wins
    except FileExistsError:
        pass
    finally:
        made.unlink()
