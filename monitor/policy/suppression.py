"""Why nobody is told, for now, that a check fails: it is silenced, in maintenance, or without what it depends on.

Pure: no IO, no clock. Time zones come from the system's tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

from monitor.config import CheckSpec, Config, MaintenanceSpec
from monitor.config.alerts import WEEKDAYS
from monitor.config.units import matches
from monitor.config.urls import celery_url
from monitor.model.alerts import Alert, Silence
from monitor.model.checks import Reason, Snapshot, State, Status
from monitor.policy.runtime_checks import parent_checks
from monitor.policy.states import fails, read_status

_OF_WORKERS = ("worker:", "queue:")
_OF_MONITOR = ("monitor:beat", "monitor:schedule", "monitor:results")


class Suppression(NamedTuple):
    """``reason`` is ``silenced``, ``maintenance``, ``parent`` or ``waiting``; ``by`` is which silence, ... or check."""

    reason: str
    by: str

    @property
    def defers(self) -> bool:
        """Whether what is told after it was told late. Waiting a moment for a parent's own turn is not late."""
        return self.reason != "waiting"


class Dependencies:
    """Which check depends on which, by a configuration."""

    def __init__(self, config: Config) -> None:
        self._checks = config.checks
        self._ground = tuple(name for name, check in config.checks.items() if _is_ground(check))
        self._redis = tuple(name for name in self._ground if config.checks[name].kind == "redis")
        # Then they fail together, and the check of Redis is the one that says so.
        self._one_server = config.redis_url is not None and config.broker_url == celery_url(config.redis_url)

    def parents(self, check: str) -> tuple[str, ...]:
        """What a check depends on directly: what it says, and for workers and queues the broker and the store."""
        spec = self._checks.get(check)
        implied: tuple[str, ...] = ()
        if spec is None:
            implied = self._ground if check == "workers" or check.startswith(_OF_WORKERS) else ()
        elif spec.kind == "celery" and _is_ground(spec) and self._one_server:
            implied = self._redis
        said = spec.depends_on if spec is not None else ()
        # What somebody says wins: in a circle, each would keep the other from being told.
        return (*said, *(parent for parent in implied if check not in self._said_above(parent)))

    def ancestors(self, check: str, *, stale: bool = False) -> tuple[str, ...]:
        """What it depends on, and what that does, the nearest first.

        A ``stale`` one also on the monitor itself, and on the check whose runs find it: when that cannot look at a
        cluster, nothing is known of any of its groups.
        """
        found: dict[str, None] = {}
        waiting = [check]
        while waiting:
            for parent in self.parents(waiting.pop(0)):
                if parent != check and parent not in found:
                    found[parent] = None
                    waiting.append(parent)
        if stale and not check.startswith("monitor:"):
            found |= dict.fromkeys((*parent_checks(check, self._checks), *_OF_MONITOR))
        return tuple(found)

    def _said_above(self, check: str) -> set[str]:
        above: set[str] = set()
        waiting = [check]
        while waiting:
            spec = self._checks.get(waiting.pop())
            waiting += [name for name in (spec.depends_on if spec is not None else ()) if name not in above]
            above.update(waiting)
        return above


def hold(
    alert: Alert, *, config: Config, dependencies: Dependencies, silences: Iterable[Silence], states: Snapshot
) -> Suppression | None:
    """Why nobody is told now that a check fails, or None. ``states`` has those of all its ancestors."""
    now = states.read_at
    for silence in silences:
        if now < silence.until and matches(alert.check, (silence.checks,)):
            return Suppression("silenced", silence.id)
    for window in config.maintenance.values():
        if matches(alert.check, window.checks) and in_maintenance(window, now):
            return Suppression("maintenance", window.name)
    above = dependencies.ancestors(alert.check, stale=alert.status is Status.STALE)
    for parent in above:
        if parent in states.states and _fails(alert.check, states.states[parent], now):
            return Suppression("parent", parent)
    for parent in above:
        spec, state = config.checks.get(parent), states.states.get(parent)
        # It may fail as well, and not have had its turn since: then that is the news, and this is not.
        unseen = state is None or state.result.observed_at < alert.since
        if spec is not None and unseen and now < alert.since + spec.interval_seconds + spec.timeout_seconds:
            return Suppression("waiting", parent)
    return None


def in_maintenance(window: MaintenanceSpec, now: float) -> bool:
    """Whether the window is open at ``now``."""
    if window.once is not None:
        start, end = window.once
        return start.timestamp() <= now < end.timestamp()
    if window.from_time is None or window.until_time is None:
        return False
    here = datetime.fromtimestamp(now, UTC).astimezone(window.zone)
    for days_ago in (0, 1):  # it may have begun yesterday
        day = here.date() - timedelta(days=days_ago)
        if WEEKDAYS[day.weekday()] not in window.days:
            continue
        last = day if window.until_time > window.from_time else day + timedelta(days=1)
        start = datetime.combine(day, _plain(window.from_time), window.zone)
        end = datetime.combine(last, _plain(window.until_time), window.zone)
        if start.timestamp() <= now < end.timestamp():
            return True
    return False


def _fails(check: str, parent: State, now: float) -> bool:
    reading = read_status(parent, now)
    # Many waiting tasks are what a queue that nobody consumes brings about, and not the other way round.
    consequence = check.startswith(_OF_WORKERS) and reading.reason == Reason.ABOVE_THRESHOLD
    return fails(reading) and not consequence


def _is_ground(check: CheckSpec) -> bool:
    """A check of the configured broker or store, rather than of one that it names itself."""
    return (check.kind == "celery" and "broker_url" not in check.options) or (
        check.kind == "redis" and "url" not in check.options
    )


def _plain(value: time) -> time:
    return value.replace(tzinfo=None)
