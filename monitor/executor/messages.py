"""Messages between a check process and its client: requests and outcomes as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from monitor.config import CheckSpec
from monitor.model.checks import Outcome, Past, Status

MAX_OUTCOME_BYTES = 32 * 1024  # small, because every web process reads the outcome of every check
MAX_MEMORY_BYTES = 8 * 1024 * 1024  # the store reads and writes a memory with every run


class Request(NamedTuple):
    """Request to run a check once."""

    kind: str
    options: Mapping[str, Any]
    timeout_seconds: float
    past: Past


def encode_request(check: CheckSpec, past: Past) -> bytes:
    """Return the message that requests a run of a check."""
    return json.dumps([check.kind, dict(check.options), check.timeout_seconds, past.now, past.memory]).encode()


def decode_request(raw: bytes) -> Request:
    """Return the request in a message that `encode_request` returned."""
    kind, options, timeout_seconds, now, memory = json.loads(raw)
    return Request(kind, options, timeout_seconds, Past(now, memory))


def encode_outcome(outcome: Outcome, response_time_ms: float) -> bytes:
    """Return the response message with an outcome.

    Raise TypeError or ValueError if the outcome cannot be stored, for one of three reasons: it is not JSON, it is
    larger than ``MAX_OUTCOME_BYTES``, or its memory is larger than ``MAX_MEMORY_BYTES``.
    """
    if outcome.memory is not None and len(outcome.memory) > MAX_MEMORY_BYTES:
        raise ValueError(f"the memory has {len(outcome.memory)} characters, more than {MAX_MEMORY_BYTES}")
    children = ",".join(
        f"{json.dumps(name)}:{'null' if child is None else _encode_one(child)}"
        for name, child in outcome.children.items()
    )
    # Joined as text, because `_encode_one` has encoded each outcome already to measure its length.
    return f"[{response_time_ms!r},{_encode_one(outcome)},{{{children}}},{json.dumps(outcome.memory)}]".encode()


def decode_outcome(raw: bytes) -> tuple[Outcome, float]:
    """Return the outcome and the response time in milliseconds from a message that `encode_outcome` returned."""
    response_time_ms, outcome, children, memory = json.loads(raw)
    child_outcomes = {name: None if child is None else _decode(child) for name, child in children.items()}
    return _decode(outcome, children=child_outcomes, memory=memory), response_time_ms


def _encode_one(outcome: Outcome) -> str:
    values: list[Any] = [outcome.status, outcome.data, outcome.reason, outcome.message, outcome.detail]
    values += [outcome.grace, outcome.held, outcome.series]
    text = json.dumps(values, allow_nan=False)
    if len(text) > MAX_OUTCOME_BYTES:
        raise ValueError(f"the outcome has {len(text)} bytes, more than {MAX_OUTCOME_BYTES}")
    return text


def _decode(values: list[Any], **more_fields: Any) -> Outcome:
    status, data, reason, message, detail, grace, held, series = values
    return Outcome(Status(status), data, reason, message, detail, grace, held, series=tuple(series), **more_fields)
