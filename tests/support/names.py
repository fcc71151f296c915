"""Name resolution under test: private files in /etc, a name server that can stop answering, and silent ports."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

_HEADER = struct.Struct("!6H")
_TYPE_A, _CLASS_IN = 1, 1


def with_own_files(files: Mapping[str, Path]) -> list[str]:
    """Return a command prefix with which only that command sees these files at these paths.

    It needs root, for a mount namespace.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can give a process files of its own in /etc")
    mounts = " && ".join(f"mount --bind {source} {path}" for path, source in files.items())
    return ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh"]


class NameServer:
    """Name server on port 53 of its own address. It answers for all names in its zone, or not at all."""

    ZONE = "probed.test"

    def __init__(self) -> None:
        self.silent = False
        self._closed = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = next(filter(self._binds, (f"127.0.53.{number}" for number in range(1, 255))))
        self._thread = threading.Thread(target=self._serve, name="name-server", daemon=True)
        self._thread.start()

    def resolv_conf(self, directory: Path) -> Path:
        """Return a file for /etc/resolv.conf that names this server, with glibc's default timeout: 5 s, twice."""
        path = directory / "resolv.conf"
        path.write_text(f"nameserver {self.address}\n")
        path.chmod(0o644)
        return path

    def close(self) -> None:
        """Stop answering, and free the port."""
        self._closed = True
        self._socket.sendto(b"", (self.address, 53))  # wakes the thread, which would otherwise keep the port open
        self._thread.join()
        self._socket.close()

    def _binds(self, address: str) -> bool:
        try:
            self._socket.bind((address, 53))
        except OSError:  # another test has it
            return False
        return True

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(512)
            if self._closed:
                return
            if not self.silent:
                self._socket.sendto(_answer(query, self.ZONE), client)


class SilentPort:
    """Port that drops connection requests, as a firewall does: its queue is full, so the kernel ignores them."""

    def __init__(self, address: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._sockets = [socket.socket(family) for _ in range(4)]
        listener, *clients = self._sockets
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        for client in clients:
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect((address, port))

    def close(self) -> None:
        """Free the port."""
        for each in self._sockets:
            each.close()


@pytest.fixture
def name_server() -> Iterator[NameServer]:
    """Provide a name server that answers until the test silences it."""
    if os.geteuid() != 0:
        pytest.skip("only root can listen on port 53")
    server = NameServer()
    yield server
    server.close()


def _answer(query: bytes, zone: str) -> bytes:
    """Return 127.0.0.1 for an A query, nothing for another type, and NXDOMAIN outside of the zone."""
    labels, at = [], _HEADER.size
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length
    question = query[_HEADER.size : at + 5]
    (kind,) = struct.unpack_from("!H", query, at + 1)
    (identity, *_) = _HEADER.unpack_from(query)
    known = ".".join(labels).endswith(zone)
    found = known and kind == _TYPE_A
    header = _HEADER.pack(identity, 0x8580 | (0 if known else 3), 1, int(found), 0, 0)
    record = struct.pack("!HHHIH", 0xC00C, _TYPE_A, _CLASS_IN, 0, 4) + socket.inet_aton("127.0.0.1")
    return header + question + (record if found else b"")
