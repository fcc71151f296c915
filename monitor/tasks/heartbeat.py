"""The one to name where no code may be changed: ``celery -A proj worker -I monitor.tasks.heartbeat``."""

from monitor.agent import attach

attach.to_any_worker()
