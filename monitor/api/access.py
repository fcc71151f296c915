"""Who may see what is not for everybody: messages, hosts, versions, workers, alerts.

Whoever has the bearer token, or is logged in as staff. Where no token is set, also whoever asks from this very
machine, provided that our server listens to nobody else: a page in the browser that has rebound its name (Host:
evil.example) and a proxy in between (forwarding headers, HTTP/1.0) are told apart, and refused.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any

_LOCAL_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_FORWARDING = frozenset(
    {"HTTP_FORWARDED", "HTTP_VIA", "HTTP_TRUE_CLIENT_IP", "HTTP_X_REAL_IP", "HTTP_X_CLIENT_IP", "HTTP_CF_CONNECTING_IP"}
)
_OWN_PROTOCOLS = frozenset({"HTTP/1.1", "HTTP/2", "HTTP/2.0", "HTTP/3"})
"""What clients speak. HTTP/1.0 (granian: ``HTTP/1``) is nginx, which by default tells those behind it nothing else."""


class Access:
    """The decision for one process. ``bound_to`` is the address it listens on, None when that is not known."""

    def __init__(self, token: str | None, *, bound_to: str | None = None) -> None:
        self._token = token.encode() if token else None
        self.bound_to = bound_to

    @property
    def may_be_open(self) -> bool:
        """Whether a request may be authorised without saying anything: then all of its properties matter."""
        return self._token is None and is_loopback(self.bound_to)

    def allows(self, authorization: str, origin: Mapping[str, Any], *, is_staff: bool = False) -> bool:
        """Whether a request is authorised. ``origin`` are its CGI variables; none when they are not known."""
        if is_staff:
            return True
        if self._token is not None:
            scheme, _, token = authorization.partition(" ")
            return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token)
        return is_loopback(self.bound_to) and is_local(origin)


def is_local(origin: Mapping[str, Any]) -> bool:
    """Whether a request evidently came from this machine, by no detour."""
    return (
        _LOCAL_HOST.fullmatch(origin.get("HTTP_HOST") or "") is not None
        and is_loopback(origin.get("REMOTE_ADDR"))
        and origin.get("SERVER_PROTOCOL") in _OWN_PROTOCOLS
        and not any(name in origin for name in _FORWARDING)
        and "HTTP_X_FORWARDED" not in "\n".join(origin)  # X-Forwarded-*: a fifth of the time of looking at each
    )


@lru_cache(maxsize=256)
def is_loopback(address: str | None) -> bool:
    """Whether an address is one that only this machine reaches; a name other than ``localhost`` is not."""
    if not address or address.lower() == "localhost":
        return bool(address)
    try:
        parsed = ip_address(address.strip("[]"))
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback
