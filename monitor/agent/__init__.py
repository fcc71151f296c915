"""What lives inside the users' workers: a heartbeat task, a beacon, a direct queue.

Standard library, celery, kombu and redis only (an import contract): a few megabytes in somebody else's process.
"""
