"""Checks before `monitor up` starts its processes, so that a problem gives one message and not a crash of each."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil

from monitor.lib.own_files import belongs_to_another
from monitor.supervisor.marks import end_marked


class CannotStart(Exception):
    """Error whose text explains to the operator why no process was started."""


def listen_address(host: str, port: int) -> tuple[str, int]:
    """Return the numeric address and the port to listen on. For port 0, return a free port.

    Raise :class:`CannotStart` if the port is in use or forbidden, or if the address does not belong to this machine.
    """
    try:
        family, socket_type, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise CannotStart(f"cannot listen on {host}: {error.strerror}") from error
    except ValueError as error:  # a label that is too long, or a null character
        raise CannotStart(f"cannot listen on {host!r}: it is no host name and no IP address") from error
    with socket.socket(family, socket_type, protocol) as test_socket:
        # The web server sets SO_REUSEPORT. This socket does not: with it, bind would succeed beside a running server.
        test_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            test_socket.bind(address)
        except OSError as error:
            raise CannotStart(_bind_problem(error, host, port)) from error
        return str(address[0]), int(test_socket.getsockname()[1])


@contextlib.contextmanager
def lock(data_dir: Path, mark: str) -> Iterator[None]:
    """Lock the data directory.

    If an earlier `monitor up` and its watcher were both killed, their child processes may still run. These are ended
    first.

    Raise :class:`CannotStart` if another `monitor up` has locked the directory, if another user owns the directory, or
    if it cannot be used.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if belongs_to_another(data_dir):
            raise CannotStart(f"the data directory {data_dir} belongs to another user; choose another --data-dir")
        descriptor = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise CannotStart(f"cannot use the data directory {data_dir}: {error.strerror}") from error
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = file.read().partition(" ")[0]
            raise CannotStart(
                f"another `monitor up` (pid {pid or 'unknown'}) is using {data_dir}; end that process, "
                "or choose another --data-dir"
            ) from None
        _, _, earlier_mark = file.read().strip().partition(" ")
        if earlier_mark:
            end_marked(earlier_mark, grace_seconds=1.0)
        _replace_content(file.fileno(), f"{os.getpid()} {mark}\n")
        yield
        _replace_content(file.fileno(), "")


def _replace_content(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _bind_problem(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is already in use{_by_process(port)}; choose another with --port"
    if error.errno == errno.EACCES:
        return f"port {port} needs privileges; choose a port above 1023 with --port"
    return f"cannot listen on {host}:{port}: {error.strerror}"


def _by_process(port: int) -> str:
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if listens and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""
