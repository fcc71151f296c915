"""Whatever RabbitMQ refuses of what the agent adds: the worker runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from monitor.agent.direct_queue import RETRY_AT_LEAST_SECONDS
from tests.support.agents import AgentStore, StartAgentWorker
from tests.support.faults import Freezer
from tests.support.old_celery import VERSIONS
from tests.support.rabbitmq_server import RabbitServer
from tests.support.redis_server import RedisServer, StartRedis
from tests.system.agent.refused import ALL_POOLS, NODE, ORDERS, REFUSED, executes, refused_once

CELERYS_OWN = "^(celery.*|orders|.*[.]celery[.]pidbox|reply[.]celery[.]pidbox|celeryev.*|amq[.]gen.*)$"
"""The permissions that Celery's documentation leads to: its own names, and those of the project's queues."""


class Shop:
    """A RabbitMQ user `shop` of the session's server."""

    def __init__(self, server: RabbitServer) -> None:
        self._server = server
        self.url = f"amqp://shop:secret@127.0.0.1:{server.port}//"
        server.add_user("shop", "secret")
        self.permit(".*")

    def permit(self, configure: str) -> None:
        """Let it configure and read resources of these names, and write to all."""
        self._server.permit("shop", configure=configure, read=configure)

    def limit(self, limits: Mapping[str, int]) -> None:
        """Set its limits."""
        self._server.limit("shop", limits)


@pytest.fixture
def shop(rabbitmq_server: RabbitServer) -> Iterator[Shop]:
    """The user, for one test. What an earlier test's worker had not acknowledged when it was killed is dropped."""
    for queue in rabbitmq_server.queues():
        rabbitmq_server.purge_queue(queue)
    yield Shop(rabbitmq_server)
    rabbitmq_server.delete_user("shop")


@pytest.fixture
def redis(start_redis: StartRedis) -> RedisServer:
    """The monitor's store."""
    return start_redis()


@pytest.mark.parametrize("celery", VERSIONS)
@ALL_POOLS
def test_permissions_for_celerys_own_names(
    shop: Shop, redis: RedisServer, start_agent_worker: StartAgentWorker, celery: str, pool: tuple[str, ...]
) -> None:
    """RabbitMQ refuses the agent's queue: the worker runs, and one line says that it does without."""
    shop.permit(CELERYS_OWN)
    env = {"MONITOR_REDIS_URL": redis.url}
    store = AgentStore(redis.client())
    worker = start_agent_worker(store, *pool, *ORDERS, node=NODE, broker=shop.url, celery=celery, env=env)
    refused_once(worker)
    assert worker.beacon().queues == ("orders",)
    executes(worker, redis, "done")
    worker.kill("SIGTERM")
    assert worker.exit_code == 0


def test_permissions_for_celerys_own_names_where_checks_run(
    shop: Shop, redis: RedisServer, start_agent_worker: StartAgentWorker
) -> None:
    """With `run_checks=True` there are three more queues to refuse, and the project's tasks are executed as ever."""
    shop.permit(CELERYS_OWN)
    env = {"MONITOR_REDIS_URL": redis.url, "TEST_INSTALL": "run_checks"}
    worker = start_agent_worker(AgentStore(redis.client()), "-c", "1", *ORDERS, node=NODE, broker=shop.url, env=env)
    refused_once(worker)
    executes(worker, redis, "done")
    assert worker.logs().count("this worker runs no checks from it") == 3


def test_permissions_that_come_later(shop: Shop, redis: RedisServer, start_agent_worker: StartAgentWorker) -> None:
    """The queue is tried again: the worker need not be restarted. And permissions that go change nothing."""
    shop.permit(CELERYS_OWN)
    env = {"MONITOR_REDIS_URL": redis.url}
    worker = start_agent_worker(AgentStore(redis.client()), *ORDERS, node=NODE, broker=shop.url, env=env)
    refused_once(worker)
    shop.permit(".*")
    worker.beacon(lambda beacon: beacon.direct, what="a beacon with the queue")
    worker.prove()
    shop.permit(CELERYS_OWN)
    executes(worker, redis, "done")


def test_a_reconnect_without_permissions(
    shop: Shop, rabbitmq_server: RabbitServer, redis: RedisServer, start_agent_worker: StartAgentWorker
) -> None:
    """They were taken away, and the connection breaks: the worker comes back without the queue."""
    env = {"MONITOR_REDIS_URL": redis.url}
    worker = start_agent_worker(AgentStore(redis.client()), *ORDERS, node=NODE, broker=shop.url, env=env)
    worker.beacon(lambda beacon: beacon.direct)
    worker.prove()
    shop.permit(CELERYS_OWN)
    rabbitmq_server.close_connections()
    worker.beacon(lambda beacon: beacon.restarts > 0 and not beacon.direct, what="a reconnect without the queue")
    executes(worker, redis, "done")
    assert worker.logs().count(REFUSED) == 1


