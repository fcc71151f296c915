"""Response bodies that several endpoints share, for the OpenAPI document.

Other modules render the bodies; tests compare them with these classes.
"""

from __future__ import annotations

from typing import Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

StatusWord = Literal["ok", "warning", "error", "unknown"]
ShownStatus = Literal["ok", "warning", "error", "stale", "unknown"]
OverallWord = Literal["healthy", "degraded", "unhealthy"]
NumbersWithGaps = list[float | None]


class Described(Schema):
    """Base of the classes in the OpenAPI document. ``public_name`` is the name of the schema, if it is another one."""

    def __init_subclass__(cls, *, public_name: str | None = None, **options: Any) -> None:
        """Rename the class to ``public_name``, from which Pydantic derives the name of the schema."""
        super().__init_subclass__(**options)
        cls.__name__ = cls.__qualname__ = public_name or cls.__name__


class Open(Described):
    """A body that may have more fields than are described."""

    model_config = ConfigDict(extra="allow")


class ProbeBody(Open, public_name="Probed"):
    """The body of a probe."""

    status: str


class ReachBody(Described, public_name="Reach"):
    """The start of the kept history, in epoch seconds; null if nothing is kept."""

    raw: float | None = Field(..., description="Single observations.")
    rollups: float | None = Field(..., description="Five-minute roll-ups.")


class CheckBody(Open, public_name="Check"):
    """A check, with the fields of its kind."""

    status: ShownStatus
    response_time_ms: float | None
    reason: str | None = None


class ParameterProblem(Described, public_name="Problem"):
    """An error in one parameter."""

    key: str
    value: Any
    hint: str


class ErrorBody(Described, public_name="Refusal"):
    """The code of an error."""

    error: str


class ParameterErrors(ErrorBody, public_name="Wrong"):
    """All errors in the parameters of a request."""

    problems: list[ParameterProblem]


ERRORS: dict[int, Any] = {400: ParameterErrors, 401: ErrorBody, 404: ParameterErrors, 503: ErrorBody}
"""Bodies of error responses to requests for history, by status code."""
CSV: dict[str, Any] = {"responses": {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}}
"""Addition to the description of an endpoint that supports ``format=csv``."""
