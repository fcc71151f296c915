"""Real HTTP server that accepts webhooks and counts them. It can fail at random before it accepts one."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Received(NamedTuple):
    """One accepted notice: time, sender (its ``X-Sender``) and body."""

    at: float
    sender: str
    body: dict[str, Any]


class Receiver:
    """Receiver that counts accepted notices. ``failing`` is the share of requests that it refuses in some way."""

    def __init__(self, failing: float = 0.0) -> None:
        self.taken: list[Received] = []
        self.failing = failing
        self.refused = 0
        self._random = random.Random(7)
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._take(self)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Return its URL."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def kinds(self, check: str) -> list[str]:
        """Return the kinds of the notices about a check, in order."""
        return [one.body["kind"] for one in list(self.taken) if one.body["check"] == check]

    def ids(self) -> set[str]:
        """Return the ids of all accepted notices."""
        return {one.body["id"] for one in list(self.taken)}

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        with self._lock:
            dice = self._random.random()
            if dice < self.failing:
                self.refused += 1
            else:
                sender = request.headers.get("X-Sender", "")
                self.taken.append(Received(time.monotonic(), sender, json.loads(body)))
        if dice < self.failing / 2:
            request.close_connection = True  # no answer at all
            return
        request.send_response(503 if dice < self.failing else 204)
        request.send_header("Content-Length", "0")
        request.end_headers()


@contextmanager
def receiving(failing: float = 0.0) -> Iterator[Receiver]:
    """Provide a receiver that listens during the `with` block."""
    receiver = Receiver(failing)
    server = receiver._server
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
