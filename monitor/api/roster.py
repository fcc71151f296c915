"""The roster as the endpoints need it, and what it says at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from monitor import policy
from monitor.api.refresher import Moment
from monitor.config import CheckSpec, Config
from monitor.config.model import READY
from monitor.model import Overall, State, Status

UNREACHABLE = policy.Reading(Status.ERROR, "unreachable")


class Group:
    """Checks behind one probe, in roster order."""

    def __init__(self, checks: Iterable[CheckSpec], *, hold: bool = False, all_critical: bool = False) -> None:
        self.checks = tuple(checks)
        self.hold = hold
        self.critical = frozenset(check.name for check in self.checks if check.critical or all_critical)
        self.names = frozenset(check.name for check in self.checks)


class Roster:
    """All checks and groups of a configuration. The common fields only: never a kind's code.

    ``problem`` is a reason why there is none: then the process is alive, but neither started nor ready.
    """

    def __init__(self, config: Config, *, problem: str | None = None) -> None:
        self.checks: Mapping[str, CheckSpec] = dict(config.checks)
        self.all = Group(self.checks.values())
        self.groups = {
            name: Group(config.members(name), hold=spec.stale == "hold") for name, spec in config.groups.items()
        }
        self.ready = self.groups[READY]
        self.problem = problem
        self._watching_store = frozenset(
            check.name for check in self.checks.values() if check.kind == "redis" and not check.options.get("url")
        )

    def single(self, check: str) -> Group:
        """A check by itself: asked for directly, it is critical. Raises KeyError for an unknown one."""
        return Group([self.checks[check]], all_critical=True)

    def read(self, check: CheckSpec, moment: Moment, *, hold: bool = False) -> tuple[policy.Reading, State | None]:
        """What is known of a check, and the state it is known from (None when there is none, or when it is overruled).

        That the store does not answer, the reader knows first-hand: a check that watches the store is in
        error at once. What others have found keeps its word until it expires.
        """
        if moment.answering is False and check.name in self._watching_store:
            return UNREACHABLE, None
        state = moment.states.get(check.name)
        return policy.read_status(state, moment.now, hold=hold), state

    def overall(self, group: Group, readings: Mapping[str, policy.Reading]) -> Overall:
        """The verdict over the readings of a group."""
        return Overall.UNHEALTHY if self.problem else policy.overall(readings, group.critical)
