"""A Django that is set up."""

from tests.support.web_service import django_is_set_up

__all__ = ["django_is_set_up"]
