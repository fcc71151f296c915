"""Capture of the events that the monitor logs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from structlog.testing import LogCapture
from structlog.typing import EventDict

from monitor.lib import logs


@contextmanager
def capture_logs() -> Iterator[list[EventDict]]:
    """Provide the list of the events that are logged within the block, at all levels. They are written nowhere."""
    capture, processors = LogCapture(), list(logs.PROCESSORS)
    logs.PROCESSORS[:] = [capture]
    try:
        yield capture.entries
    finally:
        logs.PROCESSORS[:] = processors
