"""What the errors of redis-py are called."""

from __future__ import annotations

from monitor.checks.base import CheckFailed
from monitor.checks.failures import network_reason
from monitor.lib.redaction import scrub
from monitor.lib.redis_pool import server_reason

SERVER_REASONS = {
    "authentication": "a password is missing or wrong",
    "permission": "the user may not do it",
    "loading": "the server is loading its data",
    "read_only": "the server is a replica and takes no writes",
    "out_of_memory": "the memory is full and nothing may be evicted",
    "not_persisting": "the server cannot save its data and therefore takes no writes",
    "too_many_clients": "the server takes no more connections",
    "no_master": "no Sentinel knows a master that answers",
    "server_error": "any other error that the server answers",
}


def failure(error: Exception) -> CheckFailed:
    """The failure that an error of redis-py stands for, or that was caused by one."""
    return CheckFailed(failure_reason(error), scrub(str(error)))


def failure_reason(error: BaseException) -> str:
    """The reason: by redis-py's class, by the server's own code, or by the network's error behind it."""
    cause: BaseException | None = error
    while cause is not None:
        if reason := server_reason(cause):
            return reason
        cause = cause.__cause__ or cause.__context__
    # redis-py says that the server hung up by text alone.
    return network_reason(error) or ("reset" if "closed" in str(error).lower() else "unreachable")
