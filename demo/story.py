"""What went wrong, when: a seed and the moment of the start decide all of it. Times are epoch seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from demo.curves import DAY, Surge
from monitor.model.checks import Status

MINUTE, HOUR = 60.0, 3600.0
PAST_SECONDS = 90 * DAY
RAW_SECONDS = 25 * HOUR
"""What is kept of single observations, and up to an hour more: whole hours."""

LAST_NIGHT = 8 * HOUR
"""How long before the start the bad night was."""
LIVE_SECONDS = 330.0
"""How long the incident takes that begins after the start."""

WEDGED, BILLING = ("celery@checkout-1", "celery@checkout-2"), "group:kafka:billing"


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch [since, until) in which a check is not ok."""

    since: float
    until: float
    status: Status
    reason: str
    message: str | None = None


class Change(NamedTuple):
    """A turn of a check that has happened."""

    at: float
    check: str
    old: Status
    new: Status
    reason: str | None
    message: str | None


@dataclass(frozen=True)
class Story:
    """``spells`` by check, in order, none overlapping another; ``surges`` by check and series.

    ``gap`` is when nobody looked at anything.
    """

    seed: int
    began: float
    spells: Mapping[str, tuple[Spell, ...]]
    surges: Mapping[tuple[str, str], tuple[Surge, ...]]
    gap: tuple[float, float]

    @property
    def since(self) -> float:
        """When the past begins."""
        return self.began - PAST_SECONDS

    def spell(self, check: str, at: float) -> Spell | None:
        """What is wrong with a check at a moment."""
        return next((each for each in self.spells.get(check, ()) if each.since <= at < each.until), None)

    def surge(self, check: str, series: str, at: float) -> float:
        """What is added to a number at a moment."""
        return sum(each.at(at) for each in self.surges.get((check, series), ()))

    def changes(self, check: str, until: float) -> Iterator[Change]:
        """What became of a check up to a moment, in order."""
        spells = self.spells.get(check, ())
        ends = {spell.until: spell.status for spell in spells}
        begins = {spell.since for spell in spells}
        for spell in spells:
            if spell.since < until:
                before = ends.get(spell.since, Status.OK)
                yield Change(spell.since, check, before, spell.status, spell.reason, spell.message)
            if spell.until < until and spell.until not in begins:
                yield Change(spell.until, check, spell.status, Status.OK, None, None)


