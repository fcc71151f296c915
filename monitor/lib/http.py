"""Bounded HTTP requests: no redirects, no proxies, no retries, an end in time, and a body of limited size."""

from __future__ import annotations

import socket
import time
import warnings
from collections.abc import Mapping
from typing import NamedTuple

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, InsecureRequestWarning, NewConnectionError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError
from urllib3.util import Url, parse_url

from monitor.lib.attempts import addresses, share

USUAL_HEADERS = {"User-Agent": "celery-health-monitor", "Accept-Encoding": "identity"}
CHUNK_BYTES = 64 * 1024


class Response(NamedTuple):
    """The status of an answer, and its body or the beginning of it."""

    status: int
    body: bytes


class HttpClient:
    """Connections for the requests of one run. An attempt at each address of a host gets its share of the time."""

    def __init__(self, *, verify_tls: bool = True, ca_file: str | None = None) -> None:
        self._pool = urllib3.PoolManager(
            num_pools=1,
            cert_reqs="CERT_REQUIRED" if verify_tls else "CERT_NONE",
            assert_hostname=None if verify_tls else False,
            ca_certs=ca_file,
        )
        self._pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def fetch(
        self,
        url: str,
        *,
        deadline: float,
        max_bytes: int,
        method: str = "GET",
        headers: Mapping[str, str],
        fields: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the answer to one request, with its body to the end, or until ``max_bytes`` or more were read.

        ``deadline`` is a time of ``time.monotonic()``, which has not passed yet. Raises TimeoutError then, however
        slowly the body comes, and for other failures what urllib3 and the network raise: HTTPError, OSError.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", InsecureRequestWarning)
                answer = self._pool.request(
                    method,
                    url,
                    fields=fields,
                    headers=headers,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    timeout=urllib3.Timeout(total=deadline - time.monotonic()),
                )
                return Response(answer.status, _read(answer, deadline, max_bytes))
        except HTTPTimeoutError as error:
            if isinstance(error, NewConnectionError):  # the connection was refused: no timeout, in spite of its class
                raise
            raise TimeoutError("no answer in time") from error


def http_url(text: str) -> Url | None:
    """Return the parts of an http or https URL; None for a text that is none."""
    try:
        url = parse_url(text)
    except HTTPError:  # its text repeats the URL
        return None
    return url if url.scheme in ("http", "https") and url.host else None


def _read(answer: urllib3.BaseHTTPResponse, deadline: float, max_bytes: int) -> bytes:
    """Return the body. The time is looked at after each piece: on a slow drip a socket's own timeout never ends."""
    body = bytearray()
    try:
        while len(body) < max_bytes:
            chunk = answer.read1(CHUNK_BYTES)
            if not chunk:
                answer.release_conn()
                return bytes(body)
            body += chunk
            if time.monotonic() > deadline:
                raise TimeoutError("the body did not end in time")
    except BaseException:
        answer.close()
        raise
    answer.close()  # its rest must not be taken for the next answer
    return bytes(body)


class _SharedTimeConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        timeout = self.timeout
        if isinstance(timeout, int | float):
            self.timeout = share(timeout, addresses(self.host.strip("[]"), self.port))
        try:
            return super()._new_conn()
        finally:
            self.timeout = timeout


class _SharedTimeTlsConnection(_SharedTimeConnection, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _SharedTimeConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _SharedTimeTlsConnection
