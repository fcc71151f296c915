"""What the tests of the kinds share: Django databases, and local servers of a few lines."""

from __future__ import annotations

import importlib.util
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

DatabaseAlias = Callable[[dict[str, Any]], str]
Speak = Callable[[socket.socket], None]


@pytest.fixture(scope="session")
def django() -> None:
    """Django, set up once for the session: with the project's settings, or bare ones."""
    import django
    from django.conf import settings

    if not settings.configured and not os.environ.get("DJANGO_SETTINGS_MODULE"):
        if importlib.util.find_spec("monitor.settings"):
            os.environ["DJANGO_SETTINGS_MODULE"] = "monitor.settings"
        else:
            settings.configure(DATABASES={})
    django.setup()


@pytest.fixture
def database_alias(django: None) -> Iterator[DatabaseAlias]:
    """Adds a database to Django's settings: `database_alias({"ENGINE": ...})` is its alias; gone after the test."""
    from django.db import connections

    added: list[str] = []

    def add(settings: dict[str, Any]) -> str:
        alias = f"test-{len(added)}"
        connections.settings[alias] = connections.configure_settings({"default": {}, alias: dict(settings)})[alias]
        added.append(alias)
        return alias

    yield add
    for alias in added:
        del connections.settings[alias]


@pytest.fixture
def serve() -> Iterator[Callable[[Speak], int]]:
    """Serves a conversation: `serve(speak)` is the port where each connection is handed to `speak` in a thread."""
    listeners: list[socket.socket] = []

    def start(speak: Speak) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

        def talk(client: socket.socket) -> None:
            with closing(client), suppress(OSError):
                speak(client)

        threading.Thread(target=accept, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
