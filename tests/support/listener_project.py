"""Settings of a project that reads what forms post, as most do."""

from monitor.settings import *  # noqa: F403
from monitor.standalone.settings import MIDDLEWARE

MIDDLEWARE = [*MIDDLEWARE, "django.middleware.csrf.CsrfViewMiddleware"]
