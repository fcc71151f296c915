"""Scheduler that runs all checks in one process, without Celery and Redis. The scheduler replaces beat and worker."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping

import psutil
from structlog.contextvars import bound_contextvars

from monitor.config import CheckSpec, Config
from monitor.lib import logs
from monitor.policy.schedule import DueCheck, Plan
from monitor.ports.executor import Executor, ExecutorStarting, ExecutorUnavailable
from monitor.ports.store import StateStore, StoreUnavailable
from monitor.services.run_check import due_now, log_run, run_check

STOP_SECONDS = 5.0

log = logs.get_logger("monitor.sidecar")


class CheckLoop:
    """Loop in a thread that starts each due check in another thread.

    The other thread waits for the check, which runs in a child process. After the result was stored, the other thread
    calls ``after_run``.
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
        """Start the loop. All checks are due immediately."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the loop and kill all child processes. The results of running checks are discarded."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)
        deadline = time.monotonic() + STOP_SECONDS
        while (children := _running_children()) and time.monotonic() < deadline:
            for process in children:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(children, timeout=0.2)
            self._executor.close()

    def _dispatch(self) -> None:
        while not self._stopping.is_set():
            try:
                for due in due_now(self._plan, self._config.fingerprint, store=self._store) or ():
                    threading.Thread(target=self._run, args=(due,), name=f"monitor-{due.check}", daemon=True).start()
            except Exception:
                log.exception("sidecar.dispatch_failed")  # the loop must continue, otherwise all results become stale
            self._stopping.wait(self._config.dispatch_interval_seconds)

    def _run(self, due: DueCheck) -> None:
        with bound_contextvars(check=due.check):
            try:
                run = run_check(self._checks[due.check], due.due_at, store=self._store, executor=self._executor)
            except (ExecutorUnavailable, StoreUnavailable) as error:
                if not self._stopping.is_set():
                    level = log.info if isinstance(error, ExecutorStarting) else log.error
                    level("check.not_run", message=str(error))
                return
            if self._stopping.is_set():
                return  # the run ended because `stop` killed its process, so it is not logged
            log_run(log, run)
            self._after_run()


def _running_children() -> list[psutil.Process]:
    """Return the child processes that are not zombies.

    In a container this process may be PID 1. It then inherits orphaned processes, which stay zombies when they end.
    """
    running = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                running.append(process)
    return running
