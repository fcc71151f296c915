"""Artificial fleet with a computed history, available for any moment. Tests can change it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

KINDS = ("database", "redis", "http", "cpu", "memory", "disk", "tcp", "celery")
SERIES = {"cpu": "percent", "memory": "percent", "disk": "percent", "celery": "pending_tasks"}
INTERVAL = 10


@dataclass(frozen=True)
class Incident:
    """Period in which a check is not ok."""

    since: float
    until: float
    status: str = "error"
    reason: str = "timeout"


@dataclass
class World:
    """Checks and their history. ``now`` is the store's clock, which ``ahead`` moves relative to the machine's."""

    checks: dict[str, str] = field(default_factory=dict)
    incidents: dict[str, list[Incident]] = field(default_factory=dict)
    workers: list[dict[str, Any]] = field(default_factory=list)
    queues: list[dict[str, Any]] = field(default_factory=list)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    optional: set[str] = field(default_factory=set)
    more: dict[str, dict[str, Any]] = field(default_factory=dict)
    answering: bool = True
    has_history: bool = True
    frozen_at: float | None = None
    ahead: float = 0.0
    version: str = "1"
    began: float = field(default_factory=lambda: time.time() - 200_000)

    @property
    def now(self) -> float:
        """Return the store's clock."""
        return round(time.time() + self.ahead, 6)

    def turn(self, check: str, status: str, reason: str = "refused") -> None:
        """Change the status of this check from now on."""
        now, old = self.now, self.status(check, self.now)[0]
        self.incidents[check] = [
            Incident(each.since, min(each.until, now), each.status, each.reason)
            for each in self.incidents.get(check, [])
            if each.since < now
        ]
        if status != "ok":
            self.incidents[check].append(Incident(now, math.inf, status, reason))
        self.event(check, old, status, now, reason if status != "ok" else None)

    def event(self, check: str, old: str, new: str, at: float, reason: str | None = None) -> None:
        """Add an event."""
        number = len(self.events) + 1
        said = {"check": check, "old": old, "new": new, "at": at, "reason": reason}
        self.events.append({"cursor": f"{int(at * 1000)}-{number}", "id": f"{check}:{number}", **said})
        self.events.sort(key=lambda each: each["at"])

    def status(self, check: str, at: float) -> tuple[str, str | None, float]:
        """Return status, reason and start of the status."""
        since = self.began
        for each in self.incidents.get(check, []):
            if each.since <= at < each.until:
                return each.status, each.reason, each.since
            if each.until <= at:
                since = max(since, each.until)
        return "ok", None, since

    def down_seconds(self, check: str, since: float) -> float:
        """Return the time in error since then, in seconds."""
        found = [each for each in self.incidents.get(check, []) if each.status == "error"]
        return sum(max(0.0, min(each.until, self.now) - max(each.since, since)) for each in found)

    def value(self, check: str, at: float) -> float:
        """Return the number of a check."""
        seed = sum(map(ord, check)) % 97
        wave = 1 + 0.35 * math.sin(at / 9000 + seed) + 0.12 * math.sin(at / 700 + 3 * seed) + 0.1 * math.sin(at * seed)
        base = {"percent": 38, "pending_tasks": 14}.get(self.series(check)[0], 4 + seed / 4)
        return round(base * wave * (5 if self.status(check, at)[0] == "error" else 1), 2)

    def series(self, check: str) -> tuple[str, str]:
        """Return the name and unit of a check's number."""
        name = SERIES.get(self.checks.get(check, ""), "response_time_ms")
        return name, {"percent": "%", "response_time_ms": "ms"}.get(name, "")

    def entry(self, check: str, at: float) -> dict[str, Any]:
        """Return the entry of a check in the snapshot."""
        status, reason, since = self.status(check, at)
        seen = self.frozen_at or (at // INTERVAL * INTERVAL + (sum(map(ord, check)) % 8) - INTERVAL * 0.8)
        name, _ = self.series(check)
        said: dict[str, Any] = {
            "status": status,
            "response_time_ms": self.value(check, seen) if name == "response_time_ms" else 1.4,
            "kind": self.checks[check],
            "critical": check not in self.optional,
            "groups": ["ready"] if check not in self.optional else [],
            "series": ["response_time_ms"] + ([name] if name != "response_time_ms" else []),
            "since": since,
            "observed_at": seen,
            "valid_until": seen + 3 * INTERVAL,
        }
        if name != "response_time_ms":
            said[name] = self.value(check, seen)
        if reason:
            said |= {"reason": reason, "message": f"{check}: {reason.replace('_', ' ')} on db-1.internal:5432"}
        return said | self.more.get(check, {})

    def overall(self, at: float) -> str:
        """Return the overall status."""
        found = {check: self.status(check, at)[0] for check in self.checks}
        if any(status == "error" and check not in self.optional for check, status in found.items()):
            return "unhealthy"
        return "degraded" if any(status != "ok" for status in found.values()) else "healthy"


def calm(count: int = 100) -> World:
    """Return so many checks, all ok now, some of them not in the last day; with workers, queues and a Kafka group."""
    names = ["database", "redis", "celery", "cpu", "memory", "disk", "connections"]
    kinds = ["database", "redis", "celery", "cpu", "memory", "disk", "tcp"]
    things = ["orders", "payments", "search", "mail", "billing", "catalog", "sessions", "reports", "media", "auth"]
    for number in range(max(0, count - len(names))):
        kind = KINDS[number % len(KINDS)]
        names.append(f"{things[number % len(things)]}-{kind}-{number // len(things) + 1}")
        kinds.append(kind)
    world = World(dict(zip(names[:count], kinds, strict=False)))
    now = world.now
    past = [("database", 5.2, 0.3, "error", "timeout"), ("celery", 9.0, 1.1, "warning", "above_threshold"),
            ("redis", 15.5, 0.05, "error", "refused"), ("disk", 20.0, 2.0, "warning", "above_threshold")]  # fmt: skip
    for check, ago, hours, status, reason in sorted(past, key=lambda each: -each[1]):
        if check in world.checks:
            began, ended = now - ago * 3600, now - (ago - hours) * 3600
            world.incidents.setdefault(check, []).append(Incident(began, ended, status, reason))
            world.event(check, "ok", status, began, reason)
            world.event(check, status, "ok", ended)
    queues = ["celery", "mail", "reports", "slow"]
    world.queues = [
        {"name": name, "check": f"queue:{name}", "verdict": "consumed", "status": "ok", "reason": "consumed",
         "latency_ms": 4.0 + 3 * place, "pending_tasks": 3 * place, "workers": 3}
        for place, name in enumerate(queues)
    ]  # fmt: skip
    world.workers = [
        {"name": f"celery@web-{number}", "check": f"worker:celery@web-{number}", "verdict": "consuming",
         "status": "ok", "reason": "consuming", "queues": queues[:2] if number % 2 else queues[1:],
         "latency_ms": 3.5 + number, "slots": 8, "active": number, "since": now - 9000}
        for number in range(6)
    ]  # fmt: skip
    world.groups = {"group:orders-kafka:billing": kafka_group([120, 90, 60, 40, 30, 20], now)}
    return world


def kafka_group(lags: list[int], now: float, status: str = "ok", reason: str | None = None) -> dict[str, Any]:
    """Return a consumer group with these lags."""
    total = sum(lags)
    rows = [
        {"topic": "orders", "partition": number, "end": 90_000 + lag, "committed": 90_000, "lag": lag,
         "owner": f"billing-{number % 2 + 1}" if number != 5 or status == "ok" else None}
        for number, lag in enumerate(lags)
    ]  # fmt: skip
    skew = round(max(lags) * len(lags) / total, 2) if total else 1.0
    said = {"status": status, "kind": "group", "critical": False, "lag": total, "skew_ratio": skew,
            "skew_ratio_max": skew, "consumers": 2, "response_time_ms": 12.0, "consume_rate": 41.5,
            "drain_eta_seconds": total / 41.5, "series": ["response_time_ms", "lag", "skew_ratio"],
            "since": now - 600, "observed_at": now, "valid_until": now + 86_400,
            "detail": {"partition_table": rows}}  # fmt: skip
    return {**said, "reason": reason} if reason else said
