"""``monitor probe URL``: sends one HTTP request and exits with a code, for images without curl.

The module imports few modules, all of the standard library, so that it starts fast: a HEALTHCHECK or an exec probe runs
it every few seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import sys
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

DEFAULT_TIMEOUT_SECONDS = 2.0
MAX_TIMEOUT_SECONDS = 86_400.0


def main(arguments: Sequence[str]) -> int:
    """Print one line about the endpoint, and return 0 if it responded with 2xx in time, else 1.

    Exit with 2 if the arguments are invalid.
    """
    url, timeout_seconds = _parse(arguments)
    passed, line = request_in_time(url, timeout_seconds)
    print(f"{'ok' if passed else 'failed'}: {line} ({url})")  # noqa: T201
    sys.stdout.flush()
    if threading.active_count() > 1:
        os._exit(1)  # the interpreter's shutdown would wait for a thread that is in a C call
    return 0 if passed else 1


def request_in_time(url: str, timeout_seconds: float) -> tuple[bool, str]:
    """Request the endpoint as `request_endpoint` does, and wait no longer than ``timeout_seconds`` for the result."""
    results: list[tuple[bool, str]] = []
    # In a thread, because the timeout of a socket limits neither name resolution nor a response that is sent slowly.
    thread = threading.Thread(target=lambda: results.append(request_endpoint(url, timeout_seconds)), daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    return results[0] if results else (False, f"no answer within {timeout_seconds:g} s")


def request_endpoint(url: str, timeout_seconds: float) -> tuple[bool, str]:
    """Request the endpoint. Return whether it responded with 2xx, and the status or the error in one line."""
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = connect(parts.hostname or "", parts.port, timeout=timeout_seconds)
        with contextlib.closing(connection):
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"User-Agent": "monitor-probe", "Connection": "close"})
            response = connection.getresponse()
            body = response.read(65536)
    except (OSError, http.client.HTTPException) as error:
        return False, str(error) or type(error).__name__
    return 200 <= response.status < 300, " ".join([str(response.status), *_summary(body)])


def _summary(body: bytes) -> list[str]:
    """Return the words for the status and the failing checks in a response of the monitor.

    Return no words for the response of another server.
    """
    try:
        document = json.loads(body)
        failing = [
            name for name, check in document.get("checks", {}).items() if check.get("status") not in ("ok", "warning")
        ]
        return [str(document["status"]), *([f"[{', '.join(failing)}]"] if failing else [])]
    except (ValueError, AttributeError, KeyError, TypeError):
        return []


def _parse(arguments: Sequence[str]) -> tuple[str, float]:
    parser = argparse.ArgumentParser(
        prog="monitor probe",
        description="Request a probe endpoint: exit 0 if it responds with 2xx in time, else 1.",
        epilog="Without a network: `monitor probe worker` probes the Celery workers on this machine, and "
        "`monitor probe role` the roles of the monitor on this machine.",
    )
    parser.add_argument(
        "url", metavar="URL", help="URL of the endpoint, such as http://127.0.0.1:8000/api/health/live/"
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=DEFAULT_TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="time limit for the entire request (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if not _is_url(options.url):
        parser.error(f"not an http:// or https:// URL: {options.url!r}")
    return options.url, options.timeout


def _is_url(text: str) -> bool:
    """Return whether a request can be sent to this URL. In its path, characters beyond ASCII are written as %XX."""
    try:
        parts = urlsplit(text)
        target = parts.path + parts.query
        has_host = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")  # as the resolver of the system does
    except ValueError:
        return False
    return has_host and target.isascii() and target.isprintable() and " " not in target


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) <= MAX_TIMEOUT_SECONDS:  # False for nan
            return float(text)
    raise argparse.ArgumentTypeError(f"should be a number of seconds above 0, at most {MAX_TIMEOUT_SECONDS:g}")
