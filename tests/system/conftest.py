"""The servers that these tests may ask for, and processes of the product and of its users beside them."""

from tests.support.agents import start_agent_worker
from tests.support.celery_nodes import celery_backend, celery_broker, celery_worker
from tests.support.conversations import certificate, serve
from tests.support.earlier_version import earlier_version
from tests.support.faults import fault_proxy, freezer
from tests.support.kafka_consumers import start_consumer
from tests.support.kafkas import any_kafka, kafka, old_kafka, start_kafka
from tests.support.names import name_server
from tests.support.postgres_server import postgres_server, start_postgres
from tests.support.prometheus_server import exporter, start_prometheus
from tests.support.rabbitmq_server import rabbitmq_server
from tests.support.redis_server import key_prefix, redis_server, shared_redis, start_redis
from tests.support.roles import start_monitor
from tests.support.sentinels import sentinels

__all__ = [
    "any_kafka", "celery_backend", "celery_broker", "celery_worker", "certificate", "earlier_version", "exporter",
    "fault_proxy", "freezer", "kafka", "key_prefix", "name_server", "old_kafka", "postgres_server", "rabbitmq_server",
    "redis_server",
    "sentinels", "serve", "shared_redis", "start_agent_worker", "start_consumer", "start_kafka", "start_monitor",
    "start_postgres", "start_prometheus", "start_redis",
]  # fmt: skip
