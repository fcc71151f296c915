"""Sidecar: a server with the health of a Kafka consumer, which runs beside the consumer.

``verdict`` derives one verdict from the states of all checks. ``contract`` and ``metrics`` format this verdict.
``application`` is the WSGI application with all endpoints, and ``server`` is its HTTP server.

Without Redis everything runs in one process, and each check in a child process. ``loop`` starts the checks and stores
their states in RAM. ``memories`` copies the states and the memories of the checks to a file.
``single_process`` starts the loop and the server.

With Redis, ``python -m monitor.sidecar`` is only the server. A Celery worker and beat run the checks.
"""
