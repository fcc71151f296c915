"""Ping of a dead man's switch, such as Healthchecks.io (https://healthchecks.io/docs/http_api/).

A dead man's switch is a service that notifies the operator when pings stop.
"""

from __future__ import annotations

import threading

from pydantic import SecretStr

from monitor.alerts.base import Attempt, Undelivered


class SwitchNotReached(Exception):
    """The switch did not accept the ping. The text names the host of the switch, but not its URL, which is a secret."""


def ping(url: SecretStr, *, timeout_seconds: float) -> None:
    """Send one GET request to ``url``. Raise :class:`SwitchNotReached` without a 2xx response within the timeout."""
    from monitor.alerts import http  # noqa: PLC0415 - saves 2 MB (urllib3) in a monitor without a switch

    attempt = Attempt(timeout_seconds)
    timer = threading.Timer(timeout_seconds, attempt.finish)  # the timeout of a socket does not end a slow response
    timer.daemon = True
    timer.start()
    try:
        http.send_request("GET", url, attempt)
    except Undelivered as failure:
        raise SwitchNotReached(failure.reason) from None
    finally:
        timer.cancel()