def tell(seed: int, began: float, incident_at: float) -> Story:
    """The story of a demo that starts at ``began``, and whose incident begins at ``incident_at``."""
    draft = _Draft()
    began = float(int(began))
    _bad_night(draft, (began - LAST_NIGHT) // 600 * 600)
    _older(draft, seed, began)
    _live(draft, float(int(incident_at)))
    gap = (began - 23 * DAY) // HOUR * HOUR
    draft.leave_out(gap, gap + 41 * MINUTE)
    spells = {check: tuple(sorted(some, key=lambda each: each.since)) for check, some in draft.spells.items()}
    surges = {key: tuple(some) for key, some in draft.surges.items()}
    return Story(seed, began, spells, surges, (gap, gap + 41 * MINUTE))


class _Draft:
    """A story in the making."""

    def __init__(self) -> None:
        self.spells: dict[str, list[Spell]] = {}
        self.surges: dict[tuple[str, str], list[Surge]] = {}

    def spell(
        self, check: str, since: float, until: float, reason: str, message: str | None = None, *, warning: bool = False
    ) -> None:
        """Something is wrong, unless something else already is then."""
        some = self.spells.setdefault(check, [])
        if all(until <= each.since or since >= each.until for each in some):
            some.append(Spell(since, until, Status.WARNING if warning else Status.ERROR, reason, message))

    def surge(self, check: str, series: str, surge: Surge) -> None:
        """A number rises."""
        self.surges.setdefault((check, series), []).append(surge)

    def leave_out(self, since: float, until: float) -> None:
        """What nobody saw."""
        for check, some in self.spells.items():
            self.spells[check] = [each for each in some if each.until <= since or each.since >= until]


def _bad_night(draft: _Draft, at: float) -> None:
    """A deploy: workers wedge one after the other, a queue backs up, the API fails; rolled back after half an hour."""
    minute = [at + MINUTE * number for number in range(60)]
    for worker, since in zip(WEDGED, (minute[2], minute[5]), strict=True):
        draft.spell(f"worker:{worker}", since, minute[25], "wedged")
    draft.spell("queue:checkout", minute[4], minute[6], "slow", warning=True)
    draft.spell("queue:checkout", minute[6], minute[25], "unconsumed")
    draft.spell("queue:checkout", minute[25], minute[34], "slow", warning=True)
    draft.spell("workers", minute[4], minute[6], "slow", warning=True)
    draft.spell("workers", minute[6], minute[25], "unconsumed")
    draft.spell("workers", minute[25], minute[34], "slow", warning=True)
    draft.surge("queue:checkout", "pending_tasks", Surge(minute[2], minute[26], minute[39], 4800))
    draft.surge("queue:checkout", "latency_ms", Surge(minute[3], minute[25], minute[36], 95_000))
    draft.spell("celery", minute[8], minute[35], "above_threshold", "4800 tasks wait", warning=True)
    draft.spell("checkout-api", minute[9], minute[27], "timeout", "http://checkout.internal/health: no answer in 5 s")
    draft.spell(
        "catalog-api", minute[11], minute[15], "unexpected_status", "http://catalog.internal/health answered 502"
    )
    for check, series, height in (
        ("checkout-api", "response_time_ms", 4700),
        ("catalog-api", "response_time_ms", 900),
        ("database", "query_ms", 60),
        ("database", "response_time_ms", 70),
        ("connections", "active_connections", 310),
        ("cpu", "percent", 34),
    ):
        draft.surge(check, series, Surge(minute[3], minute[20], minute[33], height))


_OLDER = (
    ("payments-gateway", "timeout", 4, 25, "response_time_ms", 4800),
    ("payments-gateway", "unexpected_status", 2, 9, "response_time_ms", 300),
    ("search-api", "unexpected_status", 5, 40, "response_time_ms", 700),
    ("mail-relay", "refused", 10, 55, "connect_ms", 8),
    ("disk", "above_threshold", 150, 500, "percent", 38),
    ("database", "too_many_connections", 2, 6, "connect_ms", 60),
    ("redis", "refused", 1, 3, "used_memory_mb", -40),
    ("reports-db", "timeout", 8, 35, "query_ms", 4600),
    ("celery", "above_threshold", 10, 60, "pending_tasks", 2600),
    ("checkout-api", "unexpected_status", 3, 18, "response_time_ms", 900),
    ("catalog-api", "timeout", 2, 12, "response_time_ms", 4700),
    ("memory", "above_threshold", 40, 160, "percent", 24),
    ("queue:mail", "slow", 15, 70, "latency_ms", 80_000),
    (BILLING, "skew", 8, 40, "skew_ratio", 5.4),
)
_WARNINGS = {"above_threshold", "slow"}


def _older(draft: _Draft, seed: int, began: float) -> None:
    """What happens to a shop in 90 days."""
    random = Random(seed)
    for day in range(2, 89):
        if random.random() < 0.62:
            continue
        check, reason, least, most, series, height = random.choice(_OLDER)
        since = (began - day * DAY) // DAY * DAY + random.randrange(0, 86_400 - 3600 * 9, 10)
        length = random.uniform(least, most) * MINUTE // 10 * 10
        draft.spell(check, since, since + length, reason, warning=reason in _WARNINGS)
        draft.surge(check, series, Surge(since - 120, since + length / 2, since + length + 240, height))


def _live(draft: _Draft, at: float) -> None:
    """What happens before one's eyes, in seconds: see `demo.fleet` and `demo.kafka` for what it looks like."""
    hot, second, gone, back = at + 15, at + 75, at + 100, at + 225
    draft.spell(f"worker:{WEDGED[1]}", at, back, "wedged")
    draft.spell(f"worker:{WEDGED[0]}", second, back + 10, "wedged")
    draft.spell("queue:checkout", at + 45, gone, "slow", warning=True)
    draft.spell("queue:checkout", gone, back + 10, "unconsumed")
    draft.spell("queue:checkout", back + 10, at + 300, "slow", warning=True)
    draft.surge("queue:checkout", "pending_tasks", Surge(at, back + 10, at + LIVE_SECONDS, 2900))
    draft.surge("queue:checkout", "latency_ms", Surge(at, back, at + 305, 120_000))
    draft.spell("celery", at + 90, at + 290, "above_threshold", "more than 1000 tasks wait", warning=True)
    draft.spell("checkout-api", at + 120, back + 15, "timeout", "http://checkout.internal/health: no answer in 5 s")
    draft.surge("checkout-api", "response_time_ms", Surge(at + 60, at + 140, back + 40, 4700))
    draft.surge("connections", "active_connections", Surge(at + 30, back, at + LIVE_SECONDS, 240))
    draft.surge("cpu", "percent", Surge(at + 20, at + 200, at + 300, 30))
    draft.spell(BILLING, hot + 45, at + 280, "skew")
    draft.surge(BILLING, "skew_ratio", Surge(hot, hot + 45, at + 290, 9.0))
    draft.surge(BILLING, "lag", Surge(hot, at + 240, at + LIVE_SECONDS, 14_000))
