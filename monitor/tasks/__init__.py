"""Celery tasks of the monitor, which call functions of `monitor.services`.

A project's workers import this package too (``INSTALLED_APPS`` and autodiscovery). The import adds the agent to the
worker. Therefore this package imports nothing that a project's worker does not need.
"""

from monitor.agent import attach

attach.instrument_any_worker()
