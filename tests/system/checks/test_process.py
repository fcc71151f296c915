"""What check processes have imported before they run anything: real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from monitor.config import CheckSpec
from monitor.config.model import Config
from monitor.executor import ProcessExecutor
from monitor.model.checks import Outcome, Status
from monitor.wiring import build_executor


@pytest.fixture
def run() -> Iterator[Callable[[str], Outcome]]:
    """Runs a check of kind `python` with a limit of 0.4 s, in an executor as the worker has it."""
    executors: list[ProcessExecutor] = []

    def run(path: str) -> Outcome:
        options = {"path": path}
        check = CheckSpec(name="mine", kind="python", interval_seconds=1, timeout_seconds=0.4, options=options)
        executors.append(build_executor(Config(checks={"mine": check})))
        return executors[-1].run(check)[0]

    yield run
    for each in executors:
        each.close()


def test_a_users_module_is_imported_outside_of_the_time_limit(run: Callable[[str], Outcome]) -> None:
    """A module that takes longer to import than the check may take is no timeout, not even at the first run."""
    assert run("tests.support.slow_import:answer") == Outcome(Status.OK, {"value": 42}, series=("value",))


def test_a_module_that_cannot_be_imported_is_its_own_checks_problem(run: Callable[[str], Outcome]) -> None:
    """The processes start all the same, and the check says what is wrong."""
    outcome = run("tests.checks.no_such_module:answer")
    assert (outcome.status, outcome.reason) == (Status.ERROR, "import")
