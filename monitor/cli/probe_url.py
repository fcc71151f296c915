"""``monitor probe URL``: one HTTP request as an exit code, for images without curl.

Standard library only, and little of it: a HEALTHCHECK or an exec probe starts this every few seconds.
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
    """Print one line about the endpoint; 0 when it answered 2xx in time, 1 otherwise, 2 for a wrong command line."""
    url, timeout_seconds = _parse(arguments)
    answers: list[tuple[bool, str]] = []
    # A socket's timeout bounds neither name resolution nor a reply that drips; waiting for a thread bounds both.
    thread = threading.Thread(target=lambda: answers.append(request_endpoint(url, timeout_seconds)), daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    passed, line = answers[0] if answers else (False, f"no answer within {timeout_seconds:g} s")
    print(f"{'ok' if passed else 'failed'}: {line} ({url})")  # noqa: T201
    if not answers:
        sys.stdout.flush()
        os._exit(1)  # the thread may sit in a C call that an orderly exit would wait for
    return 0 if passed else 1


def request_endpoint(url: str, timeout_seconds: float) -> tuple[bool, str]:
    """Whether the endpoint passes, and why in a few words. Redirects do not pass: they say nothing about health."""
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
    return 200 <= response.status < 300, " ".join([str(response.status), *_words(body)])


def _words(body: bytes) -> list[str]:
    try:
        told = json.loads(body)
        failing = [
            name for name, check in told.get("checks", {}).items() if check.get("status") not in ("ok", "warning")
        ]
        return [str(told["status"]), *([f"[{', '.join(failing)}]"] if failing else [])]
    except (ValueError, AttributeError, KeyError, TypeError):
        return []  # somebody else's endpoint: its status code says enough


def _parse(arguments: Sequence[str]) -> tuple[str, float]:
    parser = argparse.ArgumentParser(
        prog="monitor probe",
        description="Ask a probe endpoint: exit 0 when it answers 2xx, else 1.",
        epilog="`monitor probe worker` asks the Celery workers of this machine instead, without a connection.",
    )
    parser.add_argument("url", metavar="URL", help="for example http://127.0.0.1:8000/api/health/live/")
    parser.add_argument(
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="for all of it (default: %(default)s)",
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
