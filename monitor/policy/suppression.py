"""Reasons to hold a notice: a silence, maintenance, or a failing check that the check depends on.

The rules are pure: no IO, no clock. Only the time zones are read, from the system's tables.
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
    """Reason to hold a notice now.

    ``reason`` is ``silenced``, ``maintenance``, ``parent`` or ``waiting``. ``by`` is the id of the silence, the name of
    the maintenance window, or the name of the check that the held one depends on.
    """

    reason: str
    by: str

    @property
    def defers(self) -> bool:
        """True when a notice after the hold gets the suffix ``:deferred`` in its id. False for ``waiting``."""
        return self.reason != "waiting"


class Dependencies:
    """Dependencies between the checks of a configuration.

    If a check depends on a check that fails, its notices are held (hold ``parent``).
    """

    def __init__(self, config: Config) -> None:
        self._checks = config.checks
        self._infrastructure = tuple(name for name, check in config.checks.items() if _is_of_own_infrastructure(check))
        self._redis = tuple(name for name in self._infrastructure if config.checks[name].kind == "redis")
        # If the broker is the store's Redis, both checks fail at once. Then only the check of Redis notifies.
        self._broker_is_store = config.redis_url is not None and config.broker_url == celery_url(config.redis_url)

    def direct_dependencies(self, check: str) -> tuple[str, ...]:
        """Return the checks that a check depends on directly: those in its ``depends_on``, and implied ones.

        The checks of workers and queues depend on the checks of the broker and of the store. The check of the broker
        depends on the check of the store if both are one server.
        """
        spec = self._checks.get(check)
        implied: tuple[str, ...] = ()
        if spec is None:
            implied = self._infrastructure if check == "workers" or check.startswith(_WORKER_PREFIXES) else ()
        elif spec.kind == "celery" and _is_of_own_infrastructure(spec) and self._broker_is_store:
            implied = self._redis
        explicit = spec.depends_on if spec is not None else ()
        # If an implied check depends on this one explicitly, it is left out: each would hold the notices of the other.
        return (*explicit, *(name for name in implied if check not in self._explicit_dependencies(name)))

    def all_dependencies(self, check: str, *, stale: bool = False) -> tuple[str, ...]:
        """Return all checks that a check depends on, directly or indirectly, the nearest first.

        A ``stale`` check also depends on the monitor's own checks. If it is a child check, it also depends on its
        parent check: when the parent check cannot observe a cluster, none of the cluster's groups is observed.
        """
        names: dict[str, None] = {}
        to_visit = [check]
        while to_visit:
            for name in self.direct_dependencies(to_visit.pop(0)):
                if name != check and name not in names:
                    names[name] = None
                    to_visit.append(name)
        if stale and not check.startswith("monitor:"):
            names |= dict.fromkeys((*parent_checks(check, self._checks), *_MONITOR_CHECKS))
        return tuple(names)

    def _explicit_dependencies(self, check: str) -> set[str]:
        names: set[str] = set()
        to_visit = [check]
        while to_visit:
            spec = self._checks.get(to_visit.pop())
            to_visit += [name for name in (spec.depends_on if spec is not None else ()) if name not in names]
            names.update(to_visit)
        return names


def hold(
    alert: Alert, *, config: Config, dependencies: Dependencies, silences: Iterable[Silence], snapshot: Snapshot
) -> Suppression | None:
    """Return the reason to hold the notices of an alert now, or None.

    ``snapshot`` must contain the states of all checks that the check depends on.
    """
    now = snapshot.read_at
    for silence in silences:
        if now < silence.until and matches(alert.check, (silence.checks,)):
            return Suppression("silenced", silence.id)
    for window in config.maintenance.values():
        if matches(alert.check, window.checks) and in_maintenance(window, now):
            return Suppression("maintenance", window.name)
    needed_checks = dependencies.all_dependencies(alert.check, stale=alert.status is Status.STALE)
    for needed in needed_checks:
        if needed in snapshot.states and _fails(alert.check, snapshot.states[needed], now):
            return Suppression("parent", needed)
    for needed in needed_checks:
        spec, state = config.checks.get(needed), snapshot.states.get(needed)
        # The needed check may have failed, but not have run since. So wait for its next run. If that run fails, the
        # alert is held, and only the failure of the needed check is notified.
        is_not_observed = state is None or state.result.observed_at < alert.since
        if spec is not None and is_not_observed and now < alert.since + spec.interval_seconds + spec.timeout_seconds:
            return Suppression("waiting", needed)
    return None


def in_maintenance(window: MaintenanceSpec, now: float) -> bool:
    """Return whether a maintenance window is open at ``now``."""
    if window.single_period is not None:
        start, end = window.single_period
        return start.timestamp() <= now < end.timestamp()
    if window.from_time is None or window.until_time is None:
        return False
    local_now = datetime.fromtimestamp(now, UTC).astimezone(window.zone)
    for days_ago in (0, 1):  # a window that began yesterday may still be open
        day = local_now.date() - timedelta(days=days_ago)
        if WEEKDAYS[day.weekday()] not in window.days:
            continue
        last_day = day if window.until_time > window.from_time else day + timedelta(days=1)
        start = datetime.combine(day, _without_zone(window.from_time), window.zone)
        end = datetime.combine(last_day, _without_zone(window.until_time), window.zone)
        if start.timestamp() <= now < end.timestamp():
            return True
    return False


def _fails(check: str, needed: State, now: float) -> bool:
    reading = read_status(needed, now)
    # The check of the broker fails with `above_threshold` when too many tasks wait. That is a consequence of a queue
    # that no worker consumes, not its cause.
    is_consequence = check.startswith(_WORKER_PREFIXES) and reading.reason == Reason.ABOVE_THRESHOLD
    return fails(reading) and not is_consequence


def _is_of_own_infrastructure(check: CheckSpec) -> bool:
    """Return whether a check observes the configured broker or store, and not a server that its options name."""
    return (check.kind == "celery" and "broker_url" not in check.options) or (
        check.kind == "redis" and "url" not in check.options
    )


def _without_zone(value: time) -> time:
    return value.replace(tzinfo=None)
