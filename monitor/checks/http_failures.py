"""What the failures of an HTTP request are called: urllib3's, and those of the network below it."""

from __future__ import annotations

from urllib3.exceptions import ProtocolError, SSLError

from monitor.checks.base import CheckFailed
from monitor.checks.failures import network_failure
from monitor.lib.redaction import scrub


def http_failure(error: Exception, what: str, *, not_http: str) -> CheckFailed:
    """The failure that ``error`` stands for; ``not_http`` for an answer that is none. ``what`` names who was asked."""
    if isinstance(error, SSLError):
        return CheckFailed("tls", f"{what}: {scrub(str(error))}")
    failure = network_failure(error, what)
    if isinstance(error, ProtocolError) and failure.reason == "unreachable":
        failure.reason = not_http
    return failure
