"""Whether the whole chain works: asked where everybody else asks, at the probe endpoints of our own web process."""

from __future__ import annotations

import http.client
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadinessView:
    """What the endpoints say: the verdict of ready, and every check's status (and its reason, if it has one)."""

    ready: bool
    checks: Mapping[str, str]

    @property
    def unseen(self) -> tuple[str, ...]:
        """The checks that nobody has looked at yet; what an earlier start has left in the store is stale."""
        return tuple(name for name, status in self.checks.items() if status.startswith(("unknown", "stale")))

    @property
    def troubled(self) -> Mapping[str, str]:
        """The checks that are not ok."""
        return {name: status for name, status in self.checks.items() if status != "ok"}


def fetch_readiness(address: str, port: int, timeout_seconds: float = 0.5) -> ReadinessView | None:
    """What the endpoints say now, or None while nobody answers."""
    connection = http.client.HTTPConnection(reachable(address), port, timeout=timeout_seconds)
    try:
        _, body = _get(connection, "/api/health/detailed/")
        status, _ = _get(connection, "/api/health/ready/")
        checks = json.loads(body)["checks"]
        return ReadinessView(status == 200, {name: _summary(check) for name, check in checks.items()})
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError):
        return None
    finally:
        connection.close()


def reachable(address: str) -> str:
    """An address to reach a listener at: loopback for one that listens everywhere."""
    found = ipaddress.ip_address(address)
    if not found.is_unspecified:
        return address
    return "127.0.0.1" if found.version == 4 else "::1"


def base_url(address: str, port: int) -> str:
    """Return the URL of a server that listens there, as this machine reaches it."""
    host = reachable(address)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()


def _summary(check: Mapping[str, object]) -> str:
    status, reason = check["status"], check.get("reason")
    return f"{status} ({reason})" if reason and status not in ("ok", reason) else str(status)
