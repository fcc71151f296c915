"""Client that reads consumer groups from a Kafka cluster: connections, requests and reasons of failures.

The modules ``connection`` and ``prometheus`` do not import kafka-python. The other modules use its packages
``kafka.protocol`` and ``kafka.net``, not its class ``KafkaAdminClient``: this class raises at the first error of any
group or partition, retries by itself, and may wait for ever in a TLS handshake. The two packages are
not documented as stable. So kafka-python >=3,<4 is required, and ``tests/integration/checks/kafka`` test
them with real brokers.
"""
