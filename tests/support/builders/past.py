"""A store with a past to ask for, and a client of the API over it: through Django's handler, as a server would."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from monitor.history.samples import RESPONSE_TIME, Sample
from monitor.model import Status
from monitor.store import MemoryStore
from tests.support.builders import NOW

READ_AT = NOW + 90.0
HOUR = 3600.0
TOKEN = {"HTTP_AUTHORIZATION": "Bearer hushhushhushhush"}


def with_a_past(hours: float = 2.0, every: float = 10.0) -> MemoryStore:
    """A store whose clock stands at READ_AT, with samples of ``database``: in error from 11:00 to 11:05, else ok."""
    store = MemoryStore(lambda: READ_AT)
    samples = []
    count = int(hours * HOUR / every)
    for number in range(count):
        at = READ_AT - (count - number) * every + 5
        failing = NOW - HOUR <= at < NOW - HOUR + 300
        status, reason = (Status.ERROR, "timeout") if failing else (Status.OK, None)
        series = {RESPONSE_TIME: float(number % 7), "percent": 50.0 + number % 3}
        samples.append(Sample(at, status, at + 3 * every, reason, series))
    store.history.add("database", samples)
    return store


class Reply(NamedTuple):
    """An answer: status code, headers by their names in lower case, and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's content, decompressed where it is compressed."""
        is_gzip = self.headers.get("content-encoding") == "gzip"
        return json.loads(gzip.decompress(self.body) if is_gzip else self.body)


class Client:
    """Asks a WSGI application on this machine. ``headers`` are CGI variables."""

    def __init__(self, application: Any, prefix: str = "/api/health/", **headers: str) -> None:
        self._application = application
        self._prefix = prefix
        self._headers = headers

    def __call__(self, path: str, method: str = "GET", **headers: str) -> Reply:
        """The answer to a request for a path (and query) below the prefix."""
        path, _, query = f"{self._prefix}{path}".partition("?")
        said: list[Any] = []
        environ: Mapping[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "HTTP_HOST": "localhost",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            **self._headers,
            **headers,
        }
        chunks = self._application(dict(environ), lambda status, fields: said.extend((status, fields)))
        return Reply(int(said[0][:3]), {name.lower(): value for name, value in said[1]}, b"".join(chunks))
