"""What is logged of a run, whoever ran it: one event, ``check.completed``, ``check.dropped`` or ``check.lost``."""

from __future__ import annotations

from typing import Any

from monitor.model import Status
from monitor.runner import Run


def report(log: Any, run: Run) -> None:
    """Log the run's event with ``log``: quietly when there is nothing to tell."""
    fields: dict[str, Any] = {"reason": run.reason} if run.reason else {}
    if run.result is not None:
        fields |= {"status": run.result.status.value, "duration_ms": run.result.response_time_ms}
        if run.result.message:
            fields["message"] = run.result.message
        if note := run.result.data.get("note"):
            fields["note"] = note
    for transition in run.transitions:
        fields |= {"transition": transition.id, "was": transition.old.value, "now": transition.new.value}
    well = run.result is not None and run.result.status is Status.OK
    told = "note" in fields or ("message" in fields and not well)
    quiet = run.event == "completed" and not run.transitions and not told
    getattr(log, "debug" if quiet else "info")(f"check.{run.event}", **fields)
