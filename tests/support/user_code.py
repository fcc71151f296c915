"""Checks and health checks as users write them, for the kinds `python` and `django_health_check`."""

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
    """Return the argument."""
    return value


def status(name: str) -> Outcome:
    """Return an outcome with all its fields."""
    return Outcome(Status(name), {"orders": 3}, "too_many", "three orders", {"host": "shop"})


def warning() -> tuple[Status, str]:
    """Return a status with a message."""
    return Status.WARNING, "slow"


def stale() -> Status:
    """Return a status that a check must not return."""
    return Status.STALE


def not_a_number() -> float:
    """Return data with a number that JSON cannot express."""
    return float("nan")


def failing() -> None:
    """Fail in the expected way."""
    raise CheckFailed("no_stock", "nothing left", {"left": 0})


def raising() -> None:
    """Raise an unexpected exception."""
    raise RuntimeError("swordfish")


async def coroutine() -> None:
    """Return a coroutine, which the kind does not accept."""


class Functions:
    """Namespace with a function."""

    @staticmethod
    def nested() -> int:
        """Return from a function that is not at the top of its module."""
        return 7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stock(Kind):
    """Kind of check that is not registered."""

    left: int
    limit: int = 5

    def observe(self, timeout_seconds: float) -> Observation:
        """Return the rest of the stock."""
        return Observation({"left": self.left, "timeout_seconds": timeout_seconds})

    def judge(self, observation: Observation) -> Outcome:
        """Return a warning below the limit."""
        few = observation.data["left"] < self.limit
        return Outcome(Status.WARNING if few else Status.OK, observation.data, "few" if few else None)


@dataclasses.dataclass
class Plain:
    """Dataclass that has no base class of the package."""

    left: int

    def observe(self, timeout_seconds: float) -> int:
        """Return the rest of the stock."""
        return self.left

    def judge(self, left: int) -> bool:
        """Return ok if there is any."""
        return left > 0


@dataclasses.dataclass
class Unjudged:
    """Dataclass without a method `judge`."""

    def observe(self, timeout_seconds: float) -> dict[str, int]:
        """Return a number."""
        return {"left": 2}


@dataclasses.dataclass
class ErrorHealthCheck(HealthCheck):
    """Health check that raises the given error."""

    error: str = ""
    timeout: datetime.timedelta = datetime.timedelta(seconds=5)
    function: Callable[[], Any] | None = None

    def run(self) -> None:  # type: ignore[override]
        """Raise the error."""
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
class AsyncErrorHealthCheck(ErrorHealthCheck):
    """Asynchronous version of this health check."""

    async def run(self) -> None:  # type: ignore[override]
        """Raise the error in a coroutine."""
        await asyncio.sleep(0)
        ErrorHealthCheck.run(self)


def redis_client() -> Any:
    """Return a client for the Redis check of the package, without retries."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Redis.from_url(os.environ["TEST_REDIS_URL"], retry=Retry(NoBackoff(), 0))
