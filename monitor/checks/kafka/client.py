"""Client of one Kafka cluster, which exists for one observation.

kafka-python's event loop runs on the caller's thread, and only during ``ClusterClient.run``. So a broker that hangs
leaves no thread behind, and a fork shares no connection.

Arguments named ``until`` are deadlines on the monotonic clock.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, NodeNotReadyError, RequestTimedOutError
from kafka.net.selector import NetworkSelector

from monitor.checks.base import CheckFailed
from monitor.checks.kafka import library
from monitor.checks.kafka.connection import KafkaConnection
from monitor.checks.kafka.failures import CONNECTION_CLOSED, combined_failure, failure, is_final, reason
from monitor.checks.kafka.library import ConnectionManager, garbage_collection_disabled, logging_silenced
from monitor.checks.kafka.race import first_reachable
from monitor.checks.kafka.security import security_settings

T = TypeVar("T")
Node = library.Node
Versions = Callable[[Any], int | None]
"""Returns the newest version of a request class that broker and kafka-python support; None if there is none."""

LARGEST_ANSWER_BYTES = 100_000_000  # like the Java clients; kafka-python's 1 MB is too little for 1,000 groups
_HINT = " (is security_protocol right? brokers older than 0.10 need api_version)"
RETRY_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6)


class ClusterClient:
    """Client of one cluster, as a context manager.

    ``requests`` counts the sent requests by API name, without the requests that set up a connection. A node is the
    number of a broker, or the name that kafka-python gives to a configured address.
    """

    def __init__(self, connection: KafkaConnection, timeout_seconds: float) -> None:
        """Prepare the client without connecting. Raises CheckFailed if a TLS file or a token cannot be read."""
        self.requests: Counter[str] = Counter()
        self._timeout_seconds = timeout_seconds
        self._deadline = time.monotonic() + timeout_seconds
        self._where = ", ".join(connection.brokers)
        self._failed: dict[Node, Exception] = {}  # nodes that are not tried again -> the error
        self._last_entry_node: Node | None = None
        self._last_error: dict[Node, Exception] = {}
        self._unreached: dict[Node, Exception] = {}  # by node, as the caller named it (before `_route`)
        # Brokers whose advertised address is also a configured address -> the node of the configured address. Both use
        # the same connection.
        self._configured_as: dict[int, Node] = {}
        self._chosen: dict[Node, Node] = {}  # node -> the address that accepted the last connection to it
        settings: dict[str, Any] = {
            "bootstrap_servers": list(connection.brokers),
            "client_id": connection.client_id,
            "api_version": connection.api_version,
            "request_timeout_ms": timeout_seconds * 1000,
            "reconnect_backoff_max_ms": 1000,
            "receive_message_max_bytes": LARGEST_ANSWER_BYTES,
            "max_in_flight_requests_per_connection": 1_000_000,  # kafka-python refuses more; it does not queue
            **security_settings(connection),
        }
        with logging_silenced():
            self._loop = NetworkSelector(**settings)
            self._manager = ConnectionManager(self._loop, **settings)
        self._cluster = self._manager.cluster

    def __enter__(self) -> ClusterClient:
        return self

    def __exit__(self, *_: object) -> None:
        with logging_silenced():
            self._manager.close()
            self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine ``work`` and return its value. It may await only methods of this client.

        Raises CheckFailed at the deadline, or if ``work`` raises a KafkaError.
        """
        with logging_silenced(), garbage_collection_disabled():
            future = self._manager.call_soon(work)
            self._loop.poll(timeout_ms=max(0.0, self._deadline - time.monotonic()) * 1000, future=future)
        if not future.is_done:
            raise self._timeout_failure()
        if isinstance(future.exception, KafkaError):
            raise failure(future.exception, self._where) from future.exception
        if future.exception is not None:
            raise future.exception
        value: T = future.value
        return value

    def until(self, share: float) -> float:
        """Return the monotonic time at which ``share`` of the remaining time will have passed."""
        now = time.monotonic()
        return now + (self._deadline - now) * share

    async def gather(self, work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
        """Run coroutines concurrently and return their values in order."""
        futures = [self._manager.call_soon(coroutine) for coroutine in work]
        return [await future for future in futures]

    async def pause(self, attempt: int, until: float) -> bool:
        """Wait before the next attempt and return True.

        Return False at once if the maximum number of attempts is reached, or if the pause would end after ``until``.
        """
        if attempt >= len(RETRY_SECONDS) or time.monotonic() + RETRY_SECONDS[attempt] >= until:
            return False
        await self._loop.sleep(RETRY_SECONDS[attempt])
        return True

    async def connect(self, until: float) -> None:
        """Connect to one of the configured nodes. Raises CheckFailed if no node answers."""
        await self._entry_node(until)

    async def versions(self, node: Node, until: float) -> Versions:
        """Return the protocol versions to use with a node. Raises KafkaError if the node cannot be reached."""
        return _versions(await self._connect_routed(node, until))

    async def send(self, node: Node, request: Any, until: float) -> Any:
        """Send a request to a node and return the response. Raises KafkaError if there is no response by ``until``."""
        connection = await self._connect_routed(node, until)
        while connection.paused and time.monotonic() < until:  # throttled by a quota
            await self._loop.sleep(0.02)
        self.requests[type(request).__name__.removesuffix("Request")] += 1
        try:
            return await connection.send_request(request, request_timeout_ms=_milliseconds(until))
        except (KafkaTimeoutError, RequestTimedOutError) as error:
            self._unreached[node] = self._failed[self._route(node)] = error
            raise

    def unreached(self, node: Node | None) -> str | None:
        """Return address and reason as ``host:port (refused)`` if the node was not reached, else None."""
        error = None if node is None else self._unreached.get(node)
        return None if error is None or node is None else f"{self.address(node)} ({reason(error)})"

    async def send_to_any(self, build: Callable[[Versions], Any], until: float) -> Any:
        """Send a request to the configured nodes, one after another until one responds, and return the response.

        ``build`` returns the request in the newest version that the node supports. Raises CheckFailed if no node
        responds.
        """
        while True:
            node = await self._entry_node(until)
            try:
                return await self.send(node, build(await self.versions(node, until)), until)
            except KafkaError as error:
                self._failed[node] = error

    def learn_brokers(self, metadata: Any) -> tuple[int, ...]:
        """Store the addresses of the brokers in a Metadata response, and return the brokers' numbers."""
        self._cluster.update_metadata(metadata)
        for broker in metadata.brokers:
            self._match_configured_address(broker)
        return tuple(broker.node_id for broker in metadata.brokers)

    def learn_coordinator(self, coordinator: Any) -> int:
        """Store the address of the broker in a FindCoordinator response, and return its number."""
        known = self._cluster.broker_metadata(coordinator.node_id)
        if known is None or (known.host, known.port) != (coordinator.host, coordinator.port):
            self._cluster.add_coordinator(coordinator, "group", "", synthesize_node_id=False)
            self._match_configured_address(coordinator)
        return int(coordinator.node_id)

    def address(self, node: Node) -> str:
        """Return ``host:port`` of a node."""
        broker = self._cluster.broker_metadata(node)
        return f"{broker.host}:{broker.port}" if broker else str(node)

    async def _entry_node(self, until: float) -> Node:
        nodes = [broker.node_id for broker in self._cluster.bootstrap_brokers()]
        nodes.sort(key=lambda node: node != self._last_entry_node)
        first, failed = await first_reachable(self._manager, self._usable(nodes), self._connect, until)
        self._failed |= failed
        if first is None:
            down = {self.address(node): self._failed[node] for node in nodes if node in self._failed}
            raise combined_failure(down) or self._timeout_failure()
        self._last_entry_node = first
        return first

    async def _connect_routed(self, node: Node, until: float) -> Any:
        try:
            connection = await self._connect(self._route(node), until)
        except KafkaError as error:
            self._unreached[node] = error
            raise
        self._unreached.pop(node, None)
        return connection

    async def _connect(self, node: Node, until: float) -> Any:
        if node in self._failed:
            raise self._failed[node]
        address_nodes = self._manager.address_nodes(node)
        if not address_nodes:
            self._failed[node] = KafkaConnectionError("DNS Resolution failure")
            raise self._failed[node]
        if len(address_nodes) == 1:
            return await self._connect_once(address_nodes[0], until)
        if (chosen := self._chosen.get(node)) is not None:
            with suppress(KafkaError):
                return await self._connect_once(chosen, until)
            del self._chosen[node]
            address_nodes = [address_node for address_node in address_nodes if address_node != chosen]
        first, failed = await first_reachable(self._manager, self._usable(address_nodes), self._connect_once, until)
        if first is None:
            failures = [failed.get(address_node) or self._failed.get(address_node) for address_node in address_nodes]
            late = KafkaTimeoutError("no connection in time")
            raise next(filter(is_final, filter(None, failures)), next(filter(None, failures), late))
        self._chosen[node] = first
        return await self._connect_once(first, until)

    async def _connect_once(self, node: Node, until: float) -> Any:
        if node in self._failed:
            raise self._failed[node]
        try:
            # kafka-python's timeout is a second longer than ours: at our timeout, `transport` still exists and
            # shows whether the TCP connection was made.
            # refresh_metadata_on_err: a lost connection must not make kafka-python request the cluster's metadata.
            connection = self._manager.get_connection(
                node, timeout_ms=_milliseconds(until) + 1000, refresh_metadata_on_err=False
            )
            await self._manager.wait_for(connection.init_future, _milliseconds(until))
        except NodeNotReadyError as error:  # the connection was lost a moment ago
            raise self._last_error.get(node, error) from None
        except KafkaTimeoutError:
            text = f"no answer to the handshake in time{_HINT}" if connection.transport else "no connection in time"
            self._failed[node] = KafkaTimeoutError(text)
            raise self._failed[node] from None
        except KafkaError as error:
            if reason(error) == "reset":
                error = KafkaConnectionError(f"{CONNECTION_CLOSED} during the handshake{_HINT}")
            self._last_error[node] = error
            raise error from None
        except Exception as error:  # an error that kafka-python does not wrap, such as an invalid host name
            self._failed[node] = KafkaConnectionError(error)
            raise self._failed[node] from error
        return connection

    def _usable(self, nodes: Iterable[Node]) -> list[Node]:
        return [node for node in nodes if node not in self._failed]

    def _route(self, node: Node) -> Node:
        return self._configured_as.get(node, node) if isinstance(node, int) else node

    def _match_configured_address(self, broker: Any) -> None:
        self._configured_as.pop(broker.node_id, None)
        for configured in self._cluster.bootstrap_brokers():
            if (configured.host, configured.port) == (broker.host, broker.port):
                self._configured_as[broker.node_id] = configured.node_id

    def _timeout_failure(self) -> CheckFailed:
        return CheckFailed("timeout", f"{self._where}: no answer within {self._timeout_seconds:.1f} s")


def _versions(connection: Any) -> Versions:
    def version(request: Any) -> int | None:
        try:
            return int(connection.broker_version_data.api_version(request))
        except KafkaError:
            return None

    return version


def _milliseconds(until: float) -> float:
    return max(0.0, until - time.monotonic()) * 1000
