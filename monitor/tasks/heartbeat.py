"""Module that instruments a worker without a change of code: ``celery -A proj worker -I monitor.tasks.heartbeat``.

It is empty: its import imports `monitor.tasks`, which instruments the worker.
"""
