"""Client that reads consumer groups from a Kafka cluster: connections, requests and reasons of failures.

``connection`` and ``prometheus`` do not need kafka-python. The other modules use its protocol classes and connections
(``kafka.protocol``, ``kafka.net``), not ``KafkaAdminClient``, which raises at the first error of any group or
partition, retries by itself, and may wait for ever in a TLS handshake. Neither package is documented as stable, so
kafka-python >=3,<4 is required, and ``tests/integration/checks/kafka`` test the packages on real brokers.
"""
