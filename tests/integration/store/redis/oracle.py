"""An oracle outside Redis: replays the inputs that each process logged before its call, and compares.

Each process appends to a log of its own, one line of JSON per event: ``try`` (forced to disk) before
``update``, then ``done`` with the ids of the transitions it got, or ``lost``. A process that was
killed leaves at most one ``try`` of which nobody knows whether it was applied: both are replayed.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.config import CheckSpec
from monitor.model.checks import Result, State, Status, Transition
from monitor.policy import advance


class Violation(Exception):
    """The store does not hold what the inputs make."""


class Log:
    """What one process did, so that it outlives the process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def before(self, **event: Any) -> None:
        """Say what is about to be tried; on disk when this returns."""
        self.after(**event)
        os.fsync(self._file)

    def after(self, **event: Any) -> None:
        """Say what came of it; with the system, which outlives a killed process, when this returns."""
        os.write(self._file, json.dumps(event).encode() + b"\n")


@dataclass
class Input:
    """One call of ``update``; ``outcome`` is None when the process was killed before it could tell."""

    token: int
    check: str
    result: Result
    outcome: str | None = None
    told: list[str] = field(default_factory=list)


def make_result(run_id: str, status: str, taken_at: float) -> Result:
    """The same result for the process that stores it and for the oracle."""
    return Result(run_id, Status(status), taken_at, taken_at + 30, 1.0)


def read_logs(paths: Iterable[Path]) -> list[Input]:
    """Every input of every process, in the order of the flights' tokens."""
    inputs: dict[str, Input] = {}
    for path in paths:
        for line in path.read_bytes().split(b"\n"):
            if not line.endswith(b"}"):
                continue  # nothing, or the line in which the process was killed
            event = json.loads(line)
            run_id = event["run"]
            if event["event"] == "try":
                result = make_result(run_id, event["status"], event["taken_at"])
                inputs[run_id] = Input(event["token"], event["check"], result)
            else:
                inputs[run_id].outcome = event["event"]
                inputs[run_id].told = event.get("ids", [])
    return sorted(inputs.values(), key=lambda item: item.token)


def verify(
    inputs: list[Input],
    roster: Mapping[str, CheckSpec],
    stored: list[Transition],
    states: Mapping[str, State],
) -> None:
    """Raises Violation unless ``stored`` and ``states`` are exactly what the inputs make, check by check."""
    ids = [transition.id for transition in stored]
    if len(set(ids)) != len(ids):
        raise Violation("a transition is stored twice")
    told = [name for item in inputs for name in item.told]
    if len(set(told)) != len(told):
        raise Violation("a transition was handed to two runs")
    unknown = {t.id for t in stored} - set(told)
    killed = {item.result.run_id for item in inputs if item.outcome is None}
    if any(t.run_id not in killed for t in stored if t.id in unknown):
        raise Violation("a transition was handed to nobody, though its run was not killed")
    for name, check in roster.items():
        mine = [item for item in inputs if item.check == name and item.outcome != "lost"]
        _verify_check(mine, check, [t for t in stored if t.check == name], states.get(name))


def _verify_check(inputs: list[Input], check: CheckSpec, stored: list[Transition], final: State | None) -> None:
    for before, after in itertools.pairwise(stored):
        if after.sequence <= before.sequence:
            raise Violation(f"{check.name}: {before.sequence} is followed by {after.sequence}")
    # A branch is a state, and how many of the stored transitions have led to it.
    branches: set[tuple[str, int]] = set()
    values: dict[str, State | None] = {repr(None): None}
    branches.add((repr(None), 0))
    for item in inputs:
        grown = set(branches) if item.outcome is None else set()
        for key, count in branches:
            state, made = advance(values[key], item.result, check)
            if tuple(stored[count : count + len(made)]) == made:
                values[repr(state)] = state
                grown.add((repr(state), count + len(made)))
        if not grown:
            raise Violation(f"{check.name}: input {item.token} makes a transition that is not stored, or another one")
        branches = grown
    if (repr(final), len(stored)) not in branches:
        raise Violation(f"{check.name}: no replay ends in what is stored")
