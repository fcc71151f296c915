"""Scheduler of a configuration's checks in one process: the work of beat and worker, without Celery and Redis."""

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
    """Thread that starts due checks, and one thread for each run.

    The checks themselves run in processes that can be killed.

    ``after_run`` is called in the thread of a run after its result was stored.
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
        """Start the thread. Every check is due at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and kill all child processes. Results of checks that still run are discarded."""
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
                log.exception("sidecar.dispatch_failed")  # if this thread ended, all results would become stale
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
                return  # `stop` killed the process: this is no failure of the check
            log_run(log, run)
            self._after_run()


def _running_below() -> list[psutil.Process]:
    """Return the child processes that are not zombies.

    As the first process of a container, this one inherits orphans, which stay zombies.
    """
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
