"""Reason codes of network failures, independent of the library that raised them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from monitor.checks.base import CheckFailed
from monitor.lib.redaction import scrub

TIMEOUT = {"timeout": "no answer within the timeout"}
NETWORK_REASONS = {
    **TIMEOUT,
    "refused": "the connection was refused: no process listens at the address",
    "reset": "the server closed the connection before the answer was complete",
    "name_resolution": "the host name cannot be resolved",
    "tls": "the TLS handshake failed, or the certificate is not valid",
    "unreachable": "any other network failure",
}


def io_timeout(timeout_seconds: float) -> float:
    """Return the time limit for a kind's own IO, in seconds: 90 % of the check's timeout.

    So the kind itself reports which server did not answer, before its process is ended at the timeout.
    """
    return timeout_seconds * 0.9


def network_failure(error: BaseException, what: str) -> CheckFailed:
    """Return the CheckFailed for ``error``; the default reason is ``unreachable``. ``what`` names the server."""
    return CheckFailed(network_reason(error) or "unreachable", f"{what}: {scrub(str(error))}")


def network_reason(error: BaseException) -> str | None:
    """Return the reason of ``error`` or of its first cause that has one: a key of ``NETWORK_REASONS``, or None."""
    for cause in _causes(error):
        for types, reason in _REASONS:
            if isinstance(cause, types):
                return reason
    return None


# Order matters: most of these are OSErrors. Some clients raise EOFError when the peer closes the connection.
_REASONS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((TimeoutError,), "timeout"),
    ((ConnectionRefusedError,), "refused"),
    ((ConnectionResetError, BrokenPipeError, ConnectionAbortedError, EOFError), "reset"),
    ((socket.gaierror, UnicodeError), "name_resolution"),  # UnicodeError: a label of more than 63 characters
    ((ssl.SSLError,), "tls"),
    ((FileNotFoundError,), "refused"),  # a unix socket that does not exist
)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
