"""The Kafka consumer probe as a process beside a consumer: light, and answering from what it knows already.

``verdict`` is what the states come to, ``contract`` and ``metrics`` say it, ``application`` is all endpoints as one
WSGI callable, ``server`` serves it. Without Redis everything is in one process: ``loop`` runs the checks over a store
in memory, ``memories`` keeps what they remember in a file, and ``alone`` puts it together. With Redis
``python -m monitor.sidecar`` is the server, beside the usual roles.
"""
