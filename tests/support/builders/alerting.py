"""Vocabulary for tests of alerting: changes of a check, and the notifications about them."""

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
    """Return a channel that gets all notifications, unless the options restrict it."""
    return ChannelSpec.model_validate({"name": name, "kind": "log", **keys})


class Story:
    """Story of one check with events at given times."""

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
        """Change the status of the check, and make the decision that follows each change."""
        new = Status(status)
        self._sequence += 1
        transition = Transition(self.check, self._sequence, self._status, new, at, f"run{self._sequence}", "why")
        self._status = new
        self._evaluate(at, transition)
        self._evaluate(at, None)

    def waits(self, until: float) -> None:
        """Decide again at a later time, without a change of the check."""
        self._evaluate(until, None)

    def new(self) -> list[str]:
        """Return the notices since the last call as `channel:kind:status id`."""
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
    """Return each notice as `channel:kind:status id`."""
    for name, notice in notices:
        yield f"{name}:{notice.kind.value}:{notice.status.value} {notice.id}"
