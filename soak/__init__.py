"""Faults in real Celery workers, and what the monitor says of them: `make soak`, and a subset of it in `make test`."""

EXECUTED = "soak:executed"
"""The stream in which the user's tasks say that they were executed."""
