"""The beacon thread of a worker: a separate thread in its main process, with a separate connection to the store.

It keeps writing when the consumer hangs, and the worker never waits for it or gets an exception from it. On gevent and
eventlet the thread is a greenlet, so it stops when another greenlet never yields.
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

from monitor.agent import beacon_places, heartbeat_recorder, identity
from monitor.agent.bounded_connection import BoundedConnection
from monitor.agent.capacity import is_costly, is_full, is_holding_back, is_known_pool, overlong
from monitor.agent.connection import AgentConnection, BeaconReply, timeout_seconds
from monitor.agent.heartbeat_recorder import HeartbeatRecorder
from monitor.agent.host_metrics import HostMetrics
from monitor.agent.liveness import LEAVING, RUNNING, LivenessSample
from monitor.agent.progress import HeartbeatProgress
from monitor.agent.protocol import Beacon, with_project
from monitor.agent.reachability import Reachability
from monitor.agent.settings import AgentSettings
from monitor.agent.worker_probe import WorkerProbe

log = logging.getLogger("monitor.agent")

DELAYED_SECONDS = 1.0
"""A consumer loop that lags by more than this may be waiting for a connection."""


class BeaconThread:
    """A thread that writes a beacon twice in an interval, until it has written the goodbye.

    The goodbye is the last beacon of an instance, with ``leaving`` set.
    """

    def __init__(self, settings: AgentSettings, probe: WorkerProbe) -> None:
        """Prepare the thread, without connecting. Raises ValueError for a wrong URL of the store."""
        self._settings = settings
        self._probe = probe
        step_timeout = timeout_seconds(settings.interval_seconds)
        connection = AgentConnection(
            settings.redis_url or "", settings.key_prefix, probe.node, probe.target, timeout_seconds=step_timeout
        )
        self._project = identity.of_process(settings.project, [probe.app], os.environ)
        self._period_seconds = settings.interval_seconds / 2
        self._executed_by = f"{probe.node}|{probe.instance}"
        self._connection = BoundedConnection(connection, wait_seconds=self._period_seconds)
        self._host_metrics = HostMetrics()
        self._progress = HeartbeatProgress(time.monotonic(), interval_seconds=self._period_seconds + step_timeout)
        self._reachability = Reachability(probe.conf, settings.redis_url)
        self._store_failing = False
        self._file_failing = False
        self._round_failed = False
        self.leaving = False
        self._goodbye_written = threading.Event()
        # `SimpleQueue.put` is reentrant: a signal handler may call it at any moment.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._recorder = HeartbeatRecorder(probe.target, lambda: self._wake.put(None))
        self._thread = threading.Thread(target=self._run, name="monitor-beacon", daemon=True)

    @property
    def node(self) -> str:
        """The worker's node name."""
        return self._probe.node

    def start(self) -> None:
        """Start the thread."""
        heartbeat_recorder.register(self.node, self._recorder)
        self._thread.start()

    def request_goodbye(self) -> None:
        """Request the goodbye. Returns at once, so a signal handler may call it."""
        if not self.leaving:
            self.leaving = True
            self._wake.put(None)

    def wait_for_goodbye(self, seconds: float) -> bool:
        """Wait for the goodbye, at most ``seconds``. Return whether it was written."""
        return self._goodbye_written.wait(seconds)

    def _run(self) -> None:
        while not self._goodbye_written.is_set():
            leaving = self.leaving
            try:
                self._round(leaving)
            except Exception:  # logged as an error once: it is likely to fail in each round
                level = logging.DEBUG if self._round_failed else logging.ERROR
                log.log(level, "the monitor's beacon failed", exc_info=True)
                self._round_failed = True
            self._pause(min(self._period_seconds, 1.0) if leaving else self._period_seconds, leaving)
        self._connection.close()

    def _pause(self, seconds: float, leaving: bool) -> None:
        """Wait until the next round, and record executed heartbeats meanwhile. A requested goodbye ends the pause."""
        ends = time.monotonic() + seconds
        while not self._goodbye_written.is_set() and self.leaving is leaving and (left := ends - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                self._wake.get(timeout=left)
            self._record()

    def _record(self) -> None:
        """Record executed heartbeats in the store.

        Those that the store does not accept are dropped: a later record would show a wrong, longer delay.
        """
        if executed := self._recorder.take():
            try:
                self._connection.record(executed, self._executed_by)
            except (RedisError, OSError) as error:
                log.debug("executed heartbeats could not be recorded (%s)", type(error).__name__)

    def _round(self, leaving: bool) -> None:
        beacon = self._probe.observe(interval_seconds=self._settings.interval_seconds, leaving=leaving)
        reply = None
        try:
            complete = replace(
                beacon,
                heartbeats=self._recorder.count,
                rss_mb=self._host_metrics.rss_mb(),
                vitals=self._host_metrics.read(),
            )
            complete = with_project(complete, self._project)
            reply = self._connection.write(complete)
        except (RedisError, OSError) as error:
            self._log_failure(error)
        else:
            self._log_recovery()
        self._write_sample(beacon, reply)
        if leaving and reply is not None:
            self._goodbye_written.set()

    def _write_sample(self, beacon: Beacon, reply: BeaconReply | None) -> None:
        """Write a liveness sample for `monitor probe worker` on this machine."""
        stuck = is_full(beacon) and overlong(beacon, self._settings) == len(beacon.active)
        store_answers, broker_reachable = self._reachable(beacon, reply, busy=is_full(beacon) and not stuck)
        self._progress.observe(
            time.monotonic(),
            store_answers=store_answers,
            broker_reachable=broker_reachable,
            done=self._probe.executed(),
            emitted_us=reply.emitted_us if reply and beacon.direct else None,
            executed_us=self._recorder.newest_us,
            store_now_us=reply.now_us if reply else None,
        )
        sample = LivenessSample(
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
            judged=is_known_pool(beacon) or self._recorder.count > 0,
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
            beacon_places.write(beacon.node, sample)
        except OSError as error:
            if not self._file_failing:
                log.warning("`monitor probe worker` will not find this worker: %s", error)
            self._file_failing = True

    def _reachable(self, beacon: Beacon, reply: BeaconReply | None, *, busy: bool) -> tuple[bool, bool]:
        """Return whether the store answers, and whether the broker can be reached; see :meth:`Reachability.observe`."""
        delayed = self._progress.unanswered_seconds > 0 or (beacon.loop_lag_seconds or 0.0) > DELAYED_SECONDS
        return self._reachability.observe(
            store_answers=reply is not None, connected=beacon.connected, doubtful=delayed and not busy
        )

    def _log_failure(self, error: Exception) -> None:
        if not self._store_failing:
            # Only the type of the error: a server without AUTH quotes the password in its message.
            log.warning(
                "the monitor's store does not accept the beacon (%s); the worker is not affected", type(error).__name__
            )
        self._store_failing = True
        with contextlib.suppress(Exception):
            self._connection.close()

    def _log_recovery(self) -> None:
        if self._store_failing:
            log.info("the monitor's store accepts the beacon again")
        self._store_failing = False
