"""What users write, for the kinds `python` and `django_health_check`."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import os
from collections.abc import Callable
from typing import Any

from health_check.base import HealthCheck
from health_check.exceptions import (
    HealthCheckException,
    ServiceReturnedUnexpectedResult,
    ServiceUnavailable,
    ServiceWarning,
)

from monitor.checks.base import CheckFailed, Kind, Observation
from monitor.model.checks import Outcome, Status


def echo(value: Any = None) -> Any:
    """Returns its argument."""
    return value


def status(name: str) -> Outcome:
    """An outcome with everything."""
    return Outcome(Status(name), {"orders": 3}, "too_many", "three orders", {"host": "shop"})


def warning() -> tuple[Status, str]:
    """A status with a message."""
    return Status.WARNING, "slow"


def stale() -> Status:
    """A status that is not a check's to give."""
    return Status.STALE


def not_a_number() -> float:
    """What JSON has no word for."""
    return float("nan")


def failing() -> None:
    """An expected failure."""
    raise CheckFailed("no_stock", "nothing left", {"left": 0})


def raising() -> None:
    """An unexpected one."""
    raise RuntimeError("swordfish")


async def coroutine() -> None:
    """Not synchronous."""


class Functions:
    """A place for functions."""

    @staticmethod
    def nested() -> int:
        """A function deeper than its module."""
        return 7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stock(Kind):
    """A kind that is not registered."""

    left: int
    limit: int = 5

    def observe(self, timeout_seconds: float) -> Observation:
        """What is left."""
        return Observation({"left": self.left, "timeout_seconds": timeout_seconds})

    def judge(self, observation: Observation) -> Outcome:
        """Less than the limit is a warning."""
        few = observation.data["left"] < self.limit
        return Outcome(Status.WARNING if few else Status.OK, observation.data, "few" if few else None)


@dataclasses.dataclass
class Plain:
    """A dataclass of nobody's."""

    left: int

    def observe(self, timeout_seconds: float) -> int:
        """What is left."""
        return self.left

    def judge(self, left: int) -> bool:
        """Whether something is."""
        return left > 0


@dataclasses.dataclass
class Unjudged:
    """A dataclass without an opinion."""

    def observe(self, timeout_seconds: float) -> dict[str, int]:
        """A number."""
        return {"left": 2}


@dataclasses.dataclass
class Says(HealthCheck):
    """A health check that raises what it is told."""

    error: str = ""
    timeout: datetime.timedelta = datetime.timedelta(seconds=5)
    function: Callable[[], Any] | None = None

    def run(self) -> None:  # type: ignore[override]
        """Raise it."""
        assert isinstance(self.timeout, datetime.timedelta)
        errors = {
            "warning": ServiceWarning,
            "unavailable": ServiceUnavailable,
            "unexpected": ServiceReturnedUnexpectedResult,
            "other": HealthCheckException,
            "bug": RuntimeError,
        }
        if self.error:
            raise errors[self.error]("redis://:swordfish@host is slow")
        if self.function is not None and self.function() != 7:
            raise ServiceUnavailable("not 7")


@dataclasses.dataclass
class SaysLater(Says):
    """The same, asynchronously."""

    async def run(self) -> None:  # type: ignore[override]
        """Raise it later."""
        await asyncio.sleep(0)
        Says.run(self)


def redis_client() -> Any:
    """A client as the package's Redis check wants it, without retries."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Redis.from_url(os.environ["TEST_REDIS_URL"], retry=Retry(NoBackoff(), 0))
