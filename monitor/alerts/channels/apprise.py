"""Channel `apprise`: messages to the services that the library Apprise supports."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from monitor.alerts.base import Attempt, Channel, Permanent, Temporary
from monitor.alerts.registry import register
from monitor.alerts.text import Text
from monitor.lib.extras import install_command, missing
from monitor.model.checks import Notice, NoticeKind

_LOGGERS = ("apprise", "requests", "urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")


def _validated_url(value: SecretStr) -> SecretStr:
    if "://" not in value.get_secret_value():
        raise ValueError("should be a URL of Apprise, such as slack://TOKEN_A/TOKEN_B/TOKEN_C")
    if missing("apprise"):
        return value  # `__post_init__` reports this
    with _captured_log():
        if _service(value) is None:
            raise ValueError(
                "Apprise cannot use this URL: it names no service, or lacks a token or address that the service needs "
                "(https://appriseit.com/services/)"
            )
    return value


def _service(url: SecretStr) -> Any:
    """Return Apprise's object for the service of a URL, or None if Apprise cannot use the URL. Opens no connection."""
    # The import and the parser of a URL take 0.6 s and 19 MB (measured). A monitor without this channel needs neither.
    import apprise  # noqa: PLC0415

    asset = apprise.AppriseAsset(app_id="celery-health-monitor", async_mode=False)
    return apprise.Apprise.instantiate(url.get_secret_value(), asset=asset)


@register("apprise")
@dataclass(frozen=True, kw_only=True)
class Apprise(Channel):
    """Message to one of the [services of Apprise](https://appriseit.com/services/), such as Slack, Teams, Telegram,
    PagerDuty or ntfy. Needs `pip install 'celery-health-monitor[apprise]'`. Each service needs a channel of its own:
    then a failed delivery to one service does not repeat the messages to the others.

    Apprise does not report why a service refused a message, so the delivery is repeated after every failure. The
    delivery is given up only if Apprise cannot parse the URL. A URL that Apprise cannot parse is an error of the
    configuration. In the URL, the parameters `rto` and `cto` set the read
    timeout and the connect timeout of Apprise, in seconds.
    """

    url: Annotated[
        SecretStr,
        AfterValidator(_validated_url),
        Field(description="URL of the service in the form that Apprise documents, with the tokens for the service"),
    ]

    example: ClassVar[Mapping[str, Any]] = {"url": "ntfys://TOKEN@ntfy.example.com/oncall"}

    def __post_init__(self) -> None:
        if missing("apprise"):
            raise ValueError(f"Apprise is not installed: {install_command('apprise')}")

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:  # noqa: ARG002
        """Send one message."""
        with _captured_log() as messages:
            service = _service(self.url)
            if service is None:
                raise Permanent("Apprise cannot parse the URL")
            is_sent = service.notify(title=text.title, body=text.body, notify_type=_type(notice), body_format="text")
        if not is_sent:
            raise Temporary(
                "; ".join(messages)[:300] or "Apprise could not deliver the message, and reported no reason"
            )


def _type(notice: Notice) -> str:
    if notice.kind is NoticeKind.RESOLVED:
        return "success"
    return ("info", "warning", "failure")[notice.status.severity]


@contextlib.contextmanager
def _captured_log() -> Iterator[list[str]]:
    """Collect the warnings that Apprise logs in this thread. Nothing that it logs in this thread reaches the log.

    The warnings are the only report of Apprise about a failure. They must not reach the log, because they contain URLs.
    """
    messages: list[str] = []
    thread = threading.get_ident()

    def collect(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        if record.levelno >= logging.WARNING:
            messages.append(record.getMessage())
        return False

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(collect)
    try:
        yield messages
    finally:
        for logger in loggers:
            logger.removeFilter(collect)
