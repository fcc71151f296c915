"""Readiness of the process tree, read from the probe endpoints of its web process like any other client does."""

from __future__ import annotations

import http.client
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadinessView:
    """Responses of the endpoints: the readiness, and the status of every check, with its reason if it has one."""

    ready: bool
    checks: Mapping[str, str]

    @property
    def unobserved(self) -> tuple[str, ...]:
        """Checks without a result of this start; results that an earlier start left in the store are stale."""
        return tuple(name for name, status in self.checks.items() if status.startswith(("unknown", "stale")))

    @property
    def not_ok(self) -> Mapping[str, str]:
        """Checks that are not ok, with their status."""
        return {name: status for name, status in self.checks.items() if status != "ok"}


def fetch_readiness(address: str, port: int, timeout_seconds: float = 0.5) -> ReadinessView | None:
    """Return the current responses of the endpoints, or None if the server does not respond."""
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
    """Return an address at which to reach a listener: loopback if it listens on all addresses."""
    found = ipaddress.ip_address(address)
    if not found.is_unspecified:
        return address
    return "127.0.0.1" if found.version == 4 else "::1"


def base_url(address: str, port: int) -> str:
    """Return the URL at which this machine reaches a server that listens on an address and port."""
    host = reachable(address)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()


def _summary(check: Mapping[str, object]) -> str:
    status, reason = check["status"], check.get("reason")
    return f"{status} ({reason})" if reason and status not in ("ok", reason) else str(status)
