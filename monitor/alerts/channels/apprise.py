"""Any of the services that Apprise knows."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from monitor.alerts.base import Attempt, Channel, Permanent, Temporary
from monitor.alerts.registry import register
from monitor.alerts.text import Text
from monitor.model.checks import Notice, NoticeKind

_LOGGERS = ("apprise", "requests", "urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")


def _apprise_url(value: SecretStr) -> SecretStr:
    if "://" not in value.get_secret_value():
        raise ValueError("write a URL of Apprise such as slack://TOKEN_A/TOKEN_B/TOKEN_C")
    return value


@register("apprise")
@dataclass(frozen=True, kw_only=True)
class Apprise(Channel):
    """Tells one of the [services of Apprise](https://appriseit.com/services/) (Slack, Teams, Telegram, PagerDuty,
    ntfy, ...) by its URL. Needs `pip install celery-health-monitor[alerts]`. For several services write several
    channels: then each has its own retries, and one that fails does not have the others told twice.

    Apprise does not say why a service refused, so every failure is tried again, except a URL it cannot read. The
    options of its URLs `rto` and `cto` (seconds) are its timeouts.
    """

    url: Annotated[SecretStr, AfterValidator(_apprise_url), Field(description="URL of the service, with its tokens")]

    example: ClassVar[Mapping[str, Any]] = {"url": "ntfys://TOKEN@ntfy.example.com/oncall"}

    def __post_init__(self) -> None:
        if importlib.util.find_spec("apprise") is None:
            raise ValueError("Apprise is not installed: pip install celery-health-monitor[alerts]")

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:  # noqa: ARG002
        """One notification."""
        # Measured: 0.4 s and 22 MB, most of it for all of its services; none of it where there is no such channel.
        import apprise  # noqa: PLC0415

        with _said() as said:
            asset = apprise.AppriseAsset(app_id="celery-health-monitor", async_mode=False)
            service = apprise.Apprise.instantiate(self.url.get_secret_value(), asset=asset)
            if service is None:
                raise Permanent("Apprise cannot read the URL")
            told = service.notify(title=text.title, body=text.body, notify_type=_type(notice), body_format="text")
        if not told:
            raise Temporary("; ".join(said)[:300] or "Apprise could not deliver it, and does not say why")


def _type(notice: Notice) -> str:
    if notice.kind is NoticeKind.RESOLVED:
        return "success"
    return ("info", "warning", "failure")[notice.status.severity]


@contextlib.contextmanager
def _said() -> Iterator[list[str]]:
    """What Apprise logs in this thread: where it says what went wrong, and which is not logged, for it names URLs."""
    said: list[str] = []
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        if record.levelno >= logging.WARNING:
            said.append(record.getMessage())
        return False

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(keep)
    try:
        yield said
    finally:
        for logger in loggers:
            logger.removeFilter(keep)
