"""Real servers for real sidecars."""

from tests.kafka.conftest import kafka, start_consumer, start_kafka
from tests.support.prometheus_server import exporter, start_prometheus

__all__ = ["exporter", "kafka", "start_consumer", "start_kafka", "start_prometheus"]
