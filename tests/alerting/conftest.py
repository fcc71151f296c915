"""Real roles."""

from tests.support.roles import start_monitor

__all__ = ["start_monitor"]
