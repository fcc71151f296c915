"""Thresholds: what a measured number means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from monitor.model.checks import Reason, Status

REASONS: Mapping[str, str] = {Reason.ABOVE_THRESHOLD: "the number is above its threshold"}

WarningPercent = Annotated[float, Field(gt=0, le=100, description="above it: warning, in percent")]
ErrorPercent = Annotated[float | None, Field(gt=0, le=100, description="above it: error, in percent; never by default")]
WarningCount = Annotated[int | None, Field(ge=0, description="above it: warning; never by default")]
ErrorCount = Annotated[int | None, Field(ge=0, description="above it: error; never by default")]


def level(value: float, warning: float | None, error: float | None) -> tuple[Status, str | None]:
    """The status of a number, and the reason when it is not ok. A threshold itself is still fine."""
    if error is not None and value > error:
        return Status.ERROR, Reason.ABOVE_THRESHOLD
    if warning is not None and value > warning:
        return Status.WARNING, Reason.ABOVE_THRESHOLD
    return Status.OK, None
