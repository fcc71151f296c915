"""Messages of Kafka's protocol that kafka-python lacks: descriptions of the groups of KIP-848."""

from __future__ import annotations

from kafka.protocol.api_message import ApiMessage

_SCHEMAS = "monitor.checks.kafka.schemas"


class ConsumerGroupDescribeRequest(ApiMessage, load_json=_SCHEMAS):  # type: ignore[misc,call-arg]
    """Request of API 69, on brokers since 3.7; see its schema for the fields."""


class ConsumerGroupDescribeResponse(ApiMessage, load_json=_SCHEMAS):  # type: ignore[misc,call-arg]
    """Response of a coordinator to ``ConsumerGroupDescribeRequest``."""
