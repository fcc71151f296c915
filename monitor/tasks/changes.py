"""Changes of status that no run of a check made: said in the log, and told by the alerts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import structlog

from monitor.config import Config
from monitor.model import Outcome, Transition
from monitor.tasks.alerts import wake
from monitor.tasks.publish import Publisher

log = structlog.get_logger("monitor.tasks")


def announce(
    publisher: Publisher, config: Config, transitions: Collection[Transition], outcomes: Mapping[str, Outcome]
) -> None:
    """Log them, with the messages of their outcomes, and have somebody decide whom to tell. Never raises."""
    for transition in transitions:
        outcome = outcomes.get(transition.check)
        log.info(
            "check.changed",
            check=transition.check,
            transition=transition.id,
            was=transition.old.value,
            now=transition.new.value,
            reason=transition.reason,
            message=outcome.message if outcome else None,
        )
    wake(publisher, config, transitions)
