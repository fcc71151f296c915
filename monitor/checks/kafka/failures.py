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
"""Problem of a partition whose leader is unknown or does not answer. See also ``GroupProblem`` and ``lag``."""

CONNECTION_CLOSED = "closed the connection"  # a key of `_BY_TEXT`
NOT_FOUND = 69  # GROUP_ID_NOT_FOUND
UNKNOWN_PARTITION = 3
_NOT_AUTHORIZED = {29, 30, 31}
_COORDINATOR_MOVES = {14, 15, 16}  # loading, not available, not the coordinator any more
# Leader not available, not the leader, replica not available, storage error, other epoch, offset not available yet.
_LEADER_MOVES = {5, 6, 9, 56, 74, 75, 78}


def failure(error: BaseException, where: str) -> CheckFailed:
    """Return the CheckFailed for an error that prevents the observation. ``where`` names the brokers in the message."""
    return CheckFailed(reason(error), scrub(f"{where}: {_text(error)}"))


def combined_failure(errors: Mapping[str, BaseException]) -> CheckFailed | None:
    """Return one CheckFailed for the errors of several addresses; None if there are none.

    The reason is the reason of a final error if there is one, else the reason of the first error.
    """
    if not errors:
        return None
    decisive = next(filter(is_final, errors.values()), next(iter(errors.values())))
    return CheckFailed(
        reason(decisive), scrub("; ".join(f"{where}: {_text(error)}" for where, error in errors.items()))
    )


def group_problem(code: int) -> str | None:
    """Return the problem for a group's error code, or None for code 0. The problem ``coordinator`` is temporary."""
    return GroupProblem.COORDINATOR if code in _COORDINATOR_MOVES else _problem(code)


def partition_problem(code: int) -> str | None:
    """Return the problem for the error code of a topic or partition, or None. The problem ``leader`` is temporary."""
    if code == UNKNOWN_PARTITION:
        return DELETED
    return LEADER if code in _LEADER_MOVES else _problem(code)


def reason(error: BaseException) -> str:
    """Return the reason code of an error.

    The reason is found by the class of the error, then by the network error that caused it, then by its text. Without a
    match the reason is ``unreachable``.
    """
    for types, code in _BY_CLASS:
        if isinstance(error, types):
            return code
    # kafka-python passes a network error as an argument of its own error, or only the name of the network error.
    for cause in (error, *(arg for arg in error.args if isinstance(arg, BaseException))):
        if network_code := network_reason(cause):
            return network_code
    return next((code for text, code in _BY_TEXT if text in str(error)), "unreachable")


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
