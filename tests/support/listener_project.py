"""Settings of a project that reads the bodies of forms, as most projects do."""

from monitor.settings import *  # noqa: F403
from monitor.standalone.settings import MIDDLEWARE

MIDDLEWARE = [*MIDDLEWARE, "django.middleware.csrf.CsrfViewMiddleware"]
