"""One HTTP request to whoever is told: bounded in time, and judged by its answer's status."""

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
_TRY_AGAIN = {408, 425, 429}
_MOVED = {301, 308}


def _http_url(value: SecretStr) -> SecretStr:
    if http_url(value.get_secret_value()) is None:
        raise ValueError("write a URL such as https://host/path")
    return value


SecretUrl = Annotated[SecretStr, AfterValidator(_http_url)]
"""An address whose path, query or user info may be a credential, as those of chats and webhooks are."""


def host_of(url: SecretStr) -> str:
    """Whom a message may name: host and port, nothing else of the URL."""
    return parse_url(url.get_secret_value()).netloc or "?"


def post(url: SecretStr, body: bytes, headers: Mapping[str, str], attempt: Attempt, ca_file: str | None = None) -> None:
    """POST JSON, as :func:`ask`."""
    ask("POST", url, attempt, body=body, headers={"Content-Type": "application/json", **headers}, ca_file=ca_file)


def ask(
    method: str,
    url: SecretStr,
    attempt: Attempt,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    ca_file: str | None = None,
) -> None:
    """Returns when the answer's status is 2xx. Redirects and proxies are not followed.

    Temporary: no answer, 408, 425, 429 (``Retry-After`` is heard), 5xx, and redirects that are said to be temporary.
    Permanent: all other statuses.
    """
    target = parse_url(url.get_secret_value())
    all_headers = {"User-Agent": USUAL_HEADERS["User-Agent"], **(headers or {})}
    if target.auth:
        all_headers |= make_headers(basic_auth=unquote(target.auth))
    connection: HTTPConnection | None = None
    try:
        connection = _connection(target, attempt, ca_file)
        connection.request(method, target.request_uri, body, all_headers)
        answer = connection.getresponse()
        said = _beginning(answer.read1(2000)) if answer.status >= 400 else ""
        status, retry_after = answer.status, answer.headers.get("Retry-After")
    except OSError as error:  # a bad certificate is one, and a ValueError too
        raise Temporary(f"{target.netloc}: {_words(error)}") from None
    except (InvalidURL, ValueError):
        # Their texts repeat what is wrong.
        raise Permanent(f"{target.netloc}: what is configured cannot be sent as an address or a header") from None
    except HTTPException as error:
        raise Temporary(f"{target.netloc}: {_words(error)}") from None
    finally:
        if connection is not None:
            connection.close()
    _judge(target.netloc or "?", status, retry_after, said)


def to_json(value: Any) -> bytes:
    """As it is sent: what JSON cannot say is said as a text."""
    return json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _connection(target: Url, attempt: Attempt, ca_file: str | None) -> HTTPConnection:
    # Neither requests nor urllib3: their logs have the whole address.
    host, timeout = (target.host or "").strip("[]"), attempt.remaining_seconds
    if target.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
        connection: HTTPConnection = HTTPSConnection(host, target.port, timeout=timeout, context=context)
    else:
        connection = HTTPConnection(host, target.port, timeout=timeout)
    attempt.when_over(lambda: _hang_up(connection))
    return connection


def _hang_up(connection: HTTPConnection) -> None:
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _judge(host: str, status: int, retry_after: str | None, said: str) -> None:
    if 200 <= status < 300:
        return
    reason = f"{host} answered {status}{said}"
    if status in _TRY_AGAIN or status >= 500:
        raise Temporary(reason, _seconds(retry_after))
    if 300 <= status < 400 and status not in _MOVED:
        raise Temporary(f"{reason}: redirects are not followed")
    raise Permanent(f"{reason}: redirects are not followed" if status in _MOVED else reason)


def _seconds(retry_after: str | None) -> float | None:
    if retry_after is None:
        return None
    try:
        return min(float(Retry().parse_retry_after(retry_after)), MAX_RETRY_AFTER_SECONDS)
    except (HTTPError, ValueError, OverflowError):
        return None


def _beginning(body: bytes) -> str:
    words = " ".join(body.decode("utf-8", "replace").split())[:200]
    return f" ({words})" if words else ""


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
