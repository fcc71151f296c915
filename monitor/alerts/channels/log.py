"""Channel `log`: events in the monitor's own log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from monitor.alerts.base import Attempt, Channel
from monitor.alerts.registry import register
from monitor.alerts.text import Text, as_json
from monitor.lib import logs
from monitor.model.checks import Notice

log = logs.get_logger(__name__)

_LEVELS = ("info", "warning", "error")


@register("log")
@dataclass(frozen=True, kw_only=True)
class Log(Channel):
    """Log event `alert.notice` with the fields that `webhook` sends, for alerting systems that read logs. The field
    `id` has the name `notice_id`.
    """

    level: Annotated[
        Literal["info", "warning", "error"] | None,
        Field(description="log level of the event. Default by the status of the check: `error`, `warning` or `info`"),
    ] = None

    example: ClassVar[Mapping[str, Any]] = {"level": "warning"}

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:  # noqa: ARG002
        """Write one log event. Nothing is raised."""
        fields = {f"notice_{name}" if name == "id" else name: value for name, value in as_json(notice, text).items()}
        match self.level or _LEVELS[notice.status.severity]:
            case "info":
                log.info("alert.notice", **fields)
            case "warning":
                log.warning("alert.notice", **fields)
            case _:
                log.error("alert.notice", **fields)
