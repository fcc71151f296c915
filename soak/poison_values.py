"""Poisoned values: 24 kinds of what is not what the product would have written, each from a seed of its own.

Each kind takes a value that the product has written (a template) and breaks it in one place, or writes what it never
writes. A kind returns the Redis commands of one value, so a failure is played again by its seed and number.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from soak import poison_alerting, poison_history, poison_sizes, poison_states
from soak.poison_broken import Command, Templates

Make = Callable[[random.Random, Templates], Sequence[Command]]


@dataclass(frozen=True)
class Kind:
    """One kind of poison: how many values a full run writes, and how one is made."""

    name: str
    make: Make
    values: int = 125


KINDS: tuple[Kind, ...] = (
    Kind("states", poison_states.states),
    Kind("runtime-states", poison_states.runtime_states),
    Kind("state-names", poison_states.state_names),
    Kind("flights", poison_states.flights),
    Kind("beacons", poison_states.beacons),
    Kind("beacon-stamps", poison_states.beacon_stamps),
    Kind("beacon-names", poison_states.beacon_names),
    Kind("heartbeats", poison_states.heartbeats),
    Kind("transitions", poison_states.transitions),
    Kind("transition-names", poison_states.transition_names),
    Kind("round-state", poison_states.round_state),
    Kind("history-lines", poison_history.history_lines),
    Kind("history-hours", poison_history.history_hours),
    Kind("history-days", poison_history.history_days),
    Kind("history-indexes", poison_history.history_indexes),
    Kind("notices", poison_alerting.notices),
    Kind("alerts", poison_alerting.alerts),
    Kind("silences", poison_alerting.silences),
    Kind("memories", poison_states.memories),
    Kind("memory-bombs", poison_sizes.memory_bombs, values=40),
    Kind("wrong-types", poison_sizes.wrong_types, values=125),
    Kind("huge-values", poison_sizes.huge_values, values=30),
    Kind("huge-collections", poison_sizes.huge_collections, values=25),
    Kind("mixed", lambda rng, known: rng.choice(KINDS[:-4]).make(rng, known), values=130),
)
"""24 kinds, 2,725 values in a full run."""
