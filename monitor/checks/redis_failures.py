"""Reason codes of redis-py's errors."""

from __future__ import annotations

from monitor.checks.base import CheckFailed
from monitor.checks.failures import network_reason
from monitor.lib.redaction import scrub
from monitor.lib.redis_pool import server_reason

SERVER_REASONS = {
    "authentication": "the password is missing or wrong",
    "permission": "the user lacks the permission for a command or a key",
    "loading": "the server is loading its data from disk",
    "read_only": "the server is a replica and refuses writes",
    "out_of_memory": "the memory limit is reached and the eviction policy forbids eviction",
    "not_persisting": "the server cannot save its data to disk and therefore refuses writes",
    "too_many_clients": "the server has reached its maximum number of connections",
    "no_master": "no Sentinel knows a master that answers",
    "server_error": "the server answers with an error that has no other reason",
}


def failure(error: Exception) -> CheckFailed:
    """Return the CheckFailed for an error of redis-py, or for an error that an error of redis-py caused."""
    return CheckFailed(failure_reason(error), scrub(str(error)))


def failure_reason(error: BaseException) -> str:
    """Return the reason for an error of redis-py.

    The reason is found by the class of the error, by the server's error code, or by the network error that caused it.
    """
    cause: BaseException | None = error
    while cause is not None:
        if reason := server_reason(cause):
            return reason
        cause = cause.__cause__ or cause.__context__
    # For a connection that the server has closed, redis-py raises an error that only its text distinguishes.
    return network_reason(error) or ("reset" if "closed" in str(error).lower() else "unreachable")
