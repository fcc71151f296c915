"""Words in which the tests of alerting tell what happens to a check, and read what is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from monitor.config import ChannelSpec
from monitor.model.alerts import Alert
from monitor.model.checks import Status, Transition
from monitor.policy.alerting import DecisionContext, Notices, evaluate
from monitor.policy.suppression import Suppression

FLAP_CHANGES = 4
FLAP_WINDOW = 100.0


def channel(name: str = "ops", **keys: Any) -> ChannelSpec:
    """A channel that takes everything, unless told otherwise."""
    return ChannelSpec.model_validate({"name": name, "kind": "log", **keys})


class Story:
    """One check, to which things happen at given times."""

    def __init__(self, *channels: ChannelSpec, check: str = "db") -> None:
        self.channels = channels or (channel(),)
        self.wanted = self.channels
        self.check = check
        self.alert: Alert | None = None
        self.hold: Suppression | None = None
        self.gone = False
        self.told: list[str] = []
        self._status, self._sequence = Status.UNKNOWN, 0

    def becomes(self, at: float, status: str) -> None:
        """The check changes its status; then time is looked at, as every decision does."""
        new = Status(status)
        self._sequence += 1
        transition = Transition(self.check, self._sequence, self._status, new, at, f"run{self._sequence}", "why")
        self._status = new
        self._evaluate(at, transition)
        self._evaluate(at, None)

    def waits(self, until: float) -> None:
        """Time passes."""
        self._evaluate(until, None)

    def new(self) -> list[str]:
        """What was told since this was asked last: `channel:kind:status id`."""
        told, self.told = self.told, []
        return told

    def _evaluate(self, now: float, transition: Transition | None) -> None:
        context = DecisionContext(
            now=now,
            channels=self.wanted,
            configured={one.name: one for one in self.channels},
            flap_changes=FLAP_CHANGES,
            flap_window_seconds=FLAP_WINDOW,
            hold=self.hold,
            is_deleted=self.gone,
        )
        self.alert, notices = evaluate(self.alert, transition, context)
        self.told += list(in_words(notices))


def in_words(notices: Notices) -> Iterable[str]:
    """Each as `channel:kind:status id`."""
    for name, notice in notices:
        yield f"{name}:{notice.kind.value}:{notice.status.value} {notice.id}"
