"""What a start of a worker is called: targets, queues, and what monitors and agents of earlier versions make of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from monitor.agent import instrumentation
from monitor.agent.protocol import Beacon, decode, direct_queue, encode, instance_target
from monitor.lib import decoding

ID = "0123456789abcdef"
BEACON = Beacon("w@h", "h", 1, "prefork", 2, 10.0, 100.0, direct=True, instance=ID)
NEW = replace(BEACON, direct_queue=direct_queue(instance_target("w@h", ID)))


def test_each_start_of_a_worker_has_a_queue_of_its_own() -> None:
    """Its name is in the beacon, and comes back whether it is consumed or not."""
    assert NEW.direct_queue == f"monitor.worker.w@h.{ID}"
    assert NEW.target == f"w@h.{ID}"
    for beacon in (NEW, replace(NEW, direct=False)):
        assert decode(encode(beacon)) == beacon


def test_a_beacon_of_an_earlier_version_names_no_queue() -> None:
    """Its heartbeats go to the queue of its node's name."""
    value = json.loads(encode(BEACON))
    del value["direct_queue"]
    found = decode(json.dumps(value))
    assert found == BEACON
    assert found.direct
    assert direct_queue(found.target) == "monitor.worker.w@h"


def test_a_monitor_of_an_earlier_version_sends_no_heartbeat_that_nothing_consumes() -> None:
    """It reads that the worker has no queue of its own, and judges it without heartbeats."""
    assert json.loads(encode(NEW))["direct"] is False
    assert json.loads(encode(BEACON))["direct"] is True


@pytest.mark.parametrize("node", ["w" * 222, "w" * 240, "größe@" + "ü" * 116, "w@" + "🦊" * 59], ids=len)
def test_a_long_name_is_cut_in_the_queue_s_name_alone(node: str) -> None:
    """RabbitMQ permits 255 bytes; two starts have two queues all the same."""
    targets = [instance_target(node, instance) for instance in (ID, ID[::-1])]
    assert targets[0] != targets[1]
    for target in targets:
        queue = direct_queue(target)
        assert len(queue.encode()) <= decoding.OBJECT_NAME_BYTES
        assert queue.encode().decode() == queue
    found = decode(encode(replace(NEW, node=node, direct_queue=direct_queue(targets[0]))))
    assert found is not None
    assert (found.node, found.target) == (node, targets[0])


def test_each_start_has_another_id() -> None:
    """Of a worker of the same name; of one that was not started here there is none."""
    instrumentation.begin_instance("w@identity")
    first = instrumentation.instance_of("w@identity")
    instrumentation.begin_instance("w@identity")
    assert len(first) == 16
    assert instrumentation.instance_of("w@identity") != first
    assert instrumentation.instance_of("other@identity") == ""
