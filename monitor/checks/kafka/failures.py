"""What the errors of kafka-python and of brokers are called."""

from __future__ import annotations

from collections.abc import Mapping

from kafka import errors

from monitor.checks.base import CheckFailed
from monitor.checks.failures import network_reason
from monitor.lib.redaction import scrub
from monitor.policy.consumer_groups.lag import DELETED
from monitor.policy.consumer_groups.reasons import GroupProblem

# The problem of one partition, besides those of a group and those of `lag`.
LEADER = "leader"  # its leader is not there or does not answer

HUNG_UP = "closed the connection"  # in words that are read again
NOT_FOUND = 69  # GROUP_ID_NOT_FOUND
UNKNOWN_PARTITION = 3
_NOT_AUTHORIZED = {29, 30, 31}
_COORDINATOR_MOVES = {14, 15, 16}  # loading, not available, not (any longer) the coordinator
# No leader, not the leader, no replica, storage error, another epoch, offset not available yet.
_LEADER_MOVES = {5, 6, 9, 56, 74, 75, 78}


def failure(error: BaseException, where: str) -> CheckFailed:
    """The failure of a whole cluster that ``error`` stands for; ``where`` names whom we talked to."""
    return CheckFailed(reason(error), scrub(f"{where}: {_text(error)}"))


def combined_failure(errors: Mapping[str, BaseException]) -> CheckFailed | None:
    """The failure when each of some addresses failed: the reason that will not go away by itself, if there is one."""
    if not errors:
        return None
    decisive = next(filter(is_final, errors.values()), next(iter(errors.values())))
    return CheckFailed(
        reason(decisive), scrub("; ".join(f"{where}: {_text(error)}" for where, error in errors.items()))
    )


def group_problem(code: int) -> str | None:
    """What an error code that is about a group says; ``coordinator`` is worth another try."""
    return GroupProblem.COORDINATOR if code in _COORDINATOR_MOVES else _problem(code)


def partition_problem(code: int) -> str | None:
    """What an error code that is about a topic or a partition says; ``leader`` is worth another try."""
    if code == UNKNOWN_PARTITION:
        return DELETED
    return LEADER if code in _LEADER_MOVES else _problem(code)


def reason(error: BaseException) -> str:
    """A reason code: by kafka-python's class, by the network's error behind it, by its text, at worst unreachable."""
    for types, code in _BY_CLASS:
        if isinstance(error, types):
            return code
    # kafka-python wraps an error of the network without raising from it, or keeps only its name.
    for cause in (error, *(arg for arg in error.args if isinstance(arg, BaseException))):
        if found := network_reason(cause):
            return found
    return next((code for word, code in _BY_TEXT if word in str(error)), "unreachable")


def is_final(error: BaseException) -> bool:
    """Whether the next try can only fail alike."""
    return reason(error) in ("authentication", "tls", "unsupported_version")


def _problem(code: int) -> str | None:
    if not code:
        return None
    return GroupProblem.AUTHORIZATION if code in _NOT_AUTHORIZED else GroupProblem.BROKER_ERROR


def _text(error: BaseException) -> str:
    text = str(error).removeprefix(f"{type(error).__name__}: ")
    return text if text and text != type(error).__name__ else _SENTENCES.get(reason(error), type(error).__name__)


_SENTENCES = {"timeout": "no answer in time", "reset": HUNG_UP}
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
    (HUNG_UP, "reset"),
    ("socket disconnected", "reset"),
    ("Connection closed", "reset"),
    ("ETIMEDOUT", "timeout"),
    ("timed out", "timeout"),
    ("DNS Resolution", "name_resolution"),
)
