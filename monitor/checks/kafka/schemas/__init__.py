"""Message schemas in the form of Apache Kafka, for kafka-python to read."""
