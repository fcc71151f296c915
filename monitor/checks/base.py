"""Base class of all kinds of checks. A kind is a frozen dataclass, and its fields are the options of the check."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict

from monitor.model.checks import NO_PAST, Outcome, Past, Status

SERIES_OF_USERS = 8
"""Maximum number of fields of the data that history keeps, if a user's code does not name the fields to keep."""


class CheckFailed(Exception):
    """Expected failure of a check. The outcome has the status ``error``, and the reason, message and data given here.

    Raise it in ``observe``. The reason is a word in snake_case, such as ``refused``, ``timeout`` or ``authentication``.
    """

    def __init__(self, reason: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.data = data or {}


@dataclasses.dataclass(frozen=True, slots=True)
class Observation:
    """Measurement of one run.

    ``data`` is public, such as numbers and names of queues. Only authorised clients see ``detail``, such as hosts.
    """

    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """Base of all kinds. A subclass adds its options as annotated fields and overrides ``observe`` and often ``judge``.

    The class variables document the kind: ``docs/checks.md`` is generated from them.

    - ``reports`` describes each field of the data. It is empty if the user's code chooses the fields.
    - ``reasons`` describes each reason code.
    - ``example`` is a valid set of options.
    - ``series`` are the names of the numbers in the data that history keeps.
    """

    name: ClassVar[str] = ""
    reports: ClassVar[Mapping[str, str]] = {}
    reasons: ClassVar[Mapping[str, str]] = {}
    example: ClassVar[Mapping[str, Any]] = {}
    series: ClassVar[tuple[str, ...]] = ()

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    def series_of(self, outcome: Outcome) -> tuple[str, ...]:
        """Return the names of the numbers in an outcome's data that history keeps.

        Precedence: the ``series`` of the outcome, then the ``series`` of the kind. A kind without ``reports`` runs a
        user's code: if its outcome has no ``series``, the first ``SERIES_OF_USERS`` numbers of the data are used.
        """
        if outcome.series or self.reports:
            return outcome.series or self.series
        numbers = (name for name, value in outcome.data.items() if type(value) in (int, float))
        return tuple(itertools.islice(numbers, SERIES_OF_USERS))

    def modules(self) -> tuple[str, ...]:
        """Return the modules to import before the first run. The check's timeout does not limit this import."""
        return ()

    def observe(self, timeout_seconds: float) -> Observation:
        """Measure and return the observation, without judging it. Raises :class:`CheckFailed` for expected failures.

        The check process is ended after ``timeout_seconds``. So make the timeouts of connections shorter.
        """
        raise NotImplementedError

    def judge(self, observation: Observation) -> Outcome:
        """Return the outcome for an observation, without IO. The default implementation returns ok."""
        return Outcome(Status.OK, observation.data, detail=observation.detail)

    def run(self, timeout_seconds: float, past: Past = NO_PAST) -> Outcome:  # noqa: ARG002
        """Observe and judge. A CheckFailed becomes an outcome; every other exception is raised.

        A kind overrides this method if a user's code decides the status, or if the outcome depends on earlier runs.
        ``past.memory`` is the ``Outcome.memory`` of the previous run.
        """
        try:
            return self.judge(self.observe(timeout_seconds))
        except CheckFailed as failure:
            return Outcome(Status.ERROR, failure.data, failure.reason, failure.message)


def from_config(key: str, **field_arguments: Any) -> Any:
    """Return a dataclass field whose default is the value of ``key`` in the configuration."""
    return dataclasses.field(metadata={"config": key}, **field_arguments)
