"""HTTP requests with a time limit and a size limit on the body, without redirects, proxies and retries."""

from __future__ import annotations

import socket
import time
import warnings
from collections.abc import Mapping
from http.client import HTTPException
from typing import NamedTuple

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, InsecureRequestWarning, NewConnectionError, ProtocolError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError
from urllib3.util import Url, parse_url

from monitor.lib.attempts import address_count, share

USUAL_HEADERS = {"User-Agent": "celery-health-monitor", "Accept-Encoding": "identity"}
CHUNK_BYTES = 64 * 1024


class Response(NamedTuple):
    """HTTP response: the status, and the body or its beginning."""

    status: int
    body: bytes


class HttpClient:
    """HTTP client for the requests of one run.

    If a host has several addresses, a connection tries the addresses one after another, each with a share of
    the time limit.
    """

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
        """Send one request and return the response.

        ``deadline`` is a time of ``time.monotonic()`` in the future. Reading the body stops once at least ``max_bytes``
        were read. Raise TimeoutError at the deadline, even while the body is being received. Raise urllib3's HTTPError
        or OSError on any other failure.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", InsecureRequestWarning)
                response = self._pool.request(
                    method,
                    url,
                    fields=fields,
                    headers=headers,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    timeout=urllib3.Timeout(total=deadline - time.monotonic()),
                )
                return Response(response.status, _read(response, deadline, max_bytes))
        except HTTPTimeoutError as error:
            # A refused connection is no timeout, although the class of its error is a subclass of TimeoutError.
            if isinstance(error, NewConnectionError):
                raise
            raise TimeoutError("no answer in time") from error


def http_url(text: str) -> Url | None:
    """Return a parsed http or https URL, or None for any other text."""
    try:
        url = parse_url(text)
    except HTTPError:  # not raised again, because its text contains the URL
        return None
    return url if url.scheme in ("http", "https") and url.host else None


def _read(response: urllib3.BaseHTTPResponse, deadline: float, max_bytes: int) -> bytes:
    """Return the body. Check the deadline after each chunk, because the timeout of a socket restarts with each byte."""
    body = bytearray()
    # urllib3 1.26 has no read1. The response of the standard library inside of its response has it.
    read1 = getattr(response, "read1", None) or response._fp.read1  # type: ignore[attr-defined]
    try:
        while len(body) < max_bytes:
            chunk = read1(CHUNK_BYTES)
            if not chunk:
                response.release_conn()
                return bytes(body)
            body += chunk
            if time.monotonic() > deadline:
                raise TimeoutError("the body did not end in time")
    except HTTPException as error:  # urllib3 1.26 does not see it
        response.close()
        raise ProtocolError(str(error)) from error
    except BaseException:
        response.close()
        raise
    response.close()  # otherwise the rest of the body would be read as the next response
    return bytes(body)


class _SharedTimeConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        timeout = self.timeout
        if isinstance(timeout, int | float):
            self.timeout = share(timeout, address_count(self.host.strip("[]"), self.port))
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