@pytest.mark.parametrize("attempt", range(3))
def test_heartbeats_that_wait_when_a_worker_connects(
    rabbitmq_server: RabbitServer,
    redis: RedisServer,
    start_agent_worker: StartAgentWorker,
    freezer: Freezer,
    attempt: int,
) -> None:
    """They come with the answer to the subscription, when the pool is not yet in the loop: it executes all the same."""
    node = f"waiting{attempt}@host"
    env = {"MONITOR_REDIS_URL": redis.url}
    store = AgentStore(redis.client())
    worker = start_agent_worker(store, "-c", "1", *ORDERS, node=node, broker=rabbitmq_server.url, env=env)
    worker.beacon(lambda beacon: beacon.direct, what="a beacon with the queue")
    freezer.freeze(worker.pid)
    rabbitmq_server.close_connections()
    for _ in range(5):
        worker.heartbeat()
    freezer.thaw(worker.pid)
    worker.beacon(lambda beacon: beacon.restarts > 0 and beacon.direct, what="a reconnect with the queue")
    worker.prove()
    executes(worker, redis, "done")


def test_a_queue_that_was_declared_otherwise(
    rabbitmq_server: RabbitServer, redis: RedisServer, start_agent_worker: StartAgentWorker
) -> None:
    """PRECONDITION_FAILED, until the other queue is gone."""
    env = {"MONITOR_REDIS_URL": redis.url}
    worker = start_agent_worker(
        AgentStore(redis.client()), *ORDERS, node="w2@host", broker=rabbitmq_server.url, env=env
    )
    own = worker.beacon(lambda beacon: beacon.direct).direct_queue
    with rabbitmq_server.connect() as connection:
        channel = connection.channel()
        channel.queue_delete(own)
        channel.queue_declare(own, durable=True, auto_delete=False, arguments={"x-max-priority": 3})
        refused_once(worker)
        executes(worker, redis, "done")
        tried_again = worker.beacon().up_seconds + RETRY_AT_LEAST_SECONDS + 2
        worker.beacon(lambda beacon: beacon.up_seconds > tried_again, what="another attempt")
        refused_once(worker)
        channel.queue_delete(own)
    worker.beacon(lambda beacon: beacon.direct, what="a beacon with the queue")
    worker.prove()


def test_a_queue_that_is_deleted(
    rabbitmq_server: RabbitServer, redis: RedisServer, start_agent_worker: StartAgentWorker
) -> None:
    """The broker cancels the subscription: the worker keeps its connection, and the queue is declared again."""
    env = {"MONITOR_REDIS_URL": redis.url}
    worker = start_agent_worker(AgentStore(redis.client()), *ORDERS, node=NODE, broker=rabbitmq_server.url, env=env)
    own = worker.beacon(lambda beacon: beacon.direct).direct_queue
    with rabbitmq_server.connect() as connection:
        connection.channel().queue_delete(own)
    worker.beacon(lambda beacon: not beacon.direct, what="a beacon without the queue")
    executes(worker, redis, "done")
    assert worker.beacon(lambda beacon: beacon.direct, what="a beacon with the queue").restarts == 0
    worker.prove()


def test_a_limit_of_channels(
    shop: Shop, rabbitmq_server: RabbitServer, redis: RedisServer, start_agent_worker: StartAgentWorker
) -> None:
    """RabbitMQ ends the whole connection of who opens one too many: that is not tried again."""
    shop.limit({"max-channels": 1})
    env = {"MONITOR_REDIS_URL": redis.url}
    options = (*ORDERS, "--without-heartbeat")
    variables = {**env, "TEST_CONF": "{'worker_enable_remote_control': False, 'worker_send_task_events': False}"}
    reached = {"broker": shop.url, "sent_to": rabbitmq_server.url}  # the test publishes as a user without the limit
    worker = start_agent_worker(AgentStore(redis.client()), *options, node=NODE, **reached, env=variables)
    worker.beacon(lambda beacon: not beacon.direct and beacon.connected and beacon.up_seconds > 3)
    executes(worker, redis, "done")
    assert worker.logs().count(REFUSED) == 1
    assert worker.beacon().restarts <= 1


def test_quorum_queues_get_no_warning_for_ours(
    rabbitmq_server: RabbitServer, redis: RedisServer, start_agent_worker: StartAgentWorker
) -> None:
    """Celery binds its queues to exchanges for delayed delivery, and warns of those that it cannot: not of ours."""
    conf = "{'task_default_queue_type': 'quorum', 'task_default_exchange_type': 'topic', 'task_default_queue': 'q1'}"
    env = {"MONITOR_REDIS_URL": redis.url, "TEST_CONF": conf}
    worker = start_agent_worker(AgentStore(redis.client()), "-c", "1", node=NODE, broker=rabbitmq_server.url, env=env)
    worker.beacon(lambda beacon: beacon.direct)
    worker.prove()
    assert "quorum" in worker.logs().lower() or "Global QoS is disabled" in worker.logs()
    assert "direct exchange" not in worker.logs().lower()
    assert worker.beacon().direct_queue not in worker.logs()
