"""The outbound ping that a dead-man's switch waits for (https://healthchecks.io/docs/http_api/ and its like)."""

from __future__ import annotations

import urllib3


class NotReached(Exception):
    """The switch did not take the ping. The text does not hold its URL, which is a secret."""


def ping(url: str, *, timeout_seconds: float) -> None:
    """GET ``url`` and expect a 2xx, with one connection and no retry. Raises :class:`NotReached`."""
    try:
        with urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=timeout_seconds)) as pool:
            # Not followed: a redirect would carry the secret path to somewhere else.
            response = pool.request("GET", url, redirect=False, preload_content=False)
            status = response.status
            response.close()
    except (urllib3.exceptions.HTTPError, ValueError, OSError) as error:
        raise NotReached(type(error).__name__) from None
    if not 200 <= status < 300:
        raise NotReached(f"answered {status}")
