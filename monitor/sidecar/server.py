"""The sidecar's HTTP server: waitress, because it is small, threaded, and slow clients occupy none of its threads."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import waitress

THREADS = 4
"""No answer waits for anything, so few are enough."""

CONNECTIONS = 500
IDLE_SECONDS = 30
BACKLOG = 128
REQUEST_BYTES = 64 * 1024
IN_MEMORY_BYTES = 64 * 1024 * 1024
"""What is longer would go through a temporary file, and there may be no place for one."""


class CannotListen(Exception):
    """The address cannot be listened on; its cause is the OSError."""


class Server:
    """A server that listens from the moment it is made, and answers once it runs."""

    def __init__(self, application: Callable[..., Any], host: str, port: int) -> None:
        """Listen. Raises :class:`CannotListen`."""
        self._socket = _listen(host, port)
        address = self._socket.getsockname()
        self.address: str = address[0]
        self.port: int = address[1]
        self._server: Any = waitress.create_server(
            application,
            sockets=[self._socket],
            threads=THREADS,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=5,
            backlog=BACKLOG,
            max_request_header_size=REQUEST_BYTES,
            max_request_body_size=REQUEST_BYTES,
            inbuf_overflow=IN_MEMORY_BYTES,
            outbuf_overflow=IN_MEMORY_BYTES,
            ident=None,
            # Whether a proxy is in between has a part in who may see what (`monitor.api.access`).
            clear_untrusted_proxy_headers=False,
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{f'[{self.address}]' if ':' in self.address else self.address}:{self.port}"

    def run(self) -> None:
        """Answer, until the thread that runs this gets a SystemExit or a KeyboardInterrupt, from a signal's handler."""
        assert threading.current_thread() is threading.main_thread()  # noqa: S101 - handlers run there
        self._server.run()
        self._server.close()


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
