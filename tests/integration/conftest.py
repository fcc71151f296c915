"""The servers that these tests may ask for, each started when it is first asked for."""

from tests.support.conversations import certificate, serve
from tests.support.faults import fault_proxy, freezer
from tests.support.kafka_consumers import start_consumer
from tests.support.kafkas import any_kafka, kafka, kafka_cluster, kafka_secured, old_kafka, session_cluster, start_kafka
from tests.support.mariadb_server import mariadb, mysql_driver
from tests.support.names import name_server
from tests.support.postgres_server import postgres_server, start_postgres
from tests.support.prometheus_server import exporter, start_prometheus
from tests.support.rabbitmq_server import rabbitmq_server
from tests.support.redis_server import key_prefix, redis_server, shared_redis, start_redis
from tests.support.sentinels import sentinels

__all__ = [
    "any_kafka", "certificate", "exporter", "fault_proxy", "freezer", "kafka", "kafka_cluster", "kafka_secured",
    "key_prefix", "mariadb", "mysql_driver", "name_server", "old_kafka", "postgres_server", "rabbitmq_server",
    "redis_server", "sentinels", "serve", "session_cluster", "shared_redis", "start_consumer", "start_kafka",
    "start_postgres", "start_prometheus", "start_redis",
]  # fmt: skip
