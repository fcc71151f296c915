"""Message schemas in the format of Apache Kafka, read by kafka-python."""
