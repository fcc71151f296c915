"""The monitor's own Celery application, WSGI application, URLs and Django settings."""
