"""Readiness of the process tree, requested from the endpoints of its web process."""

from __future__ import annotations

import http.client
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadinessView:
    """Result of the readiness probe, and a text for each check: its status, and its reason if it is not ok."""

    ready: bool
    checks: Mapping[str, str]

    @property
    def unobserved(self) -> tuple[str, ...]:
        """Checks without a result since this start. The results of an earlier start in the store are stale."""
        return tuple(name for name, status in self.checks.items() if status.startswith(("unknown", "stale")))

    @property
    def not_ok(self) -> Mapping[str, str]:
        """Checks that are not ok, each with its text."""
        return {name: status for name, status in self.checks.items() if status != "ok"}


def fetch_readiness(address: str, port: int, timeout_seconds: float = 0.5) -> ReadinessView | None:
    """Request the endpoints, and return what they report, or None if the web process does not respond."""
    connection = http.client.HTTPConnection(reachable_address(address), port, timeout=timeout_seconds)
    try:
        _, body = _get(connection, "/api/health/detailed/")
        status, _ = _get(connection, "/api/health/ready/")
        checks = json.loads(body)["checks"]
        return ReadinessView(status == 200, {name: _summary(check) for name, check in checks.items()})
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError):
        return None
    finally:
        connection.close()


def reachable_address(address: str) -> str:
    """Return an address at which this machine reaches a server that listens on ``address``.

    If the server listens on all addresses, this is the loopback address.
    """
    listening = ipaddress.ip_address(address)
    if not listening.is_unspecified:
        return address
    return "127.0.0.1" if listening.version == 4 else "::1"


def base_url(address: str, port: int) -> str:
    """Return the base URL at which this machine reaches a server that listens on ``address`` and ``port``."""
    host = reachable_address(address)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()


def _summary(check: Mapping[str, object]) -> str:
    status, reason = check["status"], check.get("reason")
    return f"{status} ({reason})" if reason and status not in ("ok", reason) else str(status)
