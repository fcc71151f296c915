"""Celery tasks of the monitor. They are thin: the work is in `monitor.services`.

A project's workers import this package too (``INSTALLED_APPS`` and autodiscovery), and the import instruments them.
Therefore it imports nothing that a project's worker does not need.
"""

from monitor.agent import attach

attach.instrument_any_worker()
