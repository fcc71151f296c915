"""The beacon: a thread of its own in the worker's main process, with a connection of its own.

A consumer that hangs cannot silence it, and nothing that happens here reaches the worker: no exception, no waiting.
On the green pools it is a greenlet, and silent when no other greenlet gets a turn.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from dataclasses import replace

from redis.exceptions import RedisError

from monitor.agent import beacon_places, identity
from monitor.agent.bounded_connection import BoundedConnection
from monitor.agent.capacity import is_costly, is_full, is_holding_back, is_known_pool, overlong
from monitor.agent.connection import AgentConnection, BeaconReply, timeout_seconds
from monitor.agent.heartbeat_recorder import HeartbeatRecorder, register
from monitor.agent.host_metrics import HostMetrics
from monitor.agent.liveness import LEAVING, RUNNING, LivenessSample
from monitor.agent.progress import HeartbeatProgress
from monitor.agent.protocol import Beacon, with_project
from monitor.agent.reachability import Reachability
from monitor.agent.settings import AgentSettings
from monitor.agent.worker_probe import WorkerProbe

log = logging.getLogger("monitor.agent")

DELAYED_SECONDS = 1.0
"""A loop that is later than this may be waiting for a connection."""


class BeaconThread:
    """Says every half interval how the worker is, until it has said goodbye."""

    def __init__(self, settings: AgentSettings, subject: WorkerProbe) -> None:
        """Raises ValueError when the store's URL is wrong."""
        self._settings = settings
        self._subject = subject
        limit = timeout_seconds(settings.interval_seconds)
        link = AgentConnection(
            settings.redis_url or "", settings.key_prefix, subject.node, subject.target, timeout_seconds=limit
        )
        self._project = identity.of_process(settings.project, [subject.app], os.environ)
        self._every_seconds = settings.interval_seconds / 2
        self._by = f"{subject.node}|{subject.instance}"
        self._link = BoundedConnection(link, wait_seconds=self._every_seconds)
        self._vitals = HostMetrics()
        self._progress = HeartbeatProgress(time.monotonic(), interval_seconds=self._every_seconds + limit)
        self._reach = Reachability(subject.conf, settings.redis_url)
        self._failing = False
        self._file_failing = False
        self._broken = False
        self.leaving = False
        self._said = threading.Event()
        # Its `put` may be called from a signal handler, whatever the interrupted code was doing.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._executions = HeartbeatRecorder(subject.target, lambda: self._wake.put(None))
        self._thread = threading.Thread(target=self._run, name="monitor-beacon", daemon=True)

    @property
    def node(self) -> str:
        """The worker's name."""
        return self._subject.node

    def start(self) -> None:
        """Start the thread."""
        register(self.node, self._executions)
        self._thread.start()

    def leave(self) -> None:
        """Say goodbye soon. Returns at once, and may be called from a signal handler."""
        if not self.leaving:
            self.leaving = True
            self._wake.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait until the goodbye was said, so long at most."""
        return self._said.wait(seconds)

    def _run(self) -> None:
        while not self._said.is_set():
            leaving = self.leaving
            try:
                self._round(leaving)
            except Exception:  # once: what fails here fails again
                log.log(logging.DEBUG if self._broken else logging.ERROR, "the monitor's beacon failed", exc_info=True)
                self._broken = True
            self._pause(min(self._every_seconds, 1.0) if leaving else self._every_seconds, leaving)
        self._link.close()

    def _pause(self, seconds: float, leaving: bool) -> None:
        """Wait, and record heartbeats as they are executed. A goodbye that is to be said ends it."""
        ends = time.monotonic() + seconds
        while not self._said.is_set() and self.leaving is leaving and (left := ends - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                self._wake.get(timeout=left)
            self._record()

    def _record(self) -> None:
        """Record what was executed. What the store does not take is lost: later it would seem to have taken long."""
        if executed := self._executions.take():
            try:
                self._link.record(executed, self._by)
            except (RedisError, OSError) as error:
                log.debug("executed heartbeats could not be recorded (%s)", type(error).__name__)

    def _round(self, leaving: bool) -> None:
        beacon = self._subject.observe(interval_seconds=self._settings.interval_seconds, leaving=leaving)
        seen = None
        try:
            whole = replace(
                beacon,
                heartbeats=self._executions.count,
                rss_mb=self._vitals.rss_mb(),
                vitals=self._vitals.read(),
            )
            whole = with_project(whole, self._project)
            seen = self._link.write(whole)
        except (RedisError, OSError) as error:
            self._failed(error)
        else:
            self._succeeded()
        self._write_down(beacon, seen)
        if leaving and seen is not None:
            self._said.set()

    def _write_down(self, beacon: Beacon, seen: BeaconReply | None) -> None:
        """The pulse, for `monitor probe worker` on this machine."""
        stuck = is_full(beacon) and overlong(beacon, self._settings) == len(beacon.active)
        store_answers, broker_reachable = self._reachable(beacon, seen, busy=is_full(beacon) and not stuck)
        self._progress.observe(
            time.monotonic(),
            store_answers=store_answers,
            broker_reachable=broker_reachable,
            done=self._subject.executed(),
            emitted_us=seen.emitted_us if seen and beacon.direct else None,
            executed_us=self._executions.newest_us,
            store_now_us=seen.now_us if seen else None,
        )
        pulse = LivenessSample(
            phase=LEAVING if beacon.leaving else RUNNING,
            interval_seconds=self._settings.interval_seconds,
            pool=beacon.pool,
            up_seconds=beacon.up_seconds,
            slots=beacon.slots,
            active=beacon.active_count,
            reserved=beacon.reserved,
            taken=is_full(beacon),
            stuck=stuck,
            holding_back=is_holding_back(beacon),
            judged=is_known_pool(beacon) or self._executions.count > 0,
            dear=is_costly(beacon),
            loop_lag_seconds=beacon.loop_lag_seconds,
            executed_age_seconds=self._progress.executed_age_seconds,
            unanswered_seconds=self._progress.unanswered_seconds,
            idle_seconds=self._progress.idle_seconds,
            store_answers=store_answers,
            broker_reachable=broker_reachable,
            recovered_seconds=self._progress.recovered_seconds,
        )
        try:
            beacon_places.write(beacon.node, pulse)
        except OSError as error:
            if not self._file_failing:
                log.warning("`monitor probe worker` will not find this worker: %s", error)
            self._file_failing = True

    def _reachable(self, beacon: Beacon, seen: BeaconReply | None, *, busy: bool) -> tuple[bool, bool]:
        """Return whether the store answers, and whether the broker can be reached; see :meth:`Reach.observe`."""
        delayed = self._progress.unanswered_seconds > 0 or (beacon.loop_lag_seconds or 0.0) > DELAYED_SECONDS
        return self._reach.observe(
            store_answers=seen is not None, connected=beacon.connected, doubtful=delayed and not busy
        )

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            # The kind of error only: a server without AUTH quotes the password.
            log.warning("the monitor's store does not take the beacon (%s); the worker goes on", type(error).__name__)
        self._failing = True
        with contextlib.suppress(Exception):
            self._link.close()

    def _succeeded(self) -> None:
        if self._failing:
            log.info("the monitor's store takes the beacon again")
        self._failing = False
