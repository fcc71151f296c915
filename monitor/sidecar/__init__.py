"""Kafka consumer probe that runs beside a consumer.

``verdict`` derives one verdict from the states of the checks. ``contract`` and ``metrics`` present it. ``application``
is the WSGI application with all endpoints, and ``server`` serves it. All responses come from states in memory.

Without Redis everything runs in one process: ``loop`` runs the checks over a store in memory, ``memories`` keeps their
memories in a file, and ``single_process`` combines these. With Redis ``python -m monitor.sidecar`` is the server,
beside the usual roles.
"""
