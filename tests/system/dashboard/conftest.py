"""A real Chromium, and the page over a scripted API."""

from tests.support.browser import chromium, open_page, raise_stage, stage
from tests.support.web_service import django_is_set_up

__all__ = ["chromium", "django_is_set_up", "open_page", "raise_stage", "stage"]
