"""The Kafka consumer probe as a process beside a consumer: light, and answering from what it knows already.

``contract`` makes the bodies of its own endpoints of the states, ``application`` is all endpoints as one WSGI
callable, ``server`` serves it. Without Redis everything is in one process: ``loop`` runs the checks over a store in
memory, ``memories`` keeps what they remember in a file, and ``alone`` puts it together. With Redis
``python -m monitor.sidecar`` is the server, beside the usual roles.
"""
