"""Django, set up once for this process."""

from tests.support.web_service import django_is_set_up

__all__ = ["django_is_set_up"]
