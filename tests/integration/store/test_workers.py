"""What workers write and what rounds note, over every store there is."""

from __future__ import annotations

import time

import pytest

from monitor.agent.protocol import Beacon, target_field
from monitor.ports.store import Store
from monitor.ports.workers import ExecutedHeartbeat, StoredBeacon
from monitor.store.memory.store import MemoryStore


def test_the_notes_of_a_round_are_there_in_the_next(store: Store) -> None:
    """By the store's clock; before the first round there are none."""
    assert store.workers.report().round_state == store.workers.round_state() == b""
    store.workers.store_round(b"notes", emitted={target_field("queue", "celery"): 1.5})
    sighting = store.workers.report()
    assert (sighting.round_state, sighting.beacons, sighting.executed) == (b"notes", {}, {})
    assert store.workers.round_state() == b"notes"
    assert sighting.now == pytest.approx(time.time(), abs=5)


def test_what_is_set_aside_is_counted(store: Store) -> None:
    """By kind, and over all of the store."""
    store.workers.count_rejected("round_state", 2)
    store.workers.count_rejected("round_state")
    store.workers.count_rejected("beacon", 0)
    assert store.rejected_counts() == {"round_state": 3}


def test_a_worker_that_is_gone_is_forgotten() -> None:
    """In memory, where a test is the worker: its beacon, and the heartbeat that it has executed."""
    store = MemoryStore()
    beacon = Beacon("w@h", "h", 1, "prefork", 2, 10.0, 100.0)
    store.workers.beacons["w@h"] = StoredBeacon(beacon, 1.0)
    store.workers.executed[target_field("worker", "w@h")] = ExecutedHeartbeat(1.0, 2.0, "w@h")
    assert list(store.workers.report().beacons) == ["w@h"]
    assert store.workers.connected([beacon]) is None
    store.workers.store_round(b"", emitted={}, removed=[beacon])
    assert (store.workers.report().beacons, store.workers.report().executed) == ({}, {})
