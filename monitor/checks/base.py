"""What a kind of check is: a small frozen dataclass whose fields are its options."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict

from monitor.model.checks import NO_PAST, Outcome, Past, Status

SERIES_OF_USERS = 8
"""How many numbers of what a user's code returns are kept in history."""


class CheckFailed(Exception):
    """An expected way to fail: becomes status ``error`` with this reason, message and data.

    Raise it from ``observe`` with a reason in snake_case (``refused``, ``timeout``, ``authentication``, ...).
    """

    def __init__(self, reason: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.data = data or {}


@dataclasses.dataclass(frozen=True, slots=True)
class Observation:
    """What was measured. ``data`` is public (numbers, names of what was counted); ``detail`` is not (hosts, ...)."""

    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """Base of all kinds. A subclass adds its options as annotated fields and overrides ``observe`` and often ``judge``.

    The class variables document it: ``reports`` says what each field of its data is (empty: whatever the
    user's code returns), ``reasons`` what each of its reason codes means, ``example`` is a set of options that
    is valid. ``docs/checks.md`` and the contract test of all kinds are made of them. ``series`` are the fields of its
    data that history keeps: numbers that are worth a chart over time.
    """

    name: ClassVar[str] = ""
    reports: ClassVar[Mapping[str, str]] = {}
    reasons: ClassVar[Mapping[str, str]] = {}
    example: ClassVar[Mapping[str, Any]] = {}
    series: ClassVar[tuple[str, ...]] = ()

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    def series_of(self, outcome: Outcome) -> tuple[str, ...]:
        """What history keeps of an outcome: what it names, the kind's, or numbers that a user's code returned."""
        if outcome.series or self.reports:
            return outcome.series or self.series
        numbers = (name for name, value in outcome.data.items() if type(value) in (int, float))
        return tuple(itertools.islice(numbers, SERIES_OF_USERS))

    def modules(self) -> tuple[str, ...]:
        """Modules that a run imports, to be imported once beforehand: outside of every time limit."""
        return ()

    def observe(self, timeout_seconds: float) -> Observation:
        """Measure. Does IO, has no opinion. Raises :class:`CheckFailed` for the failures it expects.

        ``timeout_seconds`` is for the timeouts of its own connections; the process is ended then anyway.
        """
        raise NotImplementedError

    def judge(self, observation: Observation) -> Outcome:
        """Give an opinion on what was measured. Pure. By default what could be measured is ok."""
        return Outcome(Status.OK, observation.data, detail=observation.detail)

    def run(self, timeout_seconds: float, past: Past = NO_PAST) -> Outcome:  # noqa: ARG002
        """Observe and judge. Raises only what nobody expected.

        Overridden where the opinion is somebody else's, or depends on the runs before: then ``past.memory`` is what
        the last run returned as ``Outcome.memory``.
        """
        try:
            return self.judge(self.observe(timeout_seconds))
        except CheckFailed as failure:
            return Outcome(Status.ERROR, failure.data, failure.reason, failure.message)


def from_config(key: str, **field_arguments: Any) -> Any:
    """A dataclass field that takes its value, unless the check gives it, from that key of the configuration."""
    return dataclasses.field(metadata={"config": key}, **field_arguments)
