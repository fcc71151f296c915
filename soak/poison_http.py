"""Requests on bare sockets, and answers that are believed only when every byte of them parses."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import re
import socket
import zlib
from typing import Any

TOKEN = "a-token-of-the-poison-fuzz"
HEALTH = "/api/health/"
KUBERNETES = re.compile(rb"[A-Za-z]+ /(readyz|livez|healthz|startupz)\b")
"""Requests in the format of the Kubernetes API server, in which a failing check is a 500 of plain text."""
VERDICT = re.compile(
    rb"(?:\[\+\]\S+ (?:excluded: )?ok\n)*\[-\]\S+ failed: reason withheld\n"
    rb"(?:\[[+-]\]\S+ (?:(?:excluded: )?ok|failed: reason withheld)\n|warn: some health checks cannot [^\n]+\n)*"
    rb"(?:readyz|livez|healthz|startupz) check failed\n"
    rb"|internal server error: [a-z_]{1,50}\n"
)
"""The documented bodies of such a 500: of an endpoint, and of one of its checks."""


class Wrong(Exception):
    """An answer that no client should get: a 500, or a body that does not parse."""


class Client:
    """Speaks HTTP to one port, a connection for each request."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str, *, seconds: float = 10.0) -> tuple[int, Any]:
        """Status and body of an authorised GET. Raises Wrong and OSError."""
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
        answer = self.send(head.encode(), seconds=seconds)
        if answer is None:
            raise ConnectionError("closed without an answer")
        return answer

    def send(self, raw: bytes, *, is_head: bool = False, seconds: float = 10.0) -> tuple[int, Any] | None:
        """The answer to these bytes; None when the connection is closed without one. Raises Wrong, OSError."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            # Refused before it was read to its end: the answer may be there all the same.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(raw)
            response = http.client.HTTPResponse(connection, method="HEAD" if is_head else "GET")
            try:
                response.begin()
                body = response.read()
            except (http.client.BadStatusLine, ConnectionResetError):
                return None
            except http.client.HTTPException as error:
                raise Wrong(f"no HTTP: {type(error).__name__}: {error}") from error
        return response.status, checked(response, b"" if is_head else body, raw)


def is_verdict(response: http.client.HTTPResponse, body: bytes, request: bytes) -> bool:
    """Whether a 500 is what the format of Kubernetes documents for a failing check, and no fault of the server."""
    is_text = response.getheader("Content-Type", "").startswith("text/plain")
    is_known = bool(VERDICT.fullmatch(body)) or (not body and request.startswith(b"HEAD "))
    return bool(KUBERNETES.match(request)) and is_text and is_known


def checked(response: http.client.HTTPResponse, body: bytes, request: bytes = b"") -> Any:
    """The body, parsed strictly by its type. Raises Wrong."""
    if response.status > 503 or (response.status == 500 and not is_verdict(response, body, request)):
        raise Wrong(f"status {response.status}: {body[:200]!r}")
    if response.getheader("Content-Encoding") == "gzip" and body:
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as error:
            raise Wrong(f"gzip: {error}") from error
    kind = response.getheader("Content-Type", "")
    try:
        if "json" in kind and body:
            return parsed(body)
        if kind.startswith("text/"):
            return body.decode()
    except ValueError as error:
        raise Wrong(f"status {response.status}, {kind}: {error}: {body[:300]!r}") from error
    return body


def parsed(body: bytes) -> Any:
    """JSON as RFC 8259 has it and no more: UTF-8, no NaN, no key twice, no lone surrogate. Raises ValueError."""
    value = json.loads(body.decode(), parse_constant=_refused, parse_float=_finite, object_pairs_hook=_once)
    json.dumps(value, ensure_ascii=False).encode()  # UnicodeEncodeError is a ValueError
    return value


def _refused(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{digits} is beyond a double")
    return number


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"twice: {sorted({name for name in names if names.count(name) > 1})}")
    return found
