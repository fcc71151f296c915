"""Clients that occupy a server's connections, and probes beside them."""

from __future__ import annotations

import errno
import http.client
import resource
import selectors
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PATH = "/api/health/detailed/"
_HEAD = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n"
_REQUEST = f"{_HEAD}\r\n".encode()
_FORM = (
    "POST /admin/monitoring/ HTTP/1.1\r\nHost: localhost\r\n"
    f"Cookie: csrftoken={'a' * 32}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    "Content-Length: 1000\r\n\r\nhalf"
)
SHAPES = {
    "idle": b"",
    "half a head": _HEAD.encode(),
    "half a body": _FORM.encode(),
    "kept alive": _REQUEST,
    "unread": _REQUEST * 20,
    "dripping": _HEAD.encode(),
}
"""Data that each client sends: ``unread`` never reads, ``dripping`` sends one more byte each second."""

TIMEOUT_SECONDS = 10.0
_BUSY = {errno.EINPROGRESS, errno.EAGAIN}


class Crowd:
    """So many connections of one kind, opened at once and held until the end of the ``with`` block.

    With ``reopen``, a connection that the server ends is opened again at once.
    """

    def __init__(self, address: tuple[str, int], count: int, shape: str, *, reopen: bool = False) -> None:
        self._address = address
        self._count = count
        self._shape = shape
        self._reopen = reopen
        self._selector = selectors.DefaultSelector()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.opened = 0
        self.ended = 0

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def held(self) -> int:
        """Return the open connections."""
        return self.opened - self.ended

    def _run(self) -> None:
        with self._selector:
            for _ in range(self._count):
                self._open()
            dripped_at = time.monotonic()
            while not self._stop.is_set():
                for key, events in self._selector.select(0.05):
                    self._go_on(key, events)
                if self._shape == "dripping" and time.monotonic() - dripped_at >= 1:
                    dripped_at = time.monotonic()
                    self._drip()
            for key in [*self._selector.get_map().values()]:
                key.fileobj.close()  # type: ignore[union-attr]

    def _open(self) -> None:
        client = socket.socket(socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET)
        client.setblocking(False)
        if self._shape == "unread":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        if client.connect_ex(self._address) not in {0, *_BUSY}:
            client.close()
            return
        self._selector.register(client, selectors.EVENT_WRITE, SHAPES[self._shape])

    def _go_on(self, key: selectors.SelectorKey, events: int) -> None:
        client = key.fileobj
        assert isinstance(client, socket.socket)
        try:
            if events & selectors.EVENT_WRITE:  # it is connected
                self.opened += 1
                with _ignoring_full():
                    client.send(key.data or b"")
                # From here on only its end is reported, no data to read.
                self._selector.modify(client, 0 if self._shape == "unread" else selectors.EVENT_READ)
                return
            if client.recv(65536):
                return
        except ConnectionError:
            pass
        except BlockingIOError:
            return
        self._selector.unregister(client)
        client.close()
        self.ended += 1
        if self._reopen and not self._stop.is_set():
            self._open()

    def _drip(self) -> None:
        for key in [*self._selector.get_map().values()]:
            if isinstance(key.fileobj, socket.socket) and key.events == selectors.EVENT_READ:
                with _ignoring_full():
                    key.fileobj.send(b"X")


@dataclass
class Answers:
    """Results of probes on new connections: seconds of each response, and the failures."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def probe(
    address: tuple[str, int], paths: Mapping[str, Sequence[int]], *, seconds: float, every: float = 0.1
) -> Answers:
    """Request each of the paths repeatedly for so many seconds, each time on a new connection.

    ``paths`` has the expected status codes for each.
    """
    answers = Answers()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for path, allowed in paths.items():
            began_at = time.monotonic()
            connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_SECONDS)
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                if answer.status not in allowed:
                    answers.failures.append(f"{path}: status {answer.status}")
                answers.seconds.append(time.monotonic() - began_at)
            except (OSError, http.client.HTTPException) as error:
                answers.failures.append(f"{path}: {error!r} after {time.monotonic() - began_at:.2f} s")
            finally:
                connection.close()
        time.sleep(every)
    return answers


@contextmanager
def open_files(count: int) -> Iterator[None]:
    """Raise this process' soft limit on open files to ``count`` for the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(count, hard)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _ignoring_full() -> suppress[BlockingIOError | ConnectionError]:
    return suppress(BlockingIOError, ConnectionError)
