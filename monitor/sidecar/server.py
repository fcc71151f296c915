"""The sidecar's HTTP server: waitress, because it is small, threaded, and slow clients occupy none of its threads."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from monitor.lib.connection_limit import ConnectionGuard, raise_open_file_limit

THREADS = 4
"""No answer waits for anything, so few are enough."""

CONNECTIONS = 128
"""The most connections that are kept. Waitress goes through all of them for each one that it accepts."""

IDLE_SECONDS = 30
BACKLOG = 4096
REQUEST_BYTES = 64 * 1024
IN_MEMORY_BYTES = 64 * 1024 * 1024
"""What is longer would go through a temporary file, and there may be no place for one."""


RECEIVED_BYTES = 1024
"""Read from a connection at once: of hundreds of requests in one piece few are answered before others have a turn."""

SWITCH_SECONDS = 0.0005
"""A thread that answers gives way to the one that accepts after so long, which needs a turn for each connection."""


class CannotListen(Exception):
    """The address cannot be listened on; its cause is the OSError."""


class SidecarServer:
    """A server that listens from the moment it is made, and answers once it runs."""

    def __init__(self, application: Callable[..., Any], host: str, port: int) -> None:
        """Listen. Raises :class:`CannotListen`."""
        self._socket = _listen(host, port)
        address = self._socket.getsockname()
        self.address: str = address[0]
        self.port: int = address[1]
        bounds = raise_open_file_limit(CONNECTIONS)
        self._guard = ConnectionGuard(self.port, bounds)
        self._server = _Waitress(application, self._socket, bounds.accepted)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{f'[{self.address}]' if ':' in self.address else self.address}:{self.port}"

    def run(self) -> None:
        """Answer, until the thread that runs this gets a SystemExit or a KeyboardInterrupt, from a signal's handler."""
        assert threading.current_thread() is threading.main_thread()  # noqa: S101 - handlers run there
        self._guard.start()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._server.run()
        self._server.close()


class _Waitress(TcpWSGIServer):  # type: ignore[misc]
    """Waitress on a socket that listens already, accepting as many connections at a time as there are.

    Its own server accepts one, then goes through all that are open: behind a thousand others a probe waits for seconds.
    """

    def __init__(self, application: Callable[..., Any], listener: socket.socket, connections: int) -> None:
        self._connections = connections
        # They log each request that waits for a thread, and each client that has left: it takes longer than an answer.
        logging.getLogger("waitress").setLevel(logging.WARNING)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(THREADS)
        settings = Adjustments(
            sockets=[listener],
            threads=THREADS,
            connection_limit=sys.maxsize,  # it would log each time that it is reached, and each time that it is not
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=5,
            backlog=BACKLOG,
            max_request_header_size=REQUEST_BYTES,
            max_request_body_size=REQUEST_BYTES,
            outbuf_high_watermark=sys.maxsize,  # past it, a thread would wait for a client that does not read
            inbuf_overflow=IN_MEMORY_BYTES,
            outbuf_overflow=IN_MEMORY_BYTES,
            recv_bytes=RECEIVED_BYTES,
            ident=None,
            # Whether a proxy is in between has a part in who may see what (`monitor.api.access`).
            clear_untrusted_proxy_headers=False,
        )
        about = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(
            application, _sock=listener, dispatcher=dispatcher, adj=settings, sockinfo=about, bind_socket=False
        )

    def readable(self) -> bool:
        """Whether to accept connections now. Called before each wait; closes those that are idle for too long."""
        return super().readable() and len(self.active_channels) < self._connections

    def handle_accept(self) -> None:
        """Accept what waits, up to the limit."""
        before = -1
        while before < len(self.active_channels) < self._connections:
            before = len(self.active_channels)
            super().handle_accept()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(str(error)) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(str(error)) from error
    return listener
