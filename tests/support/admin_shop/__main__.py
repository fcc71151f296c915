"""`python -m tests.support.admin_shop PORT`: migrate, make two users (ada is staff, bob is not), serve."""

from __future__ import annotations

import os
import socketserver
import sys
from wsgiref.simple_server import WSGIServer, make_server

import django
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.support.admin_shop.settings"
    django.setup()
    from django.contrib.auth.models import User

    call_command("migrate", verbosity=0)
    User.objects.create_superuser("ada", password="lovelace")
    User.objects.create_user("bob", password="builder")
    make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application(), _Server).serve_forever()
