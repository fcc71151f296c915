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
_Address = tuple[Any, ...]  # an item of the result of getaddrinfo


class ConnectionManager(KafkaConnectionManager):  # type: ignore[misc]
    """Connection manager with two changes to kafka-python's.

    1. It keeps bytes that arrive together with the end of a connection. kafka-python drops them, although a broker
       reports a failed authentication in this way.
    2. It connects to one address of a host name, with a time limit. kafka-python tries all addresses one after another,
       each without a time limit.
    """

    def __init__(self, net: Any, **settings: Any) -> None:
        super().__init__(net, **settings)
        self._addresses: dict[Node, _Address] = {}
        self._address_nodes: dict[tuple[Node, str, int], list[Node]] = {}

    def address_nodes(self, node: Node) -> list[Node]:
        """Return one node for each address of the node's host name. For a single address it is the node itself.

        The list is empty if the name cannot be resolved.
        """
        broker = self.cluster.broker_metadata(node)
        if broker is None:
            return [node]
        nodes = self._address_nodes.get((node, broker.host, broker.port))
        if nodes is None:
            addresses = _resolved(broker.host, broker.port)
            nodes = [node] if len(addresses) == 1 else [f"{node} at {address[4][0]}" for address in addresses]
            for address_node in nodes if len(addresses) > 1 else ():
                row = SimpleNamespace(error_code=0, node_id=address_node, host=broker.host, port=broker.port)
                self.cluster.add_coordinator(row, "group", str(address_node), synthesize_node_id=False)
            self._addresses |= zip(nodes, addresses, strict=True)
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
    """Return the addresses of a host name in the order of getaddrinfo; an empty list if it cannot be resolved."""
    try:
        return list(dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except (OSError, UnicodeError):
        return []


@contextmanager
def logging_silenced() -> Iterator[None]:
    """Silence kafka-python's logger, which logs each failure several times. The outcome contains the failure."""
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

    An observation of a large cluster creates a hundred thousand objects, none of which can be freed before its end.
    Garbage collection would take a third of the observation's time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
