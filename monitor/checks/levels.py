"""Options for warning and error thresholds, and the status of a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from monitor.model.checks import Reason, Status

REASONS: Mapping[str, str] = {Reason.ABOVE_THRESHOLD: "the value is above its threshold"}

WarningPercent = Annotated[
    float, Field(gt=0, le=100, description="threshold in percent: the check is a warning above this value")
]
ErrorPercent = Annotated[
    float | None, Field(gt=0, le=100, description="threshold in percent: the check is an error above this value")
]
WarningCount = Annotated[int | None, Field(ge=0, description="threshold: the check is a warning above this number")]
ErrorCount = Annotated[int | None, Field(ge=0, description="threshold: the check is an error above this number")]


def level(value: float, warning: float | None, error: float | None) -> tuple[Status, str | None]:
    """Return the status of a value, and the reason if it is not ok. A value equal to its threshold is ok."""
    if error is not None and value > error:
        return Status.ERROR, Reason.ABOVE_THRESHOLD
    if warning is not None and value > warning:
        return Status.WARNING, Reason.ABOVE_THRESHOLD
    return Status.OK, None
