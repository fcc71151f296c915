"""The Celery tasks. Thin; the work is in `monitor.runner` and its neighbours.

Imported by a project's workers, too (autodiscovery, ``-I monitor.tasks.heartbeat``): nothing is imported here that
they do not need.
"""
