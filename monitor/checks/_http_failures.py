"""What the failures of an HTTP request are called: urllib3's, and those of the network below it."""

from __future__ import annotations

from urllib3.exceptions import NewConnectionError, ProtocolError, SSLError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError

from monitor.checks._failures import network_failure
from monitor.checks.base import CheckFailed
from monitor.config.redaction import scrub


def http_failure(error: Exception, what: str, *, not_http: str) -> CheckFailed:
    """The failure that ``error`` stands for; ``not_http`` for an answer that is none. ``what`` names who was asked."""
    if isinstance(error, SSLError):
        return CheckFailed("tls", f"{what}: {scrub(str(error))}")
    if timed_out(error):
        return CheckFailed("timeout", f"{what}: {scrub(str(error))}")
    failure = network_failure(error, what)
    if isinstance(error, ProtocolError) and failure.reason == "unreachable":
        failure.reason = not_http
    return failure


def timed_out(error: Exception) -> bool:
    """Whether urllib3 waited in vain. For it, a connection that was refused is a ConnectTimeoutError too."""
    return isinstance(error, HTTPTimeoutError) and not isinstance(error, NewConnectionError)
