"""Text with what only the project's Celery application knows. Roles store it, so that commands are quick.

A role writes the text at each start. A command uses it for a day, and as long as its sources have not changed: the
settings, and the environment variables and files of code that the project has read. There are two places:

- A file in the data directory with all facts. Only this user can read it: the broker's URL may contain a password.
- The store, for commands on other hosts. There the text contains names only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from monitor.lib.own_files import belongs_to_another, replace
from monitor.lib.version import installed_version
from monitor.project import facts, sources
from monitor.project.facts import ProjectFacts

FILE = "project-facts"
VALID_SECONDS = 86_400.0
MAX_BYTES = 4_000_000
_NAMES = ("project", "broker_queues")


@dataclass(frozen=True, slots=True)
class Origin:
    """Origin of facts: the import path of the application, and the facts of the settings alone.

    ``store`` is the URL and the key prefix of the store that contains the text. It is empty for the file.
    """

    application: str
    settings: ProjectFacts
    store: str = ""

    @property
    def digest(self) -> str:
        """Digest that differs for other origins, and for other versions of the monitor."""
        text = f"{installed_version()}\n{self.application}\n{self.store}\n{facts.encode(self.settings)}"
        return hashlib.sha256(text.encode()).hexdigest()


def encode(origin: Origin, found: ProjectFacts, of: str) -> str:
    """Return the text with facts and ``of``, their sources. A text for the store contains names only."""
    if origin.store:
        names = {key: value for key, value in found.derived.items() if key in _NAMES}
        found = ProjectFacts(found.settings_module, {}, names, found.applications)
    head = json.dumps({"origin": origin.digest, "at": time.time()})
    return f"{head}\n{facts.encode(found)}\n{of}\n"


def decode(text: str, origin: Origin) -> ProjectFacts | None:
    """Return the facts in a text; None if it is damaged, of another origin, too old, or if a source has changed."""
    try:
        head, encoded, of = text.splitlines()
        written = json.loads(head)
        age_seconds = time.time() - written["at"]
        if written["origin"] != origin.digest or not 0 <= age_seconds < VALID_SECONDS or not sources.are_unchanged(of):
            return None
        found = facts.decode(encoded)
    except (ValueError, TypeError, KeyError):
        return None
    if not origin.store:
        return found
    settings = origin.settings
    derived = {**settings.derived, **found.derived}
    return ProjectFacts(found.settings_module, settings.explicit, derived, found.applications)


def read(directory: Path, origin: Origin) -> ProjectFacts | None:
    """Return the facts in the file of a data directory, or None if it is missing, invalid or of another user."""
    try:
        if belongs_to_another(directory):
            return None
        descriptor = os.open(directory / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return decode(file.read(MAX_BYTES).decode(errors="replace"), origin)
    except OSError:
        return None


def write(directory: Path, origin: Origin, found: ProjectFacts, of: str) -> None:
    """Store the facts in the file of a data directory. Do nothing if the directory is unusable."""
    with contextlib.suppress(OSError):
        if not belongs_to_another(directory):
            replace(directory / FILE, encode(origin, found, of))
