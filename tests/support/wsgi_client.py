"""Client of the API that calls Django's handler, as a server does."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

TOKEN = {"HTTP_AUTHORIZATION": "Bearer hushhushhushhush"}


class Reply(NamedTuple):
    """Response: status code, headers by their names in lower case, and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the content of the body, decompressed if needed."""
        is_gzip = self.headers.get("content-encoding") == "gzip"
        return json.loads(gzip.decompress(self.body) if is_gzip else self.body)


def wsgi_environ(method: str, path: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the environ of a request from this machine for a path (and query), with the variables ``more``."""
    path, _, query = path.partition("?")
    return {
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
        **more,
    }


class Client:
    """Client of a WSGI application on this machine. ``headers`` are CGI variables."""

    def __init__(self, application: Any, prefix: str = "/api/health/", **headers: str) -> None:
        self._application = application
        self._prefix = prefix
        self._headers = headers

    def __call__(self, path: str, method: str = "GET", **headers: str) -> Reply:
        """Return the response to a request for a path (and query) below the prefix."""
        said: list[Any] = []
        environ = wsgi_environ(method, f"{self._prefix}{path}", {**self._headers, **headers})
        chunks = self._application(environ, lambda status, fields: said.extend((status, fields)))
        return Reply(int(said[0][:3]), {name.lower(): value for name, value in said[1]}, b"".join(chunks))
