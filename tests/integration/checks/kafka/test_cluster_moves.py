"""Looks at a cluster of three while its nodes die, freeze and come back."""

from __future__ import annotations

import time
import uuid

import pytest

from monitor.checks.kafka.cluster import ClusterSnapshot, observe_cluster
from monitor.checks.kafka.connection import KafkaConnection
from monitor.model.consumer_groups import GroupObservation
from tests.support.kafka_cluster import KafkaCluster
from tests.support.processes import wait_for

GROUPS = 12


@pytest.fixture
def name(kafka_cluster: KafkaCluster) -> str:
    """A topic on all three nodes, and groups whose names begin alike, each one record behind the other."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    kafka_cluster.create_topic(name, partitions=6, replicas=3)
    for partition in range(6):
        kafka_cluster.produce(name, GROUPS, partition=partition)
    for n in range(GROUPS):
        kafka_cluster.commit(f"{name}-{n:02d}", {(name, partition): n for partition in range(6)})
    return name


def looked(kafka: KafkaCluster, *groups: str, timeout_seconds: float = 10.0, brokers: str = "") -> ClusterSnapshot:
    """A look, within its time."""
    started_at = time.monotonic()
    found = observe_cluster(
        KafkaConnection(brokers=tuple((brokers or kafka.bootstrap).split(","))),
        groups=groups,
        timeout_seconds=timeout_seconds,
    )
    assert time.monotonic() - started_at < timeout_seconds + 2
    return found


def lag(sight: GroupObservation) -> int | None:
    """The sum over its partitions, None when one is not known."""
    known = [
        at.end - at.committed for at in sight.partitions.values() if at.end is not None and at.committed is not None
    ]
    return sum(known) if len(known) == len(sight.partitions) == 6 and sight.problem is None else None


def expected(name: str) -> dict[str, int | None]:
    """What each group lags."""
    return {f"{name}-{n:02d}": 6 * (GROUPS - n) for n in range(GROUPS)}


def right(found: ClusterSnapshot, name: str) -> bool:
    """Whether all groups are seen with what they lag."""
    return {group: lag(sight) for group, sight in found.groups.items()} == expected(name)


def test_all_nodes_are_asked_once(kafka_cluster: KafkaCluster, name: str) -> None:
    """One request for each coordinator and each leader."""
    found = looked(kafka_cluster, f"{name}-*", timeout_seconds=20)
    assert right(found, name)
    coordinators = len({kafka_cluster.coordinator(group).node_id for group in found.groups})
    assert found.requests["ListGroups"] == 3
    assert found.requests["FindCoordinator"] == 1
    assert found.requests["DescribeGroups"] == found.requests["OffsetFetch"] == coordinators
    assert 6 <= found.requests["ListOffsets"] <= 3 * 12, "ends, beginnings, and the search for the age of what waits"


def test_killed_coordinator(kafka_cluster: KafkaCluster, name: str) -> None:
    """Each look ends in its time; within seconds another node answers for the group, with the same numbers."""
    kafka_cluster.coordinator(f"{name}-00").kill()
    wait_for(
        lambda: right(looked(kafka_cluster, *expected(name)), name),
        seconds=120,
        every=0.5,
        what="the groups have moved",
    )
    kafka_cluster.revive()
    wait_for(lambda: right(looked(kafka_cluster, f"{name}-*"), name), seconds=120, every=0.5, what="all is well again")


def test_frozen_node(kafka_cluster: KafkaCluster, name: str) -> None:
    """What it coordinates and leads is said to be out of reach, the rest is seen, in time."""
    frozen = kafka_cluster.coordinator(f"{name}-00")
    moved = {group for group in expected(name) if kafka_cluster.coordinator(group) is not frozen}
    others = ",".join(node.bootstrap for node in kafka_cluster.nodes.values() if node is not frozen)
    frozen.freeze()
    found = looked(kafka_cluster, *expected(name), timeout_seconds=4.0, brokers=others)
    # The others may have put it out in the meantime; what is seen is right in any case.
    for group, sight in found.groups.items():
        assert sight.problem in (None, "coordinator")
        assert group not in moved or sight.problem is None or len(moved) == 0
        assert lag(sight) in (None, expected(name)[group])
        assert {at.problem for at in sight.partitions.values()} <= {None, "leader"}
    wait_for(
        lambda: right(looked(kafka_cluster, *expected(name), brokers=others), name),
        seconds=120,
        every=0.5,  # three brokers share this machine with whoever asks
        what="the others have taken over",
    )
    frozen.thaw()


def test_pattern_while_a_node_is_away(kafka_cluster: KafkaCluster, name: str) -> None:
    """Groups that a silent node coordinates are not lost: those of an earlier look are asked for, the node is named."""
    frozen = kafka_cluster.coordinator(f"{name}-00")
    others = tuple(node.bootstrap for node in kafka_cluster.nodes.values() if node is not frozen)
    frozen.freeze()
    remembered = dict.fromkeys(expected(name), ()) | {"another": ()}
    found = observe_cluster(
        KafkaConnection(brokers=others), groups=(f"{name}-*",), timeout_seconds=4.0, remembered=remembered
    )
    frozen.thaw()
    if found.silent_brokers:
        assert found.silent_brokers == (frozen.bootstrap,)
        assert set(found.groups) == set(expected(name))
    else:  # put out of the cluster before we came
        assert set(found.groups) <= set(expected(name))


def test_one_entrance_is_enough(kafka_cluster: KafkaCluster, name: str) -> None:
    """Any one address of the cluster leads to the others."""
    for node in kafka_cluster.nodes.values():
        assert right(looked(kafka_cluster, *expected(name), brokers=node.bootstrap), name)
