"""What is logged of a run, whoever ran it: one event, ``check.completed``, ``check.dropped`` or ``check.lost``."""

from __future__ import annotations

from typing import Any

from monitor.runner import Run


def report(log: Any, run: Run) -> None:
    """Log the run's event with ``log``: quietly when there is nothing to tell."""
    fields: dict[str, Any] = {"reason": run.reason} if run.reason else {}
    if run.result is not None:
        fields |= {"status": run.result.status.value, "duration_ms": run.result.response_time_ms}
        if run.result.message:
            fields["message"] = run.result.message
    for transition in run.transitions:
        fields |= {"transition": transition.id, "was": transition.old.value, "now": transition.new.value}
    quiet = run.event == "completed" and not run.transitions and "message" not in fields
    getattr(log, "debug" if quiet else "info")(f"check.{run.event}", **fields)
