"""The Celery tasks: one that says what is due, one that runs a check. Thin; the work is in `monitor.runner`."""

from monitor.tasks.checks import DISPATCH, RUN_CHECK, beat_schedule, dispatch_queue, register

__all__ = ["DISPATCH", "RUN_CHECK", "beat_schedule", "dispatch_queue", "register"]
