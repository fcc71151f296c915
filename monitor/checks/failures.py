"""What the failures of the network are called, whichever library met them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from monitor.checks.base import CheckFailed
from monitor.lib.redaction import scrub

TIMEOUT = {"timeout": "no answer in time"}
NETWORK_REASONS = {
    **TIMEOUT,
    "refused": "nobody listens there",
    "reset": "the connection was closed before the answer",
    "name_resolution": "the host's name cannot be resolved",
    "tls": "the TLS handshake failed, or the certificate is not valid",
    "unreachable": "any other failure of the network",
}


def io_timeout(timeout_seconds: float) -> float:
    """How long a kind waits on its own connections, in seconds: a little less than the whole.

    So it says itself what did not answer, before its process is ended for being late.
    """
    return timeout_seconds * 0.9


def network_failure(error: BaseException, what: str) -> CheckFailed:
    """The failure that ``error`` stands for, ``unreachable`` at worst; ``what`` names whom we talked to."""
    return CheckFailed(network_reason(error) or "unreachable", f"{what}: {scrub(str(error))}")


def network_reason(error: BaseException) -> str | None:
    """The reason hidden in ``error`` or in what caused it: a key of ``NETWORK_REASONS``, or None."""
    for cause in _causes(error):
        for types, reason in _REASONS:
            if isinstance(cause, types):
                return reason
    return None


# Order matters: most of these are OSErrors. EOFError is how some clients say that the peer hung up.
_REASONS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((TimeoutError,), "timeout"),
    ((ConnectionRefusedError,), "refused"),
    ((ConnectionResetError, BrokenPipeError, ConnectionAbortedError, EOFError), "reset"),
    ((socket.gaierror, UnicodeError), "name_resolution"),  # the latter for a label of more than 63 characters
    ((ssl.SSLError,), "tls"),
    ((FileNotFoundError,), "refused"),  # a unix socket that is not there
)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
