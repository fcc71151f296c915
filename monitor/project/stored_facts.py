"""File in the data directory with what only the project's Celery application knows, so that commands are quick.

A role writes the file at each start. A command uses the file for a day, and as long as its sources have not changed:
the settings, and the environment variables and files of code that the project has read. Only this user can read the
file, because the broker's URL may contain a password.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from monitor import __version__
from monitor.lib.own_files import belongs_to_another, replace
from monitor.project import facts, sources
from monitor.project.facts import ProjectFacts

FILE = "project-facts"
VALID_SECONDS = 86_400.0
_MAX_BYTES = 4_000_000


def read(directory: Path, application: str, settings: ProjectFacts) -> ProjectFacts | None:
    """Return the facts with a Celery application, or None if the file is missing, invalid or of another user.

    ``settings`` are the facts without the application, as the project's settings are now.
    """
    try:
        if belongs_to_another(directory):
            return None
        descriptor = os.open(directory / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            head, found, of = file.read(_MAX_BYTES).decode().splitlines()
        written = json.loads(head)
        age_seconds = time.time() - written["at"]
        if written["key"] != _key(application, settings) or not 0 <= age_seconds < VALID_SECONDS:
            return None
        return facts.decode(found) if sources.are_unchanged(of) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write(directory: Path, application: str, settings: ProjectFacts, found: ProjectFacts, of: str) -> None:
    """Store the facts with a Celery application, and ``of``, their sources. Do nothing if the directory is unusable."""
    head = json.dumps({"key": _key(application, settings), "at": time.time()})
    with contextlib.suppress(OSError):
        if not belongs_to_another(directory):
            replace(directory / FILE, f"{head}\n{facts.encode(found)}\n{of}\n")


def _key(application: str, settings: ProjectFacts) -> str:
    text = f"{__version__}\n{application}\n{facts.encode(settings)}"
    return hashlib.sha256(text.encode()).hexdigest()
