"""The outbound ping that a dead-man's switch waits for (https://healthchecks.io/docs/http_api/ and its like)."""

from __future__ import annotations

import threading

from pydantic import SecretStr

from monitor.alerts.base import Attempt, Undelivered


class SwitchNotReached(Exception):
    """The switch did not take the ping. The text names its host, not its URL, which is a secret."""


def ping(url: SecretStr, *, timeout_seconds: float) -> None:
    """GET ``url`` once and expect a 2xx within that time. Raises :class:`NotReached`."""
    from monitor.alerts import http  # noqa: PLC0415 - with urllib3, 2 MB that a monitor without such a switch saves

    attempt = Attempt(timeout_seconds)
    end = threading.Timer(timeout_seconds, attempt.finish)  # also of an answer that comes byte by byte
    end.daemon = True
    end.start()
    try:
        http.ask("GET", url, attempt)
    except Undelivered as failure:
        raise SwitchNotReached(failure.reason) from None
    finally:
        end.cancel()
