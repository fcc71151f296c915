"""Authorisation of requests for messages, hosts, versions, workers, alerts and history.

A request is authorised by the bearer token, by a session that was opened with a link of `monitor up` or
`monitor open`, or by a staff login. The network address of the client authorises nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from monitor.credentials import signed
from monitor.credentials.used_codes import UsedCodes

_SAME_SITE = ("same-origin", "none")
"""Values of ``Sec-Fetch-Site`` for a request from a page of the same server, and for an address that the user typed."""


class RefusalReason(StrEnum):
    """Reason why a code opens no session."""

    NO_CODE = "no_code"
    OVER = "over"
    USED = "used"
    UNAVAILABLE = "unavailable"


class Access:
    """Rules of access in one process. Without a token, only staff is authorised.

    ``used_codes`` stores the codes of used links. Without it, no link opens a session.
    """

    def __init__(self, token: str | None, *, used_codes: UsedCodes | None = None) -> None:
        self._token = token
        self._used_codes = used_codes

    def allows(self, authorization: str, environ: Mapping[str, Any], *, is_staff: bool = False) -> bool:
        """Return whether a request is authorised.

        ``authorization`` is the header of that name. ``environ`` has the CGI variables of the request, if known; they
        contain the session cookie.
        """
        if is_staff:
            return True
        if self._token is None:
            return False
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return hmac.compare_digest(token.strip().encode(), self._token.encode())
        # A header with another scheme is for a proxy that requires a password, and does not exclude a session.
        return self._has_session(environ)

    def open_session(self, code: str) -> str | RefusalReason:
        """Return the value of a new session's cookie for the code of a link, or the reason why the code is refused."""
        if self._token is None or self._used_codes is None:
            return RefusalReason.UNAVAILABLE
        if not signed.verify(self._token, signed.CODE, code):
            return RefusalReason.NO_CODE
        if signed.is_expired(code):
            return RefusalReason.OVER
        try:
            if not self._used_codes.claim(code):
                return RefusalReason.USED
        except OSError:
            return RefusalReason.UNAVAILABLE
        return signed.sign(self._token, signed.SESSION, signed.SESSION_SECONDS)

    def _has_session(self, environ: Mapping[str, Any]) -> bool:
        cookies = environ.get("HTTP_COOKIE")
        if not cookies or self._token is None or environ.get("HTTP_SEC_FETCH_SITE") not in _SAME_SITE:
            return False
        name = cookie_name(environ)
        for cookie in cookies.split(";"):
            key, _, value = cookie.strip().partition("=")
            if key == name and signed.verify(self._token, signed.SESSION, value) and not signed.is_expired(value):
                return True
        return False


def cookie_name(environ: Mapping[str, Any]) -> str:
    """Return the name of a server's session cookie. It contains the port: browsers share cookies between ports."""
    return f"monitor_session_{environ.get('SERVER_PORT', '')}"
