"""The beacon thread: a thread in a worker's main process, with its own connection to the store.

The thread keeps writing while the worker's consumer hangs. The worker never waits for the thread, except for the
goodbye, and gets no exception from it. On gevent and eventlet the thread is a greenlet, so it stops while another
greenlet does not yield.
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
from monitor.agent.worker_observer import WorkerObserver

log = logging.getLogger("monitor.agent")

DELAYED_SECONDS = 1.0
"""A consumer loop with a longer lag may be waiting for a connection, so new connections are tried."""


class BeaconThread:
    """A thread that writes a beacon twice in an interval. It ends when it has written the goodbye.

    The goodbye is the last beacon of an instance. Its ``leaving`` is true.
    """

    def __init__(self, settings: AgentSettings, observer: WorkerObserver) -> None:
        """Create the thread, without a connection. Raises ValueError for an invalid URL of the store."""
        self._settings = settings
        self._observer = observer
        operation_timeout = timeout_seconds(settings.interval_seconds)
        connection = AgentConnection(
            settings.redis_url or "",
            settings.key_prefix,
            observer.node,
            observer.target,
            timeout_seconds=operation_timeout,
        )
        self._project = identity.of_process(settings.project, [observer.app], os.environ)
        self._pause_seconds = settings.interval_seconds / 2
        self._own_name = f"{observer.node}|{observer.instance}"
        self._connection = BoundedConnection(connection, wait_seconds=self._pause_seconds)
        self._host_metrics = HostMetrics()
        self._progress = HeartbeatProgress(time.monotonic(), interval_seconds=self._pause_seconds + operation_timeout)
        self._reachability = Reachability(observer.conf, settings.redis_url)
        self._is_store_failing = False
        self._has_file_failed = False
        self._has_logged_error = False
        self.is_goodbye_requested = False
        self._goodbye_written = threading.Event()
        # `SimpleQueue.put` is reentrant: a signal handler may call it at any moment.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._recorder = HeartbeatRecorder(observer.target, lambda: self._wake.put(None))
        self._thread = threading.Thread(target=self._run, name="monitor-beacon", daemon=True)

    @property
    def node(self) -> str:
        """The worker's node name."""
        return self._observer.node

    def start(self) -> None:
        """Start the thread."""
        heartbeat_recorder.register(self.node, self._recorder)
        self._thread.start()

    def request_goodbye(self) -> None:
        """Request the goodbye. Returns at once, so a signal handler may call it."""
        if not self.is_goodbye_requested:
            self.is_goodbye_requested = True
            self._wake.put(None)

    def wait_for_goodbye(self, seconds: float) -> bool:
        """Wait for the goodbye, at most ``seconds``. Return whether it was written."""
        return self._goodbye_written.wait(seconds)

    def _run(self) -> None:
        while not self._goodbye_written.is_set():
            leaving = self.is_goodbye_requested
            try:
                self._write_once(leaving)
            except Exception:  # logged as an error only once: the next beacons are likely to fail, too
                level = logging.DEBUG if self._has_logged_error else logging.ERROR
                log.log(level, "the monitor's beacon failed", exc_info=True)
                self._has_logged_error = True
            self._pause(min(self._pause_seconds, 1.0) if leaving else self._pause_seconds, leaving)
        self._connection.close()

    def _pause(self, seconds: float, leaving: bool) -> None:
        """Wait before the next beacon, and record executed heartbeats meanwhile. A requested goodbye ends the wait."""
        ends_at = time.monotonic() + seconds
        while (
            not self._goodbye_written.is_set()
            and self.is_goodbye_requested is leaving
            and (remaining := ends_at - time.monotonic()) > 0
        ):
            with contextlib.suppress(queue.Empty):
                self._wake.get(timeout=remaining)
            self._record()

    def _record(self) -> None:
        """Record executed heartbeats in the store.

        Heartbeats that the store does not accept are dropped. The store dates each heartbeat when it is recorded, so a
        later attempt would record a delay that is too long.
        """
        if executed := self._recorder.take():
            try:
                self._connection.record(executed, self._own_name)
            except (RedisError, OSError) as error:
                log.debug("executed heartbeats could not be recorded (%s)", type(error).__name__)

    def _write_once(self, leaving: bool) -> None:
        beacon = self._observer.observe(interval_seconds=self._settings.interval_seconds, leaving=leaving)
        reply = None
        try:
            full_beacon = replace(
                beacon,
                heartbeats=self._recorder.count,
                rss_mb=self._host_metrics.rss_mb(),
                vitals=self._host_metrics.read(),
            )
            full_beacon = with_project(full_beacon, self._project)
            reply = self._connection.write(full_beacon)
        except (RedisError, OSError) as error:
            self._handle_store_failure(error)
        else:
            self._handle_store_success()
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
            started_count=self._observer.started_count(),
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
            if not self._has_file_failed:
                log.warning("`monitor probe worker` will not find this worker: %s", error)
            self._has_file_failed = True

    def _reachable(self, beacon: Beacon, reply: BeaconReply | None, *, busy: bool) -> tuple[bool, bool]:
        """Return whether the store answers, and whether the broker can be reached.

        New connections are tried if a fault is suspected: a heartbeat waits or the loop lags, and the worker is not
        busy.
        """
        delayed = self._progress.unanswered_seconds > 0 or (beacon.loop_lag_seconds or 0.0) > DELAYED_SECONDS
        return self._reachability.observe(
            store_answers=reply is not None, connected=beacon.connected, verify=delayed and not busy
        )

    def _handle_store_failure(self, error: Exception) -> None:
        if not self._is_store_failing:
            # The message is left out: a server without AUTH quotes the password in it.
            log.warning(
                "the monitor's store does not accept the beacon (%s); the worker is not affected", type(error).__name__
            )
        self._is_store_failing = True
        with contextlib.suppress(Exception):
            self._connection.close()

    def _handle_store_success(self) -> None:
        if self._is_store_failing:
            log.info("the monitor's store accepts the beacon again")
        self._is_store_failing = False
