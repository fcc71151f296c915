"""HTTP server of the sidecar, based on waitress.

Waitress needs little memory, and a slow client does not block a thread.
"""

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
"""No response waits for IO, so few threads are enough."""

CONNECTIONS = 128
"""Maximum number of open connections. For each new connection, waitress polls all open connections."""

IDLE_SECONDS = 30
BACKLOG = 4096
REQUEST_BYTES = 64 * 1024
IN_MEMORY_BYTES = 64 * 1024 * 1024
"""Size of a buffer above which waitress uses a temporary file.

The size is large, because the sidecar may have no writable directory.
"""

RECEIVED_BYTES = 1024
"""Bytes to read from a connection at once. It is small so that pipelined requests do not delay other clients."""

SWITCH_SECONDS = 0.0005
"""Switch interval of the interpreter. It is short because the accepting thread needs the GIL for each connection."""


class CannotListen(Exception):
    """Error for an address that the server cannot listen on. Its ``__cause__`` is the OSError."""


class SidecarServer:
    """HTTP server. The constructor listens on the address. :meth:`run` responds to requests."""

    def __init__(self, application: Callable[..., Any], host: str, port: int) -> None:
        """Listen on the address. Raise :class:`CannotListen` if that fails."""
        self._socket = _listen(host, port)
        address = self._socket.getsockname()
        self.address: str = address[0]
        self.port: int = address[1]
        limits = raise_open_file_limit(CONNECTIONS)
        self._guard = ConnectionGuard(self.port, limits)
        self._server = _Waitress(application, self._socket, limits.accepted)

    @property
    def url(self) -> str:
        """Return the URL of the server."""
        return f"http://{f'[{self.address}]' if ':' in self.address else self.address}:{self.port}"

    def run(self) -> None:
        """Respond to requests until a signal handler raises SystemExit or KeyboardInterrupt in this thread."""
        assert threading.current_thread() is threading.main_thread()  # noqa: S101 - handlers run there
        self._guard.start()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._server.run()
        self._server.close()


class _Waitress(TcpWSGIServer):  # type: ignore[misc]
    """Waitress server on an existing listening socket that accepts all waiting connections before it polls.

    The base class polls all open connections after each connection that it accepts. With a thousand open connections, a
    probe would wait for seconds.
    """

    def __init__(self, application: Callable[..., Any], listener: socket.socket, connections: int) -> None:
        self._connections = connections
        # Waitress logs each request that waits for a thread and each client that disconnects. Logging takes longer than
        # responding.
        logging.getLogger("waitress").setLevel(logging.WARNING)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(THREADS)
        settings = Adjustments(
            sockets=[listener],
            threads=THREADS,
            connection_limit=sys.maxsize,  # `readable` limits the connections, without the log messages of waitress
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=5,
            backlog=BACKLOG,
            max_request_header_size=REQUEST_BYTES,
            max_request_body_size=REQUEST_BYTES,
            outbuf_high_watermark=sys.maxsize,  # above this size, a thread waits until the client has read
            inbuf_overflow=IN_MEMORY_BYTES,
            outbuf_overflow=IN_MEMORY_BYTES,
            recv_bytes=RECEIVED_BYTES,
            ident=None,
            # `monitor.api.access` uses the proxy headers to decide which details the client may see.
            clear_untrusted_proxy_headers=False,
        )
        socket_info = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(
            application, _sock=listener, dispatcher=dispatcher, adj=settings, sockinfo=socket_info, bind_socket=False
        )

    def readable(self) -> bool:
        """Return whether to accept connections now. Waitress calls this before each poll.

        The method of the base class also closes idle connections.
        """
        return super().readable() and len(self.active_channels) < self._connections

    def handle_accept(self) -> None:
        """Accept all waiting connections, up to the limit of open connections."""
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
    except (OSError, ValueError) as error:  # ValueError: no host name
        raise CannotListen(str(error)) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(str(error)) from error
    return listener
