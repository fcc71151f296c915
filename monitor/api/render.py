"""What the endpoints say, as JSON: the bodies of live, ready, detailed, groups, checks and startup."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from monitor import documents, policy
from monitor.alert_states import AlertsOverview
from monitor.api import entries
from monitor.api.refresher import Moment
from monitor.api.roster import UNREADABLE, Group, Roster
from monitor.config import CheckSpec
from monitor.model import Overall, State

BREATHE_EVERY = 256


class Renderer:
    """Renders bodies for a roster.

    What does not change while a check's state and reading stay the same is rendered once and kept, so that
    ten thousand checks cost ten thousand additions of an age, not as many encodings.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._kept: dict[tuple[str, bool], tuple[State | None, policy.Reading, str]] = {}

    def group(self, group: Group, moment: Moment) -> tuple[bool, str]:
        """Whether a group is ready, and the body that says so. A group that holds stale verdicts says that, too."""
        readings, checks = self._entries(group, moment, full=False)
        passes = self._roster.overall(group, readings) is not Overall.UNHEALTHY
        held = {"held": True} if any(reading.held for reading in readings.values()) else {}
        head = self._head("ready" if passes else "not_ready", moment, **held)
        return passes, entries.extended(head, entries.member("checks", checks))

    def detailed(self, moment: Moment, *, full: bool) -> str:
        """The overall verdict and all checks; with ``full``, what is not for everybody: messages, details, hosts."""
        everything = self._roster.everything(moment)
        readings, checks = self._entries(everything, moment, full=full)
        head = self._head(self._roster.overall(everything, readings), moment)
        known = self._roster.fleet(moment).hosts if full else ()
        hosts = [entries.member("hosts", entries.encode(documents.hosts(known, moment.now)))] if known else []
        return entries.extended(head, entries.member("checks", checks), *hosts)

    def check(self, check: CheckSpec, moment: Moment, *, full: bool) -> tuple[bool, str]:
        """Whether a check does not fail, and its own body."""
        reading, entry = self._entry(check, moment, hold=None, full=full)
        head = entries.encode({"name": check.name, "timestamp": documents.timestamp(moment.now)})
        return not policy.fails(reading), entries.extended(head, entry[1:-1])

    def workers(self, moment: Moment) -> str:
        """All workers and queues."""
        return entries.encode(documents.workers(moment.states, moment.now))

    def alerts(self, overview: AlertsOverview) -> str:
        """What alerting has to tell."""
        return entries.encode(documents.alerts(overview))

    def startup(self, moment: Moment) -> tuple[bool, str]:
        """Whether the process has its roster and has tried to read the store, and the body that says so."""
        started = moment.tried and not self._roster.problem
        return started, self._head("started" if started else "starting", moment)

    def _head(self, status: str, moment: Moment, **more: Any) -> str:
        problem = {"reason": self._roster.problem} if self._roster.problem else {}
        return _head(status, moment.now, **problem, **more)

    def _entries(self, group: Group, moment: Moment, *, full: bool) -> tuple[Mapping[str, policy.Reading], str]:
        readings: dict[str, policy.Reading] = {}
        rendered = []
        for number, check in enumerate(group.checks, 1):
            readings[check.name], entry = self._entry(check, moment, hold=group.hold, full=full)
            rendered.append(entries.member(check.name, entry))
            if number % BREATHE_EVERY == 0:
                time.sleep(0)  # gives the interpreter lock away: other probes do not wait for a long roster
        return readings, entries.joined(rendered)

    def _entry(
        self, check: CheckSpec, moment: Moment, *, hold: policy.Hold | None, full: bool
    ) -> tuple[policy.Reading, str]:
        try:
            return self._readable_entry(check, moment, hold=hold, full=full)
        except Exception:  # noqa: BLE001 - whatever a store let through, a probe has to answer
            return UNREADABLE, entries.encode(entries.fields(UNREADABLE, None))

    def _readable_entry(
        self, check: CheckSpec, moment: Moment, *, hold: policy.Hold | None, full: bool
    ) -> tuple[policy.Reading, str]:
        reading, state = self._roster.read(check, moment, hold=hold)
        kept = self._kept.get((check.name, full))
        if kept is None or kept[0] is not state or kept[1] != reading:
            kept = (state, reading, entries.encode(entries.fields(reading, state, full=full)))
            if check.name in self._roster.checks:  # what comes at run time goes again, and would stay here
                self._kept[check.name, full] = kept
        if state is None:
            return reading, kept[2]
        return reading, entries.extended(kept[2], f'"age_ms":{entries.age_ms(state, moment.now)}')


def live(now: float) -> str:
    """The body of a process that is alive."""
    return _head("alive", now)


def _head(status: str, now: float, **more: Any) -> str:
    return entries.encode({"status": status, "timestamp": documents.timestamp(now), **more})
