"""Whatever Redis refuses of what the agent adds: the worker runs."""

from __future__ import annotations

import pytest

from tests.support.agents import AgentStore, StartAgentWorker
from tests.support.old_celery import VERSIONS
from tests.support.redis_server import StartRedis
from tests.system.agent.refused import ALL_POOLS, NODE, ORDERS, executes, refused_once


@pytest.mark.parametrize("celery", VERSIONS)
@ALL_POOLS
def test_a_redis_user_of_celerys_own_keys(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, celery: str, pool: tuple[str, ...]
) -> None:
    """Redis refuses the one BRPOP in which our key is: the worker goes on without it; later it is tried again."""
    broker, redis = start_redis(), start_redis()
    keys = ("~orders*", "~_kombu*", "~unacked*", "~celery*", "~*.celery.pidbox*", "&*", "+@all")
    broker.client().execute_command("ACL", "SETUSER", "shop", "on", ">pw", *keys)
    env = {"MONITOR_REDIS_URL": redis.url}
    url = f"redis://shop:pw@127.0.0.1:{broker.port}/0"
    worker = start_agent_worker(
        AgentStore(redis.client()), *pool, *ORDERS, node=NODE, broker=url, celery=celery, env=env
    )
    refused_once(worker)
    executes(worker, redis, "done")
    broker.client().execute_command("ACL", "SETUSER", "shop", "~monitor.worker.*")
    worker.beacon(lambda beacon: beacon.direct, what="a beacon with the queue")
    worker.prove()
    broker.client().execute_command("ACL", "SETUSER", "shop", "resetkeys", *keys)
    worker.beacon(lambda beacon: not beacon.direct, what="a beacon without the queue")
    executes(worker, redis, "done-2")
    worker.kill("SIGTERM")
    assert worker.exit_code == 0


def test_a_key_of_another_type(start_redis: StartRedis, start_agent_worker: StartAgentWorker) -> None:
    """Something else has the name of our queue: WRONGTYPE is not the worker's end either."""
    redis = start_redis()
    worker = start_agent_worker(AgentStore(redis.client()), *ORDERS, node=NODE, broker=redis.url)
    redis.client().set(worker.beacon(lambda beacon: beacon.direct).direct_queue, "a text")
    refused_once(worker)
    executes(worker, redis, "done")
