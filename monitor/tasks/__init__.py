"""The Celery tasks. Thin; the work is in `monitor.services.run_check` and its neighbours.

Imported by a project's workers, too (``INSTALLED_APPS`` and autodiscovery), which is all it takes to instrument them:
nothing is imported here that they do not need.
"""

from monitor.agent import attach

attach.instrument_any_worker()
