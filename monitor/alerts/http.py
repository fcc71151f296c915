"""HTTP requests of channels. Each has a time limit. The status of the response decides whether it is repeated."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection, InvalidURL
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import AfterValidator, SecretStr
from urllib3 import Retry
from urllib3.exceptions import HTTPError
from urllib3.util import Url, make_headers, parse_url

from monitor.alerts.base import Attempt, Permanent, Temporary
from monitor.lib.http import USUAL_HEADERS, http_url

MAX_RETRY_AFTER_SECONDS = 21_600.0
_TEMPORARY_STATUSES = {408, 425, 429}
_MOVED_PERMANENTLY = {301, 308}


def _validated(value: SecretStr) -> SecretStr:
    if http_url(value.get_secret_value()) is None:
        raise ValueError("should be an http or https URL, such as https://host/path")
    return value


SecretUrl = Annotated[SecretStr, AfterValidator(_validated)]
"""http or https URL whose path, query or user info may contain a credential, such as the URL of a webhook."""


def host_of(url: SecretStr) -> str:
    """Return host and port of a URL. A message must not contain any other component of the URL."""
    return parse_url(url.get_secret_value()).netloc or "?"


def post(url: SecretStr, body: bytes, headers: Mapping[str, str], attempt: Attempt, ca_file: str | None = None) -> None:
    """Send JSON by POST. Raise the same exceptions as :func:`send_request`."""
    send_request(
        "POST", url, attempt, body=body, headers={"Content-Type": "application/json", **headers}, ca_file=ca_file
    )


def send_request(
    method: str,
    url: SecretStr,
    attempt: Attempt,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    ca_file: str | None = None,
) -> None:
    """Send a request. Return if the status of the response is 2xx. Redirects are not followed, and no proxy is used.

    Raise Temporary without a response, and for the statuses 408, 425, 429, 5xx, and 3xx except 301 and 308. For 408,
    425, 429 and 5xx it has the time of the header ``Retry-After``. Raise Permanent for all other statuses.
    """
    target = parse_url(url.get_secret_value())
    all_headers = {"User-Agent": USUAL_HEADERS["User-Agent"], **(headers or {})}
    if target.auth:
        all_headers |= make_headers(basic_auth=unquote(target.auth))
    connection: HTTPConnection | None = None
    try:
        connection = _connection(target, attempt, ca_file)
        connection.request(method, target.request_uri, body, all_headers)
        response = connection.getresponse()
        excerpt = _excerpt(response.read1(2000)) if response.status >= 400 else ""
        status, retry_after = response.status, response.headers.get("Retry-After")
    except OSError as error:  # an invalid certificate is both an OSError and a ValueError
        raise Temporary(f"{target.netloc}: {_error_text(error)}") from None
    except (InvalidURL, ValueError):
        # The texts of these exceptions contain the invalid value, which may be a secret.
        raise Permanent(f"{target.netloc}: the configured URL or a header contains invalid characters") from None
    except HTTPException as error:
        raise Temporary(f"{target.netloc}: {_error_text(error)}") from None
    finally:
        if connection is not None:
            connection.close()
    _raise_for_status(target.netloc or "?", status, retry_after, excerpt)


def to_json(value: Any) -> bytes:
    """Return a value as JSON. A value of a type that JSON does not have is converted by ``str``."""
    return json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _connection(target: Url, attempt: Attempt, ca_file: str | None) -> HTTPConnection:
    # requests and urllib3 are not used here, because their log lines contain the complete URL.
    host, timeout = (target.host or "").strip("[]"), attempt.remaining_seconds
    if target.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
        connection: HTTPConnection = HTTPSConnection(host, target.port, timeout=timeout, context=context)
    else:
        connection = HTTPConnection(host, target.port, timeout=timeout)
    attempt.when_over(lambda: _shut_down(connection))
    return connection


def _shut_down(connection: HTTPConnection) -> None:
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _raise_for_status(host: str, status: int, retry_after: str | None, excerpt: str) -> None:
    if 200 <= status < 300:
        return
    reason = f"{host} answered {status}{excerpt}"
    if status in _TEMPORARY_STATUSES or status >= 500:
        raise Temporary(reason, _retry_after_seconds(retry_after))
    if 300 <= status < 400 and status not in _MOVED_PERMANENTLY:
        raise Temporary(f"{reason}: redirects are not followed")
    raise Permanent(f"{reason}: redirects are not followed" if status in _MOVED_PERMANENTLY else reason)


def _retry_after_seconds(retry_after: str | None) -> float | None:
    if retry_after is None:
        return None
    try:
        return min(float(Retry().parse_retry_after(retry_after)), MAX_RETRY_AFTER_SECONDS)
    except (HTTPError, ValueError, OverflowError):
        return None


def _excerpt(body: bytes) -> str:
    words = " ".join(body.decode("utf-8", "replace").split())[:200]
    return f" ({words})" if words else ""


def _error_text(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
