"""The code that runs inside a project's Celery workers: a heartbeat task, a beacon, a direct queue.

It imports only the standard library, celery, kombu and redis (an import contract checks this), because every import
costs memory in the project's processes.
"""
