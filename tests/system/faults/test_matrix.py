"""The subset of `make soak` that runs with every `make test`: 1 s between heartbeats, the workers' Celery is ours.

The cases run side by side: each is a neighbour of the others, and none may be told of another's fault. The whole
table, at 5 s and with an older Celery too, is recorded in docs/soak.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from soak import faults, report
from soak.cases import CASES, Case, stage_queues
from soak.play import Outcome, play
from soak.stage import Stage

INTERVAL = 1.0
SLACK_SECONDS = 3.0  # fifteen workers die and come back at once, on two processors
TOGETHER = tuple(case for case in CASES if case.in_tests)
OF_REDIS = tuple(
    dataclasses.replace(case, title="Redis frozen for 8 s", fault=faults.freeze_redis(8), lasts=4.0)
    for case in CASES
    if case.name == "redis-frozen"
)


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, Outcome]]:
    """What came of each case; those of workers are played at once, those of Redis after them."""
    yield {outcome.case.name: outcome for cases in (TOGETHER, OF_REDIS) for outcome in _played(cases)}


@pytest.mark.parametrize("name", [case.name for case in (*TOGETHER, *OF_REDIS)])
def test_the_right_thing_is_said_of_the_right_worker_in_time(name: str, outcomes: dict[str, Outcome]) -> None:
    """Within 3 intervals of the fault (and its threshold), nothing else is said, and all is well within 2 again."""
    assert outcomes[name].wrong() == []


def _played(cases: tuple[Case, ...]) -> list[Outcome]:
    with Stage(INTERVAL, queues=stage_queues(cases)) as stage:
        outcomes = play(stage, cases, slack_seconds=SLACK_SECONDS)
    print(report.text(outcomes))
    return outcomes
