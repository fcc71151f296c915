"""Django, and databases in its settings."""

from tests.support.django_databases import database_alias, django

__all__ = ["database_alias", "django"]
