"""Queues of a check: those of its options, and those that workers declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor import wiring
from monitor.config import CheckSpec
from monitor.config.loading import load
from monitor.policy.workers.round_state import QueueRoundState, RoundState, encode
from monitor.services.declared_queues import MAX_QUEUES, with_declared_queues
from monitor.testing import MemoryStore
from tests.support.builders import NOW

CHECK = CheckSpec(name="celery", kind="celery", options={"queues": ("celery", "mail"), "broker_url": "redis://h"})


def counted(*declared: str, check: CheckSpec = CHECK) -> tuple[str, ...]:
    """Return the queues that the check counts if the last round knew these queues."""
    store = MemoryStore(lambda: NOW)
    state = RoundState(NOW, queues={name: QueueRoundState(NOW, NOW, instance="i") for name in declared})
    store.workers.store_round(encode(state), emitted={})
    return tuple(with_declared_queues(check, store.workers).options["queues"])


def test_declared_queues_are_added() -> None:
    """Each once, after those of the options."""
    assert counted("webhooks", "mail", "search") == ("celery", "mail", "search", "webhooks")


def test_nothing_changes_without_a_round() -> None:
    """Before the first round, and if no worker has an agent."""
    assert with_declared_queues(CHECK, MemoryStore(lambda: NOW).workers) is CHECK
    assert counted("celery") == ("celery", "mail")


def test_very_many_queues_are_not_all_counted() -> None:
    """An outcome has a limited size. Configured queues are counted in any case."""
    many = [f"q{number}" for number in range(500)]
    assert len(counted(*many)) == MAX_QUEUES
    configured = CHECK.model_copy(update={"options": {"queues": tuple(many)}})
    assert counted("other", check=configured) == tuple(many)


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("", {"celery"}),
        ('broker_queues = ["mail"]', set()),
        ('[checks.celery]\nqueues = ["mail"]', set()),
        ('[checks.celery]\nbroker_url = "redis://elsewhere/0"', set()),
        ("[checks.celery]\nwarning_pending = 100", {"celery"}),
    ],
)
def test_queues_that_the_operator_configures_are_not_extended(toml: str, expected: set[str], tmp_path: Path) -> None:
    """Nor is another broker asked for the project's queues."""
    file = tmp_path / "monitor.toml"
    file.write_text(f'redis_url = "redis://h/0"\n{toml}\n')
    assert wiring._counting_declared_queues(load(file=file, environ={})) == expected
