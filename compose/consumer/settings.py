"""What the consumer and the producer are told by their environment: the names the probe reads, too."""

import os

BROKERS = os.environ.get("KAFKA_BROKERS", "localhost:9092").split(",")
GROUP = os.environ.get("KAFKA_GROUP", "orders-consumers")
TOPIC = os.environ.get("KAFKA_TOPIC", "orders")
PARTITIONS = int(os.environ.get("PARTITIONS", "6"))
CLIENT_ID = os.environ.get("HOSTNAME", "consumer")
SECONDS_PER_RECORD = float(os.environ.get("SECONDS_PER_RECORD", "0.01"))
