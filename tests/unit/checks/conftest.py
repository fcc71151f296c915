"""Django, for the kinds that need it."""

from tests.support.django_databases import django

__all__ = ["django"]
