"""Reader of the facts about a project. It imports the project in a process of its own, which then ends.

So a role or a command keeps nothing of the project in its memory. In a process of the project itself, such as its beat,
the facts are read directly.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple, NoReturn

from monitor.lib.parent_process import end_with_parent
from monitor.project import discovery, stored_facts
from monitor.project.facts import ProjectFacts, decode
from monitor.project.stored_facts import Origin

REPORT_AFTER_SECONDS = 3.0
REPORT_SECONDS = 30.0
"""Time after which the user is told why nothing happens yet, and the interval of later messages."""


class _Import(NamedTuple):
    """Setting that names what is imported, and its value."""

    key: str
    value: str | None

    def fail(self, hint: str) -> NoReturn:
        """Raise ConfigError."""
        from monitor.config import ConfigError, ConfigProblem  # noqa: PLC0415 - `begin` must be quick

        raise ConfigError([ConfigProblem(self.key, self.value, hint)])


class ProjectReader:
    """Reader of one process. It reads everything once. As a context manager, it ends the import process.

    ``imported`` is the last import of a Celery application: its origin, its facts, and the sources of the facts.
    """

    def __init__(self) -> None:
        self._process: _ImportProcess | None = None
        self._settings: dict[str | None, ProjectFacts] = {}
        self._applications: dict[str, ProjectFacts] = {}
        self.imported: tuple[Origin, ProjectFacts, str] | None = None

    def __enter__(self) -> ProjectReader:
        """Return the reader."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the import process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def begin(self) -> None:
        """Begin to import the project's settings. Return at once."""
        if discovery.has_django_project() and not discovery.is_project_process():
            self._started()

    def settings(self, limit_seconds: float) -> ProjectFacts:
        """Return the facts from the project's settings. Raise ConfigError if these cannot be imported in time."""
        if discovery.is_project_process():
            return _valid(discovery.facts())
        if not discovery.has_django_project():
            return ProjectFacts()
        module = os.environ[discovery.VARIABLE]
        if module not in self._settings:
            self._settings[module], _ = self._started().answer(_Import(discovery.VARIABLE, module), limit_seconds)
        return self._settings[module]

    def application(
        self, origin: Origin, limit_seconds: float, directory: Path, *, refresh: bool = False
    ) -> ProjectFacts:
        """Return the facts with a Celery application, and store them in ``directory``.

        Without ``refresh``, valid facts in ``directory`` are used. Raise ConfigError if the application cannot be
        imported in time.
        """
        path = origin.application
        if discovery.is_project_process():
            return _valid(discovery.facts_with_application(path))
        if path not in self._applications:
            stored = None if refresh else self.stored(origin, directory)
            self._applications[path] = stored or self._imported(origin, limit_seconds, directory)
        found = self._applications[path]
        # The application may have set the settings module. A later call of `settings` in this process finds it set.
        self._settings.setdefault(found.settings_module, origin.settings)
        return found

    def stored(self, origin: Origin, directory: Path) -> ProjectFacts | None:
        """Return the facts that this process has read already, else valid facts in ``directory``, else None."""
        return self._applications.get(origin.application) or stored_facts.read(directory, origin)

    def _imported(self, origin: Origin, limit_seconds: float, directory: Path) -> ProjectFacts:
        imported, process = _Import("celery_app", origin.application), self._started()
        if process.answers == 0:
            process.answer(imported, limit_seconds)  # the facts without the application, which are known
        process.request(origin.application)
        found, of = process.answer(imported, limit_seconds)
        self.imported = origin, found, of
        stored_facts.write(directory, origin, found, of)
        return found

    def _started(self) -> _ImportProcess:
        if self._process is None:
            self._process = _ImportProcess()
        return self._process


class _ImportProcess:
    """Child process that imports the project (see `monitor.project.import_process`)."""

    def __init__(self) -> None:
        self.answers = 0
        self._received = b""
        self._started_at = time.monotonic()
        self._output, descriptor = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "monitor.project.import_process", str(descriptor)],
                stdin=subprocess.PIPE,
                pass_fds=[descriptor],
                preexec_fn=end_with_parent(),  # noqa: PLW1509  (at the start of a process, which has no other thread)
            )
        finally:
            os.close(descriptor)

    def request(self, application: str) -> None:
        """Request the facts with a Celery application."""
        assert self._process.stdin is not None  # noqa: S101  (narrows the type)
        with contextlib.suppress(BrokenPipeError):  # the process has ended, which `answer` finds
            self._process.stdin.write(f"{application}\n".encode())
            self._process.stdin.flush()

    def answer(self, imported: _Import, limit_seconds: float) -> tuple[ProjectFacts, str]:
        """Return the next answer: the facts, and their sources.

        Raise ConfigError if the project cannot be imported, if there is no answer within ``limit_seconds``, or if the
        process ends.
        """
        report_at = self._started_at + REPORT_AFTER_SECONDS
        while self._received.count(b"\n") < 2:
            seconds = time.monotonic() - self._started_at
            if seconds > limit_seconds:
                imported.fail(f"importing it takes longer than {limit_seconds:g} s, the setting import_limit")
            if time.monotonic() > report_at:
                report_at = time.monotonic() + REPORT_SECONDS
                sys.stderr.write(f"importing the project, {seconds:.0f} s\n")
            poll = select.poll()
            poll.register(self._output, select.POLLIN)
            if not poll.poll(200):
                continue
            if not (received := os.read(self._output, 1 << 20)):
                imported.fail(f"the process that imports it has ended with status {self._process.wait()}")
            self._received += received
        text, of, self._received = self._received.split(b"\n", 2)
        self.answers += 1
        return _valid(decode(text.decode())), of.decode()

    def end(self) -> None:
        """Kill the process."""
        os.close(self._output)
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()


def _valid(found: ProjectFacts) -> ProjectFacts:
    if found.problem is not None:
        key, value, hint = found.problem
        _Import(key, value).fail(hint)
    return found


project_reader = ProjectReader()
"""Reader of this process."""
