"""Reasons to hold a notification: a silence, maintenance, or a failing check that this one depends on.

The rules are pure: no IO, no clock. Time zones come from the system's tables.
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

_WORKER_PREFIXES = ("worker:", "queue:")
_MONITOR_CHECKS = ("monitor:beat", "monitor:schedule", "monitor:results")


class Suppression(NamedTuple):
    """Reason to hold a notification now.

    ``reason`` is ``silenced``, ``maintenance``, ``parent`` or ``waiting``. ``by`` is the silence's id, the name of the
    maintenance window, or the name of the parent.
    """

    reason: str
    by: str

    @property
    def defers(self) -> bool:
        """True when a notice after the hold is marked as deferred. Waiting for a parent's next run does not defer."""
        return self.reason != "waiting"


class Dependencies:
    """Dependencies between the checks of a configuration."""

    def __init__(self, config: Config) -> None:
        self._checks = config.checks
        self._infrastructure = tuple(name for name, check in config.checks.items() if _is_of_own_infrastructure(check))
        self._redis = tuple(name for name in self._infrastructure if config.checks[name].kind == "redis")
        # If the broker is the store's Redis, both checks fail together. The check of Redis is the one that notifies.
        self._one_server = config.redis_url is not None and config.broker_url == celery_url(config.redis_url)

    def parents(self, check: str) -> tuple[str, ...]:
        """Return the direct parents of a check: those in ``depends_on``, and implied ones.

        The broker and the store are implied parents of workers and queues.
        """
        spec = self._checks.get(check)
        implied: tuple[str, ...] = ()
        if spec is None:
            implied = self._infrastructure if check == "workers" or check.startswith(_WORKER_PREFIXES) else ()
        elif spec.kind == "celery" and _is_of_own_infrastructure(spec) and self._one_server:
            implied = self._redis
        explicit = spec.depends_on if spec is not None else ()
        # Explicit dependencies win: in a circle, each check would hold the notifications of the other.
        return (*explicit, *(parent for parent in implied if check not in self._explicit_ancestors(parent)))

    def ancestors(self, check: str, *, stale: bool = False) -> tuple[str, ...]:
        """Return all checks that a check depends on, directly or not, the nearest first.

        A ``stale`` check also depends on the monitor itself and on its parent check: when the parent cannot observe a
        cluster, none of the cluster's groups is observed.
        """
        found: dict[str, None] = {}
        waiting = [check]
        while waiting:
            for parent in self.parents(waiting.pop(0)):
                if parent != check and parent not in found:
                    found[parent] = None
                    waiting.append(parent)
        if stale and not check.startswith("monitor:"):
            found |= dict.fromkeys((*parent_checks(check, self._checks), *_MONITOR_CHECKS))
        return tuple(found)

    def _explicit_ancestors(self, check: str) -> set[str]:
        found: set[str] = set()
        waiting = [check]
        while waiting:
            spec = self._checks.get(waiting.pop())
            waiting += [name for name in (spec.depends_on if spec is not None else ()) if name not in found]
            found.update(waiting)
        return found


def hold(
    alert: Alert, *, config: Config, dependencies: Dependencies, silences: Iterable[Silence], states: Snapshot
) -> Suppression | None:
    """Return the reason to hold notifications about an alert now, or None.

    ``states`` must contain the states of all ancestors of the check.
    """
    now = states.read_at
    for silence in silences:
        if now < silence.until and matches(alert.check, (silence.checks,)):
            return Suppression("silenced", silence.id)
    for window in config.maintenance.values():
        if matches(alert.check, window.checks) and in_maintenance(window, now):
            return Suppression("maintenance", window.name)
    ancestors = dependencies.ancestors(alert.check, stale=alert.status is Status.STALE)
    for parent in ancestors:
        if parent in states.states and _fails(alert.check, states.states[parent], now):
            return Suppression("parent", parent)
    for parent in ancestors:
        spec, state = config.checks.get(parent), states.states.get(parent)
        # The parent may have failed, too, but not have run since. If so, only the parent's failure is to be notified.
        is_not_observed = state is None or state.result.observed_at < alert.since
        if spec is not None and is_not_observed and now < alert.since + spec.interval_seconds + spec.timeout_seconds:
            return Suppression("waiting", parent)
    return None


def in_maintenance(window: MaintenanceSpec, now: float) -> bool:
    """Return whether a maintenance window is open at ``now``."""
    if window.single_period is not None:
        start, end = window.single_period
        return start.timestamp() <= now < end.timestamp()
    if window.from_time is None or window.until_time is None:
        return False
    here = datetime.fromtimestamp(now, UTC).astimezone(window.zone)
    for days_ago in (0, 1):  # a window may have begun yesterday
        day = here.date() - timedelta(days=days_ago)
        if WEEKDAYS[day.weekday()] not in window.days:
            continue
        last = day if window.until_time > window.from_time else day + timedelta(days=1)
        start = datetime.combine(day, _without_zone(window.from_time), window.zone)
        end = datetime.combine(last, _without_zone(window.until_time), window.zone)
        if start.timestamp() <= now < end.timestamp():
            return True
    return False


def _fails(check: str, parent: State, now: float) -> bool:
    reading = read_status(parent, now)
    # Too many waiting tasks are a consequence of a queue that no worker consumes, not its cause.
    is_consequence = check.startswith(_WORKER_PREFIXES) and reading.reason == Reason.ABOVE_THRESHOLD
    return fails(reading) and not is_consequence


def _is_of_own_infrastructure(check: CheckSpec) -> bool:
    """Return whether a check observes the configured broker or store, not another one named in its options."""
    return (check.kind == "celery" and "broker_url" not in check.options) or (
        check.kind == "redis" and "url" not in check.options
    )


def _without_zone(value: time) -> time:
    return value.replace(tzinfo=None)
