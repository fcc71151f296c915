"""Adapter for checks of the django-health-check package: https://codingjoe.dev/django-health-check/"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import Field

from monitor.checks.base import CheckFailed, Kind
from monitor.checks.registry import register
from monitor.checks.user_code import IMPORT_REASONS, DottedPath, load, module_of
from monitor.lib.redaction import scrub
from monitor.model.checks import NO_PAST, Outcome, Past, Status


@register("django_health_check")
@dataclass(frozen=True, kw_only=True)
class DjangoHealthCheck(Kind):
    """Run a check class of django-health-check 4, or your own subclass of its ``HealthCheck``.

    A ``ServiceWarning`` becomes the status ``warning``, which does not fail a probe. The arguments are the fields of
    the check class, which is a dataclass. Write a ``timedelta`` as a number of seconds. Write a function, or another
    object that TOML cannot express, as ``{import = "package.module:name"}``.
    """

    path: Annotated[
        DottedPath, Field(description="dotted path of the check class, such as `health_check.checks.Cache`")
    ]
    arguments: Annotated[Mapping[str, Any], Field(description="keyword arguments of the check class")] = field(
        default_factory=dict, repr=False
    )

    reasons: ClassVar[Mapping[str, str]] = {
        **IMPORT_REASONS,
        "arguments": "the check class does not accept these arguments",
        "warning": "the check raised ServiceWarning",
        "unavailable": "the check raised ServiceUnavailable",
        "unexpected_result": "the check raised ServiceReturnedUnexpectedResult",
        "failed": "the check raised another HealthCheckException",
    }
    example: ClassVar[Mapping[str, Any]] = {"path": "health_check.checks.Cache", "arguments": {"alias": "default"}}

    def modules(self) -> tuple[str, ...]:
        """Return the user's module."""
        return (module_of(self.path),)

    def run(self, timeout_seconds: float, past: Past = NO_PAST) -> Outcome:  # noqa: ARG002
        """Run the check class. A HealthCheckException becomes an outcome; every other exception is raised."""
        try:
            exception_class = load("health_check.exceptions:HealthCheckException")
            check = self._build(load(self.path))
            try:
                result = check.run()
                if inspect.isawaitable(result):
                    asyncio.run(_wait(result))
            except exception_class as error:
                return _outcome(error)
        except CheckFailed as failure:
            return Outcome(Status.ERROR, failure.data, failure.reason, failure.message)
        return Outcome(Status.OK)

    def _build(self, cls: Any) -> Any:
        arguments = {name: _value(cls, name, value) for name, value in self.arguments.items()}
        try:
            inspect.signature(cls).bind(**arguments)
        except TypeError as error:
            raise CheckFailed("arguments", f"{self.path}: {error}") from error
        return cls(**arguments)


async def _wait(awaitable: Any) -> None:
    await awaitable


def _outcome(error: Any) -> Outcome:
    # Compared by name, so that this module can be imported without django-health-check.
    reason = next((_REASONS[cls.__name__] for cls in type(error).__mro__ if cls.__name__ in _REASONS), "failed")
    status = Status.WARNING if reason == "warning" else Status.ERROR
    return Outcome(status, reason=reason, message=scrub(str(error)))


def _value(cls: Any, name: str, value: Any) -> Any:
    """Return the argument for the check class, from its value in the configuration."""
    if isinstance(value, Mapping) and set(value) == {"import"}:
        return load(value["import"])
    if isinstance(value, (int, float)) and isinstance(_default(cls, name), datetime.timedelta):
        return datetime.timedelta(seconds=value)
    return value


def _default(cls: Any, name: str) -> Any:
    for option in dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ():
        if option.name == name:
            return option.default
    return None


_REASONS = {
    "ServiceWarning": "warning",
    "ServiceUnavailable": "unavailable",
    "ServiceReturnedUnexpectedResult": "unexpected_result",
}
