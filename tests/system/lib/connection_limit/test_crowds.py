"""A thousand connections above the bound, held by clients that do nothing: probes on new connections are answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crowd import SHAPES, Crowd, open_files, probe
from tests.support.listeners import PATHS, Listener, listening
from tests.support.processes import wait_for

ABOVE = 1000
LIMITS = [None, 256]
"""Limits on the open files of the server: as it comes, and too few for the usual bound."""


@pytest.fixture(scope="module", params=[(role, limit) for role in PATHS for limit in LIMITS], ids=str)
def listener(request: pytest.FixtureRequest) -> Iterator[Listener]:
    """Each server under each limit."""
    with open_files(4096), listening(*request.param) as listener:
        yield listener


@pytest.mark.parametrize("shape", SHAPES)
def test_probes_are_answered_beside_a_crowd(listener: Listener, shape: str) -> None:
    """And the server keeps no more than its bound. `python -m soak.connections` holds each answer to a second."""
    with Crowd(listener.address, listener.bound + ABOVE, shape) as crowd:
        answers = probe(listener.address, PATHS[listener.role], seconds=1.5)
        wait_for(lambda: crowd.opened == listener.bound + ABOVE, what="every client was connected", seconds=30)
        assert answers.seconds and not answers.failures
        wait_for(lambda: listener.connections() <= listener.bound, seconds=30, what="no more than the bound is kept")


def test_bodies_that_do_not_come_leave_threads_for_probes() -> None:
    """In a project whose middleware reads forms: far fewer clients than the bound, but more than there are threads."""
    project = {"DJANGO_SETTINGS_MODULE": "tests.support.listener_project", "PYTHONPATH": str(Path(__file__).parents[4])}
    with listening("web", **project) as listener, Crowd(listener.address, 20, "half a body") as crowd:
        wait_for(lambda: crowd.opened == 20, what="every client was connected")
        answers = probe(listener.address, PATHS["web"], seconds=1.5)
        assert crowd.held  # some of them are still waited for
        assert answers.seconds and not answers.failures
