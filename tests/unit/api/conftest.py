"""Django, set up once for this process, and a service over a store in memory."""

from tests.support.web_service import django_is_set_up, ready_service, ready_store

__all__ = ["django_is_set_up", "ready_service", "ready_store"]
