"""Adaptations of kafka-python: connections, logging and garbage collection."""

from __future__ import annotations

import gc
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from kafka.errors import KafkaConnectionError, KafkaTimeoutError
from kafka.net.inet import KafkaNetSocket
from kafka.net.manager import KafkaConnectionManager
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

Node = int | str
_Address = tuple[Any, ...]  # as getaddrinfo returns it


class ConnectionManager(KafkaConnectionManager):  # type: ignore[misc]
    """Connection manager that keeps the last bytes of a closed connection and connects to one address at a time.

    kafka-python drops bytes that arrive together with the end of a connection, but a broker reports a failed
    authentication this way. And it tries the addresses of a host name one after another, each without a time limit.
    """

    def __init__(self, net: Any, **settings: Any) -> None:
        super().__init__(net, **settings)
        self._addresses: dict[Node, _Address] = {}
        self._address_nodes: dict[tuple[Node, str, int], list[Node]] = {}

    def address_nodes(self, node: Node) -> list[Node]:
        """Return one node for each address of the node's host name: the node itself if there is only one.

        The list is empty if the name cannot be resolved.
        """
        broker = self.cluster.broker_metadata(node)
        if broker is None:
            return [node]
        nodes = self._address_nodes.get((node, broker.host, broker.port))
        if nodes is None:
            found = _resolved(broker.host, broker.port)
            nodes = [node] if len(found) == 1 else [f"{node} at {address[4][0]}" for address in found]
            for address_node in nodes if len(found) > 1 else ():
                row = SimpleNamespace(error_code=0, node_id=address_node, host=broker.host, port=broker.port)
                self.cluster.add_coordinator(row, "group", str(address_node), synthesize_node_id=False)
            self._addresses |= zip(nodes, found, strict=True)
            self._address_nodes[node, broker.host, broker.port] = nodes
        return nodes

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        transport = await self._transport(node, timeout_at)
        receive = transport._sock_recv

        def receive_all() -> tuple[bytes, Exception | None]:
            data, error = receive()
            return data, None if data else error

        transport._sock_recv = receive_all
        return transport

    async def _transport(self, node: Any, timeout_at: float | None) -> Any:
        address, options = self._addresses[node.node_id], self.config["socket_options"]
        try:
            sock = await KafkaNetSocket().connect(self._net, address, options, timeout_at=timeout_at)
        except KafkaTimeoutError:
            raise KafkaConnectionError("Connection timed out") from None
        except OSError as error:
            raise KafkaConnectionError(f"unable to connect: {error}") from error
        if self.ssl_enabled:
            tls = {name: value for name, value in self.config.items() if name.startswith("ssl_")}
            transport = KafkaSSLTransport(self._net, sock, host=node.host, **tls)
        else:
            transport = KafkaTCPTransport(self._net, sock, host=node.host)
        try:
            await transport.handshake()
        except Exception as error:
            raise KafkaConnectionError(f"Handshake failed: {error}") from error
        return transport


def _resolved(host: str, port: int) -> list[_Address]:
    """Return the addresses of a name in the order to try them; an empty list if it cannot be resolved."""
    try:
        return list(dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except (OSError, UnicodeError):
        return []


@contextmanager
def logging_silenced() -> Iterator[None]:
    """Silence kafka-python's logger: it logs each failure several times, and the outcome of the check reports it."""
    logger = logging.getLogger("kafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def garbage_collection_disabled() -> Iterator[None]:
    """Turn off garbage collection for an observation.

    It creates a hundred thousand objects that live until its end. To collect among them takes a third of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
