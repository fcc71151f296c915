"""Runs the checks of a configuration in one process: what beat and worker do, without Celery and Redis."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping

import psutil
import structlog
from structlog.contextvars import bound_contextvars

from monitor.config import CheckSpec, Config
from monitor.policy.schedule import DueCheck, Plan
from monitor.ports.executor import Executor, ExecutorUnavailable
from monitor.ports.store import StateStore, StoreUnavailable
from monitor.services.run_check import due_now, log_run, run_check

END_SECONDS = 5.0

log = structlog.get_logger("monitor.sidecar")


class CheckLoop:
    """A thread that looks what is due, and one for each run; the checks themselves are in processes that can be ended.

    ``after_run`` is called in a run's thread when its result was stored.
    """

    def __init__(
        self,
        config: Config,
        checks: Mapping[str, CheckSpec],
        store: StateStore,
        executor: Executor,
        after_run: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._checks = checks
        self._plan = Plan(checks.values())
        self._store = store
        self._executor = executor
        self._after_run = after_run
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._dispatch, name="monitor-dispatch", daemon=True)

    def start(self) -> None:
        """Begin: every check is due at once."""
        self._thread.start()

    def stop(self) -> None:
        """End, with everything that runs below this process: what a check would still find is of no use."""
        self._stopping.set()
        self._thread.join(END_SECONDS)
        deadline = time.monotonic() + END_SECONDS
        while (below := _running_below()) and time.monotonic() < deadline:
            for process in below:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(below, timeout=0.2)
            self._executor.close()

    def _dispatch(self) -> None:
        while not self._stopping.is_set():
            try:
                for due in due_now(self._plan, self._config.fingerprint, store=self._store) or ():
                    threading.Thread(target=self._run, args=(due,), name=f"monitor-{due.check}", daemon=True).start()
            except Exception:
                log.exception("sidecar.dispatch_failed")  # if this thread ended, every answer would grow stale
            self._stopping.wait(self._config.dispatch_interval_seconds)

    def _run(self, due: DueCheck) -> None:
        with bound_contextvars(check=due.check):
            try:
                run = run_check(self._checks[due.check], due.due_at, store=self._store, executor=self._executor)
            except (ExecutorUnavailable, StoreUnavailable) as error:
                if not self._stopping.is_set():
                    log.error("check.not_run", message=str(error))
                return
            if self._stopping.is_set():
                return  # its process was killed by us: no failure of the check
            log_run(log, run)
            self._after_run()


def _running_below() -> list[psutil.Process]:
    """The processes below this one. As the first of a container it inherits orphans, which stay zombies."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
