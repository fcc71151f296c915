"""Check that runs a user's function or class."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationError

from monitor.checks.base import CheckFailed, Kind
from monitor.checks.registry import KINDS, register
from monitor.checks.user_code import IMPORT_REASONS, DottedPath, load, module_of
from monitor.lib.redaction import scrub
from monitor.model.checks import NO_PAST, Outcome, Past, Status

_STATUSES = (Status.OK, Status.WARNING, Status.ERROR)


@register("python")
@dataclass(frozen=True, kw_only=True)
class Python(Kind):
    """Call a function, or run a class that is a ``monitor.checks.base.Kind`` or has ``observe`` (and ``judge``).

    A function must be synchronous. It may return:

    - None or True: the check is ok. False: the check is an error.
    - a number or a dict: the check is ok, and this is its data.
    - a ``Status`` or its name, ``(status, message)``, or an ``Outcome``.

    To report an error with a reason, the function raises ``CheckFailed``. Any other exception is an error with the
    reason ``exception``; the text of the exception is only logged.
    """

    path: Annotated[
        DottedPath, Field(description="dotted path of the function or class, such as `package.module:name`")
    ]
    arguments: Annotated[
        Mapping[str, Any], Field(description="keyword arguments of the function, or fields of the class")
    ] = field(default_factory=dict, repr=False)

    reasons: ClassVar[Mapping[str, str]] = {
        **IMPORT_REASONS,
        "arguments": "the function or class does not accept these arguments",
        "returned_false": "the function returned False",
        "unexpected_result": "the function returned a value of another type, or data that cannot be written as JSON",
    }
    example: ClassVar[Mapping[str, Any]] = {"path": "shop.health:open_orders", "arguments": {"limit": 100}}

    def modules(self) -> tuple[str, ...]:
        """Return the user's module."""
        return (module_of(self.path),)

    def run(self, timeout_seconds: float, past: Past = NO_PAST) -> Outcome:  # noqa: ARG002
        """Run the user's code. A CheckFailed becomes an error; every other exception is raised."""
        try:
            target = load(self.path)
            if isinstance(target, type):
                return self._run_class(target, timeout_seconds)
            self._check_arguments(target)
            return outcome_of(target(**self.arguments))
        except CheckFailed as failure:
            return Outcome(Status.ERROR, failure.data, failure.reason, failure.message)

    def _run_class(self, target: type[Any], timeout_seconds: float) -> Outcome:
        if issubclass(target, Kind):
            try:
                return KINDS.validated(target, self.arguments).run(timeout_seconds)
            except ValidationError as error:
                raise CheckFailed("arguments", scrub(str(error))) from error
        self._check_arguments(target)
        check = target(**self.arguments)
        if not hasattr(check, "observe"):
            raise CheckFailed("unexpected_result", f"{self.path} is a class without a method `observe`")
        observation = check.observe(timeout_seconds)
        return outcome_of(check.judge(observation) if hasattr(check, "judge") else observation)

    def _check_arguments(self, target: Callable[..., Any]) -> None:
        try:
            inspect.signature(target).bind(**self.arguments)
        except TypeError as error:
            raise CheckFailed("arguments", f"{self.path}: {error}") from error


def outcome_of(returned: Any) -> Outcome:  # noqa: PLR0911 - one return for each type
    """Return the outcome for a value that a function returned. Raises CheckFailed ``unexpected_result``. Pure."""
    match returned:
        case Outcome(status=Status.OK | Status.WARNING | Status.ERROR):
            return dataclasses.replace(returned, data=_through_json(returned.data))
        case None | True:
            return Outcome(Status.OK)
        case False:
            return Outcome(Status.ERROR, reason="returned_false")
        case int() | float():
            return Outcome(Status.OK, _through_json({"value": returned}))
        case str() if returned in _STATUSES:
            return Outcome(Status(returned))
        case (str() as status, str() | None as message) if status in _STATUSES:
            return Outcome(Status(status), message=message)
        case Mapping():
            return Outcome(Status.OK, _through_json(returned))
    if inspect.iscoroutine(returned):
        returned.close()
        raise CheckFailed("unexpected_result", "the function is asynchronous: wrap it in asyncio.run()")
    raise CheckFailed("unexpected_result", f"a return value of type {type(returned).__name__} is not supported")


def _through_json(data: Mapping[Any, Any]) -> Mapping[str, Any]:
    """Return ``data`` encoded to JSON and decoded again, as the store will return it. Raises CheckFailed."""
    try:
        decoded: dict[str, Any] = json.loads(json.dumps(dict(data), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise CheckFailed("unexpected_result", f"the data cannot be stored: {error}") from error
    return decoded
