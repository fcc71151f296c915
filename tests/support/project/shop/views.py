"""The shop's pages."""

from django.db import connection
from django.http import HttpRequest, HttpResponse


def home(request: HttpRequest) -> HttpResponse:
    """A page."""
    return HttpResponse("welcome")


def stock(request: HttpRequest) -> HttpResponse:
    """A page that asks the database; says which of the server's processes answered."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return HttpResponse(str(cursor.fetchone()[0]))
