"""Types of query parameters. Each type has a regular expression for its texts, and a function that parses them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Self

from django.http import QueryDict
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic_core import PydanticCustomError

from monitor.api.schema.bodies import Described
from monitor.config.units import Name
from monitor.history.moments import HINT, SPAN_HINT, parse_moment, parse_span

NO_SUCH_CHECK, UNKNOWN_PARAMETERS = "no_such_check", "unknown_parameters"
MAX_DAYS = 366
MAX_WINDOWS = 12

_QUANTITY = r"[0-9]{1,9}(\.[0-9]{1,3})?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+ -][0-9]{2}:[0-9]{2})?)?"
_MOMENT = rf"^(now|-{_QUANTITY}(ms|s|m|h|d)?|[0-9]{{1,11}}(\.[0-9]{{1,6}})?|{_DATE})$"
_SPAN = rf"^{_QUANTITY}(ms|s|m|h|d)?$"
_SPANS = rf"^{_QUANTITY}(ms|s|m|h|d)?(,{_QUANTITY}(ms|s|m|h|d)?){{0,{MAX_WINDOWS - 1}}}$"

MOMENT_DESCRIPTION = (
    "Format: a duration before now (`-24h`, `-30m`), a time (`2026-11-20T03:12:00Z`; UTC unless it has an offset), "
    "`now`, or epoch seconds."
)


def _parsed(grammar: str, max_length: int, hint: str, parse: Callable[[str, float], Any]) -> tuple[Any, Any]:
    """Return the annotations of a parameter whose text must match ``grammar``, and is converted by ``parse``.

    ``parse`` gets the text and the time of the request. ``hint`` is the error for a text that does not match.
    """
    pattern = re.compile(grammar)

    def convert(text: str, info: ValidationInfo) -> Any:
        if len(text) > max_length or not pattern.fullmatch(text):
            raise ValueError(hint)
        return parse(text, request_of(info).snapshot.now)

    described = {"type": "string", "pattern": grammar, "maxLength": max_length}
    return BeforeValidator(convert), WithJsonSchema(described)


def _windows(text: str) -> dict[str, float]:
    windows = {name: parse_span(name) for name in text.split(",")}
    if max(windows.values()) > MAX_DAYS * 86_400:
        raise ValueError(f"a window should be no longer than {MAX_DAYS}d")
    return windows


def _existing_check(name: str, info: ValidationInfo) -> str:
    """Return the name. Raises an error if the snapshot is current and does not contain the check."""
    request = request_of(info)
    snapshot = request.snapshot
    if snapshot.tried and snapshot.answering and request.service.roster.find(name, snapshot) is None:
        raise PydanticCustomError(NO_SUCH_CHECK, "there is no such check; /api/health/detailed/ lists them")
    return name


def request_of(info: ValidationInfo) -> Any:
    """Return the request whose parameters are validated."""
    return (info.context or {})["request"]


CheckName = Annotated[Name, AfterValidator(_existing_check)]
Moment = Annotated[float, *_parsed(_MOMENT, 64, HINT, parse_moment)]
"""Epoch seconds."""
Duration = Annotated[float, *_parsed(_SPAN, 32, SPAN_HINT, lambda text, _: parse_span(text))]
"""Seconds."""
Windows = Annotated[dict[str, float], *_parsed(_SPANS, 200, SPAN_HINT, lambda text, _: _windows(text))]
"""Lengths of windows in seconds, by the text of the window, such as ``24h``."""


def _never_null(schema: dict[str, Any]) -> None:
    """Remove null from the description of each parameter, because a query string cannot contain null."""
    for parameter in schema["properties"].values():
        for alternative in parameter.pop("anyOf", ()):
            if alternative != {"type": "null"}:
                parameter.update(alternative)


class Parameters(Described):
    """Base of an endpoint's query parameters. A parameter that is not a field of the class is an error."""

    model_config = ConfigDict(json_schema_extra=_never_null)

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_unknown(cls, values: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        request = request_of(info)
        request.unknown_parameters = [*_unknown(request.GET, cls.model_fields)]
        parameters = handler(values)
        if request.unknown_parameters:
            raise PydanticCustomError(UNKNOWN_PARAMETERS, "is not a parameter")
        return parameters


def _unknown(query: QueryDict, known: Iterable[str]) -> Iterable[dict[str, Any]]:
    for key, values in query.lists():
        if key not in known:
            yield {
                "key": key,
                "value": values[-1],
                "hint": f"is not a parameter; the parameters are {', '.join(known)}",
            }
        elif len(values) > 1:
            yield {"key": key, "value": ", ".join(values), "hint": "should be given once"}
