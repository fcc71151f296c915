"""Fixtures of the running whole: nodes of pytest-celery, and the monitor's roles."""

from tests.support.celery_nodes import celery_backend, celery_broker, celery_worker
from tests.support.roles import start_monitor

__all__ = ["celery_backend", "celery_broker", "celery_worker", "start_monitor"]
