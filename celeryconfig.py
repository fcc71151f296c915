"""Celery's configuration, for those who look for it here: ``celery --config celeryconfig ...``.

Not in the wheel: on site-packages, every application without a configuration would load it.
"""

from monitor.celery_app import settings

globals().update(settings())
