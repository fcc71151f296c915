"""Reading consumer groups from a Kafka cluster: how to connect, whom to ask what, and what its failures are called.

``connection`` and ``prometheus`` need no kafka-python. The others stand on its protocol classes and on its connections
(``kafka.protocol``, ``kafka.net``), not on ``KafkaAdminClient``: that one raises at the first error of any group or
partition, retries by itself, and may wait for ever in a TLS handshake. Neither package is documented as stable, so we
need kafka-python >=3,<4, and ``tests/integration/checks/kafka`` hold us to it on real brokers.
"""
