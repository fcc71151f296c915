"""Judgement of Kafka consumer groups: measurements, windows over time, and the rules."""
