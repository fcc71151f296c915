"""What is to be said of a Kafka consumer group: what was measured, over which time, and the rules that judge it."""
