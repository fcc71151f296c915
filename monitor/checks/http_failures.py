"""Reason codes of HTTP failures: those of urllib3, and those of the network below it."""

from __future__ import annotations

from urllib3.exceptions import ProtocolError, SSLError

from monitor.checks.base import CheckFailed
from monitor.checks.failures import network_failure
from monitor.lib.redaction import scrub


def http_failure(error: Exception, what: str, *, not_http: str) -> CheckFailed:
    """Return the CheckFailed for ``error``.

    ``what`` names the server. ``not_http`` is the reason for an answer that is not HTTP.
    """
    if isinstance(error, SSLError):
        return CheckFailed("tls", f"{what}: {scrub(str(error))}")
    failure = network_failure(error, what)
    if isinstance(error, ProtocolError) and failure.reason == "unreachable":
        failure.reason = not_http
    return failure
