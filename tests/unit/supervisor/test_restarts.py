"""The restart policy, without a process."""

from __future__ import annotations

import pytest

from monitor.supervisor.restarts import LONGEST_DELAY_SECONDS, SETTLED_SECONDS, Restarts


@pytest.mark.parametrize(
    ("caption", "lives", "delay_seconds"),
    [
        ("a child that has never ended starts at once", [], 0.0),
        ("its first end costs half a second", [0.1], 0.5),
        ("each further one doubles that", [0.1, 0.1, 0.1], 2.0),
        ("up to a limit", [0.1] * 50, LONGEST_DELAY_SECONDS),
        ("having lived for a while wipes the slate clean", [0.1, 0.1, 0.1, SETTLED_SECONDS], 0.5),
        ("having lived for almost a while does not", [0.1, 0.1, SETTLED_SECONDS - 0.1], 2.0),
    ],
)
def test_delay_before_the_next_start(caption: str, lives: list[float], delay_seconds: float) -> None:
    """The delay grows with ends in a row, and forgets them once a child has settled."""
    restarts = Restarts()
    for lived_seconds in lives:
        restarts = restarts.after_exit(lived_seconds)
    assert restarts.delay_seconds == delay_seconds, caption
