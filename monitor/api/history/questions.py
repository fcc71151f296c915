"""What may be asked, and how it is written: the parameters, each with all that is said of it in the description."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from ninja import Schema
from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from monitor.api.service import service
from monitor.config.units import Name
from monitor.config.units import names as listed
from monitor.history.moments import moment, span
from monitor.history.series import MAX_POINTS

NO_SUCH_CHECK, ODD = "no_such_check", "odd_parameters"
MAX_DAYS = 366
WINDOWS = "24h,7d,30d,90d"
MOST_WINDOWS = 12
MOST_EVENTS = 1000

_QUANTITY = r"[0-9]{1,9}(\.[0-9]{1,3})?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+ -][0-9]{2}:[0-9]{2})?)?"
_MOMENT = rf"^(now|-{_QUANTITY}(ms|s|m|h|d)?|[0-9]{{1,11}}(\.[0-9]{{1,6}})?|{_DATE})$"
_SPAN = rf"^{_QUANTITY}(ms|s|m|h|d)?$"
_SPANS = rf"^{_QUANTITY}(ms|s|m|h|d)?(,{_QUANTITY}(ms|s|m|h|d)?){{0,{MOST_WINDOWS - 1}}}$"


def _now() -> float:
    return service().refresher.moment().now


def _is_moment(text: str) -> str:
    moment(text, _now())
    return text


def _is_span(text: str) -> str:
    span(text)
    return text


def _are_windows(text: str) -> str:
    for name in text.split(","):
        if span(name) > MAX_DAYS * 86_400:
            raise ValueError(f"a window should be no longer than {MAX_DAYS}d")
    return text


def _is_check(name: str) -> str:
    """One that there is, as far as this process knows by now."""
    known = service()
    now = known.refresher.moment()
    if now.tried and now.answering and known.roster.find(name, now) is None:
        raise PydanticCustomError(NO_SUCH_CHECK, "there is no such check; /api/health/detailed/ lists them")
    return name


MOMENT_DESCRIPTION = (
    "A span back from now (`-24h`, `-30m`), a time (`2026-11-20T03:12:00Z`; UTC unless it has an offset), `now`, or "
    "epoch seconds."
)
CheckName = Annotated[Name, AfterValidator(_is_check)]
Moment = Annotated[str, Field(pattern=_MOMENT, max_length=64), AfterValidator(_is_moment)]
Span = Annotated[str, Field(pattern=_SPAN, max_length=32), AfterValidator(_is_span)]
Windows = Annotated[str, Field(pattern=_SPANS, max_length=200), AfterValidator(_are_windows)]


def _never_null(schema: dict[str, Any]) -> None:
    """A parameter is absent or a text: null cannot be said in a query."""
    for found in schema["properties"].values():
        for each in found.pop("anyOf", ()):
            if each != {"type": "null"}:
                found.update(each)


class Question(Schema):
    """Parameters of a query, and no others."""

    model_config = ConfigDict(json_schema_extra=_never_null)

    @model_validator(mode="after")
    def _nothing_else(self, info: ValidationInfo) -> Self:
        if (info.context or {})["request"].odd_parameters:
            raise PydanticCustomError(ODD, "is no parameter")
        return self


class HistoryQuestion(Question):
    """What of a check's past is asked, and at which step."""

    check: CheckName = Field(..., description="The name of a check.")
    series: str | None = Field(
        None,
        pattern=r"^[a-z][a-z0-9_]{0,63}(,[a-z][a-z0-9_]{0,63}){0,49}$",
        description="Names of series, separated by commas; all when absent. One that there is not is left out.",
    )
    since: Moment = Field("-24h", description=f"From when on. {MOMENT_DESCRIPTION}")
    until: Moment = Field("now", description=f"Until when. {MOMENT_DESCRIPTION}")
    step: Span | None = Field(
        None,
        description="Seconds or a duration (`60`, `5m`) between two points. The server picks one when it is absent, "
        f"and a longer one when there would be more than {MAX_POINTS} points.",
    )
    format: Literal["json", "csv"] = Field("json", description="How it is answered.")

    @model_validator(mode="after")
    def _forward_in_time(self) -> HistoryQuestion:
        now = _now()
        if moment(self.since, now) >= moment(self.until, now):
            raise PydanticCustomError("empty", "should be before `until`", {"key": "since"})
        return self

    @property
    def names(self) -> tuple[str, ...] | None:
        """The series, None for all."""
        return None if self.series is None else tuple(listed(self.series))


class OverviewQuestion(Question):
    """How much of the past a sparkline shows."""

    window: Span = Field("24h", description="How far back, such as `24h` or `7d`.")
    points: int = Field(48, ge=2, le=500, description="How many points at most; none is shorter than five minutes.")

    @model_validator(mode="after")
    def _not_too_long(self) -> OverviewQuestion:
        if span(self.window) > MAX_DAYS * 86_400:
            raise PydanticCustomError("long", f"should be no longer than {MAX_DAYS}d", {"key": "window"})
        return self


class UptimeQuestion(Question):
    """Of which check, in which windows, of how many days."""

    check: CheckName | None = Field(None, description="The name of a check; all of the roster when absent.")
    window: Windows = Field(WINDOWS, description="Windows up to now, separated by commas.")
    days: int = Field(90, ge=0, le=MAX_DAYS, description="How many UTC days, today being the last.")
    format: Literal["json", "csv"] = Field("json", description="How it is answered. CSV has the windows alone.")

    @property
    def spans(self) -> dict[str, float]:
        """The windows' names and seconds."""
        return {name: span(name) for name in self.window.split(",")}


class EventsQuestion(Question):
    """Which events."""

    after: str | None = Field(
        None,
        pattern=r"^[0-9]{1,16}(-[0-9]{1,16})?$",
        description="The cursor of the last event that is known; from the oldest on when absent.",
    )
    limit: int = Field(100, ge=1, le=MOST_EVENTS, description="How many at most.")
    check: Name | None = Field(None, description="Those of one check; it may be gone by now. Follow `more`.")
    format: Literal["json", "csv"] = Field("json", description="How it is answered.")


class MomentQuestion(Question):
    """Of which moment; of now when absent."""

    at: Moment | None = Field(
        None, description=f"For the authorised: how everything was at a moment of the past. {MOMENT_DESCRIPTION}"
    )
    full: str | None = Field(None, description="Without `at`: messages and details, or 401 for who may not.")
