"""Module that adds the agent to a worker without changed code: ``celery -A proj worker -I monitor.tasks.heartbeat``.

It is empty, because importing it imports `monitor.tasks`, which adds the agent.
"""
