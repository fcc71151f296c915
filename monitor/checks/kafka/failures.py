"""Reason codes for the errors of kafka-python and of brokers."""

from __future__ import annotations

from collections.abc import Mapping

from kafka import errors

from monitor.checks.base import CheckFailed
from monitor.checks.failures import network_reason
from monitor.lib.redaction import scrub
from monitor.policy.consumer_groups.lag import DELETED
from monitor.policy.consumer_groups.reasons import GroupProblem

LEADER = "leader"
"""Problem of one partition: its leader is unknown or does not answer. Others are in ``GroupProblem`` and ``lag``."""

CONNECTION_CLOSED = "closed the connection"  # `_BY_TEXT` recognises this text
NOT_FOUND = 69  # GROUP_ID_NOT_FOUND
UNKNOWN_PARTITION = 3
_NOT_AUTHORIZED = {29, 30, 31}
_COORDINATOR_MOVES = {14, 15, 16}  # loading, not available, not the coordinator any more
# Leader not available, not the leader, replica not available, storage error, other epoch, offset not available yet.
_LEADER_MOVES = {5, 6, 9, 56, 74, 75, 78}


def failure(error: BaseException, where: str) -> CheckFailed:
    """Return the CheckFailed for an error that concerns the entire cluster; ``where`` names the brokers."""
    return CheckFailed(reason(error), scrub(f"{where}: {_text(error)}"))


def combined_failure(errors: Mapping[str, BaseException]) -> CheckFailed | None:
    """Return the CheckFailed for several failed addresses, None for none. A permanent reason takes precedence."""
    if not errors:
        return None
    decisive = next(filter(is_final, errors.values()), next(iter(errors.values())))
    return CheckFailed(
        reason(decisive), scrub("; ".join(f"{where}: {_text(error)}" for where, error in errors.items()))
    )


def group_problem(code: int) -> str | None:
    """Return the problem for a group's error code. ``coordinator`` is temporary and can be retried."""
    return GroupProblem.COORDINATOR if code in _COORDINATOR_MOVES else _problem(code)


def partition_problem(code: int) -> str | None:
    """Return the problem for the error code of a topic or partition. ``leader`` is temporary and can be retried."""
    if code == UNKNOWN_PARTITION:
        return DELETED
    return LEADER if code in _LEADER_MOVES else _problem(code)


def reason(error: BaseException) -> str:
    """Return the reason code of an error, by its class, the network error behind it or its text; else unreachable."""
    for types, code in _BY_CLASS:
        if isinstance(error, types):
            return code
    # kafka-python wraps a network error without `raise ... from`, or keeps only its name.
    for cause in (error, *(arg for arg in error.args if isinstance(arg, BaseException))):
        if found := network_reason(cause):
            return found
    return next((code for word, code in _BY_TEXT if word in str(error)), "unreachable")


def is_final(error: BaseException) -> bool:
    """Return whether another attempt would fail with the same error."""
    return reason(error) in ("authentication", "tls", "unsupported_version")


def _problem(code: int) -> str | None:
    if not code:
        return None
    return GroupProblem.AUTHORIZATION if code in _NOT_AUTHORIZED else GroupProblem.BROKER_ERROR


def _text(error: BaseException) -> str:
    text = str(error).removeprefix(f"{type(error).__name__}: ")
    return text if text and text != type(error).__name__ else _SENTENCES.get(reason(error), type(error).__name__)


_SENTENCES = {"timeout": "no answer in time", "reset": CONNECTION_CLOSED}
_BY_CLASS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (errors.SaslAuthenticationFailedError, errors.UnsupportedSaslMechanismError, errors.IllegalSaslStateError),
        "authentication",
    ),
    ((errors.KafkaTimeoutError, errors.RequestTimedOutError), "timeout"),
    ((errors.UnsupportedVersionError, errors.UnrecognizedBrokerVersion), "unsupported_version"),
    ((errors.AuthorizationError,), GroupProblem.AUTHORIZATION),
)
_BY_TEXT = (
    ("ECONNREFUSED", "refused"),
    ("ECONNRESET", "reset"),
    ("EPIPE", "reset"),
    (CONNECTION_CLOSED, "reset"),
    ("socket disconnected", "reset"),
    ("Connection closed", "reset"),
    ("ETIMEDOUT", "timeout"),
    ("timed out", "timeout"),
    ("DNS Resolution", "name_resolution"),
)
