"""Reason codes of network failures, for the exceptions of any client library."""

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
    "reset": "the server closed the connection before its answer was complete",
    "name_resolution": "the host name cannot be resolved",
    "tls": "the TLS handshake failed, or the certificate is not valid",
    "unreachable": "a network failure with none of the other reasons",
}


def io_timeout(timeout_seconds: float) -> float:
    """Return the time limit for a kind's network requests, in seconds: 90 % of the check's timeout.

    The check process is ended at the timeout. The remaining 10 % are enough to report which server did not answer.
    """
    return timeout_seconds * 0.9


def network_failure(error: BaseException, what: str) -> CheckFailed:
    """Return the CheckFailed for ``error``. ``what`` names the server in the message.

    The reason is ``unreachable`` if ``error`` has no other reason.
    """
    return CheckFailed(network_reason(error) or "unreachable", f"{what}: {scrub(str(error))}")


def network_reason(error: BaseException) -> str | None:
    """Return the reason of ``error``, or of the first of its causes that has a reason. Return None if none has one.

    A reason is a key of ``NETWORK_REASONS``.
    """
    for cause in _causes(error):
        for types, reason in _REASONS:
            if isinstance(cause, types):
                return reason
    return None


# The first match counts. Some clients raise EOFError when the server closes the connection.
_REASONS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((TimeoutError,), "timeout"),
    ((ConnectionRefusedError,), "refused"),
    ((ConnectionResetError, BrokenPipeError, ConnectionAbortedError, EOFError), "reset"),
    ((socket.gaierror, UnicodeError), "name_resolution"),  # UnicodeError: a label of more than 63 characters
    ((ssl.SSLError,), "tls"),
    ((FileNotFoundError,), "refused"),  # the path of a unix socket does not exist
)


def _causes(error: BaseException) -> Iterator[BaseException]:
    visited: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in visited:
        visited.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
