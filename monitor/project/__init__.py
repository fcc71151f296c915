"""The Django + Celery project in which the monitor runs."""
