"""What a check process and its client say to one another: requests and outcomes as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from monitor.config import CheckSpec
from monitor.model.checks import Outcome, Past, Status

MAX_OUTCOME_BYTES = 32 * 1024  # a state is kept for each check and read by every probe process
MAX_MEMORY_BYTES = 8 * 1024 * 1024  # read and written with every run


class Request(NamedTuple):
    """A check to run."""

    kind: str
    options: Mapping[str, Any]
    timeout_seconds: float
    past: Past


def encode_request(check: CheckSpec, past: Past) -> bytes:
    """The request to run a check."""
    return json.dumps([check.kind, dict(check.options), check.timeout_seconds, past.now, past.memory]).encode()


def decode_request(raw: bytes) -> Request:
    """The request."""
    kind, options, timeout_seconds, now, memory = json.loads(raw)
    return Request(kind, options, timeout_seconds, Past(now, memory))


def encode_outcome(outcome: Outcome, response_time_ms: float) -> bytes:
    """The reply to a request.

    Raises TypeError or ValueError for what cannot be stored: no JSON, or more bytes than a state or a memory may have.
    """
    if outcome.memory is not None and len(outcome.memory) > MAX_MEMORY_BYTES:
        raise ValueError(f"a memory of {len(outcome.memory)} characters is longer than {MAX_MEMORY_BYTES}")
    parts = ",".join(
        f"{json.dumps(name)}:{'null' if part is None else _encode(part)}" for name, part in outcome.children.items()
    )
    # Joined by hand, so that what was measured against its limit is not encoded again.
    return f"[{response_time_ms!r},{_encode(outcome)},{{{parts}}},{json.dumps(outcome.memory)}]".encode()


def decode_outcome(raw: bytes) -> tuple[Outcome, float]:
    """The outcome and the response time in milliseconds."""
    response_time_ms, whole, parts, memory = json.loads(raw)
    found = {name: None if part is None else _decode(part) for name, part in parts.items()}
    return _decode(whole, children=found, memory=memory), response_time_ms


def _encode(outcome: Outcome) -> str:
    values: list[Any] = [outcome.status, outcome.data, outcome.reason, outcome.message, outcome.detail]
    values += [outcome.grace, outcome.held, outcome.series]
    text = json.dumps(values, allow_nan=False)
    if len(text) > MAX_OUTCOME_BYTES:
        raise ValueError(f"{len(text)} bytes are more than {MAX_OUTCOME_BYTES}")
    return text


def _decode(values: list[Any], **more: Any) -> Outcome:
    status, data, reason, message, detail, grace, held, series = values
    return Outcome(Status(status), data, reason, message, detail, grace, held, series=tuple(series), **more)
