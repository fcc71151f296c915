"""Pages of the shop."""

from django.db import connection
from django.http import HttpRequest, HttpResponse


def home(request: HttpRequest) -> HttpResponse:
    """Return a page."""
    return HttpResponse("welcome")


def stock(request: HttpRequest) -> HttpResponse:
    """Return a page that queries the database and names the process that answered."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return HttpResponse(str(cursor.fetchone()[0]))
