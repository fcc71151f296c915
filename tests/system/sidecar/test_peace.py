"""What is well on a real Kafka, or has only just begun, is never told to be unwell."""

from __future__ import annotations

from uuid import uuid4

from tests.support.kafka_consumers import StartConsumer
from tests.support.kafka_server import KafkaServer
from tests.support.processes import wait_for
from tests.system.sidecar.conftest import StartSidecar
from tests.system.sidecar.test_drill import PARTITIONS, QUICK

UNANSWERED = ("timeout", "coordinator")
"""What a look may come to on a machine that is busy for longer than its time limit: no judgement of the group."""
ROUNDS = 20
"""Looks of one second each: more than three windows."""


def test_nothing_is_wrong(kafka: KafkaServer, start_sidecar: StartSidecar, start_consumer: StartConsumer) -> None:
    """An idle group, an empty topic, one stray record, a group that is seen for the first time while it rebalances.

    The skew's bare formula says 6 of the stray record.
    """
    mark = uuid4().hex[:6]
    idle, empty, stray, fresh = groups = [f"{name}-{mark}" for name in ("idle", "empty", "stray", "fresh")]
    kafka.create_topics(dict.fromkeys(groups, PARTITIONS))
    kafka.produce(idle, 60)
    for name in (idle, empty, stray):
        start_consumer(kafka, name, name).wait_joined(PARTITIONS)
    sidecar = start_sidecar(KAFKA_BROKERS=kafka.bootstrap, KAFKA_GROUP=",".join(groups), **QUICK)
    sidecar.wait_for("/ready", 200)
    newcomers = [start_consumer(kafka, fresh, fresh) for _ in range(2)]
    kafka.produce(stray, 1, key=b"one")

    seen: dict[str, set[str]] = {name: set() for name in groups}
    bad: list[object] = []
    observed: set[str] = set()

    def looked_often_enough() -> bool:
        code, body = sidecar.get("/ready")
        if code != 200 and body.get("reason") not in UNANSWERED:
            bad.append(body)
        whole = sidecar.get("/api/health/checks/kafka/")[1]
        observed.add(str(whole.get("observed_at")))
        for name in groups:
            part = sidecar.get(f"/api/health/checks/group:kafka:{name}/")[1]
            seen[name].add(f"{part.get('status')} {part.get('reason')}")
        return len(observed) > ROUNDS

    wait_for(looked_often_enough, seconds=120, every=0.2, what="so many looks")
    assert bad == []
    assert all("ok None" in told for told in seen.values())
    said = {each for told in seen.values() for each in told if not each.endswith(UNANSWERED)}
    assert said <= {"ok None", "unknown starting", "unknown unknown_group"}  # the newcomers have yet to come
    assert sum(len(each.assignment) for each in newcomers) == PARTITIONS
