"""Module to name where no code may be changed: ``celery -A proj worker -I monitor.tasks.heartbeat``.

It is empty: importing it imports `monitor.tasks`, which instruments the worker.
"""
