"""``monitor probe URL``: one HTTP request as an exit code, for images without curl.

It imports little, and only from the standard library: a HEALTHCHECK or an exec probe starts it every few seconds.
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


def main(arguments: Sequence[str]) -> int:
    """Print one line about the endpoint, and return 0 if it responded with 2xx in time, else 1.

    Exit with 2 if the arguments are invalid.
    """
    url, timeout_seconds = _parse(arguments)
    results: list[tuple[bool, str]] = []
    # A socket's timeout bounds neither name resolution nor a slowly sent response; waiting for a thread bounds both.
    thread = threading.Thread(target=lambda: results.append(request_endpoint(url, timeout_seconds)), daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    passed, line = results[0] if results else (False, f"no answer within {timeout_seconds:g} s")
    print(f"{'ok' if passed else 'failed'}: {line} ({url})")  # noqa: T201
    if not results:
        sys.stdout.flush()
        os._exit(1)  # the thread may be in a C call, for which the interpreter's shutdown would wait
    return 0 if passed else 1


def request_endpoint(url: str, timeout_seconds: float) -> tuple[bool, str]:
    """Request the endpoint, and return whether it passes, with the reason. A redirect does not pass."""
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
    """Return the status and the failing checks of a response of the monitor; nothing for any other response."""
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
        epilog="`monitor probe worker` probes the Celery workers of this machine instead, without a connection.",
    )
    parser.add_argument("url", metavar="URL", help="for example http://127.0.0.1:8000/api/health/live/")
    parser.add_argument(
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="time limit for the entire request (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    try:
        parts = urlsplit(options.url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        parser.error(f"not an http:// or https:// URL: {options.url!r}")
    return options.url, options.timeout
