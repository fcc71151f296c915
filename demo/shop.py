"""What there is to watch in the shop, and the numbers of it at any moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from demo.curves import DAY, grain, load, wobble
from demo.story import BILLING, Spell, Story
from monitor.history.samples import RESPONSE_TIME
from monitor.model.checks import Outcome, Status

QUEUES = ("checkout", "default", "mail")
GROUPS = (BILLING, "group:kafka:search-indexer")
INTERVAL = 10.0

TOML = """\
redis_url = "{url}"
key_prefix = "{prefix}"
history_memory = "64MB"

[web]
banner = "Demo data: a made-up shop. Nothing here is being watched."

[workers]
interval = "5s"

[checks.reports-db]
kind = "database"
alias = "reports"
critical = false

[checks.sessions]
kind = "redis"
url = "redis://sessions.internal:6379/0"

[checks.checkout-api]
kind = "http"
url = "http://checkout.internal/health"

[checks.catalog-api]
kind = "http"
url = "http://catalog.internal/health"

[checks.search-api]
kind = "http"
url = "http://search.internal/health"
critical = false

[checks.payments-gateway]
kind = "http"
url = "https://payments.example/status"
critical = false

[checks.mail-relay]
kind = "tcp"
host = "mail.internal"
port = 25
critical = false
"""


@dataclass(frozen=True, slots=True)
class Number:
    """How a number goes: ``base``, and ``busy`` more at the busiest hour.

    ``drift`` over hours and ``jitter`` between looks are shares of it. Between ``least`` and ``most``, to ``digits``
    decimals. ``weekly`` grows over a week and falls back, as what is cleaned up on Sundays does.
    """

    base: float
    busy: float = 0.0
    drift: float = 0.1
    jitter: float = 0.1
    digits: int = 2
    least: float = 0.0
    most: float = 1e9
    weekly: float = 0.0

    def at(self, key: str, at: float, surge: float) -> float:
        """The number at a moment, with a surge on top."""
        usual = self.base + self.busy * load(at) + self.weekly * ((at / DAY + 3) % 7 / 7)
        usual *= (
            1 + self.drift * wobble(key, at, 5400) + self.jitter * (0.6 * wobble(key, at, 90) + 0.4 * grain(key, at))
        )
        return round(min(max(usual + surge, self.least), self.most), self.digits)


def _http(base: float, busy: float) -> dict[str, Number]:
    return {RESPONSE_TIME: Number(base, busy, jitter=0.25, digits=1, most=5000)}


_QUEUE = {"latency_ms": Number(6, 14, jitter=0.35, digits=1), "pending_tasks": Number(0.5, 14, 0.4, 0.7, 0)}
_GROUP = {
    RESPONSE_TIME: Number(11, 5, digits=1),
    "lag": Number(60, 420, 0.3, 0.4, 0),
    "skew_ratio": Number(1.25, 0.2, 0.08, 0.08, least=1.0, most=6.8),
    "produce_rate": Number(9, 58, 0.12, 0.1, 1),
}

NUMBERS: Mapping[str, Mapping[str, Number]] = {
    "database": {
        RESPONSE_TIME: Number(4.1, 2.4, jitter=0.2),
        "connect_ms": Number(2.6, 1.1, jitter=0.2),
        "query_ms": Number(0.7, 0.9, jitter=0.3),
    },
    "reports-db": {
        RESPONSE_TIME: Number(9.5, 5, jitter=0.3),
        "connect_ms": Number(3.1, 0.8, jitter=0.2),
        "query_ms": Number(5.2, 4.4, jitter=0.35),
    },
    "redis": {RESPONSE_TIME: Number(0.9, 0.5, jitter=0.25), "used_memory_mb": Number(96, 34, 0.05, 0.01, 1)},
    "sessions": {RESPONSE_TIME: Number(1.1, 0.5, jitter=0.25), "used_memory_mb": Number(210, 120, 0.03, 0.005, 1)},
    "celery": {
        RESPONSE_TIME: Number(1.8, 0.8, jitter=0.25),
        "pending_tasks": Number(1, 40, 0.4, 0.5, 0),
        "unacked_tasks": Number(1, 22, 0.2, 0.4, 0),
    },
    "cpu": {RESPONSE_TIME: Number(0.2), "percent": Number(13, 46, 0.12, 0.16, 1, most=100)},
    "memory": {RESPONSE_TIME: Number(0.3), "percent": Number(58, 9, 0.03, 0.01, 1, most=100)},
    "disk": {RESPONSE_TIME: Number(0.2), "percent": Number(44, 0, 0.002, 0.001, 1, most=100, weekly=9)},
    "connections": {RESPONSE_TIME: Number(3.2, 1.0), "active_connections": Number(52, 110, 0.1, 0.12, 0)},
    "checkout-api": _http(38, 52),
    "catalog-api": _http(21, 24),
    "search-api": _http(64, 70),
    "payments-gateway": _http(148, 40),
    "mail-relay": {RESPONSE_TIME: Number(2.4, 0.6), "connect_ms": Number(2.1, 0.5)},
    **{f"queue:{name}": _QUEUE for name in QUEUES},
    **dict.fromkeys(GROUPS, _GROUP),
}
"""Of everything that leaves history; what it does not mention has no numbers."""

HISTORY = (*NUMBERS, "workers")
CHECKS = tuple(name for name in NUMBERS if ":" not in name)

_ABRUPT = {"refused", "timeout", "too_many_connections"}
"""Reasons for which a check has no numbers but the time it took."""


def numbers(story: Story, name: str, at: float) -> dict[str, float]:
    """The series of a check at a moment."""
    found = {
        series: number.at(f"{story.seed}/{name}/{series}", at, story.surge(name, series, at))
        for series, number in NUMBERS.get(name, {}).items()
    }
    if name == "celery":
        found["pending_tasks"] += round(story.surge("queue:checkout", "pending_tasks", at))
    if name in GROUPS:
        # What comes and what goes: whoever falls behind consumes less than is produced.
        hot = story.surge(name, "skew_ratio", at)
        found["consume_rate"] = round(found["produce_rate"] * (0.62 if hot else 1.0), 1)
    elif name.startswith("queue:"):
        found |= {RESPONSE_TIME: 0.0, "workers": float(len(consumers(name.removeprefix("queue:"), story, at)))}
    elif name == "workers":
        return {RESPONSE_TIME: 0.0, "slots_stuck": 0.0}
    return found


def judged(story: Story, name: str, at: float) -> tuple[Spell | None, dict[str, float]]:
    """What is wrong with a check, and the numbers that a look at it brings home."""
    spell, found = story.spell(name, at), numbers(story, name, at)
    if spell is not None and spell.reason in _ABRUPT:
        slow = 5000.0 if spell.reason == "timeout" else found[RESPONSE_TIME]
        return spell, {RESPONSE_TIME: slow}
    return spell, found


def outcome(story: Story, name: str, at: float) -> tuple[Outcome, float]:
    """What a run of a check of the roster comes to, and how long it took in milliseconds."""
    spell, found = judged(story, name, at)
    took = found.pop(RESPONSE_TIME)
    data: dict[str, Any] = {**found, **_others(name, found, spell)}
    series = tuple(found)
    if spell is None:
        return Outcome(Status.OK, data, series=series), took
    return Outcome(spell.status, data, spell.reason, spell.message, series=series), took


def consumers(queue: str, story: Story, at: float) -> list[str]:
    """The workers that take from a queue just now."""
    return [name for name, queues in WORKERS.items() if queue in queues and not story.spell(f"worker:{name}", at)]


WORKERS: Mapping[str, tuple[str, ...]] = {
    "celery@app-1": ("default", "mail"),
    "celery@app-2": ("default", "mail"),
    "celery@checkout-1": ("checkout",),
    "celery@checkout-2": ("checkout",),
    "celery@mail-1": ("mail",),
}
"""And the queues that each declares."""


def _others(name: str, found: Mapping[str, float], spell: Spell | None) -> dict[str, Any]:
    """The fields that are no series."""
    if name == "cpu":
        return {"count": 8}
    if name == "memory":
        return {"total_mb": 32_768, "available_mb": round(32_768 * (1 - found["percent"] / 100))}
    if name == "disk":
        return {"total_mb": 512_000, "free_mb": round(512_000 * (1 - found["percent"] / 100))}
    if name.endswith(("-api", "-gateway")) and (spell is None or spell.reason not in _ABRUPT):
        return {"status_code": 200 if spell is None else 503}
    return {}
