"""Base class of the kinds of checks: a kind is a small frozen dataclass whose fields are its options."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict

from monitor.model.checks import NO_PAST, Outcome, Past, Status

SERIES_OF_USERS = 8
"""Maximum number of fields that history keeps of the data that a user's code returns."""


class CheckFailed(Exception):
    """Expected failure of a check: the result is status ``error`` with this reason, message and data.

    Raise it from ``observe`` with a reason in snake_case (``refused``, ``timeout``, ``authentication``, ...).
    """

    def __init__(self, reason: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.data = data or {}


@dataclasses.dataclass(frozen=True, slots=True)
class Observation:
    """Measurement of one run. ``data`` is public (numbers, names of queues); ``detail`` is not (hosts, ...)."""

    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """Base of all kinds. A subclass adds its options as annotated fields and overrides ``observe`` and often ``judge``.

    The class variables document the kind; ``docs/checks.md`` and the contract test of all kinds use them. ``reports``
    describes each field of the data (empty if the user's code chooses the fields), ``reasons`` describes each reason
    code, and ``example`` is a valid set of options. ``series`` names the numbers in the data that history keeps.
    """

    name: ClassVar[str] = ""
    reports: ClassVar[Mapping[str, str]] = {}
    reasons: ClassVar[Mapping[str, str]] = {}
    example: ClassVar[Mapping[str, Any]] = {}
    series: ClassVar[tuple[str, ...]] = ()

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    def series_of(self, outcome: Outcome) -> tuple[str, ...]:
        """Return the names of the numbers in an outcome's data that history keeps.

        The outcome's own ``series`` take precedence over those of the kind. If a user's code returned the data and
        declared no series, the first ``SERIES_OF_USERS`` numbers are used.
        """
        if outcome.series or self.reports:
            return outcome.series or self.series
        numbers = (name for name, value in outcome.data.items() if type(value) in (int, float))
        return tuple(itertools.islice(numbers, SERIES_OF_USERS))

    def modules(self) -> tuple[str, ...]:
        """Return the modules that a run imports. They are imported in advance, outside of any check's time limit."""
        return ()

    def observe(self, timeout_seconds: float) -> Observation:
        """Measure and return the observation, without judging it. Raises :class:`CheckFailed` for expected failures.

        Derive the timeouts of connections from ``timeout_seconds``: the check process is ended after that time.
        """
        raise NotImplementedError

    def judge(self, observation: Observation) -> Outcome:
        """Return the outcome for an observation. Pure. By default every observation is ok."""
        return Outcome(Status.OK, observation.data, detail=observation.detail)

    def run(self, timeout_seconds: float, past: Past = NO_PAST) -> Outcome:  # noqa: ARG002
        """Observe and judge. Expected failures become outcomes; every other exception is raised.

        A kind overrides this method if other code decides the status, or if the outcome depends on earlier runs:
        ``past.memory`` is the ``Outcome.memory`` of the previous run.
        """
        try:
            return self.judge(self.observe(timeout_seconds))
        except CheckFailed as failure:
            return Outcome(Status.ERROR, failure.data, failure.reason, failure.message)


def from_config(key: str, **field_arguments: Any) -> Any:
    """Return a dataclass field whose value, if the check does not set it, is that of ``key`` in the configuration."""
    return dataclasses.field(metadata={"config": key}, **field_arguments)
