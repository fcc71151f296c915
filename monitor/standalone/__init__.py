"""The monitor's own Celery application, WSGI application, URLs and Django settings."""

from monitor.lib import extras

extras.require("server", "monitor.standalone")
