"""Real ZooKeeper for brokers that keep their topics in it, with a client that can write to it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping

from tests.support.kafka_server import JavaServer
from tests.support.processes import free_port, wait_for

CREATE, SET = 1, 5
NODE_EXISTS = -110
ANYBODY_MAY_ALL = struct.pack(">ii", 1, 31)


class ZooKeeper(JavaServer):
    """Server on a free port of 127.0.0.1. ``flags`` are arguments of Java, with the class path."""

    def __init__(self, flags: list[str]) -> None:
        super().__init__("zookeeper-test-")
        self._port = free_port()
        self.address = f"127.0.0.1:{self._port}"
        properties = self.directory / "zoo.cfg"
        properties.write_text(
            f"dataDir={self.directory}/data\nclientPort={self._port}\nclientPortAddress=127.0.0.1\n"
            "maxClientCnxns=0\ntickTime=500\n"
        )
        self.launch(*flags, "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(properties))
        wait_for(lambda: b"imok" in self._ask(b"ruok"), seconds=60, every=0.05, what=f"ZooKeeper, see {self.log}")

    def knows(self, path: str) -> bool:
        """Return whether a live session has created this node."""
        return path.encode() in self._ask(b"dump")

    def write(self, nodes: Mapping[str, str]) -> None:
        """Create these nodes by their path, in this order. An existing node gets the new text.

        Kafka's own tool takes a second for each, mostly for the start of Java.
        """
        with socket.create_connection(("127.0.0.1", self._port), timeout=30) as connection:
            hello = struct.pack(">iqiq", 0, 0, 30_000, 0) + _sized(bytes(16))
            _exchange(connection, hello)
            for number, (path, text) in enumerate(nodes.items(), start=1):
                named = _sized(path.encode()) + _sized(text.encode())
                rights = ANYBODY_MAY_ALL + _sized(b"world") + _sized(b"anyone")
                error = _request(connection, number, CREATE, named + rights + struct.pack(">i", 0))
                if error == NODE_EXISTS:
                    error = _request(connection, number, SET, named + struct.pack(">i", -1))
                assert not error, f"ZooKeeper does not write {path}: error {error}"

    def _ask(self, word: bytes) -> bytes:
        answer = b""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=2) as connection:
                connection.sendall(word)
                while more := connection.recv(65536):
                    answer += more
        except OSError:
            return answer
        return answer


def _request(connection: socket.socket, number: int, kind: int, body: bytes) -> int:
    """Return the error of the response, 0 without one."""
    answer = _exchange(connection, struct.pack(">ii", number, kind) + body)
    _, _, error = struct.unpack(">iqi", answer[:16])
    return int(error)


def _exchange(connection: socket.socket, message: bytes) -> bytes:
    connection.sendall(_sized(message))
    with connection.makefile("rb") as stream:
        (size,) = struct.unpack(">i", stream.read(4))
        return stream.read(size)


def _sized(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data
