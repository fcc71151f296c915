"""10,000 updates from processes that are killed at random: no transition lost, none twice, and the oracle can tell."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import pytest

from monitor.model.checks import State, Transition
from monitor.ports.store import StateStore
from monitor.store.redis.store import RedisStore
from tests.integration.store.redis.oracle import Input, Violation, read_logs, verify
from tests.integration.store.redis.oracle_worker import ROSTER, guarded, unguarded, work
from tests.support.redis_server import BINARIES, RedisServer

PROCESSES = 4


class Evidence(NamedTuple):
    """What a crowd of processes left behind."""

    inputs: list[Input]
    stored: list[Transition]
    states: dict[str, State]
    kills: int


def let_loose(
    connect: Callable[[str, str], StateStore],
    server: RedisServer,
    prefix: str,
    directory: Path,
    *,
    updates: int,
    kill_every_seconds: float,
) -> Evidence:
    """Four processes at work on the roster, one killed and replaced now and then, until enough was tried."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.integration.store.redis.oracle_worker"])
    chance, crowd, kills = random.Random(7), list[BaseProcess](), 0

    def start(seed: int) -> BaseProcess:
        arguments = (connect, server.url, prefix, str(directory), seed)
        process = context.Process(target=work, args=arguments)  # type: ignore[attr-defined]
        process.start()
        return process

    crowd = [start(seed) for seed in range(PROCESSES)]
    while _tries(directory) < updates:
        time.sleep(chance.uniform(0, 2 * kill_every_seconds))  # a random moment is the point
        victim = chance.randrange(PROCESSES)
        crowd[victim].kill()
        crowd[victim].join()
        kills += 1
        crowd[victim] = start(PROCESSES + kills)
    (directory / "stop").touch()
    for process in crowd:
        process.join(20)
        assert process.exitcode == 0
    store = RedisStore(server.url, prefix=prefix)
    stored = [transition for _, transition in store.states.transitions(limit=100_000)]
    return Evidence(read_logs(directory.glob("*.log")), stored, dict(store.states.read().states), kills)


def _tries(directory: Path) -> int:
    return sum(path.read_bytes().count(b'"try"') for path in directory.glob("*.log"))


@pytest.fixture(scope="module", params=BINARIES)
def evidence(
    request: pytest.FixtureRequest, shared_redis: Callable[[str], RedisServer], tmp_path_factory: pytest.TempPathFactory
) -> Evidence:
    """What the real store leaves behind: 10,000 updates on Redis, fewer on Valkey."""
    updates, directory = (10_000 if request.param == BINARIES[0] else 2_000), tmp_path_factory.mktemp("oracle")
    server = shared_redis(request.param)
    return let_loose(
        guarded, server, f"{directory.name}:{time.time_ns()}:", directory, updates=updates, kill_every_seconds=0.3
    )


def test_no_transition_lost_and_none_twice(evidence: Evidence) -> None:
    """What is stored is what the logged inputs make, id by id; and there was something to lose."""
    verify(evidence.inputs, ROSTER, evidence.stored, evidence.states)
    killed = [item for item in evidence.inputs if item.outcome is None]
    assert len(killed) <= evidence.kills
    assert evidence.kills >= 3
    assert len(evidence.inputs) >= 2_000
    assert len(evidence.stored) > len(evidence.inputs) / 10


def test_a_store_that_forgets_to_compare_is_found_out(
    redis_server: RedisServer, key_prefix: str, tmp_path: Path
) -> None:
    """The same crowd on a store that writes blindly: if the oracle were content, it would prove nothing."""
    evidence = let_loose(unguarded, redis_server, key_prefix, tmp_path, updates=1_000, kill_every_seconds=10)
    with pytest.raises(Violation):
        verify(evidence.inputs, ROSTER, evidence.stored, evidence.states)


def _middle(evidence: Evidence) -> int:
    """A transition that a run was told of, in the middle of the stream."""
    told = {name for item in evidence.inputs for name in item.told}
    middle = len(evidence.stored) // 2
    return next(i for i in range(middle, len(evidence.stored)) if evidence.stored[i].id in told)


def _lose(evidence: Evidence) -> Evidence:
    i = _middle(evidence)
    return evidence._replace(stored=evidence.stored[:i] + evidence.stored[i + 1 :])


def _lose_last(evidence: Evidence) -> Evidence:
    return evidence._replace(stored=evidence.stored[:-1])


def _double(evidence: Evidence) -> Evidence:
    i = _middle(evidence)
    return evidence._replace(stored=evidence.stored[: i + 1] + evidence.stored[i:])


def _renumber(evidence: Evidence) -> Evidence:
    i = _middle(evidence)
    other = replace(evidence.stored[i], sequence=evidence.stored[i].sequence + 1)
    return evidence._replace(stored=[*evidence.stored[:i], other, *evidence.stored[i + 1 :]])


def _credit_another_run(evidence: Evidence) -> Evidence:
    i = _middle(evidence)
    other = replace(evidence.stored[i], run_id="somebody")
    return evidence._replace(stored=[*evidence.stored[:i], other, *evidence.stored[i + 1 :]])


def _lose_a_state(evidence: Evidence) -> Evidence:
    return evidence._replace(states={k: v for k, v in evidence.states.items() if k != "slow"})


def _revert_a_state(evidence: Evidence) -> Evidence:
    states, state = dict(evidence.states), evidence.states["prompt"]
    states["prompt"] = replace(state, result=replace(state.result, run_id="the run before"))
    return evidence._replace(states=states)


def _tell_twice(evidence: Evidence) -> Evidence:
    inputs = list(evidence.inputs)
    told = next(item for item in inputs if item.told)
    return evidence._replace(inputs=[*inputs, replace(told, result=replace(told.result, run_id="x"))])


@pytest.mark.parametrize(
    "damage",
    [_lose, _lose_last, _double, _renumber, _credit_another_run, _lose_a_state, _revert_a_state, _tell_twice],
    ids=lambda damage: damage.__name__.strip("_"),
)
def test_the_oracle_sees_a_single_fault(evidence: Evidence, damage: Callable[[Evidence], Evidence]) -> None:
    """One fault among thousands of right answers is a violation."""
    faulty = damage(evidence)
    with pytest.raises(Violation):
        verify(faulty.inputs, ROSTER, faulty.stored, faulty.states)
