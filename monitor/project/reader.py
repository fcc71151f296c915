"""Reader of the facts about a project. It imports the project in a process of its own, which then ends.

So a role or a command keeps nothing of the project in its memory. In a process of the project itself, such as its beat,
the facts are read directly.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

from monitor.config import ConfigError, ConfigProblem
from monitor.lib.parent_process import end_with_parent
from monitor.project import discovery, stored_facts
from monitor.project.facts import ProjectFacts, decode

REPORT_AFTER_SECONDS = 3.0
REPORT_SECONDS = 30.0
"""Time after which the user is told why nothing happens yet, and the interval of later messages."""


class ProjectReader:
    """Reader of one process. It reads everything once. As a context manager, it ends the import process."""

    def __init__(self) -> None:
        self._process: _ImportProcess | None = None
        self._settings: dict[str | None, ProjectFacts] = {}
        self._applications: dict[str, ProjectFacts] = {}

    def __enter__(self) -> ProjectReader:
        """Return the reader."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the import process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def settings(self, limit_seconds: float) -> ProjectFacts:
        """Return the facts from the project's settings. Raise ConfigError if these cannot be imported in time."""
        if discovery.is_project_process():
            return _valid(discovery.facts())
        if not discovery.has_django_project():
            return ProjectFacts()
        module = os.environ[discovery.VARIABLE]
        if module not in self._settings:
            problem = ConfigProblem(discovery.VARIABLE, module, "")
            self._settings[module], _ = self._started().answer(problem, limit_seconds)
        return self._settings[module]

    def application(
        self, path: str, settings: ProjectFacts, limit_seconds: float, directory: Path | None, *, refresh: bool
    ) -> ProjectFacts:
        """Return the facts with a Celery application, and store them in ``directory``.

        ``settings`` are the facts without the application. Without ``refresh``, valid facts in ``directory`` are used.
        Raise ConfigError if the application cannot be imported in time.
        """
        if discovery.is_project_process():
            return _valid(discovery.facts_with_application(path))
        if path not in self._applications:
            stored = None if refresh else self.stored(path, settings, directory)
            self._applications[path] = stored or self._imported(path, settings, limit_seconds, directory)
        found = self._applications[path]
        # The application may have set the settings module. A later call of `settings` in this process finds it set.
        self._settings.setdefault(found.settings_module, settings)
        return found

    def stored(self, path: str, settings: ProjectFacts, directory: Path | None) -> ProjectFacts | None:
        """Return the facts with a Celery application from ``directory``; None if there are no valid ones."""
        return stored_facts.read(directory, path, settings) if directory is not None else None

    def _imported(
        self, path: str, settings: ProjectFacts, limit_seconds: float, directory: Path | None
    ) -> ProjectFacts:
        problem = ConfigProblem("celery_app", path, "")
        process = self._started()
        if process.answers == 0:
            process.answer(problem, limit_seconds)  # the facts without the application, which are known
        process.request(path)
        found, of = process.answer(problem, limit_seconds)
        if directory is not None:
            stored_facts.write(directory, path, settings, found, of)
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
        self._process.stdin.write(f"{application}\n".encode())
        self._process.stdin.flush()

    def answer(self, problem: ConfigProblem, limit_seconds: float) -> tuple[ProjectFacts, str]:
        """Return the next answer: the facts, and their sources.

        Raise ConfigError with the key and the value of ``problem`` if there is no answer within ``limit_seconds``, or
        if the process ends. Raise it with the problem of the answer if the project cannot be imported.
        """
        report_at = self._started_at + REPORT_AFTER_SECONDS
        while self._received.count(b"\n") < 2:
            seconds = time.monotonic() - self._started_at
            if seconds > limit_seconds:
                hint = f"importing it takes longer than {limit_seconds:g} s, the setting import_limit"
                raise ConfigError([ConfigProblem(problem.key, problem.value, hint)])
            if time.monotonic() > report_at:
                report_at = time.monotonic() + REPORT_SECONDS
                sys.stderr.write(f"importing the project, {seconds:.0f} s\n")
            poll = select.poll()
            poll.register(self._output, select.POLLIN)
            if not poll.poll(200):
                continue
            if not (received := os.read(self._output, 1 << 20)):
                hint = f"the process that imports it has ended with status {self._process.wait()}"
                raise ConfigError([ConfigProblem(problem.key, problem.value, hint)])
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
            self._process.stdin.close()


def _valid(found: ProjectFacts) -> ProjectFacts:
    if found.problem is not None:
        raise ConfigError([ConfigProblem(*found.problem)])
    return found
