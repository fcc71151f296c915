"""Reason codes of HTTP requests that failed, from the exceptions of urllib3."""

from __future__ import annotations

from urllib3.exceptions import ProtocolError, SSLError

from monitor.checks.base import CheckFailed
from monitor.checks.failures import network_failure
from monitor.lib.redaction import scrub


def http_failure(error: Exception, what: str, *, not_http: str) -> CheckFailed:
    """Return the CheckFailed for ``error``.

    ``what`` names the server in the message. ``not_http`` is the reason to use if the response is not HTTP.
    """
    if isinstance(error, SSLError):
        return CheckFailed("tls", f"{what}: {scrub(str(error))}")
    failure = network_failure(error, what)
    if isinstance(error, ProtocolError) and failure.reason == "unreachable":
        failure.reason = not_http
    return failure
